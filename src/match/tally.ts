/**
 * The best entry per rule while one event is judged. Arrays of one slot a rule, valid where the stamp is the current one,
 * so that starting over costs nothing. Not reentrant: one event at a time.
 */
export class Tally {
  readonly #codes: Int32Array
  readonly #stamps: Uint32Array
  #stamp = 0

  constructor(rulesCount: number) {
    this.#codes = new Int32Array(rulesCount)
    this.#stamps = new Uint32Array(rulesCount)
  }

  clear(): void {
    if (this.#stamp === 0xffffffff) {
      this.#stamps.fill(0)
      this.#stamp = 0
    }
    this.#stamp++
  }

  raise(rule: number, code: number): void {
    if (this.#stamps[rule] !== this.#stamp) {
      this.#stamps[rule] = this.#stamp
      this.#codes[rule] = code
    } else if ((this.#codes[rule] as number) < code) this.#codes[rule] = code
  }

  /** The highest code raised, or -1 when no entry of the rule matched. */
  best(rule: number): number {
    return this.#stamps[rule] === this.#stamp ? (this.#codes[rule] as number) : -1
  }
}

/** A set of rules in order of arrival, emptied at no cost. */
export class RuleSet {
  readonly items: Uint32Array
  count = 0
  readonly #stamps: Uint32Array
  #stamp = 0

  constructor(rulesCount: number) {
    this.items = new Uint32Array(rulesCount)
    this.#stamps = new Uint32Array(rulesCount)
  }

  clear(): void {
    if (this.#stamp === 0xffffffff) {
      this.#stamps.fill(0)
      this.#stamp = 0
    }
    this.#stamp++
    this.count = 0
  }

  add(rule: number): void {
    if (this.#stamps[rule] === this.#stamp) return
    this.#stamps[rule] = this.#stamp
    this.items[this.count++] = rule
  }
}

/** Ciura's gap sequence: in place, no allocation, and quick on the few and nearly ordered ids of a verdict. */
const GAPS = [1750, 701, 301, 132, 57, 23, 10, 4, 1]

export function sortAscending(items: Uint32Array, count: number): void {
  for (let index = 0; index < GAPS.length; index++) {
    const gap = GAPS[index] as number
    for (let at = gap; at < count; at++) {
      const item = items[at] as number
      let place = at
      while (place >= gap && (items[place - gap] as number) > item) {
        items[place] = items[place - gap] as number
        place -= gap
      }
      items[place] = item
    }
  }
}
