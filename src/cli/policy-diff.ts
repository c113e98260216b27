/** hullguard policy diff: what changes on a capture when the new policies take the place of the old ones. */
import { type ChangedHit, differenceOf, type RuleDifference } from '../agent/capture/difference.js'
import { Trial, type TrialHit } from '../agent/capture/trial.js'
import type { Rulebook } from '../agent/conditions/rulebook.js'
import { FALCO_POLICY } from '../agent/rules/verdicts.js'
import { formatTime } from '../record/time.js'
import { visible } from '../record/visible.js'
import { CaptureReader } from '../sensor/capture-reader.js'
import { HullguardError } from '../telemetry/errors.js'
import type { CommandSpec } from './command.js'
import { runReplay, warnOfHoles } from './replay.js'
import { rulebookToTry } from './rulebook.js'

const EXAMPLES_MAX_COUNT = 3

export const diffCommand: CommandSpec = {
  name: 'diff',
  summary: 'say what changes on a capture when policies NEW take the place of OLD: hits, containers, actions',
  options: ['rule-matching', 'strict', 'events', 'json', 'config'],
  own: [
    { flags: '--old-rules <FILE...>', help: 'Falco rules files of before, in order' },
    { flags: '--new-rules <FILE...>', help: 'those of after' },
    { flags: '--rules <FILE...>', help: 'Falco rules files of both, in front of the others' },
  ],
  arguments: [
    { name: '[old]', help: 'the policy file or folder of before' },
    { name: '[new]', help: 'the one of after' },
  ],
  async run(settings, { args, own }) {
    const [oldPath, newPath] = args
    const both = filesOf(own.rules)
    const falco = { old: [...both, ...filesOf(own.oldRules)], new: [...both, ...filesOf(own.newRules)] }
    const hasFalco = falco.old.length + falco.new.length > 0
    if (args.length !== 2 && !(args.length === 0 && hasFalco))
      throw new HullguardError(
        'usage',
        'expected two policy files or folders: OLD NEW (or none, and Falco files with --old-rules and --new-rules)',
      )
    const file = settings.required('events')
    const before = await rulebookToTry(settings, pathsOf(oldPath), falco.old)
    const after = await rulebookToTry(settings, pathsOf(newPath), falco.new)
    const differences = differenceOf(
      await hitsOf(file, before.rulebook, false),
      await hitsOf(file, after.rulebook, true),
    )
    const sides = sidesOf(before.rulebook, after.rulebook)
    if (settings.flag('json')) process.stdout.write(`${JSON.stringify(toJson(differences, sides))}\n`)
    else process.stdout.write(render(differences, sides))
    return before.refusedCount + after.refusedCount === 0 ? 0 : 1
  },
}

function pathsOf(path: string | undefined): string[] {
  return path === undefined ? [] : [path]
}

function filesOf(given: unknown): string[] {
  return Array.isArray(given) ? given.map(String) : []
}

async function hitsOf(file: string, rulebook: Rulebook, isAgain: boolean): Promise<TrialHit[]> {
  const reader = CaptureReader.open(file)
  try {
    const hits: TrialHit[] = []
    const trial = new Trial(rulebook, (hit) => hits.push(hit))
    const { report, replay } = await runReplay(reader, trial.rulebook, 'block', {
      onRecord: (record, cause) => trial.take(record, cause),
      isAgain,
    })
    if (!isAgain) warnOfHoles(reader, report)
    for (const { policy, rule, state, lacks } of trial.rows(replay.containers))
      if (state === 'not_evaluable' || state === 'partly')
        process.stderr.write(
          `hullguard: ${visible(policy)}: ${visible(rule)}: ${state === 'partly' ? 'partly' : 'not'} evaluable: capture lacks ${lacks.join(', ')}\n`,
        )
    return hits
  } finally {
    reader.close()
  }
}

interface Sides {
  added: readonly string[]
  removed: readonly string[]
  modes: readonly { policy: string; before: string; after: string }[]
}

/** What differs without any event: rules that are on one side only, and modes. */
function sidesOf(before: Rulebook, after: Rulebook): Sides {
  const names = ({ policies, falco }: Rulebook) =>
    new Set([
      ...policies.flatMap(({ rules }) => rules.map(({ policy, name }) => `${policy}: ${name}`)),
      ...(falco?.rules ?? []).map(({ name }) => `${FALCO_POLICY}: ${name}`),
    ])
  const [old, now] = [names(before), names(after)]
  return {
    added: [...now].filter((name) => !old.has(name)),
    removed: [...old].filter((name) => !now.has(name)),
    modes: before.policies.flatMap(({ name, mode }) => {
      const other = after.policies.find((policy) => policy.name === name)?.mode
      return other === undefined || other === mode ? [] : [{ policy: name, before: mode, after: other }]
    }),
  }
}

function render(differences: readonly RuleDifference[], { added, removed, modes }: Sides): string {
  const lines = [
    ...modes.map(({ policy, before, after }) => `${visible(policy)}: mode ${before} becomes ${after}`),
    ...removed.map((name) => `${visible(name)}: the rule is gone`),
    ...added.map((name) => `${visible(name)}: the rule is new`),
  ]
  let sameCount = 0
  for (const { policy, rule, appeared, disappeared, changed, sameCount: same } of differences) {
    sameCount += same
    if (appeared.length + disappeared.length + changed.length === 0) continue
    lines.push(`${visible(policy)}: ${visible(rule)}`)
    lines.push(...section('+', 'appear', appeared), ...section('-', 'disappear', disappeared))
    lines.push(...section('~', 'act otherwise', changed))
    if (same > 0) lines.push(`  = ${hits(same)} as before`)
  }
  if (lines.length === 0) lines.push('nothing changes on this capture')
  lines.push(`${hits(sameCount)} in all stay as they are`)
  return `${lines.join('\n')}\n`
}

function section(sign: string, what: string, changed: readonly ChangedHit[]): string[] {
  if (changed.length === 0) return []
  const containers = countBy(changed, ({ record }) => record.container.name || record.container.state)
  const verb = changed.length === 1 && !what.includes(' ') ? `${what}s` : what
  return [
    `  ${sign} ${hits(changed.length)} ${verb}: ${containers.map(([name, count]) => `${visible(name)} (${count})`).join(', ')}`,
    ...changed.slice(0, EXAMPLES_MAX_COUNT).map((hit) => `      ${exampleOf(hit)}`),
    ...(changed.length > EXAMPLES_MAX_COUNT ? [`      and ${changed.length - EXAMPLES_MAX_COUNT} more`] : []),
  ]
}

function exampleOf({ before, after, record }: ChangedHit): string {
  const actions = [before, after].flatMap((hit) => (hit === undefined ? [] : [`${hit.record.alert?.actionTaken}`]))
  const act = before === undefined || after === undefined ? actions.join() : actions.join(' becomes ')
  return `${formatTime(record.timeNs)} [${act}] ${visible(record.alert?.output ?? '')}`
}

function countBy(changed: readonly ChangedHit[], keyOf: (hit: ChangedHit) => string): [string, number][] {
  const counts = new Map<string, number>()
  for (const hit of changed) counts.set(keyOf(hit), (counts.get(keyOf(hit)) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
}

function hits(count: number): string {
  return count === 1 ? '1 hit' : `${count} hits`
}

function toJson(differences: readonly RuleDifference[], sides: Sides): object {
  const list = (changed: readonly ChangedHit[]) => ({
    hits: changed.length,
    containers: Object.fromEntries(countBy(changed, ({ record }) => record.container.name || record.container.state)),
    actions: Object.fromEntries(
      countBy(changed, ({ before, after }) =>
        [before, after].flatMap((hit) => (hit === undefined ? [] : [hit.record.alert?.actionTaken ?? ''])).join('>'),
      ),
    ),
  })
  return {
    ...sides,
    rules: differences.map(({ policy, rule, appeared, disappeared, changed, sameCount }) => ({
      ...{ policy, rule, unchanged: sameCount },
      ...{ appeared: list(appeared), disappeared: list(disappeared), changed: list(changed) },
    })),
  }
}
