/** Walks over conditions. */
import type { Check, Expression, TransformerArgument } from '../../policy/condition/ast.js'

/** All fields that an expression reads, macros aside. */
export function visitFields(expression: Expression, visit: (check: Check, name: string) => void): void {
  if (expression.kind === 'not') visitFields(expression.operand, visit)
  else if (expression.kind === 'and' || expression.kind === 'or')
    for (const operand of expression.operands) visitFields(operand, visit)
  else if (expression.kind === 'check') {
    const read = (part: TransformerArgument): void => {
      if (part.kind === 'field') visit(expression, part.name)
      else if (part.kind === 'transformer') part.args.forEach(read)
      else if (part.kind === 'arguments') part.items.forEach(read)
    }
    read(expression.left)
    if (expression.right?.kind === 'field' || expression.right?.kind === 'transformer') read(expression.right)
  }
}
