/**
 * Appends batches to the segments of one lane of the running epoch: compress, chain, write, sync. One at a time, in
 * order; the event loop never waits for the disk.
 *
 * A write that fails is tried again each second and the lane says that it is degraded; what waits meanwhile is bounded by
 * the exporter (backlog.ts), which turns the oldest into gap records through giveUp().
 */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { deflateRaw, deflateRawSync } from 'node:zlib'
import { syncDirectory } from './epoch.js'
import { chainHash, encodeFrame, type Frame, genesisHash, RAW_BATCH_MAX_BYTES } from './frame.js'
import { gapBatch } from './gap-record.js'
import { type Segment, type SpoolLane, segmentName } from './spool-lane.js'

const compress = promisify(deflateRaw)

/** On records of real shape level 3 is within a few per cent of level 6 in size at half the time (bench/cases/delivery). */
const LEVEL = 3
/** A batch up to this size is compressed in less time than a thread of the pool takes to wake and answer. */
const AT_ONCE_MAX_BYTES = 16 * 1024
const RETRY_MS = 1000

/** A closed batch that waits to be written, or the gap that stands for given-up ones. */
export interface Waiting {
  firstSeq: bigint
  lastSeq: bigint
  count: number
  /** Undefined: given up. */
  raw: Uint8Array | undefined
  cause?: string
}

export interface LaneWriterHooks {
  /** A frame is in the file and may be sent. */
  onWritten(): void
  /** A write or sync failed; called each time. Resolving true: try again at once (room was made). */
  onFault(lane: SpoolLane, error: unknown): Promise<boolean>
  /** A write succeeded. */
  onGood(lane: SpoolLane): void
  /** A write waits for syncTick(), and none before it does. */
  onDirty(): void
  /** So many bytes no longer wait in memory. */
  onTaken(bytes: number): void
  /** All that was handed over is in the file, and synced where each batch is. */
  onIdle(lane: SpoolLane): void
  /** Records were given up before they reached a file; a gap record says so. */
  onLost(lane: SpoolLane, cause: string, count: number): void
}

export class LaneWriter {
  readonly lane: SpoolLane
  readonly #hooks: LaneWriterHooks
  readonly #syncEachFlush: boolean
  readonly #queue: Waiting[] = []
  #handle: FileHandle | undefined
  #active: Segment | undefined
  #hash: Uint8Array
  #running: Promise<void> | undefined
  #closing = false
  #syncedSeq = 0n
  #dirty = false
  #syncDue = false
  #retryNow: (() => void) | undefined
  #waiters: { seq: bigint; synced: boolean; resolve: () => void }[] = []
  #settledSeq = 0n

  constructor(
    lane: SpoolLane,
    syncEachFlush: boolean,
    readonly segmentBytes: number,
    hooks: LaneWriterHooks,
  ) {
    this.lane = lane
    this.#hooks = hooks
    this.#syncEachFlush = syncEachFlush
    this.#hash = genesisHash(lane.agent, lane.epoch, lane.lane)
  }

  get queue(): readonly Waiting[] {
    return this.#queue
  }

  /** A batch is on its way to the file, or the file to the disk. */
  get isBusy(): boolean {
    return this.#running !== undefined
  }

  enqueue(batch: Waiting): void {
    if (batch.raw !== undefined && batch.raw.length > RAW_BATCH_MAX_BYTES) {
      this.#hooks.onTaken(batch.raw.length)
      batch.raw = undefined
      batch.cause = 'record_too_large'
      this.#hooks.onLost(this.lane, batch.cause, batch.count)
    }
    this.#queue.push(batch)
    this.#start()
  }

  /** Gives up the oldest batch that is not being written; adjacent ones become one gap. False: there is none. */
  giveUp(cause: string): boolean {
    // Index 0 is being written.
    const index = this.#queue.findIndex(({ raw }, at) => at > 0 && raw !== undefined)
    const batch = this.#queue[index]
    if (batch?.raw === undefined) return false
    this.#hooks.onTaken(batch.raw.length)
    batch.raw = undefined
    batch.cause = cause
    this.#hooks.onLost(this.lane, cause, batch.count)
    const before = this.#queue[index - 1]
    if (index > 1 && before?.raw === undefined && before?.cause === cause) {
      before.lastSeq = batch.lastSeq
      this.#queue.splice(index, 1)
    }
    return true
  }

  /** Resolves when seq is in a file (and synced, when asked), or given up for good because the lane closed. */
  async reached(seq: bigint, synced: boolean): Promise<void> {
    if (synced ? this.#syncedSeq >= seq : this.#settledSeq >= seq) return
    const promise = new Promise<void>((resolve) => this.#waiters.push({ seq, synced, resolve }))
    if (synced) this.#start()
    await promise
  }

  /** Room may have been made: try a failed write again now. */
  retry(): void {
    this.#retryNow?.()
  }

  /** Starts a new segment, so that the present one may be given up. */
  seal(): boolean {
    const active = this.#active
    if (active === undefined || active.bytes === 0 || this.#running !== undefined) return false
    active.sealed = true
    return true
  }

  /** Ends writing: what cannot be written now is left. Returns how many records never reached a file. */
  async close(): Promise<number> {
    this.#closing = true
    this.retry()
    await this.#running
    // One last attempt: what a failing disk does not sync now stays in the page cache.
    if (this.#dirty) await this.#persist(() => this.#sync())
    let lostCount = 0
    for (const batch of this.#queue.splice(0)) {
      lostCount += Number(batch.lastSeq - batch.firstSeq + 1n)
      if (batch.raw !== undefined) this.#hooks.onTaken(batch.raw.length)
    }
    for (const { resolve } of this.#waiters.splice(0)) resolve()
    if (this.#active !== undefined) this.#active.sealed = true
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
    return lostCount
  }

  #start(): void {
    if (this.#running !== undefined || this.#closing) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      if (this.#queue.length === 0 && !this.#closing) this.#hooks.onIdle(this.lane)
      if (this.#queue.length > 0 || (this.#dirty && this.#syncWanted)) this.#start()
    })
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue[0]
      if (batch === undefined || !(await this.#persist(() => this.#write(batch)))) return
      this.#queue.shift()
      if (batch.raw !== undefined) this.#hooks.onTaken(batch.raw.length)
      this.#settledSeq = batch.lastSeq
      this.#wake()
      this.#hooks.onWritten()
    }
    if (this.#dirty && (this.#syncEachFlush || this.#syncWanted)) await this.#persist(() => this.#sync())
    this.#wake()
  }

  get #syncWanted(): boolean {
    return this.#syncDue || this.#waiters.some(({ synced }) => synced)
  }

  /** The time of what onDirty() told of is up. */
  syncTick(): void {
    if (!this.#dirty) return
    this.#syncDue = true
    this.#start()
  }

  /** Runs a step until it succeeds; false when the lane closes first. */
  async #persist(step: () => Promise<void>): Promise<boolean> {
    while (true) {
      try {
        await step()
        this.#hooks.onGood(this.lane)
        return true
      } catch (error) {
        if (this.#closing) return false
        if (await this.#hooks.onFault(this.lane, error)) continue
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, RETRY_MS)
          this.#retryNow = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        this.#retryNow = undefined
        if (this.#closing) return false
      }
    }
  }

  async #write(batch: Waiting): Promise<void> {
    const { agent, epoch, lane } = this.lane
    const { firstSeq, lastSeq } = batch
    const raw = batch.raw ?? gapBatch({ agent, epoch, lane, firstSeq, lastSeq }, 'spool', batch.cause ?? 'backlog_full')
    const payload =
      raw.length <= AT_ONCE_MAX_BYTES ? deflateRawSync(raw, { level: LEVEL }) : await compress(raw, { level: LEVEL })
    const segment = await this.#segmentFor(firstSeq)
    const frame: Frame = {
      firstSeq,
      lastSeq,
      count: batch.raw === undefined ? 1 : batch.count,
      replaces: false,
      prevHash: this.#hash,
      hash: chainHash(this.#hash, payload),
      payload,
    }
    const bytes = encodeFrame(frame)
    await this.#writeAt(bytes, segment.bytes)
    segment.bytes += bytes.length
    segment.lastSeq = lastSeq
    segment.hash = frame.hash
    this.#hash = frame.hash
    if (!this.#dirty && !this.#syncEachFlush) this.#hooks.onDirty()
    this.#dirty = true
    this.lane.wrote(segment, frame)
    this.lane.onBytes(bytes.length)
  }

  /** Positional, so that a repeated attempt writes over what a failed one left. */
  async #writeAt(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0
    while (done < bytes.length) {
      const { bytesWritten } = (await this.#handle?.write(bytes, done, bytes.length - done, position + done)) ?? {
        bytesWritten: 0,
      }
      if (bytesWritten === 0) throw new Error('the segment file takes no more bytes')
      done += bytesWritten
    }
  }

  async #segmentFor(firstSeq: bigint): Promise<Segment> {
    const active = this.#active
    const usable =
      active !== undefined && !active.sealed && active.hole === undefined && active.bytes < this.segmentBytes
    if (usable && this.#handle !== undefined) return active
    if (active !== undefined && this.#handle !== undefined) {
      if (this.#dirty) await this.#sync()
      active.sealed = true
      const old = this.#handle
      this.#handle = undefined
      await old.close()
    }
    const path = join(this.lane.dir, segmentName(firstSeq))
    this.#handle = await open(path, 'w', 0o600)
    const segment: Segment = {
      path,
      firstSeq,
      lastSeq: firstSeq - 1n,
      bytes: 0,
      prevHash: this.#hash,
      hash: this.#hash,
      sealed: false,
    }
    this.#active = segment
    this.lane.segments.push(segment)
    await syncDirectory(this.lane.dir)
    return segment
  }

  async #sync(): Promise<void> {
    const seq = this.lane.writtenSeq
    await this.#handle?.datasync()
    this.#syncedSeq = seq
    this.#dirty = false
    this.#syncDue = false
  }

  #wake(): void {
    if (this.#waiters.length === 0) return
    this.#waiters = this.#waiters.filter(({ seq, synced, resolve }) => {
      if ((synced ? this.#syncedSeq : this.#settledSeq) < seq) return true
      resolve()
      return false
    })
  }
}
