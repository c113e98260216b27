/**
 * A real sensor for the bpf tests: loads the object, attaches every base hook, and keeps each event as a plain object with
 * all fields of its view. Other tests of this machine are seen too (a fresh cgroup is watched as pending): a test asks for
 * the events of cgroups that it made itself.
 */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sensorHierarchy } from '../../src/agent/host/sensor-hierarchy.js'
import { PolicySet } from '../../src/agent/rules/policies.js'
import { findHierarchy } from '../../src/container/cgroup-fs.js'
import { compileProgram } from '../../src/match/program.js'
import type { Profile, Program } from '../../src/match/types.js'
import { loadPolicies } from '../../src/policy/load.js'
import { type ContainerRef, HOST } from '../../src/record/model.js'
import { CircuitBreaker } from '../../src/respond/breaker.js'
import { KernelPolicy } from '../../src/respond/kernel-policy.js'
import { lowerEnds } from '../../src/respond/lower-end.js'
import { lowerPlaces } from '../../src/respond/lower-place.js'
import type { Accounts } from '../../src/respond/lower-said.js'
import { loadAddon } from '../../src/sensor/addon.js'
import { callRanges, type EventHandler, RING_HEADER_BYTES } from '../../src/sensor/batch.js'
import {
  CgroupState,
  type EvCall,
  type EvCgroup,
  type EvConnect,
  type EvExec,
  type EvExit,
  type EvFork,
  type EvHeader,
  type EvOom,
  EvPacket,
  type EvSocket,
  type EvSyscall,
  Kind,
  PACKET_MAX_BYTES,
  PACKET_MEDIUM_BYTES,
  PACKET_SMALL_BYTES,
  Want,
} from '../../src/sensor/generated/abi.js'
import type { Loss } from '../../src/sensor/kernel-counts.js'
import { readPossibleCpuCount } from '../../src/sensor/load.js'
import { Sensor } from '../../src/sensor/sensor.js'
import { Counters } from '../../src/telemetry/counters.js'
import { cgroupId, cgroupMounts, makeCgroup, removeCgroup, testCgroupPath } from './cgroup.js'

/** The values of a view's fields: what its getters give, without the halves of 64-bit ones. */
export type FieldsOf<View> = {
  [Key in keyof View as Key extends 'at' | 'bytes' | `${string}Low` | `${string}High`
    ? never
    : View[Key] extends number | bigint | Uint8Array
      ? Key
      : never]: View[Key] extends Uint8Array ? string : View[Key]
}

/** Strings are the bytes as Latin-1, so that invalid UTF-8 compares exactly. */
export type ExecFields = FieldsOf<EvExec> & { invoked: string; file: string; cwd: string; args: string; env: string }
export type CgroupFields = FieldsOf<EvCgroup> & { path: string }
export type SocketFields = FieldsOf<EvSocket>
/** The bytes as Latin-1. */
export type PacketFields = FieldsOf<EvPacket> & { data: string }
export type HeaderFields = FieldsOf<EvHeader>

/** The arrays stand in full; strings are bytes as Latin-1. */
export type CallFields = FieldsOf<EvCall> & {
  args: bigint[]
  facts: bigint[]
  path: string
  path2: string
  raw: string
  raw2: string
}

interface EventTypes {
  exec: ExecFields
  fork: FieldsOf<EvFork>
  exit: FieldsOf<EvExit>
  connect: FieldsOf<EvConnect>
  socket: SocketFields
  packet: PacketFields
  syscall: FieldsOf<EvSyscall>
  call: CallFields
  oom: FieldsOf<EvOom>
  cgroup: CgroupFields
}
type EventName = keyof EventTypes
export type AnyEvent = { [Name in EventName]: { name: Name; event: EventTypes[Name] } }[EventName]

export interface TestCgroup {
  path: string
  /** Its directory in the hierarchy that identifies containers. */
  dir: string
  id: bigint
  level: number
  parentId: bigint
}

export interface WatchOptions {
  state?: number
  want?: number
  profile?: number
  root?: TestCgroup
  acts?: bigint
  actsAggregated?: bigint
}

export const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

/** Getters of the view and its bases. */
export function fieldNamesOf(view: object): string[] {
  const names: string[] = []
  for (let type = Object.getPrototypeOf(view); type !== Object.prototype; type = Object.getPrototypeOf(type))
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(type)))
      if (property.get !== undefined && !/(Low|High)$/.test(name)) names.push(name)
  return names
}

export function fieldsOf<View extends object>(view: View): FieldsOf<View> {
  const values = fieldNamesOf(view).map((name) => {
    const value: unknown = Reflect.get(view, name)
    return [name, value instanceof Uint8Array ? latin1(value) : value]
  })
  return Object.fromEntries(values) as FieldsOf<View>
}

/** Keeps every event; sums the bytes that it was handed. */
class Collector implements EventHandler {
  readonly events: AnyEvent[] = []
  readonly undecoded: string[] = []
  handledBytes = 0
  onNumber: (event: EvHeader) => void = () => {}

  sequence(event: EvHeader): void {
    this.handledBytes += (RING_HEADER_BYTES + roomBytes(event) + 7) & ~7
    this.onNumber(event)
  }
  exec(event: EvExec): void {
    let at = event.at + (event.constructor as typeof EvExec).SIZE_BYTES
    const next = (sizeBytes: number) => {
      at += sizeBytes
      return latin1(event.bytes.subarray(at - sizeBytes, at))
    }
    const strings = {
      invoked: next(event.invokedBytes),
      file: next(event.fileBytes),
      cwd: next(event.cwdBytes),
      args: next(event.argsBytes),
      env: next(event.envBytes),
    }
    this.events.push({ name: 'exec', event: { ...fieldsOf(event), ...strings } })
  }
  fork(event: EvFork): void {
    this.events.push({ name: 'fork', event: fieldsOf(event) })
  }
  exit(event: EvExit): void {
    this.events.push({ name: 'exit', event: fieldsOf(event) })
  }
  connect(event: EvConnect): void {
    this.events.push({ name: 'connect', event: fieldsOf(event) })
  }
  socket(event: EvSocket): void {
    this.events.push({ name: 'socket', event: fieldsOf(event) })
  }
  packet(event: EvPacket): void {
    const start = event.at + (event.constructor as typeof EvPacket).SIZE_BYTES
    const data = latin1(event.bytes.subarray(start, start + event.dataBytes))
    this.events.push({ name: 'packet', event: { ...fieldsOf(event), data } })
  }
  syscall(event: EvSyscall): void {
    this.events.push({ name: 'syscall', event: fieldsOf(event) })
  }
  call(event: EvCall): void {
    const { pathStart, path2Start, rawStart, raw2Start, raw2End } = callRanges(event)
    const text = (start: number, end: number) => latin1(event.bytes.subarray(start, end))
    const rest = {
      args: [0, 1, 2, 3, 4, 5].map((index) => event.args(index)),
      facts: [0, 1, 2, 3].map((index) => event.facts(index)),
      path: text(pathStart, path2Start),
      path2: text(path2Start, rawStart),
      raw: text(rawStart, raw2Start),
      raw2: text(raw2Start, raw2End),
    }
    this.events.push({ name: 'call', event: { ...fieldsOf(event), ...rest } })
  }
  oom(event: EvOom): void {
    this.events.push({ name: 'oom', event: fieldsOf(event) })
  }
  cgroup(event: EvCgroup): void {
    const start = event.at + (event.constructor as typeof EvCgroup).SIZE_BYTES
    const path = latin1(event.bytes.subarray(start, start + event.pathBytes))
    this.events.push({ name: 'cgroup', event: { ...fieldsOf(event), path } })
  }
  undecodable(_event: EvHeader, reason: string): void {
    this.undecoded.push(reason)
  }
}

/** What an event takes of the ring: a packet's has one of three sizes, whatever it holds. */
function roomBytes({ kind, sizeBytes }: EvHeader): number {
  if (kind !== Kind.PACKET) return sizeBytes
  const data = sizeBytes - EvPacket.SIZE_BYTES
  const rooms = [PACKET_SMALL_BYTES, PACKET_MEDIUM_BYTES, PACKET_MAX_BYTES]
  return EvPacket.SIZE_BYTES + (rooms.find((room) => data <= room) ?? 0)
}

/** Only a failure lasts so long. */
const SETTLED_WITHIN_MS = 120_000
/** Large enough that no test's events fill it while the machine is busy. */
const RING_BYTES = 8 << 20

export class TestSensor {
  readonly counters = new Counters()
  readonly sensor: Sensor
  readonly cpus = readPossibleCpuCount()
  readonly #collector = new Collector()
  readonly #made: TestCgroup[] = []
  #isCongested = false

  constructor(options: { ringBytes?: number; batchDelayMs?: number } = {}) {
    this.sensor = Sensor.open({
      ...sensorHierarchy(findHierarchy()),
      ...options,
      ringBytes: options.ringBytes ?? RING_BYTES,
      counters: this.counters,
      isCongested: () => this.#isCongested,
    })
    this.sensor.start(this.#collector, () => {})
  }

  /** Events, in the order in which the reader gave them. */
  get all(): readonly AnyEvent[] {
    return this.#collector.events
  }

  /** While set, slabs are kept back: events wait in the ring. */
  set isCongested(isCongested: boolean) {
    this.#isCongested = isCongested
  }

  set onNumber(see: (event: EvHeader) => void) {
    this.#collector.onNumber = see
  }

  /** Makes a cgroup and says what it is; with `isMemory` in the memory controller's hierarchy too. */
  makeCgroup(options: { path?: string; isMemory?: boolean } = {}): TestCgroup {
    const path = options.path ?? testCgroupPath()
    const dir = makeCgroup(path)
    if (options.isMemory === true) mkdirSync(join(cgroupMounts().memory, path), { recursive: true })
    const parent = path.slice(0, path.lastIndexOf('/'))
    const cgroup = { path, dir, id: cgroupId(path), level: path.split('/').length - 1, parentId: cgroupId(parent) }
    this.#made.push(cgroup)
    return cgroup
  }

  /** A cgroup that is a confirmed container with this profile (0: no rules). */
  makeContainer(options: WatchOptions & { isMemory?: boolean } = {}): TestCgroup {
    const cgroup = this.makeCgroup(options)
    this.watch(cgroup, options)
    return cgroup
  }

  watch(cgroup: TestCgroup, options: WatchOptions = {}): void {
    const root = options.root ?? cgroup
    this.sensor.addContainer(root.id)
    this.sensor.setCgroup(cgroup.id, {
      rootId: root.id,
      profile: [options.profile ?? 0, options.profile ?? 0],
      rootLevel: root.level,
      state: options.state ?? CgroupState.CONTAINER,
      want: options.want ?? Want.PROCESS | Want.CONNECT,
      acts: options.acts ?? 0n,
      actsAggregated: options.actsAggregated ?? 0n,
    })
  }

  /** Until every event of what has happened so far is in `all`. */
  async settle(): Promise<void> {
    const deadline = Date.now() + SETTLED_WITHIN_MS
    for (;;) {
      this.sensor.nudge()
      await sleep(2)
      const { waitingBytes, bytesCount } = this.sensor.stats()
      if (waitingBytes === 0 && bytesCount === this.#collector.handledBytes) break
      if (Date.now() > deadline) throw new Error(`${waitingBytes} bytes still wait in the ring`)
    }
    assert.deepEqual(this.#collector.undecoded, [])
  }

  /** Events of one kind in this cgroup (their home), after settling. */
  async eventsOf<Name extends EventName>(cgroup: TestCgroup, name: Name): Promise<EventTypes[Name][]> {
    await this.settle()
    return this.all.flatMap((entry) =>
      entry.name === name && entry.event.cgroupId === cgroup.id ? [entry.event as EventTypes[Name]] : [],
    )
  }

  /** The only event of its kind there. */
  async onlyEventOf<Name extends EventName>(cgroup: TestCgroup, name: Name): Promise<EventTypes[Name]> {
    const [event, ...others] = await this.eventsOf(cgroup, name)
    assert.equal(others.length, 0, `one ${name} event expected, ${others.length + 1} came`)
    assert.ok(event, `no ${name} event came`)
    return event
  }

  /** How often something of this cgroup was lost or cut in the kernel, by cause, kind and profile. */
  lossesOf({ id }: Pick<TestCgroup, 'id'>): Omit<Loss, 'cgroupId'>[] {
    return this.sensor
      .losses()
      .flatMap(({ cgroupId: owner, ...loss }) => (owner === id ? [loss] : []))
      .sort((a, b) => a.cause - b.cause || a.kind - b.kind)
  }

  /** Events of this kind that the kernel counted instead of reporting them, in all cgroups. */
  repeatsOf(kind: string): number {
    this.sensor.publishCounters()
    return this.counters.get('sensor_kernel_drops_total', { cause: 'repeat', kind })
  }

  async close(): Promise<void> {
    this.sensor.close()
    for (const cgroup of this.#made.reverse()) await removeCgroup(cgroup.path)
  }
}

/** The values that no test can foretell, each checked for what must hold of it. */
export function unforeseen(event: HeaderFields, sinceBootNs: bigint) {
  const { cpu, cpuSeq, bootNs, startNs } = event
  assert.ok(cpu < readPossibleCpuCount(), `cpu ${cpu}`)
  assert.ok(cpuSeq > 0n)
  assert.ok(bootNs >= sinceBootNs && bootNs <= loadAddon().bootClockNs(), `boot time ${bootNs} since ${sinceBootNs}`)
  assert.ok(startNs <= bootNs && startNs > 0n)
  return { cpu, cpuSeq, bootNs, startNs }
}

export interface TestPolicy {
  program: Program
  profile: Profile
  kernel: KernelPolicy
  /** That its rules have to see. */
  acts: bigint
}

/** Compiles the policy text and puts it into the kernel's maps; `limitCount` is the breaker's. */
export function installPolicy(sensor: TestSensor, text: string, limitCount = 5, accounts?: Accounts): TestPolicy {
  const loaded = loadPolicies([{ file: 'test.yaml', bytes: Buffer.from(text) }])
  assert.deepEqual(
    loaded.diagnostics.filter(({ severity }) => severity === 'error'),
    [],
  )
  const program = compileProgram(loaded.policies)
  // A clock that stands: however slow the machine, all acts of a test count together.
  const breaker = new CircuitBreaker({ limitCount, windowMs: 60_000, nowMs: () => 0 }, () => {})
  const ref: ContainerRef = { ...HOST, state: 'container', id: 'test', name: 'test', image: 'demo/test' }
  const profile = program.profileFor(ref)
  const kernel = new KernelPolicy(sensor.sensor, breaker, accounts)
  const set = new PolicySet(1, program)
  const [places, ends] = [lowerPlaces(set.placesFor(ref)), lowerEnds(set.endsFor(ref))]
  kernel.install(program, profile, { places, ends, users: set.usersFor(ref) })
  return { program, profile, kernel, acts: set.actsFor(ref) }
}

/** The directory in the memory controller's hierarchy of a cgroup made with `isMemory`. */
export function memoryDir(cgroup: TestCgroup): string {
  return join(cgroupMounts().memory, cgroup.path)
}
