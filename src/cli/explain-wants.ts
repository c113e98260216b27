/** For `policy explain`: which acts the kernel reports because of a rule, in words. */

import type { BoundSources } from '../match/conditions/bounds.js'
import { endsOf } from '../match/conditions/ends.js'
import { placesOf } from '../match/conditions/places.js'
import { usersOf } from '../match/conditions/users.js'
import { isSocketAct } from '../match/end-wants.js'
import { conditionInForce } from '../match/exceptions.js'
import { isFileAct } from '../match/file-acts.js'
import { kindsNeeded, kindsOfTypes } from '../match/needs.js'
import {
  DONE_CLASSES,
  OPEN_ALL,
  OPEN_DOTDOT,
  OPEN_READ,
  OPEN_WRITE,
  type PlaceWant,
  placesOfFileRule,
} from '../match/place-wants.js'
import { UID_MAX, type UserWant, usersOfRule } from '../match/user-wants.js'
import type { Expression } from '../policy/condition/ast.js'
import type { Rule } from '../policy/model.js'
import { CALL_KINDS } from '../record/call-model.js'
import { visible } from '../record/visible.js'
import { type EndFilter, lowerEnds } from '../respond/lower-end.js'
import { lowerPlaces } from '../respond/lower-place.js'
import type { Accounts } from '../respond/lower-said.js'
import { areByName, lowerUsers, type UserFilter } from '../respond/lower-user.js'
import { actBit } from '../sensor/call-recipes.js'
import { NAME_KINDS } from '../sensor/names/streams.js'

const NO_SOURCES: BoundSources = { macro: () => undefined, list: () => undefined }
/** Judged on what is recorded whatever rules say, or read on a timer. */
const RECORDED_ANYWAY: ReadonlySet<string> = new Set(['exec', 'fork', 'exit', 'connect', 'syscall', 'oom', 'sample'])

/** A line for acts that are told apart alike: which the kernel reports, and if all of them, why. `accounts`: of the host that is meant. */
export function wantedOfRule(rule: Rule, accounts?: Accounts): string[] {
  if (rule.kind === 'condition') return wantedOfCondition(conditionInForce(rule), rule.eventTypes, NO_SOURCES, accounts)
  return [...actsOfRule(rule), ...usersText(usersOfRule(rule), accounts)]
}

function actsOfRule(rule: Rule): string[] {
  const kinds = kindsNeeded(rule)
  switch (rule.kind) {
    case 'file':
      return placesText(kinds, placesOfFileRule(rule))
    case 'listen':
      return endsText(
        kinds,
        lowerEnds({ listen: [rule], conditions: [] }),
        'it has more entries or port ranges than a node holds',
      )
    default:
      return othersText(kinds)
  }
}

export function wantedOfCondition(
  condition: Expression,
  eventTypes: readonly string[],
  sources: BoundSources,
  accounts?: Accounts,
): string[] {
  const kinds = kindsOfTypes(eventTypes)
  const conditions = kinds.some(isSocketAct) ? endsOf(condition, sources, eventTypes) : []
  return [
    ...placesText(kinds, kinds.some(isFileAct) ? placesOf(condition, sources, eventTypes) : []),
    ...endsText(
      kinds,
      lowerEnds({ listen: [], conditions }),
      'it does not come down to addresses, ports or kinds of sockets',
    ),
    ...othersText(kinds),
    ...usersText(usersOf(condition, sources, eventTypes), accounts),
  ]
}

/** Beyond these a line is no longer read. */
const SHOWN_COUNT = 4

function shortList(texts: readonly string[]): string {
  const more = texts.length > SHOWN_COUNT ? ` and ${texts.length - SHOWN_COUNT} more` : ''
  return `${texts.slice(0, SHOWN_COUNT).map(visible).join(', ')}${more}`
}

function placesText(kinds: readonly string[], wants: readonly PlaceWant[]): string[] {
  if (!kinds.some(isFileAct)) return []
  if (wants.length === 0) return ['the kernel reports no act on a file for it: none can match it']
  const { prefixes } = lowerPlaces(wants)
  const acts = actsOfClasses(wants.reduce((mask, { classes }) => mask | classes, 0))
  if (prefixes.length === 0) {
    const isLong = wants.some(({ prefix, except }) => prefix !== '' || except?.length)
    const reason = isLong
      ? 'some of it names no place, or it names too many'
      : 'it does not come down to how a path begins'
    return [`the kernel reports ${acts} of every path for it: ${reason}`]
  }
  const everywhere = prefixes.find(({ path }) => path.length === 0)?.classes ?? 0
  const named = prefixes.filter(({ path }) => path.length > 0)
  const textOf = ({ path }: { path: Uint8Array }) => Buffer.from(path).toString()
  const more = named.filter(({ classes }) => (classes & ~everywhere) !== 0).map(textOf)
  const none = named.filter(({ classes }) => classes === 0).map(textOf)
  const less = named.filter(({ classes }) => classes !== 0 && (classes & ~everywhere) === 0).map(textOf)
  return [
    [
      `the kernel reports ${acts} of ${more.length === 0 ? 'every path' : `paths that begin with ${shortList(more)}`}`,
      more.length > 0 && everywhere !== 0 ? ', and some of every path' : '',
      none.length > 0 ? `, but none of those with ${shortList(none)}` : '',
      less.length > 0 ? `, and fewer of those with ${shortList(less)}` : '',
    ].join(''),
  ]
}

function endsText(kinds: readonly string[], { byEnd, internet }: EndFilter, whyNot: string): string[] {
  const acts = kinds.filter(isSocketAct)
  const placed = acts.filter((act) => (byEnd & actBit(act)) !== 0n)
  const left = acts.filter((act) => !placed.includes(act))
  const ofKind = left.filter((act) => (internet & actBit(act)) !== 0n)
  const all = left.filter((act) => !ofKind.includes(act))
  return [
    ...(placed.length === 0
      ? []
      : [`the kernel reports ${placed.join(', ')} by the addresses and ports that it is about`]),
    ...(ofKind.length === 0 ? [] : [`the kernel reports ${ofKind.join(', ')} of sockets of IPv4 and IPv6 only`]),
    ...(all.length === 0 ? [] : [`the kernel reports every ${all.join(', ')} for it: ${whyNot}`]),
  ]
}

function othersText(kinds: readonly string[]): string[] {
  const others = kinds.filter(
    (kind) =>
      !isFileAct(kind) && !isSocketAct(kind) && !RECORDED_ANYWAY.has(kind) && !NAME_KINDS.some((name) => name === kind),
  )
  return others.length === 0 ? [] : [`the kernel reports every ${others.join(', ')} of its containers for it`]
}

/** Stands for the users of any name, where no host is meant. */
const SOMEBODY: Accounts = { uidsOf: () => [0], gidsOf: () => [0] }

/** Whose acts are left out of those above. */
function usersText(wants: readonly UserWant[], accounts: Accounts | undefined): string[] {
  const filter = lowerUsers(wants, accounts)
  const byUsers = new Map<string, string[]>()
  for (const kind of CALL_KINDS) {
    if ((filter.byUser & actBit(kind)) === 0n) continue
    const users = rangesText(filter, actBit(kind))
    byUsers.set(users, [...(byUsers.get(users) ?? []), kind])
  }
  const lines = [...byUsers].map(
    ([users, kinds]) => `the kernel leaves out ${kinds.join(', ')} by other users than ${users}`,
  )
  const isHostsToSay = accounts === undefined && areByName(wants) && lowerUsers(wants, SOMEBODY).byUser !== 0n
  return isHostsToSay
    ? [...lines, 'by the names of users in it the kernel leaves out acts where the host has those']
    : lines
}

function rangesText({ users }: UserFilter, act: bigint): string {
  const ranges: { from: number; to: number }[] = []
  for (const [at, { from, acts }] of users.entries()) {
    if ((acts & act) === 0n) continue
    const to = (users[at + 1]?.from ?? UID_MAX + 1) - 1
    const last = ranges.at(-1)
    if (last?.to === from - 1) last.to = to
    else ranges.push({ from, to })
  }
  return shortList(
    ranges.map(({ from, to }) =>
      to === UID_MAX ? `${from} and above` : from === to ? String(from) : `${from} to ${to}`,
    ),
  )
}

function actsOfClasses(classes: number): string {
  const opens = classes & OPEN_ALL
  return [
    ...(opens === 0 ? [] : [opensOfClasses(opens)]),
    ...DONE_CLASSES.filter(({ bit }) => (classes & bit) !== 0).map(({ act }) => act),
  ].join(', ')
}

function opensOfClasses(classes: number): string {
  if ((classes & ~OPEN_DOTDOT) === 0) return 'opens given with `..`'
  if ((classes & ~OPEN_READ) === 0) return 'opens for reading'
  if ((classes & ~OPEN_WRITE) === 0) return 'opens for writing'
  return 'opens'
}
