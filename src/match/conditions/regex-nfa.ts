/** Regular expressions as flat instructions over classes of code points: the parts from which RegexSet makes its states. */
import type { RegexNode } from '../../policy/condition/regex.js'

/** A code point of set `arg`, then `next`. */
export const OP_SET = 0
/** `arg` or `next`. */
export const OP_SPLIT = 1
export const OP_LINE_START = 2
export const OP_LINE_END = 3
/** Expression `arg` matches. */
export const OP_MATCH = 4

const ASCII_COUNT = 0x80
const NEWLINE = 0x0a

export interface Nfa {
  readonly ops: Uint8Array
  readonly args: Int32Array
  readonly nexts: Int32Array
  /** Where each expression begins, ascending. */
  readonly starts: Int32Array
  /** 1 where set s has class c, at s * classCount + c. */
  readonly setHas: Uint8Array
  readonly classCount: number
  readonly asciiClass: Uint16Array
  readonly newlineClass: number
  classOf(point: number): number
}

export function nfaOf(nodes: readonly RegexNode[]): Nfa {
  const builder = new Builder()
  const starts = nodes.map((node, index) => builder.add(node, builder.push(OP_MATCH, index, -1)))
  const bounds = boundsOf(builder.sets)
  const classOf = (point: number) => {
    let low = 0
    let high = bounds.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((bounds[middle] as number) <= point) low = middle
      else high = middle
    }
    return low
  }
  const setHas = new Uint8Array(builder.sets.length * bounds.length)
  for (const [set, ranges] of builder.sets.entries())
    for (let at = 0; at < ranges.length; at += 2) {
      const last = classOf(ranges[at + 1] ?? 0)
      for (let each = classOf(ranges[at] ?? 0); each <= last; each++) setHas[set * bounds.length + each] = 1
    }
  return {
    ops: Uint8Array.from(builder.ops),
    args: Int32Array.from(builder.args),
    nexts: Int32Array.from(builder.nexts),
    starts: Int32Array.from(starts).sort(),
    setHas,
    classCount: bounds.length,
    asciiClass: Uint16Array.from({ length: ASCII_COUNT }, (_, byte) => classOf(byte)),
    newlineClass: classOf(NEWLINE),
    classOf,
  }
}

/** First code points of the classes: between two of them no set tells code points apart. */
function boundsOf(sets: readonly (readonly number[])[]): Uint32Array {
  const bounds = new Set([0, NEWLINE, NEWLINE + 1])
  for (const ranges of sets)
    for (let at = 0; at < ranges.length; at += 2) {
      bounds.add(ranges[at] ?? 0)
      bounds.add((ranges[at + 1] ?? 0) + 1)
    }
  return Uint32Array.from(bounds).sort()
}

class Builder {
  readonly ops: number[] = []
  readonly args: number[] = []
  readonly nexts: number[] = []
  readonly sets: (readonly number[])[] = []
  readonly #setIndex = new Map<string, number>()

  push(op: number, arg: number, next: number): number {
    this.ops.push(op)
    this.args.push(arg)
    this.nexts.push(next)
    return this.ops.length - 1
  }

  /** Where the node begins, when `next` follows it. */
  add(node: RegexNode, next: number): number {
    switch (node.kind) {
      case 'set':
        return this.push(OP_SET, this.#set(node.ranges), next)
      case 'line_start':
        return this.push(OP_LINE_START, 0, next)
      case 'line_end':
        return this.push(OP_LINE_END, 0, next)
      case 'sequence':
        return node.parts.reduceRight((after, part) => this.add(part, after), next)
      case 'choice': {
        const [last, ...others] = node.parts.map((part) => this.add(part, next)).reverse()
        return others.reduce((below, each) => this.push(OP_SPLIT, each, below), last ?? next)
      }
      default:
        return this.#repeat(node.part, node.least, node.most, next)
    }
  }

  #repeat(part: RegexNode, least: number, most: number | undefined, next: number): number {
    let start = next
    if (most === undefined) {
      start = this.push(OP_SPLIT, -1, next)
      this.args[start] = this.add(part, start)
    } else for (let count = least; count < most; count++) start = this.push(OP_SPLIT, this.add(part, start), next)
    for (let count = 0; count < least; count++) start = this.add(part, start)
    return start
  }

  #set(ranges: readonly number[]): number {
    const key = ranges.join()
    const known = this.#setIndex.get(key)
    if (known !== undefined) return known
    this.#setIndex.set(key, this.sets.length)
    return this.sets.push(ranges) - 1
  }
}
