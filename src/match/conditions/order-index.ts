/**
 * Where a value stands among all values that a field is compared with by `=` (numbers) and `<`, `<=`, `>=`, `>`: one binary
 * search answers them all. Place 2i + 1 is value i itself, 2i what lies before it.
 *
 * Orders that gate rules are also found the other way round, from the place to those that hold there: a segment tree over
 * the places, each order at no more than two nodes a level, a walk from a leaf to the root.
 */
import { type Atom, TEST_AT_LEAST, TEST_AT_MOST, TEST_EQUALS, TEST_LESS, TEST_MORE } from './atoms.js'

const HALF = 4_294_967_296n

export abstract class OrderIndex {
  /** Orders that gate and hold at the place of the last `findGates`: the first `foundCount`. */
  readonly found: Int32Array
  foundCount = 0
  /** First and last place where an order holds, by atom. */
  readonly ranges: ReadonlyMap<number, readonly [number, number]>
  protected readonly size: number
  readonly #leafCount: number
  readonly #runFrom: Int32Array
  readonly #run: Int32Array

  /** `values` are the distinct ones in order; `indexOf` their index. `gates`: the orders that findGates is to find. */
  constructor(
    valueCount: number,
    orders: readonly Atom[],
    indexOf: (value: string) => number,
    gates: ReadonlySet<number>,
  ) {
    this.size = valueCount
    const last = 2 * valueCount
    this.ranges = new Map(orders.map((atom) => [atom.id, rangeOf(atom.test, indexOf(atom.value), last)]))
    let leafCount = 1
    while (leafCount < last + 1) leafCount *= 2
    const runs = new Map<number, number[]>()
    for (const [atom, [from, to]] of this.ranges) {
      if (!gates.has(atom)) continue
      const add = (node: number) => {
        const run = runs.get(node)
        if (run === undefined) runs.set(node, [atom])
        else run.push(atom)
      }
      for (let low = from + leafCount, high = to + leafCount + 1; low < high; low >>= 1, high >>= 1) {
        if (low & 1) add(low++)
        if (high & 1) add(--high)
      }
    }
    this.#leafCount = runs.size === 0 ? 0 : leafCount
    this.#runFrom = new Int32Array(runs.size === 0 ? 0 : leafCount * 2 + 1)
    const run: number[] = []
    for (let node = 0; node + 1 < this.#runFrom.length; node++) {
      run.push(...(runs.get(node) ?? []))
      this.#runFrom[node + 1] = run.length
    }
    this.#run = Int32Array.from(run)
    this.found = new Int32Array(orders.length)
  }

  get programBytes(): number {
    return 4 * (this.#runFrom.length + this.#run.length + this.found.length) + this.size * 20
  }

  findGates(place: number): void {
    this.foundCount = 0
    if (this.#leafCount === 0) return
    for (let node = place + this.#leafCount; node > 0; node >>= 1)
      for (let at = this.#runFrom[node] as number; at < (this.#runFrom[node + 1] as number); at++)
        this.found[this.foundCount++] = this.#run[at] as number
  }
}

function rangeOf(test: number, index: number, last: number): readonly [number, number] {
  switch (test) {
    case TEST_LESS:
      return [0, 2 * index]
    case TEST_AT_MOST:
      return [0, 2 * index + 1]
    case TEST_AT_LEAST:
      return [2 * index + 1, last]
    case TEST_MORE:
      return [2 * index + 2, last]
    default:
      return [2 * index + 1, 2 * index + 1]
  }
}

export class NumberOrder extends OrderIndex {
  /** Atom of `=` with value i, or -1. */
  readonly equal: Int32Array
  readonly #high: Float64Array
  readonly #low: Float64Array

  constructor(atoms: readonly Atom[], gates: ReadonlySet<number>) {
    const values = [...new Set(atoms.map(({ value }) => value))].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))
    const index = new Map(values.map((value, at) => [value, at]))
    const indexOf = (value: string) => index.get(value) ?? -1
    const orders = atoms.filter(({ test }) => test !== TEST_EQUALS)
    super(values.length, orders, indexOf, gates)
    this.equal = new Int32Array(values.length).fill(-1)
    for (const { id, test, value } of atoms) if (test === TEST_EQUALS) this.equal[indexOf(value)] = id
    this.#high = Float64Array.from(values, (value) => Number(BigInt.asIntN(128, BigInt(value)) >> 32n))
    this.#low = Float64Array.from(values, (value) => Number(BigInt.asUintN(32, BigInt(value)) % HALF))
  }

  place(high: number, low: number): number {
    let from = 0
    let to = this.size
    while (from < to) {
      const middle = (from + to) >>> 1
      const each = this.#high[middle] as number
      if (each < high || (each === high && (this.#low[middle] as number) < low)) from = middle + 1
      else to = middle
    }
    return from < this.size && this.#high[from] === high && this.#low[from] === low ? 2 * from + 1 : 2 * from
  }
}

export class TextOrder extends OrderIndex {
  readonly #values: readonly Uint8Array[]

  constructor(atoms: readonly Atom[], gates: ReadonlySet<number>) {
    const values = [...new Set(atoms.map(({ value }) => value))].sort()
    const index = new Map(values.map((value, at) => [value, at]))
    super(values.length, atoms, (value) => index.get(value) ?? -1, gates)
    this.#values = values.map((value) => Uint8Array.from(Buffer.from(value, 'latin1')))
  }

  place(bytes: Uint8Array, start: number, end: number): number {
    let from = 0
    let to = this.size
    while (from < to) {
      const middle = (from + to) >>> 1
      const value = this.#values[middle] as Uint8Array
      const order = compareBytes(value, 0, value.length, bytes, start, end)
      if (order === 0) return 2 * middle + 1
      if (order < 0) from = middle + 1
      else to = middle
    }
    return 2 * from
  }
}

/** As memcmp, the shorter first. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const common = Math.min(aEnd - aStart, bEnd - bStart)
  for (let at = 0; at < common; at++) {
    const difference = (a[aStart + at] as number) - (b[bStart + at] as number)
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}
