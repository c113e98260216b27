/**
 * Parts of a condition that must hold for it to be true and that many rules of a segment share, such as `not container`, a
 * macro or a comparison of two fields. Where such a part does not hold, all its rules are ruled out by one step of the sieve,
 * whatever it is made of: what falsifies by single comparisons alone leaves rules over that wait for one to be missing.
 */
import type { Steps } from '../steps.js'
import type { Gates, Lowered } from './gates.js'

/** Parts of one rule that are looked at; what stands behind them is left to the rule's own code. */
const PARTS_MAX_COUNT = 64
/** Each is asked once an event: those that most rules share. */
const DEMANDS_MAX_COUNT = 16

export interface Demand {
  readonly node: number
  /** The answer that the rules need. */
  readonly isWanted: boolean
}

export class Demands {
  readonly all: Demand[] = []
  /** Rules that a demand rules out, by demand. */
  readonly rules: Set<number>[] = []
  readonly #ids = new Map<number, number>()
  readonly #lowered: Lowered
  readonly #gates: Gates

  constructor(lowered: Lowered, gates: Gates) {
    this.#lowered = lowered
    this.#gates = gates
  }

  /** Demands of a list of rules behind the set of a gate: what at least `sharedMinCount` of them share, the most shared first. */
  *of(rules: readonly number[], nodes: readonly number[], set: number, sharedMinCount: number): Steps<number[]> {
    const byPart = new Map<number, number[]>()
    for (const rule of rules) {
      const parts: Demand[] = []
      this.#collect(nodes[rule] ?? 0, true, parts)
      for (const part of parts) {
        if (this.#isKnown(part, set)) continue
        const key = part.node * 2 + Number(part.isWanted)
        const sharing = byPart.get(key)
        if (sharing === undefined) byPart.set(key, [rule])
        else if (sharing[sharing.length - 1] !== rule) sharing.push(rule)
      }
      yield
    }
    const shared = [...byPart].filter(([, sharing]) => sharing.length >= sharedMinCount)
    shared.sort(([, a], [, b]) => b.length - a.length)
    return shared.slice(0, DEMANDS_MAX_COUNT).map(([key, sharing]) => this.#id(key, sharing))
  }

  #id(key: number, rules: readonly number[]): number {
    const id = this.#ids.get(key) ?? this.all.push({ node: key >> 1, isWanted: (key & 1) === 1 }) - 1
    this.#ids.set(key, id)
    const own = this.rules[id] ?? new Set()
    this.rules[id] = own
    for (const rule of rules) own.add(rule)
    return id
  }

  #collect(id: number, isWanted: boolean, into: Demand[]): void {
    if (into.length >= PARTS_MAX_COUNT) return
    const node = this.#lowered.nodes.at(id)
    if (node.kind === 'not') this.#collect(node.part, !isWanted, into)
    else if (node.kind === (isWanted ? 'and' : 'or')) for (const part of node.parts) this.#collect(part, isWanted, into)
    else into.push({ node: id, isWanted })
  }

  /** Already so where the segment is opened, or where the atoms have been sieved: asking would rule out nothing. */
  #isKnown({ node: id, isWanted }: Demand, set: number): boolean {
    const node = this.#lowered.nodes.at(id)
    if (node.kind !== 'predicate') return false
    const predicate = this.#lowered.predicates.at(node.predicate)
    switch (predicate.kind) {
      case 'type':
        return true
      case 'exists':
        return isWanted
      case 'differs': {
        const { isSeveral, isEitherEnd } = this.#lowered.operands.at(predicate.operand)
        return isWanted && (!isSeveral || isEitherEnd)
      }
      case 'atom':
      case 'any':
      case 'order':
        return !isWanted || this.#gates.gate(id)?.sets.includes(set) === true
      default:
        return false
    }
  }
}
