/**
 * A profile's rules -> the contents of the kernel's maps (bpf/abi.h, `map_*`), for the rules that the kernel can answer
 * exactly as the matcher would. A rule is lowered whole or not at all; one that is not stays in user space, with the
 * reason. Writes no map itself.
 *
 * The kernel judges a name by the exact path, then by the longest prefix, then by its last component, each answering for
 * the rules the one before left undecided; what is still undecided violates the rules of `execAllow`. That order is
 * the order of DESIGN §7 for the three forms of entry that are lowered:
 *   a literal path beats every pattern that matches it; of two `DIR/**` the longer is more specific; and a pattern that
 *   begins with a literal beats one that begins with `**`.
 * In a foreign root an allow list covers nothing unless user space verifies the file, so there the kernel must leave every
 * exec rule to user space.
 */
import { hitsByDefault } from '../match/compile.js'
import type { Profile, Program, RuleId } from '../match/types.js'
import {
  type CapabilityRule,
  type ConnectRule,
  type ExecRule,
  FILE_ACCESS,
  FILE_ACCESSES,
  type FileRule,
  type ListenRule,
  type MountRule,
  type Rule,
  type SignalRule,
  type SyscallRule,
} from '../policy/model.js'
import type { Action } from '../record/model.js'
import { NO_REFUSALS, type Refusals } from '../sensor/refusals.js'
import { type CapabilityTable, lowerCapabilities, whyNotCapability } from './lower-capability.js'
import { type ConnectNode, lowerConnect, whyNotConnect } from './lower-connect.js'
import { type ExecMaps, lowerExec, whyNotExec } from './lower-exec.js'
import { accessesLeft, type FileMaps, lowerFile, violatingAccesses, whyNotFile } from './lower-file.js'
import { type Accounts, lowerSaid, namesOnlyTargets, type SaidMaps, whyNotMount, whyNotSignal } from './lower-said.js'
import { lowerSyscalls, type SyscallTable } from './lower-syscall.js'
import { actionInForce } from './strength.js'
import { type Urgency, urgencyOf, urgencyOfKinds } from './urgency.js'

/** HG_RULES_PER_PROFILE of bpf/abi.h: one bit of a mask each. */
export const LOWERED_RULES_MAX_COUNT = 64

const BIND_ONLY =
  'this host can refuse the bind to a TCP port that the call names; where the kernel chooses the port the rule only alerts'
const NO_CONNECTS = 'this host has no unified cgroup hierarchy, so connects are not seen: nothing can violate it here'
const NO_MOUNT_HOOK = 'this host has no hook that can refuse a mount (BPF LSM): found after the act'
const NO_SIGNAL_HOOK = 'this host has no hook that can refuse a signal (BPF LSM): found after the act'
const MOVE_UNTOLD =
  'of what move_mount(2) puts in place only the target is told beforehand: a rule that names source or type finds it after the act'
const NO_GAIN_HOOK = 'this host has no hook that can refuse what a process gains (BPF LSM): found after the act'
const NO_USES = 'this host has no hook that tells of the use of a capability: nothing can violate it here'
const NO_USE_HOOK = 'this host has no hook that can refuse the use of a capability (BPF LSM): found after the act'
const NO_FILE_HOOK = 'this host has no hook that can refuse what is done to files (BPF LSM): found after the act'

export interface LowerOptions {
  /** By policy name: its rules may act. The agent's own mode is the kernel's `control.blocking`. */
  readonly isBlockPolicy: (policy: string) => boolean
  /** What this host can refuse; without it a rule with `action: deny` only alerts. Not given: connects alone. */
  readonly refuses?: Refusals
  /** Numbers of this host's users and groups. Not given: rules that name some are left to user space. */
  readonly accounts?: Accounts | undefined
}

export interface RuleNote {
  readonly rule: RuleId
  readonly reason: string
}

/** Masks: bit i is ruleIds[i]. */
export interface LoweredProfile extends ExecMaps, FileMaps, SaidMaps {
  readonly profileId: number
  readonly ruleIds: readonly RuleId[]
  readonly execRules: bigint
  /** Of execRules, the ones that a name violates which no entry of theirs matches. */
  readonly execAllow: bigint
  readonly connectRules: bigint
  readonly syscallRules: bigint
  readonly fileRules: bigint
  /** FILE_ACCESS bits that a rule refuses. */
  readonly fileAccess: number
  readonly deny: bigint
  readonly kill: bigint
  readonly setup: bigint
  readonly connectNodes: readonly ConnectNode[]
  readonly listenRules: bigint
  /** What they say of TCP counts. */
  readonly listenNodes: readonly ConnectNode[]
  readonly capabilities: CapabilityTable
  /** One table per ABI of this machine; empty without syscall rules. */
  readonly syscalls: readonly SyscallTable[]
  readonly notLowered: readonly RuleNote[]
  /** What user space has to be woken for at once, because a kill is left to it. */
  readonly urgent: Urgency
  /** Lowered, but with less than the rule's action: it alerts only. */
  readonly weakened: readonly RuleNote[]
}

interface Candidate<Kind extends Rule = Rule> {
  readonly id: RuleId
  readonly rule: Kind
  readonly action: Action
}

export function lowerProfile(program: Program, profile: Profile, options: LowerOptions): LoweredProfile {
  const { refuses = NO_REFUSALS } = options
  const notLowered: RuleNote[] = []
  const able: Candidate[] = []
  for (const number of profile.rules) {
    const id = number as RuleId
    const rule = program.rules[id]
    if (rule === undefined) throw new RangeError(`no rule ${id}`)
    const action = actionInForce(rule.action, true, options.isBlockPolicy(rule.policy))
    const reason = whyNot(rule, action, options)
    if (reason !== undefined) notLowered.push({ rule: id, reason })
    else able.push({ id, rule, action })
  }
  const chosen = chooseRules(able, notLowered)
  const connect = lowerConnect(ofKind<ConnectRule>(chosen, 'connect'))
  const listen = lowerConnect(ofKind<ListenRule>(chosen, 'listen'))
  const said = lowerSaid(
    [...ofKind<MountRule>(chosen, 'mount'), ...ofKind<SignalRule>(chosen, 'signal')],
    options.accounts,
  )
  const overfull = [...connect.dropped, ...listen.dropped, ...said.dropped]
  for (const { id, reason } of overfull) notLowered.push({ rule: id, reason })
  const dropped = new Set(overfull.map(({ id }) => id))
  const kept = chosen.filter(({ id }) => !dropped.has(id))
  const bits = new Map(kept.map(({ id }, bit) => [id, 1n << BigInt(bit)]))
  const bitOf = (id: RuleId) => bits.get(id) ?? 0n
  const mask = (wanted: (candidate: Candidate) => boolean) =>
    kept.reduce((sum, candidate) => (wanted(candidate) ? sum | bitOf(candidate.id) : sum), 0n)
  const canDeny = ({ rule }: Candidate) =>
    rule.kind === 'connect' ||
    rule.kind === 'file' ||
    rule.kind === 'mount' ||
    rule.kind === 'capability' ||
    rule.kind === 'signal' ||
    (rule.kind === 'listen' && refuses.listen !== 'none') ||
    (rule.kind === 'exec' && refuses.exec)
  const files = ofKind<FileRule>(kept, 'file')
  return {
    profileId: profile.id,
    ruleIds: kept.map(({ id }) => id),
    execRules: mask(({ rule }) => rule.kind === 'exec'),
    execAllow: mask(({ rule }) => rule.kind === 'exec' && hitsByDefault(rule)),
    connectRules: mask(({ rule }) => rule.kind === 'connect'),
    syscallRules: mask(({ rule }) => rule.kind === 'syscall'),
    fileRules: mask(({ rule }) => rule.kind === 'file'),
    fileAccess: files.reduce((access, { rule }) => access | violatingAccesses(rule), 0) & refuses.fileAccess,
    deny: mask((candidate) => candidate.action === 'deny' && canDeny(candidate)),
    kill: mask(({ action }) => action === 'kill'),
    setup: mask(({ rule }) => rule.setup),
    ...lowerExec(ofKind<ExecRule>(kept, 'exec'), bitOf),
    ...lowerFile(files, bitOf),
    connectNodes: connect.nodesFor(bitOf),
    listenRules: mask(({ rule }) => rule.kind === 'listen'),
    listenNodes: listen.nodesFor(bitOf),
    ...said.mapsFor(bitOf),
    capabilities: lowerCapabilities(ofKind<CapabilityRule>(kept, 'capability'), bitOf),
    syscalls: lowerSyscalls([
      ...ofKind<SyscallRule>(kept, 'syscall').map(({ rule, action }) => ({ rule, isKernelKill: action === 'kill' })),
      ...notLowered.flatMap(({ rule: id }) => {
        const rule = program.rules[id]
        return rule?.kind === 'syscall' ? [{ rule, isKernelKill: false }] : []
      }),
    ]),
    notLowered: notLowered.sort((a, b) => a.rule - b.rule),
    urgent: withLeft(
      kept.flatMap(({ rule, action }) => (action === 'kill' ? kindsLeft(rule, refuses) : [])),
      urgencyOf([
        ...notLowered.flatMap(({ rule: id }) => {
          const rule = program.rules[id]
          if (rule === undefined) return []
          const action = actionInForce(rule.action, true, options.isBlockPolicy(rule.policy))
          return action === 'kill' ? [{ rule, refusedAccess: 0 }] : []
        }),
        ...files.flatMap(({ rule, action }) =>
          action === 'kill' ? [{ rule, refusedAccess: refuses.fileAccess }] : [],
        ),
      ]),
    ),
    weakened: kept.flatMap((candidate) => {
      const reason = weaknessOf(candidate, canDeny(candidate), refuses)
      return reason === undefined ? [] : [{ rule: candidate.id, reason }]
    }),
  }
}

/** Kinds of events of which a rule that the kernel answers finds some after the act. */
function kindsLeft(rule: Rule, { gain }: Refusals): string[] {
  if (rule.kind === 'mount') return ['mount']
  if (rule.kind === 'listen') return ['listen'] // through an io_uring no hook ends the process
  if (rule.kind !== 'capability' || rule.when === 'use') return []
  // a user namespace is made by unshare(2), and by clone(2) with its first process
  return [
    'setns',
    ...(gain.includes('exec') ? [] : ['exec']),
    ...(gain.includes('namespace') ? [] : ['unshare', 'fork']),
  ]
}

function withLeft(kinds: readonly string[], { classes, acts }: Urgency): Urgency {
  const left = urgencyOfKinds(kinds)
  return { classes: classes | left.classes, acts: acts | left.acts }
}

/** What the kernel's answer is short of, or undefined. */
function weaknessOf({ rule, action }: Candidate, canDeny: boolean, refuses: Refusals): string | undefined {
  if (rule.kind === 'file') {
    const left = accessesLeft(rule, refuses.fileAccess)
    return left === 0 ? undefined : `this host has no hook that can refuse ${namesOf(left)}: found after the act`
  }
  if (rule.kind === 'capability') return rule.when === 'gain' ? gainsLeft(refuses) : undefined
  if (rule.kind === 'mount') return namesOnlyTargets(rule) ? undefined : MOVE_UNTOLD
  if (rule.kind === 'listen' && action === 'deny' && refuses.listen === 'bind') return BIND_ONLY
  return action === 'deny' && !canDeny
    ? 'this host has no hook that can refuse the call: the rule only alerts'
    : undefined
}

/** What no hook tells of before it is gained. */
function gainsLeft({ gain }: Refusals): string {
  const left = [
    ...(gain.includes('exec') ? [] : ['by executing a program']),
    ...(gain.includes('namespace') ? [] : ['by making a user namespace']),
    'by entering a user namespace (setns)',
  ]
  return `this host has no hook that can refuse what is gained ${left.join(', ')}: found after the act`
}

function namesOf(access: number): string {
  return FILE_ACCESSES.filter((name) => (access & FILE_ACCESS[name]) !== 0).join(', ')
}

function whyNotHere(rule: FileRule, action: Action, refuses: Refusals): string | undefined {
  if (action === 'alert') return 'file rules that only alert are judged in user space'
  if (violatingAccesses(rule) === 0) return 'nothing can violate it'
  if ((violatingAccesses(rule) & refuses.fileAccess) === 0) return NO_FILE_HOOK
  return whyNotFile(rule)
}

function whyNot(rule: Rule, action: Action, { refuses = NO_REFUSALS, accounts }: LowerOptions): string | undefined {
  switch (rule.kind) {
    case 'file':
      return whyNotHere(rule, action, refuses)
    case 'exec':
      return whyNotExec(rule)
    case 'connect':
      return refuses.connect ? whyNotConnect(rule) : NO_CONNECTS
    case 'listen':
      return action === 'alert' ? 'listen rules that only alert are judged in user space' : whyNotConnect(rule)
    case 'mount':
      if (action === 'alert') return 'mount rules that only alert are judged in user space'
      return refuses.mount ? whyNotMount(rule) : NO_MOUNT_HOOK
    case 'signal':
      if (action === 'alert') return 'signal rules that only alert are judged in user space'
      return refuses.signal ? whyNotSignal(rule, accounts) : NO_SIGNAL_HOOK
    case 'capability':
      if (rule.when === 'use' && refuses.areUsesUnseen && (action === 'alert' || !refuses.use)) return NO_USES
      if (action === 'alert') return 'capability rules that only alert are judged in user space'
      if (rule.when === 'use') return refuses.use ? whyNotCapability(rule) : NO_USE_HOOK
      return refuses.gain.length > 0 ? whyNotCapability(rule) : NO_GAIN_HOOK
    case 'syscall':
      return rule.exceptions.some(({ condition }) => condition !== undefined)
        ? 'an exception of it is a condition'
        : undefined
    case 'memory':
    case 'cpu':
    case 'pids':
      return `${rule.kind} is sampled, and compared in user space`
    case 'runtime':
      return 'the time a container runs is measured in user space'
    case 'condition':
      return 'conditions are judged in user space'
  }
}

/** At most one bit's worth each: rules that act first, because the kernel acts soonest; then in order. */
function chooseRules(able: readonly Candidate[], notLowered: RuleNote[]): Candidate[] {
  const strength = ({ action }: Candidate) => (action === 'alert' ? 0 : action === 'deny' ? 1 : 2)
  const ordered = [...able].sort((a, b) => strength(b) - strength(a) || a.id - b.id)
  for (const { id } of ordered.slice(LOWERED_RULES_MAX_COUNT))
    notLowered.push({ rule: id, reason: `the kernel answers at most ${LOWERED_RULES_MAX_COUNT} rules of a container` })
  return ordered.slice(0, LOWERED_RULES_MAX_COUNT).sort((a, b) => a.id - b.id)
}

function ofKind<Kind extends Rule>(candidates: readonly Candidate[], kind: Kind['kind']): Candidate<Kind>[] {
  return candidates.filter((candidate): candidate is Candidate<Kind> => candidate.rule.kind === kind)
}
