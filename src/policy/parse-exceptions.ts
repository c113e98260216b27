/** `exceptions:` of a rule: each with a name, a reason, entries or a condition, and the last day on which it counts. */
import type { PolicyConditions } from './conditions.js'
import { keysOf } from './keys.js'
import type { RuleKind, SourceSpan } from './model.js'
import type { Field, Node } from './node-reader.js'
import { type ReadEntry, type RuleContext, readEntries } from './parse-lists.js'
import { notYet } from './parse-thresholds.js'
import { isHostile, quoted } from './visible-text.js'

/** Conditions are put in when all of the policy have been linked. */
export interface PendingException<Entry> {
  readonly name: string
  readonly reason: string
  readonly untilMs?: number
  readonly match: readonly Entry[]
  readonly conditionKey?: string
  readonly span: SourceSpan
}

const DAY_MS = 86_400_000
const EXCEPTIONS_MAX_COUNT = 256
const TEXT_MAX_COUNT = 1000

export interface ExceptionContext extends RuleContext {
  readonly conditions: PolicyConditions
  /** UTC ms, to warn of what has expired. */
  readonly nowMs: number
}

/** `read` undefined: rules of this kind have no entries. */
export function readExceptions<Entry>(
  field: Field | undefined,
  kind: RuleKind,
  rule: string,
  context: ExceptionContext,
  read: ReadEntry<Entry> | undefined,
): PendingException<Entry>[] {
  if (field === undefined) return []
  const { reader } = context
  if (read === undefined && kind !== 'condition') {
    reader.error(
      'policy_bad_value',
      field.keySpan,
      `a rule of kind \`${kind}\` compares readings, it has no exceptions`,
      'narrow `containers`, or make a policy of its own',
    )
    return []
  }
  const nodes = reader.list(field.value, '`exceptions`') ?? []
  if (nodes.length > EXCEPTIONS_MAX_COUNT)
    reader.error('policy_limit', field.keySpan, `a rule has more than ${EXCEPTIONS_MAX_COUNT} exceptions`)
  const named = new Map<string, SourceSpan>()
  return nodes.slice(0, EXCEPTIONS_MAX_COUNT).flatMap((node) => {
    const exception = readException(node, rule, context, read)
    if (exception === undefined) return []
    const first = named.get(exception.name)
    if (first !== undefined)
      reader.error(
        'policy_duplicate_name',
        exception.span,
        `the rule has two exceptions named ${quoted(exception.name)}`,
        `first in line ${first.line}`,
      )
    named.set(exception.name, first ?? exception.span)
    return [exception]
  })
}

function readException<Entry>(
  node: Node,
  rule: string,
  context: ExceptionContext,
  read: ReadEntry<Entry> | undefined,
): PendingException<Entry> | undefined {
  const { reader, conditions } = context
  const fields = reader.map(node, 'an exception')
  if (fields === undefined) return undefined
  const known = keysOf('exception')
  for (const field of fields.values()) if (!known.includes(field.key)) reader.unknownKey(field, 'an exception', known)
  const name = readLine(fields.get('name'), 'name', node, context)
  const reason = readLine(fields.get('reason'), 'reason', node, context)
  const untilMs = readUntil(fields.get('until'), name?.text ?? '', context)
  const matchField = fields.get('match')
  const conditionField = fields.get('condition')
  if (matchField === undefined && conditionField === undefined)
    reader.error('policy_missing_key', reader.span(node), 'an exception has neither `match` nor `condition`')
  if (matchField !== undefined && read === undefined)
    reader.error('policy_bad_value', matchField.keySpan, 'the rule has no entries to match: give a `condition`')
  const match = matchField && read && readEntries(matchField.value, '`match`', context, read)
  if (matchField !== undefined && match?.length === 0 && conditionField === undefined)
    reader.error('policy_empty', matchField.keySpan, 'an exception with an empty `match` excepts nothing')
  if (conditionField !== undefined && read !== undefined)
    notYet(reader, conditionField.keySpan, 'a condition as the exception of a rule with entries')
  const conditionKey = conditionField && conditions.add(conditionField, rule, true)
  if (name === undefined || reason === undefined) return undefined
  return {
    name: name.text,
    reason: reason.text,
    ...(untilMs === undefined ? {} : { untilMs }),
    match: match ?? [],
    ...(conditionKey === undefined ? {} : { conditionKey }),
    span: name.span,
  }
}

function readLine(field: Field | undefined, key: string, node: Node, { reader }: RuleContext) {
  if (field === undefined) {
    reader.error('policy_missing_key', reader.span(node), `an exception has no \`${key}\``)
    return undefined
  }
  const text = reader.text(field.value, `\`${key}\``)
  if (text === undefined) return undefined
  if (text.text.trim() !== '' && !isHostile(text.text) && text.text.length <= TEXT_MAX_COUNT) return text
  reader.error('policy_bad_value', text.span, `\`${key}\` is empty, too long, or holds invisible characters`)
  return undefined
}

/** The day that is written is the last on which it counts. */
function readUntil(field: Field | undefined, name: string, { reader, nowMs }: ExceptionContext): number | undefined {
  if (field === undefined) return undefined
  const text = reader.text(field.value, '`until`')
  if (text === undefined) return undefined
  const dayMs = parseDayMs(text.text)
  if (dayMs === undefined) {
    reader.error('policy_bad_value', text.span, `${quoted(text.text)} is not a day`, 'write it as `2027-12-31`')
    return undefined
  }
  const untilMs = dayMs + DAY_MS
  if (untilMs <= nowMs)
    reader.warning('policy_expired', text.span, `the exception ${quoted(name)} has expired and no longer counts`)
  return untilMs
}

/** The beginning of the day in UTC; undefined for a day that is none. */
function parseDayMs(text: string): number | undefined {
  const found = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)
  if (found === null) return undefined
  const dayMs = Date.UTC(Number(found[1]), Number(found[2]) - 1, Number(found[3]))
  return new Date(dayMs).toISOString().startsWith(text) ? dayMs : undefined
}
