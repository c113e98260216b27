/**
 * What rules have to see of acts by who acts -> the kernel's filter (`map_filter.acts_by_user`, `users`): ranges of effective users,
 * each with the acts that are wanted of them. The kernel reports what a rule may want, user space judges it.
 */
import { rangesBeside, UID_MAX, type UserRange, type UserWant } from '../match/user-wants.js'
import { CALL_KINDS } from '../record/call-model.js'
import { actBit } from '../sensor/call-recipes.js'
import { USER_RANGES } from '../sensor/generated/abi.js'
import type { Accounts } from './lower-said.js'

/** Masks of actBit(). */
export interface UserFilter {
  /** Acts that are wanted of some users and not of others. */
  readonly byUser: bigint
  /** From each number up to that of the next one, the last one to the end; none without such acts. */
  readonly users: readonly { readonly from: number; readonly acts: bigint }[]
}

export const EVERY_USER: UserFilter = { byUser: 0n, users: [] }
/** Distinct ranges of a profile, and names of a list. Beyond it they are not worked out, and acts are reported of every user. */
const RANGES_MAX_COUNT = 1000

/** `accounts`: of this host; without them, and where they lack one, acts are wanted of the users of every name. */
export function lowerUsers(wants: readonly UserWant[], accounts: Accounts | undefined): UserFilter {
  const pieces = piecesOf(wants, accounts)
  const everybodys = pieces.find(({ range }) => isEverybody(range))?.kinds ?? 0n
  const kinds = pieces.reduce((mask, piece) => mask | piece.kinds, 0n) & ~everybodys
  const narrow = pieces.filter((piece) => (piece.kinds & kinds) !== 0n)
  if (kinds === 0n || narrow.length > RANGES_MAX_COUNT) return EVERY_USER
  const users = fewer(segmentsOf(narrow))
  const byUser = kinds & ~users.reduce((mask, each) => mask & each.kinds, kinds)
  if (byUser === 0n) return EVERY_USER
  return {
    byUser: actsOf(byUser),
    users: users.map(({ from, kinds: own }) => ({ from, acts: actsOf(own & byUser) })),
  }
}

/** The wants name users, so what they come down to changes with the host's database. */
export function areByName(wants: readonly UserWant[]): boolean {
  return wants.some(({ named }) => named.length > 0)
}

interface Piece {
  readonly range: UserRange
  /** Set of kinds of acts. */
  readonly kinds: bigint
}

/** Each range once. */
function piecesOf(wants: readonly UserWant[], accounts: Accounts | undefined): Piece[] {
  const pieces = new Map<string, Piece>()
  for (const want of wants)
    for (const range of rangesOf(want, accounts)) {
      const key = range.join()
      pieces.set(key, { range, kinds: (pieces.get(key)?.kinds ?? 0n) | want.kinds })
    }
  return [...pieces.values()]
}

function isEverybody([from, to]: UserRange): boolean {
  return from === 0 && to === UID_MAX
}

/** The users that are meant, and maybe more. */
function rangesOf({ from, to, named }: UserWant, accounts: Accounts | undefined): UserRange[] {
  return named.reduce<UserRange[]>(
    (ranges, { names, isOutside }) => {
      if (names.length > RANGES_MAX_COUNT) return ranges
      const found = names.map((name) => accounts?.uidsOf(name) ?? [])
      if (!isOutside && found.some((uids) => uids.length === 0)) return ranges
      const those = found.flat().map((uid): UserRange => [uid, uid])
      return inBoth(ranges, isOutside ? rangesBeside(those) : those)
    },
    [[from, to]],
  )
}

function inBoth(some: readonly UserRange[], others: readonly UserRange[]): UserRange[] {
  return some.flatMap(([from, to]) =>
    others.flatMap(([first, last]): UserRange[] =>
      first <= to && from <= last ? [[Math.max(from, first), Math.min(to, last)]] : [],
    ),
  )
}

interface Segment {
  readonly from: number
  readonly kinds: bigint
}

/** From 0 on, without neighbours that say the same. */
function segmentsOf(pieces: readonly Piece[]): Segment[] {
  const starts = new Set([0])
  for (const { range } of pieces) {
    starts.add(range[0])
    if (range[1] < UID_MAX) starts.add(range[1] + 1)
  }
  const ordered = [...starts].sort((a, b) => a - b)
  const placeOf = new Map(ordered.map((start, at) => [start, at]))
  const kinds = ordered.map(() => 0n)
  for (const { range, kinds: own } of pieces) {
    const end = placeOf.get(range[1] + 1) ?? ordered.length
    for (let at = placeOf.get(range[0]) as number; at < end; at++) kinds[at] = (kinds[at] as bigint) | own
  }
  return withoutRepeats(ordered.map((from, at) => ({ from, kinds: kinds[at] as bigint })))
}

/** As many as the kernel has room for: the fewest users are joined with those before them, and both have what either has. */
function fewer(segments: readonly Segment[]): Segment[] {
  let left = [...segments]
  while (left.length > USER_RANGES) {
    const widths = left.map(({ from }, at) => (left[at + 1]?.from ?? UID_MAX + 1) - from)
    const narrowest = widths.indexOf(Math.min(...widths))
    const at = Math.max(1, narrowest)
    const joined = { from: left[at - 1]?.from ?? 0, kinds: (left[at - 1]?.kinds ?? 0n) | (left[at]?.kinds ?? 0n) }
    left = withoutRepeats(left.toSpliced(at - 1, 2, joined))
  }
  return left
}

function withoutRepeats(segments: readonly Segment[]): Segment[] {
  return segments.filter(({ kinds }, at) => at === 0 || segments[at - 1]?.kinds !== kinds)
}

function actsOf(kinds: bigint): bigint {
  return CALL_KINDS.reduce((mask, kind, at) => ((kinds >> BigInt(at)) & 1n ? mask | actBit(kind) : mask), 0n)
}
