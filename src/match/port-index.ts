/**
 * The entries of each network by port: a segment tree over the elementary intervals of its ranges, all networks in the
 * same flat arrays. A port's entries are the lists on the way from its interval up to the root: cost log2(ranges) + what
 * is found, memory ranges × log2(ranges), however much the ranges overlap.
 *
 *   starts: 0 | 80 | 81 | 443 | 444            elementary intervals of {80}, {443}
 *   tree:   1 ─ 2,3 ─ 4..9                      leaf of interval i is (count + i); parent is half
 */
import { type Entry, type EntryLists, flattenLists } from './entry-lists.js'

export interface PortEntry extends Entry {
  readonly portFrom: number
  readonly portTo: number
}

export class PortIndex {
  readonly lists: EntryLists
  /** Starts of the elementary intervals of all networks, ascending within one. */
  readonly #starts: Uint16Array
  /** Network i's intervals are startsFrom[i] .. startsFrom[i + 1]; its lists begin at twice that. */
  readonly #startsFrom: Uint32Array

  constructor(networks: readonly (readonly PortEntry[])[]) {
    const starts: number[] = []
    const startsFrom = [0]
    const lists: Entry[][] = []
    for (const entries of networks) {
      const edges = entries.flatMap(({ portFrom, portTo }) => (portTo < 0xffff ? [portFrom, portTo + 1] : [portFrom]))
      const own = [...new Set([0, ...edges])].sort((a, b) => a - b)
      const place = new Map(own.map((start, at) => [start, at]))
      const tree: Entry[][] = Array.from({ length: own.length * 2 }, () => [])
      for (const entry of entries) {
        const low = place.get(entry.portFrom) ?? 0
        const high = entry.portTo === 0xffff ? own.length : (place.get(entry.portTo + 1) ?? own.length)
        cover(tree, low + own.length, high + own.length, entry)
      }
      for (const start of own) starts.push(start)
      for (const list of tree) lists.push(list)
      startsFrom.push(starts.length)
    }
    this.lists = flattenLists(lists)
    this.#starts = Uint16Array.from(starts)
    this.#startsFrom = Uint32Array.from(startsFrom)
  }

  /** The network's elementary intervals, each with the lists that count there. */
  intervals(network: number): { from: number; to: number; lists: number[] }[] {
    const first = this.#startsFrom[network] ?? 0
    const end = this.#startsFrom[network + 1] ?? first
    return Array.from({ length: end - first }, (_, index) => {
      const from = this.#starts[first + index] ?? 0
      const next = index + 1 < end - first ? (this.#starts[first + index + 1] ?? 0) : 0x10000
      const lists: number[] = []
      for (let node = this.leafOf(network, from); node > 0; node >>>= 1) lists.push(this.baseOf(network) + node)
      return { from, to: next - 1, lists }
    })
  }

  /** The first list of the network's tree; list of tree node n is base + n. */
  baseOf(network: number): number {
    return (this.#startsFrom[network] as number) * 2
  }

  /** The tree node to start at for this port; halve it until 0 to see all lists. */
  leafOf(network: number, port: number): number {
    const first = this.#startsFrom[network] as number
    const end = this.#startsFrom[network + 1] as number
    let low = first
    let high = end - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#starts[middle] as number) <= port) low = middle
      else high = middle - 1
    }
    return low - first + (end - first)
  }
}

/** Puts the entry at the tree nodes that together cover the leaves low .. high - 1. */
function cover(tree: readonly Entry[][], low: number, high: number, entry: Entry): void {
  for (let from = low, to = high; from < to; from >>= 1, to >>= 1) {
    if (from & 1) tree[from++]?.push(entry)
    if (to & 1) tree[--to]?.push(entry)
  }
}
