/**
 * What the collector offers the CLI, as types: start a collector, and read events from a local store or a remote
 * collector through one interface.
 */
import type { Log } from '../export/types.js'
import type { HullguardRecord, RecordKind } from '../record/model.js'
import type { Counters } from '../telemetry/counters.js'

export interface CollectorOptions {
  /** `HOST:PORT` or `unix:PATH`; port 0 takes a free one. */
  listen: readonly string[]
  /** The store lives in DIR/store. */
  dataDir: string
  counters: Counters
  log: Log
  /** Listen beyond loopback without TLS. */
  insecure?: boolean
  /** Oldest batches go when the payloads exceed this. Default: no bound. */
  retainMaxBytes?: number
  /** Batches whose newest record is older go. Default: no bound. */
  retainMaxAgeMs?: number
}

export interface RunningCollector {
  /** As bound, in the form that a client takes: `127.0.0.1:41234`, `unix:/run/…`. */
  readonly addresses: readonly string[]
  close(): Promise<void>
}

/** All given conditions must hold. */
export interface EventQuery {
  /** UTC ns, inclusive. */
  sinceNs?: bigint
  /** UTC ns, exclusive. */
  untilNs?: bigint
  /** A container's exact name, its id, or at least 4 characters of the id's beginning. */
  container?: string
  rule?: string
  kinds?: readonly RecordKind[]
  agent?: string
  /** The newest so many. Default: all. */
  limit?: number
  /** Only what was stored after this cursor; then the order is that of storing. */
  after?: string
}

export interface EventPage {
  records: HullguardRecord[]
  /** Where `after` continues: every record stored before it has been considered. */
  cursor: string
}

export interface AgentRow {
  agent: string
  epoch: number
  /** UTC ns of the last batch stored. */
  lastSeenNs: bigint
  lastAlertSeq: bigint
  lastActivitySeq: bigint
}

/** A local store or a remote collector. */
export interface EventSource {
  /** Pages until all that is stored now has been given, in order of time (with `after`: in order of storing). */
  events(query: EventQuery): AsyncIterable<EventPage>
  /** As events(), then on with what is stored from now on, until the signal aborts. */
  follow(query: EventQuery, signal: AbortSignal): AsyncIterable<EventPage>
  agents(): Promise<AgentRow[]>
  close(): void
}
