/**
 * The rival that a careful engineer writes by hand: each condition as closures over JavaScript strings, sets for lists, macros
 * shared, rules in buckets by event type, and every field of an event read once. Of the operators that the generated rules use.
 */
import type { ConditionInput } from '../../src/match/conditions/types.js'
import type { Check, Expression, FieldRef, Right } from '../../src/policy/condition/ast.js'
import { textOf } from '../../src/policy/condition/check.js'
import { type NetLiteral, readLiteral } from '../../src/policy/condition/literals.js'
import { type ConditionEvent, type EventSet, fieldAt, type Value } from './condition-events.js'

type Holds = (values: Values) => boolean

/** Fields of the present event, each worked out when it is first asked for. */
class Values {
  event: ConditionEvent | undefined
  /** Place of each field in the event. */
  readonly #places: readonly number[]
  readonly #values: Value[] = []
  readonly #known: number[] = []
  #round = 0

  constructor(places: readonly number[]) {
    this.#places = places
    for (const _ of places) {
      this.#values.push(undefined)
      this.#known.push(0)
    }
  }

  start(event: ConditionEvent): void {
    this.event = event
    this.#round++
  }

  get(field: number): Value {
    if (this.#known[field] === this.#round) return this.#values[field]
    const value = this.event?.values[this.#places[field] as number]
    this.#known[field] = this.#round
    this.#values[field] = value
    return value
  }
}

export class ClosureMatcher {
  readonly #input: ConditionInput
  readonly #fields = new Map<string, number>()
  readonly #set: EventSet
  readonly #places: number[] = []
  readonly #macros = new Map<string, Holds>()
  readonly #buckets = new Map<string, { rule: number; holds: Holds }[]>()
  readonly #values: Values

  constructor(input: ConditionInput, set: EventSet) {
    this.#input = input
    this.#set = set
    for (const [name, expression] of input.macros) this.#macros.set(name, this.#closure(expression))
    for (const [rule, { condition, eventTypes }] of input.rules.entries()) {
      const holds = this.#closure(condition)
      for (const type of eventTypes) {
        const bucket = this.#buckets.get(type) ?? []
        bucket.push({ rule, holds })
        this.#buckets.set(type, bucket)
      }
    }
    this.#values = new Values(this.#places)
  }

  count(event: ConditionEvent): number {
    const bucket = this.#buckets.get(event.type)
    if (bucket === undefined) return 0
    this.#values.start(event)
    let count = 0
    for (const { holds } of bucket) if (holds(this.#values)) count++
    return count
  }

  hits(event: ConditionEvent): number[] {
    this.#values.start(event)
    return (this.#buckets.get(event.type) ?? []).flatMap(({ rule, holds }) => (holds(this.#values) ? [rule] : []))
  }

  #closure(expression: Expression): Holds {
    switch (expression.kind) {
      case 'and': {
        const parts = expression.operands.map((each) => this.#closure(each))
        return (values) => {
          for (const part of parts) if (!part(values)) return false
          return true
        }
      }
      case 'or': {
        const parts = expression.operands.map((each) => this.#closure(each))
        return (values) => {
          for (const part of parts) if (part(values)) return true
          return false
        }
      }
      case 'not': {
        const part = this.#closure(expression.operand)
        return (values) => !part(values)
      }
      case 'macro': {
        const macro = this.#macros.get(expression.name)
        if (macro === undefined) throw new Error(expression.name)
        return macro
      }
      default:
        return this.#check(expression)
    }
  }

  #check(check: Check): Holds {
    if (check.left.kind !== 'field') throw new Error('transformers are not in the generated rules')
    const field = this.#field(check.left)
    if (check.operator === 'exists') return (values) => values.get(field) !== undefined
    const type = this.#input.fieldType(check.left.name)
    const test = testOf(check, type ?? 'string', wantedOf(this.#input, check.right))
    return (values) => {
      const value = values.get(field)
      if (value === undefined) return false
      return typeof value === 'object' ? value.some(test) : test(value)
    }
  }

  #field({ name, argument }: FieldRef): number {
    const given = argument === undefined ? undefined : textOf(argument)
    const key = `${name}[${given ?? ''}]`
    const known = this.#fields.get(key)
    if (known !== undefined) return known
    this.#places.push(fieldAt(this.#set, name, given))
    this.#fields.set(key, this.#places.length - 1)
    return this.#places.length - 1
  }
}

/** The values on the right of a comparison, lists put in. */
export function wantedOf(input: ConditionInput, right: Right | undefined): string[] {
  const listed = (name: string) => input.list(name)?.map((each) => Buffer.from(each).toString())
  if (right?.kind === 'value') return [textOf(right)]
  if (right?.kind === 'number') return [right.text]
  if (right?.kind === 'list_name') return listed(right.name) ?? []
  if (right?.kind !== 'list') return []
  return right.items.flatMap((item) => (item.isQuoted ? undefined : listed(textOf(item))) ?? [textOf(item)])
}

/** Exported for the rivals that take functions. */
export function testOf(
  { operator }: Check,
  type: string,
  wanted: readonly string[],
): (value: string | number) => boolean {
  const [first = ''] = wanted
  if (type === 'ip' || type === 'net') return networkTest(wanted)
  if (type !== 'string') {
    const numbers = new Set(wanted.map((each) => (each === 'true' ? 1 : each === 'false' ? 0 : Number(each))))
    const [number = 0] = numbers
    if (operator === '>=') return (value) => (value as number) >= number
    if (operator === '!=') return (value) => value !== number
    return (value) => numbers.has(value as number)
  }
  switch (operator) {
    case '=':
      return (value) => value === first
    case '!=':
      return (value) => value !== first
    case 'in': {
      const set = new Set<string | number>(wanted)
      return (value) => set.has(value)
    }
    case 'startswith':
      return (value) => (value as string).startsWith(first)
    case 'endswith':
      return (value) => (value as string).endsWith(first)
    case 'contains':
      return (value) => (value as string).includes(first)
    case 'icontains': {
      const folded = first.toLowerCase()
      return (value) => (value as string).toLowerCase().includes(folded)
    }
    case 'glob': {
      const expression = new RegExp(`^${first.replace(/[.+^${}()|\\]/g, '\\$&').replaceAll('*', '.*')}$`)
      return (value) => expression.test(value as string)
    }
    case 'pmatch':
      return (value) => wanted.some((path) => value === path || (value as string).startsWith(`${path}/`))
    default:
      throw new Error(`${operator} is not in the generated rules`)
  }
}

function networkTest(wanted: readonly string[]): (value: string | number) => boolean {
  const networks = wanted.map((text) => {
    const read = readLiteral('net', new TextEncoder().encode(text))
    if (!read.ok) throw new Error(text)
    const { network, prefixBits } = read.value as NetLiteral
    const shift = 128 - prefixBits
    const word = new DataView(network.buffer, network.byteOffset).getUint32(12)
    return { mask: shift >= 32 ? 0 : (0xffffffff << shift) >>> 0, word }
  })
  return (value) => {
    if ((value as string).includes(':')) return false
    const word = (value as string).split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0)
    return networks.some((each) => (word & each.mask) >>> 0 === each.word)
  }
}
