/**
 * Policy files in one form: keys in the order of keys.ts, indented by two, lines of at most 120 characters where they can
 * be broken. Comments and blank lines between entries stay. What does not come out with the same meaning and the same
 * comments is refused, so a formatted file never says anything else than the one before.
 */
import { isDeepStrictEqual } from 'node:util'
import { isMap, isScalar, isSeq, Lexer, type Pair, type Scalar, visit, YAMLMap, YAMLSeq } from 'yaml'
import { DiagnosticSink } from './diagnostics.js'
import { keysOf, MAPPINGS, type MappingName, type Shape } from './keys.js'
import type { LoadResult, PolicyInput } from './load.js'
import type { SourceText } from './source-text.js'
import { decodeSource, type PolicyDocument, parseYaml } from './yaml-source.js'

const PASSES_MAX_COUNT = 4
/** Width of a line, in UTF-16 units. */
const LINE_MAX_COUNT = 120

const STYLE = { lineWidth: LINE_MAX_COUNT, indent: 2, indentSeq: true, flowCollectionPadding: true } as const

export interface FormatResult extends Pick<LoadResult, 'diagnostics' | 'omittedCount' | 'errorCount' | 'sources'> {
  /** Undefined after a diagnostic. */
  readonly text: string | undefined
}

/** Needs well-formed YAML only: a policy with mistakes is formatted too. */
export function formatPolicyFile({ file, bytes }: PolicyInput): FormatResult {
  const sink = new DiagnosticSink()
  const source = decodeSource(file, bytes, sink)
  const text = source && formatSource(source, sink)
  return {
    text,
    diagnostics: sink.kept,
    omittedCount: sink.omittedCount,
    errorCount: sink.errorCount,
    sources: new Map(source === undefined ? [] : [[file, source]]),
  }
}

function formatSource(source: SourceText, sink: DiagnosticSink): string | undefined {
  const documents = parseYaml(source, sink)
  if (sink.errorCount > 0) return undefined
  const stray = documents.find(({ contents }) => !isMap(contents))
  if (stray !== undefined || documents.length === 0) {
    const [from = 0, to = 0] = stray?.contents?.range ?? []
    sink.error('policy_wrong_type', source.span(from, to), 'this is no policy: its documents are mappings')
    return undefined
  }
  const before = documents.map(meaningOf)
  const text = before.includes(undefined) ? undefined : stable(textOf(documents), source.file)
  if (text !== undefined && isSame(before, text, source)) return text
  sink.error(
    'policy_unsupported',
    source.span(0, 0),
    'the file cannot be formatted without a change of its meaning or a loss of comments',
    'move comments out of brackets and to lines of their own, and write aliases out',
  )
  return undefined
}

function textOf(documents: readonly PolicyDocument[]): string {
  return documents.map((document, index) => formatDocument(document, index > 0)).join('')
}

/** The library may take another pass to settle comments between nested ends; undefined: it does not settle. */
function stable(text: string, file: string): string | undefined {
  let last = text
  for (let pass = 0; pass < PASSES_MAX_COUNT; pass++) {
    const next = textOf(documentsOf(last, file))
    if (next === last) return last
    last = next
  }
  return undefined
}

function documentsOf(text: string, file: string): PolicyDocument[] {
  const sink = new DiagnosticSink()
  const source = decodeSource(file, new TextEncoder().encode(text), sink)
  const documents = source === undefined ? [] : parseYaml(source, sink)
  return sink.errorCount === 0 ? documents : []
}

function formatDocument(document: PolicyDocument, isLater: boolean): string {
  // An alias has to stand behind its anchor, wherever that would be put.
  if (!hasAlias(document)) {
    keepHead(document)
    order(document.contents, { is: 'map', of: 'policy' })
  }
  visit(document, {
    Map: (key, node) => (node.flow === true && !(node instanceof FlowMap) ? new FlowMap(node, key) : undefined),
    Seq: (key, node) => (node.flow === true && !(node instanceof FlowSeq) ? new FlowSeq(node, key) : undefined),
    Pair: (_, pair) => noteKeyWidth(pair),
  })
  if (isLater && document.directives !== undefined) document.directives.docStart = true
  return document.toString(STYLE)
}

/** A comment above the first key with a blank line below it is of the whole document, and does not move with the key. */
function keepHead(document: PolicyDocument): void {
  const first = isMap(document.contents) ? document.contents.items[0]?.key : undefined
  const comment = isScalar(first) ? first.commentBefore : undefined
  const end = comment?.lastIndexOf('\n\n') ?? -1
  if (!isScalar(first) || typeof comment !== 'string' || end === -1) return
  first.commentBefore = comment.slice(end + 2)
  document.commentBefore = [document.commentBefore, comment.slice(0, end)].filter(Boolean).join('\n\n')
}

function hasAlias(document: PolicyDocument): boolean {
  let found = false
  visit(document, {
    Alias: () => {
      found = true
      return visit.BREAK
    },
  })
  return found
}

/** Puts the keys of a mapping, and of those in it, in the order of the table; keys that it has not stay behind, as they were. */
function order(node: unknown, shape: Shape): void {
  switch (shape.is) {
    case 'map':
      if (isMap(node)) orderMap(node, shape.of)
      return
    case 'either':
      for (const each of shape.of) order(node, each)
      return
    case 'any keys':
      if (isMap(node)) for (const { value } of node.items) order(value, shape.to)
      return
    case 'one or list':
    case 'list':
      if (isSeq(node)) for (const item of node.items) order(item, shape.of)
      else if (shape.is === 'one or list') order(node, shape.of)
      return
    default:
      return
  }
}

function orderMap(map: YAMLMap, name: MappingName): void {
  const known = keysOf(name)
  const placeOf = ({ key }: Pair) => {
    const place = isScalar(key) && typeof key.value === 'string' ? known.indexOf(key.value) : -1
    return place === -1 ? known.length : place
  }
  const sorted = map.items.map((pair, index) => ({ pair, index, place: placeOf(pair) }))
  sorted.sort((a, b) => a.place - b.place || a.index - b.index)
  map.items = sorted.map(({ pair }) => pair)
  const [first] = map.items
  if (isScalar(first?.key)) first.key.spaceBefore = false
  for (const { key, value } of map.items) {
    const spec = isScalar(key) && typeof key.value === 'string' ? MAPPINGS[name][key.value] : undefined
    if (spec !== undefined) order(value, spec.shape)
  }
}

type Context = Parameters<YAMLMap['toString']>[0]

/** What stands before a value on its line: `key: `, less the indent of its own lines. */
function noteKeyWidth({ key, value }: Pair): void {
  if ((value instanceof YAMLMap || value instanceof YAMLSeq) && value.flow === true && isScalar(key))
    keyWidths.set(value, String(key.source ?? key.value).length)
}
const keyWidths = new WeakMap<object, number>()

/** `{ a: b }` where it fits into the line, else a block. */
class FlowMap extends YAMLMap {
  constructor(from: YAMLMap, _key: unknown) {
    super(from.schema)
    Object.assign(this, from)
    moveWidth(from, this)
  }

  override toString(context?: Context, onComment?: () => void, onChompKeep?: () => void): string {
    const print = () => super.toString(context, onComment, onChompKeep)
    if (context === undefined || context.inFlow === true) return print()
    if (fits(print(), this, context)) return print()
    this.flow = false
    return print()
  }
}

/** `[a, b]` where it fits into the line, else filled lines of scalars, else a block. */
class FlowSeq extends YAMLSeq {
  constructor(from: YAMLSeq, _key: unknown) {
    super(from.schema)
    Object.assign(this, from)
    moveWidth(from, this)
  }

  override toString(context?: Context, onComment?: () => void, onChompKeep?: () => void): string {
    const print = () => super.toString(context && { ...context, flowCollectionPadding: '' }, onComment, onChompKeep)
    if (context === undefined || context.inFlow === true) return print()
    const text = print()
    if (fits(text, this, context)) return text
    if (this.items.every((item) => isScalar(item) && !isCommented(item))) return filled(text, context)
    this.flow = false
    return super.toString(context, onComment, onChompKeep)
  }
}

function moveWidth(from: object, to: object): void {
  const width = keyWidths.get(from)
  if (width !== undefined) keyWidths.set(to, width)
}

function fits(text: string, node: object, { indent }: NonNullable<Context>): boolean {
  return !text.includes('\n') && indent.length + (keyWidths.get(node) ?? 0) + text.length <= LINE_MAX_COUNT
}

function isCommented({ comment, commentBefore, spaceBefore }: Scalar): boolean {
  return Boolean(comment) || Boolean(commentBefore) || spaceBefore === true
}

/** `text`: the list in one line, or one entry a line. */
function filled(text: string, { indent, indentStep }: NonNullable<Context>): string {
  const entries = text.includes('\n') ? text.split('\n').slice(1, -1) : splitEntries(text)
  const deep = indent + indentStep
  const lines = ['']
  for (const entry of entries.map((each) => each.trim())) {
    const last = lines[lines.length - 1] ?? ''
    if (last !== '' && deep.length + last.length + 1 + entry.length > LINE_MAX_COUNT) lines.push(entry)
    else lines[lines.length - 1] = last === '' ? entry : `${last} ${entry}`
  }
  return `[\n${lines.map((line) => deep + line).join('\n')}\n${indent}]`
}

/** Of `[a, "b, c"]`, each with the comma behind it. */
function splitEntries(text: string): string[] {
  return text.slice(1, -1).match(/(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,"'][^,]*)(?:,|$)/g) ?? [text.slice(1, -1)]
}

/** Undefined: aliases without an anchor, or that multiply beyond what a policy can hold. */
function meaningOf(document: PolicyDocument): { value: unknown } | undefined {
  try {
    return { value: document.toJS() }
  } catch {
    return undefined
  }
}

function isSame(before: readonly unknown[], text: string, source: SourceText): boolean {
  const after = documentsOf(text, source.file).map(meaningOf)
  return isDeepStrictEqual(before, after) && isDeepStrictEqual(commentsOf(source.text), commentsOf(text))
}

/** In no order: they move with their keys. */
function commentsOf(text: string): string[] {
  return [...new Lexer().lex(text)]
    .filter((lexeme) => lexeme.startsWith('#'))
    .map((comment) => comment.trim())
    .sort()
}
