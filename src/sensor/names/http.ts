/** The head of an HTTP/1 request (RFC 9112) from the first bytes that a client sent. Input is hostile and may be cut. */
import { hostText } from './host-text.js'

export interface RequestHead {
  method: string
  /** The authority of the target where it has one, else the first `Host` header; a port stays. */
  host: string
  /** Without query string and fragment; of CONNECT and `*` as they are written. */
  path: string
  isTruncated: boolean
}

/** Registered methods are short; what is longer is another protocol. */
const METHOD = /^[A-Z]{1,24}$/
const METHOD_MAX_BYTES = 24
const REQUEST_LINE = /^([A-Z]{1,24}) (\S+) HTTP\/1\.\d$/
/** Of a request line that was cut: a target that no other protocol has there. */
const CUT_LINE = /^([A-Z]{1,24}) ((?:\/|https?:\/\/)\S*)/
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)([^?#]*)/
const HOST = /^host:/i
const HOST_LENGTH = 'host:'.length

/** `more`: its host does not stand there yet, and more bytes may come (`isLast`: none will). undefined: this is no request. */
export function parseRequest(bytes: Uint8Array, isLast: boolean): RequestHead | 'more' | undefined {
  // Latin-1: every byte is one character, so lengths are those of the bytes.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  const lineEnd = text.indexOf('\n')
  if (lineEnd < 0) {
    if (!canBeginRequest(text)) return undefined
    if (!isLast) return 'more'
    const cut = CUT_LINE.exec(text)
    return cut === null ? undefined : head(cut[1] ?? '', cut[2] ?? '', undefined, true)
  }
  const line = REQUEST_LINE.exec(text.slice(0, lineEnd).replace(/\r$/, ''))
  if (line === null) return undefined
  const [, method = '', target = ''] = line
  if (method === 'CONNECT' || ABSOLUTE.test(target)) return head(method, target, undefined, false)
  for (let at = lineEnd + 1; ; ) {
    const end = text.indexOf('\n', at)
    if (end < 0) return isLast ? head(method, target, undefined, true) : 'more'
    const header = text.slice(at, end).replace(/\r$/, '')
    if (header === '') return head(method, target, undefined, false)
    if (HOST.test(header)) return head(method, target, trimmed(header.slice(HOST_LENGTH)), false)
    at = end + 1
  }
}

/** Without blanks at both ends (OWS of RFC 9110). By hand: an expression for the end is tried at each of thousands of blanks. */
function trimmed(text: string): string {
  const isBlank = (at: number) => text[at] === ' ' || text[at] === '\t'
  let start = 0
  let end = text.length
  while (start < end && isBlank(start)) start++
  while (end > start && isBlank(end - 1)) end--
  return text.slice(start, end)
}

function canBeginRequest(text: string): boolean {
  const space = text.indexOf(' ')
  return METHOD.test(space < 0 ? text.slice(0, METHOD_MAX_BYTES + 1) : text.slice(0, space))
}

function head(method: string, target: string, host: string | undefined, isTruncated: boolean): RequestHead {
  if (method === 'CONNECT') return { method, host: hostOf(target), path: '', isTruncated }
  const absolute = ABSOLUTE.exec(target)
  if (absolute === null)
    return { method, host: hostOf(host ?? ''), path: utf8(target.replace(/[?#].*$/s, '')), isTruncated }
  const [, authority = '', path = ''] = absolute
  return { method, host: hostOf(authority.replace(/^.*@/s, '')), path: utf8(path === '' ? '/' : path), isTruncated }
}

function hostOf(text: string): string {
  return hostText(Buffer.from(text, 'latin1'))
}

function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}
