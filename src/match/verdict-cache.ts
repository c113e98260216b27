/**
 * Verdicts by the facts that decide them. What a rule says of an event depends only on which patterns the event matches, so
 * events that match the same patterns in the same profile have the same verdict: it is worked out once and kept. An event then
 * costs what its own facts cost, also where thousands of allow lists must each be asked whether they cover it.
 *
 * The cache has a fixed size and starts over when it is full; a verdict that is not in it costs what the rules cost. Nothing
 * is allocated by a call.
 */
import type { Hits } from './types.js'

const FACTOR = 0x9e3779b1
/** Powers of two; at most half of the slots are in use. */
const SLOTS_COUNT = 1 << 13
const VERDICTS_MAX_COUNT = SLOTS_COUNT >> 1
const FACTS_POOL_COUNT = 1 << 16
/** An event that matches more patterns than this is judged each time: what it matches costs as much as the verdict. */
const FACTS_MAX_COUNT = 256
const HITS_POOL_MIN_COUNT = 1 << 14
/** How many verdicts that name all rules the pool holds at least. */
const HITS_POOL_FACTOR = 4

export class VerdictCache {
  /** Of the present event: the first `count` say all that its verdict depends on. */
  readonly facts: Int32Array
  count = 0
  /** How often the cache started over. */
  flushCount = 0
  readonly #slots = new Int32Array(SLOTS_COUNT).fill(-1)
  readonly #hashes = new Int32Array(VERDICTS_MAX_COUNT)
  /** Verdict i: facts from #factsFrom[i] to #factsFrom[i + 1], hits likewise. */
  readonly #factsFrom = new Int32Array(VERDICTS_MAX_COUNT + 1)
  readonly #hitsFrom = new Int32Array(VERDICTS_MAX_COUNT + 1)
  readonly #factsPool = new Int32Array(FACTS_POOL_COUNT)
  readonly #hitsPool: Uint32Array
  #verdictCount = 0
  /** Of the facts that `recall` did not find. */
  #hash = 0

  /** `factsMaxCount`: the most facts that one event can have. */
  constructor(ruleCount: number, factsMaxCount: number) {
    this.facts = new Int32Array(factsMaxCount)
    this.#hitsPool = new Uint32Array(ruleCount === 0 ? 0 : Math.max(HITS_POOL_MIN_COUNT, ruleCount * HITS_POOL_FACTOR))
  }

  start(first: number, second: number): void {
    this.facts[0] = first
    this.facts[1] = second
    this.count = 2
  }

  add(fact: number): void {
    this.facts[this.count++] = fact
  }

  /** True: `hits` is the verdict. False: it has to be worked out, and then told to `remember`, with the facts as they are. */
  recall(hits: Hits): boolean {
    const { facts, count } = this
    if (count > FACTS_MAX_COUNT) return false
    let hash = count
    for (let at = 0; at < count; at++) {
      hash = Math.imul(hash ^ (facts[at] as number), FACTOR)
      hash ^= hash >>> 15
    }
    this.#hash = hash
    for (let slot = hash & (SLOTS_COUNT - 1); ; slot = (slot + 1) & (SLOTS_COUNT - 1)) {
      const verdict = this.#slots[slot] as number
      if (verdict === -1) return false
      if (this.#hashes[verdict] !== hash || !this.#isOf(verdict)) continue
      const from = this.#hitsFrom[verdict] as number
      const hitCount = (this.#hitsFrom[verdict + 1] as number) - from
      for (let at = 0; at < hitCount; at++) hits.rules[at] = this.#hitsPool[from + at] as number
      hits.count = hitCount
      return true
    }
  }

  remember(hits: Hits): void {
    const { facts, count } = this
    if (count > FACTS_MAX_COUNT || hits.count > this.#hitsPool.length) return
    const isFull =
      this.#verdictCount === VERDICTS_MAX_COUNT ||
      (this.#factsFrom[this.#verdictCount] as number) + count > FACTS_POOL_COUNT ||
      (this.#hitsFrom[this.#verdictCount] as number) + hits.count > this.#hitsPool.length
    if (isFull) {
      this.flushCount++
      this.#verdictCount = 0
      this.#slots.fill(-1)
    }
    let slot = this.#hash & (SLOTS_COUNT - 1)
    while (this.#slots[slot] !== -1) slot = (slot + 1) & (SLOTS_COUNT - 1)
    const verdict = this.#verdictCount++
    this.#slots[slot] = verdict
    this.#hashes[verdict] = this.#hash
    const factsFrom = this.#factsFrom[verdict] as number
    for (let at = 0; at < count; at++) this.#factsPool[factsFrom + at] = facts[at] as number
    this.#factsFrom[verdict + 1] = factsFrom + count
    const hitsFrom = this.#hitsFrom[verdict] as number
    for (let at = 0; at < hits.count; at++) this.#hitsPool[hitsFrom + at] = hits.rules[at] as number
    this.#hitsFrom[verdict + 1] = hitsFrom + hits.count
  }

  #isOf(verdict: number): boolean {
    const from = this.#factsFrom[verdict] as number
    if ((this.#factsFrom[verdict + 1] as number) - from !== this.count) return false
    for (let at = 0; at < this.count; at++) if (this.#factsPool[from + at] !== this.facts[at]) return false
    return true
  }
}
