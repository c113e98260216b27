/** Comparisons as they are written, over atoms; each distinct one once. */
import type { Operator } from '../../policy/condition/ast.js'

export type CountMode = 'oneof' | 'anyof' | 'allof'

export type Predicate =
  /** A single comparison. */
  | { readonly kind: 'atom'; readonly operand: number; readonly atom: number }
  /** At least one of the atoms, ascending: `in`, `intersects`, `pmatch`. */
  | { readonly kind: 'any'; readonly operand: number; readonly atoms: Int32Array }
  /** `<` and its like: decided by the value's place, not by a walk. */
  | { readonly kind: 'order'; readonly operand: number; readonly atom: number }
  /** `!=`: present, and no value equal (single values, either end), or some value not equal. */
  | { readonly kind: 'differs'; readonly operand: number; readonly atom: number }
  | { readonly kind: 'exists'; readonly operand: number }
  /** `in` of a list: every value is one of the atoms' (of `=`). */
  | { readonly kind: 'every'; readonly operand: number; readonly atoms: Int32Array }
  /** Modifiers: how many of the predicates hold, equal values counted as often as written; negated: `!=`. */
  | {
      readonly kind: 'count'
      readonly operand: number
      readonly items: readonly number[]
      readonly mode: CountMode
      readonly isNegated: boolean
    }
  /** Another field or transformer on the right. */
  | { readonly kind: 'between'; readonly operand: number; readonly operator: Operator; readonly right: number }
  /** On `evt.type`: 1 for the event types that it holds of. */
  | { readonly kind: 'type'; readonly holds: Uint8Array; readonly text: string }

export class Predicates {
  readonly all: Predicate[] = []
  readonly #ids = new Map<string, number>()

  at(id: number): Predicate {
    const predicate = this.all[id]
    if (predicate === undefined) throw new RangeError(`no predicate ${id}`)
    return predicate
  }

  id(predicate: Predicate): number {
    const key = keyOf(predicate)
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.all.push(predicate) - 1
    this.#ids.set(key, id)
    return id
  }
}

function keyOf(predicate: Predicate): string {
  switch (predicate.kind) {
    case 'atom':
    case 'order':
    case 'differs':
      return `${predicate.kind} ${predicate.atom}`
    case 'exists':
      return `exists ${predicate.operand}`
    case 'any':
    case 'every':
      return `${predicate.kind} ${predicate.operand} ${predicate.atoms.join()}`
    case 'count':
      return `count ${predicate.operand} ${predicate.mode} ${predicate.isNegated} ${predicate.items.join()}`
    case 'between':
      return `between ${predicate.operand} ${predicate.operator} ${predicate.right}`
    default:
      return `type ${predicate.holds.join('')}`
  }
}
