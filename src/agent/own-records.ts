/**
 * The records that no event of the kernel tells: of the agent itself, of containers that come and go, of events that were lost.
 * Before the exporter is open the agent has nothing to say, and a record is an error.
 */
import type { Identity } from '../container/identity.js'
import type { Exporter, Log } from '../export/types.js'
import { type AgentBody, HOST, type RecordDraft } from '../record/model.js'
import { gapOf, type LostRange } from '../sensor/gaps.js'
import type { Counters } from '../telemetry/counters.js'
import type { BootClock } from './host/clock.js'

export type ContainerChange = 'start' | 'stop' | 'update'

export interface OwnRecordsOptions {
  clock: Pick<BootClock, 'nowBootNs' | 'utcNs'>
  counters: Counters
  log: Log
}

export class OwnRecords {
  readonly #options: OwnRecordsOptions
  #exporter: Pick<Exporter, 'append'> | undefined

  constructor(options: OwnRecordsOptions) {
    this.#options = options
    const { counters } = options
    counters.define('kernel_events_lost_total', 'counter', 'Events that found no room, by their numbers')
    counters.define('kernel_events_late_total', 'counter', 'Of those the events that came late, and are not lost')
  }

  open(exporter: Pick<Exporter, 'append'>): void {
    this.#exporter = exporter
  }

  append(draft: RecordDraft): { seq: bigint } {
    if (this.#exporter === undefined) throw new Error('a record before the exporter is open')
    return this.#exporter.append(draft)
  }

  lost(range: LostRange): void {
    const { counters } = this.#options
    const gap = gapOf(range)
    counters.add('kernel_events_lost_total', Number(gap.count))
    if (range.cameLate) counters.add('kernel_events_late_total')
    this.append({ ...this.#draft('gap', 'alert'), gap })
  }

  container(change: ContainerChange, identity: Identity, bootNs: bigint): void {
    this.append({
      ...this.#draft('container', 'activity', bootNs),
      container: identity.ref,
      containerChange: { change, cgroup: identity.cgroupPath },
    })
  }

  /** Also to the log: something does not work as it should. */
  degraded(message: string): void {
    this.#options.log.warn({}, message)
    this.report('degraded', message)
  }

  report(change: AgentBody['change'], message: string): void {
    if (this.#exporter === undefined) return
    this.append({ ...this.#draft('agent', 'alert'), agentChange: { change, message } })
  }

  #draft<K extends RecordDraft['kind']>(
    kind: K,
    lane: RecordDraft['lane'],
    bootNs = this.#options.clock.nowBootNs(),
  ): RecordDraft & { kind: K } {
    return { kind, lane, bootNs, timeNs: this.#options.clock.utcNs(bootNs), container: HOST }
  }
}
