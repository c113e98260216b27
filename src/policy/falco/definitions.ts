/**
 * The items of Falco rule files, file after file, merged as they say: a later definition of a name replaces the earlier in
 * its place, `override` and `append` change parts of it. A broken item is reported and left out; the others stand.
 */
import type { Scalar } from 'yaml'
import { PRIORITIES, type Priority } from '../../record/model.js'
import type { DiagnosticSink } from '../diagnostics.js'
import { didYouMean } from '../nearest.js'
import { type Field, type Node, NodeReader } from '../node-reader.js'
import type { SourceText } from '../source-text.js'
import { quoted } from '../visible-text.js'
import type { PolicyDocument } from '../yaml-source.js'
import { appendExceptions, readExceptions } from './exceptions.js'
import { MappedText, writtenText } from './mapped-text.js'
import type { Definitions, ListDefinition, ListItem, MacroDefinition, RuleDefinition } from './model.js'

type Fields = ReadonlyMap<string, Field>

/** A policy named behind `--rules FILE` is taken for a second rules file. */
const NATIVE_HELP =
  'a native policy is named with `--policies`, or in front of `--rules`, which takes every word behind it'

const RULE_KEYS = [
  'rule',
  'condition',
  'desc',
  'output',
  'priority',
  'source',
  'enabled',
  'tags',
  'exceptions',
  'append',
  'override',
  'warn_evttypes',
  'skip-if-unknown-filter',
  'capture',
  'capture_duration',
] as const
const KEYS = {
  rule: RULE_KEYS,
  macro: ['macro', 'condition', 'append', 'override'],
  list: ['list', 'items', 'append', 'override'],
} as const satisfies Record<string, readonly string[]>
const VERSION_KEYS = ['required_engine_version', 'required_plugin_versions'] as const
const APPENDABLE = {
  rule: ['condition', 'output', 'desc', 'tags', 'exceptions'],
  macro: ['condition'],
  list: ['items'],
} as const satisfies Record<string, readonly string[]>
/** Keys of a rule that say nothing here. */
const WITHOUT_EFFECT: readonly string[] = ['capture', 'capture_duration', 'warn_evttypes']

/** The version of Falco's engine whose language this is; a file may ask for more, what it then uses is checked by name. */
const ENGINE_VERSION = [0, 57, 0] as const
/** Plugins whose fields are in the registry. */
const KNOWN_PLUGINS: readonly string[] = ['container', 'k8smeta']

type Change = 'append' | 'replace'

export class DefinitionReader {
  readonly #rules = new Map<string, RuleDefinition>()
  readonly #macros = new Map<string, MacroDefinition>()
  readonly #lists = new Map<string, ListDefinition>()
  readonly #sink: DiagnosticSink
  #order = 0

  constructor(sink: DiagnosticSink) {
    this.#sink = sink
  }

  get definitions(): Definitions {
    return { rules: this.#rules, macros: this.#macros, lists: this.#lists }
  }

  read(source: SourceText, document: PolicyDocument): void {
    const reader = new NodeReader(source, document, this.#sink)
    for (const node of reader.list(document.contents, 'a rules file', NATIVE_HELP) ?? []) {
      reader.place = {}
      const fields = reader.map(node, 'an item of a rules file')
      if (fields === undefined) continue
      this.#order++
      const item = new Item(reader, fields, node)
      if (fields.has('rule')) this.#rule(item)
      else if (fields.has('macro')) this.#macro(item)
      else if (fields.has('list')) this.#list(item)
      else this.#other(item)
    }
  }

  #rule(item: Item): void {
    const name = item.name('rule')
    if (name === undefined) return
    item.reader.place = { rule: name }
    item.warnUnknown(KEYS.rule)
    const changes = item.changes('rule')
    const old = this.#rules.get(name)
    if (changes === 'broken') {
      if (old !== undefined) old.isBroken = true
      return
    }
    const isOnlySwitch = [...item.fields.keys()].every((key) => key === 'rule' || key === 'enabled')
    if (changes === undefined && !(isOnlySwitch && item.fields.has('enabled'))) {
      const rule = item.rule(name)
      this.#rules.set(name, rule)
      return
    }
    if (old === undefined) {
      item.missing('rule', name, this.#rules.keys())
      return
    }
    const before = this.#sink.errorCount
    item.changeRule(old, changes ?? new Map([['enabled', 'replace']]))
    if (this.#sink.errorCount > before) old.isBroken = true
  }

  #macro(item: Item): void {
    const name = item.name('macro')
    if (name === undefined) return
    item.warnUnknown(KEYS.macro)
    const changes = item.changes('macro')
    const condition = item.mapped('condition')
    if (changes === 'broken' || condition === undefined) return
    const old = this.#macros.get(name)
    if (changes === undefined) {
      this.#macros.set(name, { name, span: item.span('macro'), condition })
      return
    }
    if (old === undefined) {
      item.missing('macro', name, this.#macros.keys())
      return
    }
    old.condition = changes.get('condition') === 'append' ? old.condition.append(condition) : condition
  }

  #list(item: Item): void {
    const name = item.name('list')
    if (name === undefined) return
    item.warnUnknown(KEYS.list)
    const changes = item.changes('list')
    const items = item.items(this.#order)
    if (changes === 'broken' || items === undefined) return
    const old = this.#lists.get(name)
    if (changes === undefined) {
      const order = old?.order ?? this.#order
      this.#lists.set(name, { name, order, span: item.span('list'), items })
      return
    }
    if (old === undefined) {
      item.missing('list', name, this.#lists.keys())
      return
    }
    if (changes.get('items') !== 'append') old.items = items
    else for (const each of items) old.items.push(each)
  }

  #other(item: Item): void {
    const [first] = item.fields.values()
    if (first === undefined) return
    if (first.key === 'required_engine_version') item.engineVersion(first)
    else if (first.key === 'required_plugin_versions') item.pluginVersions(first)
    else {
      const known = ['rule', 'macro', 'list', ...VERSION_KEYS]
      const message = `an item that begins with ${quoted(first.key)} says nothing here`
      item.reader.warning('falco_doubtful', first.keySpan, message, didYouMean(first.key, known))
    }
  }
}

/** One item of a file. */
class Item {
  constructor(
    readonly reader: NodeReader,
    readonly fields: Fields,
    readonly node: Node,
  ) {}

  span(key: string) {
    return this.fields.get(key)?.span ?? this.reader.span(this.node)
  }

  name(kind: 'rule' | 'macro' | 'list'): string | undefined {
    const found = this.reader.written(this.fields.get(kind)?.value ?? null)
    if (found !== undefined && found.text !== '') return found.text
    this.reader.error('falco_item', this.span(kind), `the name of a ${kind} is not text`)
    return undefined
  }

  missing(kind: string, name: string, known: Iterable<string>): void {
    const help = didYouMean(name, known) ?? 'it must be defined earlier, in this file or in one given before it'
    this.reader.error('falco_override', this.span(kind), `there is no ${kind} ${quoted(name)} to change`, help)
  }

  warnUnknown(known: readonly string[]): void {
    for (const [key, { keySpan }] of this.fields) {
      if (!known.includes(key))
        this.reader.warning('falco_doubtful', keySpan, `the key ${quoted(key)} says nothing`, didYouMean(key, known))
      else if (WITHOUT_EFFECT.includes(key))
        this.reader.warning('falco_doubtful', keySpan, `\`${key}\` has no effect here`)
    }
  }

  /** Undefined: the item defines. */
  changes(kind: 'rule' | 'macro' | 'list'): ReadonlyMap<string, Change> | 'broken' | undefined {
    const override = this.fields.get('override')
    const append = this.fields.get('append')
    const isAppend = append === undefined ? false : this.reader.boolean(append.value, '`append`')
    if (isAppend === undefined) return 'broken'
    if (override === undefined) {
      if (!isAppend) return undefined
      const keys = kind === 'rule' ? ['condition', 'exceptions'] : APPENDABLE[kind]
      const present = keys.filter((key) => this.fields.has(key))
      if (present.length > 0) return new Map(present.map((key) => [key, 'append']))
      this.reader.error(
        'falco_override',
        this.span(kind),
        `an append to a ${kind} needs ${keys.map((key) => `\`${key}\``).join(' or ')}`,
      )
      return 'broken'
    }
    if (isAppend) {
      this.reader.error('falco_override', override.keySpan, '`append` and `override` do not go together')
      return 'broken'
    }
    return this.#overrides(kind, override)
  }

  #overrides(kind: 'rule' | 'macro' | 'list', override: Field): ReadonlyMap<string, Change> | 'broken' {
    const result = new Map<string, Change>()
    const appendable: readonly string[] = APPENDABLE[kind]
    const replaceable: readonly string[] = KEYS[kind].filter(
      (key) => !/^(?:rule|macro|list|append|override|source)$/.test(key),
    )
    const given = this.reader.map(override.value, '`override`')
    if (given === undefined) return 'broken'
    let isBroken = false
    const refuse = (field: Field, message: string, help?: string) => {
      this.reader.error('falco_override', field.keySpan, message, help)
      isBroken = true
    }
    for (const field of given.values()) {
      const change = this.reader.written(field.value)?.text
      if (!replaceable.includes(field.key))
        refuse(field, `${quoted(field.key)} of a ${kind} cannot be overridden`, didYouMean(field.key, replaceable))
      else if (change !== 'append' && change !== 'replace') refuse(field, `an override is \`append\` or \`replace\``)
      else if (change === 'append' && !appendable.includes(field.key))
        refuse(field, `${quoted(field.key)} of a ${kind} can be replaced, not appended to`)
      else if (!this.fields.has(field.key)) refuse(field, `${quoted(field.key)} is overridden but not given`)
      else result.set(field.key, change)
    }
    for (const field of this.fields.values())
      if (replaceable.includes(field.key) && !given.has(field.key))
        refuse(field, `${quoted(field.key)} stands beside \`override\` but is not in it`)
    return isBroken ? 'broken' : result
  }

  mapped(key: string): MappedText | undefined {
    const field = this.fields.get(key)
    if (field === undefined) {
      this.reader.error('falco_item', this.reader.span(this.node), `the key \`${key}\` is missing`)
      return undefined
    }
    return this.mappedNode(field.value, `\`${key}\``)
  }

  mappedNode(node: Node, what: string): MappedText | undefined {
    const text = writtenText(node)
    if (text !== undefined) return MappedText.of(text, node as Scalar.Parsed, this.reader.source)
    this.reader.error('falco_item', this.reader.span(node), `${what} is not text`)
    return undefined
  }

  items(order: number): ListItem[] | undefined {
    const field = this.fields.get('items')
    if (field === undefined) {
      this.reader.error('falco_item', this.reader.span(this.node), 'the key `items` is missing')
      return undefined
    }
    return this.reader.list(field.value, '`items`')?.flatMap((node) => {
      const text = writtenText(node)
      if (text !== undefined) return [{ text, span: this.reader.span(node), order }]
      this.reader.error('falco_item', this.reader.span(node), 'an item of a list is not text')
      return []
    })
  }

  rule(name: string): RuleDefinition {
    const before = this.reader.sink.errorCount
    const empty = MappedText.of('', this.node as Scalar.Parsed, this.reader.source)
    this.mapped('desc')
    const rule: RuleDefinition = {
      name,
      span: this.span('rule'),
      condition: this.mapped('condition') ?? empty,
      output: this.mapped('output') ?? empty,
      description: '',
      priority: 'debug',
      source: 'syscall',
      tags: [],
      enabled: true,
      skipIfUnknown: false,
      exceptions: [],
      isBroken: false,
    }
    if (!this.fields.has('priority'))
      this.reader.error('falco_item', this.reader.span(this.node), 'the key `priority` is missing')
    this.#parts(rule, new Map([...this.fields.keys()].map((key) => [key, 'replace'])))
    rule.isBroken = this.reader.sink.errorCount > before
    return rule
  }

  changeRule(rule: RuleDefinition, changes: ReadonlyMap<string, Change>): void {
    for (const key of ['condition', 'output'] as const) {
      const change = changes.get(key)
      const text = change === undefined ? undefined : this.mapped(key)
      if (text !== undefined) rule[key] = change === 'append' ? rule[key].append(text) : text
    }
    this.#parts(rule, changes)
  }

  /** All but condition and output. */
  #parts(rule: RuleDefinition, changes: ReadonlyMap<string, Change>): void {
    const reader = this.reader
    for (const [key, change] of changes) {
      const field = this.fields.get(key)
      if (field === undefined) continue
      const what = `\`${key}\``
      if (key === 'desc') {
        const text = writtenText(field.value) ?? ''
        rule.description = change === 'append' ? `${rule.description} ${text}` : text
      } else if (key === 'priority') rule.priority = this.#priority(field) ?? rule.priority
      else if (key === 'source') rule.source = reader.text(field.value, what)?.text ?? rule.source
      else if (key === 'enabled') rule.enabled = reader.boolean(field.value, what) ?? rule.enabled
      else if (key === 'skip-if-unknown-filter')
        rule.skipIfUnknown = reader.boolean(field.value, what) ?? rule.skipIfUnknown
      else if (key === 'tags') {
        const tags = reader.list(field.value, what)?.flatMap((node) => reader.written(node)?.text ?? []) ?? []
        rule.tags = [...new Set(change === 'append' ? [...rule.tags, ...tags] : tags)]
      } else if (key === 'exceptions') {
        const exceptions = readExceptions(reader, field.value, rule.exceptions)
        rule.exceptions = change === 'append' ? appendExceptions(rule.exceptions, exceptions) : exceptions
      }
    }
  }

  #priority(field: Field): Priority | undefined {
    const text = this.reader.written(field.value)?.text.toLowerCase()
    const name = text === 'info' ? 'informational' : text
    const found = PRIORITIES.find((each) => each === name)
    if (found !== undefined) return found
    const help = `it is one of ${PRIORITIES.map((each) => `\`${each}\``).join(', ')}`
    this.reader.error('falco_item', field.span, `${quoted(text ?? '')} is no priority`, help)
    return undefined
  }

  engineVersion(field: Field): void {
    const text = this.reader.written(field.value)?.text ?? ''
    // a bare number N is 0.N.0
    const parts = /^(?:(\d{1,6})|(\d{1,6})\.(\d{1,6})\.(\d{1,6}))$/.exec(text)
    if (parts === null) {
      this.reader.error('falco_item', field.span, `${quoted(text)} is no engine version`, 'such as `0.57.0`')
      return
    }
    const wanted = parts[1] === undefined ? parts.slice(2).map(Number) : [0, Number(parts[1]), 0]
    const differing = wanted.findIndex((part, index) => part !== ENGINE_VERSION[index])
    if (differing === -1 || (wanted[differing] ?? 0) < (ENGINE_VERSION[differing] ?? 0)) return
    const message = `the file asks for engine ${text}; the language here is that of ${ENGINE_VERSION.join('.')}`
    this.reader.warning('falco_doubtful', field.span, message, 'what it uses beyond that is refused by name')
  }

  pluginVersions(field: Field): void {
    for (const node of this.reader.list(field.value, `\`${field.key}\``) ?? []) {
      const plugin = this.reader.map(node, 'a plugin version')?.get('name')
      const name = this.reader.written(plugin?.value ?? null)?.text
      if (name === undefined) this.reader.error('falco_item', this.reader.span(node), 'a plugin has no `name`')
      else if (!KNOWN_PLUGINS.includes(name)) {
        const message = `there is no plugin ${quoted(name)}`
        this.reader.warning('falco_doubtful', this.reader.span(node), message, 'rules that need its fields are refused')
      }
    }
  }
}
