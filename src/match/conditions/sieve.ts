/**
 * Rules that many events let through their gate, or that have none, without looking at each: what is left of a list of rules
 * after the comparisons that hold have falsified theirs. (list, comparison) -> list is worked out when it first happens and
 * kept, as a lazy automaton over sets of rules: then a step is one look-up, whatever the number of rules.
 *
 * The cache has a fixed size and starts over when it is full; a step that is not in it costs the length of the list.
 */

const FACTOR = 0x9e3779b1
/** Entries, powers of two. */
const MOVES_COUNT = 1 << 15
const STATES_MAX_COUNT = 1 << 13
const POOL_MIN_COUNT = 1 << 15
/** How many whole sets of rules the pool holds at least. */
const POOL_FACTOR = 16

export interface SieveTables {
  /** Rules of each segment that is sieved, ascending, by segment id. */
  readonly lists: ReadonlyMap<number, Int32Array>
  /** Sets of falsifiers that an atom is in: setOf[setFrom[atom]] to setOf[setFrom[atom + 1]]. */
  readonly setFrom: Int32Array
  readonly setOf: Int32Array
  /** Rules that a set falsifies: rules[ruleFrom[set]] to rules[ruleFrom[set + 1]]. */
  readonly ruleFrom: Int32Array
  readonly rules: Int32Array
  readonly ruleCount: number
}

export class Sieve {
  /** Rules of state s: pool from from[s] to from[s + 1]. */
  readonly pool: Int32Array
  readonly from = new Int32Array(STATES_MAX_COUNT + 1)
  /** How often the cache started over. */
  flushCount = 0
  readonly #tables: SieveTables
  #stateCount = 0
  readonly #starts = new Map<number, number>()
  readonly #slots = new Int32Array(STATES_MAX_COUNT * 2).fill(-1)
  readonly #moveStates = new Int32Array(MOVES_COUNT).fill(-1)
  readonly #moveAtoms = new Int32Array(MOVES_COUNT)
  readonly #moveTargets = new Int32Array(MOVES_COUNT)
  #moveCount = 0
  readonly #scratch: Int32Array
  readonly #falsified: Int32Array
  #round = 0

  constructor(tables: SieveTables) {
    this.#tables = tables
    let total = 0
    for (const list of tables.lists.values()) total += list.length
    this.pool = new Int32Array(tables.lists.size === 0 ? 0 : Math.max(POOL_MIN_COUNT, total * POOL_FACTOR))
    this.#scratch = new Int32Array(tables.ruleCount)
    this.#falsified = new Int32Array(tables.ruleCount)
  }

  get programBytes(): number {
    const { setFrom, setOf, ruleFrom, rules } = this.#tables
    const own = this.pool.length + this.from.length + this.#slots.length + MOVES_COUNT * 3 + this.#scratch.length * 2
    return 4 * (own + setFrom.length + setOf.length + ruleFrom.length + rules.length)
  }

  /** All rules of the segment. */
  start(segment: number): number {
    const known = this.#starts.get(segment)
    if (known !== undefined) return known
    const list = this.#tables.lists.get(segment)
    if (list === undefined) throw new RangeError(`segment ${segment} is not sieved`)
    this.#scratch.set(list)
    const state = this.#intern(list.length)
    this.#starts.set(segment, state)
    return state
  }

  /** What is left when the atom holds. */
  next(state: number, atom: number): number {
    const { setFrom } = this.#tables
    if (setFrom[atom] === setFrom[atom + 1]) return state
    const mask = MOVES_COUNT - 1
    let slot = Math.imul(Math.imul(state, FACTOR) ^ atom, FACTOR)
    slot = (slot ^ (slot >>> 15)) & mask
    for (; this.#moveStates[slot] !== -1; slot = (slot + 1) & mask)
      if (this.#moveStates[slot] === state && this.#moveAtoms[slot] === atom) return this.#moveTargets[slot] as number
    const before = this.flushCount
    const target = this.#intern(this.#filter(state, atom))
    // after a flush neither the state nor the slot is the same
    if (this.flushCount !== before) return target
    if (this.#moveCount >= MOVES_COUNT >> 1) {
      this.#moveStates.fill(-1)
      this.#moveCount = 0
      return target
    }
    this.#moveCount++
    this.#moveStates[slot] = state
    this.#moveAtoms[slot] = atom
    this.#moveTargets[slot] = target
    return target
  }

  /** Into #scratch; how many. */
  #filter(state: number, atom: number): number {
    const { setFrom, setOf, ruleFrom, rules } = this.#tables
    if (++this.#round === 0x7fffffff) {
      this.#falsified.fill(0)
      this.#round = 1
    }
    for (let at = setFrom[atom] as number; at < (setFrom[atom + 1] as number); at++) {
      const set = setOf[at] as number
      for (let index = ruleFrom[set] as number; index < (ruleFrom[set + 1] as number); index++)
        this.#falsified[rules[index] as number] = this.#round
    }
    let count = 0
    for (let at = this.from[state] as number; at < (this.from[state + 1] as number); at++) {
      const rule = this.pool[at] as number
      if (this.#falsified[rule] !== this.#round) this.#scratch[count++] = rule
    }
    return count
  }

  #intern(count: number): number {
    const mask = this.#slots.length - 1
    let hash = count
    for (let at = 0; at < count; at++) hash = Math.imul(hash ^ (this.#scratch[at] as number), FACTOR) ^ (hash >>> 13)
    let slot = (hash ^ (hash >>> 16)) & mask
    for (; this.#slots[slot] !== -1; slot = (slot + 1) & mask)
      if (this.#equals(this.#slots[slot] as number, count)) return this.#slots[slot] as number
    if (this.#stateCount === STATES_MAX_COUNT || (this.from[this.#stateCount] as number) + count > this.pool.length) {
      this.#flush()
      return this.#intern(count)
    }
    const state = this.#stateCount++
    this.#slots[slot] = state
    const from = this.from[state] as number
    for (let at = 0; at < count; at++) this.pool[from + at] = this.#scratch[at] as number
    this.from[state + 1] = from + count
    return state
  }

  #equals(state: number, count: number): boolean {
    const from = this.from[state] as number
    if ((this.from[state + 1] as number) - from !== count) return false
    for (let at = 0; at < count; at++) if (this.pool[from + at] !== this.#scratch[at]) return false
    return true
  }

  #flush(): void {
    this.flushCount++
    this.#stateCount = 0
    this.#moveCount = 0
    this.#starts.clear()
    this.#slots.fill(-1)
    this.#moveStates.fill(-1)
  }
}
