/**
 * The real command line as a child process: started with directories of the test's own, observed through its own output
 * (`events --follow --json`, its log, its metrics), and ended by pid. Never touches another agent of the machine: every
 * one started here has its own data directory and its own host lock.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseRecordLine } from '../../src/record/json.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { endWithUs, isAlive, makeTempDir, type RunOptions, type RunResult, removeDir, run, waitFor } from './process.js'

export const HULLGUARD = join(findPackageRoot(), 'bin', 'hullguard')

/** The machine is shared and slow at times; nothing is measured with these, and only a failure lasts so long. */
const READY_WITHIN_MS = 120_000
const END_WITHIN_MS = 120_000

/** Runs a command to its end. */
export function hullguard(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run(process.execPath, [HULLGUARD, ...args], options)
}

export interface LogLine {
  level: number
  msg: string
  [field: string]: unknown
}

/** A command that runs until it is told to end. */
export class Running {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #ended: Promise<RunResult>
  readonly #release: () => void
  #stdout = ''
  #stderr = ''

  constructor(args: readonly string[], options: { env?: NodeJS.ProcessEnv; cwd?: string } = {}) {
    const child = spawn(process.execPath, [HULLGUARD, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      cwd: options.cwd,
    })
    if (child.pid === undefined) throw new Error('hullguard could not be started')
    this.pid = child.pid
    this.#child = child
    this.#release = endWithUs(child)
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.#ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        this.#release()
        // Not on `close`: a process that outlived this one may hold the pipes.
        setImmediate(() =>
          resolve({
            code: code ?? undefined,
            signal: signal ?? undefined,
            stdout: this.#stdout,
            stderr: this.#stderr,
          }),
        )
      })
    })
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  get log(): LogLine[] {
    return this.#stderr.split('\n').flatMap((line) => {
      try {
        return [JSON.parse(line) as LogLine]
      } catch {
        return [] // what is for people, and the line that is being written
      }
    })
  }

  /** A line of the process's own log whose message holds the text; fails at once when the process ends first. */
  waitForLog(text: string, timeoutMs = READY_WITHIN_MS): Promise<LogLine> {
    return waitFor(
      `the log line \`${text}\``,
      () => {
        const line = this.log.find(({ msg }) => msg.includes(text))
        if (line === undefined && this.hasEnded) throw new Error(`hullguard ended: ${this.#stderr.slice(-2000)}`)
        return line
      },
      timeoutMs,
    )
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  ended(timeoutMs = END_WITHIN_MS): Promise<RunResult> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`hullguard (pid ${this.pid}) did not end: ${this.#stderr.slice(-2000)}`)),
        timeoutMs,
      )
    })
    return Promise.race([this.#ended, late]).finally(() => clearTimeout(timer))
  }

  /** SIGTERM; the result of a process that has ended already. Kills what does not end, and then fails. */
  async stop(timeoutMs = END_WITHIN_MS): Promise<RunResult> {
    this.signal('SIGTERM')
    try {
      return await this.ended(timeoutMs)
    } catch (error) {
      this.signal('SIGKILL')
      throw error
    }
  }

  /** SIGKILL, and its end. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended()
  }
}

/** Records as `hullguard events --follow --json` prints them, from the first one in the store on. */
export class Feed {
  readonly records: HullguardRecord[] = []
  readonly lines: string[] = []
  readonly #running: Running
  #read = 0

  constructor(args: readonly string[]) {
    this.#running = new Running(['events', '--follow', '--json', ...args])
  }

  all(wanted: (record: HullguardRecord) => boolean): HullguardRecord[] {
    this.#take()
    return this.records.filter(wanted)
  }

  /** The first record that is wanted, now or within the time. */
  find(
    what: string,
    wanted: (record: HullguardRecord) => boolean,
    timeoutMs = READY_WITHIN_MS,
  ): Promise<HullguardRecord> {
    let from = 0
    return waitFor(
      what,
      () => {
        this.#take()
        const found = this.records.slice(from).find(wanted)
        from = this.records.length
        if (found === undefined && this.#running.hasEnded) throw new Error(`the feed ended: ${this.#running.stderr}`)
        return found
      },
      timeoutMs,
    ).catch((error: unknown) => {
      const kinds = this.records.slice(-30).map(({ kind, container, process, alert, agentChange }) => {
        const what =
          alert === undefined ? (agentChange?.message ?? '') : `${alert.rule} ${alert.outcome} ${alert.reason}`
        return `${kind} ${container.state} ${container.name} ${process?.args.join(' ').slice(0, 60) ?? ''} ${what}`
      })
      throw new Error(`${String(error)}; the last of ${this.records.length} records:\n${kinds.join('\n')}`)
    })
  }

  async close(): Promise<void> {
    await this.#running.stop()
  }

  #take(): void {
    const text = this.#running.stdout
    const end = text.lastIndexOf('\n') + 1
    if (end <= this.#read) return
    for (const line of text.slice(this.#read, end - 1).split('\n')) {
      this.lines.push(line)
      this.records.push(parseRecordLine(line))
    }
    this.#read = end
  }
}

export interface AgentOptions {
  policies?: readonly string[]
  mode?: 'observe' | 'block'
  dockerSocket?: string
  runcRoot?: string
  dataDir?: string
  hostLock?: string
  args?: readonly string[]
}

const scratch = new Set<string>()

/** A folder that goes when the test process ends. Its path is short enough for sockets in it. */
export function scratchDir(stem = 'hg-test'): string {
  if (scratch.size === 0) {
    process.once('exit', () => {
      for (const dir of scratch) removeDir(dir)
    })
  }
  const dir = makeTempDir(stem)
  scratch.add(dir)
  return dir
}

/** Writes a policy into a folder of its own; returns the file. */
export function policyFile(text: string | Uint8Array, name = 'policy.yaml'): string {
  const path = join(scratchDir(), name)
  writeFileSync(path, text)
  return path
}

export function agentArgs(dataDir: string, options: AgentOptions): string[] {
  return [
    ...['--data-dir', dataDir, '--host-lock', options.hostLock ?? join(dataDir, 'host.lock')],
    ...(options.policies === undefined ? [] : ['--policies', ...options.policies]),
    // what a test does not name is not in force
    '--no-standard',
    ...(options.mode === undefined ? [] : ['--mode', options.mode]),
    // A socket that is not there, unless the test brings its own: the machine's Docker is none of its business.
    ...['--docker-socket', options.dockerSocket ?? join(dataDir, 'no-docker.sock')],
    ...(options.runcRoot === undefined ? [] : ['--runc-root', options.runcRoot]),
    ...(options.args ?? []),
  ]
}

/** `hullguard run`, watching and with its collector up. */
export class Host extends Running {
  constructor(
    readonly dataDir: string,
    args: readonly string[],
  ) {
    super(['run', ...args])
  }

  feed(...args: readonly string[]): Feed {
    return new Feed(['--data-dir', this.dataDir, ...args])
  }

  /** `events --json` of what is stored now. */
  async events(...args: readonly string[]): Promise<HullguardRecord[]> {
    return storedEvents(this.dataDir, ...args)
  }

  async mode(mode: 'observe' | 'block'): Promise<RunResult> {
    return hullguard(['mode', mode, '--data-dir', this.dataDir])
  }

  /** The collector that it runs as a child. */
  get collectorPid(): number {
    const [pid] = childrenOf(this.pid).filter((child) => commandLineOf(child).includes('collector'))
    if (pid === undefined) throw new Error('the collector does not run')
    return pid
  }
}

export async function startRun(options: AgentOptions = {}): Promise<Host> {
  const dataDir = options.dataDir ?? scratchDir()
  const host = new Host(dataDir, agentArgs(dataDir, options))
  await host.waitForLog('the collector takes records')
  await waitFor('the welcome', () => host.stdout.includes('hullguard is watching'))
  return host
}

/** `record` through the agent of this data directory: returns when what happens is being recorded. */
export async function startRecording(file: string, dataDir: string): Promise<Running> {
  const recording = new Running(['record', '--out', file, '--data-dir', dataDir])
  await waitFor(
    'the agent to record',
    () => {
      if (recording.hasEnded) throw new Error(`the recording ended: ${recording.stderr}`)
      return recording.stderr.includes('recording to')
    },
    READY_WITHIN_MS,
  )
  return recording
}

/** What is stored now. --limit far beyond any test: without it only the newest 1000 come. */
export async function storedEvents(dataDir: string, ...args: readonly string[]): Promise<HullguardRecord[]> {
  const child = spawn(
    process.execPath,
    [HULLGUARD, 'events', '--json', '--data-dir', dataDir, '--limit', '99999999', ...args],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 },
  )
  const [out, err]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`hullguard events: exit status ${String(code)}\n${Buffer.concat(err).toString()}`)
  return Buffer.concat(out).toString().split('\n').filter(Boolean).map(parseRecordLine)
}

export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

export function commandLineOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  } catch {
    return []
  }
}

export async function waitForEnd(pid: number): Promise<void> {
  await waitFor(`process ${pid} to end`, () => !isAlive(pid))
}
