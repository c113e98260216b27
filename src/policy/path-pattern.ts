/**
 * Path patterns of exec rules: text -> components. Used by the loader to check, by match/ and respond/ to compile, so all
 * three agree on what a text means. Works on bytes (UTF-8 of the text), as the kernel does.
 *
 * `/usr/bin/nc` is the root and three literals. A bare `nc` is `**` and `nc`, without a root: a leading `**` stands for the
 * root too, so that it also finds a name that is not absolute; a `**` right after the root means the same.
 */
import { quoted } from './visible-text.js'

export type GlobToken =
  | { kind: 'byte'; byte: number }
  | { kind: 'any' }
  | { kind: 'star' }
  /** 256 entries, 1 where the byte belongs to the class. */
  | { kind: 'class'; members: Uint8Array }

export type PathComponent =
  | { kind: 'literal'; bytes: Uint8Array }
  | { kind: 'glob'; tokens: readonly GlobToken[] }
  /** `*`: any one component. */
  | { kind: 'star' }
  /** `**`: any number of components, also none. */
  | { kind: 'deep' }

export interface ParsedPath {
  /** Starts at the root. False: starts with `**`, which then is components[0]. */
  rooted: boolean
  components: readonly PathComponent[]
}

export type PathParse = { ok: true; path: ParsedPath; text: string } | { ok: false; message: string; help?: string }

/** PATH_MAX of linux/limits.h: no name the kernel reports is longer. */
const PATH_MAX_BYTES = 4096
/** NAME_MAX of linux/limits.h. */
const NAME_MAX_BYTES = 255
/** A pattern with more `**` says nothing more, and each one multiplies the walk's states. */
const DEEP_MAX_COUNT = 8

const encoder = new TextEncoder()

/** `entry` as a user wrote it: an absolute path with globs, a path that starts with `**`, or a bare program name. */
export function parsePathPattern(entry: string): PathParse {
  if (entry === '') return bad('the path is empty')
  if (entry.includes('\0')) return bad('a path holds no NUL byte')
  if (encoder.encode(entry).length > PATH_MAX_BYTES) return bad(`the path is longer than ${PATH_MAX_BYTES} bytes`)
  let text = entry
  if (!entry.startsWith('/') && !entry.startsWith('**/') && entry !== '**') {
    if (entry.includes('/'))
      return bad(`${quoted(entry)} is neither absolute nor a bare program name`, 'start it with `/` or `**/`')
    text = `**/${entry}`
  }
  return parseComponents(text)
}

function parseComponents(text: string): PathParse {
  const pieces = (text.startsWith('/') ? text.slice(1) : text).split('/')
  const components: PathComponent[] = []
  for (const [at, piece] of pieces.entries()) {
    if (piece === '') {
      const help =
        at === pieces.length - 1 ? 'to mean what lies below a folder, end it with `/**`' : 'write a single `/`'
      return bad('the path has an empty component', help)
    }
    if (piece === '.' || piece === '..')
      return bad(`${quoted(piece)} never occurs in a resolved path`, 'write the path without it')
    const component = parseComponent(piece)
    if (typeof component === 'string') return bad(component)
    const previous = components.at(-1)
    if (component.kind === 'deep' && previous?.kind === 'deep') continue
    components.push(component)
  }
  if (components.filter((component) => component.kind === 'deep').length > DEEP_MAX_COUNT)
    return bad(`the path has more than ${DEEP_MAX_COUNT} \`**\``)
  const rooted = components[0]?.kind !== 'deep'
  return { ok: true, path: { rooted, components }, text }
}

/** A string is the reason why it is malformed. */
function parseComponent(piece: string): PathComponent | string {
  if (piece === '**') return { kind: 'deep' }
  if (piece.includes('**')) return '`**` must be a whole component'
  if (piece === '*') return { kind: 'star' }
  const tokens: GlobToken[] = []
  const bytes = encoder.encode(piece)
  for (let at = 0; at < bytes.length; at++) {
    const char = String.fromCharCode(bytes[at] ?? 0)
    if (char === '*') tokens.push({ kind: 'star' })
    else if (char === '?') tokens.push({ kind: 'any' })
    else if (char === '[') {
      const parsed = parseClass(bytes, at)
      if (typeof parsed === 'string') return parsed
      tokens.push({ kind: 'class', members: parsed.members })
      at = parsed.last
    } else {
      if (char === '\\') {
        at++
        if (at >= bytes.length) return '`\\` stands at the end of a component'
      }
      tokens.push({ kind: 'byte', byte: bytes[at] ?? 0 })
    }
  }
  const literal = Uint8Array.from(tokens.flatMap((token) => (token.kind === 'byte' ? [token.byte] : [])))
  if (literal.length > NAME_MAX_BYTES) return `a component is longer than ${NAME_MAX_BYTES} bytes`
  return literal.length === tokens.length ? { kind: 'literal', bytes: literal } : { kind: 'glob', tokens }
}

/** `bytes[open]` is `[`. A `]` right after `[` or `[!` is a member. */
function parseClass(bytes: Uint8Array, open: number): { members: Uint8Array; last: number } | string {
  const members = new Uint8Array(256)
  let at = open + 1
  const negated = bytes[at] === 0x21
  if (bytes[at] === 0x5e) return '`[^` is not a negated class: write `[!`'
  if (negated) at++
  const first = at
  for (; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === 0x5d && at > first) {
      if (negated) for (let value = 0; value < 256; value++) members[value] = members[value] === 1 ? 0 : 1
      return { members, last: at }
    }
    if (byte >= 0x80) return 'a class `[…]` holds ASCII characters only'
    const to = bytes[at + 1] === 0x2d && bytes[at + 2] !== 0x5d ? bytes[at + 2] : undefined
    if (to === undefined) {
      members[byte] = 1
      continue
    }
    if (to >= 0x80) return 'a class `[…]` holds ASCII characters only'
    if (to < byte) return 'a range in a class `[…]` runs backwards'
    members.fill(1, byte, to + 1)
    at += 2
  }
  return 'a class `[` has no closing `]`'
}

function bad(message: string, help?: string): PathParse {
  return help === undefined ? { ok: false, message } : { ok: false, message, help }
}

/** For patterns that the loader accepted; throws on any other text, which is a fault of the caller. */
export function pathOf(text: string): ParsedPath {
  const parsed = parsePathPattern(text)
  if (!parsed.ok) throw new Error(`not a checked path pattern: ${text}`)
  return parsed.path
}
