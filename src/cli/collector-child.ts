/**
 * The collector of `hullguard run`: a child process, because its database and its fsyncs block. Started again when it dies,
 * with growing pauses; the agent's spool keeps what comes meanwhile.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Log } from '../export/types.js'
import { HullguardError } from '../telemetry/errors.js'
import { findPackageRoot } from '../telemetry/package-root.js'

const RESTART_FIRST_MS = 200
const RESTART_MAX_MS = 10_000
/** A child that ran so long was healthy: the next pause is short again. */
const HEALTHY_MS = 30_000
const READY_WITHIN_MS = 30_000
/** It takes at most 2 s to end its streams, and then a last commit. */
const STOP_WITHIN_MS = 15_000

export class CollectorChild {
  readonly #args: readonly string[]
  readonly #log: Log
  #child: ChildProcess | undefined
  #pauseMs = RESTART_FIRST_MS
  #startedAtMs = 0
  #isStopping = false
  #timer: NodeJS.Timeout | undefined

  constructor(args: readonly string[], log: Log) {
    this.#args = args
    this.#log = log
  }

  /** Resolves when it listens. Throws when the first start fails: its own message is on standard error. */
  async start(): Promise<void> {
    const child = this.#spawn()
    await new Promise<void>((resolve, reject) => {
      const fail = (reason: string) =>
        reject(new HullguardError('collector_child_failed', `the collector did not start: ${reason}`))
      const timer = setTimeout(() => fail('no word within 30 s'), READY_WITHIN_MS)
      child.once('message', () => {
        clearTimeout(timer)
        resolve()
      })
      child.once('exit', (code, signal) => {
        clearTimeout(timer)
        this.#isStopping = true
        fail(`it ended with ${signal ?? `exit code ${code}`}`)
      })
    })
    child.removeAllListeners('exit')
    this.#restartOnExit(child)
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    const timer = setTimeout(() => {
      this.#log.error(
        { pid: child.pid },
        'the collector did not end in time and was killed: what it acknowledged is stored',
      )
      child.kill('SIGKILL')
    }, STOP_WITHIN_MS)
    await ended
    clearTimeout(timer)
  }

  #spawn(): ChildProcess {
    this.#startedAtMs = performance.now()
    // detached: Ctrl-C at the terminal must reach the agent only, which stops the collector last.
    const child = spawn(process.execPath, [join(findPackageRoot(), 'bin', 'hullguard'), 'collector', ...this.#args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    })
    this.#child = child
    return child
  }

  #restartOnExit(child: ChildProcess): void {
    child.once('exit', (code, signal) => {
      if (this.#isStopping) return
      if (performance.now() - this.#startedAtMs > HEALTHY_MS) this.#pauseMs = RESTART_FIRST_MS
      this.#log.error(
        { code, signal, restartMs: this.#pauseMs },
        'the collector ended: records stay in the spool, it is started again',
      )
      this.#timer = setTimeout(() => this.#restartOnExit(this.#spawn()), this.#pauseMs)
      this.#pauseMs = Math.min(this.#pauseMs * 2, RESTART_MAX_MS)
    })
  }
}
