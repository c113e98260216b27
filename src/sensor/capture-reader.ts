/**
 * Reads a capture block by block. Every length is checked against a bound before anything is held, and every block against
 * its CRC before it is looked at: a damaged or hostile file ends with `capture_damaged` and the byte it is about, one that
 * was cut short with what is whole. Holds one block at a time.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { inflateRawSync } from 'node:zlib'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import {
  BLOCK_HEADER_BYTES,
  blockCrc,
  CAPTURE_FORMAT_VERSION,
  CAPTURE_MAGIC,
  type CaptureHeader,
  decodeBlockHeader,
  ENTRY_HEADER_BYTES,
  FILE_HEADER_BYTES,
  fileHeaderCrc,
  HEADER_MAX_BYTES,
  parseHeaderJson,
} from './capture-format.js'

/** Where the bytes come from: a file, or memory. */
export interface CaptureSource {
  readonly name: string
  readonly sizeBytes: number
  /** Up to lengthBytes from offset on; fewer at the end. */
  read(offset: number, lengthBytes: number): Uint8Array
  close(): void
}

/** A block's entries; valid until the next block is asked for. */
export interface CaptureBlock {
  /** Of the block in the file. */
  offset: number
  number: number
  plain: Uint8Array
}

/** One entry, in `bytes` of its block. */
export interface RawEntry {
  type: number
  start: number
  end: number
}

export class CaptureReader {
  readonly header: CaptureHeader
  readonly #source: CaptureSource
  #offset: number
  #number = 0
  #cutAt: number | undefined

  /** Reads the header. Throws HullguardError capture_unreadable, capture_damaged or capture_version. */
  constructor(source: CaptureSource) {
    this.#source = source
    const start = source.read(0, FILE_HEADER_BYTES)
    if (!CAPTURE_MAGIC.every((byte, at) => start[at] === byte))
      throw new HullguardError('capture_damaged', `${source.name} is no capture: it does not begin like one (byte 0)`)
    if (start.length < FILE_HEADER_BYTES) throw this.#cutInHeader()
    const view = new DataView(start.buffer, start.byteOffset, start.length)
    const version = view.getUint32(8, true)
    if (version !== CAPTURE_FORMAT_VERSION)
      throw new HullguardError(
        'capture_version',
        `${source.name} has format version ${version}; this hullguard reads version ${CAPTURE_FORMAT_VERSION}`,
      )
    const lengthBytes = view.getUint32(12, true)
    if (lengthBytes > HEADER_MAX_BYTES)
      throw new HullguardError('capture_damaged', `${source.name}: a header of ${lengthBytes} bytes (byte 12)`)
    const json = source.read(FILE_HEADER_BYTES, lengthBytes)
    if (json.length < lengthBytes) throw this.#cutInHeader()
    if (fileHeaderCrc(start.subarray(8, 16), json) !== view.getUint32(16, true))
      throw new HullguardError('capture_damaged', `${source.name}: the header's checksum is wrong (byte 16)`)
    this.header = parseHeaderJson(json)
    const { arch } = this.header.host
    if (arch !== process.arch)
      throw new HullguardError(
        'capture_version',
        `${source.name} was recorded on ${arch}, whose system calls have other numbers than those of this machine (${process.arch})`,
      )
    this.#offset = FILE_HEADER_BYTES + lengthBytes
  }

  static open(path: string): CaptureReader {
    const source = openSource(path)
    try {
      return new CaptureReader(source)
    } catch (error) {
      source.close()
      throw error
    }
  }

  /** The byte where the file stops in the middle of a block; undefined: it does not. */
  get cutAt(): number | undefined {
    return this.#cutAt
  }

  get name(): string {
    return this.#source.name
  }

  /** Throws HullguardError capture_damaged. */
  *blocks(): Generator<CaptureBlock> {
    for (;;) {
      const offset = this.#offset
      const head = this.#source.read(offset, BLOCK_HEADER_BYTES)
      if (head.length === 0) return
      if (head.length < BLOCK_HEADER_BYTES) {
        this.#cutAt = offset
        return
      }
      const header = decodeBlockHeader(head)
      if (header === undefined) throw this.damaged(offset, 'no block begins here')
      if (header.number !== this.#number)
        throw this.damaged(offset, `block ${header.number} stands where block ${this.#number} belongs`)
      const copy = head.slice() // the source may use its buffer again
      const stored = this.#source.read(offset + BLOCK_HEADER_BYTES, header.storedBytes)
      if (stored.length < header.storedBytes) {
        this.#cutAt = offset
        return
      }
      if (blockCrc(copy, stored) !== header.crc) throw this.damaged(offset, "the block's checksum is wrong")
      this.#offset = offset + BLOCK_HEADER_BYTES + header.storedBytes
      this.#number += 1
      yield { offset, number: header.number, plain: this.#inflate(offset, stored, header.plainBytes) }
    }
  }

  /** The entries of a block in order. Throws HullguardError capture_damaged. */
  *entries(block: CaptureBlock): Generator<RawEntry> {
    const { plain } = block
    const view = new DataView(plain.buffer, plain.byteOffset, plain.length)
    for (let at = 0; at < plain.length; ) {
      if (at + ENTRY_HEADER_BYTES > plain.length) throw this.damaged(block.offset, `an entry is cut at ${at}`)
      const word = view.getUint32(at, true)
      const start = at + ENTRY_HEADER_BYTES
      const end = start + (word >>> 8)
      if (end > plain.length) throw this.damaged(block.offset, `an entry of ${word >>> 8} bytes at ${at}`)
      yield { type: word & 0xff, start, end }
      at = end
    }
  }

  /** For faults within a block that the caller finds. */
  damaged(offset: number, what: string): HullguardError {
    return new HullguardError(
      'capture_damaged',
      `${this.#source.name} is damaged at byte ${offset} (block ${this.#number}): ${what}; what stands before is whole: \`head -c ${offset}\` keeps it`,
    )
  }

  close(): void {
    this.#source.close()
  }

  #inflate(offset: number, stored: Uint8Array, plainBytes: number): Uint8Array {
    let plain: Uint8Array
    try {
      // One byte more than it may be: what would be longer is an error, not a larger buffer.
      plain = inflateRawSync(stored, { maxOutputLength: plainBytes + 1 })
    } catch (error) {
      throw this.damaged(offset, `the block does not inflate: ${messageOf(error)}`)
    }
    if (plain.length !== plainBytes)
      throw this.damaged(offset, `the block holds ${plain.length} bytes, not ${plainBytes}`)
    return plain
  }

  #cutInHeader(): HullguardError {
    return new HullguardError(
      'capture_damaged',
      `${this.#source.name} ends within its header (byte ${this.#source.sizeBytes}): nothing was recorded into it`,
    )
  }
}

export function sourceOf(bytes: Uint8Array, name = 'the capture'): CaptureSource {
  return {
    name,
    sizeBytes: bytes.length,
    read: (offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes),
    close: () => {},
  }
}

/** Throws HullguardError capture_unreadable. */
function openSource(path: string): CaptureSource {
  const unreadable = (error: unknown) =>
    new HullguardError('capture_unreadable', `cannot read the capture ${path}: ${messageOf(error)}`, { cause: error })
  try {
    const fd = openSync(path, 'r')
    return {
      name: path,
      sizeBytes: fstatSync(fd).size,
      read: (offset, lengthBytes) => {
        try {
          return readFully(fd, offset, lengthBytes)
        } catch (error) {
          throw unreadable(error)
        }
      },
      close: () => closeSync(fd),
    }
  } catch (error) {
    throw unreadable(error)
  }
}

function readFully(fd: number, offset: number, lengthBytes: number): Uint8Array {
  const buffer = Buffer.allocUnsafe(lengthBytes)
  let doneBytes = 0
  while (doneBytes < lengthBytes) {
    const count = readSync(fd, buffer, doneBytes, lengthBytes - doneBytes, offset + doneBytes)
    if (count === 0) break
    doneBytes += count
  }
  return buffer.subarray(0, doneBytes)
}
