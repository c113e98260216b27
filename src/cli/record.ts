/**
 * hullguard record: writes what containers do into a capture file. The agent of this host writes it when one runs; else this
 * process watches by itself for that time, without policies and without keeping records.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { startAgent } from '../agent/agent.js'
import type { AgentStatus } from '../agent/control-server.js'
import type { CaptureTotals } from '../sensor/capture-writer.js'
import { Counters } from '../telemetry/counters.js'
import { errnoOf, HullguardError, messageOf } from '../telemetry/errors.js'
import { askAgent, isAbsent, recordThroughAgent } from './agent-client.js'
import { agentOptions } from './agent-options.js'
import type { CommandSpec } from './command.js'
import { makeLog } from './logging.js'
import type { Settings } from './options.js'
import { untilStopSignal } from './signals.js'
import { parseDurationMs } from './time.js'

export const recordCommand: CommandSpec = {
  name: 'record',
  summary: 'write what containers do into a capture file, to try policies on (replay, policy test, policy diff)',
  options: [
    'out',
    'activity',
    'data-dir',
    'docker-socket',
    'runc-root',
    'cgroup-root',
    'host-root',
    'ring-size',
    'host-lock',
    'json',
    'config',
  ],
  own: [
    { flags: '--for <TIME>', help: 'end after that time (60s, 5m, 2h); without it Ctrl-C ends it' },
    { flags: '--container <NAME|ID...>', help: 'of these containers only (an id may be shortened)' },
  ],
  async run(settings, { own }) {
    const path = settings.required('out')
    const containers = Array.isArray(own.container) ? own.container.map(String) : []
    const forMs = typeof own.for === 'string' ? parseDurationMs(own.for, '--for') : undefined
    const stop = stopAfter(forMs)
    const status = await runningAgent(settings.required('data-dir'))
    if (status !== undefined) refuseWhatIsOff(settings, status)
    const file = await CaptureFile.create(path)
    try {
      const started = Date.now()
      const ended =
        status === undefined
          ? await recordAlone(settings, containers, stop, file)
          : await recordThrough(settings, containers, stop, file)
      await file.close()
      print(settings, { path, seconds: (Date.now() - started) / 1000, sizeBytes: file.sizeBytes, ...ended })
      return 0
    } finally {
      stop.cancel()
      await file.abandon()
    }
  },
}

interface Ended {
  by: 'the running agent' | 'this command'
  totals?: CaptureTotals
}

interface Stop {
  promise: Promise<unknown>
  cancel(): void
}

function stopAfter(forMs: number | undefined): Stop {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((resolve) => {
    if (forMs !== undefined) timer = setTimeout(resolve, forMs)
  })
  return { promise: Promise.race([untilStopSignal(), timeout]), cancel: () => clearTimeout(timer) }
}

/** undefined: no agent runs on this data directory. */
async function runningAgent(dataDir: string): Promise<AgentStatus | undefined> {
  try {
    return JSON.parse(await askAgent(dataDir, 'GET', '/v1/status')) as AgentStatus
  } catch (error) {
    if (error instanceof HullguardError && isAbsent(error.cause)) return undefined
    throw error
  }
}

/** The running agent records what it watches; asking for more than that must not go unheard. */
function refuseWhatIsOff(settings: Settings, status: AgentStatus): void {
  const missing = settings.list('activity').filter((name) => !status.activity.includes(name))
  if (missing.length > 0)
    throw new HullguardError(
      'usage',
      `the agent that runs here (pid ${status.pid}) does not watch ${missing.join(', ')}: start it with --activity ${missing.join(',')}, or stop it and record without it`,
    )
}

async function recordThrough(
  settings: Settings,
  containers: readonly string[],
  stop: Stop,
  file: CaptureFile,
): Promise<Ended> {
  const { endedBy } = await recordThroughAgent(settings.required('data-dir'), containers, stop.promise, {
    begun: () => process.stderr.write(`recording to ${file.path} through the running agent; Ctrl-C ends it\n`),
    take: (bytes) => file.write(bytes),
  })
  if (endedBy === 'agent') process.stderr.write('the agent ended the recording\n')
  return { by: 'the running agent' }
}

async function recordAlone(
  settings: Settings,
  containers: readonly string[],
  stop: Stop,
  file: CaptureFile,
): Promise<Ended> {
  const agent = await startAgent({
    ...agentOptions(settings, {
      rulebook: { policies: [] },
      collectors: [],
      counters: new Counters(),
      log: makeLog('warn'),
    }),
    dataDir: undefined,
  })
  try {
    const recording = agent.record({ containers, output: (bytes) => file.write(bytes) })
    process.stderr.write(`recording to ${file.path} (${agent.containerCount} containers running); Ctrl-C ends it\n`)
    await Promise.race([stop.promise, recording.ended])
    await agent.stop() // what is still in the ring belongs to it
    return { by: 'this command', totals: await recording.stop('ended by `hullguard record`') }
  } finally {
    await agent.stop()
  }
}

/** The file that is being written: of the one who asked, readable by nobody else. */
class CaptureFile {
  readonly path: string
  readonly #handle: FileHandle
  #isOpen = true
  sizeBytes = 0

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  static async create(path: string): Promise<CaptureFile> {
    try {
      return new CaptureFile(path, await open(path, 'wx', 0o600))
    } catch (error) {
      const reason = errnoOf(error) === 'EEXIST' ? 'it exists already' : messageOf(error)
      throw new HullguardError('capture_unwritable', `cannot make ${path}: ${reason}`, { cause: error })
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#handle.writeFile(bytes)
      this.sizeBytes += bytes.length
    } catch (error) {
      throw new HullguardError('capture_unwritable', `cannot write ${this.path}: ${messageOf(error)}`, { cause: error })
    }
  }

  async close(): Promise<void> {
    await this.#handle.sync()
    await this.abandon()
  }

  /** Leaves what was written. Idempotent. */
  async abandon(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    await this.#handle.close()
  }
}

function print(settings: Settings, result: Ended & { path: string; seconds: number; sizeBytes: number }): void {
  const { path, seconds, sizeBytes, by, totals } = result
  if (settings.flag('json')) {
    const counts = totals === undefined ? {} : { events: totals.eventsCount, left_out: totals.leftOutCount }
    process.stdout.write(`${JSON.stringify({ file: path, recorded_by: by, seconds, bytes: sizeBytes, ...counts })}\n`)
    return
  }
  const events = totals === undefined ? '' : `${totals.eventsCount} events, `
  process.stdout.write(`${events}${(sizeBytes / 1024).toFixed(1)} KiB in ${seconds.toFixed(1)} s: ${path}\n`)
  if (totals !== undefined && totals.leftOutCount > 0)
    process.stderr.write(`${totals.leftOutCount} events were left out: the disk was too slow\n`)
}
