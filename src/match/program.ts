/**
 * A compiled set of policies. Match calls cost what the event and the entries that match it cost, whatever the number of
 * rules; they allocate nothing, read no clock, do no I/O. Not reentrant: one program judges one event at a time.
 *
 * Fail direction: a name that is not there is covered by no allow entry, so a rule with an allow list is violated by it;
 * a deny entry needs a name to match. Arguments that break the contract (a foreign profile, a short buffer) throw.
 */

import { CAPABILITIES_MAX, capabilityName } from '../policy/capabilities.js'
import { FILE_ACCESS_ALL, type Policy, type Rule } from '../policy/model.js'
import { ABI_NATIVE, nativeSyscall, policySyscallName, SYSCALL_NUMBERS_MAX } from '../policy/syscalls.js'
import type { ContainerRef } from '../record/model.js'
import {
  type CapabilityIndex,
  compileCapability,
  compileExec,
  compileNet,
  compileSyscall,
  hitsByDefault,
  rulesOf,
  type SyscallIndex,
} from './compile.js'
import { describeBounds, describeNumbers, ruleTextOf, sections } from './describe.js'
import { nextExpiryMs } from './exceptions.js'
import { ExecRules } from './exec-rules.js'
import { MountRules, SignalRules } from './fact-rules.js'
import { compileFile, FileRules } from './file-rules.js'
import { NetRules } from './net-rules.js'
import { judgeCapability, judgeSyscall } from './number-rules.js'
import { CompiledProfile } from './profile.js'
import { Scores } from './scores.js'
import { selects } from './selector.js'
import { atOnce, type Steps } from './steps.js'
import { type RuleSet, sortAscending } from './tally.js'
import type { ExecNames, FilePaths, Hits, MountFacts, Profile, Program, RuleId, SenderFacts } from './types.js'
import { VerdictCache } from './verdict-cache.js'

/** Distinct sets of policies seen by one program. Beyond it the oldest is forgotten, and made anew under a new id when it comes again. */
const PROFILES_MAX_COUNT = 4096
const IPPROTO_TCP = 6
const IPPROTO_UDP = 17

/** What a verdict depends on beside the profile and the patterns: the act, and bits of how it was done. */
const ACT_EXEC = 0
const ACT_CONNECT = 1
const ACT_LISTEN = 2
const ACT_FILE = 3
const ACT_SIGNAL = 4
const ACT_MOUNT = 5
const ACT_CAPABILITY = 6
const ACT_SYSCALL = 7
const SETUP = 1 << 4
/** Of acts on files: there is a second path. */
const OTHER_PATH = 1 << 5
/** Of system calls: allow lists can name it. */
const ALLOWABLE = 1 << 5
/** Protocol or accesses. */
const DETAIL_SHIFT = 8
let lastVersion = 0

/** `nowMs`: UTC, the time at which exceptions count or have expired; 0: none has. */
export function compileProgram(policies: readonly Policy[], nowMs = 0): Program {
  return atOnce(programSteps(policies, nowMs))
}

/** The same, step by step. */
export function* programSteps(policies: readonly Policy[], nowMs = 0): Steps<Program> {
  const rules = rulesOf(policies, nowMs)
  yield
  const byDefault = new Uint8Array(rules.length)
  for (const [id, rule] of rules.entries()) {
    byDefault[id] = hitsByDefault(rule) ? 1 : 0
    yield
  }
  const exec = yield* compileExec(rules)
  const connect = yield* compileNet(rules, 'connect')
  const listen = yield* compileNet(rules, 'listen')
  const capability = compileCapability(rules)
  const syscall = compileSyscall(rules)
  const lists = [exec.lists, connect.ports.lists, listen.ports.lists, syscall.denied, capability.denied]
  const scores = new Scores(byDefault, lists)
  yield
  const parts: Parts = {
    rules,
    byDefault,
    scores,
    exec: new ExecRules(rules, exec, byDefault, scores),
    connect: new NetRules(connect, scores),
    listen: new NetRules(listen, scores),
    files: new FileRules(rules, yield* compileFile(rules)),
    signals: new SignalRules(rules),
    mounts: new MountRules(rules),
    capability,
    syscall,
  }
  yield
  return new CompiledProgram(policies, nowMs, parts)
}

interface Parts {
  readonly rules: readonly Rule[]
  /** By rule: hit by what no entry names. */
  readonly byDefault: Uint8Array
  readonly scores: Scores
  readonly exec: ExecRules
  readonly connect: NetRules
  readonly listen: NetRules
  readonly files: FileRules
  readonly signals: SignalRules
  readonly mounts: MountRules
  readonly capability: CapabilityIndex
  readonly syscall: SyscallIndex
}

class CompiledProgram implements Program {
  readonly version = ++lastVersion
  readonly rules: readonly Rule[]
  readonly #policyIndex: Uint32Array
  readonly #parts: Parts
  readonly validUntilMs: number | undefined
  readonly #inSetup: Uint8Array
  readonly #profiles = new Map<string, CompiledProfile>()
  readonly #cache: VerdictCache

  constructor(
    readonly policies: readonly Policy[],
    nowMs: number,
    parts: Parts,
  ) {
    this.rules = parts.rules
    this.validUntilMs = nextExpiryMs(policies, nowMs)
    this.#policyIndex = Uint32Array.from(policies.flatMap(({ rules }, index) => rules.map(() => index)))
    this.#parts = parts
    this.#inSetup = Uint8Array.from(this.rules, ({ setup }) => Number(setup))
    const { exec, connect, listen, files, signals, mounts } = parts
    const factsMaxCounts = [exec, connect, listen, files, signals, mounts].map((each) => 2 + each.factsMaxCount)
    this.#cache = new VerdictCache(this.rules.length, Math.max(...factsMaxCounts))
  }

  describe(): string {
    const text = ruleTextOf(this.rules)
    const { exec, files, connect, listen, signals, mounts, syscall, capability, byDefault } = this.#parts
    return sections([
      ['exec: paths', exec.describe(text)],
      ['file: paths', files.describe(text)],
      ['connect: networks', connect.describe(text)],
      ['listen: networks', listen.describe(text)],
      ['signal: facts of senders', signals.describe(text)],
      ['mount: facts of mounts', mounts.describe(text)],
      ['syscall: calls', describeNumbers(syscall, policySyscallName, SYSCALL_NUMBERS_MAX, text)],
      ['capability: capabilities', describeNumbers(capability, capabilityName, CAPABILITIES_MAX, text)],
      ['bounds', describeBounds(this.rules, text)],
      ['violated by what no entry names', this.rules.flatMap((_, id) => (byDefault[id] === 1 ? [text(id)] : []))],
    ])
  }

  policyOf(rule: RuleId): Policy {
    const policy = this.policies[this.#policyIndex[rule] ?? -1]
    if (policy === undefined) throw new RangeError(`no rule ${rule}`)
    return policy
  }

  profileFor(container: ContainerRef): Profile {
    const chosen = this.policies.flatMap((policy, index) => (selects(policy.containers, container) ? [index] : []))
    const key = chosen.join(' ')
    const known = this.#profiles.get(key)
    if (known !== undefined) return known
    if (this.#profiles.size >= PROFILES_MAX_COUNT)
      for (const oldest of this.#profiles.keys()) {
        this.#profiles.delete(oldest)
        break
      }
    const wanted = new Set(chosen)
    const ids = [...this.rules.keys()].filter(
      (id) => this.rules[id]?.enabled === true && wanted.has(this.#policyIndex[id] ?? -1),
    )
    const profile = new CompiledProfile(
      this.version,
      Uint32Array.from(ids),
      this.rules,
      (id) => this.#parts.byDefault[id] === 1,
    )
    this.#profiles.set(key, profile)
    return profile
  }

  matchExec(profile: Profile, names: ExecNames, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.rules.length === 0) return
    const { exec } = this.#parts
    const cache = this.#cache
    const flags = exec.flagsOf(names)
    cache.start(own.id, ACT_EXEC | flags | (setup ? SETUP : 0))
    exec.gather(names, flags, cache)
    if (!cache.recall(hits)) this.#conclude(exec.judge(own, flags, cache), setup, hits)
  }

  matchConnect(
    profile: Profile,
    bytes: Uint8Array,
    offset: number,
    port: number,
    proto: number,
    setup: boolean,
    hits: Hits,
  ): void {
    const own = this.#begin(profile, hits)
    if (own.rules.length === 0) return
    const { connect } = this.#parts
    const cache = this.#cache
    // entries are limited to TCP or UDP: all other protocols are one to them
    const limited = proto === IPPROTO_TCP || proto === IPPROTO_UDP ? proto : 0
    cache.start(own.id, ACT_CONNECT | (limited << DETAIL_SHIFT) | (setup ? SETUP : 0))
    connect.gather(bytes, offset, port, cache)
    if (!cache.recall(hits)) this.#conclude(connect.judge(own, own.connectByDefault, proto, cache), setup, hits)
  }

  matchListen(profile: Profile, bytes: Uint8Array, offset: number, port: number, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.rules.length === 0) return
    const { listen } = this.#parts
    const cache = this.#cache
    cache.start(own.id, ACT_LISTEN | (setup ? SETUP : 0))
    listen.gather(bytes, offset, port, cache)
    if (!cache.recall(hits)) this.#conclude(listen.judge(own, own.listenByDefault, IPPROTO_TCP, cache), setup, hits)
  }

  matchFile(profile: Profile, paths: FilePaths, access: number, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.file.length === 0) return
    const { files } = this.#parts
    const wanted = access & FILE_ACCESS_ALL
    const cache = this.#cache
    const flags = (paths.hasOther ? OTHER_PATH : 0) | (setup ? SETUP : 0)
    cache.start(own.id, ACT_FILE | flags | (wanted << DETAIL_SHIFT))
    files.gather(paths, cache)
    if (cache.recall(hits)) return
    files.judge(own, wanted, paths.hasOther, cache)
    this.#conclude(files.violated, setup, hits)
  }

  matchSignal(profile: Profile, sender: SenderFacts, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.signal.length === 0) return
    const { signals } = this.#parts
    const cache = this.#cache
    cache.start(own.id, ACT_SIGNAL | (setup ? SETUP : 0))
    signals.gather(sender, cache)
    if (!cache.recall(hits)) this.#conclude(signals.judge(own, cache), setup, hits)
  }

  matchMount(profile: Profile, mount: MountFacts, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.mount.length === 0) return
    const { mounts } = this.#parts
    const cache = this.#cache
    cache.start(own.id, ACT_MOUNT | (setup ? SETUP : 0))
    mounts.gather(mount, cache)
    if (!cache.recall(hits)) this.#conclude(mounts.judge(own, cache), setup, hits)
  }

  matchCapability(profile: Profile, low: number, high: number, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.rules.length === 0) return
    this.#cache.start(own.id, ACT_CAPABILITY | (setup ? SETUP : 0))
    this.#cache.add(low)
    this.#cache.add(high)
    if (this.#cache.recall(hits)) return
    const { capability, scores } = this.#parts
    this.#conclude(judgeCapability(capability, own, low, high, scores), setup, hits)
  }

  matchSyscall(profile: Profile, nr: number, abi: number, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.rules.length === 0) return
    const native = nativeSyscall(nr, abi)
    const known = native >= 0 && native < SYSCALL_NUMBERS_MAX
    const isAllowable = known && abi === ABI_NATIVE
    this.#cache.start(own.id, ACT_SYSCALL | (isAllowable ? ALLOWABLE : 0) | (setup ? SETUP : 0))
    const call = known ? native : -1
    this.#cache.add(call)
    if (this.#cache.recall(hits)) return
    const { syscall, scores } = this.#parts
    this.#conclude(judgeSyscall(syscall, own, call, isAllowable, scores), setup, hits)
  }

  #begin(profile: Profile, hits: Hits): CompiledProfile {
    if (!(profile instanceof CompiledProfile) || profile.programVersion !== this.version)
      throw new TypeError('expected a profile of this program')
    if (hits.rules.length < profile.rules.length) throw new RangeError('expected room in `hits` for every rule')
    hits.count = 0
    this.#parts.scores.clear()
    return profile
  }

  /** The verdict, kept for the facts as they stand in the cache. */
  #conclude(violated: RuleSet, setup: boolean, hits: Hits): void {
    for (let index = 0; index < violated.count; index++) {
      const rule = violated.items[index] as number
      if (!setup || this.#inSetup[rule] === 1) hits.rules[hits.count++] = rule
    }
    sortAscending(hits.rules, hits.count)
    this.#cache.remember(hits)
  }
}
