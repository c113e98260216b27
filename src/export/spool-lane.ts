/**
 * One lane of one epoch on disk: an ordered list of segments, each a file of frames or a hole where a file was given up.
 * Reads frames for sending, forgets what is acknowledged, gives up whole segments. Asynchronous I/O only; the writer
 * (lane-writer.ts) appends to the last segment of the running epoch.
 *
 * A hole is a file of length 0 named `FIRST-LAST.full`: renaming and truncating need no space on a full disk. Its hashes
 * are its neighbours'. A segment that turns out damaged when read is sent as a hole too; it is never sent as it is.
 */
import { type FileHandle, open, rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lane } from '../record/model.js'
import { errnoOf } from '../telemetry/errors.js'
import { decodeFrame, FRAME_HEADER_BYTES, type Frame, frameBytes } from './frame.js'
import { gapPayload } from './gap-record.js'

/** One read gets a usual frame whole. */
const READ_BYTES = 65_536

export interface Segment {
  path: string
  firstSeq: bigint
  /** Last sequence number in a whole frame; firstSeq - 1 while there is none. */
  lastSeq: bigint
  bytes: number
  prevHash: Uint8Array
  /** Of the last whole frame. */
  hash: Uint8Array
  /** Why it is a hole; undefined for a file of frames. */
  hole?: string
  /** The writer is done with it. */
  sealed: boolean
}

export function segmentName(firstSeq: bigint): string {
  return `${firstSeq.toString().padStart(20, '0')}.seg`
}

export function holeName(firstSeq: bigint, lastSeq: bigint): string {
  return `${firstSeq.toString().padStart(20, '0')}-${lastSeq.toString().padStart(20, '0')}.full`
}

/** Where a reader stands. */
interface Cursor {
  segment: Segment
  handle: FileHandle
  offset: number
  prevHash: Uint8Array
}

/** The end of a frame. */
interface Place {
  segment: Segment
  offset: number
  hash: Uint8Array
}

export class SpoolLane {
  readonly segments: Segment[] = []
  /** Highest that may be sent: it is in a file. */
  writtenSeq = 0n
  ackedSeq = 0n
  #cursor: Cursor | undefined
  /** Written last and not sent yet: mostly that is next, and need not be read. */
  #fresh: { frame: Frame; end: Place } | undefined
  /** Where sending stands, while no cursor does. */
  #passed: Place | undefined
  /** Next to send. */
  nextSeq = 1n

  constructor(
    readonly agent: string,
    readonly epoch: number,
    readonly lane: Lane,
    readonly dir: string,
    /** Called when a segment's bytes changed. */
    readonly onBytes: (change: number) => void,
    /** Called when a read found a damaged segment. */
    readonly onDamage: (segment: Segment) => void,
  ) {}

  get hasNext(): boolean {
    return this.nextSeq <= this.writtenSeq
  }

  /** Everything is acknowledged. */
  get isDone(): boolean {
    return this.ackedSeq >= this.writtenSeq
  }

  get pendingCount(): bigint {
    return this.writtenSeq - this.ackedSeq
  }

  /** The frame is in the file, at its end. */
  wrote(segment: Segment, frame: Frame): void {
    this.writtenSeq = frame.lastSeq
    this.#fresh = { frame, end: { segment, offset: segment.bytes, hash: frame.hash } }
  }

  /** Send again from the first that is not acknowledged. */
  async rewind(): Promise<void> {
    this.nextSeq = this.ackedSeq + 1n
    await this.#closeCursor()
  }

  /** The next frame to send, or undefined when all that is written was given. One caller at a time. */
  async next(): Promise<Frame | undefined> {
    while (this.nextSeq <= this.writtenSeq) {
      const segment = this.segments.find(({ lastSeq }) => lastSeq >= this.nextSeq)
      if (segment === undefined) return undefined
      const frame = await this.#read(segment)
      if (frame === undefined) continue
      this.nextSeq = frame.lastSeq + 1n
      return frame
    }
    return undefined
  }

  /** Stored by the collector up to seq: whole segments below it go. */
  async acknowledge(seq: bigint): Promise<void> {
    if (seq <= this.ackedSeq) return
    this.ackedSeq = seq
    if (this.nextSeq <= seq) {
      this.nextSeq = seq + 1n
      await this.#closeCursor()
    }
    while (true) {
      const oldest = this.segments[0]
      if (oldest === undefined || !oldest.sealed || oldest.lastSeq > seq) return
      await this.#remove(oldest)
    }
  }

  /** Removes all files of an acknowledged lane, the open segment's too. */
  async removeAll(): Promise<void> {
    await this.#closeCursor()
    for (const segment of [...this.segments]) await this.#remove(segment)
  }

  /** The oldest sealed file of frames. */
  oldestFile(): Segment | undefined {
    return this.segments.find((segment) => segment.hole === undefined && segment.sealed)
  }

  /** Gives a sealed segment up: its records become a hole. Returns how many records of it were not acknowledged. */
  async giveUp(segment: Segment, cause: string): Promise<bigint> {
    const index = this.segments.indexOf(segment)
    if (index < 0 || segment.hole !== undefined) return 0n
    const before = this.segments[index - 1]
    const merges = before?.hole === cause && before.lastSeq + 1n === segment.firstSeq
    const firstSeq = merges ? before.firstSeq : segment.firstSeq
    const path = join(this.dir, holeName(firstSeq, segment.lastSeq))
    const freed = segment.bytes
    const lostFromSeq = segment.firstSeq > this.ackedSeq ? segment.firstSeq : this.ackedSeq + 1n
    const oldPath = segment.path
    // In memory first: from here on a reader sees the hole, whatever the disk does.
    segment.hole = cause
    segment.bytes = 0
    segment.path = path
    this.onBytes(-freed)
    if (merges) {
      segment.firstSeq = before.firstSeq
      segment.prevHash = before.prevHash
      this.segments.splice(index - 1, 1)
      await rename(before.path, path)
      await rm(oldPath, { force: true })
    } else {
      await rename(oldPath, path)
      await truncate(path, 0)
    }
    return segment.lastSeq - lostFromSeq + 1n
  }

  async close(): Promise<void> {
    await this.#closeCursor()
  }

  async #read(segment: Segment): Promise<Frame | undefined> {
    if (segment.hole !== undefined || segment.firstSeq > this.nextSeq) return this.#gap(segment)
    const fresh = this.#fresh
    if (fresh?.end.segment === segment && fresh.frame.firstSeq === this.nextSeq) {
      this.#fresh = undefined
      await this.#closeCursor()
      this.#passed = fresh.end
      return fresh.frame
    }
    const cursor = await this.#cursorIn(segment)
    const frame = cursor === undefined ? undefined : await readFrame(cursor)
    // While reading, the segment may have been given up or acknowledged: then look again.
    if (segment.hole !== undefined || !this.segments.includes(segment)) {
      await this.#closeCursor()
      return undefined
    }
    if (cursor === undefined || frame === undefined || frame.lastSeq > segment.lastSeq) {
      segment.hole = 'damaged'
      this.onDamage(segment)
      await this.#closeCursor()
      return undefined
    }
    cursor.offset += FRAME_HEADER_BYTES + frame.payload.length
    cursor.prevHash = frame.hash
    return frame.lastSeq < this.nextSeq ? undefined : frame
  }

  /** A hole, or the space before a segment, as a frame. */
  #gap(segment: Segment): Frame {
    const missing = segment.hole === undefined
    const lastSeq = missing ? segment.firstSeq - 1n : segment.lastSeq
    const hash = missing ? segment.prevHash : segment.hash
    const place = { agent: this.agent, epoch: this.epoch, lane: this.lane, firstSeq: this.nextSeq, lastSeq }
    return {
      firstSeq: this.nextSeq,
      lastSeq,
      count: 1,
      replaces: true,
      prevHash: this.#cursor?.prevHash ?? this.#passed?.hash ?? segment.prevHash,
      hash,
      payload: gapPayload(place, 'spool', segment.hole ?? 'segment_missing', hash),
    }
  }

  async #cursorIn(segment: Segment): Promise<Cursor | undefined> {
    if (this.#cursor?.segment === segment) return this.#cursor
    const passed = this.#passed?.segment === segment ? this.#passed : undefined
    await this.#closeCursor()
    try {
      const handle = await open(segment.path, 'r')
      this.#cursor = { segment, handle, offset: passed?.offset ?? 0, prevHash: passed?.hash ?? segment.prevHash }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
    return this.#cursor
  }

  async #closeCursor(): Promise<void> {
    const cursor = this.#cursor
    this.#cursor = undefined
    this.#passed = undefined
    await cursor?.handle.close()
  }

  async #remove(segment: Segment): Promise<void> {
    const index = this.segments.indexOf(segment)
    if (index >= 0) this.segments.splice(index, 1)
    if (this.#cursor?.segment === segment) await this.#closeCursor()
    this.onBytes(-segment.bytes)
    await rm(segment.path, { force: true })
  }
}

async function readFrame({ handle, offset }: Cursor): Promise<Frame | undefined> {
  const first = Buffer.allocUnsafe(READ_BYTES)
  const { bytesRead } = await handle.read(first, 0, READ_BYTES, offset)
  if (bytesRead < FRAME_HEADER_BYTES) return undefined
  const head = first.subarray(0, bytesRead)
  const length = frameBytes(head, 0)
  if (length === undefined) return undefined
  if (length <= bytesRead) return decodeFrame(head, 0)
  const whole = Buffer.allocUnsafe(length)
  head.copy(whole)
  const rest = await handle.read(whole, bytesRead, length - bytesRead, offset + bytesRead)
  return rest.bytesRead < length - bytesRead ? undefined : decodeFrame(whole, 0)
}
