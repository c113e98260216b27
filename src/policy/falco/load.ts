/**
 * Falco rule files, in order -> the rules that can be in force, and for each of the others why not. A rule is refused whole;
 * the rest loads. Never throws on what users write; time is linear in the files, times the event types that they name.
 */
import { EVENT_TYPES, findEventType } from '../../record/fields/events.js'
import { FIELDS, findField } from '../../record/fields/table.js'
import type { Check, Expression, Span } from '../condition/ast.js'
import { type CheckEnvironment, checkExpression, operandType } from '../condition/check.js'
import { parseCondition } from '../condition/parser.js'
import { type Diagnostic, DiagnosticSink, type Place, type PolicyErrorName } from '../diagnostics.js'
import type { PolicyInput } from '../load.js'
import { didYouMean } from '../nearest.js'
import type { SourceText } from '../source-text.js'
import { syscallNames, syscallNumber } from '../syscalls.js'
import { quoted } from '../visible-text.js'
import { decodeSource, parseYaml } from '../yaml-source.js'
import { DefinitionReader } from './definitions.js'
import { type EventCase, type Missing, type Outcome, outcomeOf, typeChecks, typesOfCheck } from './event-types.js'
import { withExceptions } from './exceptions.js'
import { Lists } from './lists.js'
import type { Definitions, FalcoRule, RuleDefinition } from './model.js'
import { fieldsOf, readOutput } from './output.js'

/** Every refused rule is named, so more than a person reads: the files within their bounds hold about this many rules. */
const DIAGNOSTICS_MAX_COUNT = 20_000
/** Macros in macros; the public files go six deep. */
const MACRO_DEPTH_MAX_COUNT = 100
/** Looking for the nearest name costs the number of names: it is done for the first mistakes only. */
const SUGGESTIONS_MAX_COUNT = 100
const FIELD_NAMES = FIELDS.map(({ name }) => name)

export interface FalcoResult {
  readonly rules: readonly FalcoRule[]
  /** Rules that are not loaded, by name. */
  readonly refused: readonly string[]
  readonly macros: ReadonlyMap<string, Expression>
  readonly lists: Lists
  readonly diagnostics: readonly Diagnostic[]
  readonly omittedCount: number
  readonly errorCount: number
  readonly sources: ReadonlyMap<string, SourceText>
}

/** `found` are diagnostics of reading the files. */
export function loadFalcoRules(inputs: readonly PolicyInput[], found: readonly Diagnostic[] = []): FalcoResult {
  const sink = new DiagnosticSink(DIAGNOSTICS_MAX_COUNT)
  for (const diagnostic of found) sink.add(diagnostic)
  const sources = new Map<string, SourceText>()
  const reader = new DefinitionReader(sink)
  for (const { file, bytes } of inputs) {
    const source = decodeSource(file, bytes, sink)
    if (source === undefined) continue
    sources.set(file, source)
    for (const document of parseYaml(source, sink)) if (document.errors.length === 0) reader.read(source, document)
  }
  return { ...new Linker(reader.definitions, sink).link(), ...resultOf(sink, sources) }
}

function resultOf(sink: DiagnosticSink, sources: ReadonlyMap<string, SourceText>) {
  const { kept, omittedCount, errorCount } = sink
  return { diagnostics: kept, omittedCount, errorCount, sources }
}

/** For definitions that come from elsewhere than Falco files: native policies have conditions, macros and lists too. */
export function linkDefinitions(definitions: Definitions, sink: DiagnosticSink): Linked {
  return new Linker(definitions, sink).link()
}

export interface Linked {
  readonly rules: FalcoRule[]
  readonly refused: string[]
  readonly macros: ReadonlyMap<string, Expression>
  readonly lists: Lists
}

/** What came of one rule for the event types so far. */
class Finding {
  readonly yielded: string[] = []
  /** Event types that it can match and the probes do not yield. */
  readonly lacking: string[] = []
  readonly missing = new Map<string, Span>()
  /** What it would lack on events that nothing names; undefined: it matches none of them. */
  rest: Missing | undefined

  note(event: EventCase, { truth, missing }: Outcome): void {
    if (truth === false) return
    if (event.name === undefined) this.rest = missing
    else if (event.kind === undefined) this.lacking.push(event.name)
    else {
      this.yielded.push(event.name)
      for (const [name, span] of missing) if (!this.missing.has(name)) this.missing.set(name, span)
    }
  }
}

/** Binds names, checks types and events. */
class Linker {
  readonly #definitions: Definitions
  readonly #sink: DiagnosticSink
  readonly #lists: Lists
  /** In an order in which every macro stands behind those that it names; only sound ones. */
  readonly #macros = new Map<string, Expression>()
  readonly #brokenMacros = new Set<string>()
  readonly #openMacros = new Set<string>()
  readonly #typesOf = new Map<Check, ReadonlySet<string>>()
  readonly #listTexts = new Map<string, ReadonlySet<string>>()
  #place: Place = {}
  #suggestionCount = 0

  constructor(definitions: Definitions, sink: DiagnosticSink) {
    this.#definitions = definitions
    this.#sink = sink
    this.#lists = new Lists(definitions.lists, sink)
  }

  link(): Linked {
    for (const name of this.#definitions.macros.keys()) this.#macro(name)
    const refused: string[] = []
    const conditions = new Map<RuleDefinition, Expression>()
    for (const rule of this.#definitions.rules.values()) {
      this.#place = { rule: rule.name }
      const condition = this.#condition(rule)
      if (condition === undefined) refused.push(rule.name)
      else conditions.set(rule, condition)
    }
    const findings = this.#findings(conditions)
    const rules: FalcoRule[] = []
    for (const [rule, condition] of conditions) {
      this.#place = { rule: rule.name }
      const eventTypes = this.#eventTypes(rule, findings.get(rule) ?? new Finding())
      if (eventTypes === undefined) refused.push(rule.name)
      else {
        this.#warnOutput(rule)
        const { name, description, priority, tags, enabled } = rule
        rules.push({ name, description, priority, tags, enabled, output: rule.output.text, condition, eventTypes })
      }
    }
    return { rules, refused, macros: this.#macros, lists: this.#lists }
  }

  /** Makes the macro and those that it names; false when it is refused. */
  #macro(name: string): boolean {
    const definition = this.#definitions.macros.get(name)
    if (definition === undefined || this.#macros.has(name)) return definition !== undefined
    if (this.#brokenMacros.has(name)) return false
    this.#openMacros.add(name)
    const before = this.#sink.errorCount
    const read = parseCondition(definition.condition)
    if (!read.ok) this.#error('condition_syntax', read.fault.span, inMacro(name, read.fault.message), read.fault.help)
    else {
      for (const reference of macroReferences(read.expression)) {
        if (!this.#definitions.macros.has(reference.name)) continue
        if (this.#openMacros.has(reference.name) || this.#openMacros.size > MACRO_DEPTH_MAX_COUNT)
          this.#error(
            'condition_unknown_name',
            reference.span,
            this.#openMacros.has(reference.name)
              ? `the macro ${quoted(reference.name)} is a part of itself`
              : `macros nest deeper than ${MACRO_DEPTH_MAX_COUNT}`,
          )
        else if (!this.#macro(reference.name))
          this.#error('condition_unknown_name', reference.span, inMacro(name, refusedMacro(reference.name)))
      }
      checkExpression(
        read.expression,
        this.#environment((message) => inMacro(name, message)),
      )
    }
    this.#openMacros.delete(name)
    if (read.ok && this.#sink.errorCount === before) this.#macros.set(name, read.expression)
    else this.#brokenMacros.add(name)
    return this.#macros.has(name)
  }

  /** Undefined: refused, and the sink knows why. */
  #condition(rule: RuleDefinition): Expression | undefined {
    if (rule.isBroken) return undefined
    if (rule.source !== 'syscall') {
      this.#sink.error(
        'falco_source',
        rule.span,
        `there is no event source ${quoted(rule.source)}`,
        undefined,
        this.#place,
      )
      return undefined
    }
    const before = this.#sink.errorCount
    const read = parseCondition(rule.condition)
    if (!read.ok) {
      this.#error('condition_syntax', read.fault.span, read.fault.message, read.fault.help)
      return undefined
    }
    const fault = (span: Span, message: string, help?: string) => this.#error('condition_syntax', span, message, help)
    const condition = withExceptions(read.expression, rule.exceptions, fault)
    let isSkipped = false
    const environment = this.#environment((message) => message)
    const skipping: CheckEnvironment = {
      ...environment,
      error: (name, span, message, help) => {
        if (name === 'condition_unknown_field' && rule.skipIfUnknown) {
          isSkipped = true
          environment.warning('falco_doubtful', span, `${message}: the rule is left out, as it asks`, help)
        } else environment.error(name, span, message, help)
      },
    }
    if (condition !== undefined) {
      for (const reference of macroReferences(condition))
        if (this.#brokenMacros.has(reference.name))
          this.#error('condition_unknown_name', reference.span, refusedMacro(reference.name))
      checkExpression(condition, skipping)
    }
    this.#checkOutput(rule, skipping)
    return this.#sink.errorCount > before || isSkipped ? undefined : condition
  }

  #checkOutput(rule: RuleDefinition, environment: CheckEnvironment): void {
    const { operands, faults } = readOutput(rule.output, (name) => findField(name) !== undefined)
    for (const { span, message, help } of faults) this.#error('condition_syntax', span, message, help)
    for (const operand of operands) operandType(operand, environment)
  }

  /** Fields that the output names and nothing yields are shown as `<NA>`, as Falco shows what is absent. */
  #warnOutput(rule: RuleDefinition): void {
    const { operands } = readOutput(rule.output, (name) => findField(name) !== undefined)
    const absent = operands.flatMap(fieldsOf).filter(({ name }) => findField(name)?.kinds.length === 0)
    const [first] = absent
    if (first === undefined) return
    const names = [...new Set(absent.map(({ name }) => name))]
    const { source, start, end } = first.span
    const message = `the output shows \`<NA>\` for ${listed(names)}: the probes do not yield ${names.length === 1 ? 'it' : 'them'} yet`
    this.#sink.warning('condition_not_yielded', source.locate(start, end), message, undefined, this.#place)
  }

  /** What each rule can match and would lack, one event type after the other. */
  #findings(conditions: ReadonlyMap<RuleDefinition, Expression>): ReadonlyMap<RuleDefinition, Finding> {
    const findings = new Map([...conditions.keys()].map((rule) => [rule, new Finding()]))
    for (const event of this.#cases([...conditions.values()])) {
      const macros = new Map<string, Outcome>()
      for (const [name, expression] of this.#macros) macros.set(name, this.#outcome(expression, event, macros))
      for (const [rule, condition] of conditions)
        findings.get(rule)?.note(event, this.#outcome(condition, event, macros))
    }
    return findings
  }

  /** The events that are yielded, those that are named, and one for all others. */
  #cases(conditions: readonly Expression[]): EventCase[] {
    const checks: Check[] = []
    for (const expression of [...this.#macros.values(), ...conditions]) typeChecks(expression, checks)
    const named = new Set<string>()
    for (const check of checks) {
      const types = typesOfCheck(check, (name) => this.#textsOf(name))
      if (types === undefined) continue
      this.#typesOf.set(check, types)
      for (const name of types) named.add(name)
    }
    const cases: EventCase[] = [{ name: undefined, kind: undefined }]
    for (const { name, kind } of EVENT_TYPES) if (kind !== undefined) cases.push({ name, kind })
    for (const name of named)
      if (isEventType(name) && findEventType(name)?.kind === undefined) cases.push({ name, kind: undefined })
    return cases
  }

  #outcome(expression: Expression, event: EventCase, macros: ReadonlyMap<string, Outcome>): Outcome {
    return outcomeOf(expression, event, {
      field: findField,
      macro: (name) => macros.get(name),
      typesOf: (check) => this.#typesOf.get(check),
    })
  }

  /** The values of a list as text; undefined when there is no such list. */
  #textsOf(list: string): ReadonlySet<string> | undefined {
    const known = this.#listTexts.get(list)
    const values = known === undefined ? this.#lists.values(list) : undefined
    if (values === undefined) return known
    const decoder = new TextDecoder()
    const texts = new Set(values.map((bytes) => decoder.decode(bytes)))
    this.#listTexts.set(list, texts)
    return texts
  }

  /** The yielded event types that the rule can match; undefined: refused for what is not yielded. */
  #eventTypes(rule: RuleDefinition, { yielded, lacking, missing, rest }: Finding): string[] | undefined {
    // what matches events that it does not name is judged on those that there are
    const isOpen = rest !== undefined
    if (isOpen && yielded.length === 0) for (const [name, span] of rest ?? []) missing.set(name, span)
    const reasons: string[] = []
    if (lacking.length > 0 && !isOpen)
      reasons.push(`the event ${lacking.length === 1 ? 'type' : 'types'} ${listed(lacking)}`)
    if (missing.size > 0) reasons.push(`the ${missing.size === 1 ? 'field' : 'fields'} ${listed([...missing.keys()])}`)
    if (isOpen && yielded.length === 0 && missing.size === 0) reasons.push('an event that it can match')
    if (reasons.length > 0) {
      const [first] = missing.values()
      const at = first ?? { source: rule.condition, start: 0, end: 1 }
      const message = `the probes do not yield ${reasons.join(' and ')} yet`
      this.#error('condition_not_yielded', at, message)
      return undefined
    }
    const start = { source: rule.condition, start: 0, end: 1 }
    if (yielded.length === 0) this.#warning(start, 'the condition can never hold')
    else if (isOpen) this.#warning(start, 'the condition names no `evt.type`: it is judged on every event')
    return yielded
  }

  #warning(span: Span, message: string): void {
    this.#environment((text) => text).warning('condition_doubtful', span, message)
  }

  #error(name: PolicyErrorName, { source, start, end }: Span, message: string, help?: string): void {
    if (this.#sink.full) this.#sink.omitError()
    else this.#sink.error(name, source.locate(start, end), message, help, this.#place)
  }

  #suggest(names: Iterable<string>): Iterable<string> {
    return this.#suggestionCount++ < SUGGESTIONS_MAX_COUNT ? names : []
  }

  #environment(worded: (message: string) => string): CheckEnvironment {
    const { macros } = this.#definitions
    return {
      field: findField,
      fieldNames: () => this.#suggest(FIELD_NAMES),
      hasMacro: (name) => macros.has(name),
      macroNames: () => this.#suggest(macros.keys()),
      hasList: (name) => this.#lists.has(name),
      listNames: () => this.#suggest(this.#lists.names()),
      listFault: (name, type) => this.#lists.fault(name, type),
      isListEmpty: (name) => this.#lists.isEmpty(name),
      eventTypeFault: (name) =>
        isEventType(name) ? undefined : (didYouMean(name, this.#suggest(eventTypeNames())) ?? ''),
      error: (name, span, message, help) => this.#error(name, span, worded(message), help),
      warning: (name, { source, start, end }, message, help) =>
        this.#sink.warning(name, source.locate(start, end), worded(message), help, this.#place),
    }
  }
}

function isEventType(name: string): boolean {
  return findEventType(name) !== undefined || syscallNumber(name) !== undefined
}

function eventTypeNames(): string[] {
  return [...EVENT_TYPES.map(({ name }) => name), ...syscallNames()]
}

function inMacro(name: string, message: string): string {
  return `in the macro ${quoted(name)}: ${message}`
}

function refusedMacro(name: string): string {
  return `the macro ${quoted(name)} is refused`
}

function listed(names: readonly string[]): string {
  return names.map(quoted).join(', ')
}

function* macroReferences(expression: Expression): Generator<Extract<Expression, { kind: 'macro' }>> {
  const open = [expression]
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    if (each.kind === 'macro') yield each
    else if (each.kind === 'not') open.push(each.operand)
    else if (each.kind !== 'check') open.push(...each.operands)
  }
}
