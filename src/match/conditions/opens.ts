/**
 * Which opens a condition can hold for: the kernel need not report the others. Always as many as those for which it does
 * hold, or more: what is not understood here is taken to hold for every open.
 */
import type { Check, Expression, Right } from '../../policy/condition/ast.js'
import { findEventType } from '../../record/fields/events.js'
import { OPEN_ALL, OPEN_DOTDOT, OPEN_FAILED, OPEN_READ, OPEN_WRITE, type OpenWant } from '../open-wants.js'

export interface OpenSources {
  macro(name: string): Expression | undefined
  list(name: string): readonly Uint8Array[] | undefined
}

const EVERY: readonly OpenWant[] = [{ prefix: '', classes: OPEN_ALL }]
/** More pairs than this are not worked out: the shorter side alone holds for as many. */
const PAIRS_MAX_COUNT = 20_000
const ACCESS_FIELDS: ReadonlyMap<string, number> = new Map([
  ['evt.is_open_read', OPEN_READ],
  ['evt.is_open_write', OPEN_WRITE],
])
const WILD = /[*?[\]{}\\!+@()|]/

export function opensOf(expression: Expression, sources: OpenSources): readonly OpenWant[] {
  const macros = new Map<string, readonly OpenWant[]>()
  const visit = (part: Expression): readonly OpenWant[] => {
    switch (part.kind) {
      case 'and':
        return part.operands.map(visit).reduce(both)
      case 'or':
        return merged(part.operands.flatMap((operand) => visit(operand)))
      case 'not':
        return EVERY
      case 'macro': {
        const known = macros.get(part.name)
        if (known !== undefined) return known
        const body = sources.macro(part.name)
        const wants = body === undefined ? EVERY : visit(body)
        macros.set(part.name, wants)
        return wants
      }
      case 'check':
        return opensOfCheck(part, sources)
    }
  }
  return merged(visit(expression))
}

function opensOfCheck(check: Check, sources: OpenSources): readonly OpenWant[] {
  const { left, right, operator, modifier } = check
  if (left.kind !== 'field' || left.argument !== undefined || modifier !== undefined || right === undefined)
    return EVERY
  const isEqual = operator === '=' || operator === '==' || operator === 'in'
  const values = textsOf(right, sources)
  if (values === undefined) return left.name === 'fd.num' || left.name === 'evt.rawres' ? ofResult(check) : EVERY
  const access = ACCESS_FIELDS.get(left.name)
  if (access !== undefined)
    return isEqual && values.every((value) => value === 'true')
      ? [{ prefix: '', classes: access | OPEN_FAILED }]
      : EVERY
  switch (left.name) {
    case 'evt.type':
      return !isEqual || values.some((name) => findEventType(name)?.kind === 'open') ? EVERY : []
    case 'evt.failed':
      return isEqual && values.every((value) => value === 'false') ? [succeeded()] : EVERY
    case 'fd.num':
    case 'evt.rawres':
      return ofResult(check)
    case 'fd.name':
      if (operator === 'pmatch') return values.map((value) => below(plainPath(untilWild(value))))
      if (operator === 'glob') return values.map((value) => below(untilWild(value)))
      return isEqual || operator === 'startswith' ? values.map(below) : EVERY
    case 'fd.directory':
      return isEqual || operator === 'startswith' ? values.map(below) : EVERY
    case 'fd.nameraw':
      return ofRawName(operator, values)
    default:
      return EVERY
  }
}

/** Patterns in which every character stands for itself but `*` and `?`. */
const PLAIN_GLOB = /^[^[\]{}\\!+@()|]*$/

/** A path given with `..`, if nothing else can match. */
function ofRawName(operator: string, values: readonly string[]): readonly OpenWant[] {
  const isText = ['=', '==', 'in', 'contains', 'startswith', 'endswith'].includes(operator)
  const isGlob = operator === 'glob' && values.every((value) => PLAIN_GLOB.test(value))
  if (!(isText || isGlob) || !values.every((value) => value.includes('..'))) return EVERY
  return [{ prefix: '', classes: OPEN_DOTDOT }]
}

/** Latin-1, a character a byte. Undefined: not values that are written down. */
function textsOf(right: Right, { list }: OpenSources): string[] | undefined {
  const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
  if (right.kind === 'value') return [latin1(right.bytes)]
  if (right.kind === 'list_name') return list(right.name)?.map(latin1)
  if (right.kind === 'list')
    // a bare word is a list's name or itself: both
    return right.items.flatMap((item) => [
      latin1(item.bytes),
      ...(item.isQuoted ? [] : (list(latin1(item.bytes)) ?? []).map(latin1)),
    ])
  return undefined
}

/** `>= 0`, `> 0`, `> -1`: it succeeded. */
function ofResult({ operator, right }: Check): readonly OpenWant[] {
  const text =
    right?.kind === 'number' ? right.text : right?.kind === 'value' ? Buffer.from(right.bytes).toString() : ''
  const isFromZero = operator === '>=' && /^\d+$/.test(text)
  return isFromZero || (operator === '>' && /^(?:\d+|-1)$/.test(text)) ? [succeeded()] : EVERY
}

const succeeded = (): OpenWant => ({ prefix: '', classes: OPEN_ALL & ~OPEN_FAILED })
const below = (prefix: string): OpenWant => ({ prefix, classes: OPEN_ALL })

function untilWild(pattern: string): string {
  const at = pattern.search(WILD)
  return at === -1 ? pattern : pattern.slice(0, at)
}

/** As pmatch reads it: a slash more, or one at the end, means nothing. */
function plainPath(text: string): string {
  return text.replace(/\/+/g, '/').replace(/\/$/, '')
}

function both(left: readonly OpenWant[], right: readonly OpenWant[]): readonly OpenWant[] {
  if (left.length * right.length > PAIRS_MAX_COUNT) return left.length <= right.length ? left : right
  return merged(
    left.flatMap((a) =>
      right.flatMap((b) => {
        const classes = a.classes & b.classes
        const [short, long] = a.prefix.length <= b.prefix.length ? [a.prefix, b.prefix] : [b.prefix, a.prefix]
        return classes === 0 || !long.startsWith(short) ? [] : [{ prefix: long, classes }]
      }),
    ),
  )
}

function merged(wants: readonly OpenWant[]): readonly OpenWant[] {
  const sets = new Map<string, number>()
  for (const { prefix, classes } of wants) sets.set(prefix, (sets.get(prefix) ?? 0) | classes)
  return [...sets].map(([prefix, classes]) => ({ prefix, classes }))
}
