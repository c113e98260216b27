/**
 * hullguard demo (`npm run demo`): a disposable container under a private agent in block mode. It behaves, then misbehaves;
 * every act is printed with what the container went through beside what hullguard recorded. Exit: 0 all three bad acts were
 * stopped, 1 one was not, 3 it cannot run here. What it makes is removed on every way out, Ctrl-C included.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HullguardRecord } from '../record/model.js'
import { loadAddon } from '../sensor/addon.js'
import { objectPath } from '../sensor/load.js'
import { hasKernelBtf } from '../sensor/load-error.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { findPackageRoot } from '../telemetry/package-root.js'
import type { CommandSpec } from './command.js'
import { ACTS, type Act, tell } from './demo-acts.js'
import { AgentFailed, DemoAgent, otherAgent } from './demo-agent.js'
import { type DemoContainer, findProgram, isDockerThere, runcRoot, startContainer } from './demo-container.js'
import { openScreen, type Screen } from './demo-screen.js'

const EXIT_FOUND = 1
const DEFAULT_DOCKER_SOCKET = '/run/docker.sock'
/** A container is identified within 2 s, and a record is stored within a second; a loaded host gets more. */
const IDENTIFIED_MS = 20_000
/** Memory rules look once a second. */
const TOLD_MS = 15_000

/** What has to be undone, last first. */
type Undo = () => Promise<unknown> | unknown

export const demoCommand: CommandSpec = {
  name: 'demo',
  summary: 'show a disposable container being watched and stopped',
  options: ['docker-socket', 'host-lock', 'config'],
  isHidden: true,
  async run(settings) {
    const screen = openScreen(process.stdout)
    const dockerSocket = settings.text('docker-socket') ?? DEFAULT_DOCKER_SOCKET
    const missing = await whatIsMissing(dockerSocket)
    if (missing.length > 0)
      throw new HullguardError('demo_needs', `the demonstration cannot run here:\n  ${missing.join('\n  ')}`)
    const stop = stopSignal()
    const undo: Undo[] = []
    try {
      return await demonstrate(screen, {
        dockerSocket,
        lockFile: settings.required('host-lock'),
        undo,
        signal: stop.signal,
      })
    } catch (error) {
      if (stop.exitCode !== undefined) {
        screen.line('\ninterrupted')
        return stop.exitCode
      }
      if (!(error instanceof AgentFailed)) throw error
      process.stderr.write(`the demo's agent cannot watch this host:\n${error.said}\n`)
      return error.exitCode
    } finally {
      await undoAll(undo)
      stop.release()
    }
  },
}

interface Stage {
  dockerSocket: string
  lockFile: string
  undo: Undo[]
  signal: AbortSignal
}

async function demonstrate(screen: Screen, { dockerSocket, lockFile, undo, signal }: Stage): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-demo-'))
  undo.push(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  const policies = join(findPackageRoot(), 'policies', 'demo.yaml')
  screen.line(`hullguard demo: its own agent and collector in block mode, policy ${policies}`)
  const other = otherAgent(lockFile)
  if (other !== undefined)
    screen.line(`An agent watches this host already (pid ${other}): it stays as it is, the demo's runs beside it.`)
  const agent = DemoAgent.spawn({ dir, policies, dockerSocket, runcRoot: runcRoot(dir) })
  undo.push(() => agent.stop())
  await agent.ready(signal)
  signal.throwIfAborted()
  const name = `hullguard-demo-${process.pid}`
  const container = await startContainer({ name, dir, dockerSocket })
  undo.push(() => container.remove())
  screen.line(`Container ${name} (${container.engine}): a shell in a busybox image, network: its own loopback only`)
  const start = await agent.find((record) => isStartOf(record, name), IDENTIFIED_MS, signal)
  if (start === undefined) {
    screen.verdict(false, `the container was not identified within ${IDENTIFIED_MS / 1000} s`)
    return EXIT_FOUND
  }
  const stopped = await perform(screen, agent, container, signal)
  await container.remove()
  await agent.stop()
  return summarise(screen, stopped, await agent.all(), name)
}

/** The titles of what was stopped. */
async function perform(
  screen: Screen,
  agent: DemoAgent,
  container: DemoContainer,
  signal: AbortSignal,
): Promise<Set<string>> {
  const stopped = new Set<string>()
  let heading = ''
  screen.columns()
  for (const act of ACTS) {
    const next =
      act.expected === 'stopped' ? 'It misbehaves' : act.expected === 'alerted' ? 'It is curious' : 'It behaves'
    if (next !== heading) screen.heading(next)
    heading = next
    const experience = await aborting(container.act(act.word), signal)
    const record = await agent.find((one) => one.container.name === container.name && act.isTold(one), TOLD_MS, signal)
    const isGood = record !== undefined && act.isAsExpected(experience)
    const told = record === undefined ? 'nothing recorded' : tell(record)
    screen.act(isGood ? act.expected : 'FAILED', act.title, act.fared(experience), told)
    if (isGood && act.expected === 'stopped') stopped.add(act.title)
  }
  return stopped
}

function summarise(
  screen: Screen,
  stopped: ReadonlySet<string>,
  all: readonly HullguardRecord[],
  name: string,
): number {
  const own = all.filter(({ container }) => container.name === name)
  const count = (...kinds: HullguardRecord['kind'][]) => own.filter(({ kind }) => kinds.includes(kind)).length
  const lost = all.reduce((sum, { gap }) => sum + (gap?.count ?? 0n), 0n)
  const seen = count('exec', 'fork', 'exit', 'connect', 'syscall', 'oom')
  screen.heading('Summary')
  screen.line(`  ${seen} events of the container recorded, ${count('alert')} alerts, ${lost} events lost`)
  const wanted = ACTS.filter(({ expected }) => expected === 'stopped')
  const failed = wanted.filter(({ title }: Act) => !stopped.has(title))
  if (failed.length === 0) {
    screen.verdict(true, `All ${wanted.length} bad acts were stopped.`)
    return 0
  }
  screen.verdict(false, `Not stopped: ${failed.map(({ title }) => title).join(', ')}.`)
  return EXIT_FOUND
}

function isStartOf(record: HullguardRecord, name: string): boolean {
  return record.kind === 'container' && record.container.name === name && record.containerChange?.change !== 'stop'
}

/** Everything that is missing at once, so that nobody has to try again and again. */
async function whatIsMissing(dockerSocket: string): Promise<string[]> {
  const missing: string[] = []
  if (process.getuid?.() !== 0) missing.push('root: only root may load BPF programs and make containers (try sudo)')
  if (!hasKernelBtf()) missing.push('BTF: the kernel has no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF=y)')
  if (!existsSync(objectPath())) missing.push(`the BPF programs: ${objectPath()} is not built (npm run setup)`)
  try {
    loadAddon()
  } catch (error) {
    missing.push(`the addon: ${messageOf(error)} (npm run setup)`)
  }
  if (findProgram('busybox') === undefined)
    missing.push('busybox: the container runs it (apt-get install busybox-static)')
  if (findProgram('runc') === undefined && !(await isDockerThere(dockerSocket)))
    missing.push('a container engine: runc is not installed and no Docker daemon answers (apt-get install runc)')
  return missing
}

/** SIGINT and SIGTERM abort; more of them change nothing, because what follows is bounded. */
function stopSignal(): { signal: AbortSignal; exitCode: number | undefined; release(): void } {
  const controller = new AbortController()
  const state = { signal: controller.signal, exitCode: undefined as number | undefined, release }
  const onInterrupt = () => stop(130)
  const onTerminate = () => stop(143)
  function stop(exitCode: number): void {
    state.exitCode ??= exitCode
    controller.abort()
  }
  function release(): void {
    process.removeListener('SIGINT', onInterrupt)
    process.removeListener('SIGTERM', onTerminate)
  }
  process.on('SIGINT', onInterrupt)
  process.on('SIGTERM', onTerminate)
  return state
}

/** The promise, unless the signal comes first. */
function aborting<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => {}) // when the signal came first, its failure is part of the clean-up
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

async function undoAll(undo: readonly Undo[]): Promise<void> {
  for (const step of [...undo].reverse()) {
    try {
      await step()
    } catch (error) {
      process.stderr.write(`hullguard demo: clean-up: ${messageOf(error)}\n`)
    }
  }
}
