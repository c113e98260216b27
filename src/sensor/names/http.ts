/**
 * The head of an HTTP/1 request (RFC 9112) from the first bytes that a client sent, as lenient as servers are: empty lines before
 * it, methods of any token, any blanks between its parts (RFC 9112 2.2, 3). Input is hostile and may be cut.
 */
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
const METHOD_MAX_BYTES = 24
/** tchar of RFC 9110 5.6.2. */
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}$/
/** What lenient servers take for a blank. In a class of its own: `\s` takes 0xa0 for one, too. */
const BLANK = /[ \t\v\f\r]/
const VERSION = /[ \t\v\f\r]HTTP\/1\.\d$/
const VERSION_LENGTH = ' HTTP/1.1'.length
/** Of a request line that was cut: a target that no other protocol has there. */
const CUT_TARGET = /^(?:\/|https?:\/\/)/
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)([^?#]*)/
const HOST = /^host:/i
const HOST_LENGTH = 'host:'.length

interface RequestLine {
  method: string
  target: string
}

/**
 * Reads one head while its bytes come: `bytes` is all of them from the first on, each time as many or more. Every byte is looked
 * at a bounded number of times, however many pieces they come in.
 */
export class RequestReader {
  /** Where the line begins that is not whole yet. */
  #lineStart = 0
  /** No line ends before. */
  #searchedBytes = 0
  #line: RequestLine | undefined

  /** `more`: its host does not stand there yet, and more bytes may come (`isLast`: none will). undefined: this is no request. */
  read(bytes: Uint8Array, isLast: boolean): RequestHead | 'more' | undefined {
    for (;;) {
      const end = bytes.indexOf(NEWLINE, this.#searchedBytes)
      if (end < 0) break
      const text = latin1(bytes, this.#lineStart, end).replace(/\r$/, '')
      this.#lineStart = this.#searchedBytes = end + 1
      if (this.#line === undefined) {
        if (text === '') continue
        this.#line = requestLine(text)
        if (this.#line === undefined) return undefined
        const { method, target } = this.#line
        if (method === 'CONNECT' || ABSOLUTE.test(target)) return head(this.#line, undefined, false)
      } else if (text === '') return head(this.#line, undefined, false)
      else if (HOST.test(text)) return head(this.#line, trimmed(text.slice(HOST_LENGTH)), false)
    }
    this.#searchedBytes = bytes.length
    if (this.#line !== undefined) return isLast ? head(this.#line, undefined, true) : 'more'
    if (!canBeginRequest(latin1(bytes, this.#lineStart, this.#lineStart + METHOD_MAX_BYTES + 1))) return undefined
    return isLast ? cutHead(latin1(bytes, this.#lineStart, bytes.length)) : 'more'
  }
}

/** The same of bytes that are all there. */
export function parseRequest(bytes: Uint8Array, isLast: boolean): RequestHead | 'more' | undefined {
  return new RequestReader().read(bytes, isLast)
}

const NEWLINE = 0x0a

/** Latin-1: every byte is one character, so lengths are those of the bytes. */
function latin1(bytes: Uint8Array, start: number, end: number): string {
  const part = bytes.subarray(start, end)
  return Buffer.from(part.buffer, part.byteOffset, part.length).toString('latin1')
}

/** undefined: it is none. */
function requestLine(text: string): RequestLine | undefined {
  const { method, rest } = methodOf(text)
  const words = trimmed(rest)
  if (!METHOD.test(method) || !VERSION.test(words)) return undefined
  return { method, target: trimmed(words.slice(0, -VERSION_LENGTH)) }
}

function methodOf(line: string): { method: string; rest: string } {
  const blank = line.search(BLANK)
  return blank < 0 ? { method: line, rest: '' } : { method: line.slice(0, blank), rest: line.slice(blank) }
}

function cutHead(text: string): RequestHead | undefined {
  const { method, rest } = methodOf(text)
  const target = trimmed(rest)
  return METHOD.test(method) && CUT_TARGET.test(target) ? head({ method, target }, undefined, true) : undefined
}

/** Without blanks at both ends. By hand: an expression for the end is tried at each of thousands of blanks. */
function trimmed(text: string): string {
  const isBlank = (at: number) => BLANK.test(text[at] ?? '')
  let start = 0
  let end = text.length
  while (start < end && isBlank(start)) start++
  while (end > start && isBlank(end - 1)) end--
  return text.slice(start, end)
}

/** `text`: a line's beginning, one byte more than a method has at most. */
function canBeginRequest(text: string): boolean {
  const { method } = methodOf(text)
  return method === '' ? trimmed(text) === '' : METHOD.test(method)
}

function head({ method, target }: RequestLine, host: string | undefined, isTruncated: boolean): RequestHead {
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
