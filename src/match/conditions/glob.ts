/**
 * fnmatch(3) without flags, over bytes: `*` also crosses `/`, `\` quotes, `[…]` with ranges, `!` or `^` and `[:class:]`. Every
 * part but `*` takes exactly one byte, so going back to the last `*` is enough: time is bounded by pattern × text. Patterns are
 * read as they are, so that they may also come from an event (`val()`).
 */
const STAR = 0x2a
const ANY = 0x3f
const OPEN = 0x5b
const CLOSE = 0x5d
const QUOTE = 0x5c
const COLON = 0x3a

export function globMatches(
  pattern: Uint8Array,
  patternStart: number,
  patternEnd: number,
  text: Uint8Array,
  textStart: number,
  textEnd: number,
  isFolded: boolean,
): boolean {
  let from = patternStart
  let star = -1
  let resume = textStart
  let at = textStart
  while (at < textEnd) {
    if (from < patternEnd && pattern[from] === STAR) {
      star = ++from
      resume = at
      continue
    }
    const next = from < patternEnd ? step(pattern, from, patternEnd, text[at] as number, isFolded) : -1
    if (next !== -1) {
      from = next
      at++
    } else if (star !== -1) {
      from = star
      at = ++resume
    } else return false
  }
  while (from < patternEnd && pattern[from] === STAR) from++
  return from === patternEnd
}

/** Where the pattern goes on behind the part at `from`, if that part takes the byte; else -1. */
function step(pattern: Uint8Array, from: number, end: number, byte: number, isFolded: boolean): number {
  const first = pattern[from] as number
  if (first === ANY) return from + 1
  if (first === OPEN) {
    const close = classEnd(pattern, from, end)
    if (close !== -1) return inClass(pattern, from + 1, close, byte, isFolded) ? close + 1 : -1
  }
  if (first === QUOTE) {
    // a backslash at the end matches nothing, as in glibc
    if (from + 1 === end) return -1
    return same(pattern[from + 1] as number, byte, isFolded) ? from + 2 : -1
  }
  return same(first, byte, isFolded) ? from + 1 : -1
}

/** Offset of the `]` that closes the class opened at `open`; -1: the `[` stands for itself. */
function classEnd(pattern: Uint8Array, open: number, end: number): number {
  let at = open + 1
  if (at < end && isNegation(pattern[at] as number)) at++
  for (let isFirst = true; at < end; isFirst = false) {
    const byte = pattern[at] as number
    if (byte === CLOSE && !isFirst) return at
    const named = byte === OPEN && pattern[at + 1] === COLON ? nameEnd(pattern, at + 2, end) : -1
    if (named !== -1) at = named + 2
    else at += byte === QUOTE ? 2 : 1
  }
  return -1
}

/** Offset of the `:]` behind a class name; -1 without one. */
function nameEnd(pattern: Uint8Array, from: number, end: number): number {
  for (let at = from; at + 1 < end; at++) {
    if (pattern[at] === COLON && pattern[at + 1] === CLOSE) return at
    const byte = pattern[at] as number
    if (byte < 0x61 || byte > 0x7a) return -1
  }
  return -1
}

function isNegation(byte: number): boolean {
  return byte === 0x21 || byte === 0x5e
}

function inClass(pattern: Uint8Array, start: number, close: number, byte: number, isFolded: boolean): boolean {
  const isNegated = isNegation(pattern[start] as number)
  const found = isMember(pattern, isNegated ? start + 1 : start, close, byte)
  const other = isFolded ? otherCase(byte) : byte
  return (found || (other !== byte && isMember(pattern, isNegated ? start + 1 : start, close, other))) !== isNegated
}

function isMember(pattern: Uint8Array, start: number, close: number, byte: number): boolean {
  for (let at = start; at < close; ) {
    const named = pattern[at] === OPEN && pattern[at + 1] === COLON ? nameEnd(pattern, at + 2, close) : -1
    if (named !== -1) {
      if (inNamedClass(pattern, at + 2, named, byte)) return true
      at = named + 2
      continue
    }
    if (pattern[at] === QUOTE && at + 1 < close) at++
    const low = pattern[at++] as number
    if (pattern[at] !== 0x2d || at + 1 >= close) {
      if (low === byte) return true
      continue
    }
    at++
    if (pattern[at] === QUOTE && at + 1 < close) at++
    const high = pattern[at++] as number
    if (low <= byte && byte <= high) return true
  }
  return false
}

const upper = (byte: number) => byte >= 0x41 && byte <= 0x5a
const lower = (byte: number) => byte >= 0x61 && byte <= 0x7a
const digit = (byte: number) => byte >= 0x30 && byte <= 0x39
const graph = (byte: number) => byte > 0x20 && byte < 0x7f

/** POSIX classes of the C locale. */
export const NAMED_CLASSES: ReadonlyMap<string, (byte: number) => boolean> = new Map([
  ['alnum', (byte: number) => upper(byte) || lower(byte) || digit(byte)],
  ['alpha', (byte: number) => upper(byte) || lower(byte)],
  ['blank', (byte: number) => byte === 0x20 || byte === 0x09],
  ['cntrl', (byte: number) => byte < 0x20 || byte === 0x7f],
  ['digit', digit],
  ['graph', graph],
  ['lower', lower],
  ['print', (byte: number) => graph(byte) || byte === 0x20],
  ['punct', (byte: number) => graph(byte) && !upper(byte) && !lower(byte) && !digit(byte)],
  ['space', (byte: number) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)],
  ['upper', upper],
  ['xdigit', (byte: number) => digit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)],
])
const NAMED = [...NAMED_CLASSES].map(([name, holds]) => ({ name: Uint8Array.from(Buffer.from(name)), holds }))

function inNamedClass(pattern: Uint8Array, start: number, end: number, byte: number): boolean {
  for (const { name, holds } of NAMED) {
    if (name.length !== end - start) continue
    let at = 0
    while (at < name.length && name[at] === pattern[start + at]) at++
    if (at === name.length) return holds(byte)
  }
  return false
}

function same(a: number, b: number, isFolded: boolean): boolean {
  return a === b || (isFolded && otherCase(a) === b)
}

function otherCase(byte: number): number {
  if (byte >= 0x41 && byte <= 0x5a) return byte + 0x20
  return byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte
}

/** The longest run of bytes that every text of the pattern has, for a filter before the match; empty: none. */
export function globLiteral(pattern: string): string {
  const bytes = Uint8Array.from(Buffer.from(pattern, 'latin1'))
  let longest = ''
  let run = ''
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] as number
    const close = byte === OPEN ? classEnd(bytes, at, bytes.length) : -1
    const isLiteral = byte !== STAR && byte !== ANY && close === -1
    if (isLiteral) {
      if (byte === QUOTE) at++
      run += at < bytes.length ? pattern.charAt(at) : ''
    } else run = ''
    if (run.length > longest.length) longest = run
    at = close === -1 ? at + 1 : close + 1
  }
  return longest
}
