/**
 * A compiled set of policies. Match calls cost what the event and the entries that match it cost, whatever the number of
 * rules; they allocate nothing, read no clock, do no I/O. Not reentrant: one program judges one event at a time.
 *
 * Fail direction: a name that is not there is covered by no allow entry, so a rule with an allow list is violated by it;
 * a deny entry needs a name to match. Arguments that break the contract (a foreign profile, a short buffer) throw.
 */

import { CAPABILITIES_MAX, capabilityName } from '../policy/capabilities.js'
import { FILE_ACCESS_ALL, type Policy, type Rule } from '../policy/model.js'
import { ABI_NATIVE, nativeSyscall, SYSCALL_NUMBERS_MAX, syscallName } from '../policy/syscalls.js'
import type { ContainerRef } from '../record/model.js'
import {
  type CapabilityIndex,
  type ConnectIndex,
  compileCapability,
  compileExec,
  compileNet,
  compileSyscall,
  type ExecIndex,
  hitsByDefault,
  isListRule,
  rulesOf,
  SYSCALL_WORDS,
  type SyscallIndex,
} from './compile.js'
import {
  describeBounds,
  describeList,
  describeNetworks,
  describeNumbers,
  describePaths,
  ruleTextOf,
  sections,
} from './describe.js'
import { EntryFinder } from './entry-finder.js'
import type { EntryLists } from './entry-lists.js'
import { nextExpiryMs } from './exceptions.js'
import { MountRules, SignalRules } from './fact-rules.js'
import { compileFile, FileRules } from './file-rules.js'
import { CompiledProfile } from './profile.js'
import { selects } from './selector.js'
import { atOnce, type Steps } from './steps.js'
import { RuleSet, sortAscending, Tally } from './tally.js'
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
/** Of execs: both names are one, no allow entry covers the invoked one, it is a script. */
const SAME_NAME = 1 << 5
const UNCOVERED = 1 << 6
const SCRIPT = 1 << 7
/** Of acts on files: there is a second path. */
const OTHER_PATH = 1 << 5
/** Of system calls: allow lists can name it. */
const ALLOWABLE = 1 << 5
/** Protocol or accesses. */
const DETAIL_SHIFT = 8
/** The facts of an exec are how many patterns the invoked name matches, these, and those of the file. */
const EXEC_FACTS_FROM = 3
const NET_FACTS_FROM = 2

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
  const parts: Parts = {
    rules,
    byDefault,
    exec: yield* compileExec(rules),
    connect: yield* compileNet(rules, 'connect'),
    listen: yield* compileNet(rules, 'listen'),
    files: new FileRules(rules, yield* compileFile(rules)),
    signals: new SignalRules(rules),
    mounts: new MountRules(rules),
    capability: compileCapability(rules),
    syscall: compileSyscall(rules),
  }
  yield
  return new CompiledProgram(policies, nowMs, parts)
}

interface Parts {
  readonly rules: readonly Rule[]
  /** By rule: hit by what no entry names. */
  readonly byDefault: Uint8Array
  readonly exec: ExecIndex
  readonly connect: ConnectIndex
  readonly listen: ConnectIndex
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
  readonly #exec: ExecIndex
  readonly #connect: ConnectIndex
  readonly #listen: ConnectIndex
  readonly #capability: CapabilityIndex
  readonly #files: FileRules
  readonly #signals: SignalRules
  readonly #mounts: MountRules
  readonly validUntilMs: number | undefined
  readonly #syscall: SyscallIndex
  readonly #byDefault: Uint8Array
  readonly #withAllow: Uint8Array
  readonly #inSetup: Uint8Array
  readonly #profiles = new Map<string, CompiledProfile>()
  readonly #first: Tally
  readonly #second: Tally
  /** Rules with a matching deny entry that are not hit by default: the others are walked anyway. */
  readonly #denied: RuleSet
  readonly #finder: EntryFinder
  readonly #cache: VerdictCache
  /** Code of the entries of exec exceptions: in a foreign root they cover no more than allow entries do. */
  readonly #exempt: number
  #isForeign = false

  constructor(
    readonly policies: readonly Policy[],
    nowMs: number,
    parts: Parts,
  ) {
    this.rules = parts.rules
    this.validUntilMs = nextExpiryMs(policies, nowMs)
    this.#policyIndex = Uint32Array.from(policies.flatMap(({ rules }, index) => rules.map(() => index)))
    this.#exec = parts.exec
    this.#connect = parts.connect
    this.#listen = parts.listen
    this.#capability = parts.capability
    this.#files = parts.files
    this.#signals = parts.signals
    this.#mounts = parts.mounts
    this.#syscall = parts.syscall
    const flags = (flag: (rule: Rule) => boolean) => Uint8Array.from(this.rules, (rule) => (flag(rule) ? 1 : 0))
    this.#byDefault = parts.byDefault
    this.#withAllow = flags((rule) => isListRule(rule) && rule.allow !== undefined)
    this.#inSetup = flags(({ setup }) => setup)
    this.#first = new Tally(this.rules.length)
    this.#second = new Tally(this.rules.length)
    this.#denied = new RuleSet(this.rules.length)
    this.#finder = new EntryFinder(
      this.#exec.lists,
      this.#connect.ports.lists,
      this.#listen.ports.lists,
      this.#syscall.denied,
      this.#capability.denied,
    )
    this.#exempt = this.#exec.exemptCode
    const factsMaxCounts = [
      EXEC_FACTS_FROM + 2 * this.#exec.trie.found.length,
      NET_FACTS_FROM + 2 * this.#connect.trie.found.length,
      2 + this.#files.factsMaxCount,
      2 + this.#signals.factsMaxCount,
      2 + this.#mounts.factsMaxCount,
    ]
    this.#cache = new VerdictCache(this.rules.length, Math.max(...factsMaxCounts))
  }

  describe(): string {
    const text = ruleTextOf(this.rules)
    const { trie, lists } = this.#exec
    return sections([
      ['exec: paths', describePaths(trie, (terminal) => describeList(lists, terminal, text))],
      ['file: paths', this.#files.describe(text)],
      ['connect: networks', describeNetworks(this.#connect, text)],
      ['listen: networks', describeNetworks(this.#listen, text)],
      ['signal: facts of senders', this.#signals.describe(text)],
      ['mount: facts of mounts', this.#mounts.describe(text)],
      [
        'syscall: calls',
        describeNumbers(this.#syscall, (nr) => syscallName(nr, ABI_NATIVE), SYSCALL_NUMBERS_MAX, text),
      ],
      ['capability: capabilities', describeNumbers(this.#capability, capabilityName, CAPABILITIES_MAX, text)],
      ['bounds', describeBounds(this.rules, text)],
      ['violated by what no entry names', this.rules.flatMap((_, id) => (this.#byDefault[id] === 1 ? [text(id)] : []))],
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
      (id) => this.#byDefault[id] === 1,
    )
    this.#profiles.set(key, profile)
    return profile
  }

  matchExec(profile: Profile, names: ExecNames, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.rules.length === 0) return
    const { bytes, invokedStart, invokedEnd, fileStart, fileEnd } = names
    const uncovered = names.foreignRoot && !names.verified
    const same = sameBytes(bytes, invokedStart, invokedEnd, fileStart, fileEnd)
    const cache = this.#cache
    const flags = (same ? SAME_NAME : 0) | (uncovered ? UNCOVERED : 0) | (names.isScript ? SCRIPT : 0)
    cache.start(own.id, ACT_EXEC | flags | (setup ? SETUP : 0))
    cache.add(0)
    this.#addTerminals(bytes, invokedStart, invokedEnd)
    const invokedEndAt = cache.count
    cache.facts[EXEC_FACTS_FROM - 1] = invokedEndAt - EXEC_FACTS_FROM
    if (!same) this.#addTerminals(bytes, fileStart, fileEnd)
    if (cache.recall(hits)) return
    this.#isForeign = uncovered
    this.#raiseTerminals(EXEC_FACTS_FROM, invokedEndAt, own, this.#first)
    this.#raiseTerminals(invokedEndAt, cache.count, own, this.#second)
    this.#isForeign = false
    this.#judgeExec(own, uncovered, same ? this.#first : this.#second, names.isScript, setup, hits)
    this.#remember(hits)
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
    // entries are limited to TCP or UDP: all other protocols are one to them
    const limited = proto === IPPROTO_TCP || proto === IPPROTO_UDP ? proto : 0
    this.#cache.start(own.id, ACT_CONNECT | (limited << DETAIL_SHIFT) | (setup ? SETUP : 0))
    this.#judgeNet(own, this.#connect, own.connectByDefault, bytes, offset, port, proto, setup, hits)
  }

  matchListen(profile: Profile, bytes: Uint8Array, offset: number, port: number, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.rules.length === 0) return
    this.#cache.start(own.id, ACT_LISTEN | (setup ? SETUP : 0))
    this.#judgeNet(own, this.#listen, own.listenByDefault, bytes, offset, port, IPPROTO_TCP, setup, hits)
  }

  matchFile(profile: Profile, paths: FilePaths, access: number, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.file.length === 0) return
    const wanted = access & FILE_ACCESS_ALL
    const cache = this.#cache
    const flags = (paths.hasOther ? OTHER_PATH : 0) | (setup ? SETUP : 0)
    cache.start(own.id, ACT_FILE | flags | (wanted << DETAIL_SHIFT))
    this.#files.gather(paths, cache)
    if (cache.recall(hits)) return
    this.#files.judge(own, wanted, paths.hasOther, cache)
    this.#addSet(this.#files.violated, setup, hits)
    this.#remember(hits)
  }

  matchSignal(profile: Profile, sender: SenderFacts, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.signal.length === 0) return
    this.#cache.start(own.id, ACT_SIGNAL | (setup ? SETUP : 0))
    this.#signals.gather(sender, this.#cache)
    if (this.#cache.recall(hits)) return
    this.#addSet(this.#signals.judge(own, this.#cache), setup, hits)
    this.#remember(hits)
  }

  matchMount(profile: Profile, mount: MountFacts, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.mount.length === 0) return
    this.#cache.start(own.id, ACT_MOUNT | (setup ? SETUP : 0))
    this.#mounts.gather(mount, this.#cache)
    if (this.#cache.recall(hits)) return
    this.#addSet(this.#mounts.judge(own, this.#cache), setup, hits)
    this.#remember(hits)
  }

  matchCapability(profile: Profile, low: number, high: number, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.rules.length === 0) return
    this.#cache.start(own.id, ACT_CAPABILITY | (setup ? SETUP : 0))
    this.#cache.add(low)
    this.#cache.add(high)
    if (this.#cache.recall(hits)) return
    const { allowed, denied } = this.#capability
    for (let number = 0; number < CAPABILITIES_MAX; number++)
      if ((((number < 32 ? low : high) >>> (number & 31)) & 1) === 1) this.#raise(denied, number, 0, own, this.#first)
    for (let index = 0; index < own.capabilityByDefault.length; index++) {
      const rule = own.capabilityByDefault[index] as number
      const outside = (low & ~(allowed[rule * 2] as number)) | (high & ~(allowed[rule * 2 + 1] as number))
      if (outside !== 0 || this.#first.best(rule) !== -1) this.#add(rule, setup, hits)
    }
    this.#addSet(this.#denied, setup, hits)
    this.#remember(hits)
  }

  matchSyscall(profile: Profile, nr: number, abi: number, setup: boolean, hits: Hits): void {
    const own = this.#begin(profile, hits)
    if (own.rules.length === 0) return
    const native = nativeSyscall(nr, abi)
    const known = native >= 0 && native < SYSCALL_NUMBERS_MAX
    const isAllowable = known && abi === ABI_NATIVE
    this.#cache.start(own.id, ACT_SYSCALL | (isAllowable ? ALLOWABLE : 0) | (setup ? SETUP : 0))
    this.#cache.add(known ? native : -1)
    if (this.#cache.recall(hits)) return
    const { allowed, denied } = this.#syscall
    if (known) this.#raise(denied, native, 0, own, this.#first)
    for (let index = 0; index < own.syscallByDefault.length; index++) {
      const rule = own.syscallByDefault[index] as number
      const word = isAllowable ? (allowed[rule * SYSCALL_WORDS + (native >>> 5)] as number) : 0
      if (((word >>> (native & 31)) & 1) === 0 || this.#first.best(rule) !== -1) this.#add(rule, setup, hits)
    }
    this.#addSet(this.#denied, setup, hits)
    this.#remember(hits)
  }

  /** The cache has been started. */
  #judgeNet(
    own: CompiledProfile,
    { trie, ports }: ConnectIndex,
    byDefault: Uint32Array,
    bytes: Uint8Array,
    offset: number,
    port: number,
    proto: number,
    setup: boolean,
    hits: Hits,
  ): void {
    const cache = this.#cache
    trie.walk(bytes, offset)
    for (let index = 0; index < trie.foundCount; index++) {
      const network = trie.found[index] as number
      cache.add(network)
      cache.add(ports.leafOf(network, port))
    }
    if (cache.recall(hits)) return
    for (let at = NET_FACTS_FROM; at < cache.count; at += 2) {
      const base = ports.baseOf(cache.facts[at] as number)
      for (let node = cache.facts[at + 1] as number; node > 0; node >>>= 1)
        this.#raise(ports.lists, base + node, proto, own, this.#first)
    }
    for (let index = 0; index < byDefault.length; index++) {
      const rule = byDefault[index] as number
      const best = this.#first.best(rule)
      if (best === -1 || (best & 1) === 1) this.#add(rule, setup, hits)
    }
    for (let index = 0; index < this.#denied.count; index++) {
      const rule = this.#denied.items[index] as number
      if ((this.#first.best(rule) & 1) === 1) this.#add(rule, setup, hits)
    }
    this.#remember(hits)
  }

  #remember(hits: Hits): void {
    sortAscending(hits.rules, hits.count)
    this.#cache.remember(hits)
  }

  #addSet(violated: RuleSet, setup: boolean, hits: Hits): void {
    for (let index = 0; index < violated.count; index++) this.#add(violated.items[index] as number, setup, hits)
  }

  #begin(profile: Profile, hits: Hits): CompiledProfile {
    if (!(profile instanceof CompiledProfile) || profile.programVersion !== this.version)
      throw new TypeError('expected a profile of this program')
    if (hits.rules.length < profile.rules.length) throw new RangeError('expected room in `hits` for every rule')
    hits.count = 0
    this.#first.clear()
    this.#second.clear()
    this.#denied.clear()
    return profile
  }

  #addTerminals(bytes: Uint8Array, start: number, end: number): void {
    const { trie } = this.#exec
    trie.walk(bytes, start, end)
    for (let index = 0; index < trie.foundCount; index++) this.#cache.add(trie.found[index] as number)
  }

  /** Terminals that stand among the facts from `from` to `to`. */
  #raiseTerminals(from: number, to: number, profile: CompiledProfile, tally: Tally): void {
    for (let at = from; at < to; at++) this.#raise(this.#exec.lists, this.#cache.facts[at] as number, 0, profile, tally)
  }

  #judgeExec(
    own: CompiledProfile,
    uncovered: boolean,
    file: Tally,
    isScript: boolean,
    setup: boolean,
    hits: Hits,
  ): void {
    if (uncovered) this.#addAll(own.execWithAllow, setup, hits)
    for (let index = 0; index < own.execByDefault.length; index++) {
      const rule = own.execByDefault[index] as number
      if (uncovered && this.#withAllow[rule] === 1) continue
      if (this.#execViolates(rule, file, isScript)) this.#add(rule, setup, hits)
    }
    for (let index = 0; index < this.#denied.count; index++) {
      const rule = this.#denied.items[index] as number
      if (uncovered && this.#withAllow[rule] === 1) continue
      if (this.#execViolates(rule, file, isScript)) this.#add(rule, setup, hits)
    }
  }

  /** The invoked name decides; the file may only be denied by an entry that names it, and a script's interpreter must be covered too. */
  #execViolates(rule: number, file: Tally, isScript: boolean): boolean {
    const byDefault = this.#byDefault[rule] === 1
    const invokedBest = this.#first.best(rule)
    if (invokedBest === -1 ? byDefault : (invokedBest & 1) === 1) return true
    const fileBest = file.best(rule)
    return fileBest === -1 ? isScript && byDefault : (fileBest & 1) === 1
  }

  /** Counts the entries of one list for the rules of the profile. */
  #raise(lists: EntryLists, list: number, proto: number, profile: CompiledProfile, tally: Tally): void {
    const finder = this.#finder
    finder.find(lists, list, profile)
    for (let index = 0; index < finder.count; index++) {
      const at = finder.at[index] as number
      const limited = lists.protos[at] as number
      if (limited !== 0 && limited !== proto) continue
      const rule = lists.rules[at] as number
      const code = lists.codes[at] as number
      if (this.#isForeign && code === this.#exempt) continue
      tally.raise(rule, code)
      if ((code & 1) === 1 && this.#byDefault[rule] === 0) this.#denied.add(rule)
    }
  }

  #addAll(rules: Uint32Array, setup: boolean, hits: Hits): void {
    for (let index = 0; index < rules.length; index++) this.#add(rules[index] as number, setup, hits)
  }

  #add(rule: number, setup: boolean, hits: Hits): void {
    if (!setup || this.#inSetup[rule] === 1) hits.rules[hits.count++] = rule
  }
}

/** An absent name is not the same as another absent name: both are judged. */
function sameBytes(bytes: Uint8Array, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false
  for (let at = start, other = otherStart; at < end; at++, other++) if (bytes[at] !== bytes[other]) return false
  return true
}
