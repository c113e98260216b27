/**
 * Up to 31 regular expressions of a field at once, each over the whole value: a DFA whose states are made when a value first
 * needs them, in a cache of fixed size that starts over when it is full. Linear in the value whatever the expressions are: a
 * step is one table look-up, or one pass over the expressions' parts. Bytes that are no UTF-8 count as U+FFFD, one for each
 * part that could have begun a character (WHATWG).
 */
import type { RegexNode } from '../../policy/condition/regex.js'
import { type Nfa, nfaOf, OP_LINE_END, OP_LINE_START, OP_MATCH, OP_SET, OP_SPLIT } from './regex-nfa.js'

export const REGEX_SET_MAX_COUNT = 31
const STATES_MAX_COUNT = 256
/** Parts of all states of the cache; never less than a state may need. */
const POOL_MIN_COUNT = 1 << 12
const REPLACEMENT = 0xfffd
const UNKNOWN = -1

export class RegexSet {
  readonly #nfa: Nfa
  /** Next state by state and class; the last column is the mask of expressions that match when the value ends here. */
  readonly #table: Int32Array
  readonly #width: number
  /** Of each state: its parts in #pool, and whether a line starts here. */
  readonly #from = new Int32Array(STATES_MAX_COUNT + 1)
  readonly #atLineStart = new Uint8Array(STATES_MAX_COUNT)
  readonly #pool: Int32Array
  readonly #slots = new Int32Array(STATES_MAX_COUNT * 2)
  #stateCount = 0
  /** How often the cache started over. */
  flushCount = 0
  readonly #closed: Int32Array
  readonly #moved: Int32Array
  readonly #stack: Int32Array
  readonly #seen: Int32Array
  #round = 0
  #point = 0

  constructor(nodes: readonly RegexNode[]) {
    if (nodes.length > REGEX_SET_MAX_COUNT) throw new RangeError(`expected at most ${REGEX_SET_MAX_COUNT} expressions`)
    const nfa = nfaOf(nodes)
    this.#nfa = nfa
    this.#width = nfa.classCount + 1
    this.#table = new Int32Array(STATES_MAX_COUNT * this.#width)
    const size = nfa.ops.length
    this.#pool = new Int32Array(Math.max(POOL_MIN_COUNT, size * 4))
    this.#closed = new Int32Array(size)
    this.#moved = new Int32Array(size)
    this.#stack = new Int32Array(size * 2 + 2)
    this.#seen = new Int32Array(size)
    this.#start()
  }

  get programBytes(): number {
    return 4 * (this.#table.length + this.#pool.length + this.#nfa.ops.length * 8) + this.#from.byteLength * 3
  }

  /** Bit i: expression i matches the whole value. */
  walk(bytes: Uint8Array, start: number, end: number): number {
    const { asciiClass, newlineClass } = this.#nfa
    let state = 0
    for (let at = start; at < end; ) {
      const byte = bytes[at] as number
      let pointClass: number
      if (byte < 0x80) {
        pointClass = asciiClass[byte] as number
        at++
      } else {
        at += this.#decode(bytes, at, end)
        pointClass = this.#nfa.classOf(this.#point)
      }
      const next = this.#table[state * this.#width + pointClass] as number
      state = next === UNKNOWN ? this.#step(state, pointClass, pointClass === newlineClass) : next
      // the state without parts
      if (this.#from[state] === this.#from[state + 1]) return 0
    }
    const last = state * this.#width + this.#width - 1
    if (this.#table[last] === UNKNOWN) this.#table[last] = this.#accepted(state)
    return this.#table[last] as number
  }

  #start(): void {
    this.#stateCount = 0
    this.#slots.fill(-1)
    this.#from[0] = 0
    this.#moved.set(this.#nfa.starts)
    this.#intern(this.#nfa.starts.length, true)
  }

  #step(state: number, pointClass: number, isNewline: boolean): number {
    const closedCount = this.#close(state, isNewline)
    const { ops, args, nexts, setHas, classCount } = this.#nfa
    let count = 0
    this.#round++
    for (let index = 0; index < closedCount; index++) {
      const pc = this.#closed[index] as number
      if (ops[pc] !== OP_SET || setHas[(args[pc] as number) * classCount + pointClass] !== 1) continue
      const next = nexts[pc] as number
      if (this.#seen[next] === this.#round) continue
      this.#seen[next] = this.#round
      this.#moved[count++] = next
    }
    this.#moved.subarray(0, count).sort()
    const before = this.flushCount
    const target = this.#intern(count, isNewline)
    if (this.flushCount === before) this.#table[state * this.#width + pointClass] = target
    return target
  }

  #accepted(state: number): number {
    const count = this.#close(state, true)
    let mask = 0
    for (let index = 0; index < count; index++) {
      const pc = this.#closed[index] as number
      if (this.#nfa.ops[pc] === OP_MATCH) mask |= 1 << (this.#nfa.args[pc] as number)
    }
    return mask
  }

  /** The parts that take something or match, from the state's on; `isLineEnd`: what comes is a line's end. */
  #close(state: number, isLineEnd: boolean): number {
    const { ops, args, nexts } = this.#nfa
    const isLineStart = this.#atLineStart[state] === 1
    this.#round++
    let count = 0
    let depth = 0
    for (let at = this.#from[state] as number; at < (this.#from[state + 1] as number); at++) {
      this.#stack[depth++] = this.#pool[at] as number
      while (depth > 0) {
        const pc = this.#stack[--depth] as number
        if (this.#seen[pc] === this.#round) continue
        this.#seen[pc] = this.#round
        const op = ops[pc] as number
        if (op === OP_SET || op === OP_MATCH) this.#closed[count++] = pc
        else if (op === OP_SPLIT) {
          this.#stack[depth++] = args[pc] as number
          this.#stack[depth++] = nexts[pc] as number
        } else if ((op === OP_LINE_START && isLineStart) || (op === OP_LINE_END && isLineEnd))
          this.#stack[depth++] = nexts[pc] as number
      }
    }
    return count
  }

  /** The state of the first `count` parts of #moved, made if it is new; starts the cache over when it is full. */
  #intern(count: number, atLineStart: boolean): number {
    const mask = this.#slots.length - 1
    let hash = atLineStart ? 1 : 0
    for (let at = 0; at < count; at++) hash = Math.imul(hash ^ (this.#moved[at] as number), 0x01000193) ^ (hash >>> 15)
    let slot = (hash ^ (hash >>> 16)) & mask
    for (; this.#slots[slot] !== -1; slot = (slot + 1) & mask)
      if (this.#equals(this.#slots[slot] as number, count, atLineStart)) return this.#slots[slot] as number
    const from = this.#from[this.#stateCount] as number
    if (this.#stateCount === STATES_MAX_COUNT || from + count > this.#pool.length) {
      const kept = this.#moved.slice(0, count)
      this.flushCount++
      this.#start()
      this.#moved.set(kept)
      return this.#intern(count, atLineStart)
    }
    const state = this.#stateCount++
    this.#slots[slot] = state
    for (let at = 0; at < count; at++) this.#pool[from + at] = this.#moved[at] as number
    this.#from[state + 1] = from + count
    this.#atLineStart[state] = atLineStart ? 1 : 0
    this.#table.fill(UNKNOWN, state * this.#width, (state + 1) * this.#width)
    return state
  }

  #equals(state: number, count: number, atLineStart: boolean): boolean {
    const from = this.#from[state] as number
    if ((this.#from[state + 1] as number) - from !== count || (this.#atLineStart[state] === 1) !== atLineStart)
      return false
    for (let at = 0; at < count; at++) if (this.#pool[from + at] !== this.#moved[at]) return false
    return true
  }

  /** Reads a character that is not ASCII into #point; how many bytes it took. */
  #decode(bytes: Uint8Array, at: number, end: number): number {
    const lead = bytes[at] as number
    this.#point = REPLACEMENT
    const more =
      lead >= 0xc2 && lead <= 0xdf ? 1 : lead >= 0xe0 && lead <= 0xef ? 2 : lead >= 0xf0 && lead <= 0xf4 ? 3 : 0
    if (more === 0) return 1
    // the second byte excludes overlong forms, surrogates and what is beyond U+10FFFF
    let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    let point = lead & (0x3f >> more)
    for (let taken = 1; taken <= more; taken++) {
      const byte = at + taken < end ? (bytes[at + taken] as number) : 0
      if (byte < low || byte > high) return taken
      low = 0x80
      high = 0xbf
      point = (point << 6) | (byte & 0x3f)
    }
    this.#point = point
    return more + 1
  }
}
