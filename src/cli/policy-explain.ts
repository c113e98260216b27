/**
 * hullguard policy explain: where each rule is answered and what its action can guarantee, and the compiled indexes that
 * answer. Needs neither root nor the addon.
 */

import type { Rulebook } from '../agent/conditions/rulebook.js'
import { sensorHierarchy } from '../agent/host/sensor-hierarchy.js'
import { UserNames } from '../agent/host/users.js'
import { PolicySet } from '../agent/rules/policies.js'
import { FALCO_POLICY } from '../agent/rules/verdicts.js'
import { findHierarchy } from '../container/cgroup-fs.js'
import type { BoundSources } from '../match/conditions/bounds.js'
import { compileProgram } from '../match/program.js'
import type { CapabilityRule, Policy, Rule } from '../policy/model.js'
import { type ContainerRef, HOST } from '../record/model.js'
import { visible } from '../record/visible.js'
import { lowerProfile } from '../respond/lower.js'
import { violatingAccesses } from '../respond/lower-file.js'
import { hooksOfCalls, lowerSyscalls } from '../respond/lower-syscall.js'
import { hostRefusals } from '../sensor/capability.js'
import {
  ALL_REFUSALS,
  EXEC_DECISION,
  fileDecisions,
  gainDecisions,
  listenDecisions,
  MOUNT_DECISIONS,
  type Refusals,
  SIGNAL_DECISION,
  USE_DECISION,
} from '../sensor/refusals.js'
import { hookOf } from '../sensor/rungs.js'
import { HullguardError } from '../telemetry/errors.js'
import type { CommandSpec } from './command.js'
import { wantedOfCondition, wantedOfRule } from './explain-wants.js'
import { rulebookToTry } from './rulebook.js'

export const explainCommand: CommandSpec = {
  name: 'explain',
  summary: 'say for each rule where it is answered and what its action can guarantee, and print the compiled indexes',
  options: ['policies', 'rules', 'strict', 'json', 'config'],
  own: [
    { flags: '--no-indexes', help: 'the rules alone' },
    { flags: '--here', help: 'what this host can refuse, found by loading the probes for a moment (needs root)' },
  ],
  arguments: [{ name: '[files...]', help: 'policy files or folders, in addition to --policies' }],
  async run(settings, { args, own }) {
    if (settings.list('policies').length + settings.list('rules').length + args.length === 0)
      throw new HullguardError('usage', 'no policy files: name some, or give --policies')
    const { rulebook, refusedCount } = await rulebookToTry(settings, args)
    const refuses = own.here === true ? hostRefusals(sensorHierarchy(findHierarchy())) : undefined
    if (settings.flag('json')) process.stdout.write(`${JSON.stringify(explanations(rulebook, refuses))}\n`)
    else process.stdout.write(rulesToText(rulebook, refuses) + (own.indexes === false ? '' : indexesToText(rulebook)))
    return refusedCount === 0 ? 0 : 1
  },
}

/** A paragraph a rule. `refuses`: of the host that is meant; undefined: of any. */
export function rulesToText(rulebook: Rulebook, refuses?: Refusals): string {
  return explanations(rulebook, refuses)
    .map(({ policy, rule, where, hook, guarantee, reason, reports }) => {
      const lines = [
        `${visible(policy)}: ${visible(rule)}`,
        `  answered in ${where}${hook === '' ? '' : ` at ${hook}`}; ${guarantee}`,
        ...(reason === '' ? [] : [`  ${reason}`]),
        ...reports.map((line) => `  ${line}`),
      ]
      return `${lines.join('\n')}\n`
    })
    .join('')
}

/** Of all policies together, as the matcher walks them. Exceptions count whatever their last day. */
export function indexesToText(rulebook: Rulebook): string {
  const set = PolicySet.of(1, rulebook, 0)
  const conditions = set.conditions.isEmpty
    ? ''
    : `conditions\n${set.conditions.program.describe().replace(/^(?=.)/gm, '  ')}`
  return `\n${set.program.describe()}${conditions}`
}

function explanations({ policies, falco }: Rulebook, refuses: Refusals | undefined): Explanation[] {
  const ofFalco = (falco?.rules ?? []).filter(({ enabled }) => enabled)
  const sources: BoundSources = { macro: (name) => falco?.macros.get(name), list: (name) => falco?.lists.get(name) }
  const accounts = refuses === undefined ? undefined : new UserNames('/')
  return [
    ...policies.flatMap((policy) => explain(policy, refuses, accounts)),
    ...ofFalco.map(({ name, condition, eventTypes }) => ({
      ...{ policy: FALCO_POLICY, rule: name, action: 'alert', where: 'user space' as const, hook: '' },
      ...{ guarantee: 'alerts only', reason: '', reports: wantedOfCondition(condition, eventTypes, sources, accounts) },
    })),
  ]
}

interface Explanation {
  policy: string
  rule: string
  action: string
  where: 'the kernel' | 'user space'
  hook: string
  guarantee: string
  reason: string
  /** Which acts the kernel reports for it, and which others it would have to. */
  reports: readonly string[]
}

/** The hooks where the kernel answers for a rule. */
function hooksOf(rule: Rule, refuses: Refusals): string {
  switch (rule.kind) {
    case 'exec':
      return rule.action === 'deny' && refuses.exec ? hookOf(EXEC_DECISION) : 'sched_process_exec'
    case 'connect':
      return 'cgroup/connect'
    case 'syscall':
      return hooksOfCalls(lowerSyscalls([{ rule, isKernelKill: rule.action === 'kill' }]))
        .map((program) => hookOf(program).replace('tp_btf/', ''))
        .join(', ')
    case 'file':
      return fileDecisions(violatingAccesses(rule) & refuses.fileAccess, () => true)
        .map(hookOf)
        .join(', ')
    case 'capability':
      if (rule.when === 'use') return hookOf(USE_DECISION)
      return gainDecisions(refuses).map(hookOf).join(', ')
    case 'mount':
      return MOUNT_DECISIONS.map(hookOf).join(', ')
    case 'signal':
      return hookOf(SIGNAL_DECISION)
    case 'listen':
      return [...listenDecisions(refuses).map(hookOf), ...(rule.action === 'kill' ? ['sys_exit'] : [])].join(', ')
    default:
      return ''
  }
}

/** Where no host is meant every name is an account's. */
const ANY_ACCOUNTS = { uidsOf: () => [0], gidsOf: () => [0] }

/** As for a container that the policy selects, with the agent in block mode. */
function explain(policy: Policy, here: Refusals | undefined, users: UserNames | undefined): Explanation[] {
  const refuses = here ?? ALL_REFUSALS
  const program = compileProgram([{ ...policy, containers: {} }])
  const container: ContainerRef = { ...HOST, state: 'container', id: 'explain', name: 'explain' }
  const profile = program.profileFor(container)
  const lowered = lowerProfile(program, profile, {
    isBlockPolicy: () => policy.mode === 'block',
    refuses,
    accounts: users ?? ANY_ACCOUNTS,
  })
  return [...profile.rules].flatMap((id) => {
    const rule = program.rules[id]
    if (rule === undefined) return []
    const note =
      lowered.notLowered.find((entry) => entry.rule === id) ?? lowered.weakened.find((entry) => entry.rule === id)
    const isKernel = lowered.ruleIds.some((lowerId) => lowerId === id)
    return [
      {
        policy: policy.name,
        rule: rule.name,
        action: rule.action,
        where: isKernel ? ('the kernel' as const) : ('user space' as const),
        hook: isKernel ? hooksOf(rule, refuses) : '',
        guarantee: guaranteeOf(rule, policy.mode === 'block' ? rule.action : 'alert', isKernel, here),
        reason: note?.reason ?? '',
        reports: wantedOfRule(rule, users),
      },
    ]
  })
}

const WITH_LSM = 'where the kernel runs BPF LSM programs (`hullguard doctor` says)'

/** `here`: undefined when no host is meant. */
function guaranteeOf(rule: Rule, action: string, isKernel: boolean, here: Refusals | undefined): string {
  if (rule.kind === 'connect' && here?.connect === false) return 'nothing: it is not seen'
  if (action === 'alert') return 'alerts only'
  if (!isKernel)
    return action === 'deny' ? 'alerts only: no hook can refuse it' : 'kills after the fact, through a pidfd'
  switch (rule.kind) {
    case 'exec':
      if (action === 'kill') return "kills before the new program's first instruction"
      if (here === undefined) return `the exec is refused (EPERM) ${WITH_LSM}, elsewhere it alerts only`
      return here.exec ? 'the exec is refused (EPERM)' : 'alerts only: no hook can refuse it'
    case 'connect':
      return action === 'deny' ? 'the connect is refused (EPERM)' : 'refuses the connect, then kills through a pidfd'
    case 'file':
      if (action === 'deny')
        return `the act is refused (EPERM)${here === undefined ? ` ${WITH_LSM}, elsewhere it alerts only` : ''}`
      return `refuses the act, then kills${here === undefined ? ` ${WITH_LSM}, elsewhere it kills after the fact, through a pidfd` : ''}`
    case 'capability':
      return guaranteeOfCapability(rule, action, here)
    case 'mount':
    case 'signal': {
      const elsewhere = here === undefined ? ` ${WITH_LSM}, elsewhere it ` : ''
      if (action === 'deny') return `the ${rule.kind} is refused (EPERM)${elsewhere && `${elsewhere}alerts only`}`
      const killed = rule.kind === 'mount' ? 'kills' : 'kills the sender if it is in a container'
      return `refuses the ${rule.kind}, then ${killed}${elsewhere && `${elsewhere}kills after the fact, through a pidfd`}`
    }
    case 'listen':
      return guaranteeOfListen(action, here)
    default:
      return 'kills at the entry of the call; the call itself may still take effect'
  }
}

function guaranteeOfCapability({ when }: CapabilityRule, action: string, here: Refusals | undefined): string {
  const what = when === 'use' ? 'the use' : 'the exec, or the making of the user namespace,'
  const elsewhere = here === undefined ? ` ${WITH_LSM}, elsewhere it ` : ''
  if (action === 'deny') return `${what} is refused (EPERM)${elsewhere && `${elsewhere}alerts only`}`
  return `refuses ${what.replace(/,$/, '')}, then kills${elsewhere && `${elsewhere}kills after the fact, through a pidfd`}`
}

function guaranteeOfListen(action: string, here: Refusals | undefined): string {
  const refused = {
    listen: 'the listen is refused (EPERM)',
    bind: 'the bind to a TCP port that the call names is refused (EPERM)',
  }
  if (here?.listen === 'none')
    return action === 'deny' ? 'alerts only: no hook can refuse it' : 'kills before the process is back from the call'
  const refusal = here === undefined ? `${refused.listen} ${WITH_LSM}, elsewhere ${refused.bind}` : refused[here.listen]
  return action === 'deny'
    ? refusal
    : `${refusal}, and the process killed; one that listens all the same is killed then`
}
