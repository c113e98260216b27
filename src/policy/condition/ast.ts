/**
 * The tree of a condition as it was written: macros and lists stay references, so that a shared macro is read, checked and
 * later compiled once. Values are bytes (`\xff` is one byte); what they mean is decided by the type of the field beside them.
 */
import type { SourceSpan } from '../model.js'

/** A text from which conditions are parsed, and the way from its offsets back to a file. */
export interface ConditionSource {
  readonly text: string
  locate(start: number, end: number): SourceSpan
}

/** UTF-16 offsets in `source.text`; end is exclusive. */
export interface Span {
  readonly source: ConditionSource
  readonly start: number
  readonly end: number
}

export const COMPARISONS = ['<=', '<', '>=', '>'] as const
export const STRING_OPERATORS = [
  '==',
  '=',
  '!=',
  'glob',
  'iglob',
  'contains',
  'icontains',
  'bcontains',
  'startswith',
  'bstartswith',
  'endswith',
  'regex',
] as const
/** `intersects` before `in`: the longer word first. */
export const LIST_OPERATORS = ['intersects', 'in', 'pmatch'] as const
export const MODIFIERS = ['oneof', 'anyof', 'allof'] as const
export const TRANSFORMERS = ['tolower', 'toupper', 'b64', 'basename', 'len', 'join', 'concat', 'getopt'] as const

export type Comparison = (typeof COMPARISONS)[number]
export type StringOperator = (typeof STRING_OPERATORS)[number]
export type ListOperator = (typeof LIST_OPERATORS)[number]
export type Modifier = (typeof MODIFIERS)[number]
export type TransformerName = (typeof TRANSFORMERS)[number]
export type Operator = Comparison | StringOperator | ListOperator | 'exists'

export interface Value {
  readonly kind: 'value'
  readonly bytes: Uint8Array
  /** A bare word in a list may be the name of a list; a quoted one never is. */
  readonly isQuoted: boolean
  readonly span: Span
}

export interface NumberLiteral {
  readonly kind: 'number'
  readonly text: string
  readonly span: Span
}

export interface FieldRef {
  readonly kind: 'field'
  readonly name: string
  /** What stands in `[…]`. */
  readonly argument?: Value
  readonly span: Span
}

export interface TransformerArguments {
  readonly kind: 'arguments'
  readonly items: readonly TransformerArgument[]
  readonly span: Span
}

export type TransformerArgument = Operand | Value | NumberLiteral | TransformerArguments

export interface Transformer {
  readonly kind: 'transformer'
  readonly name: TransformerName
  readonly args: readonly TransformerArgument[]
  readonly index?: Value
  readonly span: Span
}

export type Operand = FieldRef | Transformer

export interface ValueList {
  readonly kind: 'list'
  readonly items: readonly Value[]
  readonly span: Span
}

export interface ListName {
  readonly kind: 'list_name'
  readonly name: string
  readonly span: Span
}

export type Right = Value | NumberLiteral | ValueList | ListName | Operand

export interface Check {
  readonly kind: 'check'
  readonly left: Operand
  readonly operator: Operator
  readonly operatorSpan: Span
  readonly modifier?: Modifier
  /** Absent for `exists` alone. */
  readonly right?: Right
  readonly span: Span
}

export interface MacroRef {
  readonly kind: 'macro'
  readonly name: string
  readonly span: Span
}

export interface Junction {
  readonly kind: 'and' | 'or'
  /** At least two. */
  readonly operands: readonly Expression[]
  readonly span: Span
}

export interface Negation {
  readonly kind: 'not'
  /** Never itself a negation: two in a row are none. */
  readonly operand: Expression
  readonly span: Span
}

export type Expression = Junction | Negation | MacroRef | Check
