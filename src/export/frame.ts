/**
 * One frame of a segment file: a compressed batch with what is needed to check and send it without decoding it.
 *
 *    0 magic "HGF1"        4 payload bytes (u32)     8 CRC-32 of all that follows (u32)
 *   12 flags (u32)        16 records (u32)          20 zero (u32)
 *   24 first seq (u64)    32 last seq (u64)         40 previous hash (32)      72 hash (32)
 *  104 payload
 *
 * Little-endian. hash = SHA-256(previous hash, payload): each lane is one chain, so that a frame cannot be changed, put in
 * or taken out unnoticed. Pure, no I/O.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Lane } from '../record/model.js'

export const FRAME_HEADER_BYTES = 104
/** A batch is closed at 256 KiB; one huge record may exceed that, but not this (the collector refuses larger messages). */
export const RAW_BATCH_MAX_BYTES = 8 * 1024 * 1024
/** Deflate may add a little to what does not compress. */
export const PAYLOAD_MAX_BYTES = RAW_BATCH_MAX_BYTES + 65_536
const MAGIC = 0x31464748
const REPLACES = 1

export interface Frame {
  firstSeq: bigint
  /** Beyond firstSeq + count - 1 when the frame's gap record stands for records that are missing. */
  lastSeq: bigint
  count: number
  /** Took the place of frames that went: hash is that of the last of them. */
  replaces: boolean
  prevHash: Uint8Array
  hash: Uint8Array
  payload: Uint8Array
}

/** Where a lane's chain begins. */
export function genesisHash(agent: string, epoch: number, lane: Lane): Uint8Array {
  return createHash('sha256').update(`hullguard/v1/${agent}/${epoch}/${lane}`).digest()
}

export function chainHash(prevHash: Uint8Array, payload: Uint8Array): Uint8Array {
  return createHash('sha256').update(prevHash).update(payload).digest()
}

export function encodeFrame(frame: Frame): Uint8Array {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + frame.payload.length)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt32LE(frame.payload.length, 4)
  bytes.writeUInt32LE(frame.replaces ? REPLACES : 0, 12)
  bytes.writeUInt32LE(frame.count, 16)
  bytes.writeUInt32LE(0, 20)
  bytes.writeBigUInt64LE(frame.firstSeq, 24)
  bytes.writeBigUInt64LE(frame.lastSeq, 32)
  bytes.set(frame.prevHash, 40)
  bytes.set(frame.hash, 72)
  bytes.set(frame.payload, FRAME_HEADER_BYTES)
  bytes.writeUInt32LE(crc32(bytes.subarray(12)), 8)
  return bytes
}

/**
 * Whole length of the frame that starts at offset, from its header alone; undefined when no header is there. `bytes` must
 * hold FRAME_HEADER_BYTES from offset on.
 */
export function frameBytes(bytes: Buffer, offset: number): number | undefined {
  if (offset + FRAME_HEADER_BYTES > bytes.length || bytes.readUInt32LE(offset) !== MAGIC) return undefined
  const payloadBytes = bytes.readUInt32LE(offset + 4)
  return payloadBytes > PAYLOAD_MAX_BYTES ? undefined : FRAME_HEADER_BYTES + payloadBytes
}

/** The frame at offset, or undefined when what is there is not a whole, undamaged frame. The payload is not copied. */
export function decodeFrame(bytes: Buffer, offset: number): Frame | undefined {
  const length = frameBytes(bytes, offset)
  if (length === undefined || offset + length > bytes.length) return undefined
  if (crc32(bytes.subarray(offset + 12, offset + length)) !== bytes.readUInt32LE(offset + 8)) return undefined
  const frame: Frame = {
    firstSeq: bytes.readBigUInt64LE(offset + 24),
    lastSeq: bytes.readBigUInt64LE(offset + 32),
    count: bytes.readUInt32LE(offset + 16),
    replaces: (bytes.readUInt32LE(offset + 12) & REPLACES) !== 0,
    prevHash: bytes.subarray(offset + 40, offset + 72),
    hash: bytes.subarray(offset + 72, offset + FRAME_HEADER_BYTES),
    payload: bytes.subarray(offset + FRAME_HEADER_BYTES, offset + length),
  }
  return frame.lastSeq < frame.firstSeq ? undefined : frame
}
