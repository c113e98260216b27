/** Expression -> text in one form: what it prints reads back as the same tree. */
import type { Check, Expression, Operand, Right, TransformerArgument, Value } from './ast.js'
import { quoteBytes } from './escape.js'

export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'macro':
      return expression.name
    case 'not':
      return `not ${nested(expression.operand)}`
    case 'check':
      return printCheck(expression)
    default:
      return expression.operands.map(nested).join(` ${expression.kind} `)
  }
}

function nested(expression: Expression): string {
  const text = printExpression(expression)
  return expression.kind === 'and' || expression.kind === 'or' ? `(${text})` : text
}

function printCheck({ left, operator, modifier, right }: Check): string {
  const words = [printOperand(left), operator]
  if (modifier !== undefined) words.push(modifier)
  if (right !== undefined) words.push(printRight(right))
  return words.join(' ')
}

export function printOperand(operand: Operand): string {
  if (operand.kind === 'field') return `${operand.name}${printIndex(operand.argument)}`
  return `${operand.name}(${operand.args.map(printArgument).join(', ')})${printIndex(operand.index)}`
}

function printArgument(argument: TransformerArgument): string {
  switch (argument.kind) {
    case 'value':
      return printValue(argument)
    case 'number':
      return argument.text
    case 'arguments':
      return `(${argument.items.map(printArgument).join(', ')})`
    default:
      return printOperand(argument)
  }
}

function printIndex(index: Value | undefined): string {
  return index === undefined ? '' : `[${printValue(index)}]`
}

function printRight(right: Right): string {
  switch (right.kind) {
    case 'value':
      return printValue(right)
    case 'number':
      return right.text
    case 'list':
      return `(${right.items.map(printValue).join(', ')})`
    case 'list_name':
      return right.name
    case 'field':
      return `val(${printOperand(right)})`
    default:
      return printOperand(right)
  }
}

function printValue({ bytes, isQuoted }: Value): string {
  return isQuoted ? quoteBytes(bytes) : new TextDecoder().decode(bytes)
}
