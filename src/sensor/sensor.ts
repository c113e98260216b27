/**
 * The kernel side of one host as the agent sees it: loads and attaches the probes, hands batches of events to a handler,
 * reads iterators, and writes what the kernel should know (cgroups, control). Fails closed at open: either every base hook is
 * attached or `open` throws with the hook's name and the kernel's reason, and nothing stays attached.
 */
import type { Counters } from '../telemetry/counters.js'
import { isNativeError, type NativeProgram, type NativeSensor, type NativeSensorStats } from './addon.js'
import { Attachments, type HookChange } from './attachments.js'
import { BatchWalker, type EventHandler } from './batch.js'
import { areOpensByFunction, callsAtEnd, hooksOfActs, recipeEntries } from './call-recipes.js'
import {
  AtEnd,
  encodeMapCallsAtEnd,
  encodeMapCgroup,
  encodeMapContainer,
  encodeMapControl,
  type MapCgroup,
  type MapControl,
} from './generated/abi.js'
import { decodeMemory, decodeTasks, type MemoryReading, type TaskSnapshot } from './iterators.js'
import { KernelCounts, type Loss } from './kernel-counts.js'
import { CRITICAL_RING, type Loaded, type LoadOptions, loadObject, RING, readPossibleCpuCount } from './load.js'
import { type Refusals, refusalsOf } from './refusals.js'
import { hookOf, isNetworkHook, NAME_PROGRAMS } from './rungs.js'

/** Slabs in flight between the reader and JavaScript: 2 MiB, a quarter of a second at 100,000 events/s of 80 bytes. */
const SLAB_BYTES = 256 * 1024
const SLAB_COUNT = 8
/** A wake-up costs as much as many events. What user space has to act on, and a ring that fills, do not wait, the end of a killed process but little. */
const BATCH_DELAY_MS = 100
/** How often a congested downstream is asked again. */
const CONGESTION_POLL_MS = 10
const BPF_NOEXIST = 1
export interface SensorOptions extends LoadOptions {
  /** Root of a unified hierarchy, for the network hooks; undefined: there is none, and connects go unseen. */
  unifiedRoot: string | undefined
  /** How long the reader waits for company after the first event in an empty ring; urgent events do not wait, the end of a killed process 5 ms. */
  batchDelayMs?: number
  counters: Counters
  /** Downstream is behind: slabs are kept back, so events wait in the ring. */
  isCongested: () => boolean
}

/** Without `acts`, none are reported. */
export type CgroupSettings = Omit<MapCgroup, 'acts' | 'actsAggregated'> &
  Partial<Pick<MapCgroup, 'acts' | 'actsAggregated'>>

/** Masks of actBit(). */
export interface ActSettings {
  wanted: bigint
  host?: bigint
  hostAggregated?: bigint
  pending?: bigint
}

const EEXIST = 17

export class Sensor {
  /** Optional programs that this kernel refused, with the reason. */
  readonly missing: Loaded['missing']
  readonly #native: NativeSensor
  readonly #hooks: Attachments
  readonly #options: SensorOptions
  readonly #pool = new ArrayBuffer(SLAB_BYTES * SLAB_COUNT)
  readonly #walker = new BatchWalker(this.#pool)
  readonly #counts: KernelCounts
  #control: MapControl = {
    version: 0,
    wantHost: 0,
    agentPid: process.pid,
    blocking: 0,
    round: 0,
    wantPending: 0,
    actsHost: 0n,
    actsHostAggregated: 0n,
    actsPending: 0n,
  }
  /** What `calls_at_end` says of acts. */
  #callsAtEnd: readonly bigint[] = callsAtEnd([])
  /** Handled slabs that are kept back while downstream is behind. */
  readonly #kept: number[] = []
  #handledBytes = 0
  #isClosed = false
  #keptTimer: NodeJS.Timeout | undefined

  private constructor({ native, missing }: Loaded, options: SensorOptions) {
    this.#native = native
    this.missing = missing
    this.#hooks = new Attachments(native, missing, options.unifiedRoot)
    this.#options = options
    options.counters.define('sensor_events_total', 'counter', 'Events decoded from the ring')
    options.counters.define('sensor_undecodable_total', 'counter', 'Ring records that did not decode')
    this.#counts = new KernelCounts(native, options.counters, readPossibleCpuCount())
    options.counters.define('sensor_ring_waiting_bytes', 'gauge', 'Bytes that wait in the ring')
    options.counters.define('sensor_slab_waits_total', 'counter', 'Times the reader waited for a free slab')
    options.counters.define('sensor_wakeups_total', 'counter', 'Wake-ups of the ring reader')
  }

  /** Of an object that was loaded with these options; nothing is attached yet. Throws what loadObject() throws. */
  static open(options: SensorOptions, loaded = loadObject(options)): Sensor {
    return new Sensor(loaded, options)
  }

  /** Starts the reader, then attaches every base hook; on a failure detaches what was attached and throws. */
  start(handler: EventHandler, onBatchDone: () => void): void {
    this.#writeControl()
    const { batchDelayMs = BATCH_DELAY_MS } = this.#options
    this.#native.start(RING, CRITICAL_RING, this.#pool, SLAB_BYTES, batchDelayMs, (slab, sizeBytes) => {
      try {
        const count = this.#walker.walkRing(slab * SLAB_BYTES, sizeBytes, handler)
        this.#options.counters.add('sensor_events_total', count)
      } finally {
        this.#kept.push(slab)
        this.#handledBytes += sizeBytes
      }
      this.#releaseKept()
      onBatchDone()
    })
    try {
      this.#hooks.attachBase()
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Attaches one hook, for finding out whether this host has it. Throws HullguardError; close() releases it. */
  tryAttach(program: string): void {
    this.#hooks.attach(program)
  }

  /** Attaches the hooks on demand that a new set of rules needs, all or none (then it throws and the old set's stay). */
  prepareHooks(wanted: ReadonlySet<string>): HookChange {
    return this.#hooks.prepare(wanted)
  }

  get attachedPrograms(): readonly string[] {
    return this.#hooks.attached
  }

  /** Is the program loaded, and is there a place to attach it at? */
  hasHook(program: string): boolean {
    if (this.missing.has(program)) return false
    return this.#options.unifiedRoot !== undefined || !isNetworkHook(hookOf(program))
  }

  /** The programs that have to be attached for a mask of acts. */
  hooksOfActs(acts: bigint): string[] {
    return hooksOfActs(acts, (program) => this.hasHook(program))
  }

  /** What can be refused here. */
  get refusals(): Refusals {
    return refusalsOf((program) => this.hasHook(program))
  }

  /** Can names in DNS, TLS and HTTP be seen here? Why not, or ''. */
  get whyNoNames(): string {
    if (this.#options.unifiedRoot === undefined) return 'no unified cgroup hierarchy is mounted'
    return NAME_PROGRAMS.map((program) => this.missing.get(program)).find((reason) => reason !== undefined) ?? ''
  }

  /** '' when acts of an io_uring are seen. */
  get whyRingsAreUnseen(): string {
    const submits = ['on_ring_submit_req', 'on_ring_submit_sqe'].map((program) => this.missing.get(program) ?? '')
    return (submits.includes('') ? '' : (submits[0] ?? '')) || (this.missing.get('on_ring_complete') ?? '')
  }

  /** '' when uses of capabilities are seen. */
  get whyUsesAreUnseen(): string {
    const [used, asked] = ['on_capability_used', 'on_capability_asked'].map(
      (program) => this.missing.get(program) ?? '',
    )
    return used === '' || asked === '' ? '' : (used ?? '')
  }

  /**
   * The acts that are reported: `wanted` of any container (each says in its entry which of them), and those of the host and
   * of cgroups that are not decided yet. Hooks are attached for all of them, or it throws and everything is as before; those that are
   * needed no longer stay until `prepareHooks` lets them go.
   */
  setActs(acts: ActSettings): void {
    const { wanted, host = 0n, hostAggregated = 0n, pending = 0n } = acts
    const all = wanted | host | pending
    const change = this.#hooks.prepare(new Set([...this.#hooks.onDemand, ...this.hooksOfActs(all)]))
    const entries = [
      ...recipeEntries(all, { areOpensByFunction: areOpensByFunction((program) => this.hasHook(program)) }),
    ]
    const before = this.#callsAtEnd
    const after = callsAtEnd(entries)
    try {
      // looked at before it is said what of them, and until nothing is
      this.#writeCallsAtEnd(before.map((calls, word) => calls | (after[word] ?? 0n)))
      for (const [index, value] of entries) this.#native.update('recipes', encodeU32(index), value)
      this.#writeCallsAtEnd(after)
    } catch (error) {
      change.undo()
      throw error
    }
    change.commit()
    this.#control = { ...this.#control, actsHost: host, actsHostAggregated: hostAggregated, actsPending: pending }
    this.#writeControl()
  }

  #writeCallsAtEnd(calls: readonly bigint[]): void {
    this.#native.update('calls_at_end', encodeU32(AtEnd.ACTS), encodeMapCallsAtEnd({ calls }))
    this.#callsAtEnd = calls
  }

  /** The program in force, and whether the kernel may act: one write. */
  setControl(change: Partial<Pick<MapControl, 'version' | 'wantHost' | 'wantPending' | 'blocking'>>): void {
    this.#control = { ...this.#control, ...change }
    this.#writeControl()
  }

  setCgroup(id: bigint, value: CgroupSettings): void {
    this.#native.update('cgroups', encodeU64(id), encodeMapCgroup({ acts: 0n, actsAggregated: 0n, ...value }))
  }

  /**
   * Makes the kernel's own record of a container that was there before the probes; never over what the kernel wrote. True
   * when it was new: then its processes have no kernel state yet either, and readTasks() gives it to them.
   */
  addContainer(rootId: bigint): boolean {
    const value = encodeMapContainer({ acted: 0n, rootDentry: 0n, mntNs: 0, profile: 0 })
    try {
      this.#native.update('containers', encodeU64(rootId), value, BPF_NOEXIST)
      return true
    } catch (error) {
      if (isNativeError(error) && error.errno === EEXIST) return false
      throw error
    }
  }

  /** The cgroup is the host's: its tasks are not watched. */
  removeCgroup(id: bigint): void {
    this.#native.delete('cgroups', encodeU64(id))
    this.#native.delete('containers', encodeU64(id))
  }

  update(map: string, key: Uint8Array, value: Uint8Array): void {
    this.#native.update(map, key, value)
  }

  delete(map: string, key: Uint8Array): boolean {
    return this.#native.delete(map, key)
  }

  lookup(map: string, key: Uint8Array, value: Uint8Array): boolean {
    return this.#native.lookup(map, key, value)
  }

  keys(map: string): Uint8Array {
    return this.#native.keys(map)
  }

  /** The processes that exist now; also gives those in known cgroups their kernel state, never over newer state. */
  readTasks(): TaskSnapshot[] {
    return decodeTasks(this.#native.readIterator('on_task'))
  }

  /** TCP sockets of known processes that were there before the probes get their owner. After readTasks(). */
  adoptSockets(): void {
    this.#native.readIterator('on_socket')
  }

  /** One reading per confirmed container that has a process. */
  readMemory(): MemoryReading[] {
    this.#control = { ...this.#control, round: (this.#control.round + 1) >>> 0 }
    this.#writeControl()
    return decodeMemory(this.#native.readIterator('on_memory'))
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Brings the kernel's drop counts and the reader's figures into the counters: some hundred system calls. */
  publishCounters(): void {
    const { counters } = this.#options
    this.#counts.publish()
    const stats = this.stats()
    counters.set('sensor_ring_waiting_bytes', stats.waitingBytes)
    counters.set('sensor_slab_waits_total', stats.waitsForSlabCount)
    counters.set('sensor_wakeups_total', stats.wakeupsCount)
  }

  /** Whose events were lost or cut, as far as that was known when it happened (1,024 owners and causes; the oldest go). */
  losses(): Loss[] {
    return this.#counts.losses()
  }

  /** What the kernel says of the loaded programs. */
  programs(): NativeProgram[] {
    return this.#native.programs()
  }

  /** Thread id of the reader, which hands events over to JavaScript. */
  get readerThread(): number {
    return this.#native.readerThread()
  }

  stats(): NativeSensorStats {
    return this.#native.stats()
  }

  /** Hands over what waits in the ring without waiting for a full batch. */
  nudge(): void {
    this.#native.nudge()
  }

  /** Detaches everything and stops the reader; what still waits in the ring is gone: `drain` first. */
  close(): void {
    clearTimeout(this.#keptTimer)
    this.#isClosed = true
    this.#native.close()
  }

  /** Detaches the hooks, then waits until the ring is empty and every slab has been handled, at most `deadlineMs`. */
  async drain(deadlineMs: number): Promise<boolean> {
    this.#hooks.detachAll()
    const end = Date.now() + deadlineMs
    while (Date.now() < end) {
      this.#native.nudge()
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (this.isEmpty) return true
    }
    return false
  }

  /** How many bytes of events there have been. */
  get position(): number {
    const { waitingBytes, bytesCount } = this.#native.stats()
    return waitingBytes + bytesCount
  }

  /** Events wait in the rings. */
  get hasWaiting(): boolean {
    return this.#native.stats().waitingBytes > 0
  }

  /** Every event before this position has been handled. */
  isHandled(position: number): boolean {
    return this.#handledBytes >= position
  }

  /** Nothing waits in the rings, and every slab has been handled. */
  get isEmpty(): boolean {
    return this.isHandled(this.position)
  }

  #releaseKept(): void {
    if (this.#options.isCongested()) {
      this.#keptTimer ??= setTimeout(() => {
        this.#keptTimer = undefined
        this.#releaseKept()
      }, CONGESTION_POLL_MS)
      return
    }
    for (const slab of this.#kept.splice(0)) this.#native.release(slab)
  }

  #writeControl(): void {
    this.#native.update('control', new Uint8Array(4), encodeMapControl(this.#control))
  }
}

export function encodeU32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

export function encodeU64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, value, true)
  return bytes
}
