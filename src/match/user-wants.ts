/**
 * What rules have to see of acts, as far as who acts tells it: kinds of acts, and the effective users on the host for which a rule can
 * hold. Names stay names: what they stand for is the host's to say, and can change.
 */
import type { Rule, SenderPattern, SignalRule } from '../policy/model.js'
import { CALL_KINDS, type CallKind } from '../record/call-model.js'
import { kindsNeeded } from './needs.js'

export const UID_MAX = 0xffff_ffff
/** Numbers of users, both included. */
export type UserRange = readonly [from: number, to: number]

export interface NameTest {
  readonly names: readonly string[]
  /** All but the users of these names are meant, those without a name too. */
  readonly isOutside: boolean
}

/** Acts of these kinds by users from one number to another, both included, of whom all the tests hold. */
export interface UserWant {
  /** Set of kinds, as masks of callKindBit(). */
  readonly kinds: bigint
  readonly from: number
  readonly to: number
  readonly named: readonly NameTest[]
}

export function callKindBit(kind: CallKind): bigint {
  return 1n << BigInt(CALL_KINDS.indexOf(kind))
}

/** Of names of kinds; those of no act are none of them. */
export function callKindsOf(kinds: readonly string[]): bigint {
  return CALL_KINDS.filter((kind) => kinds.includes(kind)).reduce((mask, kind) => mask | callKindBit(kind), 0n)
}

export function ofEverybody(kinds: bigint): UserWant {
  return { kinds, from: 0, to: UID_MAX, named: [] }
}

/** Conditions are asked for themselves (conditions/users.ts). */
export function usersOfRule(rule: Rule): UserWant[] {
  if (rule.kind === 'condition') return []
  return rule.kind === 'signal' ? sendersOf(rule) : [ofEverybody(callKindsOf(kindsNeeded(rule)))]
}

/** Senders that may violate the rule: those that an entry of `deny` may mean, and those that nothing surely allows. */
function sendersOf({ allow, deny, exceptions }: SignalRule): UserWant[] {
  const all = ofEverybody(callKindBit('signal'))
  const denied = deny.map((entry) => ofAccount(all, entry))
  if (allow === undefined) return denied
  const allowed = [
    ...allow,
    ...exceptions.flatMap(({ match, condition }) => (condition === undefined ? match : [])),
  ].flatMap(({ user, group, exe }) => (user !== undefined && group === undefined && exe === undefined ? [user] : []))
  const names = allowed.flatMap((user) => ('name' in user ? [user.name] : []))
  const ids = allowed.flatMap((user): UserRange[] => ('id' in user ? [[user.id, user.id]] : []))
  const named = names.map((name) => ({ names: [name], isOutside: true }))
  return [...denied, ...rangesBeside(ids).map(([from, to]) => ({ ...all, from, to, named }))]
}

function ofAccount(all: UserWant, { user }: SenderPattern): UserWant {
  if (user === undefined) return all
  return 'id' in user
    ? { ...all, from: user.id, to: user.id }
    : { ...all, named: [{ names: [user.name], isOutside: false }] }
}

/** The numbers that are in none of these. */
export function rangesBeside(ranges: readonly UserRange[]): UserRange[] {
  const beside: UserRange[] = []
  let next = 0
  for (const [from, to] of [...ranges].sort(([a], [b]) => a - b)) {
    if (from > next) beside.push([next, from - 1])
    next = Math.max(next, to + 1)
  }
  return next > UID_MAX ? beside : [...beside, [next, UID_MAX]]
}
