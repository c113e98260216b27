/**
 * Lists with the lists that they name put in, to any depth, as values and not as text. An item names a list when it stands
 * without quotes and a list of that name was defined before the item was written; else it is a value.
 */
import type { FieldType } from '../../record/fields/types.js'
import { readLiteral } from '../condition/literals.js'
import type { DiagnosticSink } from '../diagnostics.js'
import { quoted } from '../visible-text.js'
import { itemValue } from './exceptions.js'
import type { ListDefinition } from './model.js'

/** All lists together after expansion; the public files have 1,319 items. Ends files that multiply lists by lists. */
const ITEMS_MAX_COUNT = 1_000_000
/** Lists in lists in lists; the public files go two deep. */
const DEPTH_MAX_COUNT = 100

class ExpandedList {
  /** Distinct values, by their bytes. */
  readonly values = new Map<string, Uint8Array>()
  readonly #faults = new Map<FieldType, string | undefined>()

  fault(type: FieldType): string | undefined {
    if (!this.#faults.has(type)) this.#faults.set(type, this.#find(type))
    return this.#faults.get(type)
  }

  #find(type: FieldType): string | undefined {
    for (const bytes of this.values.values()) {
      const literal = readLiteral(type, bytes)
      if (!literal.ok) return literal.message
    }
    return undefined
  }
}

export class Lists {
  readonly #definitions: ReadonlyMap<string, ListDefinition>
  readonly #sink: DiagnosticSink
  readonly #expanded = new Map<string, ExpandedList>()
  readonly #open = new Set<string>()
  #itemCount = 0

  constructor(definitions: ReadonlyMap<string, ListDefinition>, sink: DiagnosticSink) {
    this.#definitions = definitions
    this.#sink = sink
    for (const definition of definitions.values()) this.#expand(definition)
  }

  has(name: string): boolean {
    return this.#definitions.has(name)
  }

  names(): Iterable<string> {
    return this.#definitions.keys()
  }

  values(name: string): readonly Uint8Array[] | undefined {
    const list = this.#expanded.get(name)
    return list === undefined ? undefined : [...list.values.values()]
  }

  fault(name: string, type: FieldType): string | undefined {
    return this.#expanded.get(name)?.fault(type)
  }

  isEmpty(name: string): boolean {
    return this.#expanded.get(name)?.values.size === 0
  }

  #expand(definition: ListDefinition): ExpandedList {
    const known = this.#expanded.get(definition.name)
    if (known !== undefined) return known
    const list = new ExpandedList()
    this.#open.add(definition.name)
    for (const { text, span, order } of definition.items) {
      const read = itemValue(text)
      const place = `the list ${quoted(definition.name)}`
      if (typeof read === 'string') {
        this.#sink.error('condition_syntax', span, `in ${place}: ${read}`)
        continue
      }
      const named = read.isQuoted || text === definition.name ? undefined : this.#definitions.get(text)
      if (named === undefined || named.order >= order) this.#add(list, [read.bytes])
      else if (this.#open.has(named.name))
        this.#sink.error('condition_unknown_name', span, `${place} is a part of itself through ${quoted(text)}`)
      else if (this.#open.size > DEPTH_MAX_COUNT)
        this.#sink.error('condition_unknown_name', span, `lists nest deeper than ${DEPTH_MAX_COUNT}`)
      else this.#add(list, this.#expand(named).values.values())
      if (this.#itemCount <= ITEMS_MAX_COUNT) continue
      this.#sink.error('policy_limit', span, `the lists have more than ${ITEMS_MAX_COUNT} items together`)
      break
    }
    this.#open.delete(definition.name)
    this.#expanded.set(definition.name, list)
    return list
  }

  #add(list: ExpandedList, values: Iterable<Uint8Array>): void {
    for (const bytes of values) {
      const key = Buffer.from(bytes).toString('latin1')
      if (list.values.has(key)) continue
      list.values.set(key, bytes)
      if (++this.#itemCount > ITEMS_MAX_COUNT) return
    }
  }
}
