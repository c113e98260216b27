/**
 * What delivery offers the agent, as types. The exporter owns sequence numbers, the spool and the stream to the
 * collector; the caller only appends. Nothing here does I/O.
 *
 * Fail direction: append() never throws and never blocks for a fault of disk or network; what cannot be kept within the
 * stated bounds is replaced by a gap record with an exact count.
 */
import type { Lane, RecordDraft } from '../record/model.js'
import type { Counters } from '../telemetry/counters.js'

/** The part of pino's logger that delivery uses. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** A fault that delivery lives with, told once when it starts and once when it ends. */
export interface DeliveryState {
  part: 'spool' | 'collector'
  /** `degraded`: records wait longer than they should, or are being given up within the stated bounds. */
  state: 'degraded' | 'recovered'
  message: string
}

export interface ExporterOptions {
  /** Identifies this host in the store for ever; the caller keeps it stable over restarts. */
  agentId: string
  /** The spool lives in DIR/spool. */
  dataDir: string
  /** `HOST:PORT` or `unix:PATH`, tried in turn. Empty: records are spooled and not sent. */
  collectors: readonly string[]
  /** Records are kept in the spool until deliver() is called. */
  isHeld?: boolean
  counters: Counters
  log: Log
  onState?: (state: DeliveryState) => void
  /** Bound on all segment files together. Default 512 MiB: at 60 bytes a record, 9 million records. */
  spoolMaxBytes?: number
  /** Bound on what waits in memory for the disk. Default 8 MiB. */
  backlogMaxBytes?: number
  /** How long a record of the activity lane may wait for its batch to fill. Default 250 ms. */
  flushMs?: number
  /** How often the activity lane's segment is synced to disk. Default 1000 ms; the alert lane is synced at each flush. */
  syncMs?: number
}

/** The place of an appended record: with agent and epoch it is the record's key. */
export interface Placed {
  lane: Lane
  seq: bigint
}

export interface CloseReport {
  /** Everything that was appended is in the collector's store. */
  delivered: boolean
  /** Records still in the spool, to be sent at the next start. */
  spooledCount: number
  /** Records that never reached the spool (the disk refused them). */
  lostCount: number
}

export interface Exporter {
  /** Counts starts on this data directory. */
  readonly epoch: number
  /** The start before this one ended without close(): what it had not yet written is lost, at most one flush interval. */
  readonly uncleanStart: boolean
  /** Address of the collector that the stream is up with, or undefined. */
  readonly connectedTo: string | undefined
  /**
   * The disk or this process is behind: more than half of the memory backlog is in use. A caller that can leave events in
   * the kernel's ring should; one that goes on loses nothing until the backlog is full.
   */
  readonly congested: boolean
  /** Connects to the collectors from now on; once. */
  deliver(): void
  /** Gives the record its place. Synchronous, no I/O; the draft is copied. After close() it is counted as lost. */
  append(draft: RecordDraft): Placed
  /** Resolves when all that was appended so far is written to the spool (or given up and counted). */
  flush(): Promise<void>
  /** Resolves when that record is written and synced in the spool, or was given up and counted. */
  flushed(lane: Lane, seq: bigint): Promise<void>
  /** Flushes, waits up to deadlineMs for acknowledgements, ends the stream, closes the spool. Idempotent. */
  close(options?: { deadlineMs?: number }): Promise<CloseReport>
}
