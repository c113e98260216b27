/**
 * What must hold for a node to be true, and what makes it false, as far as single comparisons say it.
 *
 *   gate:      sets of atoms; when the node is true at least one atom of one of them holds. A rule is looked at when its gate hits.
 *   falsifiers: sets of atoms; when any atom of any of them holds the node is false. They sieve rules that a gate lets through.
 *
 * Both are found for the node and for its negation, from the parts up; `evt.type` and what has no index say nothing.
 */
import type { Steps } from '../steps.js'
import { type Atoms, TEST_MISSING } from './atoms.js'
import type { Nodes } from './nodes.js'
import type { Operands } from './operands.js'
import type { Predicate, Predicates } from './predicates.js'
import { likelihood, likelihoodOfAny } from './rarity.js'

/** A gate of more sets, or falsifiers of more, are not worth their memory. */
const SETS_MAX_COUNT = 128
/** Atoms that are intersected one by one. */
const INTERSECTED_MAX_COUNT = 4096

export interface Gate {
  /** Ids of sets. */
  readonly sets: readonly number[]
  readonly likelihood: number
}

interface Facts {
  /** When the node is true, false. */
  gates: [Gate | undefined, Gate | undefined]
  /** Sets any atom of which makes the node true, false. */
  deciders: [readonly number[], readonly number[]]
}

const NOTHING: readonly number[] = []

/** Sets of atoms, each distinct one once. */
export class AtomSets {
  readonly all: Int32Array[] = []
  readonly #ids = new Map<string, number>()

  id(atoms: Int32Array): number {
    const key = atoms.join()
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.all.push(atoms) - 1
    this.#ids.set(key, id)
    return id
  }
}

export interface Lowered {
  readonly atoms: Atoms
  readonly operands: Operands
  readonly predicates: Predicates
  readonly nodes: Nodes
}

export class Gates {
  readonly sets = new AtomSets()
  readonly #facts: Facts[] = []
  readonly #in: Lowered
  readonly #likelihoods: number[] = []

  /** Knows nothing before `findAll` is through. */
  constructor(lowered: Lowered) {
    this.#in = lowered
  }

  *findAll(): Steps<void> {
    for (const [id] of this.#in.nodes.all.entries()) {
      this.#facts.push(this.#factsOf(id))
      yield
    }
  }

  /** Undefined: the node may be true whatever holds. */
  gate(node: number): Gate | undefined {
    return this.#facts[node]?.gates[0]
  }

  falsifiers(node: number): readonly number[] {
    return this.#facts[node]?.deciders[1] ?? NOTHING
  }

  #factsOf(id: number): Facts {
    const node = this.#in.nodes.at(id)
    switch (node.kind) {
      case 'constant':
        return { gates: [undefined, undefined], deciders: [NOTHING, NOTHING] }
      case 'predicate':
        return this.#ofPredicate(node.predicate)
      case 'macro':
        return this.#of(node.part)
      case 'not': {
        const { gates, deciders } = this.#of(node.part)
        return { gates: [gates[1], gates[0]], deciders: [deciders[1], deciders[0]] }
      }
      default: {
        const parts = node.parts.map((part) => this.#of(part))
        // what holds of `and` and true holds of `or` and false
        const one = node.kind === 'and' ? 0 : 1
        const other = 1 - one
        const gates: Facts['gates'] = [undefined, undefined]
        gates[one] = best(parts.map((part) => part.gates[one]))
        gates[other] = joined(parts.map((part) => part.gates[other]))
        const deciders: Facts['deciders'] = [NOTHING, NOTHING]
        deciders[other] = [...new Set(parts.flatMap((part) => part.deciders[other] ?? NOTHING))].slice(
          0,
          SETS_MAX_COUNT,
        )
        deciders[one] = this.#intersection(parts.map((part) => part.deciders[one] ?? NOTHING))
        return { gates, deciders }
      }
    }
  }

  #of(node: number): Facts {
    const facts = this.#facts[node]
    if (facts === undefined) throw new RangeError(`node ${node} stands before its part`)
    return facts
  }

  #ofPredicate(id: number): Facts {
    const predicate = this.#in.predicates.at(id)
    const facts: Facts = { gates: [undefined, undefined], deciders: [NOTHING, NOTHING] }
    switch (predicate.kind) {
      case 'atom':
      case 'order':
        return this.#whenAny(Int32Array.of(predicate.atom), facts)
      case 'any':
        return this.#whenAny(predicate.atoms, facts)
      case 'differs':
        return this.#ofDiffers(predicate.operand, predicate.atom, facts)
      case 'exists':
        return this.#unlessMissing(predicate.operand, facts)
      case 'count':
        return this.#ofCount(predicate, facts)
      default:
        return facts
    }
  }

  #whenAny(atoms: Int32Array, facts: Facts): Facts {
    facts.gates[0] = this.#gateOf(atoms)
    facts.deciders[0] = facts.gates[0].sets
    return facts
  }

  /** False when the field is missing; of `exists` only then, so that its negation is looked at where it is. */
  #unlessMissing(operand: number, facts: Facts): Facts {
    const missing = this.#gateOf(Int32Array.of(this.#in.atoms.id(operand, TEST_MISSING, '')))
    facts.gates[1] = missing
    facts.deciders[1] = missing.sets
    return facts
  }

  /** Its negation holds where the value is the atom's (where there are several: all of them) and where there is none. */
  #ofDiffers(operand: number, atom: number, facts: Facts): Facts {
    const { isSeveral, isEitherEnd } = this.#in.operands.at(operand)
    const equal = this.#gateOf(Int32Array.of(atom))
    const missing = this.#unlessMissing(operand, facts).gates[1]
    facts.gates[1] = joined([equal, missing])
    if (!isSeveral || isEitherEnd) facts.deciders[1] = [...equal.sets, ...facts.deciders[1]]
    return facts
  }

  #ofCount({ operand, items, mode, isNegated }: Extract<Predicate, { kind: 'count' }>, facts: Facts): Facts {
    const atoms = items.flatMap((item) => {
      const predicate = this.#in.predicates.at(item)
      return predicate.kind === 'atom' || predicate.kind === 'order' ? [predicate.atom] : []
    })
    const all = Int32Array.from(new Set(atoms)).sort()
    const each = () => best([...all].map((atom) => this.#gateOf(Int32Array.of(atom))))
    if (!isNegated && mode === 'anyof') return this.#whenAny(all, facts)
    if (!isNegated && mode === 'oneof') facts.gates[0] = this.#gateOf(all)
    if (!isNegated && mode === 'allof') facts.gates[0] = each()
    if (!isNegated || mode === 'oneof') return facts
    const missing = this.#unlessMissing(operand, facts).gates[1]
    if (mode === 'anyof') {
      // "not all of them"
      facts.gates[1] = joined([each(), missing])
      return facts
    }
    // "none of them"
    const any = this.#gateOf(all)
    facts.gates[1] = joined([any, missing])
    facts.deciders[1] = [...any.sets, ...facts.deciders[1]]
    return facts
  }

  #gateOf(atoms: Int32Array): Gate {
    const each = Array.from(atoms, (atom) => this.#likelihood(atom))
    return { sets: [this.sets.id(atoms)], likelihood: likelihoodOfAny(each) }
  }

  #likelihood(atom: number): number {
    const entry = this.#in.atoms.at(atom)
    const known = this.#likelihoods[atom] ?? likelihood(entry, this.#in.operands.at(entry.operand))
    this.#likelihoods[atom] = known
    return known
  }

  /** What every one of the lists of sets has, as one set. */
  #intersection(lists: readonly (readonly number[])[]): readonly number[] {
    const flat: Set<number>[] = []
    for (const list of lists) {
      if (list.length === 0) return NOTHING
      const size = list.reduce((sum, set) => sum + (this.sets.all[set]?.length ?? 0), 0)
      if (size > INTERSECTED_MAX_COUNT) return NOTHING
      flat.push(new Set(list.flatMap((set) => [...(this.sets.all[set] ?? [])])))
    }
    const [first, ...others] = flat
    const common = Int32Array.from([...(first ?? [])].filter((atom) => others.every((other) => other.has(atom)))).sort()
    return common.length === 0 ? NOTHING : [this.sets.id(common)]
  }
}

function best(gates: readonly (Gate | undefined)[]): Gate | undefined {
  return gates.reduce(
    (found, gate) => (gate !== undefined && (found === undefined || gate.likelihood < found.likelihood) ? gate : found),
    undefined,
  )
}

/** One of the parts holds: a gate of all their gates, if each has one. */
function joined(gates: readonly (Gate | undefined)[]): Gate | undefined {
  const sets = new Set<number>()
  let sum = 0
  for (const gate of gates) {
    if (gate === undefined) return undefined
    for (const set of gate.sets) sets.add(set)
    sum += gate.likelihood
  }
  return sets.size > SETS_MAX_COUNT ? undefined : { sets: [...sets], likelihood: sum }
}
