/**
 * A path-compressed trie over bytes, flat, for all values that one field is compared with from its front (`=`, `startswith`)
 * or, walked backwards, from its end (`endswith`). A walk ends at the first byte that no key has.
 *
 *   node: label (bytes of the pool), children (a run of nodes in order of their first byte), key that ends here or -1:
 *   five numbers behind each other, so that a step touches one or two lines of the cache
 */

const LABEL_FROM = 0
const LABEL_TO = 1
const CHILD_FROM = 2
const CHILD_TO = 3
const KEY = 4
const NODE = 5

import { STEP_COUNT, type Steps } from '../steps.js'

/** Up to this many children a scan beats a binary search. */
const SCAN_MAX_COUNT = 6

export class RadixTrie {
  /** Keys that the last walk passed, shortest first: the first `foundCount`. */
  readonly found: Int32Array
  foundCount = 0
  /** The key that the last walk's value equals, or -1. */
  exact = -1
  readonly #isReversed: boolean
  readonly #pool: Uint8Array
  readonly #nodes: Int32Array
  readonly #firstByte: Uint8Array
  /** Child of the root by first byte. */
  readonly #top = new Int32Array(256).fill(-1)

  /** `keys` are distinct, a character a byte; key i is reported as i. */
  static *of(keys: readonly string[], isReversed: boolean): Steps<RadixTrie> {
    const { nodes, pool } = yield* buildNodes(keys, isReversed)
    const keyMaxBytes = keys.reduce((most, key) => Math.max(most, key.length), 0)
    return new RadixTrie(Int32Array.from(nodes), pool, isReversed, keyMaxBytes)
  }

  private constructor(nodes: Int32Array, pool: Uint8Array, isReversed: boolean, keyMaxBytes: number) {
    this.#isReversed = isReversed
    this.#pool = pool
    this.#nodes = nodes
    this.#firstByte = new Uint8Array(nodes.length / NODE)
    for (let node = 1; node < this.#firstByte.length; node++)
      this.#firstByte[node] = pool[nodes[node * NODE + LABEL_FROM] as number] as number
    for (let child = nodes[CHILD_FROM] as number; child < (nodes[CHILD_TO] as number); child++)
      this.#top[this.#firstByte[child] as number] = child
    // a key ends in a node, and there is none twice on a path
    this.found = new Int32Array(keyMaxBytes + 1)
  }

  get programBytes(): number {
    return (
      this.#pool.length + this.#nodes.byteLength + this.#firstByte.length + this.found.byteLength + this.#top.byteLength
    )
  }

  walk(bytes: Uint8Array, start: number, end: number): void {
    this.foundCount = 0
    this.exact = -1
    const nodes = this.#nodes
    const pool = this.#pool
    const isReversed = this.#isReversed
    let left = end - start
    this.#pass(nodes[KEY] as number, left)
    let node = left === 0 ? -1 : (this.#top[bytes[isReversed ? end - 1 : start] as number] as number)
    while (node !== -1) {
      const base = node * NODE
      const from = nodes[base + LABEL_FROM] as number
      const length = (nodes[base + LABEL_TO] as number) - from
      if (length > left) return
      if (isReversed) {
        const last = start + left - 1
        for (let offset = 1; offset < length; offset++) if (pool[from + offset] !== bytes[last - offset]) return
      } else {
        const first = end - left
        for (let offset = 1; offset < length; offset++) if (pool[from + offset] !== bytes[first + offset]) return
      }
      left -= length
      this.#pass(nodes[base + KEY] as number, left)
      if (left === 0) return
      node = this.#child(base, bytes[isReversed ? start + left - 1 : end - left] as number)
    }
  }

  #pass(key: number, left: number): void {
    if (key === -1) return
    this.found[this.foundCount++] = key
    if (left === 0) this.exact = key
  }

  #child(base: number, byte: number): number {
    const firstByte = this.#firstByte
    let low = this.#nodes[base + CHILD_FROM] as number
    let high = this.#nodes[base + CHILD_TO] as number
    while (high - low > SCAN_MAX_COUNT) {
      const middle = (low + high) >>> 1
      if ((firstByte[middle] as number) <= byte) low = middle
      else high = middle
    }
    for (; low < high; low++) if (firstByte[low] === byte) return low
    return -1
  }
}

function* buildNodes(keys: readonly string[], isReversed: boolean): Steps<{ nodes: number[]; pool: Uint8Array }> {
  const indexes = new Map<string, number>()
  for (const [index, key] of keys.entries()) {
    if (index % STEP_COUNT === 0) yield
    indexes.set(isReversed ? reversed(key) : key, index)
  }
  yield
  const texts = [...indexes.keys()].sort()
  yield
  const offsets: number[] = []
  let size = 0
  for (const text of texts) {
    offsets.push(size)
    size += text.length
  }
  const pool = new Uint8Array(Buffer.from(texts.join(''), 'latin1'))
  yield
  /** The root has no label. */
  const nodes = [0, 0, 0, 0, -1]
  /** Of each node: the keys below it, and how many bytes of them are behind. */
  const ranges: [low: number, high: number, depth: number][] = [[0, texts.length, 0]]
  for (let node = 0; node < ranges.length; node++) {
    if (node % STEP_COUNT === 0) yield
    const [first, high, depth] = ranges[node] as [number, number, number]
    const base = node * NODE
    const ends = first < high && (texts[first] as string).length === depth
    if (ends) nodes[base + KEY] = indexes.get(texts[first] as string) ?? -1
    nodes[base + CHILD_FROM] = ranges.length
    for (let low = ends ? first + 1 : first; low < high; ) {
      const text = texts[low] as string
      const code = text.charCodeAt(depth)
      let next = low + 1
      while (next < high && (texts[next] as string).charCodeAt(depth) === code) next++
      const last = texts[next - 1] as string
      let common = depth + 1
      // in order: what the first and the last share, all between them share
      while (common < text.length && common < last.length && text.charCodeAt(common) === last.charCodeAt(common))
        common++
      nodes.push((offsets[low] as number) + depth, (offsets[low] as number) + common, 0, 0, -1)
      ranges.push([low, next, common])
      low = next
    }
    nodes[base + CHILD_TO] = ranges.length
  }
  return { pool, nodes }
}

function reversed(text: string): string {
  let result = ''
  for (let at = text.length - 1; at >= 0; at--) result += text.charAt(at)
  return result
}
