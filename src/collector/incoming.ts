/**
 * Checks a frame from an agent before it may be stored: its hash, that its batch says the same as the frame, and that the
 * columns to be indexed hold together. Pure; what fails is refused as `wire_invalid` with the reason.
 */
import { inflateRawSync } from 'node:zlib'
import { chainHash, RAW_BATCH_MAX_BYTES } from '../export/frame.js'
import { decodeIndex, invalid } from '../record/codec.js'
import { type BatchIndex, type Frame, Kind } from '../record/generated/wire.js'
import { messageOf } from '../telemetry/errors.js'

/** SQLite's integers are signed. */
const SEQ_MAX = 2n ** 63n - 1n
/** A batch has at most 2,048; anything near this is not from an agent of ours. */
const RECORDS_MAX = 65_536

/** One bit each in a batch's `kinds`, which SQLite keeps as a signed 64-bit integer. */
const KIND_MAX = 62

export interface EntryGroup {
  containerIndex: number
  kind: number
  ruleIndex: number
  positions: number[]
}

export interface Incoming {
  frame: Frame
  index: BatchIndex
  minTimeNs: bigint
  maxTimeNs: bigint
  /** Bit per kind. */
  kinds: bigint
  groups: EntryGroup[]
}

export function checkFrame(agent: string, helloEpoch: number, frame: Frame): Incoming {
  const { firstSeq, lastSeq, count } = frame
  if (frame.epoch === 0 || frame.epoch > helloEpoch) throw invalid(`epoch ${frame.epoch} has not begun`)
  if (frame.lane !== 1 && frame.lane !== 2) throw invalid(`lane ${frame.lane}`)
  if (firstSeq < 1n || lastSeq < firstSeq || lastSeq > SEQ_MAX) throw invalid('sequence numbers out of range')
  if (count < 1 || count > RECORDS_MAX) throw invalid(`${count} records`)
  if (frame.prevHash.length !== 32 || frame.hash.length !== 32) throw invalid('a hash of the wrong length')
  if (!frame.replaces && Buffer.compare(chainHash(frame.prevHash, frame.payload), frame.hash) !== 0) {
    throw invalid('the hash does not fit the payload')
  }
  const index = decodeIndex(inflate(frame.payload))
  if (
    index.agent !== agent ||
    index.epoch !== frame.epoch ||
    index.lane !== frame.lane ||
    index.firstSeq !== firstSeq ||
    index.count !== count
  ) {
    throw invalid('frame and batch do not say the same')
  }
  const isGap = count === 1 && index.kinds[0] === Kind.GAP
  if (lastSeq !== firstSeq + BigInt(count) - 1n && !isGap) throw invalid('count and sequence numbers do not fit')
  return { frame, index, ...times(index), ...groups(index) }
}

export function inflate(payload: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(payload, { maxOutputLength: RAW_BATCH_MAX_BYTES })
  } catch (error) {
    throw invalid(messageOf(error))
  }
}

function times(index: BatchIndex): { minTimeNs: bigint; maxTimeNs: bigint } {
  // The two differences may be added up together: only their sum, UTC, is wanted.
  let timeNs = 0n
  let minTimeNs = SEQ_MAX
  let maxTimeNs = -SEQ_MAX - 1n
  for (let position = 0; position < index.count; position++) {
    const later = (index.bootNsDeltas[position] ?? 0n) + (index.utcOffsetNsDeltas[position] ?? 0n)
    timeNs = BigInt.asIntN(64, timeNs + later)
    if (timeNs < minTimeNs) minTimeNs = timeNs
    if (timeNs > maxTimeNs) maxTimeNs = timeNs
  }
  return { minTimeNs, maxTimeNs }
}

/** The bit of a kind in that column. */
export function kindBit(kind: number): bigint {
  return 1n << BigInt(kind)
}

function groups(index: BatchIndex): { kinds: bigint; groups: EntryGroup[] } {
  const found = new Map<number, EntryGroup>()
  const ruleCount = index.rules.length
  let low = 0
  let high = 0
  for (let position = 0; position < index.count; position++) {
    const kind = index.kinds[position] ?? 0
    if (kind < 1 || kind > KIND_MAX) throw invalid(`kind ${kind}`)
    const containerIndex = index.containerIndexes[position] ?? 0
    const ruleIndex = index.ruleIndexes[position] ?? 0
    if (kind < 32) low |= 1 << kind
    else high |= 1 << (kind - 32)
    const key = (containerIndex * 64 + kind) * ruleCount + ruleIndex
    const group = found.get(key)
    if (group === undefined) found.set(key, { containerIndex, kind, ruleIndex, positions: [position] })
    else group.positions.push(position)
  }
  return { kinds: (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0), groups: [...found.values()] }
}

/** Ascending positions as differences in varints; empty when they are all of the batch. */
export function encodePositions(positions: readonly number[], count: number): Buffer {
  if (positions.length === count) return Buffer.alloc(0)
  const bytes = Buffer.allocUnsafe(positions.length * 3)
  let length = 0
  let last = 0
  for (const position of positions) {
    let difference = position - last
    last = position
    while (difference > 127) {
      bytes[length++] = (difference & 127) | 128
      difference >>>= 7
    }
    bytes[length++] = difference
  }
  return bytes.subarray(0, length)
}

/** Marks the positions in `into`. */
export function decodePositions(bytes: Uint8Array, into: Uint8Array): void {
  if (bytes.length === 0) into.fill(1)
  let position = 0
  let difference = 0
  let shift = 0
  for (const byte of bytes) {
    difference |= (byte & 127) << shift
    shift += 7
    if (byte > 127) continue
    position += difference
    if (position < into.length) into[position] = 1
    difference = 0
    shift = 0
  }
}
