/**
 * The clock of memory readings: every second while a memory rule is in force, else every 10 s; samples every 10 s. It wakes the
 * process for nothing else.
 */
import { processesIn } from '../../container/cgroup-fs.js'
import type { Identity } from '../../container/identity.js'
import type { ContainerTable } from '../../container/table.js'
import type { ProcessRef, RecordDraft } from '../../record/model.js'
import { Action } from '../../sensor/generated/abi.js'
import type { MemoryReading } from '../../sensor/iterators.js'
import type { Sensor } from '../../sensor/sensor.js'
import type { Counters } from '../../telemetry/counters.js'
import { messageOf } from '../../telemetry/errors.js'
import type { BootClock } from '../host/clock.js'
import type { ProcessEntry, ProcessTable } from '../process/process-table.js'
import type { Policies } from '../rules/policies.js'
import type { Verdicts } from '../rules/verdicts.js'
import { largestProcess, MemoryRules, SAMPLE_INTERVAL_MS, sampleDraft } from './memory-watch.js'

export interface MemoryLoopOptions {
  sensor: Sensor
  table: ContainerTable
  policies: Policies
  verdicts: Verdicts
  records: { append(draft: RecordDraft): { seq: bigint }; degraded(message: string): void }
  clock: BootClock
  processes: ProcessTable
  counters: Counters
}

/** A timer may come this much early. */
const TIMER_SLACK_MS = 50
const FIRST_READING_MS = 1_000

export class MemoryLoop {
  readonly #options: MemoryLoopOptions
  readonly #rules = new MemoryRules()
  #timer: NodeJS.Timeout | undefined
  #sampledAtMs = Number.NEGATIVE_INFINITY
  #isUnreadable = false

  constructor(options: MemoryLoopOptions) {
    this.#options = options
    options.counters.define('memory_unread_total', 'counter', 'Times the memory of containers could not be read')
  }

  start(): void {
    this.#schedule(FIRST_READING_MS)
  }

  /** Other rules are in force. */
  follow(): void {
    this.#schedule(Math.min(this.#options.policies.memoryIntervalMs, FIRST_READING_MS))
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  forget(containerId: string): void {
    this.#rules.forget(containerId)
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#read()
      const dueMs = this.#sampledAtMs + SAMPLE_INTERVAL_MS - performance.now()
      this.#schedule(Math.min(this.#options.policies.memoryIntervalMs, Math.max(dueMs, TIMER_SLACK_MS)))
    }, delayMs)
  }

  #read(): void {
    const { table, policies, records, clock } = this.#options
    const nowMs = performance.now()
    const isSampleDue = nowMs - this.#sampledAtMs >= SAMPLE_INTERVAL_MS - TIMER_SLACK_MS
    if (isSampleDue) this.#sampledAtMs = nowMs
    for (const reading of this.#readings()) {
      const identity = table.lookup(reading.cgroupId)
      if (identity?.confirmed !== true) continue
      const draft = sampleDraft(reading, identity, clock.utcNs(reading.bootNs))
      const hits = this.#rules.judge(reading, identity, policies.current)
      const seq = isSampleDue || hits.length > 0 ? records.append(draft).seq : undefined
      if (hits.length > 0 && seq !== undefined) this.#judge(identity, draft, seq, hits)
    }
  }

  /** None when they cannot be read (the agent has no descriptors left, say): that is counted, and said the first time. */
  #readings(): MemoryReading[] {
    const { sensor, records, counters } = this.#options
    try {
      const readings = sensor.readMemory()
      this.#isUnreadable = false
      return readings
    } catch (error) {
      counters.add('memory_unread_total')
      if (!this.#isUnreadable)
        records.degraded(`memory of containers cannot be read, no rule judges it meanwhile: ${messageOf(error)}`)
      this.#isUnreadable = true
      return []
    }
  }

  #judge(identity: Identity, draft: RecordDraft, seq: bigint, hits: readonly number[]): void {
    const victim = this.#largest(identity)
    const judged = victim === undefined ? draft : { ...draft, process: processRefOf(victim) }
    this.#options.verdicts.judge(
      {
        draft: judged,
        cause: { kind: 'sample', lane: 'activity', seq },
        identity,
        set: this.#options.policies.current,
        kernelAction: Action.NONE,
        hook: '',
        pid: victim?.pid ?? 0,
        startNs: victim?.startNs ?? 0n,
      },
      hits,
    )
  }

  /** The process with the largest resident set in the container's cgroups, when events have told who it is. */
  #largest(identity: Identity): ProcessEntry | undefined {
    const { table, processes } = this.#options
    const pids = table.cgroupsOf(identity).flatMap((id) => {
      const path = table.pathOf(id)
      return path === undefined ? [] : (processesIn(table.hierarchy, path) ?? [])
    })
    const pid = largestProcess(pids)
    return pid === undefined ? undefined : processes.current(pid)
  }
}

export function processRefOf(entry: ProcessEntry): ProcessRef {
  const { pid, startNs, exe, invoked, args, cwd, uid, gid, phase } = entry
  return { pid, tid: pid, startNs, exe, invoked, args, cwd, uid, gid, user: '', phase }
}
