/**
 * What the agent calls: gives each record its place, fills batches, hands them to the spool, and runs the stream to the
 * collector. append() does no I/O and costs about a microsecond; all else is asynchronous.
 *
 * A batch is closed at a number of records or bytes, or after flushMs; one of the alert lane at the end of the event-loop turn, or
 * when the write before it is done: alerts that come while the disk is at work share the next frame and its sync.
 */
import { BatchBuilder } from '../record/codec.js'
import type { Lane, RecordDraft } from '../record/model.js'
import { LANES } from '../record/names.js'
import { HullguardError } from '../telemetry/errors.js'
import { grpcTarget } from './address.js'
import { DeliveryClient } from './client.js'
import { Spool } from './spool.js'
import type { CloseReport, Exporter, ExporterOptions, Placed } from './types.js'

/** Past some 1,000 records a larger batch compresses hardly better and waits longer. */
const BATCH_RECORDS = 2048
const BATCH_BYTES = 256 * 1024
const SPOOL_MAX_BYTES = 512 * 1024 * 1024
const BACKLOG_MAX_BYTES = 8 * 1024 * 1024
const CLOSE_DEADLINE_MS = 5000
/** Each batch is a compression, a write and a round trip: where little happens, delivery is what an agent is busy with. */
const FLUSH_MS = 250

/** Throws data_dir_unusable, second_agent, or usage for an address that is none. */
export async function openExporter(options: ExporterOptions): Promise<Exporter> {
  for (const address of options.collectors) {
    if (grpcTarget(address) === undefined) {
      throw new HullguardError('usage', `expected HOST:PORT or unix:PATH for a collector, received \`${address}\``)
    }
  }
  options.counters.define('delivery_records_appended_total', 'counter', 'Records that were given a place, by lane')
  const spool = await Spool.open({
    agent: options.agentId,
    dataDir: options.dataDir,
    maxBytes: options.spoolMaxBytes ?? SPOOL_MAX_BYTES,
    backlogMaxBytes: options.backlogMaxBytes ?? BACKLOG_MAX_BYTES,
    syncMs: options.syncMs ?? 1000,
    counters: options.counters,
    log: options.log,
    onState: options.onState ?? (() => {}),
  })
  const exporter = new SpoolingExporter(options, spool)
  if (options.isHeld !== true) exporter.deliver()
  return exporter
}

interface OpenLane {
  nextSeq: bigint
  builder: BatchBuilder | undefined
}

class SpoolingExporter implements Exporter {
  readonly #options: ExporterOptions
  readonly #spool: Spool
  readonly #client: DeliveryClient
  readonly #lanes: Record<Lane, OpenLane> = {
    alert: { nextSeq: 1n, builder: undefined },
    activity: { nextSeq: 1n, builder: undefined },
  }
  readonly #flushMs: number
  readonly #congestedBytes: number
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined
  #closing: Promise<CloseReport> | undefined

  constructor(options: ExporterOptions, spool: Spool) {
    this.#options = options
    this.#spool = spool
    this.#flushMs = options.flushMs ?? FLUSH_MS
    this.#congestedBytes = (options.backlogMaxBytes ?? BACKLOG_MAX_BYTES) / 2
    this.#client = new DeliveryClient({
      agent: options.agentId,
      collectors: options.collectors,
      spool,
      counters: options.counters,
      log: options.log,
      onState: options.onState ?? (() => {}),
    })
    spool.onIdle = (lane) => {
      if (lane === 'alert') this.#closeBatch(lane)
    }
  }

  deliver(): void {
    if (this.#closing === undefined) this.#client.start()
  }

  get epoch(): number {
    return this.#spool.epoch
  }

  get uncleanStart(): boolean {
    return this.#spool.unclean
  }

  get connectedTo(): string | undefined {
    return this.#client.connectedTo
  }

  get congested(): boolean {
    return this.#spool.waitingBytes > this.#congestedBytes
  }

  append(draft: RecordDraft): Placed {
    const name = draft.lane
    const lane = this.#lanes[name]
    const seq = lane.nextSeq
    if (this.#closing !== undefined) {
      this.#options.counters.add('delivery_records_lost_total', 1, { lane: name, cause: 'closed' })
      return { lane: name, seq }
    }
    if (lane.builder === undefined) {
      lane.builder = new BatchBuilder(this.#options.agentId, this.#spool.epoch, name, seq)
      this.#schedule(name)
    }
    lane.nextSeq = seq + 1n
    lane.builder.add(draft)
    if (lane.builder.count >= BATCH_RECORDS || lane.builder.approxBytes >= BATCH_BYTES) this.#closeBatch(name)
    return { lane: name, seq }
  }

  async flush(): Promise<void> {
    this.#closeBatches()
    for (const name of LANES) await this.#spool.reached(name, this.#lanes[name].nextSeq - 1n, false)
  }

  async flushed(lane: Lane, seq: bigint): Promise<void> {
    const { builder } = this.#lanes[lane]
    if (builder !== undefined && builder.firstSeq <= seq) this.#closeBatch(lane)
    await this.#spool.reached(lane, seq, true)
  }

  close(options?: { deadlineMs?: number }): Promise<CloseReport> {
    this.#closing ??= this.#close(options?.deadlineMs ?? CLOSE_DEADLINE_MS)
    return this.#closing
  }

  async #close(deadlineMs: number): Promise<CloseReport> {
    this.#closeBatches()
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs)
    })
    await Promise.race([this.flush(), deadline])
    if (this.#options.collectors.length > 0) await Promise.race([this.#client.drained(), deadline])
    clearTimeout(timer)
    await this.#client.close()
    const lostCount = await this.#spool.close()
    const spooledCount = this.#spool.pendingCount
    return { delivered: lostCount === 0 && spooledCount === 0, spooledCount, lostCount }
  }

  #schedule(lane: Lane): void {
    if (lane === 'alert') {
      this.#immediate ??= setImmediate(() => {
        this.#immediate = undefined
        if (!this.#spool.isBusy('alert')) this.#closeBatch('alert')
      })
    } else {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined
        this.#closeBatch('activity')
      }, this.#flushMs)
    }
  }

  #closeBatches(): void {
    for (const name of LANES) this.#closeBatch(name)
  }

  #closeBatch(name: Lane): void {
    const lane = this.#lanes[name]
    const builder = lane.builder
    if (name === 'activity') {
      clearTimeout(this.#timer)
      this.#timer = undefined
    }
    if (builder === undefined) return
    lane.builder = undefined
    const { firstSeq, count } = builder
    this.#options.counters.add('delivery_records_appended_total', count, { lane: name })
    this.#spool.enqueue(name, { firstSeq, lastSeq: lane.nextSeq - 1n, count, raw: builder.finish() })
  }
}
