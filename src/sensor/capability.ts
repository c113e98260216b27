/**
 * What this host lets the agent see and stop, found by trying: each hook is attached and released again. Never throws for what
 * the host lacks; the report says it.
 */
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { Counters } from '../telemetry/counters.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { BASE_PROGRAMS, hasKernelBtf, Sensor, type SensorOptions } from './sensor.js'

export interface HookReport {
  event: string
  /** The hook in use, or empty when none could be attached. */
  rung: string
  deny: boolean
  kill: boolean
  cost: 'none when unwatched' | 'one lookup' | 'every syscall'
  note: string
}

export interface HostReport {
  kernel: string
  btf: boolean
  lsm: readonly string[]
  lockdown: string
  /** Of those that the agent needs. */
  missingCapabilities: readonly string[]
  /** Why nothing can be watched at all, or empty. */
  fault: string
  hooks: readonly HookReport[]
  blindSpots: readonly string[]
}

/** Numbers of include/uapi/linux/capability.h. */
const NEEDED_CAPABILITIES: Readonly<Record<string, number>> = {
  CAP_KILL: 5,
  CAP_NET_ADMIN: 12,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
}

const BLIND_SPOTS = [
  'built-in applets of a shell (busybox ls, echo, …) run without an exec, so exec rules do not see them',
  'gVisor and Kata: the processes run on a kernel of their own and are not seen',
  'raw and packet sockets, SCTP one-to-many: no connect hook sees them',
] as const

export function reportHost(hierarchy: Pick<SensorOptions, 'hierarchyId' | 'useMemoryCss' | 'unifiedRoot'>): HostReport {
  const report = { fault: '', hooks: [] as HookReport[] }
  try {
    const sensor = Sensor.open({ ...hierarchy, ringBytes: 1 << 20, counters: new Counters(), isCongested: () => false })
    try {
      for (const program of BASE_PROGRAMS) report.hooks.push(tryHook(sensor, program))
      report.hooks.push(tryHook(sensor, { program: 'on_sys_enter', hook: 'tp_btf/sys_enter', events: 'syscall' }))
    } finally {
      sensor.close()
    }
  } catch (error) {
    report.fault = error instanceof HullguardError ? `${error.message} [${error.code}]` : messageOf(error)
  }
  return {
    kernel: release(),
    btf: hasKernelBtf(),
    lsm: readText('/sys/kernel/security/lsm').split(',').filter(Boolean),
    lockdown: /\[(\w+)\]/.exec(readText('/sys/kernel/security/lockdown'))?.[1] ?? 'unknown',
    missingCapabilities: missingCapabilities(),
    ...report,
    blindSpots: BLIND_SPOTS,
  }
}

function tryHook(sensor: Sensor, { program, hook, events }: (typeof BASE_PROGRAMS)[number]): HookReport {
  const isNetwork = hook.startsWith('cgroup/')
  const isExec = program === 'on_exec'
  const isSyscall = program === 'on_sys_enter'
  let note = ''
  try {
    sensor.tryAttach(program, hook)
  } catch (error) {
    note = messageOf(error)
  }
  const works = note === ''
  if (works && isNetwork) note = 'kill: refused here, then ended through a pidfd'
  if (works && isSyscall) note = 'attached only while a policy or --activity syscall asks'
  return {
    event: events,
    rung: works ? hook : '',
    deny: works && isNetwork,
    kill: works && (isNetwork || isExec || isSyscall),
    cost: isSyscall ? 'every syscall' : isNetwork ? 'one lookup' : 'none when unwatched',
    note,
  }
}

function missingCapabilities(): string[] {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readText('/proc/self/status'))?.[1]
  const mask = BigInt(`0x${effective ?? '0'}`)
  return Object.entries(NEEDED_CAPABILITIES).flatMap(([name, bit]) => ((mask >> BigInt(bit)) & 1n ? [] : [name]))
}

/** Empty when it cannot be read (securityfs is not mounted, …). */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}
