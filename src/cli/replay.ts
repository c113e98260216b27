/** hullguard replay: what the agent would have told of recorded events. Needs no privilege; nothing is acted on. */
import { setImmediate as breathe } from 'node:timers/promises'
import { Replay, type ReplayCause, type ReplayReport } from '../agent/capture/replay.js'
import type { Rulebook } from '../agent/conditions/rulebook.js'
import type { Mode } from '../policy/model.js'
import { recordToJsonLine } from '../record/json.js'
import type { HullguardRecord } from '../record/model.js'
import { recordToText } from '../record/text.js'
import { visible } from '../record/visible.js'
import { CaptureReader } from '../sensor/capture-reader.js'
import { HullguardError } from '../telemetry/errors.js'
import type { CommandSpec } from './command.js'
import { colour } from './events.js'
import { rulebookToTry, TRIED_RULE_OPTIONS } from './rulebook.js'

export const replayCommand: CommandSpec = {
  name: 'replay',
  summary:
    'judge a capture by policies and Falco rules and print the alerts, as the agent would have; nothing is acted on',
  options: [...TRIED_RULE_OPTIONS, 'mode', 'json', 'config'],
  own: [{ flags: '--all', help: 'every record, not the alerts alone' }],
  arguments: [{ name: '<file>', help: 'a capture made by `hullguard record`' }],
  async run(settings, { args, own }) {
    const [file] = args
    if (file === undefined || args.length > 1) throw new HullguardError('usage', 'expected one capture file')
    const { rulebook, refusedCount } = await rulebookToTry(settings, [])
    if (refusedCount > 0) {
      process.stderr.write('some of it is refused: nothing was judged\n')
      return 1
    }
    if (rulebook.policies.length === 0 && rulebook.falco === undefined)
      process.stderr.write('hullguard: neither --policies nor --rules name any rule: nothing is judged\n')
    const lines = new Lines(settings.flag('json'), own.all === true)
    const reader = CaptureReader.open(file)
    try {
      const mode: Mode = settings.text('mode') === 'block' ? 'block' : 'observe'
      const { report, containerCount } = await runReplay(reader, rulebook, mode, {
        onRecord: (record) => lines.add(record),
        betweenBlocks: () => lines.flush(),
      })
      await lines.flush()
      warnOfHoles(reader, report)
      const { eventsCount, spanNs } = report
      process.stderr.write(
        `${eventsCount} events of ${containerCount} containers within ${seconds(spanNs)}: ${lines.alertCount} alerts\n`,
      )
    } finally {
      reader.close()
    }
    return 0
  },
}

export interface ReplaySink {
  onRecord: (record: HullguardRecord, cause: ReplayCause) => void
  betweenBlocks?: () => Promise<void>
  /** The capture was replayed before by this command: what is wrong with it has been said. */
  isAgain?: boolean
}

/** Runs a whole capture through the pipeline. Throws HullguardError capture_damaged. */
export async function runReplay(
  reader: CaptureReader,
  rulebook: Rulebook,
  mode: Mode,
  sink: ReplaySink,
): Promise<{ report: ReplayReport; replay: Replay; containerCount: number }> {
  const replay = new Replay(reader, { rulebook, mode, onRecord: sink.onRecord })
  if (sink.isAgain !== true) warnOfVersion(reader, replay.absentFields)
  const steps = replay.run()
  for (;;) {
    const step = steps.next()
    await sink.betweenBlocks?.()
    if (step.done === true) {
      const ids = new Set(replay.containers.flatMap(({ identity }) => (identity.confirmed ? [identity.ref.id] : [])))
      return { report: step.value, replay, containerCount: ids.size }
    }
    await breathe() // a signal is to be heard
  }
}

function warnOfVersion(reader: CaptureReader, absent: readonly string[]): void {
  if (absent.length === 0) return
  const { agentVersion } = reader.header
  process.stderr.write(
    `hullguard: ${reader.name} was made by another build (${visible(agentVersion)}); it lacks ${absent.join(', ')}: they read as 0\n`,
  )
}

/** What the reader of the results has to know about the capture itself. */
export function warnOfHoles(reader: CaptureReader, report: ReplayReport): void {
  const { cutAt, isComplete, lostCount, undecodableCount } = report
  const say = (text: string) => process.stderr.write(`hullguard: ${text}\n`)
  if (cutAt !== undefined) say(`${reader.name} is cut short at byte ${cutAt}: what stands before was read`)
  else if (!isComplete) say(`${reader.name} has no end: the recording was not ended in order; all of it was read`)
  if (lostCount > 0n) say(`${lostCount} events are missing in the capture (the gaps say where)`)
  if (undecodableCount > 0) say(`${undecodableCount} events of the capture could not be read`)
}

export function seconds(ns: bigint): string {
  return `${(Number(ns) / 1e9).toFixed(1)} s`
}

/** Records as lines, handed on block by block: a slow reader slows the replay, not this process's memory. */
class Lines {
  readonly #isJson: boolean
  readonly #all: boolean
  #text = ''
  alertCount = 0

  constructor(isJson: boolean, all: boolean) {
    this.#isJson = isJson
    this.#all = all
  }

  add(record: HullguardRecord): void {
    if (record.kind === 'alert') this.alertCount += 1
    if (!this.#all && record.lane !== 'alert') return
    const style = process.stdout.isTTY ? { style: colour } : {}
    this.#text += `${this.#isJson ? recordToJsonLine(record) : recordToText(record, style)}\n`
  }

  async flush(): Promise<void> {
    const text = this.#text
    this.#text = ''
    if (text !== '' && !process.stdout.write(text))
      await new Promise((resolve) => process.stdout.once('drain', resolve))
  }
}
