/**
 * The demo's own agent and collector: `hullguard run` as a child on a data directory of its own, in block mode, and what its
 * collector has stored so far. An agent that already watches this host is left alone.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentStatus } from '../agent/control-server.js'
import { openLocal } from '../collector/local-source.js'
import type { EventSource } from '../collector/types.js'
import type { HullguardRecord } from '../record/model.js'
import { HullguardError } from '../telemetry/errors.js'
import { findPackageRoot } from '../telemetry/package-root.js'
import { askAgent } from './agent-client.js'

/** Loading the probes takes a second on a small machine; a loaded one gets 30. */
const START_MS = 30_000
const STOP_MS = 20_000
const POLL_MS = 50
/** The demo makes some hundred records. */
const RECORDS_MAX_COUNT = 100_000

/** It did not start; what it said on standard error has the reason. */
export class AgentFailed extends Error {
  constructor(
    readonly said: string,
    readonly exitCode: number,
  ) {
    super('the agent did not start')
  }
}

export interface DemoAgentOptions {
  dir: string
  policies: string
  dockerSocket: string
  runcRoot: string
}

export class DemoAgent {
  readonly #child: ChildProcess
  readonly #dataDir: string
  readonly #records: HullguardRecord[] = []
  readonly #stopFollowing = new AbortController()
  readonly #ended: Promise<void>
  #source: EventSource | undefined
  #following: Promise<void> = Promise.resolve()
  #said = ''

  private constructor(child: ChildProcess, dataDir: string) {
    this.#child = child
    this.#dataDir = dataDir
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk.toString()}`.slice(-4000)
    })
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve())
      child.once('close', () => resolve())
    })
  }

  /** Returns at once: ready() says when it watches, and stop() ends it at any time. */
  static spawn({ dir, policies, dockerSocket, runcRoot }: DemoAgentOptions): DemoAgent {
    const dataDir = join(dir, 'data')
    const args = [
      ...['--data-dir', dataDir, '--host-lock', join(dir, 'agent.lock')],
      ...['--policies', policies, '--mode', 'block', '--log-level', 'warn'],
      ...['--docker-socket', dockerSocket, '--runc-root', runcRoot],
    ]
    // The environment must not turn a private agent into another one.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HULLGUARD_')))
    const child = spawn(process.execPath, [join(findPackageRoot(), 'bin', 'hullguard'), 'run', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      env,
    })
    return new DemoAgent(child, dataDir)
  }

  /** Resolves when it watches and its collector stores. Throws AgentFailed. */
  async ready(signal: AbortSignal): Promise<void> {
    const end = Date.now() + START_MS
    while (!(await this.#isUp())) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new AgentFailed(this.#said.trim(), this.#child.exitCode ?? 4)
      if (Date.now() > end) throw new AgentFailed(`it was not ready after ${START_MS / 1000} s\n${this.#said}`, 4)
      await sleep(POLL_MS, undefined, { signal })
    }
    this.#source = openLocal(this.#dataDir)
    this.#following = this.#follow(this.#source)
  }

  /** The first record, stored already or to come, for which `accept` holds; undefined when none came in time. */
  async find(
    accept: (record: HullguardRecord) => boolean,
    withinMs: number,
    signal: AbortSignal,
  ): Promise<HullguardRecord | undefined> {
    const end = Date.now() + withinMs
    while (true) {
      const found = this.#records.find(accept)
      if (found !== undefined || Date.now() > end) return found
      await sleep(POLL_MS, undefined, { signal })
    }
  }

  /** Ends agent and collector; what was seen is stored then. Idempotent. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await this.#ended
    clearTimeout(timer)
    this.#stopFollowing.abort()
    await this.#following
    this.#source?.close()
    this.#source = undefined
  }

  /** All that is stored now, once. */
  async all(): Promise<HullguardRecord[]> {
    const source = openLocal(this.#dataDir)
    const records: HullguardRecord[] = []
    try {
      for await (const page of source.events({})) records.push(...page.records)
    } finally {
      source.close()
    }
    return records
  }

  async #isUp(): Promise<boolean> {
    try {
      const status = JSON.parse(await askAgent(this.#dataDir, 'GET', '/v1/status')) as AgentStatus
      return status.collector !== null
    } catch (error) {
      if (error instanceof HullguardError) return false // not yet
      throw error
    }
  }

  async #follow(source: EventSource): Promise<void> {
    for await (const { records } of source.follow({}, this.#stopFollowing.signal))
      if (this.#records.length < RECORDS_MAX_COUNT) this.#records.push(...records)
  }
}

/** Pid of the agent that holds the host's own lock, or undefined. */
export function otherAgent(lockFile: string): number | undefined {
  try {
    const pid = Number(readFileSync(lockFile, 'utf8').trim())
    if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('hullguard') ? pid : undefined
  } catch {
    return undefined // no such file: nobody watches
  }
}
