/**
 * From packets to names: a DNS message over UDP is whole in itself; a connection's bytes are put in order by where they stand in
 * it until the name is found. Bounded; what is forgotten before its name was found, and what cannot be read, is counted.
 *
 * INVARIANT: the same packets of a connection give the same names in any order, and each name once, where those that overlap hold
 * the same bytes and at most WAITING_MAX_COUNT wait for one before them. Of bytes that differ the first to come counts.
 */
import type { Counters } from '../../telemetry/counters.js'
import { Direction, EvPacket, PACKET_MAX_BYTES, PacketFlag } from '../generated/abi.js'
import { type DnsMessage, parseDns } from './dns.js'
import { type RequestHead, RequestReader } from './http.js'
import { type ClientHello, parseClientHello } from './tls.js'

/** Where the connection, or the message, went to or came from. */
export interface FarEnd {
  /** 16 bytes, IPv4 mapped. */
  address: Uint8Array
  port: number
  /** IPPROTO_*. */
  proto: number
  /** The socket is an IPv4 one. */
  isIpv4: boolean
  cookie: bigint
}

export type FoundName = { far: FarEnd } & (
  | { kind: 'dns'; dns: DnsMessage }
  | { kind: 'tls'; tls: ClientHello }
  | { kind: 'http'; http: RequestHead }
)

export const NAME_KINDS = ['dns', 'tls', 'http'] as const
export type NameKind = (typeof NAME_KINDS)[number]

interface Segment {
  offset: number
  bytes: Uint8Array
}

interface Stream {
  far: FarEnd
  /** From the first byte on, without a hole. */
  bytes: Buffer
  usedBytes: number
  waiting: Segment[]
  /** Undefined: it is not read as HTTP so far. */
  request: RequestReader | undefined
  /** Where it ends, as far as it is told; undefined: not known yet. */
  endBytes: number | undefined
  /** Its name is found, or there is none: what still comes is not looked at. */
  isDone: boolean
}

const DNS_PORT = 53
const IPPROTO_TCP = 6
const TLS_HANDSHAKE = 22
const LENGTH_BYTES = 2 // before each DNS message over TCP, RFC 1035 4.2.2
/** Connections whose names are being looked for at one time, or were found a moment ago. */
const STREAMS_MAX_COUNT = 4096
/** What those hold together: 1,000 whole fronts. */
const HELD_MAX_BYTES = 4 * 1024 * 1024
/** Out of order at one time; a front of 4 KiB has three segments of the usual size. */
const WAITING_MAX_COUNT = 16

export class NameStreams {
  readonly #streams = new Map<bigint, Stream>()
  readonly #counters: Counters
  #heldBytes = 0

  constructor(counters: Counters) {
    this.#counters = counters
    counters.define(
      'names_unreadable_total',
      'counter',
      'DNS messages and fronts of connections that could not be read',
    )
    counters.define('names_forgotten_total', 'counter', 'Connections given up before their name was found, by cause')
  }

  /** The names that this packet completes, in their order. */
  take(event: EvPacket): FoundName[] {
    const start = event.at + EvPacket.SIZE_BYTES
    const bytes = event.bytes.subarray(start, start + event.dataBytes)
    if (event.proto !== IPPROTO_TCP) {
      const dns = parseDns(bytes)
      if (dns === undefined) {
        this.#unreadable('dns')
        return []
      }
      if (event.payloadBytes > event.dataBytes) dns.isTruncated = true
      return [{ kind: 'dns', dns, far: farEnd(event) }]
    }
    const key = keyOf(event.cookie, event.direction)
    let stream = this.#streams.get(key)
    if (stream === undefined) {
      stream = {
        ...{ far: farEnd(event), bytes: EMPTY, usedBytes: 0, waiting: [], request: undefined },
        ...{ endBytes: undefined, isDone: false },
      }
      this.#streams.set(key, stream)
    }
    if (stream.isDone) return []
    if ((event.flags & PacketFlag.LAST) !== 0) stream.endBytes = event.offsetBytes + event.dataBytes
    this.#add(stream, event.offsetBytes, bytes)
    const found = this.#read(stream, stream.bytes.length === stream.endBytes)
    this.#bound()
    return found
  }

  /** The connection is over: what its bytes tell as they are. */
  closed(cookie: bigint): FoundName[] {
    const found: FoundName[] = []
    for (const direction of [Direction.OUT, Direction.IN]) {
      const key = keyOf(cookie, direction)
      const stream = this.#streams.get(key)
      if (stream === undefined) continue
      // before it is read: that lets go of what waits
      const hasHole = stream.waiting.length > 0
      const names = this.#read(stream, true)
      // a name before the hole says itself that it was cut; of DNS others may have stood behind it
      if (hasHole && (names.length === 0 || stream.far.port === DNS_PORT)) this.#forgotten('hole')
      found.push(...names)
      this.#forget(key, stream)
    }
    return found
  }

  /** Nothing more will come. */
  flush(): void {
    for (const [key, stream] of this.#streams) {
      if (isUnread(stream)) this.#forgotten('stop')
      this.#forget(key, stream)
    }
  }

  #add(stream: Stream, offset: number, bytes: Uint8Array): void {
    if (offset > stream.bytes.length) {
      if (stream.waiting.length === WAITING_MAX_COUNT || offset + bytes.length > PACKET_MAX_BYTES) {
        this.#forgotten('disorder')
        this.#done(stream)
        return
      }
      stream.waiting.push({ offset, bytes: bytes.slice() })
      this.#heldBytes += bytes.length
      return
    }
    this.#append(stream, offset, bytes)
    for (let isMoving = true; isMoving; ) {
      isMoving = false
      for (const [index, segment] of stream.waiting.entries()) {
        if (segment.offset > stream.bytes.length) continue
        stream.waiting.splice(index, 1)
        this.#heldBytes -= segment.bytes.length
        this.#append(stream, segment.offset, segment.bytes)
        isMoving = true
        break
      }
    }
  }

  /** Of bytes that come twice the first count, as to the receiver. */
  #append(stream: Stream, offset: number, bytes: Uint8Array): void {
    const room = PACKET_MAX_BYTES - stream.bytes.length
    const fresh = bytes.subarray(Math.min(stream.bytes.length - offset, bytes.length)).subarray(0, room)
    if (fresh.length === 0) return
    stream.bytes = Buffer.concat([stream.bytes, fresh])
    this.#heldBytes += fresh.length
  }

  #read(stream: Stream, isLast: boolean): FoundName[] {
    if (stream.isDone) return []
    if (stream.far.port === DNS_PORT) return this.#readDns(stream, isLast)
    const { bytes, far } = stream
    if (bytes.length === 0) return []
    const isTls = bytes[0] === TLS_HANDSHAKE
    if (!isTls) stream.request ??= new RequestReader()
    const read = stream.request === undefined ? parseClientHello(bytes, isLast) : stream.request.read(bytes, isLast)
    if (read === 'more') return []
    this.#done(stream)
    if (read === undefined) {
      this.#unreadable(isTls ? 'tls' : 'http')
      return []
    }
    return ['sni' in read ? { kind: 'tls', tls: read, far } : { kind: 'http', http: read, far }]
  }

  #readDns(stream: Stream, isLast: boolean): FoundName[] {
    const found: FoundName[] = []
    const { bytes, far } = stream
    while (stream.usedBytes + LENGTH_BYTES <= bytes.length) {
      const start = stream.usedBytes + LENGTH_BYTES
      const end = start + bytes.readUInt16BE(stream.usedBytes)
      const isCut = end > bytes.length
      if (isCut && !isLast) break
      const dns = parseDns(bytes, start, Math.min(end, bytes.length))
      stream.usedBytes = Math.min(end, bytes.length)
      if (dns === undefined) {
        this.#unreadable('dns')
        continue
      }
      if (isCut) dns.isTruncated = true
      found.push({ kind: 'dns', dns, far })
    }
    if (isLast) this.#done(stream)
    return found
  }

  /** It stays known for a while, so that what comes late is not taken for a new one. */
  #done(stream: Stream): void {
    this.#heldBytes -= heldBytes(stream)
    stream.bytes = EMPTY
    stream.waiting = []
    stream.request = undefined
    stream.isDone = true
  }

  #forget(key: bigint, stream: Stream): void {
    this.#streams.delete(key)
    this.#heldBytes -= heldBytes(stream)
  }

  #bound(): void {
    for (const [key, stream] of this.#streams) {
      const isFull = this.#streams.size > STREAMS_MAX_COUNT
      if (!isFull && this.#heldBytes <= HELD_MAX_BYTES) return
      if (isUnread(stream)) this.#forgotten(isFull ? 'connections' : 'bytes')
      this.#forget(key, stream)
    }
  }

  #forgotten(cause: 'disorder' | 'hole' | 'stop' | 'connections' | 'bytes'): void {
    this.#counters.add('names_forgotten_total', 1, { cause })
  }

  #unreadable(what: NameKind): void {
    this.#counters.add('names_unreadable_total', 1, { what })
  }
}

const EMPTY = Buffer.alloc(0)

/** It has bytes whose name was not found. */
function isUnread({ bytes, waiting, usedBytes, isDone }: Stream): boolean {
  return !isDone && bytes.length + waiting.length > usedBytes
}

function heldBytes({ bytes, waiting }: Stream): number {
  return waiting.reduce((sum, segment) => sum + segment.bytes.length, bytes.length)
}

function keyOf(cookie: bigint, direction: number): bigint {
  return cookie * 2n + BigInt(direction)
}

function farEnd(event: EvPacket): FarEnd {
  const { remotePort, proto, family, cookie } = event
  return { address: event.remoteAddress.slice(), port: remotePort, proto, isIpv4: family === 4, cookie }
}
