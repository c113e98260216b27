/**
 * The match call. For an event it reads and walks the fields that gates compare; what they hit names the rules to look at;
 * each of those is evaluated, reading further fields only when they decide. Every field is read and walked, and every
 * comparison answered, at most once an event: marks hold the number of the event, so that nothing is cleared between events.
 */
import type { Operator } from '../../policy/condition/ast.js'
import { ACCEPT } from './code.js'
import { holdsBetween, type ValueKind } from './compare.js'
import { kindOfType } from './operands.js'
import type { Plan } from './program.js'
import { includes, inOrder } from './runs.js'
import { SIEVED_MIN_COUNT } from './segments.js'
import { Sieve } from './sieve.js'
import {
  ASK_ANY,
  ASK_ATOM,
  ASK_BETWEEN,
  ASK_COUNT,
  ASK_DIFFERS,
  ASK_EVERY,
  ASK_EXISTS,
  ASK_ORDER,
  type Tables,
} from './tables.js'
import type { ConditionHits, FieldReader } from './types.js'
import { Walks } from './walks.js'

/** Events between two clearings of all marks; a predicate's mark is twice the event's number and its answer. */
const EVENTS_MAX_COUNT = 1 << 29
/** A list up to this long is asked item by item. */
const SHORT_LIST_COUNT = 4

export class Run {
  readonly #tables: Tables
  readonly #sieve: Sieve
  readonly #isFirstOnly: boolean
  readonly #walks: Walks
  readonly #kinds: readonly ValueKind[]
  readonly #operators: readonly (Operator | undefined)[]
  readonly #counts: readonly ({ mode: string; isNegated: boolean } | undefined)[]
  readonly #isEitherEnd: Uint8Array
  readonly #isList: Uint8Array
  /** Of #walks, by atom. */
  readonly #atomMarks: Int32Array
  readonly #askMarks: Int32Array
  readonly #setMarks: Int32Array
  readonly #ruleMarks: Int32Array
  #event = 0
  #eventType = 0
  #out: ConditionHits = { rules: new Uint32Array(0), count: 0 }

  constructor(tables: Tables, isFirstOnly: boolean) {
    const { lowered } = tables
    const operands = lowered.operands.all
    this.#tables = tables
    this.#sieve = new Sieve(tables.sieve)
    this.#isFirstOnly = isFirstOnly
    this.#kinds = operands.map(({ type }) => kindOfType(type))
    this.#operators = lowered.predicates.all.map((each) => (each.kind === 'between' ? each.operator : undefined))
    this.#counts = lowered.predicates.all.map((each) =>
      each.kind === 'count' ? { mode: each.mode, isNegated: each.isNegated } : undefined,
    )
    this.#isEitherEnd = Uint8Array.from(operands, ({ isEitherEnd }) => Number(isEitherEnd))
    this.#isList = Uint8Array.from(operands, ({ type }) => Number(type === 'list'))
    this.#walks = new Walks(tables)
    this.#atomMarks = this.#walks.marks
    this.#askMarks = new Int32Array(lowered.predicates.all.length + tables.macroEntries.length)
    this.#setMarks = new Int32Array(tables.segmentFrom.length)
    this.#ruleMarks = new Int32Array(tables.rules.length)
  }

  get programBytes(): number {
    let bytes = this.#sieve.programBytes
    for (const value of Object.values(this.#tables)) if (ArrayBuffer.isView(value)) bytes += value.byteLength
    for (const index of this.#tables.indexes) bytes += index?.programBytes ?? 0
    const marks = [this.#askMarks, this.#setMarks, this.#ruleMarks]
    return marks.reduce((sum, each) => sum + each.byteLength, bytes + this.#walks.programBytes)
  }

  match(plan: Plan, eventType: number, reader: FieldReader, hits: ConditionHits): void {
    if (++this.#event === EVENTS_MAX_COUNT) this.#clearMarks()
    this.#walks.start(this.#event, reader, eventType)
    this.#eventType = eventType
    this.#out = hits
    for (let at = 0; at < plan.always.length; at++) this.#segment(plan.always[at] as number)
    const { operands, isActive } = plan
    for (let at = 0; at < operands.length; at++) {
      const { hits: held, hitCount } = this.#walks.walk(operands[at] as number)
      for (let index = 0; index < hitCount; index++) this.#open(held[index] as number, isActive)
    }
    if (hits.count > 1) inOrder(hits)
  }

  #clearMarks(): void {
    this.#walks.clear()
    for (const marks of [this.#askMarks, this.#setMarks, this.#ruleMarks]) marks.fill(0)
    this.#event = 1
  }

  /** Looks at the rules whose gate holds by this atom. */
  #open(atom: number, isActive: Uint8Array): void {
    const { gateFrom, gateSets, segmentFrom, segments, segmentGroups } = this.#tables
    const last = gateFrom[atom + 1] as number
    for (let at = gateFrom[atom] as number; at < last; at++) {
      const set = gateSets[at] as number
      if (this.#setMarks[set] === this.#event) continue
      this.#setMarks[set] = this.#event
      const lastSegment = segmentFrom[set + 1] as number
      for (let index = segmentFrom[set] as number; index < lastSegment; index++) {
        const segment = segments[index] as number
        if (isActive[segmentGroups[segment] as number] === 1) this.#segment(segment)
      }
    }
  }

  #segment(segment: number): void {
    const { isSieved, ruleFrom, segmentRules, operandFrom, segmentOperands } = this.#tables
    if (isSieved[segment] !== 1) {
      const last = ruleFrom[segment + 1] as number
      for (let at = ruleFrom[segment] as number; at < last; at++) this.#judge(segmentRules[at] as number)
      return
    }
    const sieve = this.#sieve
    let state = sieve.start(segment)
    const lastOperand = operandFrom[segment + 1] as number
    for (let at = operandFrom[segment] as number; at < lastOperand; at++) {
      const { hits, hitCount } = this.#walks.walk(segmentOperands[at] as number)
      for (let index = 0; index < hitCount; index++) state = sieve.next(state, hits[index] as number)
      if (sieve.from[state] === sieve.from[state + 1]) return
    }
    state = this.#demand(segment, state)
    const last = sieve.from[state + 1] as number
    for (let at = sieve.from[state] as number; at < last; at++) this.#judge(sieve.pool[at] as number)
  }

  /** What is left of a state by what its rules share; a few rules are judged as fast. */
  #demand(segment: number, from: number): number {
    const { demandFrom, segmentDemands, demandAsks, demandWants } = this.#tables
    const sieve = this.#sieve
    const last = demandFrom[segment + 1] as number
    let state = from
    for (let at = demandFrom[segment] as number; at < last; at++) {
      if ((sieve.from[state + 1] as number) - (sieve.from[state] as number) < SIEVED_MIN_COUNT) break
      const demand = segmentDemands[at] as number
      if (this.#ask(demandAsks[demand] as number) === (demandWants[demand] === 1)) continue
      state = sieve.next(state, this.#atomMarks.length + demand)
    }
    return state
  }

  #judge(rule: number): void {
    if (this.#ruleMarks[rule] === this.#event) return
    this.#ruleMarks[rule] = this.#event
    const out = this.#out
    if (this.#isFirstOnly && out.count > 0) {
      const first = out.rules[0] as number
      if (first < rule || !this.#holds(this.#tables.ruleEntries[rule] as number)) return
      out.rules[0] = rule
    } else if (this.#holds(this.#tables.ruleEntries[rule] as number)) out.rules[out.count++] = rule
  }

  #holds(entry: number): boolean {
    const { code } = this.#tables
    let at = entry
    while (at >= 0) at = code[this.#ask(code[at] as number) ? at + 1 : at + 2] as number
    return at === ACCEPT
  }

  #ask(asked: number): boolean {
    const mark = this.#askMarks[asked] as number
    if (mark >> 1 === this.#event) return (mark & 1) === 1
    const macro = asked - this.#tables.askKinds.length
    const answer = macro >= 0 ? this.#holds(this.#tables.macroEntries[macro] as number) : this.#answer(asked)
    this.#askMarks[asked] = this.#event * 2 + (answer ? 1 : 0)
    return answer
  }

  #answer(asked: number): boolean {
    const { askKinds, askOperands, askFrom, typeHolds } = this.#tables
    const operand = askOperands[asked] as number
    const argument = askFrom[asked] as number
    switch (askKinds[asked]) {
      case ASK_ATOM:
        this.#walks.walk(operand)
        return this.#atomMarks[argument] === this.#event
      case ASK_ANY:
        return this.#answerAny(operand, argument, this.#tables.askTo[asked] as number)
      case ASK_ORDER:
        return this.#answerOrder(operand, argument)
      case ASK_DIFFERS:
        return this.#answerDiffers(operand, argument)
      case ASK_EXISTS:
        return this.#walks.read(operand).isPresent
      case ASK_EVERY:
        return this.#answerEvery(operand, argument, this.#tables.askTo[asked] as number)
      case ASK_COUNT:
        return this.#answerCount(asked, operand, argument, this.#tables.askTo[asked] as number)
      case ASK_BETWEEN:
        return this.#answerBetween(asked, operand, argument)
      default:
        return typeHolds[argument + this.#eventType] === 1
    }
  }

  #answerAny(operand: number, from: number, to: number): boolean {
    const { lists } = this.#tables
    const { hits, hitCount } = this.#walks.walk(operand)
    if (to - from <= SHORT_LIST_COUNT) {
      for (let at = from; at < to; at++) if (this.#atomMarks[lists[at] as number] === this.#event) return true
      return false
    }
    for (let index = 0; index < hitCount; index++) if (includes(lists, from, to, hits[index] as number)) return true
    return false
  }

  #answerOrder(operand: number, atom: number): boolean {
    const index = this.#tables.indexes[operand]
    const values = this.#walks.read(operand)
    if (index === undefined || values.count === 0) return false
    const range = index.range(atom)
    for (let at = 0; at < values.count; at++) {
      const place = index.place(values, at)
      if (range[0] <= place && place <= range[1]) return true
    }
    return false
  }

  #answerDiffers(operand: number, atom: number): boolean {
    const values = this.#walks.read(operand)
    if (!values.isPresent) return false
    this.#walks.walk(operand)
    const isEqual = this.#atomMarks[atom] === this.#event
    // of either end both must differ
    if (this.#isEitherEnd[operand] === 1) return !isEqual
    if (values.count <= 1) return values.count === 1 && !isEqual
    const index = this.#tables.indexes[operand]
    if (index === undefined) return true
    for (let at = 0; at < values.count; at++) if (index.equalAtom(values, at) !== atom) return true
    return false
  }

  #answerEvery(operand: number, from: number, to: number): boolean {
    const values = this.#walks.read(operand)
    if (!values.isPresent) return false
    const index = this.#tables.indexes[operand]
    for (let at = 0; at < values.count; at++) {
      const atom = index === undefined ? -1 : index.equalAtom(values, at)
      if (atom === -1 || !includes(this.#tables.lists, from, to, atom)) return false
    }
    return true
  }

  #answerCount(asked: number, operand: number, from: number, to: number): boolean {
    const count = this.#counts[asked]
    if (count === undefined || !this.#walks.read(operand).isPresent) return false
    let held = 0
    for (let at = from; at < to; at++) if (this.#ask(this.#tables.lists[at] as number) !== count.isNegated) held++
    if (count.mode === 'oneof') return held === 1
    return count.mode === 'anyof' ? held > 0 : held === to - from
  }

  /** Several values on the right count for `in`, `intersects` and `pmatch`; else the first. */
  #answerBetween(asked: number, operand: number, right: number): boolean {
    const operator = this.#operators[asked]
    const values = this.#walks.read(operand)
    const wanted = this.#walks.read(right)
    if (operator === undefined || !values.isPresent || !wanted.isPresent) return false
    const isSet = operator === 'in' || operator === 'intersects' || operator === 'pmatch'
    if (!isSet && wanted.count === 0) return false
    const kind = this.#kinds[operand] as ValueKind
    const mustAll =
      (operator === 'in' && this.#isList[operand] === 1) || (operator === '!=' && this.#isEitherEnd[operand] === 1)
    for (let at = 0; at < values.count; at++) {
      let holds = false
      const last = isSet ? wanted.count : 1
      for (let other = 0; other < last && !holds; other++)
        holds = holdsBetween(kind, operator, values, at, wanted, other)
      if (holds !== mustAll) return holds
    }
    return mustAll
  }
}
