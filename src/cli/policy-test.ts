/** hullguard policy test: the tests beside policies, and policies tried on a capture, before they can block anything. Needs no privilege. */
import { type RuleTrial, Trial } from '../agent/capture/trial.js'
import type { Rulebook } from '../agent/conditions/rulebook.js'
import { runPolicyTests } from '../agent/policy-tests/run-tests.js'
import { CaptureReader } from '../sensor/capture-reader.js'
import { HullguardError } from '../telemetry/errors.js'
import type { CommandSpec } from './command.js'
import { outcomesToText, outcomeToJson } from './policy-outcomes.js'
import { trialToJson, trialToText } from './policy-trial.js'
import { runReplay, seconds, warnOfHoles } from './replay.js'
import { rulebookToTry, TRIED_RULE_OPTIONS } from './rulebook.js'

export const testCommand: CommandSpec = {
  name: 'test',
  summary:
    'run the tests beside policies, and try policies on a capture: what would have hit, been denied, been killed',
  options: [...TRIED_RULE_OPTIONS, 'events', 'json', 'config'],
  arguments: [{ name: '[files...]', help: 'policy files or folders, in addition to --policies' }],
  async run(settings, { args }) {
    const file = settings.text('events')
    const isFalco = settings.list('rules').length > 0
    if (settings.list('policies').length + args.length === 0 && !isFalco)
      throw new HullguardError('usage', 'no policy files: name some, or give --policies')
    if (isFalco && file === undefined)
      throw new HullguardError('usage', 'Falco files hold no tests: give --events FILE to try them on a capture')
    const { rulebook, refusedCount } = await rulebookToTry(settings, args)
    const { policies } = rulebook
    const isJson = settings.flag('json')
    const outcomes = runPolicyTests(policies)
    const rows = file === undefined ? [] : await tryOn(file, rulebook, isJson)
    if (isJson)
      process.stdout.write(`${JSON.stringify({ tests: outcomes.map(outcomeToJson), rules: rows.map(trialToJson) })}\n`)
    else {
      process.stdout.write(rows.map((row) => trialToText(row, policies)).join(''))
      if (outcomes.length > 0 || file === undefined) process.stdout.write(outcomesToText(outcomes, file !== undefined))
    }
    return refusedCount === 0 && outcomes.every(({ passed }) => passed) ? 0 : 1
  },
}

async function tryOn(file: string, rulebook: Rulebook, isQuiet: boolean): Promise<RuleTrial[]> {
  const reader = CaptureReader.open(file)
  try {
    const trial = new Trial(rulebook)
    const { report, replay, containerCount } = await runReplay(reader, trial.rulebook, 'block', {
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
