/**
 * Conditions of native policies: rules of kind `condition` and conditions of exceptions, checked with the policy's own macros
 * and lists by the checker of Falco's language. What comes out is whole in itself: macros and lists are put in, and no bare
 * word can come to mean a list of another file.
 */
import type { Scalar } from 'yaml'
import { FIELDS, findField } from '../record/fields/table.js'
import type { Expression } from './condition/ast.js'
import { mappedText, type Scope } from './definitions.js'
import { type Diagnostic, DiagnosticSink } from './diagnostics.js'
import { linkDefinitions } from './falco/load.js'
import { MappedText, writtenText } from './falco/mapped-text.js'
import type { Definitions, ListDefinition, MacroDefinition, RuleDefinition } from './falco/model.js'
import { readOutput } from './falco/output.js'
import type { SourceSpan } from './model.js'
import { didYouMean } from './nearest.js'
import type { Field, NodeReader } from './node-reader.js'
import { PARTS_MAX_COUNT, putIn } from './put-in.js'
import { quoted } from './visible-text.js'

export interface LinkedCondition {
  readonly condition: Expression
  readonly eventTypes: readonly string[]
}

const DIAGNOSTICS_MAX_COUNT = 200

interface Pending {
  readonly definition: RuleDefinition
  readonly rule: string
  readonly isException: boolean
}

/** The conditions of one policy. */
export class PolicyConditions {
  readonly #pending = new Map<string, Pending>()
  readonly #scope: Scope
  readonly #reader: NodeReader

  constructor(scope: Scope, reader: NodeReader) {
    this.#scope = scope
    this.#reader = reader
  }

  /** Undefined after a diagnostic; else the key of the condition in what `link` gives. */
  add(field: Field, rule: string, isException: boolean): string | undefined {
    const condition = mappedText(field, this.#reader)
    if (condition === undefined) return undefined
    const key = `${this.#pending.size}`
    const definition: RuleDefinition = {
      name: key,
      span: field.span,
      condition,
      output: MappedText.of('', field.value as Scalar.Parsed, this.#reader.source),
      description: '',
      priority: 'warning',
      source: 'syscall',
      tags: [],
      enabled: true,
      skipIfUnknown: false,
      exceptions: [],
      isBroken: false,
    }
    this.#pending.set(key, { definition, rule, isException })
    return key
  }

  /** Those that can be in force; what is wrong with the others is in the reader's sink. */
  link(): Map<string, LinkedCondition> {
    const result = new Map<string, LinkedCondition>()
    if (this.#pending.size === 0 && this.#scope.macros.size === 0) return result
    const sink = new DiagnosticSink(DIAGNOSTICS_MAX_COUNT)
    const { rules, macros, lists } = linkDefinitions(this.#definitions(), sink)
    for (const diagnostic of sink.kept) this.#report(diagnostic)
    for (let omitted = sink.omittedCount; omitted > 0; omitted--) this.#reader.sink.omitError()
    for (const { name, condition, eventTypes } of rules) {
      const whole = putIn(condition, { macro: (each) => macros.get(each), list: (each) => lists.values(each) })
      if (whole !== undefined) result.set(name, { condition: whole, eventTypes })
      else
        this.#reader.sink.error(
          'policy_limit',
          this.#pending.get(name)?.definition.span ?? this.#reader.span(null),
          `the condition with its macros and lists has more than ${PARTS_MAX_COUNT} parts`,
        )
    }
    return result
  }

  #report(diagnostic: Diagnostic): void {
    const pending = diagnostic.rule === undefined ? undefined : this.#pending.get(diagnostic.rule)
    // an exception is judged on the events that its rule hits, whatever types it names
    if (pending?.isException === true && diagnostic.severity === 'warning') return
    const { rule: _, ...rest } = diagnostic
    const policy = this.#reader.place.policy
    this.#reader.sink.add({
      ...rest,
      ...(policy === undefined ? {} : { policy }),
      ...(pending === undefined ? {} : { rule: pending.rule }),
    })
  }

  #definitions(): Definitions {
    const macros = new Map<string, MacroDefinition>()
    for (const [name, { span, condition }] of this.#scope.macros) macros.set(name, { name, span, condition })
    const lists = new Map<string, ListDefinition>()
    for (const [name, { span, items }] of this.#scope.lists) {
      // order: an item is a value here, never the name of a list, for `$name` has been put in already
      const own = items.flatMap(({ node, reader }) => {
        const text = writtenText(node)
        return text === undefined ? [] : [{ text, span: reader.span(node), order: 0 }]
      })
      lists.set(name, { name, order: 1, span, items: own })
    }
    const rules = new Map([...this.#pending].map(([key, { definition }]) => [key, definition]))
    return { rules, macros, lists }
  }
}

/** `output`: its fields exist, its percent signs are fields. The text; undefined after a diagnostic. */
export function readOutputText(field: Field, reader: NodeReader): string | undefined {
  const mapped = mappedText(field, reader)
  if (mapped === undefined) return undefined
  const before = reader.sink.errorCount
  const { operands, faults } = readOutput(mapped, (name) => findField(name) !== undefined)
  const at = ({ start, end }: { start: number; end: number }): SourceSpan => mapped.locate(start, end)
  for (const { span, message, help } of faults) reader.error('condition_syntax', at(span), message, help)
  for (const operand of operands) {
    if (operand.kind !== 'field' || findField(operand.name) !== undefined) continue
    const help =
      didYouMean(
        operand.name,
        FIELDS.map(({ name }) => name),
      ) ?? '`hullguard fields` lists them'
    reader.error('condition_unknown_field', at(operand.span), `there is no field ${quoted(operand.name)}`, help)
  }
  return reader.sink.errorCount > before ? undefined : mapped.text
}
