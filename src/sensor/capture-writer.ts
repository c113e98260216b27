/**
 * Writes a capture, in the order it is given entries. Runs in the agent beside everything else: the compression is done on
 * libuv's threads, and what waits for it or for the output is bounded. When that bound is reached events are left out, and
 * the capture says how many and where.
 *
 * Fail direction: a recording never slows or stops the agent. An output that fails ends the recording with its error.
 */
import { promisify } from 'node:util'
import { deflateRaw } from 'node:zlib'
import { messageOf } from '../telemetry/errors.js'
import {
  BLOCK_PLAIN_BYTES,
  BLOCK_PLAIN_MAX_BYTES,
  type CaptureHeader,
  ENTRY_HEADER_BYTES,
  Entry,
  encodeBlock,
  encodeFileHeader,
} from './capture-format.js'

/** Resolves when the bytes are taken; the next ones come after. */
export type CaptureOutput = (bytes: Uint8Array) => Promise<void>

/** Half a second of the fastest event stream that an agent handles, as plain blocks. */
const WAITING_MAX_BYTES = 32 * 1024 * 1024
const deflate = promisify(deflateRaw)

export interface CaptureTotals {
  eventsCount: number
  /** Events left out because the output was too slow. */
  leftOutCount: number
  sizeBytes: number
}

export class CaptureWriter {
  readonly #output: CaptureOutput
  readonly #onFailure: () => void
  #block = Buffer.allocUnsafe(BLOCK_PLAIN_BYTES)
  #usedBytes = 0
  #number = 0
  #waitingBytes = 0
  #queue: Promise<void>
  #failure: unknown
  #leftOutNow = 0
  #isClosed = false
  readonly totals: CaptureTotals = { eventsCount: 0, leftOutCount: 0, sizeBytes: 0 }

  /** onFailure: the output failed, once; `failure` says how. */
  constructor(header: CaptureHeader, output: CaptureOutput, onFailure: () => void = () => {}) {
    this.#output = output
    this.#onFailure = onFailure
    this.#queue = this.#put(encodeFileHeader(header)).catch((error: unknown) => this.#fail(error))
  }

  /** Why the output failed; nothing more is written then. */
  get failure(): unknown {
    return this.#failure
  }

  /** Copies the event. */
  event(bytes: Uint8Array, at: number, sizeBytes: number): void {
    if (this.#waitingBytes > WAITING_MAX_BYTES) {
      this.#leftOutNow += 1
      this.totals.leftOutCount += 1
      return
    }
    this.#noteLeftOut()
    const place = this.#place(Entry.EVENT, sizeBytes)
    if (place === undefined) return
    this.#block.set(bytes.subarray(at, at + sizeBytes), place)
    this.totals.eventsCount += 1
  }

  /** Any other entry: small, and never left out. Values of 64 bits go in as decimal text. */
  entry(type: Entry, value: object): void {
    const json = Buffer.from(
      JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? item.toString() : item)),
    )
    const place = this.#place(type, json.length)
    if (place !== undefined) this.#block.set(json, place)
  }

  /** Closes the block that is being filled: it is safe once the output has it. */
  flush(): void {
    if (this.#usedBytes === 0) return
    const plain = this.#block.subarray(0, this.#usedBytes)
    const number = this.#number++
    this.#block = Buffer.allocUnsafe(BLOCK_PLAIN_BYTES)
    this.#usedBytes = 0
    this.#waitingBytes += plain.length
    this.#queue = this.#queue
      .then(async () => {
        if (this.#failure === undefined) await this.#put(encodeBlock(number, plain.length, await deflate(plain)))
      })
      .catch((error: unknown) => this.#fail(error))
      .then(() => {
        this.#waitingBytes -= plain.length
      })
  }

  /** Writes the end and waits until the output has everything. Throws what the output failed with. Idempotent. */
  async close(reason: string): Promise<CaptureTotals> {
    if (!this.#isClosed) {
      this.#isClosed = true
      this.#noteLeftOut()
      const { eventsCount, leftOutCount } = this.totals
      this.entry(Entry.END, { reason, eventsCount, leftOutCount, blocksCount: this.#number + 1 })
      this.flush()
    }
    await this.#queue
    if (this.#failure !== undefined)
      throw this.#failure instanceof Error ? this.#failure : new Error(messageOf(this.#failure))
    return this.totals
  }

  #noteLeftOut(): void {
    if (this.#leftOutNow === 0) return
    const count = this.#leftOutNow
    this.#leftOutNow = 0
    this.entry(Entry.LOST, { source: 'capture', cpu: 0, firstSeq: '0', lastSeq: '0', count: String(count) })
  }

  /** Where the payload goes; undefined when it fits in no block (then it is counted as left out). */
  #place(type: Entry, sizeBytes: number): number | undefined {
    const wholeBytes = ENTRY_HEADER_BYTES + sizeBytes
    if (wholeBytes > BLOCK_PLAIN_MAX_BYTES) {
      this.totals.leftOutCount += 1
      return undefined
    }
    if (this.#usedBytes + wholeBytes > this.#block.length) this.flush()
    if (wholeBytes > this.#block.length) this.#block = Buffer.allocUnsafe(wholeBytes)
    this.#block.writeUInt32LE((type | (sizeBytes << 8)) >>> 0, this.#usedBytes)
    const place = this.#usedBytes + ENTRY_HEADER_BYTES
    this.#usedBytes += wholeBytes
    return place
  }

  async #put(bytes: Uint8Array): Promise<void> {
    await this.#output(bytes)
    this.totals.sizeBytes += bytes.length
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error ?? new Error('the output failed')
    this.#onFailure()
  }
}
