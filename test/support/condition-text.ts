/** Conditions from a bare text, and trees without their places. */
import type { ConditionSource, Expression } from '../../src/policy/condition/ast.js'
import { type ParseResult, parseCondition } from '../../src/policy/condition/parser.js'
import { SourceText } from '../../src/policy/source-text.js'

export function textSource(text: string): ConditionSource {
  const source = new SourceText('condition', text)
  return { text, locate: (start, end) => source.span(start, end) }
}

export function parsed(text: string): ParseResult {
  return parseCondition(textSource(text))
}

export function stripSpans(expression: Expression): unknown {
  return JSON.parse(
    JSON.stringify(expression, (key, value: unknown) => (key === 'span' || key === 'operatorSpan' ? undefined : value)),
  )
}
