/** On what a result was measured: figures without it mean nothing. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { findCommand } from '../../test/support/process.js'

export interface Machine {
  /** Short hash; `-dirty` when files differ from it. */
  commit: string
  date: string
  cpu: string
  coresCount: number
  memoryGib: number
  kernel: string
  node: string
  /** Of the first core; `unknown` in most virtual machines. */
  governor: string
  /** Over 1, 5 and 15 minutes, at the start. */
  loadAverage: readonly number[]
  /** Agents of others that had their probes attached all the while; undefined: could not be told. */
  otherAgentsCount: number | undefined
}

export function machineFacts(): Machine {
  return {
    commit: commit(),
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    coresCount: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    governor: read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
    loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
    otherAgentsCount: otherAgents(),
  }
}

export function describeMachine(machine: Machine): string {
  const others =
    machine.otherAgentsCount === undefined
      ? ''
      : `\nother hullguard agents attached meanwhile: ${machine.otherAgentsCount}`
  return `hullguard ${machine.commit}, ${machine.date}
${machine.cpu}, ${machine.coresCount} cores, ${machine.memoryGib} GiB; governor ${machine.governor}; Linux ${machine.kernel}; Node ${machine.node}
load average at the start: ${machine.loadAverage.join(' ')}${others}`
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: findPackageRoot(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return `${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '-dirty'}`
  } catch {
    return 'unknown'
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}

function otherAgents(): number | undefined {
  const bpftool = findCommand('bpftool')
  if (bpftool === undefined || process.getuid?.() !== 0) return undefined
  try {
    const programs: unknown = JSON.parse(execFileSync(bpftool, ['--json', 'prog'], { encoding: 'utf8' }))
    return Array.isArray(programs)
      ? programs.filter((one: { name?: string }) => one.name === 'on_sendmsg6').length
      : undefined
  } catch {
    return undefined
  }
}
