/**
 * Text -> expression, by binding power: `or` binds weakest, then `and`, then `not`. Linear in the text and bounded in depth.
 * The first mistake ends the reading of this condition and is returned, never thrown past `parseCondition`.
 */

import { didYouMean } from '../nearest.js'
import { quoted } from '../visible-text.js'
import {
  type Check,
  COMPARISONS,
  type ConditionSource,
  type Expression,
  LIST_OPERATORS,
  MODIFIERS,
  type Modifier,
  type Operand,
  type Operator,
  type Right,
  type Span,
  STRING_OPERATORS,
  TRANSFORMERS,
  type Transformer,
  type TransformerArgument,
  type TransformerArguments,
  type TransformerName,
  type Value,
  type ValueList,
} from './ast.js'
import { unescapeBody } from './escape.js'
import { Scanner } from './scanner.js'

/** As deep as Falco reads; the parser recurses four frames a level, far below the stack's end. */
export const DEPTH_MAX_COUNT = 1000

export interface SyntaxFault {
  readonly span: Span
  readonly message: string
  readonly help?: string
}

export type ParseResult = { ok: true; expression: Expression } | { ok: false; fault: SyntaxFault }

const OR_POWER = 1
const AND_POWER = 2
const OPERATOR_WORDS: readonly string[] = [...STRING_OPERATORS, ...LIST_OPERATORS, 'exists'].filter((word) =>
  /^[a-z]/.test(word),
)
const RESERVED: ReadonlySet<string> = new Set(['and', 'or', 'not'])

class Fault extends Error {
  constructor(readonly fault: SyntaxFault) {
    super(fault.message)
  }
}

export function parseCondition(source: ConditionSource): ParseResult {
  const scanner = new Scanner(source)
  return caught(() => {
    const expression = new ConditionParser(scanner).whole()
    return { ok: true, expression }
  })
}

export type OperandResult =
  | { ok: true; operand: Operand; end: number }
  | { ok: false; fault: SyntaxFault }
  /** Neither a field nor a transformer begins here. */
  | undefined

/** The field or transformer that begins at `at`, as the output of a rule names them after `%`. */
export function parseOperandAt(source: ConditionSource, at: number): OperandResult {
  const scanner = new Scanner(source, at)
  return caught(() => {
    const operand = new ConditionParser(scanner).operand()
    return operand === undefined ? undefined : { ok: true, operand, end: scanner.at }
  })
}

function caught<Result>(parse: () => Result): Result | { ok: false; fault: SyntaxFault } {
  try {
    return parse()
  } catch (error) {
    if (error instanceof Fault) return { ok: false, fault: error.fault }
    throw error
  }
}

class ConditionParser {
  readonly #in: Scanner
  #depthCount = 0

  constructor(scanner: Scanner) {
    this.#in = scanner
  }

  whole(): Expression {
    const expression = this.#expression(OR_POWER)
    if (this.#in.isAtEnd) return expression
    const { text } = this.#in.found()
    const help = /^(?:and|or)/.test(text)
      ? 'a blank or `(` must follow `and` and `or`'
      : text === ')'
        ? 'there is no `(` for it'
        : 'a value with a blank, `(`, `)`, `=` or `,` in it needs quotes'
    return this.#fail('`and`, `or` or the end', help)
  }

  /** What is joined by operators that bind at least as strongly as `power`. */
  #expression(power: number): Expression {
    let left = this.#prefix()
    let growing: Expression[] = []
    for (;;) {
      this.#in.skipBlank()
      const kind = this.#in.keyword('and')
        ? ('and' as const)
        : power === OR_POWER && this.#in.keyword('or')
          ? ('or' as const)
          : undefined
      if (kind === undefined) return left
      if (kind === 'and' && power > AND_POWER) {
        this.#in.at -= kind.length
        return left
      }
      const right = kind === 'and' ? this.#expression(AND_POWER + 1) : this.#expression(AND_POWER)
      const span = this.#in.span(left.span.start, right.span.end)
      if (left.kind === kind && left.operands === growing) growing.push(right)
      else growing = [left, right]
      left = { kind, operands: growing, span }
    }
  }

  #prefix(): Expression {
    let isNegated = false
    let start: number | undefined
    for (;;) {
      this.#in.skipBlank()
      const at = this.#in.at
      if (!this.#in.keyword('not')) break
      start ??= at
      isNegated = !isNegated
    }
    const operand = this.#primary()
    if (!isNegated) return operand
    const span = this.#in.span(start ?? operand.span.start)
    return operand.kind === 'not' ? operand.operand : { kind: 'not', operand, span }
  }

  #primary(): Expression {
    const start = this.#in.at
    if (this.#in.symbol('(')) {
      this.#enter(start)
      const inner = this.#expression(OR_POWER)
      this.#close(start)
      return inner
    }
    const left = this.operand()
    if (left !== undefined) return this.#check(left)
    const name = this.#in.identifier()
    if (name === undefined || RESERVED.has(name)) {
      this.#in.at = start
      return this.#fail('`(`, a field or the name of a macro')
    }
    return { kind: 'macro', name, span: this.#in.span(start) }
  }

  /** `#enter` was called with the opening bracket at `start`. */
  #close(start: number): void {
    this.#in.skipBlank()
    if (!this.#in.symbol(')')) {
      const { line, column } = this.#in.source.locate(start, start + 1)
      this.#fail('`)`', `for the \`(\` in line ${line}, column ${column}`)
    }
    this.#depthCount--
  }

  #enter(start: number): void {
    this.#depthCount++
    if (this.#depthCount <= DEPTH_MAX_COUNT) return
    const message = `the condition nests deeper than ${DEPTH_MAX_COUNT} levels`
    throw new Fault({ span: this.#in.span(start, start + 1), message })
  }

  operand(): Operand | undefined {
    const start = this.#in.at
    const name = this.#in.fieldName()
    if (name !== undefined) {
      const argument = this.#index()
      const span = this.#in.span(start)
      return argument === undefined ? { kind: 'field', name, span } : { kind: 'field', name, argument, span }
    }
    const word = this.#in.identifier()
    const transformer = TRANSFORMERS.find((each) => each === word)
    if (transformer !== undefined && this.#in.peek('(')) return this.#transformer(transformer, start)
    this.#in.at = start
    return undefined
  }

  #transformer(name: TransformerName, start: number): Transformer {
    const args = this.#arguments()
    const second = args.items[1]
    if (name === 'join' && (args.items.length !== 2 || second?.kind !== 'arguments')) {
      const message = '`join` takes a separator and a list in brackets'
      throw new Fault({ span: args.span, message, help: 'such as join("-", (proc.name, fd.name))' })
    }
    const index = this.#index()
    const span = this.#in.span(start)
    return { kind: 'transformer', name, args: args.items, ...(index === undefined ? {} : { index }), span }
  }

  /** In brackets, with commas. */
  #arguments(): TransformerArguments {
    const start = this.#in.at
    this.#in.symbol('(')
    this.#enter(start)
    const items: TransformerArgument[] = []
    this.#in.skipBlank()
    if (!this.#in.peek(')')) {
      do {
        this.#in.skipBlank()
        items.push(this.#argument(items.length))
        this.#in.skipBlank()
      } while (this.#in.symbol(','))
    }
    this.#close(start)
    return { kind: 'arguments', items, span: this.#in.span(start) }
  }

  #argument(index: number): TransformerArgument {
    const start = this.#in.at
    // a list stands beside a separator, never alone or within a list
    if (index === 1 && this.#in.peek('(')) return this.#arguments()
    const value = this.#quoted()
    if (value !== undefined) return value
    const operand = this.operand()
    if (operand !== undefined) return operand
    const text = this.#in.number()
    if (text === undefined) return this.#fail('a field, a transformer, a number or a quoted value')
    return { kind: 'number', text, span: this.#in.span(start) }
  }

  #index(): Value | undefined {
    if (!this.#in.symbol('[')) return undefined
    const start = this.#in.at
    const value = this.#quoted() ?? this.#plain(start, this.#in.bareArgument())
    if (value === undefined) return this.#fail('an argument', 'such as `proc.aname[2]` or `evt.arg["a name"]`')
    if (!this.#in.symbol(']')) this.#fail('`]`')
    return value
  }

  #quoted(): Value | undefined {
    const start = this.#in.at
    const found = this.#in.quoted()
    if (found === undefined) return undefined
    if (!found.closed) {
      const help = 'a quote behind a backslash does not close a value'
      throw new Fault({ span: this.#in.span(start, start + 1), message: 'the quote is never closed', help })
    }
    const value = unescapeBody(found.body, found.quote)
    if (value.ok) return { kind: 'value', bytes: value.bytes, isQuoted: true, span: this.#in.span(start) }
    const from = start + 1 + value.at
    const help = 'escapes are \\\\ \\/ \\b \\f \\n \\r \\t \\xHH and the quote itself'
    throw new Fault({ span: this.#in.span(from, from + value.length), message: value.message, help })
  }

  #plain(start: number, word: string | undefined): Value | undefined {
    if (word === undefined) return undefined
    const bytes = new TextEncoder().encode(word)
    return { kind: 'value', bytes, isQuoted: false, span: this.#in.span(start) }
  }

  #check(left: Operand): Check {
    this.#in.skipBlank()
    const start = this.#in.at
    const operator = this.#operator()
    if (operator === undefined) {
      const { text } = this.#in.found()
      return this.#fail('an operator', this.#in.isAtEnd ? undefined : didYouMean(text, OPERATOR_WORDS))
    }
    const operatorSpan = this.#in.span(start)
    const base = { kind: 'check' as const, left, operator, operatorSpan }
    if (operator === 'exists') return { ...base, span: this.#in.span(left.span.start) }
    const isApart = this.#in.skipBlank()
    const modifier = isApart && isStringOperator(operator) ? this.#modifier() : undefined
    const right = modifier === undefined ? this.#right(operator) : this.#list()
    const span = this.#in.span(left.span.start)
    return { ...base, ...(modifier === undefined ? {} : { modifier }), right, span }
  }

  #operator(): Operator | undefined {
    for (const word of COMPARISONS) if (this.#in.symbol(word)) return word
    for (const word of STRING_OPERATORS) {
      if (/^[a-z]/.test(word) && !this.#in.isBlankAt(this.#in.at + word.length)) continue
      if (this.#in.symbol(word)) return word
    }
    for (const word of LIST_OPERATORS) if (this.#in.symbol(word)) return word
    return this.#in.symbol('exists') ? 'exists' : undefined
  }

  /** Taken only when a list or a list's name follows: `= oneof` alone compares with that word. */
  #modifier(): Modifier | undefined {
    const start = this.#in.at
    for (const word of MODIFIERS) {
      if (!this.#in.symbol(word)) continue
      if (this.#in.skipBlank()) {
        const at = this.#in.at
        const name = this.#in.identifier()
        this.#in.at = at
        if (this.#in.peek('(') || (name !== undefined && name !== 'and' && name !== 'or')) return word
      }
      this.#in.at = start
    }
    return undefined
  }

  #right(operator: Operator): Right {
    const start = this.#in.at
    const operand = this.#rightOperand()
    if (operand !== undefined) return operand
    if (LIST_OPERATORS.some((each) => each === operator)) return this.#list()
    if (COMPARISONS.some((each) => each === operator)) {
      const text = this.#in.number()
      if (text === undefined) return this.#fail('a number', 'text is compared with `=` and the word operators')
      return { kind: 'number', text, span: this.#in.span(start) }
    }
    return this.#quoted() ?? this.#plain(start, this.#in.bareWord()) ?? this.#fail('a value')
  }

  #rightOperand(): Operand | undefined {
    const start = this.#in.at
    if (!this.#in.symbol('val(')) {
      const operand = this.operand()
      if (operand?.kind === 'transformer') return operand
      // a field on the right needs val(): without it, it is a word
      this.#in.at = start
      return undefined
    }
    this.#in.skipBlank()
    const operand = this.operand()
    if (operand?.kind !== 'field') return this.#fail('a field', 'val() stands around a bare field')
    this.#in.skipBlank()
    if (!this.#in.symbol(')')) this.#fail('`)`')
    return operand
  }

  #list(): ValueList | { kind: 'list_name'; name: string; span: Span } {
    const start = this.#in.at
    if (!this.#in.symbol('(')) {
      const name = this.#in.identifier()
      if (name === undefined) return this.#fail('a list in brackets, or the name of a list')
      return { kind: 'list_name', name, span: this.#in.span(start) }
    }
    const items: Value[] = []
    this.#in.skipBlank()
    if (this.#in.symbol(')')) return { kind: 'list', items, span: this.#in.span(start) }
    do {
      this.#in.skipBlank()
      const at = this.#in.at
      items.push(this.#quoted() ?? this.#plain(at, this.#in.bareWord()) ?? this.#fail('a value'))
      this.#in.skipBlank()
    } while (this.#in.symbol(','))
    if (!this.#in.symbol(')')) this.#fail('`,` or `)`')
    return { kind: 'list', items, span: this.#in.span(start) }
  }

  #fail(expected: string, help?: string): never {
    const start = this.#in.at
    const { text, end } = this.#in.found()
    const received = this.#in.isAtEnd ? 'the end' : quoted(text)
    const message = `expected ${expected}, found ${received}`
    const span = this.#in.span(start, this.#in.isAtEnd ? start : end)
    throw new Fault(help === undefined ? { span, message } : { span, message, help })
  }
}

function isStringOperator(operator: Operator): boolean {
  return STRING_OPERATORS.some((each) => each === operator)
}
