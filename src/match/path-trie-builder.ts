/**
 * Builds the path trie: patterns -> nodes -> flat arrays (path-trie.ts draws them). Equal patterns share a terminal.
 */
import type { GlobToken, ParsedPath } from '../policy/path-pattern.js'
import { GlobTable } from './glob-table.js'
import { fnv1a } from './hash.js'
import {
  type FlatPathTrie,
  NODE_DEEP,
  NODE_GLOBS,
  NODE_LITERALS,
  NODE_STAR,
  PathTrie,
  ROOTED,
  SCAN,
  TOP,
} from './path-trie.js'
import type { Steps } from './steps.js'

interface GlobEdge {
  readonly tokens: readonly GlobToken[]
  readonly child: BuildNode
}

class BuildNode {
  readonly literals = new Map<string, { bytes: Uint8Array; child: BuildNode }>()
  readonly globs = new Map<string, GlobEdge>()
  star: BuildNode | undefined
  deep: BuildNode | undefined
  terminal = -1

  constructor(
    readonly id: number,
    readonly isDeep: boolean,
  ) {}
}

export class PathTrieBuilder {
  readonly #nodes: BuildNode[] = [new BuildNode(TOP, false), new BuildNode(ROOTED, false)]
  #terminalCount = 0

  /** The terminal of the pattern: 0, 1, 2, … in order of first use. */
  add(path: ParsedPath): number {
    let node = this.#at(path.rooted ? ROOTED : TOP)
    for (const component of path.components) {
      if (component.kind === 'literal') {
        const key = keyOf(component.bytes)
        const edge = node.literals.get(key) ?? { bytes: component.bytes, child: this.#make(false) }
        node.literals.set(key, edge)
        node = edge.child
      } else if (component.kind === 'glob') {
        const key = JSON.stringify(
          component.tokens.map((token) => (token.kind === 'class' ? [...token.members] : token)),
        )
        const edge: GlobEdge = node.globs.get(key) ?? { tokens: component.tokens, child: this.#make(false) }
        node.globs.set(key, edge)
        node = edge.child
      } else if (component.kind === 'star') node = node.star ??= this.#make(false)
      else node = node.deep ??= this.#make(true)
    }
    if (node.terminal === -1) node.terminal = this.#terminalCount++
    return node.terminal
  }

  *build(): Steps<PathTrie> {
    const nodes = this.#nodes
    const pick = (value: (node: BuildNode) => number) => Int32Array.from(nodes, value)
    const literals = flattenLiterals(nodes)
    yield
    const globs = flattenGlobs(nodes)
    yield
    return new PathTrie({
      terminalCount: this.#terminalCount,
      flags: Uint8Array.from(nodes, flagsOf),
      star: pick((node) => node.star?.id ?? -1),
      deep: pick((node) => node.deep?.id ?? -1),
      terminal: pick((node) => node.terminal),
      ...literals,
      ...globs,
    })
  }

  #make(isDeep: boolean): BuildNode {
    const node = new BuildNode(this.#nodes.length, isDeep)
    this.#nodes.push(node)
    return node
  }

  #at(id: number): BuildNode {
    const node = this.#nodes[id]
    if (node === undefined) throw new RangeError(`no node ${id}`)
    return node
  }
}

function flagsOf(node: BuildNode): number {
  return (
    (node.isDeep ? NODE_DEEP : 0) |
    (node.literals.size > 0 ? NODE_LITERALS : 0) |
    (node.globs.size > 0 ? NODE_GLOBS : 0) |
    (node.star === undefined ? 0 : NODE_STAR)
  )
}

/** Every byte one character: a map key for bytes that need not be UTF-8. */
function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

/** At most half full, so that a lookup that fails ends soon. */
function slotsFor(count: number): number {
  let slots = 8
  while (slots < count * 2) slots *= 2
  return slots
}

type Literals = Pick<
  FlatPathTrie,
  'slotNode' | 'slotHash' | 'slotOffset' | 'slotLength' | 'slotChild' | 'slotMask' | 'pool'
>

function flattenLiterals(nodes: readonly BuildNode[]): Literals {
  const edges = nodes.flatMap((node) => [...node.literals.values()].map((edge) => ({ ...edge, node: node.id })))
  const slots = slotsFor(edges.length)
  const flat = {
    slotNode: new Int32Array(slots).fill(-1),
    slotHash: new Int32Array(slots),
    slotOffset: new Uint32Array(slots),
    slotLength: new Uint16Array(slots),
    slotChild: new Int32Array(slots),
    slotMask: slots - 1,
    pool: new Uint8Array(edges.reduce((sum, { bytes }) => sum + bytes.length, 0)),
  }
  let offset = 0
  for (const { node, bytes, child } of edges) {
    const hash = fnv1a(bytes, 0, bytes.length)
    const slot = freeSlot(flat.slotNode, PathTrie.slotOf(node, hash), flat.slotMask)
    flat.slotNode[slot] = node
    flat.slotHash[slot] = hash
    flat.slotOffset[slot] = offset
    flat.slotLength[slot] = bytes.length
    flat.slotChild[slot] = child.id
    flat.pool.set(bytes, offset)
    offset += bytes.length
  }
  return flat
}

function freeSlot(owners: Int32Array, wanted: number, mask: number): number {
  let slot = wanted & mask
  while (owners[slot] !== -1) slot = (slot + 1) & mask
  return slot
}

type Globs = Pick<
  FlatPathTrie,
  | 'groupFrom'
  | 'groupLength'
  | 'bucketGroup'
  | 'bucketHash'
  | 'bucketFrom'
  | 'bucketTo'
  | 'bucketMask'
  | 'candidateGlob'
  | 'candidateChild'
  | 'globs'
>

/**
 * The globs of a node stand in groups by the length of their literal beginning (> 0) or end (< 0), and in a group by the
 * hash of it: a component is held only against globs whose literal part it has. Globs with neither are one group, SCAN.
 */
function flattenGlobs(nodes: readonly BuildNode[]): Globs {
  const tokens: (readonly GlobToken[])[] = []
  const groupFrom = [0]
  const groupLength: number[] = []
  const candidateGlob: number[] = []
  const candidateChild: number[] = []
  const buckets: { group: number; hash: number; from: number; to: number }[] = []
  for (const node of nodes) {
    const byLength = groupBy(node.globs.values(), ({ tokens: glob }) => anchorOf(glob).length)
    for (const [length, edges] of [...byLength].sort(([a], [b]) => a - b)) {
      const group = groupLength.push(length) - 1
      for (const [hash, members] of groupBy(edges, (edge) => anchorOf(edge.tokens).hash)) {
        const from = candidateGlob.length
        for (const { tokens: glob, child } of members) {
          candidateGlob.push(tokens.push(glob) - 1)
          candidateChild.push(child.id)
        }
        buckets.push({ group, hash, from, to: candidateGlob.length })
      }
    }
    groupFrom.push(groupLength.length)
  }
  const slots = slotsFor(buckets.length)
  const flat = {
    groupFrom: Uint32Array.from(groupFrom),
    groupLength: Int16Array.from(groupLength),
    bucketGroup: new Int32Array(slots).fill(-1),
    bucketHash: new Int32Array(slots),
    bucketFrom: new Uint32Array(slots),
    bucketTo: new Uint32Array(slots),
    bucketMask: slots - 1,
    candidateGlob: Uint32Array.from(candidateGlob),
    candidateChild: Int32Array.from(candidateChild),
    globs: new GlobTable(tokens),
  }
  for (const { group, hash, from, to } of buckets) {
    const slot = freeSlot(flat.bucketGroup, PathTrie.slotOf(group, hash), flat.bucketMask)
    flat.bucketGroup[slot] = group
    flat.bucketHash[slot] = hash
    flat.bucketFrom[slot] = from
    flat.bucketTo[slot] = to
  }
  return flat
}

function groupBy<Item>(items: Iterable<Item>, keyOfItem: (item: Item) => number): Map<number, Item[]> {
  const groups = new Map<number, Item[]>()
  for (const item of items) {
    const key = keyOfItem(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

function anchorOf(tokens: readonly GlobToken[]): { length: number; hash: number } {
  const isByte = (token: GlobToken) => token.kind === 'byte'
  const beginning = tokens.slice(
    0,
    tokens.findIndex((token) => !isByte(token)),
  )
  const end = tokens.slice(tokens.findLastIndex((token) => !isByte(token)) + 1)
  const longer = beginning.length >= end.length ? beginning : end
  const bytes = Uint8Array.from(longer.map((token) => (token.kind === 'byte' ? token.byte : 0)))
  if (bytes.length === 0) return { length: SCAN, hash: 0 }
  return { length: longer === beginning ? bytes.length : -bytes.length, hash: fnv1a(bytes, 0, bytes.length) }
}
