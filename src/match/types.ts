/**
 * What the compiled program is asked and what it answers. No I/O, no clock; the match calls allocate nothing.
 */

import type { Policy, Rule } from '../policy/model.js'
import type { ContainerRef } from '../record/model.js'

declare const brand: unique symbol
/** Index into Program.rules. */
export type RuleId = number & { readonly [brand]: 'RuleId' }

/** A byte range of `bytes` of an exec's name; start === end: absent. */
export interface ExecNames {
  bytes: Uint8Array
  /** Invoked path made absolute; for a script this is the script. */
  invokedStart: number
  invokedEnd: number
  /** Resolved file; for a script its interpreter. */
  fileStart: number
  fileEnd: number
  isScript: boolean
  /** The invoked path was resolved in a root or mount namespace that is not the container's own: no allow entry covers it, unless `verified`. */
  foreignRoot: boolean
  /** A foreign root's file was found to be the one that the invoked path names in the container's own root (device and inode). */
  verified: boolean
}

/** What was done to which file; ranges of `bytes`. */
export interface FilePaths {
  bytes: Uint8Array
  start: number
  end: number
  /** The act has a second path (rename, link), which may be absent as the first may. */
  hasOther: boolean
  otherStart: number
  otherEnd: number
}

/** Who sent a signal: ids and names on the host, executable as a range of `bytes`. */
export interface SenderFacts {
  uid: number
  gid: number
  /** Empty: unknown. */
  user: string
  group: string
  bytes: Uint8Array
  exeStart: number
  exeEnd: number
}

/** Ranges of `bytes`; an empty one is absent. */
export interface MountFacts {
  bytes: Uint8Array
  sourceStart: number
  sourceEnd: number
  targetStart: number
  targetEnd: number
  fstypeStart: number
  fstypeEnd: number
}

/** Caller-owned output of a match call: ids of the violated rules, in rule order. `rules` holds at least Program.rules.length. */
export interface Hits {
  rules: Uint32Array
  count: number
}

/** The rules that apply to one container: containers with equal rule sets share one Profile. */
export interface Profile {
  /** Unique over all programs of this process; never reused. 0 is never a profile. */
  readonly id: number
  /** Applicable rule ids, ascending. */
  readonly rules: Uint32Array
}

export interface Program {
  /** Increments with each compile. */
  readonly version: number
  /** UTC ms at which an exception expires: the same policies then mean something else, and are to be compiled anew. */
  readonly validUntilMs: number | undefined
  readonly rules: readonly Rule[]
  readonly policies: readonly Policy[]
  /** The indexes as text, a section a kind of rule. Not for the event path. */
  describe(): string
  /** The policy that the rule stands in. */
  policyOf(rule: RuleId): Policy
  /** The same object for containers with the same applicable rules; an empty profile when none apply: to the host, and to what is not a confirmed container. Not for the event path: cache per container. */
  profileFor(container: ContainerRef): Profile
  /** Rules of the profile that this exec violates. Setup-phase tasks: only rules with setup: true are judged. */
  matchExec(profile: Profile, names: ExecNames, setup: boolean, hits: Hits): void
  /** address: 16 bytes at offset, IPv4 mapped. proto: IPPROTO number. */
  matchConnect(
    profile: Profile,
    bytes: Uint8Array,
    offset: number,
    port: number,
    proto: number,
    setup: boolean,
    hits: Hits,
  ): void
  /** nr: number in `abi`'s own table; abi 0 native, 1 the machine's 32-bit ABI, 2 x32. */
  matchSyscall(profile: Profile, nr: number, abi: number, setup: boolean, hits: Hits): void
  /** access: FILE_ACCESS bits of what was done, all with one call. */
  matchFile(profile: Profile, paths: FilePaths, access: number, setup: boolean, hits: Hits): void
  /** A stream socket that accepts connections at a local address: 16 bytes at offset, IPv4 mapped. */
  matchListen(profile: Profile, bytes: Uint8Array, offset: number, port: number, setup: boolean, hits: Hits): void
  /** `profile` is that of the target's container; whether the signal counts at all is the caller's to say. */
  matchSignal(profile: Profile, sender: SenderFacts, setup: boolean, hits: Hits): void
  matchMount(profile: Profile, mount: MountFacts, setup: boolean, hits: Hits): void
  /** Bit n of low (0..31) and high (32..63): capability n was gained. */
  matchCapability(profile: Profile, low: number, high: number, setup: boolean, hits: Hits): void
}
