/**
 * Which events a condition can match, and what it would read that the probes do not yield: the condition with `evt.type`
 * known, in three-valued logic. A part that is false whatever the event holds needs none of its fields; a field that an
 * event does not carry makes its comparison false, as at run time.
 */

import type { FieldSpec } from '../../record/fields/types.js'
import type { EventKind } from '../../record/model.js'
import type { Check, Expression, Operand, Span, TransformerArgument } from '../condition/ast.js'
import { textOf } from '../condition/check.js'

/** What is known of the event; `name` undefined: of a type that nothing names. */
export interface EventCase {
  readonly name: string | undefined
  /** Undefined: the probes do not yield it. */
  readonly kind: EventKind | undefined
}

/** Field that is missing -> where it is read first. */
export type Missing = ReadonlyMap<string, Span>

export interface Outcome {
  readonly truth: boolean | undefined
  /** Only when the truth is unknown. */
  readonly missing: Missing
}

export interface OutcomeEnvironment {
  field(name: string): FieldSpec | undefined
  /** Outcome of a macro for this event, worked out before those that name it; undefined: it is refused. */
  macro(name: string): Outcome | undefined
  /** The event types that a check of `evt.type` names, lists put in; undefined: its right side is no fixed name or list. */
  typesOf(check: Check): ReadonlySet<string> | undefined
}

const NOTHING: Missing = new Map()
const TRUE: Outcome = { truth: true, missing: NOTHING }
const FALSE: Outcome = { truth: false, missing: NOTHING }
const UNKNOWN: Outcome = { truth: undefined, missing: NOTHING }

export function outcomeOf(expression: Expression, event: EventCase, environment: OutcomeEnvironment): Outcome {
  switch (expression.kind) {
    case 'macro':
      return environment.macro(expression.name) ?? UNKNOWN
    case 'not': {
      const { truth, missing } = outcomeOf(expression.operand, event, environment)
      return truth === undefined ? { truth, missing } : truth ? FALSE : TRUE
    }
    case 'check':
      return checkOutcome(expression, event, environment)
    default: {
      // `false` decides an `and`, `true` an `or`; the other value says nothing
      const deciding = expression.kind === 'or'
      const unknown: Missing[] = []
      let isUnknown = false
      for (const operand of expression.operands) {
        const { truth, missing } = outcomeOf(operand, event, environment)
        if (truth === deciding) return deciding ? TRUE : FALSE
        if (truth !== undefined) continue
        isUnknown = true
        if (missing.size > 0) unknown.push(missing)
      }
      if (!isUnknown) return deciding ? FALSE : TRUE
      return { truth: undefined, missing: merged(unknown) }
    }
  }
}

function merged(parts: readonly Missing[]): Missing {
  const [first] = parts
  if (first === undefined || parts.length === 1) return first ?? NOTHING
  const all = new Map<string, Span>()
  for (const part of parts) for (const [name, span] of part) if (!all.has(name)) all.set(name, span)
  return all
}

function checkOutcome(check: Check, event: EventCase, environment: OutcomeEnvironment): Outcome {
  const { left, right } = check
  if (left.kind === 'field' && left.name === 'evt.type') return typeOutcome(check, event, environment)
  if (left.kind === 'field' && left.name === 'evt.num') {
    const truth = numberTruth(check)
    if (truth !== undefined) return truth ? TRUE : FALSE
  }
  const missing = new Map<string, Span>()
  let isAbsent = false
  const read = (part: TransformerArgument): void => {
    if (part.kind === 'transformer') part.args.forEach(read)
    else if (part.kind === 'arguments') part.items.forEach(read)
    else if (part.kind === 'field') {
      const spec = environment.field(part.name)
      if (spec === undefined) return
      const { kind } = event
      if (kind === undefined ? spec.kinds.length === 0 : spec.carriedBy.includes(kind) && !spec.kinds.includes(kind))
        missing.set(part.name, part.span)
      else if (kind !== undefined && !spec.carriedBy.includes(kind)) isAbsent = true
    }
  }
  read(left)
  if (right !== undefined && isOperand(right)) read(right)
  return isAbsent ? FALSE : { truth: undefined, missing }
}

function isOperand(right: { kind: string }): right is Operand {
  return right.kind === 'field' || right.kind === 'transformer'
}

function typeOutcome(check: Check, { name }: EventCase, environment: OutcomeEnvironment): Outcome {
  if (check.operator === 'exists') return TRUE
  const types = environment.typesOf(check)
  if (types === undefined) return UNKNOWN
  return (name !== undefined && types.has(name)) === (check.operator !== '!=') ? TRUE : FALSE
}

/** Only these say which events a rule is for; the values of a named list come from `listed`. */
const DECIDING: ReadonlySet<string> = new Set(['=', '==', '!=', 'in', 'intersects'])

export function typesOfCheck(
  { operator, modifier, right }: Check,
  listed: (name: string) => ReadonlySet<string> | undefined,
): ReadonlySet<string> | undefined {
  if (!DECIDING.has(operator) || modifier !== undefined) return undefined
  if (right?.kind === 'value') return new Set([textOf(right)])
  if (right?.kind === 'list_name') return listed(right.name)
  if (right?.kind !== 'list') return undefined
  const types = new Set<string>()
  for (const item of right.items) {
    const text = textOf(item)
    const named = item.isQuoted ? undefined : listed(text)
    if (named === undefined) types.add(text)
    else for (const each of named) types.add(each)
  }
  return types
}

/** Numbers of events begin with 1: this is how rules spell `never` and `always`. */
function numberTruth({ operator, right }: Check): boolean | undefined {
  const text = right?.kind === 'value' ? textOf(right) : right?.kind === 'number' ? right.text : ''
  if (!/^[+-]?\d{1,15}$/.test(text)) return undefined
  const value = Number(text)
  switch (operator) {
    case '=':
    case '==':
      return value < 1 ? false : undefined
    case '!=':
      return value < 1 ? true : undefined
    case '<':
      return value <= 1 ? false : undefined
    case '<=':
      return value < 1 ? false : undefined
    case '>':
      return value < 1 ? true : undefined
    case '>=':
      return value <= 1 ? true : undefined
    default:
      return undefined
  }
}

/** The checks of `evt.type` in an expression, macros aside. */
export function typeChecks(expression: Expression, into: Check[]): void {
  if (expression.kind === 'not') typeChecks(expression.operand, into)
  else if (expression.kind === 'and' || expression.kind === 'or')
    for (const operand of expression.operands) typeChecks(operand, into)
  else if (expression.kind === 'check' && expression.left.kind === 'field' && expression.left.name === 'evt.type')
    into.push(expression)
}
