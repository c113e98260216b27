/**
 * Reads YAML nodes as what the policy language expects in a place: mapping, text, list of texts, boolean. A wrong type is
 * a diagnostic and undefined, so that the caller goes on and the user sees more than the first mistake.
 */
import { isAlias, isMap, isScalar, isSeq, type ParsedNode, type Scalar } from 'yaml'
import type { DiagnosticSink, Place, PolicyErrorName } from './diagnostics.js'
import type { SourceSpan } from './model.js'
import { didYouMean } from './nearest.js'
import type { SourceText } from './source-text.js'
import { quoted } from './visible-text.js'
import type { PolicyDocument } from './yaml-source.js'

export type Node = ParsedNode | null

export interface Field {
  readonly key: string
  readonly keySpan: SourceSpan
  readonly value: Node
  /** Of the value; of the key when there is no value. */
  readonly span: SourceSpan
}

export interface TextAt {
  readonly text: string
  readonly span: SourceSpan
}

export class NodeReader {
  /** Attached to every diagnostic from here on. */
  place: Place = {}

  constructor(
    readonly source: SourceText,
    readonly document: PolicyDocument,
    readonly sink: DiagnosticSink,
  ) {}

  /** The same document, its diagnostics attached to another place. */
  at(place: Place): NodeReader {
    const reader = new NodeReader(this.source, this.document, this.sink)
    reader.place = place
    return reader
  }

  span(node: Node): SourceSpan {
    const range = node?.range
    return range === undefined || range === null ? this.source.span(0, 0) : this.source.span(range[0], range[1])
  }

  error(name: PolicyErrorName, span: SourceSpan, message: string, help?: string): void {
    this.sink.error(name, span, message, help, this.place)
  }

  warning(name: PolicyErrorName, span: SourceSpan, message: string, help?: string): void {
    this.sink.warning(name, span, message, help, this.place)
  }

  /**
   * `what` names the place in messages: `a rule`, `` `exec` ``. `listHelp`: what to say of a list in its place. Keys that stand
   * twice are reported and the first is kept.
   */
  map(node: Node, what: string, listHelp?: string): Map<string, Field> | undefined {
    const target = this.#target(node)
    if (target === undefined) return undefined
    if (!isMap(target)) {
      this.#wrongType(node, what, 'a mapping', target, isSeq(target) ? listHelp : undefined)
      return undefined
    }
    const fields = new Map<string, Field>()
    for (const pair of target.items) {
      const keyNode = pair.key as Node
      if (!isScalar(keyNode) || typeof keyNode.value !== 'string') {
        this.error('policy_wrong_type', this.span(keyNode), `a key of ${what} is ${describe(keyNode)}, not text`)
        continue
      }
      const keySpan = this.span(keyNode)
      const key = keyNode.value
      const first = fields.get(key)
      if (first !== undefined) {
        this.error(
          'policy_duplicate_key',
          keySpan,
          `${quoted(key)} stands twice in ${what}`,
          `first in line ${first.keySpan.line}`,
        )
        continue
      }
      const value = (pair.value ?? null) as Node
      fields.set(key, { key, keySpan, value, span: value === null ? keySpan : this.span(value) })
    }
    return fields
  }

  /** `mapHelp`: what to say of a mapping in its place. */
  list(node: Node, what: string, mapHelp?: string): Node[] | undefined {
    const target = this.#target(node)
    if (target === undefined) return undefined
    if (isSeq(target)) return target.items as Node[]
    this.#wrongType(node, what, 'a list', target, isMap(target) ? mapHelp : undefined)
    return undefined
  }

  text(node: Node, what: string): TextAt | undefined {
    const target = this.#target(node)
    if (target === undefined) return undefined
    if (isTagged(target)) return undefined
    if (isScalar(target) && typeof target.value === 'string') return { text: target.value, span: this.span(node) }
    this.#wrongType(node, what, 'text', target)
    return undefined
  }

  /** One text or a list of texts; entries of a wrong type are reported and left out. */
  texts(node: Node, what: string): TextAt[] | undefined {
    const target = this.#target(node)
    if (target === undefined) return undefined
    if (isTagged(target)) return undefined
    if (isScalar(target) && typeof target.value === 'string') return [{ text: target.value, span: this.span(node) }]
    if (!isSeq(target)) {
      this.#wrongType(node, what, 'text or a list of texts', target)
      return undefined
    }
    return (target.items as Node[]).flatMap((item) => {
      const text = this.text(item, `an entry of ${what}`)
      return text === undefined ? [] : [text]
    })
  }

  boolean(node: Node, what: string): boolean | undefined {
    const target = this.#target(node)
    if (target === undefined) return undefined
    if (isScalar(target) && typeof target.value === 'boolean') return target.value
    this.#wrongType(node, what, '`true` or `false`', target)
    return undefined
  }

  isMap(node: Node): boolean {
    return isMap(isAlias(node) ? this.#resolve(node) : node)
  }

  isList(node: Node): boolean {
    return isSeq(isAlias(node) ? this.#resolve(node) : node)
  }

  /** A number as it was written (`443`) or text; undefined for anything else, without a diagnostic. */
  written(node: Node): TextAt | undefined {
    const target = isAlias(node) ? this.#resolve(node) : node
    if (!isScalar(target)) return undefined
    const scalar = target as Scalar.Parsed
    if (typeof scalar.value === 'string') return { text: scalar.value, span: this.span(node) }
    if (typeof scalar.value === 'number') return { text: scalar.source ?? String(scalar.value), span: this.span(node) }
    return undefined
  }

  unknownKey(field: Field, what: string, known: readonly string[]): void {
    const help = didYouMean(field.key, known) ?? `the keys are ${known.map((key) => `\`${key}\``).join(', ')}`
    this.error('policy_unknown_key', field.keySpan, `unknown key ${quoted(field.key)} in ${what}`, help)
  }

  /** `node` itself or what its alias stands for; undefined after a diagnostic. A missing value is null. */
  #target(node: Node): Node | undefined {
    if (!isAlias(node)) return node
    const target = this.#resolve(node)
    if (target !== undefined) return target
    this.error(
      'policy_yaml',
      this.span(node),
      `there is no anchor for the alias ${quoted(`*${node.source}`)}`,
      'an entry that begins with `*` must stand in quotes: "*:80"',
    )
    return undefined
  }

  #resolve(node: Node): Node | undefined {
    if (!isAlias(node)) return node
    return node.resolve(this.document) as Node | undefined
  }

  #wrongType(node: Node, what: string, expected: string, target: Node, help = typeHelp(target, expected)): void {
    this.error('policy_wrong_type', this.span(node), `${what} is ${describe(target)}, expected ${expected}`, help)
  }
}

/** `!name` without quotes: reported when the document was parsed. */
function isTagged(node: Node): boolean {
  return isScalar(node) && node.tag?.startsWith('!') === true
}

function describe(node: Node): string {
  if (node === null) return 'empty'
  if (isMap(node)) return 'a mapping'
  if (isSeq(node)) return 'a list'
  if (isAlias(node)) return 'an alias'
  const { value } = node
  if (value === null) return 'empty'
  return typeof value === 'boolean' ? `\`${value}\`` : typeof value === 'string' ? 'text' : `a ${typeof value}`
}

function typeHelp(node: Node, expected: string): string | undefined {
  if (!isScalar(node)) return undefined
  if (expected.includes('text') && (typeof node.value === 'number' || typeof node.value === 'boolean'))
    return `put it in quotes: "${String(node.source ?? node.value)}"`
  if (expected.includes('`true`') && typeof node.value === 'string') return 'write `true` or `false`, without quotes'
  return undefined
}
