/**
 * Tells the kernel what the cgroups of this host are, as the table decides it, and what is there before an event of it comes: the
 * processes that exist, and the events that waited for a decision. Fail direction: what the kernel has no room for is watched
 * where there is room for that, acted on by nothing, and said.
 */
import type { Identity } from '../container/identity.js'
import type { ContainerTable } from '../container/table.js'
import type { Sensor } from '../sensor/sensor.js'
import type { Counters } from '../telemetry/counters.js'
import { messageOf } from '../telemetry/errors.js'
import type { HeldEvents } from './event/held-events.js'
import type { BootClock } from './host/clock.js'
import type { OwnRecords } from './own-records.js'
import { readExistingProcesses } from './process/existing-processes.js'
import type { ProcessTable } from './process/process-table.js'
import type { Policies } from './rules/policies.js'

export interface PlacementOptions {
  sensor: Sensor
  table: ContainerTable
  policies: Policies
  processes: ProcessTable
  held: HeldEvents
  clock: BootClock
  records: OwnRecords
  /** Events of this cgroup go on: it is decided, or they have waited long enough. */
  resolved: (cgroupId: bigint, identity: Identity) => void
  /** Containers that are found now were there before the probes, and nobody has read their processes yet. */
  isStarted: () => boolean
  counters: Counters
}

/** A cgroup is decided within 2 s; events that have waited longer are released as they are. */
const HELD_MAX_MS = 3_000
/** Several containers are often identified at once. */
const READ_TASKS_PAUSE_MS = 20
/** After a reading that failed: the agent has no descriptors left, say. */
const READ_TASKS_RETRY_MS = 1_000
/** Several containers often end at once, and a job's next one starts at once. */
const HOOKS_DELAY_MS = 500

export class Placement {
  readonly #options: PlacementOptions
  #tasksTimer: NodeJS.Timeout | undefined
  #hooksTimer: NodeJS.Timeout | undefined
  #areTasksUnread = false
  #isStopped = false

  constructor(options: PlacementOptions) {
    this.#options = options
    options.counters.define(
      'containers_unplaced_total',
      'counter',
      'Times the kernel could not be told what a cgroup is',
    )
    options.counters.define(
      'processes_unread_total',
      'counter',
      'Times the processes that were there before could not be read; it is tried again',
    )
  }

  /** Processes are read no more: the sensor may be closed. */
  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#tasksTimer)
    clearTimeout(this.#hooksTimer)
  }

  /** Hooks at system calls that none of the other containers needs are released; many containers may go at once. */
  containerGone(): void {
    if (this.#isStopped) return
    this.#hooksTimer ??= setTimeout(() => {
      this.#hooksTimer = undefined
      const { policies, records } = this.#options
      try {
        policies.followContainers()
      } catch (error) {
        records.degraded(
          `the hooks at system calls are those of the containers that there were before: ${messageOf(error)}`,
        )
      }
    }, HOOKS_DELAY_MS).unref()
  }

  /** All cgroups of it. */
  placeAll(identity: Identity): void {
    this.place(identity, this.#options.table.cgroupsOf(identity))
  }

  /** An unknown cgroup stays observed in the kernel as it was made: pending. */
  place(identity: Identity, cgroupIds: readonly bigint[]): void {
    const { sensor, policies, isStarted } = this.#options
    try {
      if (identity.ref.state === 'host') for (const id of cgroupIds) sensor.removeCgroup(id)
      else if (identity.confirmed) {
        if (policies.apply(identity) && isStarted()) this.#readTasksSoon()
      } else policies.withdraw(identity)
    } catch (error) {
      this.#observeOnly(identity, error)
    }
  }

  /** As readTasks(); when it fails that is said and counted, and it is tried until it is done. */
  followTasks(): void {
    try {
      this.readTasks()
      this.#areTasksUnread = false
    } catch (error) {
      const { counters, records } = this.#options
      counters.add('processes_unread_total')
      if (!this.#areTasksUnread)
        records.degraded(`processes that were there before are not known until they can be read: ${messageOf(error)}`)
      this.#areTasksUnread = true
      this.#readTasksSoon(READ_TASKS_RETRY_MS)
    }
  }

  /** The processes that exist become known, those of containers watched. */
  readTasks(): void {
    const { sensor, table, policies, processes, clock } = this.#options
    const { isHostWanted } = policies
    readExistingProcesses(sensor.readTasks(), processes, {
      isConfirmed: (id) => isHostWanted || (table.lookup(id)?.confirmed ?? false),
      isReported: (id) => isHostWanted || (table.lookup(id)?.ref.state ?? 'host') !== 'host',
      nowBootNs: clock.nowBootNs(),
    })
    sensor.adoptSockets()
  }

  /** Events that waited for a cgroup which is decided now go on. */
  releaseDecided(): void {
    this.#release(this.#options.held.cgroups(), (identity) => identity.ref.state !== 'pending')
  }

  /** And those that have waited too long. */
  releaseOverdue(): void {
    this.#release(this.#options.held.waitingLongerThan(HELD_MAX_MS))
  }

  /** All of them, as they stand. */
  releaseAll(): void {
    this.#release(this.#options.held.cgroups())
  }

  #release(cgroupIds: readonly bigint[], isWanted: (identity: Identity) => boolean = () => true): void {
    for (const id of cgroupIds) {
      const identity = this.#options.table.lookup(id)
      if (identity !== undefined && isWanted(identity)) this.#options.resolved(id, identity)
    }
  }

  #observeOnly(identity: Identity, error: unknown): void {
    const { policies, counters, records } = this.#options
    const { state, name } = identity.ref
    let watched = 'it is observed only'
    try {
      policies.withdraw(identity)
    } catch {
      watched = 'it is not watched'
    }
    counters.add('containers_unplaced_total')
    records.degraded(
      `the kernel has no room for ${state} ${name || identity.cgroupPath}, ${watched}: ${messageOf(error)}`,
    )
  }

  #readTasksSoon(pauseMs = READ_TASKS_PAUSE_MS): void {
    if (this.#isStopped) return
    this.#tasksTimer ??= setTimeout(() => {
      this.#tasksTimer = undefined
      this.followTasks()
    }, pauseMs)
  }
}
