/**
 * DNS messages (RFC 1035 4). Input is hostile: names may point in circles, lengths may lie. A message whose question cannot be
 * read is none; of one whose answers cannot be read, those before stay. Work is bounded by the message's bytes,
 * ENTRIES_MAX_COUNT and, for each name, NAME_MAX_BYTES and POINTERS_MAX_COUNT.
 */
import { formatIp } from '../../record/ip-text.js'
import { ByteReader } from './byte-reader.js'

export interface DnsMessage {
  isAnswer: boolean
  id: number
  /** In lower case, since names compare without case; without the last dot. Bytes that no host name has are `\DDD`. */
  query: string
  qtype: string
  /** Empty for a query. */
  rcode: string
  answers: string[]
  /** How long each of `answers` may be kept. */
  ttlsS: number[]
  isTruncated: boolean
}

/** More than any resolver gives to one question; the rest counts as truncated. */
const ANSWERS_MAX_COUNT = 32
/** Of questions, and of records in the answer section: more are not read, and the message counts as truncated. */
const ENTRIES_MAX_COUNT = 128
/** From one to the next without a label between them; real messages have one. With NAME_MAX_BYTES it bounds the walk of a name. */
const POINTERS_MAX_COUNT = 4
const HEADER_BYTES = 12
/** RFC 1035 3.1: of a whole name. */
const NAME_MAX_BYTES = 255
const POINTER = 0xc0

const FLAG_ANSWER = 0x8000
const FLAG_TRUNCATED = 0x0200
const RCODE_MASK = 0x000f

/** IANA, DNS parameters: by their numbers. */
const TYPES: ReadonlyMap<number, string> = new Map([
  ...([
    [1, 'A'],
    [2, 'NS'],
    [5, 'CNAME'],
    [6, 'SOA'],
    [10, 'NULL'],
    [12, 'PTR'],
    [13, 'HINFO'],
    [15, 'MX'],
  ] as const),
  ...([
    [16, 'TXT'],
    [28, 'AAAA'],
    [33, 'SRV'],
    [35, 'NAPTR'],
    [39, 'DNAME'],
    [41, 'OPT'],
    [43, 'DS'],
  ] as const),
  ...([
    [44, 'SSHFP'],
    [46, 'RRSIG'],
    [47, 'NSEC'],
    [48, 'DNSKEY'],
    [52, 'TLSA'],
    [64, 'SVCB'],
    [65, 'HTTPS'],
  ] as const),
  ...([
    [99, 'SPF'],
    [251, 'IXFR'],
    [252, 'AXFR'],
    [255, 'ANY'],
    [257, 'CAA'],
  ] as const),
])
const RCODES =
  'NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET NOTAUTH NOTZONE DSOTYPENI'.split(' ')

/** undefined: this is no DNS message. */
export function parseDns(bytes: Uint8Array, start = 0, end = bytes.length): DnsMessage | undefined {
  if (end - start < HEADER_BYTES) return undefined
  const reader = new ByteReader(bytes, start, end)
  const id = reader.u16()
  const flags = reader.u16()
  const questionCount = reader.u16()
  const answerCount = reader.u16()
  reader.skip(4)
  const isAnswer = (flags & FLAG_ANSWER) !== 0
  const message: DnsMessage = {
    ...{ isAnswer, id, query: '', qtype: '', answers: [], ttlsS: [] },
    rcode: isAnswer ? (RCODES[flags & RCODE_MASK] ?? `RCODE${flags & RCODE_MASK}`) : '',
    isTruncated: (flags & FLAG_TRUNCATED) !== 0,
  }
  for (let index = 0; index < questionCount; index++) {
    if (index === ENTRIES_MAX_COUNT) return { ...message, isTruncated: true }
    const name = readName(reader, start)
    const type = reader.u16()
    reader.skip(2)
    const isWhole = name !== undefined && !reader.isShort
    if (index === 0) {
      if (!isWhole) return undefined
      message.query = name
      message.qtype = typeName(type)
    } else if (!isWhole) return { ...message, isTruncated: true }
  }
  if (isAnswer) readAnswers(reader, start, answerCount, message)
  return message
}

/** Of records that say a name or an address. */
const NAMING_TYPES: ReadonlySet<string> = new Set(['A', 'AAAA', 'CNAME', 'DNAME', 'NS', 'PTR', 'MX', 'SRV'])

function typeName(type: number): string {
  return TYPES.get(type) ?? `TYPE${type}`
}

function readAnswers(reader: ByteReader, start: number, count: number, into: DnsMessage): void {
  for (let index = 0; index < count; index++) {
    if (index === ENTRIES_MAX_COUNT) {
      into.isTruncated = true
      return
    }
    const owner = readName(reader, start)
    const type = reader.u16()
    reader.skip(2)
    const ttlS = reader.u32()
    const data = reader.part(reader.u16())
    if (owner === undefined || reader.isShort) {
      into.isTruncated = true
      return
    }
    if (!NAMING_TYPES.has(typeName(type))) continue
    const text = answerText(type, data, start)
    if (text === undefined) {
      into.isTruncated = true
      continue
    }
    if (into.answers.length === ANSWERS_MAX_COUNT) {
      into.isTruncated = true
      return
    }
    into.answers.push(text)
    into.ttlsS.push(ttlS)
  }
}

/** Of a type that names something. undefined: it is not what its type says. */
function answerText(type: number, data: ByteReader, start: number): string | undefined {
  switch (TYPES.get(type)) {
    case 'A':
      return data.leftBytes === 4 ? [...data.rest()].join('.') : undefined
    case 'AAAA':
      return data.leftBytes === 16 ? formatIp(data.rest(), false) : undefined
    case 'CNAME':
    case 'DNAME':
    case 'NS':
    case 'PTR':
      return readName(data, start)
    case 'MX':
      data.skip(2)
      return readName(data, start)
    case 'SRV':
      data.skip(6)
      return readName(data, start)
    default:
      return undefined
  }
}

/**
 * A name at the reader's place, which then stands behind it. undefined: it is none. Each pointer has to lead before whatever
 * was read of the name so far, so that none leads in circles.
 */
function readName(reader: ByteReader, start: number): string | undefined {
  const labels: string[] = []
  let from = reader
  let before = reader.at
  let sizeBytes = 1
  let pointersCount = 0
  for (;;) {
    const length = from.u8()
    if (from.isShort) return fail(reader)
    if (length === 0) return labels.join('.')
    if ((length & POINTER) === POINTER) {
      const target = start + (((length & ~POINTER) << 8) | from.u8())
      if (from.isShort || target >= before || ++pointersCount > POINTERS_MAX_COUNT) return fail(reader)
      before = target
      // what a pointer leads to may lie before the part that the reader is bound to
      from = new ByteReader(reader.bytes, target, reader.end)
      continue
    }
    sizeBytes += length + 1
    if ((length & POINTER) !== 0 || sizeBytes > NAME_MAX_BYTES || length > from.leftBytes) return fail(reader)
    pointersCount = 0
    labels.push(labelText(from.part(length).rest()))
  }
}

function fail(reader: ByteReader): undefined {
  reader.isShort = true
  return undefined
}

/** A dot within a label is none between two. */
function labelText(label: Uint8Array): string {
  let text = ''
  for (const byte of label) {
    const char = String.fromCharCode(byte).toLowerCase()
    text += /[a-z0-9_-]/.test(char) && byte < 0x80 ? char : `\\${byte.toString().padStart(3, '0')}`
  }
  return text
}
