/**
 * 64-bit id -> value, asked for every event: open addressing over typed arrays, so that a lookup by the two halves of an id
 * allocates nothing and makes no bigint, and neither does what comes and goes (a Map makes itself anew every few entries then).
 * Single-threaded. Grows by doubling; never more than half full.
 *
 *   slot:   0        1        2
 *   #low   [lo      |        |lo      ]   low 32 bits of the id
 *   #high  [hi      |        |hi      ]   high 32 bits
 *   #used  [1       |0       |1       ]
 *   #values[value   |        |value   ]
 */
const INITIAL_SLOTS = 256

export class IdIndex<T> {
  #low = new Uint32Array(INITIAL_SLOTS)
  #high = new Uint32Array(INITIAL_SLOTS)
  #used = new Uint8Array(INITIAL_SLOTS)
  #values: (T | undefined)[] = new Array(INITIAL_SLOTS).fill(undefined)
  #count = 0

  get size(): number {
    return this.#count
  }

  get(low: number, high: number): T | undefined {
    const mask = this.#used.length - 1
    for (let slot = hash(low, high) & mask; this.#used[slot] === 1; slot = (slot + 1) & mask) {
      if (this.#low[slot] === low && this.#high[slot] === high) return this.#values[slot]
    }
    return undefined
  }

  set(low: number, high: number, value: T): void {
    if ((this.#count + 1) * 2 > this.#used.length) this.#grow()
    const mask = this.#used.length - 1
    let slot = hash(low, high) & mask
    for (; this.#used[slot] === 1; slot = (slot + 1) & mask) {
      if (this.#low[slot] === low && this.#high[slot] === high) {
        this.#values[slot] = value
        return
      }
    }
    this.#low[slot] = low
    this.#high[slot] = high
    this.#used[slot] = 1
    this.#values[slot] = value
    this.#count += 1
  }

  /** Closes the gap at once (backward shift), so that no tombstones slow later lookups down. */
  delete(low: number, high: number): boolean {
    const mask = this.#used.length - 1
    let slot = hash(low, high) & mask
    while (this.#used[slot] === 1 && !(this.#low[slot] === low && this.#high[slot] === high)) slot = (slot + 1) & mask
    if (this.#used[slot] !== 1) return false
    this.#count -= 1
    let gap = slot
    for (let next = (gap + 1) & mask; this.#used[next] === 1; next = (next + 1) & mask) {
      const home = hash(this.#low[next] ?? 0, this.#high[next] ?? 0) & mask
      // Movable when its home is not between the gap (exclusive) and its slot (inclusive), going round.
      if (((next - home) & mask) < ((next - gap) & mask)) continue
      this.#low[gap] = this.#low[next] ?? 0
      this.#high[gap] = this.#high[next] ?? 0
      this.#values[gap] = this.#values[next]
      gap = next
    }
    this.#used[gap] = 0
    this.#values[gap] = undefined
    return true
  }

  #grow(): void {
    const { length } = this.#used
    const [low, high, used, values] = [this.#low, this.#high, this.#used, this.#values]
    this.#low = new Uint32Array(length * 2)
    this.#high = new Uint32Array(length * 2)
    this.#used = new Uint8Array(length * 2)
    this.#values = new Array(length * 2).fill(undefined)
    this.#count = 0
    for (let slot = 0; slot < length; slot += 1) {
      const value = values[slot]
      if (used[slot] === 1 && value !== undefined) this.set(low[slot] ?? 0, high[slot] ?? 0, value)
    }
  }
}

/** Multiplicative (Knuth's constant): ids are mostly consecutive. */
function hash(low: number, high: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1)
  return (mixed ^ (mixed >>> 15)) >>> 0
}
