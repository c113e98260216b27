/** A condition with the macros and lists that it names put in, so that it means the same wherever it is judged. */
import type { Expression, Right, Span, Value } from './condition/ast.js'

/** Parts of one condition with everything put in; the public Falco rules stay below 2,000. */
export const PARTS_MAX_COUNT = 100_000

export interface Definitions {
  macro(name: string): Expression | undefined
  list(name: string): readonly Uint8Array[] | undefined
}

/** Undefined: the condition would have too many parts. All names are defined: the checker has seen it. */
export function putIn(expression: Expression, definitions: Definitions): Expression | undefined {
  return new PutIn(definitions).of(expression)
}

class PutIn {
  readonly #definitions: Definitions
  #partCount = 0

  constructor(definitions: Definitions) {
    this.#definitions = definitions
  }

  of(expression: Expression): Expression | undefined {
    if (++this.#partCount > PARTS_MAX_COUNT) return undefined
    switch (expression.kind) {
      case 'macro': {
        const macro = this.#definitions.macro(expression.name)
        return macro === undefined ? undefined : this.of(macro)
      }
      case 'not': {
        const operand = this.of(expression.operand)
        if (operand === undefined) return undefined
        // two negations in a row are none
        return operand.kind === 'not' ? operand.operand : { ...expression, operand }
      }
      case 'check': {
        if (expression.right === undefined) return expression
        const right = this.#right(expression.right)
        return right && { ...expression, right }
      }
      default: {
        const operands: Expression[] = []
        for (const each of expression.operands) {
          const operand = this.of(each)
          if (operand === undefined) return undefined
          operands.push(operand)
        }
        return { ...expression, operands }
      }
    }
  }

  #right(right: Right): Right | undefined {
    if (right.kind === 'list_name') {
      const items = this.#values(right.name, right.span)
      return items && { kind: 'list', items, span: right.span }
    }
    if (right.kind === 'value') return { ...right, isQuoted: true }
    if (right.kind !== 'list') return right
    const items: Value[] = []
    for (const item of right.items) {
      const name = item.isQuoted ? undefined : new TextDecoder().decode(item.bytes)
      const named = name === undefined ? undefined : this.#definitions.list(name)
      if (named === undefined) items.push({ ...item, isQuoted: true })
      else for (const value of this.#valuesOf(named, item.span)) items.push(value)
      this.#partCount++
      if (this.#partCount > PARTS_MAX_COUNT) return undefined
    }
    return { ...right, items }
  }

  #values(name: string, span: Span): Value[] | undefined {
    const named = this.#definitions.list(name)
    const values = named === undefined ? undefined : this.#valuesOf(named, span)
    return this.#partCount > PARTS_MAX_COUNT ? undefined : values
  }

  #valuesOf(values: readonly Uint8Array[], span: Span): Value[] {
    this.#partCount += values.length
    return this.#partCount > PARTS_MAX_COUNT
      ? []
      : values.map((bytes) => ({ kind: 'value', bytes, isQuoted: true, span }))
  }
}
