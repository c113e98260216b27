/**
 * Writes what the pipeline sees into a capture: each event of a container, and before it whatever a later replay needs to
 * take it the same way: who its container and its process are, its user's name, the clock. Nothing of the host is written
 * but the program that is the parent of a container's process (the runtime).
 */
import { LRUCache } from 'lru-cache'
import { IdIndex } from '../../container/id-index.js'
import type { Identity } from '../../container/identity.js'
import { Entry } from '../../sensor/capture-format.js'
import type { CaptureWriter } from '../../sensor/capture-writer.js'
import { gapOf, type LostRange } from '../../sensor/gaps.js'
import { EvExec, EvFork, type EvHeader, ExecFlag } from '../../sensor/generated/abi.js'
import type { TaskSnapshot } from '../../sensor/iterators.js'
import { decodeText } from '../../sensor/text.js'
import type { NameSource } from '../host/users.js'
import type { EventTap, OwnFileCheck } from '../pipeline/options.js'
import { execRanges } from '../process/exec-names.js'
import type { ProcessEntry, ProcessTable } from '../process/process-table.js'
import { identityToJson, processToJson } from './entries.js'

export interface RecorderOptions {
  writer: CaptureWriter
  processes: ProcessTable
  users: NameSource
  /** What to add to a CLOCK_BOOTTIME reading for UTC ns, now. */
  clockOffsetNs: () => bigint
  isOwnFile: OwnFileCheck
  /** Kinds of events that are on for it. */
  kindsOf: (identity: Identity) => readonly string[]
  /** Names, or beginnings of ids, of the only containers wanted; empty: all. */
  containers: readonly string[]
}

/** As many processes as the process table holds. */
const PROCESSES_MAX_COUNT = 32_768
/** A block that is not full is closed all the same, so that a crash costs no more than this. */
const FLUSH_MS = 1000

/** Ids that no person chose; runc's are names, where the beginning of one is another. */
const SHORTENABLE = /^[0-9a-f]{64}$/

interface Written {
  number: number
  ref: Identity['ref']
  confirmed: boolean
  initPid: number | undefined
}

export class Recorder implements EventTap {
  readonly #options: RecorderOptions
  readonly #identities = new Map<Identity, Written>()
  readonly #cgroups = new IdIndex<Identity>()
  /** pid -> start of the process that the capture knows under it. */
  readonly #processes = new LRUCache<number, bigint>({ max: PROCESSES_MAX_COUNT })
  readonly #uids = new Set<number>()
  readonly #timer: NodeJS.Timeout
  #offsetNs: bigint
  #nextNumber = 0

  constructor(options: RecorderOptions) {
    this.#options = options
    this.#offsetNs = options.clockOffsetNs()
    this.#timer = setInterval(() => options.writer.flush(), FLUSH_MS).unref()
  }

  /** What is there when the recording begins: containers, and the processes in them with their ancestors. */
  snapshot(
    containers: readonly { identity: Identity; cgroupIds: readonly bigint[] }[],
    tasks: readonly TaskSnapshot[],
  ): void {
    const wanted = new Set<bigint>()
    for (const { identity, cgroupIds } of containers) {
      if (!this.#wants(identity)) continue
      this.#identity(identity)
      for (const id of cgroupIds) {
        wanted.add(id)
        this.#cgroup(Number(id & 0xffff_ffffn), Number(id >> 32n), id, identity)
      }
    }
    for (const { cgroupId, pid, startNs, uid } of tasks) {
      if (!wanted.has(cgroupId)) continue
      this.#process(pid, startNs)
      this.#user(uid)
    }
  }

  event(event: EvHeader, identity: Identity): void {
    if (!this.#wants(identity)) return
    const { writer } = this.#options
    this.#clock()
    this.#identity(identity)
    this.#cgroup(event.cgroupIdLow, event.cgroupIdHigh, undefined, identity, event)
    this.#process(event.pid, event.startNs)
    this.#user(event.uid)
    if (event instanceof EvExec) this.#exec(event, identity)
    if (event instanceof EvFork) this.#processes.set(event.childPid, event.childStartNs)
    writer.event(event.bytes, event.at, event.sizeBytes)
  }

  lost(range: LostRange): void {
    this.#options.writer.entry(Entry.LOST, gapOf(range))
  }

  /** A container started, stopped, or is known by other facts now. */
  change(change: 'start' | 'stop' | 'update', identity: Identity, bootNs: bigint): void {
    if (!this.#wants(identity)) return
    const number = this.#identity(identity)
    this.#options.writer.entry(Entry.CHANGE, { number, change, bootNs })
    if (change === 'stop') this.#identities.delete(identity)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #wants({ ref }: Identity): boolean {
    const { containers } = this.#options
    if (ref.state === 'host') return false
    if (containers.length === 0 || containers.includes(ref.name) || containers.includes(ref.id)) return true
    return SHORTENABLE.test(ref.id) && containers.some((container) => ref.id.startsWith(container))
  }

  #identity(identity: Identity): number {
    const { ref, confirmed, initPid } = identity
    const known = this.#identities.get(identity)
    if (known !== undefined && known.ref === ref && known.confirmed === confirmed && known.initPid === initPid)
      return known.number
    const number = known?.number ?? this.#nextNumber++
    this.#identities.set(identity, { number, ref, confirmed, initPid })
    this.#options.writer.entry(Entry.CONTAINER, identityToJson(number, identity, this.#options.kindsOf(identity)))
    return number
  }

  #cgroup(low: number, high: number, id: bigint | undefined, identity: Identity, event?: EvHeader): void {
    if (this.#cgroups.get(low, high) === identity) return
    this.#cgroups.set(low, high, identity)
    const number = this.#identity(identity)
    this.#options.writer.entry(Entry.CGROUP, { id: id ?? event?.cgroupId ?? 0n, number })
  }

  /** The process as the agent knows it, once. Of processes of the host only direct parents are told, so that `parent` is there. */
  #process(pid: number, startNs: bigint): void {
    const entry = this.#processEntry(pid, startNs)
    if (entry !== undefined) this.#processEntry(entry.parentPid, entry.parentStartNs)
  }

  /** undefined: unknown, or written before. */
  #processEntry(pid: number, startNs: bigint): ProcessEntry | undefined {
    if (this.#processes.get(pid) === startNs) return undefined
    const entry = this.#options.processes.find(pid, startNs)
    if (entry === undefined) return undefined
    this.#processes.set(pid, startNs)
    this.#options.writer.entry(Entry.PROCESS, processToJson(entry))
    return entry
  }

  /** A new program: its parent has to be known, and whether a file in a foreign root was the container's own. */
  #exec(event: EvExec, identity: Identity): void {
    this.#processEntry(event.parentPid, event.parentStartNs)
    this.#processes.set(event.pid, event.startNs)
    if ((event.flags & ExecFlag.FOREIGN_ROOT) === 0) return
    const { invokedStart, fileStart } = execRanges(event)
    const isOwn = this.#options.isOwnFile(identity, event.pid, decodeText(event.bytes, invokedStart, fileStart))
    this.#options.writer.entry(Entry.OWN_FILE, { isOwn })
  }

  #user(uid: number): void {
    if (this.#uids.has(uid)) return
    this.#uids.add(uid)
    const name = this.#options.users.nameOf(uid)
    if (name !== '') this.#options.writer.entry(Entry.USER, { uid, name })
  }

  #clock(): void {
    const offsetNs = this.#options.clockOffsetNs()
    if (offsetNs === this.#offsetNs) return
    this.#offsetNs = offsetNs
    this.#options.writer.entry(Entry.CLOCK, { offsetNs })
  }
}
