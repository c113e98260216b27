/** hullguard policy test: policies tried on a capture, before they can block anything. Needs no privilege. */
import { type RuleTrial, Trial, type TrialHit } from '../agent/capture/trial.js'
import type { Policy } from '../policy/model.js'
import { loadPolicyPaths } from '../policy/read-files.js'
import { renderDiagnostics } from '../policy/render-diagnostics.js'
import { formatTime } from '../record/time.js'
import { visible } from '../record/visible.js'
import { CaptureReader } from '../sensor/capture-reader.js'
import { HullguardError } from '../telemetry/errors.js'
import type { CommandSpec } from './command.js'
import { namedPaths } from './policy-files.js'
import { runReplay, seconds, warnOfHoles } from './replay.js'

export const testCommand: CommandSpec = {
  name: 'test',
  summary:
    'run the tests beside policies, and try policies on a capture: what would have hit, been denied, been killed',
  options: ['policies', 'events', 'json', 'config'],
  arguments: [{ name: '[files...]', help: 'policy files or folders, in addition to --policies' }],
  async run(settings, { args }) {
    const paths = namedPaths([...settings.list('policies'), ...args])
    if (paths.length === 0) throw new HullguardError('usage', 'no policy files: name some, or give --policies')
    const loaded = await loadPolicyPaths(paths)
    process.stderr.write(renderDiagnostics(loaded))
    const file = settings.text('events')
    const isJson = settings.flag('json')
    const rows = file === undefined ? [] : await tryOn(file, loaded.policies, isJson)
    if (isJson) process.stdout.write(`${JSON.stringify({ rules: rows.map(toJson) })}\n`)
    else process.stdout.write(rows.map((row) => render(row, loaded.policies)).join(''))
    return loaded.errorCount === 0 ? 0 : 1
  },
}

async function tryOn(file: string, policies: readonly Policy[], isQuiet: boolean): Promise<RuleTrial[]> {
  const reader = CaptureReader.open(file)
  try {
    const trial = new Trial(policies)
    const { report, replay, containerCount } = await runReplay(reader, trial.policies, 'block', {
      onRecord: (record, cause) => trial.take(record, cause),
    })
    warnOfHoles(reader, report)
    if (!isQuiet)
      process.stderr.write(
        `tried on ${report.eventsCount} events of ${containerCount} containers within ${seconds(report.spanNs)}; nothing was acted on\n`,
      )
    return trial.rows(replay.containers)
  } finally {
    reader.close()
  }
}

function render(row: RuleTrial, policies: readonly Policy[]): string {
  const { hitsCount, containers, outcomes, examples } = row
  const isObserving = policies.some(({ name, mode }) => name === row.policy && mode !== 'block')
  const lines = [`${visible(row.policy)}: ${visible(row.rule)}`, `  ${verdictOf(row)}`]
  if (hitsCount > 0) {
    lines.push(`  in ${containers.map(({ name, hitsCount: count }) => `${visible(name)} (${count})`).join(', ')}`)
    const acted = outcomes.map(({ outcome, count }) => `${count} ${outcome.replaceAll('_', ' ')}`)
    if (acted.length > 0)
      lines.push(
        `  blocking mode: ${acted.join(', ')}${isObserving ? ' (the policy itself observes: alerts only)' : ''}`,
      )
    for (const hit of examples) lines.push(...example(hit))
    if (hitsCount > examples.length) lines.push(`    and ${hitsCount - examples.length} more`)
  }
  return `${lines.join('\n')}\n`
}

function verdictOf({ state, lacks, hitsCount, action }: RuleTrial): string {
  const asks = action === 'alert' ? '' : `, asks for ${action}`
  const hits = `${hitsCount === 0 ? 'no hit' : hitsCount === 1 ? '1 hit' : `${hitsCount} hits`}${asks}`
  switch (state) {
    case 'disabled':
      return 'switched off'
    case 'no_container':
      return 'no container of this capture is selected'
    case 'not_evaluable':
      return `not evaluable: capture lacks ${lacks.join(', ')}${hitsCount === 0 ? '' : `; ${hits}`}`
    case 'partly':
      return `${hits}; partly evaluable: capture lacks ${lacks.join(', ')} for some containers`
    default:
      return hits
  }
}

function example({ record, said }: TrialHit): string[] {
  const output = visible(record.alert?.output ?? '')
  return [`    ${formatTime(record.timeNs)} ${output}`, ...(said === '' ? [] : [`      ${said}`])]
}

function toJson({ policy, rule, action, state, lacks, hitsCount, containers, outcomes, examples }: RuleTrial): object {
  return {
    ...{ policy, rule, action, state, lacks },
    hits: hitsCount,
    containers: containers.map(({ name, hitsCount: count }) => ({ name, hits: count })),
    blocking: outcomes,
    examples: examples.map(({ record, outcome, said }) => ({
      time: formatTime(record.timeNs),
      container: record.container.name,
      output: record.alert?.output ?? '',
      outcome: outcome ?? null,
      said,
    })),
  }
}
