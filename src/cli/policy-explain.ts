/**
 * hullguard policy explain: where each rule is answered and what its action can guarantee, and the compiled indexes that
 * answer. Needs neither root nor the addon.
 */
import { kindsNeeded } from '../agent/capture/needs.js'
import type { Rulebook } from '../agent/conditions/rulebook.js'
import { PolicySet } from '../agent/policies.js'
import { FALCO_POLICY } from '../agent/verdicts.js'
import { type OpenSources, opensOf } from '../match/conditions/opens.js'
import { conditionInForce } from '../match/exceptions.js'
import { OPEN_DOTDOT, OPEN_READ, OPEN_WRITE, type OpenWant, opensOfFileRule } from '../match/open-wants.js'
import { compileProgram } from '../match/program.js'
import type { Policy, Rule, RuleKind } from '../policy/model.js'
import { findEventType } from '../record/fields/events.js'
import { type ContainerRef, HOST } from '../record/model.js'
import { visible } from '../record/visible.js'
import { lowerProfile } from '../respond/lower.js'
import { lowerOpens } from '../respond/lower-open.js'
import { HullguardError } from '../telemetry/errors.js'
import type { CommandSpec } from './command.js'
import { rulebookToTry } from './rulebook.js'

export const explainCommand: CommandSpec = {
  name: 'explain',
  summary: 'say for each rule where it is answered and what its action can guarantee, and print the compiled indexes',
  options: ['policies', 'rules', 'strict', 'json', 'config'],
  own: [{ flags: '--no-indexes', help: 'the rules alone' }],
  arguments: [{ name: '[files...]', help: 'policy files or folders, in addition to --policies' }],
  async run(settings, { args, own }) {
    if (settings.list('policies').length + settings.list('rules').length + args.length === 0)
      throw new HullguardError('usage', 'no policy files: name some, or give --policies')
    const { rulebook, refusedCount } = await rulebookToTry(settings, args)
    if (settings.flag('json')) process.stdout.write(`${JSON.stringify(explanations(rulebook))}\n`)
    else process.stdout.write(rulesToText(rulebook) + (own.indexes === false ? '' : indexesToText(rulebook)))
    return refusedCount === 0 ? 0 : 1
  },
}

/** A paragraph a rule. */
export function rulesToText(rulebook: Rulebook): string {
  return explanations(rulebook)
    .map(({ policy, rule, where, hook, guarantee, reason, opens }) => {
      const lines = [
        `${visible(policy)}: ${visible(rule)}`,
        `  answered in ${where}${hook === '' ? '' : ` at ${hook}`}; ${guarantee}`,
        ...(reason === '' ? [] : [`  ${reason}`]),
        ...(opens === '' ? [] : [`  ${opens}`]),
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

function explanations({ policies, falco }: Rulebook): Explanation[] {
  const ofFalco = (falco?.rules ?? []).filter(({ enabled }) => enabled)
  const sources: OpenSources = { macro: (name) => falco?.macros.get(name), list: (name) => falco?.lists.get(name) }
  return [
    ...policies.flatMap(explain),
    ...ofFalco.map(({ name, condition, eventTypes }) => ({
      ...{ policy: FALCO_POLICY, rule: name, action: 'alert', where: 'user space' as const, hook: '' },
      ...{ guarantee: 'alerts only', reason: '', opens: opensText(eventTypes, () => opensOf(condition, sources)) },
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
  /** Which opens the kernel reports for it; empty: it is about none. */
  opens: string
}

const HOOKS: Partial<Record<RuleKind, string>> = {
  exec: 'sched_process_exec',
  connect: 'cgroup/connect',
  syscall: 'sys_enter',
}

/** As for a container that the policy selects, with the agent in block mode. */
function explain(policy: Policy): Explanation[] {
  const program = compileProgram([{ ...policy, containers: {} }])
  const container: ContainerRef = { ...HOST, state: 'container', id: 'explain', name: 'explain' }
  const profile = program.profileFor(container)
  const lowered = lowerProfile(program, profile, { isBlockPolicy: () => policy.mode === 'block', execDeny: true })
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
        hook: isKernel ? (HOOKS[rule.kind] ?? '') : '',
        guarantee: guaranteeOf(rule.kind, policy.mode === 'block' ? rule.action : 'alert', isKernel),
        reason: note?.reason ?? '',
        opens: opensOfRule(rule),
      },
    ]
  })
}

const NO_SOURCES: OpenSources = { macro: () => undefined, list: () => undefined }

function opensOfRule(rule: Rule): string {
  if (rule.kind === 'file') return opensText(kindsNeeded(rule), () => opensOfFileRule(rule))
  if (rule.kind !== 'condition') return ''
  return opensText(rule.eventTypes, () => opensOf(conditionInForce(rule), NO_SOURCES))
}

/** Beyond these a line is no longer read. */
const PATHS_SHOWN_COUNT = 4

function opensText(kinds: readonly string[], wants: () => readonly OpenWant[]): string {
  if (!kinds.some((name) => name === 'open' || findEventType(name)?.kind === 'open')) return ''
  const wanted = wants()
  const { prefixes } = lowerOpens(wanted)
  const opens = opensOfClasses(wanted.reduce((mask, { classes }) => mask | classes, 0))
  const paths = prefixes.map(({ path }) => Buffer.from(path).toString()).filter((path) => path !== '')
  const failed = prefixes.some(({ path }) => path.length === 0) ? ', and some of every path' : ''
  if (paths.length === 0) return `the kernel reports ${opens} of every path for it`
  const more = paths.length > PATHS_SHOWN_COUNT ? ` and ${paths.length - PATHS_SHOWN_COUNT} more` : ''
  const shown = paths.slice(0, PATHS_SHOWN_COUNT).map(visible).join(', ')
  return `the kernel reports ${opens} of paths that begin with ${shown}${more}${failed}`
}

function opensOfClasses(classes: number): string {
  if ((classes & ~OPEN_DOTDOT) === 0) return 'opens given with `..`'
  if ((classes & ~OPEN_READ) === 0) return 'opens for reading'
  if ((classes & ~OPEN_WRITE) === 0) return 'opens for writing'
  return 'opens'
}

function guaranteeOf(kind: RuleKind, action: string, isKernel: boolean): string {
  if (action === 'alert') return 'alerts only'
  if (action === 'deny' && isKernel && kind === 'connect') return 'the connect is refused (EPERM)'
  if (action === 'deny' && isKernel && kind === 'exec')
    return 'the exec is refused (EPERM) where the kernel runs BPF LSM programs (`hullguard doctor` says), elsewhere it alerts only'
  if (action === 'deny') return 'alerts only: no hook can refuse it'
  if (!isKernel) return 'kills after the fact, through a pidfd'
  if (kind === 'exec') return "kills before the new program's first instruction"
  if (kind === 'connect') return 'refuses the connect, then kills through a pidfd'
  return 'kills at the entry of the call; the call itself may still take effect'
}
