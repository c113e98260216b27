/**
 * What this host lets the agent see and stop, found by trying: each hook is attached and released again. Never throws for what
 * the host lacks; the report says it.
 */
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { Counters } from '../telemetry/counters.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { hasKernelBtf } from './load-error.js'
import type { Refusals } from './refusals.js'
import { type CostClass, RUNGS, type RungRow } from './rungs.js'
import { Sensor, type SensorOptions } from './sensor.js'

export interface EventReport {
  event: string
  /** The hooks in use, decision before result; empty when none could be attached. */
  rung: string
  deny: boolean
  kill: boolean
  cost: CostClass
  /** What the hooks in use cannot do, and when they are attached. */
  notes: readonly string[]
  /** Why no better ones are there: hooks that the kernel refuses, by its reason. */
  missing: readonly MissingHooks[]
}

export interface MissingHooks {
  hooks: readonly string[]
  reason: string
}

/** As `doctor --json` has it: all that is to be said in one text. */
export function eventJson({ notes, missing, ...event }: EventReport): object {
  const refused = missing.map(({ hooks, reason }) => `${hooks.join(', ')}: not to be had here: ${reason}`)
  return { ...event, note: [...notes, ...refused].join('; ') }
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
  /** What to do about the fault, or empty. */
  advice: string
  events: readonly EventReport[]
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

export const BLIND_SPOTS = [
  "io_uring: reads and writes, multishot accepts and receives, registered buffers and commands to drivers are no events; a file that is opened as one of the ring's own (direct descriptor) is told by the name that was asked for",
  '32-bit and x32 syscalls: seen and named as such; no allow list of syscalls covers them',
  'built-in applets of a shell (busybox ls, echo, …) run without an exec, so exec rules do not see them',
  'gVisor and Kata: the processes run on a kernel of their own and are not seen',
  'QUIC, DNS over HTTPS or TLS: the name is not seen, the address is',
  'encrypted client hello: the outer name is told, and that there was one; the real name is not seen',
  'STARTTLS, and requests after the first of a connection: their names are not looked for',
  'HTTP/2 without TLS, and HTTP requests with a first line that no standard has: the name is not seen, the address is',
  'raw and packet sockets, SCTP one-to-many: no connect hook sees them',
] as const

type SensorHierarchy = Pick<SensorOptions, 'hierarchyId' | 'useMemoryCss' | 'unifiedRoot'>

function openForTrial(hierarchy: SensorHierarchy): Sensor {
  return Sensor.open({ ...hierarchy, ringBytes: 1 << 20, counters: new Counters(), isCongested: () => false })
}

/** What this host can refuse. Throws HullguardError where the probes cannot be loaded. */
export function hostRefusals(hierarchy: SensorHierarchy): Refusals {
  const sensor = openForTrial(hierarchy)
  try {
    return sensor.refusals
  } finally {
    sensor.close()
  }
}

export function reportHost(hierarchy: SensorHierarchy): HostReport {
  const report = { fault: '', advice: '', events: [] as EventReport[], blindSpots: [] as string[] }
  try {
    const sensor = openForTrial(hierarchy)
    try {
      const events = new Set(RUNGS.map(({ event }) => event))
      for (const event of events) report.events.push(tryEvent(sensor, event))
      const ring = sensor.whyRingsAreUnseen
      if (ring !== '')
        report.blindSpots.push(`io_uring: what a ring does is not seen on this kernel, but for connects: ${ring}`)
      const uses = sensor.whyUsesAreUnseen
      if (uses !== '') report.blindSpots.push(`uses of capabilities are not seen on this kernel: ${uses}`)
    } finally {
      sensor.close()
    }
  } catch (error) {
    report.fault = error instanceof HullguardError ? `${error.message} [${error.code}]` : messageOf(error)
    if (error instanceof HullguardError) report.advice = error.action
  }
  return {
    kernel: release(),
    btf: hasKernelBtf(),
    lsm: readText('/sys/kernel/security/lsm').split(',').filter(Boolean),
    lockdown: /\[(\w+)\]/.exec(readText('/sys/kernel/security/lockdown'))?.[1] ?? 'unknown',
    missingCapabilities: missingCapabilities(),
    ...report,
    blindSpots: [...report.blindSpots, ...BLIND_SPOTS],
  }
}

function tryEvent(sensor: Sensor, event: string): EventReport {
  const rows = RUNGS.filter(
    (rung) => rung.event === event && !rung.insteadOf?.every((program) => !sensor.missing.has(program)),
  )
  const replaced = new Set(rows.flatMap(({ insteadOf }) => insteadOf ?? []))
  const inUse: RungRow[] = []
  const notes: string[] = []
  const hooksByReason = new Map<string, string[]>()
  for (const rung of rows) {
    const reason = tryRung(sensor, rung)
    if (reason === '' && replaced.has(rung.program)) continue // not without the others of its kind
    if (reason === '') {
      inUse.push(rung)
      for (const note of rung.note.split('; ')) if (note !== '' && !notes.includes(note)) notes.push(note)
    } else if (!rows.some(({ program }) => program === rung.alternative && !sensor.missing.has(program)))
      hooksByReason.set(reason, [...(hooksByReason.get(reason) ?? []), rung.hook])
  }
  return {
    event,
    rung: inUse.map(({ hook }) => hook).join(' + '),
    deny: inUse.some(({ deny }) => deny),
    kill: inUse.some(({ kill }) => kill),
    cost: inUse.map(({ cost }) => cost).reduce(dearer, 'none when unwatched'),
    notes,
    missing: [...hooksByReason].map(([reason, hooks]) => ({ hooks, reason })),
  }
}

/** Why not, or ''. */
function tryRung(sensor: Sensor, { program }: RungRow): string {
  const missing = sensor.missing.get(program)
  if (missing !== undefined) return missing
  try {
    sensor.tryAttach(program)
    return ''
  } catch (error) {
    return messageOf(error)
  }
}

const COSTS: readonly CostClass[] = [
  'none when unwatched',
  'one lookup',
  'every request of a ring',
  'every packet',
  'every syscall',
]

function dearer(a: CostClass, b: CostClass): CostClass {
  return COSTS.indexOf(a) >= COSTS.indexOf(b) ? a : b
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
