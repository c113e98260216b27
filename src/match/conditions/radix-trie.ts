/**
 * A path-compressed trie over bytes, flat, for all values that one field is compared with from its front (`=`, `startswith`)
 * or, walked backwards, from its end (`endswith`). A walk ends at the first byte that no key has.
 *
 *   node: label (bytes of the pool), key that ends here or -1, children: a run of nodes in order of their first byte
 */

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
  readonly #labelFrom: Int32Array
  readonly #labelTo: Int32Array
  readonly #firstByte: Uint8Array
  readonly #childFrom: Int32Array
  readonly #childTo: Int32Array
  readonly #key: Int32Array
  /** Child of the root by first byte. */
  readonly #top = new Int32Array(256).fill(-1)

  /** `keys` are distinct, a character a byte; key i is reported as i. */
  constructor(keys: readonly string[], isReversed: boolean) {
    this.#isReversed = isReversed
    const built = buildNodes(keys, isReversed)
    this.#pool = built.pool
    this.#labelFrom = Int32Array.from(built.labelFrom)
    this.#labelTo = Int32Array.from(built.labelTo)
    this.#childFrom = Int32Array.from(built.childFrom)
    this.#childTo = Int32Array.from(built.childTo)
    this.#key = Int32Array.from(built.key)
    this.#firstByte = Uint8Array.from(built.labelFrom, (from) => built.pool[from] ?? 0)
    for (let child = built.childFrom[0] ?? 0; child < (built.childTo[0] ?? 0); child++)
      this.#top[this.#firstByte[child] as number] = child
    this.found = new Int32Array(keys.reduce((most, key) => Math.max(most, key.length), 0) + 1)
  }

  get programBytes(): number {
    return this.#pool.length + this.#key.length * 21 + this.found.byteLength + this.#top.byteLength
  }

  walk(bytes: Uint8Array, start: number, end: number): void {
    this.foundCount = 0
    this.exact = -1
    const step = this.#isReversed ? -1 : 1
    let at = this.#isReversed ? end - 1 : start
    let left = end - start
    let node = 0
    for (;;) {
      const key = this.#key[node] as number
      if (key !== -1) {
        this.found[this.foundCount++] = key
        if (left === 0) this.exact = key
      }
      if (left === 0) return
      node = node === 0 ? (this.#top[bytes[at] as number] as number) : this.#child(node, bytes[at] as number)
      if (node === -1) return
      const from = this.#labelFrom[node] as number
      const length = (this.#labelTo[node] as number) - from
      if (length > left) return
      for (let offset = 1; offset < length; offset++)
        if (this.#pool[from + offset] !== bytes[at + offset * step]) return
      at += length * step
      left -= length
    }
  }

  #child(node: number, byte: number): number {
    let low = this.#childFrom[node] as number
    let high = this.#childTo[node] as number
    while (high - low > SCAN_MAX_COUNT) {
      const middle = (low + high) >>> 1
      if ((this.#firstByte[middle] as number) <= byte) low = middle
      else high = middle
    }
    for (; low < high; low++) if (this.#firstByte[low] === byte) return low
    return -1
  }
}

function buildNodes(keys: readonly string[], isReversed: boolean) {
  const entries = keys.map((key, index) => ({ text: isReversed ? reversed(key) : key, index }))
  entries.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
  const texts = entries.map(({ text }) => text)
  const offsets: number[] = []
  let size = 0
  for (const text of texts) {
    offsets.push(size)
    size += text.length
  }
  const pool = new Uint8Array(Buffer.from(texts.join(''), 'latin1'))
  const labelFrom = [0]
  const labelTo = [0]
  const childFrom: number[] = []
  const childTo: number[] = []
  const key: number[] = []
  /** Of each node: the keys below it, and how many bytes of them are behind. */
  const ranges: [low: number, high: number, depth: number][] = [[0, texts.length, 0]]
  for (let node = 0; node < ranges.length; node++) {
    const [first, high, depth] = ranges[node] as [number, number, number]
    const ends = first < high && (texts[first] as string).length === depth
    key.push(ends ? (entries[first]?.index ?? -1) : -1)
    childFrom.push(labelFrom.length)
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
      labelFrom.push((offsets[low] as number) + depth)
      labelTo.push((offsets[low] as number) + common)
      ranges.push([low, next, common])
      low = next
    }
    childTo.push(labelFrom.length)
  }
  return { pool, labelFrom, labelTo, childFrom, childTo, key }
}

function reversed(text: string): string {
  let result = ''
  for (let at = text.length - 1; at >= 0; at--) result += text.charAt(at)
  return result
}
