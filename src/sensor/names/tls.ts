/**
 * The client hello of TLS (RFC 8446 4.1.2, the same shape since TLS 1.0) from the first bytes that a client sent. Input is
 * hostile and may be cut: what stands before a cut, or before a length that lies, is told.
 */
import { ByteReader } from './byte-reader.js'
import { hostText } from './host-text.js'

export interface ClientHello {
  /** Without a server name extension: empty. With an encrypted hello it is the outer name. */
  sni: string
  alpn: string[]
  /** The extension is there; some clients send it empty of meaning so that nobody can tell (RFC 9849 6.2). */
  hasEncryptedHello: boolean
  isTruncated: boolean
}

const RECORD_HEADER_BYTES = 5
const MESSAGE_HEADER_BYTES = 4
const HANDSHAKE = 22
const MAJOR_VERSION = 3
/** RFC 8446 5.1: of a record's content. */
const RECORD_MAX_BYTES = 16_384
const CLIENT_HELLO = 1
const RANDOM_BYTES = 32
const SERVER_NAME = 0
const ALPN = 16
const ENCRYPTED_CLIENT_HELLO = 0xfe0d
const HOST_NAME = 0
/** Clients offer two or three. */
const ALPN_MAX_COUNT = 16

/** `more`: it is not whole yet, and more bytes may come (`isLast`: none will). undefined: this is no client hello. */
export function parseClientHello(bytes: Uint8Array, isLast: boolean): ClientHello | 'more' | undefined {
  const message = handshakeOf(bytes)
  if (message === undefined) return undefined
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return undefined
  const reader = new ByteReader(message)
  reader.skip(1)
  const isWhole = reader.u24() <= reader.leftBytes && !reader.isShort
  if (!isWhole && !isLast) return 'more'
  if (message.length < MESSAGE_HEADER_BYTES) return undefined
  return readHello(reader)
}

/** The bytes of handshake records put together; undefined: these are none. */
function handshakeOf(bytes: Uint8Array): Uint8Array | undefined {
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== HANDSHAKE || (at + 1 < bytes.length && bytes[at + 1] !== MAJOR_VERSION))
      // behind the hello others may follow
      return parts.length === 0 ? undefined : Buffer.concat(parts)
    if (at + RECORD_HEADER_BYTES > bytes.length) break
    const sizeBytes = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0)
    if (sizeBytes === 0 || sizeBytes > RECORD_MAX_BYTES) return undefined
    at += RECORD_HEADER_BYTES
    parts.push(bytes.subarray(at, at + sizeBytes))
    at += sizeBytes
  }
  const [first] = parts
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts)
}

/** Behind the message's header. Where it ends early, so does what is known. */
function readHello(reader: ByteReader): ClientHello {
  const hello: ClientHello = { sni: '', alpn: [], hasEncryptedHello: false, isTruncated: false }
  reader.skip(2 + RANDOM_BYTES)
  reader.skip(reader.u8()) // session id
  reader.skip(reader.u16()) // cipher suites
  reader.skip(reader.u8()) // compression methods
  if (reader.leftBytes === 0 && !reader.isShort) return hello // TLS 1.2 without extensions
  const extensionsBytes = reader.u16()
  const isCut = reader.isShort || extensionsBytes > reader.leftBytes
  const extensions = reader.part(Math.min(extensionsBytes, reader.leftBytes))
  while (extensions.leftBytes > 0 && !extensions.isShort) {
    const type = extensions.u16()
    const sizeBytes = extensions.u16()
    if (extensions.isShort || sizeBytes > extensions.leftBytes) {
      hello.isTruncated = true
      return hello
    }
    const isWhole = readExtension(type, extensions.part(sizeBytes), hello)
    if (!isWhole) hello.isTruncated = true
  }
  if (isCut || extensions.isShort) hello.isTruncated = true
  return hello
}

/** False: something that it says stands there does not, or is not told. */
function readExtension(type: number, data: ByteReader, into: ClientHello): boolean {
  if (type === ENCRYPTED_CLIENT_HELLO) into.hasEncryptedHello = true
  // empty it has no list at all, as in a server's answer
  if (data.leftBytes === 0 || (type !== SERVER_NAME && type !== ALPN)) return true
  const list = data.part(data.u16())
  if (type === SERVER_NAME) {
    const isHost = list.u8() === HOST_NAME
    const name = list.part(list.u16()).rest()
    if (isHost && name.length > 0) into.sni = hostText(name)
  } else {
    while (list.leftBytes > 0 && into.alpn.length < ALPN_MAX_COUNT)
      into.alpn.push(Buffer.from(list.part(list.u8()).rest()).toString('utf8'))
    if (list.leftBytes > 0) return false
  }
  return !data.isShort && !list.isShort
}
