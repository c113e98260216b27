/**
 * What a policy may name: lists (`$name` in entries, `name` in conditions) and macros, its own and those of the files that it
 * includes. An included file holds definitions only; it is read once, whoever includes it. Reading is the caller's: nothing
 * here touches a file.
 */
import { isMap, isScalar, type Scalar } from 'yaml'
import type { DiagnosticSink } from './diagnostics.js'
import { MappedText } from './falco/mapped-text.js'
import { keysOf } from './keys.js'
import type { SourceSpan } from './model.js'
import { didYouMean } from './nearest.js'
import { type Field, type Node, NodeReader } from './node-reader.js'
import type { SourceText } from './source-text.js'
import { quoted } from './visible-text.js'
import { decodeSource, parseYaml } from './yaml-source.js'

/** A node and the reader of the document that it stands in. */
export interface Item {
  readonly node: Node
  readonly reader: NodeReader
}

export interface NamedList {
  readonly name: string
  readonly span: SourceSpan
  /** Lists that they name are put in. */
  readonly items: readonly Item[]
}

export interface NamedCondition {
  readonly name: string
  readonly span: SourceSpan
  readonly condition: MappedText
}

export interface Scope {
  readonly lists: ReadonlyMap<string, NamedList>
  readonly macros: ReadonlyMap<string, NamedCondition>
}

/** Gives the bytes of the file that `name` means when `from` includes it; a text is the reason why it cannot. */
export type IncludeSource = (from: string, name: string) => { file: string; bytes: Uint8Array } | string

/** All lists of a policy together, after putting lists into lists. Ends files that multiply lists by lists. */
const ITEMS_MAX_COUNT = 100_000
const DEPTH_MAX_COUNT = 32
const DEFINITION_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/
export const EMPTY_SCOPE: Scope = { lists: new Map(), macros: new Map() }

export class DefinitionLoader {
  readonly #sink: DiagnosticSink
  readonly #include: IncludeSource
  readonly #sources: Map<string, SourceText>
  readonly #files = new Map<string, Scope>()
  readonly #open: string[] = []

  constructor(sink: DiagnosticSink, include: IncludeSource, sources: Map<string, SourceText>) {
    this.#sink = sink
    this.#include = include
    this.#sources = sources
  }

  /** What the document's `include`, `lists` and `macros` define, over what `outer` does. */
  read(fields: ReadonlyMap<string, Field>, reader: NodeReader, outer: Scope = EMPTY_SCOPE): Scope {
    const lists = new Map(outer.lists)
    const macros = new Map(outer.macros)
    for (const scope of this.#included(fields.get('include'), reader)) {
      for (const [name, list] of scope.lists) this.#define(lists, name, list, reader)
      for (const [name, macro] of scope.macros) this.#define(macros, name, macro, reader)
    }
    const macrosField = fields.get('macros')
    for (const macro of macrosField === undefined ? [] : readMacros(macrosField, reader))
      this.#define(macros, macro.name, macro, reader)
    const listsField = fields.get('lists')
    if (listsField !== undefined)
      for (const list of new ListReader(listsField, lists, reader).read()) this.#define(lists, list.name, list, reader)
    return { lists, macros }
  }

  /** A name means one thing: the same definition may come along two ways, another one is refused. */
  #define<Value extends { span: SourceSpan }>(
    into: Map<string, Value>,
    name: string,
    value: Value,
    reader: NodeReader,
  ) {
    const first = into.get(name)
    if (first === undefined) into.set(name, value)
    else if (first.span.file !== value.span.file || first.span.line !== value.span.line)
      reader.error(
        'policy_duplicate_name',
        value.span,
        `${quoted(name)} is defined twice`,
        `first in ${first.span.file}:${first.span.line}`,
      )
  }

  #included(field: Field | undefined, reader: NodeReader): Scope[] {
    if (field === undefined) return []
    return (reader.texts(field.value, '`include`') ?? []).flatMap(({ text, span }) => {
      if (text.startsWith('/') || text.trim() === '') {
        reader.error('policy_include', span, `${quoted(text)} is not a path relative to this file`)
        return []
      }
      const found = this.#include(reader.source.file, text)
      if (typeof found === 'string') {
        reader.error('policy_include', span, `${quoted(text)} cannot be included: ${found}`)
        return []
      }
      if (this.#open.includes(found.file) || found.file === reader.source.file) {
        reader.error('policy_include', span, `${quoted(text)} includes itself`)
        return []
      }
      if (this.#open.length >= DEPTH_MAX_COUNT) {
        reader.error('policy_limit', span, `includes nest deeper than ${DEPTH_MAX_COUNT}`)
        return []
      }
      return [this.#file(found.file, found.bytes, span)]
    })
  }

  #file(file: string, bytes: Uint8Array, span: SourceSpan): Scope {
    const known = this.#files.get(file)
    if (known !== undefined) return known
    this.#open.push(file)
    let scope = EMPTY_SCOPE
    const before = this.#sink.errorCount
    const source = decodeSource(file, bytes, this.#sink)
    if (source !== undefined) this.#sources.set(file, source)
    if (source !== undefined) scope = this.#documents(source)
    this.#open.pop()
    this.#files.set(file, scope)
    if (this.#sink.errorCount > before)
      this.#sink.error('policy_include', span, `the included file ${quoted(file)} has errors`)
    return scope
  }

  #documents(source: SourceText): Scope {
    let scope = EMPTY_SCOPE
    for (const document of parseYaml(source, this.#sink)) {
      if (document.errors.length > 0) continue
      const reader = new NodeReader(source, document, this.#sink)
      scope = readShared(reader, this, scope)
    }
    return scope
  }
}

/** Definitions alone, for the documents after it in its file and for files that include it: `lists` or `macros` and no policy. */
export function isSharedDocument({ document }: NodeReader): boolean {
  const { contents } = document
  if (!isMap(contents) || ['policy', 'rules', 'containers'].some((key) => contents.has(key))) return false
  return contents.has('lists') || contents.has('macros')
}

export function readShared(reader: NodeReader, loader: DefinitionLoader, outer: Scope): Scope {
  const fields = reader.map(reader.document.contents, 'shared definitions')
  if (fields === undefined) return outer
  checkSharedKeys(fields, reader)
  return loader.read(fields, reader, outer)
}

function checkSharedKeys(fields: ReadonlyMap<string, Field>, reader: NodeReader): void {
  const known = keysOf('shared')
  for (const field of fields.values())
    if (field.key === 'policy' || field.key === 'rules')
      reader.error(
        'policy_include',
        field.keySpan,
        'an included file holds `lists` and `macros` only',
        'load policies with --policies; share what they have in common',
      )
    else if (!known.includes(field.key)) reader.unknownKey(field, 'shared definitions', known)
}

function readMacros(field: Field, reader: NodeReader): NamedCondition[] {
  const fields = reader.map(field.value, '`macros`')
  return [...(fields?.values() ?? [])].flatMap((each) => {
    checkName(each, reader)
    const condition = mappedText(each, reader)
    return condition === undefined ? [] : [{ name: each.key, span: each.keySpan, condition }]
  })
}

/** The text of a condition with the way back to its places; undefined after a diagnostic. */
export function mappedText(field: Field, reader: NodeReader): MappedText | undefined {
  const text = reader.text(field.value, quoted(field.key))
  if (text === undefined) return undefined
  const { value } = field
  if (!isScalar(value)) {
    reader.error('policy_wrong_type', field.span, `${quoted(field.key)} is an alias, expected text`)
    return undefined
  }
  return MappedText.of(text.text, value as Scalar.Parsed, reader.source)
}

function checkName(field: Field, reader: NodeReader): void {
  if (!DEFINITION_NAME.test(field.key))
    reader.error(
      'policy_bad_value',
      field.keySpan,
      `${quoted(field.key)} cannot be the name of a definition`,
      'letters, digits, `_`, `-` and `.`, at most 128, beginning with a letter or `_`',
    )
}

/** The lists of one document, in any order, with `$name` put in. */
class ListReader {
  readonly #fields: ReadonlyMap<string, Field>
  readonly #known: ReadonlyMap<string, NamedList>
  readonly #reader: NodeReader
  readonly #read = new Map<string, NamedList>()
  readonly #open = new Set<string>()
  #itemCount = 0

  constructor(field: Field, known: ReadonlyMap<string, NamedList>, reader: NodeReader) {
    this.#fields = reader.map(field.value, '`lists`') ?? new Map()
    this.#known = known
    this.#reader = reader
  }

  read(): NamedList[] {
    return [...this.#fields.values()].map((field) => {
      checkName(field, this.#reader)
      return this.#list(field)
    })
  }

  #list(field: Field): NamedList {
    const known = this.#read.get(field.key)
    if (known !== undefined) return known
    this.#open.add(field.key)
    const items: Item[] = []
    for (const node of this.#reader.list(field.value, `the list ${quoted(field.key)}`) ?? []) {
      const reference = listReference(node, this.#reader)
      if (reference === undefined) this.#add(items, [{ node, reader: this.#reader }], node)
      else this.#add(items, this.#named(reference, node), node)
    }
    this.#open.delete(field.key)
    const list = { name: field.key, span: field.keySpan, items }
    this.#read.set(field.key, list)
    return list
  }

  #named(name: string, node: Node): readonly Item[] {
    const own = this.#fields.get(name)
    if (own === undefined) {
      const other = this.#known.get(name)
      if (other === undefined) unknownList(name, node, this.#reader, [...this.#fields.keys(), ...this.#known.keys()])
      return other?.items ?? []
    }
    if (!this.#open.has(name)) return this.#list(own).items
    this.#reader.error('policy_list', this.#reader.span(node), `the list ${quoted(name)} is a part of itself`)
    return []
  }

  #add(into: Item[], items: readonly Item[], node: Node): void {
    this.#itemCount += items.length
    if (this.#itemCount <= ITEMS_MAX_COUNT) for (const item of items) into.push(item)
    else if (this.#itemCount - items.length <= ITEMS_MAX_COUNT)
      this.#reader.error(
        'policy_limit',
        this.#reader.span(node),
        `the lists have more than ${ITEMS_MAX_COUNT} items together`,
      )
  }
}

/** The name after `$`; undefined: the node names no list. */
function listReference(node: Node, reader: NodeReader): string | undefined {
  const text = reader.isList(node) || reader.isMap(node) ? undefined : reader.written(node)?.text
  return text?.startsWith('$') === true ? text.slice(1) : undefined
}

function unknownList(name: string, node: Node, reader: NodeReader, known: readonly string[]): void {
  const help = didYouMean(name, known) ?? 'lists are defined under `lists`, or in a file under `include`'
  reader.error('policy_list', reader.span(node), `there is no list ${quoted(name)}`, help)
}

/** The nodes with the lists that they name put in. */
export function expandItems(nodes: readonly Node[], reader: NodeReader, scope: Scope): Item[] {
  return nodes.flatMap((node) => {
    const name = listReference(node, reader)
    if (name === undefined) return [{ node, reader }]
    const list = scope.lists.get(name)
    if (list === undefined) unknownList(name, node, reader, [...scope.lists.keys()])
    // the list may be another file's: what is wrong in it for this rule is said with this rule's name
    return (list?.items ?? []).map((item) => ({ node: item.node, reader: item.reader.at(reader.place) }))
  })
}
