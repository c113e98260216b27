/**
 * 64-bit varints as bigint over protobufjs's Writer and Reader, and the bounds checks of nested messages. The generated
 * code (generated/wire.ts) is built on these. Values keep all 64 bits; a length that leaves its message is refused.
 */
import protobuf from 'protobufjs/minimal.js'

export const EMPTY = new Uint8Array(0)

/**
 * One of each class that comes and goes stays alive. V8 forgets the hidden class of objects that are gone, and with it all code that
 * it had compiled for them. An agent that rests between two bursts has none left, and each burst would begin with slow code and end
 * with compiling it again.
 */
export const KEPT_ALIVE: readonly unknown[] = [
  new protobuf.util.LongBits(0xffffffff, 0xffffffff),
  protobuf.Reader.create(EMPTY),
  protobuf.Reader.create(Buffer.alloc(0)),
]

// One shared cell moves 64 bits between two 32-bit halves and a bigint without arithmetic on bigints (little-endian hosts).
const halves = new Uint32Array(2)
const unsigned = new BigUint64Array(halves.buffer)
const signed = new BigInt64Array(halves.buffer)

interface Halves {
  low: number
  high: number
}

const long = { low: 0, high: 0, unsigned: true }

export function writeUint64(writer: protobuf.Writer, value: bigint): void {
  unsigned[0] = value
  const high = halves[1] ?? 0
  if (high === 0) {
    writer.uint32(halves[0] ?? 0)
    return
  }
  long.low = halves[0] ?? 0
  long.high = high
  writer.uint64(long as Parameters<typeof writer.uint64>[0])
}

export function writeSint64(writer: protobuf.Writer, value: bigint): void {
  signed[0] = value
  writeSint64Halves(writer, halves[0] ?? 0, halves[1] ?? 0)
}

function writeSint64Halves(writer: protobuf.Writer, low: number, high: number): void {
  // Zigzag of a value that fits 32 bits is the same varint, and much cheaper.
  if ((high | 0) === (low | 0) >> 31) {
    writer.sint32(low | 0)
    return
  }
  long.low = low
  long.high = high
  writer.sint64(long as Parameters<typeof writer.sint64>[0])
}

/** A packed column of sint64 in which each value stands as its difference from the one before. Makes no bigint. */
export class DifferenceColumn {
  #low = 0
  #high = 0

  /** The next value is `of - from`. */
  put(writer: protobuf.Writer, of: bigint, from: bigint): void {
    signed[0] = of
    const ofLow = halves[0] ?? 0
    const ofHigh = halves[1] ?? 0
    signed[0] = from
    const fromLow = halves[0] ?? 0
    const low = (ofLow - fromLow) >>> 0
    const high = (ofHigh - (halves[1] ?? 0) - (ofLow < fromLow ? 1 : 0)) >>> 0
    const borrow = low < this.#low ? 1 : 0
    writeSint64Halves(writer, (low - this.#low) >>> 0, (high - this.#high - borrow) >>> 0)
    this.#low = low
    this.#high = high
  }
}

export function readUint64(reader: protobuf.Reader): bigint {
  const { low, high }: Halves = reader.uint64()
  halves[0] = low
  halves[1] = high
  return unsigned[0] ?? 0n
}

export function readSint64(reader: protobuf.Reader): bigint {
  const { low, high }: Halves = reader.sint64()
  halves[0] = low
  halves[1] = high
  return signed[0] ?? 0n
}

/** End of the packed field that starts here. */
export function packedEnd(reader: protobuf.Reader): number {
  const length = reader.uint32()
  const end = reader.pos + length
  checkEnd(reader, end)
  return end
}

export function checkEnd(reader: protobuf.Reader, end: number): void {
  if (end > reader.len) throw new RangeError('a nested message is longer than what holds it')
}

export function checkStop(reader: protobuf.Reader, end: number): void {
  if (reader.pos !== end) throw new RangeError('a field runs over the end of its message')
}
