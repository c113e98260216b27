/**
 * The capture file (docs/capture-format.md): a header, then blocks. Each block is checked and read on its own, so a file cut
 * short is good up to its last whole block. Pure: bytes in, bytes out.
 *
 *   FILE    0 magic (8)   8 format version (u32)   12 header bytes (u32)   16 CRC-32 of 8..16 and the header (u32)   20 header, JSON
 *   BLOCK   0 "HGB1"      4 CRC-32 of all that follows (u32)   8 number (u32)   12 stored bytes (u32)   16 plain bytes (u32)
 *          20 compression (u8, 1: raw deflate) and 3 zero bytes   24 payload
 *   ENTRY   0 type (u8) and length (u24) as one u32   4 payload: an event as it lay in the ring, or JSON
 *
 * Little-endian. A block's plain bytes are entries without space between them; no entry spans two blocks.
 */
import { crc32 } from 'node:zlib'
import { fieldsOf } from '../record/json-fields.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'

/** Like PNG's: not text, and broken by any transfer that changes line ends. */
export const CAPTURE_MAGIC = Uint8Array.of(0x89, 0x48, 0x47, 0x43, 0x41, 0x50, 0x0d, 0x0a)
export const CAPTURE_FORMAT_VERSION = 1
export const FILE_HEADER_BYTES = 20
export const BLOCK_HEADER_BYTES = 24
export const ENTRY_HEADER_BYTES = 4
/** A block is closed at this size; only one huge entry makes it larger. */
export const BLOCK_PLAIN_BYTES = 256 * 1024
/** Far beyond any real entry (an exec event has 45 KiB at most); what a reader will hold for one block. */
export const BLOCK_PLAIN_MAX_BYTES = 4 * 1024 * 1024
/** Deflate may add a little to what does not compress. */
export const BLOCK_STORED_MAX_BYTES = BLOCK_PLAIN_MAX_BYTES + 65_536
export const HEADER_MAX_BYTES = 1024 * 1024
export const COMPRESSION_DEFLATE = 1
const BLOCK_MAGIC = 0x31424748

/** Of an entry; numbers are part of the format. */
export const Entry = {
  EVENT: 1,
  CONTAINER: 2,
  CGROUP: 3,
  PROCESS: 4,
  USER: 5,
  CLOCK: 6,
  LOST: 7,
  SAMPLE: 8,
  OWN_FILE: 9,
  CHANGE: 10,
  END: 15,
} as const
export type Entry = (typeof Entry)[keyof typeof Entry]

export interface CaptureHeader {
  agentVersion: string
  /** Of the generated table of the build that wrote it. */
  abiHash: string
  /** Where each field of each event lies: EVENT_LAYOUT of that build. */
  layout: Readonly<Record<string, string>>
  startedBootNs: bigint
  /** What to add to a CLOCK_BOOTTIME reading for UTC ns, when it began. */
  clockOffsetNs: bigint
  host: { kernel: string; arch: string; cgroups: string }
  /** Kinds of events that were on for every container. */
  kinds: readonly string[]
  /** `--container`: of these containers only; empty: all. */
  containers: readonly string[]
}

export interface BlockHeader {
  crc: number
  number: number
  storedBytes: number
  plainBytes: number
  compression: number
}

export function encodeFileHeader(header: CaptureHeader): Uint8Array {
  const json = Buffer.from(
    JSON.stringify({
      ...header,
      startedBootNs: header.startedBootNs.toString(),
      clockOffsetNs: header.clockOffsetNs.toString(),
    }),
  )
  const bytes = Buffer.alloc(FILE_HEADER_BYTES + json.length)
  bytes.set(CAPTURE_MAGIC, 0)
  bytes.writeUInt32LE(CAPTURE_FORMAT_VERSION, 8)
  bytes.writeUInt32LE(json.length, 12)
  bytes.set(json, FILE_HEADER_BYTES)
  bytes.writeUInt32LE(fileHeaderCrc(bytes.subarray(8, 16), json), 16)
  return bytes
}

export function fileHeaderCrc(sizes: Uint8Array, json: Uint8Array): number {
  return crc32(json, crc32(sizes))
}

/** Throws HullguardError capture_damaged. */
export function parseHeaderJson(json: Uint8Array): CaptureHeader {
  try {
    const fields = fieldsOf(JSON.parse(Buffer.from(json).toString('utf8')), 'header')
    const host = fields.object('host')
    return {
      agentVersion: fields.text('agentVersion'),
      abiHash: fields.text('abiHash'),
      layout: fields.textMap('layout'),
      startedBootNs: fields.big('startedBootNs'),
      clockOffsetNs: fields.big('clockOffsetNs'),
      host: { kernel: host.text('kernel'), arch: host.text('arch'), cgroups: host.text('cgroups') },
      kinds: fields.texts('kinds'),
      containers: fields.texts('containers'),
    }
  } catch (error) {
    throw new HullguardError(
      'capture_damaged',
      `the capture's header cannot be read (byte ${FILE_HEADER_BYTES}): ${messageOf(error)}`,
    )
  }
}

/** The block's header and payload in one piece. */
export function encodeBlock(number: number, plainBytes: number, stored: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(BLOCK_HEADER_BYTES + stored.length)
  bytes.writeUInt32LE(BLOCK_MAGIC, 0)
  bytes.writeUInt32LE(number, 8)
  bytes.writeUInt32LE(stored.length, 12)
  bytes.writeUInt32LE(plainBytes, 16)
  bytes[20] = COMPRESSION_DEFLATE
  bytes.set(stored, BLOCK_HEADER_BYTES)
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
  return bytes
}

/** Undefined when these are not the first bytes of a block that this build can hold. */
export function decodeBlockHeader(bytes: Uint8Array): BlockHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, BLOCK_HEADER_BYTES)
  const header = {
    crc: view.getUint32(4, true),
    number: view.getUint32(8, true),
    storedBytes: view.getUint32(12, true),
    plainBytes: view.getUint32(16, true),
    compression: view.getUint32(20, true),
  }
  const isGood =
    view.getUint32(0, true) === BLOCK_MAGIC &&
    header.compression === COMPRESSION_DEFLATE &&
    header.storedBytes <= BLOCK_STORED_MAX_BYTES &&
    header.plainBytes <= BLOCK_PLAIN_MAX_BYTES
  return isGood ? header : undefined
}

/** What the CRC of a block covers, and its value. */
export function blockCrc(header: Uint8Array, stored: Uint8Array): number {
  return crc32(stored, crc32(header.subarray(8, BLOCK_HEADER_BYTES)))
}
