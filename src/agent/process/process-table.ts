/**
 * The processes of the host as far as events told: who a pid is, by (pid, start time). Bounded: beyond the limit the process
 * seen longest ago is forgotten and counted. A process that ended stays for a while, because another CPU's events of it can
 * still be on their way.
 */
import { LRUCache } from 'lru-cache'
import type { ProcessRef } from '../../record/model.js'
import type { Counters } from '../../telemetry/counters.js'
import { ProcessImage } from './image.js'

/** What the kernel said of a process at its last exec, or when the existing processes were read. */
export interface ProcessFacts {
  /** ExecFlag. */
  flags: number
  inode: bigint
  capPermitted: bigint
  capEffective: bigint
  capInheritable: bigint
  /** 0xffffffff: nobody. */
  loginuid: number
  tty: number
  /** These in the process's own pid namespace. */
  vpgid: number
  sid: number
}

export interface ProcessEntry {
  pid: number
  startNs: bigint
  parentPid: number
  parentStartNs: bigint
  exe: string
  invoked: string
  args: readonly string[]
  cwd: string
  uid: number
  gid: number
  phase: 'run' | 'setup'
  /** Process id in its own pid namespace; undefined: not told. */
  vpid?: number | undefined
  /** Its children share it. */
  facts?: ProcessFacts | undefined
  /** Made on demand where no exec was seen; its children share it. */
  image?: ProcessImage | undefined
  /** As its last record names it: most of a process's records name it the same way. */
  ref?: ProcessRef | undefined
}

export function imageOf(entry: ProcessEntry): ProcessImage {
  entry.image ??= ProcessImage.ofTexts(entry)
  return entry.image
}

/** 32,768 processes of about 500 bytes, names that others have too apart: 16 MiB at most; more than a default host's pid limit lets live at once. */
const PROCESSES_MAX_COUNT = 32_768

// A start beside its halves, to compare with those in an event: no bigint is made for each (little-endian hosts).
const startHalves = new Uint32Array(2)
const start = new BigUint64Array(startHalves.buffer)

export class ProcessTable {
  readonly #entries: LRUCache<number, ProcessEntry>
  /** Who acted last, and whose parent was asked for last: mostly the next one's too, without a look-up. In the table, both. A full table is
   *  asked all the same, or those in use would be the oldest. */
  #lastActor: ProcessEntry | undefined
  #lastParent: ProcessEntry | undefined

  constructor(counters: Counters, maxCount = PROCESSES_MAX_COUNT) {
    counters.define('process_table_evicted_total', 'counter', 'Processes forgotten because the table was full')
    counters.define('process_table_processes', 'gauge', 'Processes that are known, those that ended of late among them')
    this.#entries = new LRUCache({
      max: maxCount,
      dispose: (entry, _pid, reason) => {
        if (entry === this.#lastActor) this.#lastActor = undefined
        if (entry === this.#lastParent) this.#lastParent = undefined
        if (reason === 'evict') counters.add('process_table_evicted_total')
      },
    })
  }

  /** The process with this pid and start, or undefined when it is unknown or the pid is another one's by now. */
  find(pid: number, startNs: bigint): ProcessEntry | undefined {
    const entry = this.#entries.get(pid)
    return entry?.startNs === startNs ? entry : undefined
  }

  /** find() for who acted in an event. */
  findActor(event: { pid: number; startNsLow: number; startNsHigh: number }): ProcessEntry | undefined {
    const { pid } = event
    const entry = this.#lastActor?.pid === pid && !this.#isFull ? this.#lastActor : this.#entries.get(pid)
    if (entry === undefined) return undefined
    this.#lastActor = entry
    start[0] = entry.startNs
    return startHalves[0] === event.startNsLow && startHalves[1] === event.startNsHigh ? entry : undefined
  }

  parentOf({ parentPid, parentStartNs }: ProcessEntry): ProcessEntry | undefined {
    if (parentPid === 0) return undefined
    const last = this.#lastParent
    if (last?.pid === parentPid && last.startNs === parentStartNs && !this.#isFull) return last
    const parent = this.find(parentPid, parentStartNs)
    if (parent !== undefined) this.#lastParent = parent
    return parent
  }

  /** Whoever has this pid now, as far as events told. */
  current(pid: number): ProcessEntry | undefined {
    return this.#entries.get(pid)
  }

  set(entry: ProcessEntry): void {
    this.#entries.set(entry.pid, entry)
  }

  /** A child is its parent until it executes something. */
  fork(
    parent: ProcessEntry | undefined,
    childPid: number,
    childStartNs: bigint,
    fallback: ProcessEntry,
    childVpid?: number,
  ): ProcessEntry {
    const known = this.find(childPid, childStartNs)
    if (known !== undefined) return known // an exec of the child, seen first on another CPU
    const like = parent ?? fallback
    const child: ProcessEntry = {
      pid: childPid,
      startNs: childStartNs,
      parentPid: fallback.pid,
      parentStartNs: fallback.startNs,
      exe: like.exe,
      invoked: like.invoked,
      args: like.args,
      cwd: like.cwd,
      uid: like.uid,
      gid: like.gid,
      phase: like.phase,
      vpid: childVpid,
      facts: like.facts,
      image: like.image,
      ref: undefined,
    }
    this.set(child)
    return child
  }

  get #isFull(): boolean {
    return this.#entries.size >= this.#entries.max
  }

  get sizeCount(): number {
    return this.#entries.size
  }
}
