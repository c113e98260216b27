/**
 * All `pmatch` paths of a field at once: a trie of path components, each literal or a glob that stays within its component.
 * A path hits when its components are the first of the text; slashes doubled or at either end do not count.
 */
import { fnv1a } from '../hash.js'
import { globMatches } from './glob.js'

const SLASH = 0x2f

interface BuildNode {
  literals: Map<string, number>
  globs: Map<string, number>
  key: number
}

export class PathComponents {
  /** Keys that the last walk hit: the first `foundCount`. */
  readonly found: Int32Array
  foundCount = 0
  readonly #key: Int32Array
  /** Open addressing by node and component: the child, and its component's place in the pool. */
  readonly #edgeNodes: Int32Array
  readonly #edgeChildren: Int32Array
  readonly #edgeFrom: Int32Array
  readonly #edgeTo: Int32Array
  /** Globs below a node: a run of globFrom. */
  readonly #globRun: Int32Array
  readonly #globChildren: Int32Array
  readonly #globFrom: Int32Array
  readonly #globTo: Int32Array
  readonly #pool: Uint8Array
  /** By byte: 1 where a first component may start with it. */
  readonly #starts: Uint8Array
  /** Nodes reached so far, and those of the next component. */
  #open: Int32Array
  #next: Int32Array

  /** `keys` are distinct and normal (normalPath); key i is reported as i. */
  constructor(keys: readonly string[]) {
    const nodes = build(keys)
    const literals = nodes.flatMap((node, at) => [...node.literals].map(([text, child]) => ({ at, text, child })))
    const globs = nodes.flatMap((node) => [...node.globs].map(([text, child]) => ({ text, child })))
    this.#key = Int32Array.from(nodes, ({ key }) => key)
    this.#pool = Uint8Array.from(Buffer.from([...literals, ...globs].map(({ text }) => text).join(''), 'latin1'))
    let size = 4
    while (size < literals.length * 2) size *= 2
    this.#edgeNodes = new Int32Array(size).fill(-1)
    this.#edgeChildren = new Int32Array(size)
    this.#edgeFrom = new Int32Array(size)
    this.#edgeTo = new Int32Array(size)
    let offset = 0
    for (const { at, text, child } of literals) {
      const end = offset + text.length
      let slot = slotOf(at, this.#pool, offset, end) & (size - 1)
      while (this.#edgeNodes[slot] !== -1) slot = (slot + 1) & (size - 1)
      this.#edgeNodes[slot] = at
      this.#edgeChildren[slot] = child
      this.#edgeFrom[slot] = offset
      this.#edgeTo[slot] = end
      offset = end
    }
    this.#globRun = new Int32Array(nodes.length + 1)
    for (const [at, { globs: own }] of nodes.entries()) this.#globRun[at + 1] = (this.#globRun[at] as number) + own.size
    this.#globChildren = Int32Array.from(globs, ({ child }) => child)
    this.#globFrom = new Int32Array(globs.length)
    this.#globTo = new Int32Array(globs.length)
    for (const [at, { text }] of globs.entries()) {
      this.#globFrom[at] = offset
      offset += text.length
      this.#globTo[at] = offset
    }
    this.#starts = new Uint8Array(256).fill(nodes[0]?.globs.size === 0 ? 0 : 1)
    for (const text of nodes[0]?.literals.keys() ?? []) this.#starts[text.charCodeAt(0)] = 1
    this.found = new Int32Array(keys.length)
    this.#open = new Int32Array(nodes.length)
    this.#next = new Int32Array(nodes.length)
  }

  get programBytes(): number {
    return this.#pool.length + 4 * (this.#edgeNodes.length * 4 + this.#key.length * 4 + this.#globFrom.length * 3)
  }

  walk(bytes: Uint8Array, start: number, end: number): void {
    this.foundCount = 0
    if (this.#key[0] !== -1) this.found[this.foundCount++] = this.#key[0] as number
    let first = start
    while (first < end && bytes[first] === SLASH) first++
    if (first === end || this.#starts[bytes[first] as number] === 0) return
    this.#open[0] = 0
    let openCount = 1
    for (let at = first; at < end && openCount > 0; ) {
      while (at < end && bytes[at] === SLASH) at++
      const from = at
      while (at < end && bytes[at] !== SLASH) at++
      if (from === at) return
      let nextCount = 0
      for (let index = 0; index < openCount; index++)
        nextCount = this.#enter(this.#open[index] as number, bytes, from, at, nextCount)
      const swap = this.#open
      this.#open = this.#next
      this.#next = swap
      openCount = nextCount
    }
  }

  /** A tree: no node is reached twice. */
  #enter(node: number, bytes: Uint8Array, from: number, to: number, count: number): number {
    let reached = count
    const literal = this.#literal(node, bytes, from, to)
    if (literal !== -1) this.#reach(literal, reached++)
    const last = this.#globRun[node + 1] as number
    for (let glob = this.#globRun[node] as number; glob < last; glob++) {
      const start = this.#globFrom[glob] as number
      const end = this.#globTo[glob] as number
      if (globMatches(this.#pool, start, end, bytes, from, to, false))
        this.#reach(this.#globChildren[glob] as number, reached++)
    }
    return reached
  }

  #reach(node: number, at: number): void {
    this.#next[at] = node
    const key = this.#key[node] as number
    if (key !== -1) this.found[this.foundCount++] = key
  }

  #literal(node: number, bytes: Uint8Array, from: number, to: number): number {
    const mask = this.#edgeNodes.length - 1
    for (let slot = slotOf(node, bytes, from, to) & mask; this.#edgeNodes[slot] !== -1; slot = (slot + 1) & mask) {
      if (this.#edgeNodes[slot] !== node) continue
      const start = this.#edgeFrom[slot] as number
      const length = (this.#edgeTo[slot] as number) - start
      if (length !== to - from) continue
      let at = 0
      while (at < length && this.#pool[start + at] === bytes[from + at]) at++
      if (at === length) return this.#edgeChildren[slot] as number
    }
    return -1
  }
}

/** Components joined by single slashes, without one at either end: equal for paths that mean the same. */
export function normalPath(path: string): string {
  return path.split('/').filter(Boolean).join('/')
}

/** One path against one text, neither prepared. */
export function componentsMatch(
  pattern: Uint8Array,
  patternStart: number,
  patternEnd: number,
  text: Uint8Array,
  textStart: number,
  textEnd: number,
): boolean {
  let from = patternStart
  let at = textStart
  for (;;) {
    while (from < patternEnd && pattern[from] === SLASH) from++
    if (from === patternEnd) return true
    while (at < textEnd && text[at] === SLASH) at++
    if (at === textEnd) return false
    const patternFrom = from
    const textFrom = at
    while (from < patternEnd && pattern[from] !== SLASH) from++
    while (at < textEnd && text[at] !== SLASH) at++
    if (!globMatches(pattern, patternFrom, from, text, textFrom, at, false)) return false
  }
}

function slotOf(node: number, bytes: Uint8Array, from: number, to: number): number {
  const mixed = Math.imul(fnv1a(bytes, from, to) ^ node, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

function build(keys: readonly string[]): BuildNode[] {
  const made = (): BuildNode => ({ literals: new Map(), globs: new Map(), key: -1 })
  const nodes = [made()]
  for (const [index, key] of keys.entries()) {
    let node = 0
    for (const component of key.split('/').filter(Boolean)) {
      const here = nodes[node] as BuildNode
      const edges = /[*?[\\]/.test(component) ? here.globs : here.literals
      let child = edges.get(component)
      if (child === undefined) {
        child = nodes.push(made()) - 1
        edges.set(component, child)
      }
      node = child
    }
    ;(nodes[node] as BuildNode).key = index
  }
  return nodes
}
