/**
 * Which events the kernel wakes user space for at once, instead of with company: those of rules that kill and are left to user
 * space, whole or for some accesses. Nothing that user space does of a deny could still come in time.
 */
import { kindsNeeded, kindsOfAccess } from '../match/needs.js'
import type { Rule } from '../policy/model.js'
import { Want } from '../sensor/generated/abi.js'
import { accessesLeft } from './lower-file.js'
import { actsOfNeeds } from './rule-acts.js'

export interface Urgency {
  /** enum hg_want: kinds of events that are no acts. */
  readonly classes: number
  /** Mask of actBit(). */
  readonly acts: bigint
}

const CLASSES: ReadonlyMap<string, number> = new Map([
  ['exec', Want.PROCESS],
  ['fork', Want.PROCESS],
  ['connect', Want.CONNECT],
  ['dns', Want.NAMES],
  ['tls', Want.NAMES],
  ['http', Want.NAMES],
])

/** Of rules that kill. `refusedAccess`: FILE_ACCESS bits that the kernel answers for this rule; 0: it answers nothing. */
export function urgencyOf(rules: Iterable<{ rule: Rule; refusedAccess: number }>): Urgency {
  return urgencyOfKinds(
    [...rules].flatMap(({ rule, refusedAccess }) =>
      rule.kind === 'file' ? kindsOfAccess(accessesLeft(rule, refusedAccess)) : kindsNeeded(rule),
    ),
  )
}

/** Of kinds of events as kindsNeeded says them. */
export function urgencyOfKinds(kinds: readonly string[]): Urgency {
  return { classes: kinds.reduce((mask, kind) => mask | (CLASSES.get(kind) ?? 0), 0), acts: actsOfNeeds(kinds) }
}
