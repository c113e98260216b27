/**
 * Types of a condition: does the field exist, does the operator go with its type, can the value be one of that type. One
 * walk, every mistake reported; macros are references here and checked once where they are defined.
 */
import type { FieldSpec, FieldType } from '../../record/fields/types.js'
import type { PolicyErrorName } from '../diagnostics.js'
import { didYouMean } from '../nearest.js'
import { quoted } from '../visible-text.js'
import type { Check, Expression, FieldRef, Operand, Operator, Right, Span, Transformer, Value } from './ast.js'
import { readLiteral } from './literals.js'
import { printOperand } from './printer.js'
import { regexFault } from './regex.js'

export interface CheckEnvironment {
  field(name: string): FieldSpec | undefined
  fieldNames(): Iterable<string>
  hasMacro(name: string): boolean
  macroNames(): Iterable<string>
  hasList(name: string): boolean
  listNames(): Iterable<string>
  /** The first item of the list that is no value of that type, and why. */
  listFault(name: string, type: FieldType): string | undefined
  isListEmpty(name: string): boolean
  /** Undefined when `name` is an event type, else a help. */
  eventTypeFault(name: string): string | undefined
  error(name: PolicyErrorName, span: Span, message: string, help?: string): void
  warning(name: PolicyErrorName, span: Span, message: string, help?: string): void
}

const ANYWHERE: readonly Operator[] = ['=', '==', '!=', 'in', 'intersects', 'exists']
const ORDERED: readonly Operator[] = [...ANYWHERE, '<', '<=', '>', '>=']
const OPERATORS: Readonly<Record<FieldType, readonly Operator[]>> = {
  string: [...ORDERED, 'contains', 'icontains', 'startswith', 'endswith', 'glob', 'iglob', 'pmatch', 'regex'],
  int: ORDERED,
  uint: ORDERED,
  port: ORDERED,
  time: ORDERED,
  bool: ANYWHERE,
  bytes: [...ANYWHERE, 'contains', 'startswith', 'endswith', 'bcontains', 'bstartswith'],
  ip: ANYWHERE,
  net: ANYWHERE,
  list: ['in', 'intersects', 'exists'],
}

/** Not with val(), and not with modifiers: they stand for several values. */
const SEVERAL: ReadonlySet<string> = new Set([
  'fd.ip',
  'fd.net',
  'fd.port',
  'fd.cip.name',
  'fd.lip.name',
  'fd.rip.name',
  'fd.sip.name',
])
/** Operators whose value is not of the field's own type. */
const HEX: readonly Operator[] = ['bcontains', 'bstartswith']

export function checkExpression(expression: Expression, environment: CheckEnvironment): void {
  switch (expression.kind) {
    case 'macro':
      if (!environment.hasMacro(expression.name))
        environment.error(
          'condition_unknown_name',
          expression.span,
          `there is no macro ${quoted(expression.name)}`,
          didYouMean(expression.name, environment.macroNames()),
        )
      return
    case 'not':
      checkExpression(expression.operand, environment)
      return
    case 'check':
      new Checker(environment).check(expression)
      return
    default:
      for (const operand of expression.operands) checkExpression(operand, environment)
  }
}

/** Undefined after a diagnostic. */
export function operandType(operand: Operand, environment: CheckEnvironment): FieldType | undefined {
  return new Checker(environment).operand(operand)
}

class Checker {
  readonly #in: CheckEnvironment

  constructor(environment: CheckEnvironment) {
    this.#in = environment
  }

  check({ left, operator, operatorSpan, modifier, right }: Check): void {
    const type = this.operand(left)
    if (type === undefined) {
      if (right !== undefined) this.#names(right)
      return
    }
    const isModifiable =
      modifier === undefined || type === 'string' || (isAddress(type) && /^(?:=|==|!=)$/.test(operator))
    if (!OPERATORS[type].includes(operator) || !isModifiable) {
      const name = modifier === undefined ? operator : `${operator} ${modifier}`
      const help = `with it go ${OPERATORS[type].map((each) => `\`${each}\``).join(', ')}`
      const message = `\`${name}\` does not go with ${quoted(printOperand(left))}, which is ${describe(type)}`
      this.#in.error('condition_type', operatorSpan, message, help)
      return
    }
    if (modifier !== undefined) this.#modifier(left, operator, modifier, operatorSpan)
    if (right !== undefined) this.#right(left, type, operator, right)
    if (modifier !== undefined && right !== undefined && this.#isEmpty(right))
      this.#in.warning('condition_doubtful', right.span, `\`${modifier}\` of an empty list is false always`)
  }

  operand(operand: Operand): FieldType | undefined {
    return operand.kind === 'field' ? this.#field(operand) : this.#transformer(operand)
  }

  #field({ name, argument, span }: FieldRef): FieldType | undefined {
    const spec = this.#in.field(name)
    if (spec === undefined) {
      const help = didYouMean(name, this.#in.fieldNames()) ?? '`hullguard fields` lists them'
      this.#in.error('condition_unknown_field', span, `there is no field ${quoted(name)}`, help)
      return undefined
    }
    if (argument !== undefined && spec.argument === 'none')
      this.#in.error('condition_type', argument.span, `${quoted(name)} takes no argument`)
    if (argument === undefined && spec.argument === 'required')
      this.#in.error('condition_type', span, `${quoted(name)} needs an argument in brackets`)
    if (argument !== undefined && isAncestor(name) && !/^\d{1,4}$/.test(textOf(argument)))
      this.#in.error('condition_type', argument.span, `the argument of ${quoted(name)} is a number of generations`)
    return spec.type
  }

  #transformer({ name, args, index, span }: Transformer): FieldType | undefined {
    if (index !== undefined && name !== 'getopt')
      this.#in.error('condition_type', index.span, `\`${name}()\` takes no argument in brackets`)
    const types = args
      .flatMap((each) => (each.kind === 'arguments' ? each.items : [each]))
      .map((each) => {
        if (each.kind === 'field' || each.kind === 'transformer') return this.operand(each)
        return 'string' as const
      })
    if (types.includes(undefined)) return undefined
    const [first] = types
    const wrong = (message: string): undefined => {
      this.#in.error('condition_type', span, message)
      return undefined
    }
    const isOperand = args[0]?.kind === 'field' || args[0]?.kind === 'transformer'
    const other = types.find((type) => type !== 'string' && type !== 'bytes' && type !== 'list')
    if (other !== undefined) return wrong(`\`${name}()\` takes text, not ${describe(other)}`)
    switch (name) {
      case 'join':
        return args[0]?.kind === 'value' ? 'string' : wrong("`join()`'s separator is a quoted value")
      case 'concat':
        return args.length > 0 ? 'string' : wrong('`concat()` needs something to join')
      case 'getopt': {
        if (args.length !== 2 || !isOperand || args[1]?.kind !== 'value' || first !== 'string')
          return wrong('`getopt()` takes a text field and the option letters in quotes')
        return index === undefined ? 'list' : 'string'
      }
      case 'len':
        return args.length === 1 && isOperand ? 'uint' : wrong('`len()` takes one field')
      default: {
        const takesBytes = name === 'b64'
        if (args.length !== 1 || !isOperand) return wrong(`\`${name}()\` takes one field`)
        if (first === 'string' || (takesBytes && first === 'bytes')) return first
        return wrong(`\`${name}()\` takes text, not ${describe(first ?? 'string')}`)
      }
    }
  }

  #modifier(left: Operand, operator: Operator, modifier: string, span: Span): void {
    if (left.kind === 'field' && isSeveral(left))
      this.#in.error('condition_type', span, `\`${modifier}\` needs a single value, ${quoted(left.name)} has several`)
    if (left.kind === 'transformer' && hasSeveral(left))
      this.#in.error('condition_type', span, `\`${modifier}\` needs a single value`)
    if (operator === '!=' && modifier === 'anyof')
      this.#in.warning(
        'condition_doubtful',
        span,
        '`!= anyof` is true of nearly every value: it differs from one of them',
        'write `!= allof` for "none of them"',
      )
  }

  #right(left: Operand, type: FieldType, operator: Operator, right: Right): void {
    switch (right.kind) {
      case 'field':
      case 'transformer':
        this.#rightOperand(left, type, operator, right)
        return
      case 'list':
        for (const item of right.items) {
          if (!item.isQuoted && this.#in.hasList(textOf(item))) this.#listValues(textOf(item), type, item.span)
          else this.#value(left, type, operator, item)
        }
        return
      case 'list_name':
        if (this.#in.hasList(right.name)) this.#listValues(right.name, type, right.span)
        else this.#names(right)
        return
      case 'number':
        this.#literal(left, type, operator, new TextEncoder().encode(right.text), right.span)
        return
      default:
        this.#value(left, type, operator, right)
        this.#mistaken(right)
    }
  }

  /** A word that is a value, though it is also the name of something. */
  #mistaken(value: Value): void {
    if (value.isQuoted) return
    const text = textOf(value)
    if (this.#in.hasList(text))
      this.#in.warning(
        'condition_doubtful',
        value.span,
        `${quoted(text)} is compared as a word, not as the list of that name`,
        'write `in (…)` for a list, or quote the word',
      )
    else if (this.#in.field(text) !== undefined)
      this.#in.warning(
        'condition_doubtful',
        value.span,
        `${quoted(text)} is compared as a word, not as the field of that name`,
        `write \`val(${text})\` for the field, or quote the word`,
      )
  }

  #rightOperand(left: Operand, type: FieldType, operator: Operator, right: Operand): void {
    const rightType = this.operand(right)
    if (rightType === undefined) return
    const error = (message: string) => this.#in.error('condition_type', right.span, message)
    if (operator === 'regex') error('the right side of `regex` is a fixed expression')
    else if (left.kind === 'field' && left.name === 'evt.type') error('`evt.type` compares with fixed names only')
    else if (right.kind === 'field' && isSeveral(right)) error(`${quoted(right.name)} stands for several values`)
    else if (rightType !== type && !(rightType === 'list' && (operator === 'in' || operator === 'intersects')))
      error(`the right side is ${describe(rightType)}, the left side ${describe(type)}`)
  }

  #value(left: Operand, type: FieldType, operator: Operator, { bytes, span }: Value): void {
    this.#literal(left, type, operator, bytes, span)
  }

  #literal(left: Operand, type: FieldType, operator: Operator, bytes: Uint8Array, span: Span): void {
    if (HEX.includes(operator)) {
      if (!/^(?:[0-9a-fA-F]{2})+$/.test(new TextDecoder().decode(bytes)))
        this.#in.error('condition_type', span, `\`${operator}\` takes bytes as pairs of hexadecimal digits`)
      return
    }
    const literal = readLiteral(type, bytes)
    if (!literal.ok) this.#in.error('condition_type', span, literal.message, literal.help)
    else if (operator === 'regex') {
      const fault = regexFault(new TextDecoder().decode(bytes))
      if (fault !== undefined) this.#in.error('condition_type', span, fault)
    } else if (left.kind === 'field' && left.name === 'evt.type' && ANYWHERE.includes(operator)) {
      const name = new TextDecoder().decode(bytes)
      const help = this.#in.eventTypeFault(name)
      if (help !== undefined)
        this.#in.error('condition_type', span, `there is no event type ${quoted(name)}`, help === '' ? undefined : help)
    }
  }

  #listValues(name: string, type: FieldType, span: Span): void {
    const fault = this.#in.listFault(name, type)
    if (fault !== undefined) this.#in.error('condition_type', span, `in the list ${quoted(name)}: ${fault}`)
  }

  /** Lists that a right side names and that are not there. */
  #names(right: Right): void {
    if (right.kind !== 'list_name' || this.#in.hasList(right.name)) return
    const help = didYouMean(right.name, this.#in.listNames()) ?? 'a single value stands in brackets: `in (value)`'
    this.#in.error('condition_unknown_name', right.span, `there is no list ${quoted(right.name)}`, help)
  }

  #isEmpty(right: Right): boolean {
    if (right.kind === 'list') return right.items.length === 0
    return right.kind === 'list_name' && this.#in.hasList(right.name) && this.#in.isListEmpty(right.name)
  }
}

function isAddress(type: FieldType): boolean {
  return type === 'ip' || type === 'net'
}

function hasSeveral(operand: Transformer): boolean {
  return operand.args.some((each) =>
    each.kind === 'field' ? isSeveral(each) : each.kind === 'transformer' && hasSeveral(each),
  )
}

function isAncestor(name: string): boolean {
  return /^proc\.a(?:name|exe|exepath|cmdline|pid)$/.test(name)
}

function isSeveral({ name, argument }: FieldRef): boolean {
  return SEVERAL.has(name) || (isAncestor(name) && argument === undefined)
}

export function textOf({ bytes }: Value): string {
  return new TextDecoder().decode(bytes)
}

const DESCRIPTIONS: Readonly<Record<FieldType, string>> = {
  string: 'text',
  int: 'a number',
  uint: 'a number from 0',
  port: 'a port',
  time: 'a time in ns',
  bool: 'a boolean',
  bytes: 'bytes',
  ip: 'an address',
  net: 'a network address',
  list: 'a list',
}

function describe(type: FieldType): string {
  return DESCRIPTIONS[type]
}
