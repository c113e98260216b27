/** Conditions as a graph without repetition: equal parts are one node, a macro is one node wherever it is named. */

export type Node =
  | { readonly kind: 'constant'; readonly value: boolean }
  | { readonly kind: 'predicate'; readonly predicate: number }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly number[] }
  | { readonly kind: 'not'; readonly part: number }
  /** A part that many name: worked out at most once an event. */
  | { readonly kind: 'macro'; readonly part: number; readonly name: string }

export class Nodes {
  /** A node stands behind those that it is made of. */
  readonly all: Node[] = []
  readonly #ids = new Map<string, number>()
  readonly never = this.#id('never', { kind: 'constant', value: false })
  readonly always = this.#id('always', { kind: 'constant', value: true })

  at(id: number): Node {
    const node = this.all[id]
    if (node === undefined) throw new RangeError(`no node ${id}`)
    return node
  }

  predicate(predicate: number): number {
    return this.#id(`p${predicate}`, { kind: 'predicate', predicate })
  }

  not(part: number): number {
    if (part === this.never) return this.always
    if (part === this.always) return this.never
    const node = this.at(part)
    return node.kind === 'not' ? node.part : this.#id(`!${part}`, { kind: 'not', part })
  }

  junction(kind: 'and' | 'or', parts: readonly number[]): number {
    const [deciding, neutral] = kind === 'and' ? [this.never, this.always] : [this.always, this.never]
    if (parts.includes(deciding)) return deciding
    const kept = [...new Set(parts)].filter((part) => part !== neutral)
    const [first] = kept
    if (first === undefined) return neutral
    return kept.length === 1 ? first : this.#id(`${kind}${kept.join()}`, { kind, parts: kept })
  }

  /** Only what is more than a comparison is worth remembering as one. */
  macro(part: number, name: string): number {
    const { kind } = this.at(part)
    return kind === 'and' || kind === 'or' ? this.#id(`m${part}`, { kind: 'macro', part, name }) : part
  }

  #id(key: string, node: Node): number {
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.all.push(node) - 1
    this.#ids.set(key, id)
    return id
  }
}
