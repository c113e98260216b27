/**
 * Events of cgroups that nobody has identified yet. They wait, as copied bytes and in order, until the container table decides
 * or their time is up; every later event of the same cgroup waits behind them. Bounded in bytes: when it is full the oldest
 * group is released as it stands (container.state pending), counted, nothing is lost.
 */
import { BatchWalker, type EventHandler } from '../../sensor/batch.js'
import type { Counters } from '../../telemetry/counters.js'

/** 4 MiB: about 10,000 exec events, far more than starting containers make in the two seconds it takes to identify them. */
const HELD_MAX_BYTES = 4 * 1024 * 1024

interface Group {
  events: Uint8Array[]
  sinceMs: number
  sizeBytes: number
}

export class HeldEvents {
  readonly #groups = new Map<bigint, Group>()
  readonly #counters: Counters
  #sizeBytes = 0

  constructor(counters: Counters) {
    this.#counters = counters
    counters.define('events_held', 'gauge', 'Bytes of events that wait for their container to be identified')
    counters.define(
      'events_released_early_total',
      'counter',
      'Held events released unidentified because too many waited',
    )
  }

  /** Cgroups whose first event has waited longer than this. */
  waitingLongerThan(ageMs: number): bigint[] {
    const oldest = performance.now() - ageMs
    return [...this.#groups].filter(([, group]) => group.sinceMs < oldest).map(([cgroupId]) => cgroupId)
  }

  /** Copies the event. Returns the cgroup that has to be released early to make room, if any. */
  hold(cgroupId: bigint, bytes: Uint8Array, at: number, sizeBytes: number): bigint | undefined {
    let group = this.#groups.get(cgroupId)
    if (group === undefined) {
      group = { events: [], sinceMs: performance.now(), sizeBytes: 0 }
      this.#groups.set(cgroupId, group)
    }
    group.events.push(bytes.slice(at, at + sizeBytes))
    group.sizeBytes += sizeBytes
    this.#sizeBytes += sizeBytes
    this.#counters.set('events_held', this.#sizeBytes)
    if (this.#sizeBytes <= HELD_MAX_BYTES) return undefined
    const [oldest] = this.#groups.keys()
    this.#counters.add(
      'events_released_early_total',
      oldest === undefined ? 0 : (this.#groups.get(oldest)?.events.length ?? 0),
    )
    return oldest
  }

  /** Hands the cgroup's events over in order, and forgets them. */
  release(cgroupId: bigint, handler: EventHandler): number {
    const group = this.#groups.get(cgroupId)
    if (group === undefined) return 0
    this.#forget(cgroupId, group)
    for (const event of group.events) new BatchWalker(event.buffer).dispatchUnnumbered(0, event.length, handler)
    return group.events.length
  }

  /** The cgroup is the host's after all: nobody asked for its events. */
  discard(cgroupId: bigint): number {
    const group = this.#groups.get(cgroupId)
    if (group === undefined) return 0
    this.#forget(cgroupId, group)
    return group.events.length
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0
  }

  cgroups(): bigint[] {
    return [...this.#groups.keys()]
  }

  #forget(cgroupId: bigint, group: Group): void {
    this.#groups.delete(cgroupId)
    this.#sizeBytes -= group.sizeBytes
    this.#counters.set('events_held', this.#sizeBytes)
  }
}
