/**
 * Exceptions of a rule: fields, comparisons and tuples of values -> `and not (…)`, built as a tree. Values are values: what
 * stands in them is never read as part of the condition.
 */
import { isSeq, type Scalar } from 'yaml'
import {
  COMPARISONS,
  type Expression,
  LIST_OPERATORS,
  type Operand,
  type Operator,
  type Right,
  type Span,
  STRING_OPERATORS,
  type Value,
} from '../condition/ast.js'
import { unescapeBody } from '../condition/escape.js'
import { parseOperandAt } from '../condition/parser.js'
import type { Node, NodeReader } from '../node-reader.js'
import { quoted } from '../visible-text.js'
import { MappedText, writtenText } from './mapped-text.js'
import type { ExceptionDefinition, ExceptionValue } from './model.js'

const OPERATORS: readonly Operator[] = [...COMPARISONS, ...STRING_OPERATORS, ...LIST_OPERATORS]

/** `known`: of the rule so far; an exception of one of these names may give values only. */
export function readExceptions(
  reader: NodeReader,
  node: Node,
  known: readonly ExceptionDefinition[],
): ExceptionDefinition[] {
  return (reader.list(node, '`exceptions`') ?? []).flatMap((item) => {
    const exception = readException(reader, item, known)
    return exception === undefined ? [] : [exception]
  })
}

/** Values are added to an exception of the same name, other exceptions to the rule. */
export function appendExceptions(
  old: readonly ExceptionDefinition[],
  added: readonly ExceptionDefinition[],
): ExceptionDefinition[] {
  const result = old.map((each) => ({ ...each }))
  for (const exception of added) {
    const same = result.find(({ name }) => name === exception.name)
    if (same === undefined) result.push(exception)
    else same.tuples = [...same.tuples, ...exception.tuples]
  }
  return result
}

function readException(
  reader: NodeReader,
  node: Node,
  known: readonly ExceptionDefinition[],
): ExceptionDefinition | undefined {
  const given = reader.map(node, 'an exception')
  if (given === undefined) return undefined
  const refuse = (at: Node, message: string): undefined => {
    reader.error('falco_exception', reader.span(at), message)
    return undefined
  }
  const name = reader.written(given.get('name')?.value ?? null)?.text
  if (name === undefined) return refuse(node, 'an exception has no `name`')
  const old = known.find((each) => each.name === name)
  const fieldsNode = given.get('fields')?.value ?? null
  const fields = fieldsNode === null ? old?.fields : texts(reader, fieldsNode)
  if (fields === undefined || fields.length === 0)
    return refuse(node, `the exception ${quoted(name)} has no \`fields\``)
  const isSingle = fieldsNode === null ? (old?.isSingle ?? false) : !isSeq(fieldsNode)
  const compsNode = given.get('comps')?.value ?? null
  const preset = MappedText.of(isSingle ? 'in' : '=', node as unknown as Scalar.Parsed, reader.source)
  const comparisons =
    compsNode === null
      ? ((fieldsNode === null ? old?.comparisons : undefined) ?? fields.map(() => preset))
      : texts(reader, compsNode)
  if (comparisons.length !== fields.length)
    return refuse(compsNode ?? node, `${fields.length} fields need as many \`comps\`, there are ${comparisons.length}`)
  const wrong = comparisons.find(({ text }) => !OPERATORS.some((operator) => operator === text))
  if (wrong !== undefined) return refuse(compsNode, `${quoted(wrong.text)} is no operator`)
  if (isSingle && !LIST_OPERATORS.some((operator) => operator === comparisons[0]?.text))
    return refuse(compsNode, 'a single field compares with `in`, `pmatch` or `intersects`; else write lists')
  const tuples = readTuples(reader, given.get('values')?.value ?? null, isSingle, fields.length)
  if (tuples === undefined) return undefined
  return { name, span: reader.span(node), fields, comparisons, isSingle, tuples }
}

function readTuples(reader: NodeReader, node: Node, isSingle: boolean, width: number): ExceptionValue[][] | undefined {
  if (node === null) return []
  const entries = reader.list(node, '`values`')
  if (entries === undefined) return undefined
  if (isSingle)
    return entries.length === 0 ? [] : [[{ items: texts(reader, node), isList: true, span: reader.span(node) }]]
  const tuples: ExceptionValue[][] = []
  for (const entry of entries) {
    const parts = reader.list(entry, 'an entry of `values`')
    if (parts === undefined) return undefined
    if (parts.length !== width) {
      const message = `an entry of \`values\` has ${parts.length} values for ${width} fields`
      reader.error('falco_exception', reader.span(entry), message)
      return undefined
    }
    tuples.push(parts.map((part) => ({ items: texts(reader, part), isList: isSeq(part), span: reader.span(part) })))
  }
  return tuples
}

function texts(reader: NodeReader, node: Node): MappedText[] {
  const nodes = isSeq(node) ? (node.items as Node[]) : [node]
  return nodes.flatMap((each) => {
    const text = writtenText(each)
    if (text !== undefined) return [MappedText.of(text, each as Scalar.Parsed, reader.source)]
    reader.error('falco_exception', reader.span(each), 'a part of an exception is not text')
    return []
  })
}

export type Fault = (span: Span, message: string, help?: string) => void

/** `(condition) and not (exception) and not …`; undefined after a fault. */
export function withExceptions(
  condition: Expression,
  exceptions: readonly ExceptionDefinition[],
  fault: Fault,
): Expression | undefined {
  const negations: Expression[] = []
  for (const exception of exceptions) {
    const ways: Expression[] = []
    for (const tuple of exception.tuples) {
      const checks = tuple.map((value, index) => checkOf(exception, index, value, fault))
      const whole = checks.filter((check) => check !== undefined)
      if (whole.length !== checks.length) return undefined
      const way = joined('and', whole)
      if (way !== undefined) ways.push(way)
    }
    const operand = joined('or', ways)
    if (operand !== undefined) negations.push({ kind: 'not', operand, span: operand.span })
  }
  return joined('and', [condition, ...negations])
}

function joined(kind: 'and' | 'or', operands: readonly Expression[]): Expression | undefined {
  const [first] = operands
  if (first === undefined || operands.length === 1) return first
  return { kind, operands, span: first.span }
}

function checkOf(
  { fields, comparisons }: ExceptionDefinition,
  index: number,
  value: ExceptionValue,
  fault: Fault,
): Expression | undefined {
  const field = fields[index]
  const comparison = comparisons[index]
  const operator = OPERATORS.find((each) => each === comparison?.text)
  if (field === undefined || comparison === undefined || operator === undefined) return undefined
  const left = wholeOperand(field, fault)
  const right = left === undefined ? undefined : rightOf(operator, value, comparison, fault)
  if (left === undefined || right === undefined) return undefined
  return { kind: 'check', left, operator, operatorSpan: spanOf(comparison), right, span: left.span }
}

function wholeOperand(text: MappedText, fault: Fault): Operand | undefined {
  const read = parseOperandAt(text, 0)
  if (read?.ok === true && read.end === text.text.length) return read.operand
  if (read?.ok === false) fault(read.fault.span, read.fault.message, read.fault.help)
  else fault(spanOf(text), `${quoted(text.text)} is not a field`)
  return undefined
}

function rightOf(operator: Operator, value: ExceptionValue, at: MappedText, fault: Fault): Right | undefined {
  const items: Value[] = []
  for (const item of value.items) {
    const read = itemValue(item.text)
    if (typeof read === 'string') {
      fault(spanOf(item), read)
      return undefined
    }
    items.push({ kind: 'value', ...read, span: spanOf(item) })
  }
  const [first] = items
  const span = first?.span ?? spanOf(at)
  if (LIST_OPERATORS.some((each) => each === operator)) return { kind: 'list', items, span }
  if (value.isList || first === undefined) {
    fault(span, `\`${operator}\` takes one value, not a list`)
    return undefined
  }
  if (!COMPARISONS.some((each) => each === operator)) return first
  return { kind: 'number', text: new TextDecoder().decode(first.bytes), span }
}

function spanOf(source: MappedText): Span {
  return { source, start: 0, end: Math.max(1, source.text.length) }
}

/** An item of a list or exception: in quotes of the condition language, or plain and then meant as it stands; else a fault. */
export function itemValue(text: string): { bytes: Uint8Array; isQuoted: boolean } | string {
  const quote = text.charAt(0)
  if ((quote !== '"' && quote !== "'") || text.length < 2 || !text.endsWith(quote))
    return { bytes: new TextEncoder().encode(text), isQuoted: false }
  const read = unescapeBody(text.slice(1, -1), quote)
  return read.ok ? { bytes: read.bytes, isQuoted: true } : read.message
}
