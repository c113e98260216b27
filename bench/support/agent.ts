/** A real agent with its collector (`hullguard run`) on a data directory of its own, and its counters. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentStatus } from '../../src/agent/control-server.js'
import { askAgent } from '../../src/cli/agent-client.js'
import { openLocal } from '../../src/collector/local-source.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { HullguardError } from '../../src/telemetry/errors.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'

/** Certificates that a machine adds to Node's are read at each start, which a service is not asked to do. */
const { NODE_EXTRA_CA_CERTS: _, ...serviceEnv } = process.env

const START_MS = 60_000
const STOP_MS = 60_000
const POLL_MS = 20

/** When the agent first answered, and what it knew then. */
export interface Watching {
  afterMs: number
  containersCount: number
}

export class BenchAgent {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #startedMs = performance.now()
  #watching: Watching | undefined
  #said = ''

  private constructor(
    child: ChildProcess,
    readonly dataDir: string,
    readonly metricsPort: number,
  ) {
    this.#child = child
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk.toString()}`.slice(-4000)
    })
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()))
  }

  /** Returns when it watches, the containers that run are known, and its collector stores. `dir` gets its data. */
  static async start(dir: string, args: readonly string[] = []): Promise<BenchAgent> {
    const dataDir = mkdtempSync(join(dir, 'data-'))
    const metricsPort = await freePort()
    const all = [
      ...['--data-dir', dataDir, '--host-lock', join(dir, 'agent.lock'), '--log-level', 'warn'],
      ...['--metrics', `127.0.0.1:${metricsPort}`, '--docker-socket', join(dir, 'none.sock'), '--no-standard', ...args],
    ]
    const child = spawn(process.execPath, [join(findPackageRoot(), 'bin', 'hullguard'), 'run', ...all], {
      env: serviceEnv,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    const agent = new BenchAgent(child, dataDir, metricsPort)
    try {
      await agent.#ready()
    } catch (error) {
      await agent.stop()
      throw error
    }
    return agent
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get watching(): Watching {
    if (this.#watching === undefined) throw new Error('the agent never answered')
    return this.#watching
  }

  /** A counter or gauge, summed over its labels. */
  async counter(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`)).text()
    const lines = text.split('\n').filter((line) => line.startsWith(`hullguard_${name}`) && /^\w+(\{.*\})? /.test(line))
    return lines
      .filter((line) => /^hullguard_(\w+)/.exec(line)?.[1] === name)
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  }

  /** What its collector has stored so far. */
  async records(): Promise<HullguardRecord[]> {
    const source = openLocal(this.dataDir)
    const records: HullguardRecord[] = []
    try {
      for await (const page of source.events({})) records.push(...page.records)
    } finally {
      source.close()
    }
    return records
  }

  /** Ends it and removes its data. Idempotent. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await this.#ended
    clearTimeout(timer)
    rmSync(this.dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }

  async #ready(): Promise<void> {
    const end = Date.now() + START_MS
    while (true) {
      const isEnded = this.#child.exitCode !== null || this.#child.signalCode !== null
      if (isEnded || Date.now() > end) throw new Error(`the agent did not start: ${this.#said}`)
      try {
        const status = JSON.parse(await askAgent(this.dataDir, 'GET', '/v1/status')) as AgentStatus
        this.#watching ??= { afterMs: performance.now() - this.#startedMs, containersCount: status.containers }
        if (status.collector !== null) return
      } catch (error) {
        if (!(error instanceof HullguardError)) throw error // else: not yet
      }
      await sleep(POLL_MS)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
