/**
 * Nodes as flat jump code: three numbers a step (what is asked, where to go on when it holds, where when not). What is asked
 * is a predicate, or another node's code, which is run at most once an event.
 */
import type { Nodes } from './nodes.js'

export const ACCEPT = -1
export const REJECT = -2
const STEP = 3

export class Code {
  readonly #nodes: Nodes
  readonly #words: number[] = []
  /** Entry of a node's code; ACCEPT and REJECT of constants. */
  readonly #entries = new Map<number, number>()
  /** Node -> number of its macro; entries of the macros. */
  readonly #macros = new Map<number, number>()
  readonly #macroEntries: number[] = []
  readonly macroNames: string[] = []
  readonly #predicateCount: number

  constructor(nodes: Nodes, predicateCount: number) {
    this.#nodes = nodes
    this.#predicateCount = predicateCount
  }

  /** What is asked at a step: below the number of predicates one of them, from there on macros. */
  get words(): Int32Array {
    return Int32Array.from(this.#words)
  }

  get macroEntries(): Int32Array {
    return Int32Array.from(this.#macroEntries)
  }

  entry(node: number): number {
    const known = this.#entries.get(node)
    if (known !== undefined) return known
    const entry = this.#emit(node, ACCEPT, REJECT)
    this.#entries.set(node, entry)
    return entry
  }

  /** The number by which the node's answer is asked and remembered: for what is no comparison and no macro, one is made. */
  asked(id: number): number {
    const node = this.#nodes.at(id)
    if (node.kind === 'predicate') return node.predicate
    const [part, name] = node.kind === 'macro' ? [node.part, node.name] : [id, `of several rules (${id})`]
    return this.#predicateCount + this.#macro(id, part, name)
  }

  /** The code that goes on at `yes` when the node is true, else at `no`; what is jumped to stands before. */
  #emit(id: number, yes: number, no: number): number {
    const node = this.#nodes.at(id)
    switch (node.kind) {
      case 'constant':
        return node.value ? yes : no
      case 'not':
        return this.#emit(node.part, no, yes)
      case 'and':
        return node.parts.reduceRight((after, part) => this.#emit(part, after, no), yes)
      case 'or':
        return node.parts.reduceRight((after, part) => this.#emit(part, yes, after), no)
      default: {
        const asked = this.asked(id)
        this.#words.push(asked, yes, no)
        return this.#words.length - STEP
      }
    }
  }

  #macro(id: number, part: number, name: string): number {
    const known = this.#macros.get(id)
    if (known !== undefined) return known
    const entry = this.entry(part)
    const macro = this.#macroEntries.push(entry) - 1
    this.macroNames.push(name)
    this.#macros.set(id, macro)
    return macro
  }
}
