/** Falco rule files after reading: what they define, in the order of its first definition, and what became of each rule. */
import type { Priority } from '../../record/model.js'
import type { Expression } from '../condition/ast.js'
import type { SourceSpan } from '../model.js'
import type { MappedText } from './mapped-text.js'

/** A value as written, or the name of a list that was there when it was written. */
export interface ListItem {
  readonly text: string
  readonly span: SourceSpan
  /** Counts definitions and their changes: a list is only named by items written after its first definition. */
  readonly order: number
}

export interface ListDefinition {
  readonly name: string
  readonly order: number
  readonly span: SourceSpan
  items: ListItem[]
}

export interface MacroDefinition {
  readonly name: string
  readonly span: SourceSpan
  condition: MappedText
}

/** One way out of a rule: all comparisons of any one of the tuples hold. */
export interface ExceptionDefinition {
  readonly name: string
  readonly span: SourceSpan
  readonly fields: readonly MappedText[]
  readonly comparisons: readonly MappedText[]
  /** Written as one field, not as a list of fields: its values are one list. */
  readonly isSingle: boolean
  tuples: ExceptionValue[][]
}

/** One text or a list of texts. */
export interface ExceptionValue {
  readonly items: readonly MappedText[]
  readonly isList: boolean
  readonly span: SourceSpan
}

export interface RuleDefinition {
  readonly name: string
  span: SourceSpan
  condition: MappedText
  output: MappedText
  description: string
  priority: Priority
  source: string
  tags: readonly string[]
  enabled: boolean
  /** A rule that names an unknown field is left out with a warning instead of an error. */
  skipIfUnknown: boolean
  exceptions: ExceptionDefinition[]
  /** A part of it could not be read: it is refused, and has been reported. */
  isBroken: boolean
}

export interface Definitions {
  readonly rules: ReadonlyMap<string, RuleDefinition>
  readonly macros: ReadonlyMap<string, MacroDefinition>
  readonly lists: ReadonlyMap<string, ListDefinition>
}

/** A rule that can be in force: all that it reads exists and is yielded. */
export interface FalcoRule {
  readonly name: string
  readonly description: string
  readonly priority: Priority
  readonly tags: readonly string[]
  readonly enabled: boolean
  readonly output: string
  /** With its exceptions; names of macros and lists refer to the result's. */
  readonly condition: Expression
  /** The event types it can match, of those that the probes yield. */
  readonly eventTypes: readonly string[]
}
