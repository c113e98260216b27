/** hullguard policy test: the tests beside policies, and policies tried on a capture, before they can block anything. Needs no privilege. */
import { type RuleTrial, Trial } from '../agent/capture/trial.js'
import { runPolicyTests } from '../agent/policy-tests/run-tests.js'
import type { Policy } from '../policy/model.js'
import { loadPolicyPaths } from '../policy/read-files.js'
import { renderDiagnostics } from '../policy/render-diagnostics.js'
import { CaptureReader } from '../sensor/capture-reader.js'
import { HullguardError } from '../telemetry/errors.js'
import type { CommandSpec } from './command.js'
import { namedPaths } from './policy-files.js'
import { outcomesToText, outcomeToJson } from './policy-outcomes.js'
import { trialToJson, trialToText } from './policy-trial.js'
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
    const outcomes = runPolicyTests(loaded.policies)
    const rows = file === undefined ? [] : await tryOn(file, loaded.policies, isJson)
    if (isJson)
      process.stdout.write(`${JSON.stringify({ tests: outcomes.map(outcomeToJson), rules: rows.map(trialToJson) })}\n`)
    else {
      process.stdout.write(rows.map((row) => trialToText(row, loaded.policies)).join(''))
      if (outcomes.length > 0 || file === undefined) process.stdout.write(outcomesToText(outcomes, file !== undefined))
    }
    return loaded.errorCount === 0 && outcomes.every(({ passed }) => passed) ? 0 : 1
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
