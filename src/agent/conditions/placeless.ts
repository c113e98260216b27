/**
 * Conditions without their places in files: what is in force needs none, and a file's text must not be kept for them. All of
 * it is plain data, so that it can go from one thread to another.
 */
import type {
  Check,
  ConditionSource,
  Expression,
  Operand,
  Right,
  Span,
  TransformerArgument,
} from '../../policy/condition/ast.js'
import type { SourceSpan } from '../../policy/model.js'

/** Everything that could ask for a place has been asked. */
class NoSource implements ConditionSource {
  readonly text = ''
  locate(): SourceSpan {
    throw new Error('no places are kept of a condition in force')
  }
}
const NOWHERE: Span = { source: new NoSource(), start: 0, end: 0 }

export function withoutPlaces(expression: Expression): Expression {
  switch (expression.kind) {
    case 'macro':
      return { ...expression, span: NOWHERE }
    case 'not':
      return { ...expression, operand: withoutPlaces(expression.operand), span: NOWHERE }
    case 'check':
      return checkWithoutPlaces(expression)
    default:
      return { ...expression, operands: expression.operands.map(withoutPlaces), span: NOWHERE }
  }
}

function checkWithoutPlaces(check: Check): Check {
  const left = operandWithoutPlaces(check.left)
  const bare = { ...check, left, operatorSpan: NOWHERE, span: NOWHERE }
  return check.right === undefined ? bare : { ...bare, right: rightWithoutPlaces(check.right) }
}

function rightWithoutPlaces(right: Right): Right {
  if (right.kind === 'field' || right.kind === 'transformer') return operandWithoutPlaces(right)
  if (right.kind === 'list')
    return { ...right, items: right.items.map((item) => ({ ...item, span: NOWHERE })), span: NOWHERE }
  return { ...right, span: NOWHERE }
}

function operandWithoutPlaces(operand: Operand): Operand {
  if (operand.kind === 'field') {
    const bare = { ...operand, span: NOWHERE }
    return operand.argument === undefined ? bare : { ...bare, argument: { ...operand.argument, span: NOWHERE } }
  }
  const bare = { ...operand, args: operand.args.map(argumentWithoutPlaces), span: NOWHERE }
  return operand.index === undefined ? bare : { ...bare, index: { ...operand.index, span: NOWHERE } }
}

function argumentWithoutPlaces(part: TransformerArgument): TransformerArgument {
  if (part.kind === 'field' || part.kind === 'transformer') return operandWithoutPlaces(part)
  if (part.kind === 'arguments') return { ...part, items: part.items.map(argumentWithoutPlaces), span: NOWHERE }
  return { ...part, span: NOWHERE }
}
