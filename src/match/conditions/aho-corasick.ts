/**
 * All `contains` values of a field at once: one step a byte, whatever the number of values (Aho and Corasick, 1975). Small
 * automata are whole tables, large ones follow failure links over hashed edges: still at most two steps a byte. Most texts hold
 * no key: they are skimmed first, by pairs of bytes in strides of the shortest key (Wu and Manber, 1994), and walked only from
 * where a key may start.
 */

import { STEP_COUNT, type Steps } from '../steps.js'

/** Entries of a whole table, 4 bytes each: it stays within the caches' reach. */
const TABLE_MAX_COUNT = 1 << 20
const HASH_FACTOR = 0x9e3779b1
/** With a shorter key than this a text is walked as fast as it is skimmed. */
const SKIMMED_MIN_BYTES = 3
/** A skim never skips more. */
const SKIP_MAX_BYTES = 64
const BLOCKS_COUNT = 1 << 12

export class AhoCorasick {
  /** Distinct keys in the last walk's text: the first `foundCount`. */
  readonly found: Int32Array
  foundCount = 0
  /** Byte -> class; bytes that no key has are class 0. Folding maps both cases to one. */
  readonly #classes = new Uint8Array(256)
  #classCount = 1
  /** Next state times #classCount; complemented when keys end there. Empty for large automata. */
  #table = new Int32Array(0)
  #edgeKeys = new Int32Array(0)
  #edgeStates = new Int32Array(0)
  /** Of a large automaton: next state of the root by class. */
  #top = new Int32Array(0)
  #fail = new Int32Array(0)
  /** Key that ends in a state, or -1. */
  #key = new Int32Array(0)
  /** The nearest state where a key ends, from this one along the failure links: 0 for none. */
  #ending = new Int32Array(0)
  readonly #seen: Int32Array
  #walk = 0
  readonly #emptyKey: number
  /** By pair of classes, hashed: how far the nearest key whose first `#windowBytes` hold it may end behind it; 0: here. */
  readonly #skips: Uint8Array
  /** 0: texts are not skimmed. */
  readonly #windowBytes: number

  /** `keys` are distinct, a character a byte; folded: their ASCII letters are lower case. */
  static *of(keys: readonly string[], isFolded: boolean, tableMaxCount = TABLE_MAX_COUNT): Steps<AhoCorasick> {
    const made = new AhoCorasick(keys, isFolded)
    yield
    yield* made.#build(keys, tableMaxCount)
    return made
  }

  private constructor(keys: readonly string[], isFolded: boolean) {
    this.found = new Int32Array(keys.length)
    this.#seen = new Int32Array(keys.length)
    this.#emptyKey = keys.indexOf('')
    for (const key of keys)
      for (let at = 0; at < key.length; at++)
        if (this.#classes[key.charCodeAt(at)] === 0) this.#classes[key.charCodeAt(at)] = this.#classCount++
    if (isFolded) for (let byte = 0x41; byte <= 0x5a; byte++) this.#classes[byte] = this.#classes[byte + 0x20] as number
    this.#windowBytes = windowOf(keys)
    this.#skips = this.#windowBytes === 0 ? new Uint8Array(0) : this.#skipsOf(keys)
  }

  get programBytes(): number {
    const words = this.#table.length + this.#edgeKeys.length * 2 + this.#key.length * 3 + this.found.length * 2
    return words * 4 + 256 + this.#skips.length
  }

  walk(bytes: Uint8Array, start: number, end: number): void {
    this.foundCount = 0
    if (++this.#walk === 0x7fffffff) {
      this.#seen.fill(0)
      this.#walk = 1
    }
    if (this.#emptyKey !== -1) this.#report(this.#emptyKey)
    const from = this.#windowBytes === 0 ? start : this.#skim(bytes, start, end)
    if (from === end) return
    if (this.#table.length > 0) this.#walkTable(bytes, from, end)
    else this.#walkEdges(bytes, from, end)
  }

  /** Where the first key may start; `end`: there is none. */
  #skim(bytes: Uint8Array, start: number, end: number): number {
    const classes = this.#classes
    const skips = this.#skips
    const behind = this.#windowBytes - 1
    for (let at = start + behind; at < end; ) {
      const skip = skips[blockOf(classes[bytes[at - 1] as number] as number, classes[bytes[at] as number] as number)]
      if (skip === 0) return at - behind
      at += skip as number
    }
    return end
  }

  #walkTable(bytes: Uint8Array, start: number, end: number): void {
    const table = this.#table
    const classes = this.#classes
    let state = 0
    for (let at = start; at < end; at++) {
      state = table[state + (classes[bytes[at] as number] as number)] as number
      if (state < 0) {
        state = ~state
        this.#reportAll((state / this.#classCount) | 0)
      }
    }
  }

  #walkEdges(bytes: Uint8Array, start: number, end: number): void {
    let state = 0
    for (let at = start; at < end; at++) {
      const byteClass = this.#classes[bytes[at] as number] as number
      if (byteClass === 0) {
        state = 0
        continue
      }
      let next = 0
      while (state !== 0) {
        next = this.#edge(state, byteClass)
        if (next !== 0) break
        state = this.#fail[state] as number
      }
      state = state === 0 ? (this.#top[byteClass] as number) : next
      if (this.#key[state] !== -1 || this.#ending[state] !== 0) this.#reportAll(state)
    }
  }

  #reportAll(state: number): void {
    let ending = this.#key[state] === -1 ? (this.#ending[state] as number) : state
    for (; ending !== 0; ending = this.#ending[ending] as number) this.#report(this.#key[ending] as number)
  }

  #report(key: number): void {
    if (this.#seen[key] === this.#walk) return
    this.#seen[key] = this.#walk
    this.found[this.foundCount++] = key
  }

  #edge(state: number, byteClass: number): number {
    const wanted = state * 256 + byteClass
    const mask = this.#edgeKeys.length - 1
    for (let at = slotOf(wanted, mask); ; at = (at + 1) & mask) {
      const key = this.#edgeKeys[at]
      if (key === wanted) return this.#edgeStates[at] as number
      if (key === -1) return 0
    }
  }

  #skipsOf(keys: readonly string[]): Uint8Array {
    const last = this.#windowBytes - 1
    const skips = new Uint8Array(BLOCKS_COUNT).fill(last)
    const classOf = (key: string, at: number) => this.#classes[key.charCodeAt(at)] as number
    for (const key of keys)
      for (let at = 1; at <= last; at++) {
        const block = blockOf(classOf(key, at - 1), classOf(key, at))
        skips[block] = Math.min(skips[block] as number, last - at)
      }
    return skips
  }

  *#build(keys: readonly string[], tableMaxCount: number): Steps<void> {
    const stateMax = keys.reduce((sum, key) => sum + key.length, 1)
    if (stateMax > 1 << 23) throw new RangeError('more bytes of `contains` values than a program holds')
    let size = 16
    while (size < stateMax * 2) size *= 2
    this.#edgeKeys = new Int32Array(size).fill(-1)
    this.#edgeStates = new Int32Array(size)
    const parent = new Int32Array(stateMax)
    const entered = new Uint8Array(stateMax)
    const key = new Int32Array(stateMax).fill(-1)
    const depth = new Int32Array(stateMax)
    let count = 1
    for (const [index, text] of keys.entries()) {
      if (index % STEP_COUNT === 0) yield
      let state = 0
      for (let at = 0; at < text.length; at++) {
        const byteClass = this.#classes[text.charCodeAt(at)] as number
        const wanted = state * 256 + byteClass
        let slot = slotOf(wanted, size - 1)
        while (this.#edgeKeys[slot] !== wanted && this.#edgeKeys[slot] !== -1) slot = (slot + 1) & (size - 1)
        if (this.#edgeKeys[slot] === -1) {
          this.#edgeKeys[slot] = wanted
          this.#edgeStates[slot] = count
          parent[count] = state
          entered[count] = byteClass
          depth[count] = at + 1
          count++
        }
        state = this.#edgeStates[slot] as number
      }
      if (state !== 0) key[state] = index
    }
    this.#key = key.slice(0, count)
    yield
    const order = byDepth(depth, count)
    yield* this.#link(order, parent, entered)
    if (count * this.#classCount <= tableMaxCount) yield* this.#fillTable(order)
    else this.#fillTop()
  }

  *#link(order: Int32Array, parent: Int32Array, entered: Uint8Array): Steps<void> {
    const count = order.length
    this.#fail = new Int32Array(count)
    this.#ending = new Int32Array(count)
    for (const [at, state] of order.entries()) {
      if (at % (STEP_COUNT * 8) === 0) yield
      if (state === 0) continue
      const above = parent[state] as number
      const byteClass = entered[state] as number
      let fail = above
      let next = 0
      while (fail !== 0 && next === 0) {
        fail = this.#fail[fail] as number
        next = this.#edge(fail, byteClass)
      }
      this.#fail[state] = next
      this.#ending[state] = this.#key[next] === -1 ? (this.#ending[next] as number) : next
    }
  }

  *#fillTable(order: Int32Array): Steps<void> {
    const width = this.#classCount
    const next = new Int32Array(order.length * width)
    for (const [at, state] of order.entries()) {
      if (at % STEP_COUNT === 0) yield
      for (let byteClass = 1; byteClass < width; byteClass++) {
        const edge = this.#edge(state, byteClass)
        next[state * width + byteClass] =
          edge !== 0 || state === 0 ? edge : (next[(this.#fail[state] as number) * width + byteClass] as number)
      }
    }
    const isEnding = Uint8Array.from(this.#key, (key, state) => Number(key !== -1 || this.#ending[state] !== 0))
    for (let from = 0; from < next.length; from += STEP_COUNT * width) {
      yield
      const to = Math.min(next.length, from + STEP_COUNT * width)
      for (let at = from; at < to; at++) {
        const state = next[at] as number
        next[at] = isEnding[state] === 1 ? ~(state * width) : state * width
      }
    }
    this.#table = next
    this.#edgeKeys = new Int32Array(0)
    this.#edgeStates = new Int32Array(0)
  }

  #fillTop(): void {
    this.#top = Int32Array.from({ length: this.#classCount }, (_, byteClass) =>
      byteClass === 0 ? 0 : this.#edge(0, byteClass),
    )
  }
}

function windowOf(keys: readonly string[]): number {
  const shortest = keys.reduce((least, key) => Math.min(least, key.length), SKIP_MAX_BYTES)
  return shortest < SKIMMED_MIN_BYTES ? 0 : shortest
}

function blockOf(before: number, byteClass: number): number {
  return ((before << 5) ^ byteClass) & (BLOCKS_COUNT - 1)
}

function slotOf(key: number, mask: number): number {
  const mixed = Math.imul(key, HASH_FACTOR)
  return (mixed ^ (mixed >>> 15)) & mask
}

/** States, nearest the root first. */
function byDepth(depth: Int32Array, count: number): Int32Array {
  const most = depth.subarray(0, count).reduce((deepest, each) => Math.max(deepest, each), 0)
  const from = new Int32Array(most + 2)
  for (let state = 0; state < count; state++)
    from[(depth[state] as number) + 1] = (from[(depth[state] as number) + 1] as number) + 1
  for (let at = 1; at < from.length; at++) from[at] = (from[at] as number) + (from[at - 1] as number)
  const order = new Int32Array(count)
  for (let state = 0; state < count; state++) {
    const at = from[depth[state] as number] as number
    from[depth[state] as number] = at + 1
    order[at] = state
  }
  return order
}
