/**
 * One trie for the path patterns of all rules of a program, walked by component over the bytes of a name. It knows
 * patterns only: a walk yields the terminals (ids of distinct patterns) that match.
 *
 *   TOP ── ** ──> deep node          patterns without a root
 *   ROOTED        node of "/"
 *     │ literal:  hash table keyed by (node, component)          one lookup
 *     │ globs:    groups by anchor length, buckets by anchor hash, then the glob itself
 *     │ star:     one child
 *     └ deep:     one child that is entered with the node itself (none) and stays active (any number)
 *
 * A walk carries the set of active nodes from component to component; a stamp per node keeps it a set. Cost: components
 * × (active nodes), and active nodes follow what matches so far. Any bytes are safe; nothing is allocated.
 */

import type { GlobTable } from './glob-table.js'
import { FNV_BASIS, FNV_PRIME, fnv1a } from './hash.js'

export const TOP = 0
export const ROOTED = 1
/** groupLength of globs that neither begin nor end with a literal. */
export const SCAN = 0

/** The node stands for `**`: it stays active. */
export const NODE_DEEP = 1
export const NODE_LITERALS = 2
export const NODE_GLOBS = 4
export const NODE_STAR = 8

const SLASH = 0x2f

export interface FlatPathTrie {
  readonly terminalCount: number
  /** NODE_* bits: most nodes have one kind of edge or none, and one byte says so. */
  readonly flags: Uint8Array
  readonly star: Int32Array
  readonly deep: Int32Array
  readonly terminal: Int32Array
  readonly slotNode: Int32Array
  readonly slotHash: Int32Array
  readonly slotOffset: Uint32Array
  readonly slotLength: Uint16Array
  readonly slotChild: Int32Array
  readonly slotMask: number
  readonly pool: Uint8Array
  readonly groupFrom: Uint32Array
  readonly groupLength: Int16Array
  readonly bucketGroup: Int32Array
  readonly bucketHash: Int32Array
  readonly bucketFrom: Uint32Array
  readonly bucketTo: Uint32Array
  readonly bucketMask: number
  readonly candidateGlob: Uint32Array
  readonly candidateChild: Int32Array
  readonly globs: GlobTable
}

export class PathTrie {
  /** Terminals of the last walk: the first `foundCount`, each once. Valid until the next walk. */
  readonly found: Int32Array
  foundCount = 0
  readonly #seen: Uint32Array
  #stamp = 0
  #active: Int32Array
  #next: Int32Array
  #nextCount = 0

  constructor(readonly flat: FlatPathTrie) {
    this.found = new Int32Array(flat.terminalCount)
    this.#seen = new Uint32Array(flat.flags.length)
    this.#active = new Int32Array(flat.flags.length)
    this.#next = new Int32Array(flat.flags.length)
  }

  static slotOf(owner: number, hash: number): number {
    const mixed = Math.imul(owner ^ (hash >>> 15), 0x9e3779b1) ^ hash
    return mixed ^ (mixed >>> 16)
  }

  /** An empty name matches nothing, whatever the patterns. */
  walk(bytes: Uint8Array, start: number, end: number): void {
    this.foundCount = 0
    if (start >= end) return
    let at = start
    let count = this.#begin(bytes[start] === SLASH)
    if (bytes[start] === SLASH) at++
    for (;;) {
      let stop = at
      let hash = FNV_BASIS
      for (; stop < end; stop++) {
        const byte = bytes[stop] as number
        if (byte === SLASH) break
        hash = Math.imul(hash ^ byte, FNV_PRIME)
      }
      count = this.#step(count, bytes, at, stop, hash)
      if (count === 0) return
      if (stop === end) break
      at = stop + 1
    }
    const { terminal } = this.flat
    for (let index = 0; index < count; index++) {
      const id = terminal[this.#active[index] as number] as number
      if (id !== -1) this.found[this.foundCount++] = id
    }
  }

  #begin(absolute: boolean): number {
    this.#newStamp()
    this.#nextCount = 0
    const deep = this.flat.deep[TOP] as number
    if (deep !== -1) this.#enter(deep)
    if (absolute) this.#enter(ROOTED)
    return this.#swap()
  }

  /** Moves all active nodes over one component. */
  #step(count: number, bytes: Uint8Array, start: number, end: number, hash: number): number {
    const { flags, star } = this.flat
    const active = this.#active
    this.#newStamp()
    this.#nextCount = 0
    for (let index = 0; index < count; index++) {
      const node = active[index] as number
      const has = flags[node] as number
      if (has === 0) continue
      if ((has & NODE_DEEP) !== 0) this.#enter(node)
      if ((has & NODE_LITERALS) !== 0) {
        const child = this.#literal(node, bytes, start, end, hash)
        if (child !== -1) this.#enter(child)
      }
      if ((has & NODE_GLOBS) !== 0) this.#globs(node, bytes, start, end)
      if ((has & NODE_STAR) !== 0) this.#enter(star[node] as number)
    }
    return this.#swap()
  }

  #literal(node: number, bytes: Uint8Array, start: number, end: number, hash: number): number {
    const { slotNode, slotHash, slotOffset, slotLength, slotChild, slotMask, pool } = this.flat
    const length = end - start
    let slot = PathTrie.slotOf(node, hash) & slotMask
    for (;;) {
      const owner = slotNode[slot]
      if (owner === -1) return -1
      if (owner === node && slotHash[slot] === hash && slotLength[slot] === length) {
        const offset = slotOffset[slot] as number
        let at = 0
        while (at < length && pool[offset + at] === bytes[start + at]) at++
        if (at === length) return slotChild[slot] as number
      }
      slot = (slot + 1) & slotMask
    }
  }

  #globs(node: number, bytes: Uint8Array, start: number, end: number): void {
    const { groupFrom, groupLength } = this.flat
    const last = groupFrom[node + 1] as number
    const length = end - start
    for (let group = groupFrom[node] as number; group < last; group++) {
      const anchor = groupLength[group] as number
      if (anchor > length || -anchor > length) continue
      const hash =
        anchor === SCAN ? 0 : anchor > 0 ? fnv1a(bytes, start, start + anchor) : fnv1a(bytes, end + anchor, end)
      this.#bucket(group, hash, bytes, start, end)
    }
  }

  #bucket(group: number, hash: number, bytes: Uint8Array, start: number, end: number): void {
    const { bucketGroup, bucketHash, bucketFrom, bucketTo, bucketMask, candidateGlob, candidateChild, globs } =
      this.flat
    let slot = PathTrie.slotOf(group, hash) & bucketMask
    for (;;) {
      const owner = bucketGroup[slot]
      if (owner === -1) return
      if (owner === group && bucketHash[slot] === hash) {
        const to = bucketTo[slot] as number
        for (let at = bucketFrom[slot] as number; at < to; at++)
          if (globs.matches(candidateGlob[at] as number, bytes, start, end)) this.#enter(candidateChild[at] as number)
        return
      }
      slot = (slot + 1) & bucketMask
    }
  }

  /** With the node its `**` child is active too: it may stand for no component. */
  #enter(node: number): void {
    if (this.#seen[node] !== this.#stamp) {
      this.#seen[node] = this.#stamp
      this.#next[this.#nextCount++] = node
    }
    const deep = this.flat.deep[node] as number
    if (deep !== -1 && this.#seen[deep] !== this.#stamp) {
      this.#seen[deep] = this.#stamp
      this.#next[this.#nextCount++] = deep
    }
  }

  #swap(): number {
    const reached = this.#next
    this.#next = this.#active
    this.#active = reached
    return this.#nextCount
  }

  #newStamp(): void {
    if (this.#stamp === 0xffffffff) {
      this.#seen.fill(0)
      this.#stamp = 0
    }
    this.#stamp++
  }
}
