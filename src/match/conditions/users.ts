/**
 * By which users an act can be that a condition holds for: the kernel need not report those of others. Always as many as those for
 * which it does hold, or more: what is not understood here is taken to hold for every user.
 */
import type { Check, Expression } from '../../policy/condition/ast.js'
import { CALL_KINDS } from '../../record/call-model.js'
import { findEventType } from '../../record/fields/events.js'
import { callKindsOf, ofEverybody, rangesBeside, UID_MAX, type UserRange, type UserWant } from '../user-wants.js'
import { type BoundSources, both, boundOf, isEquality, textsOf } from './bounds.js'

const ALL = ofEverybody(callKindsOf(CALL_KINDS))
const EVERY: readonly UserWant[] = [ALL]

/** `eventTypes`: those that the condition is asked about. */
export function usersOf(
  expression: Expression,
  sources: BoundSources,
  eventTypes: readonly string[],
): readonly UserWant[] {
  const bound = {
    every: EVERY,
    meet,
    merged,
    ofCheck: (check: Check) => usersOfCheck(check, sources),
    besideCheck: (check: Check) => usersBesideCheck(check, sources),
  }
  return both(boundOf(expression, sources, bound), usersOfTypes(eventTypes), bound)
}

function usersOfTypes(names: readonly string[]): readonly UserWant[] {
  const kinds = callKindsOf(names.flatMap((name) => findEventType(name)?.kind ?? []))
  return kinds === 0n ? [] : [ofEverybody(kinds)]
}

function usersOfCheck(check: Check, sources: BoundSources): readonly UserWant[] {
  const asked = askedOf(check, sources)
  if (asked === undefined) return EVERY
  const { field, operator, values } = asked
  if (field === 'evt.type') return isEquality(operator) ? usersOfTypes(values) : EVERY
  if (field === 'user.uid') return rangesOf(operator, values)?.map(ofRange) ?? EVERY
  if (isEquality(operator)) return values.length === 0 ? [] : [ofNames(values, false)]
  return operator === '!=' ? [ofNames(values, true)] : EVERY
}

/** Every act has a user's number; a name only that of a user in the database, where a check that is false may be so for want of one. */
function usersBesideCheck(check: Check, sources: BoundSources): readonly UserWant[] {
  const asked = askedOf(check, sources)
  if (asked === undefined) return EVERY
  const { field, operator, values } = asked
  if (field === 'user.uid') {
    const ranges = rangesOf(operator, values)
    return ranges === undefined ? EVERY : rangesBeside(ranges).map(ofRange)
  }
  return field === 'user.name' && isEquality(operator) && values.length > 0 ? [ofNames(values, true)] : EVERY
}

type Field = 'evt.type' | 'user.uid' | 'user.name'

interface Asked {
  readonly field: Field
  readonly operator: Check['operator']
  readonly values: readonly string[]
}

/** Undefined: it is about something else, or compares with what is not written down. */
function askedOf({ left, right, operator, modifier }: Check, sources: BoundSources): Asked | undefined {
  if (left.kind !== 'field' || left.argument !== undefined || modifier !== undefined || right === undefined)
    return undefined
  const { name } = left
  if (name !== 'evt.type' && name !== 'user.uid' && name !== 'user.name') return undefined
  const values = (right.kind === 'number' ? [right.text] : textsOf(right, sources))?.map(decoded)
  return values?.every((value) => value !== undefined) ? { field: name, operator, values } : undefined
}

/** Bytes, a character each, as names are read from the database. Undefined: they are no text. */
function decoded(bytes: string): string | undefined {
  const text = Buffer.from(bytes, 'latin1').toString()
  return text.includes('\ufffd') ? undefined : text
}

/** Undefined: not known. */
function rangesOf(operator: string, values: readonly string[]): readonly UserRange[] | undefined {
  const numbers = values.map((value) => (/^\+?\d{1,20}$/.test(value) ? Number(value) : undefined))
  if (!numbers.every((number) => number !== undefined)) return undefined
  const uids = numbers.filter((number) => number <= UID_MAX).map((uid): UserRange => [uid, uid])
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return uids
    case '!=':
      return rangesBeside(uids)
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const [bound = 0] = numbers
      const [from, to] = { '<': [0, bound - 1], '<=': [0, bound], '>': [bound + 1, UID_MAX], '>=': [bound, UID_MAX] }[
        operator
      ] as [number, number]
      return from <= to ? [[from, Math.min(to, UID_MAX)]] : []
    }
    default:
      return undefined
  }
}

function ofRange([from, to]: UserRange): UserWant {
  return { ...ALL, from, to }
}

function ofNames(names: readonly string[], isOutside: boolean): UserWant {
  return { ...ALL, named: [{ names, isOutside }] }
}

function meet(a: UserWant, b: UserWant): readonly UserWant[] {
  const kinds = a.kinds & b.kinds
  const [from, to] = [Math.max(a.from, b.from), Math.min(a.to, b.to)]
  if (kinds === 0n || from > to) return []
  const named = [...new Map([...a.named, ...b.named].map((test) => [keyOf(test), test])).values()]
  return [{ kinds, from, to, named }]
}

function merged(wants: readonly UserWant[]): readonly UserWant[] {
  const known = new Map<string, UserWant>()
  for (const want of wants) {
    const key = [want.from, want.to, ...want.named.map(keyOf).sort()].join('\0')
    known.set(key, { ...want, kinds: (known.get(key)?.kinds ?? 0n) | want.kinds })
  }
  return [...known.values()]
}

function keyOf({ names, isOutside }: UserWant['named'][number]): string {
  return JSON.stringify([isOutside, ...names])
}
