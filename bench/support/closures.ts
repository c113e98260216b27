/**
 * The rival that one would write first: a closure per rule, in buckets by kind of event, over plain strings, with the
 * fields of an event parsed once. Each closure's entries are sorted by specificity when it is made.
 */
import type {
  ConnectRule,
  ExecRule,
  FileRule,
  ListenRule,
  NetPattern,
  Rule,
  SyscallRule,
} from '../../src/policy/model.js'
import type { BenchEvent } from './native-events.js'

/** The fields of one event, as rules want them, made at most once an event. */
export interface Fields {
  readonly kind: BenchEvent['kind']
  readonly invoked: string
  readonly file: string
  /** The address as four 32-bit words. */
  readonly words: readonly [number, number, number, number]
  readonly port: number
  readonly proto: number
  readonly nr: number
  readonly isScript: boolean
  readonly path: string
  /** Of an act on two files. */
  readonly other: string | undefined
  readonly access: number
}

const NO_WORDS = [0, 0, 0, 0] as const

export type Violates = (fields: Fields) => boolean

const NO_FIELDS = {
  ...{ invoked: '', file: '', isScript: false, words: NO_WORDS, port: 0, proto: 0, nr: 0 },
  ...{ path: '', other: undefined, access: 0 },
}
const IPPROTO_TCP = 6

export function fieldsOf(event: BenchEvent): Fields {
  switch (event.kind) {
    case 'exec':
    case 'file':
    case 'syscall':
      return { ...NO_FIELDS, ...event }
    default:
      return { ...NO_FIELDS, proto: IPPROTO_TCP, ...event, words: wordsOf(event.address) }
  }
}

export function closureOf(rule: Rule): Violates {
  if (rule.kind === 'exec') return execClosure(rule)
  if (rule.kind === 'file') return fileClosure(rule)
  if (rule.kind === 'connect' || rule.kind === 'listen') return netClosure(rule)
  if (rule.kind === 'syscall') return syscallClosure(rule)
  return () => false
}

interface PathTest {
  readonly deny: boolean
  readonly rank: string
  readonly matches: (name: string) => boolean
}

function execClosure(rule: ExecRule): Violates {
  const entries = [
    ...(rule.allow ?? []).map(({ text }) => pathTest(text, false)),
    ...rule.deny.map(({ text }) => pathTest(text, true)),
  ].sort((a, b) => (a.rank === b.rank ? Number(b.deny) - Number(a.deny) : a.rank < b.rank ? 1 : -1))
  const uncovered = rule.allow !== undefined
  return ({ invoked, file, isScript }) => {
    if (decision(entries, invoked) ?? uncovered) return true
    return file !== invoked && (decision(entries, file) ?? (isScript && uncovered))
  }
}

/** Whether the most specific entry for the name denies it; undefined when none matches. */
function decision(entries: readonly PathTest[], name: string): boolean | undefined {
  for (const entry of entries) if (entry.matches(name)) return entry.deny
  return undefined
}

function pathTest(text: string, deny: boolean): PathTest {
  const pieces = (text.startsWith('/') ? text.slice(1) : text).split('/')
  const ranks = pieces.map((piece) => (piece === '**' ? '0' : piece === '*' ? '2' : /[*?[]/.test(piece) ? '3' : '4'))
  const rank = `${pieces[0] === '**' ? '' : '4'}${ranks.join('')}1`
  return { deny, rank, matches: matcherOf(text, pieces) }
}

function matcherOf(text: string, pieces: readonly string[]): (name: string) => boolean {
  if (pieces.every((piece) => !/[*?[]/.test(piece))) return (name) => name === text
  if (pieces.length === 1) return () => true
  const rest = pieces.slice(1)
  if (pieces[0] === '**' && rest.length === 1 && !/[*?[]/.test(rest[0] ?? '')) {
    const ending = `/${rest[0]}`
    return (name) => name.endsWith(ending)
  }
  const literal = pieces.slice(0, -1)
  if (pieces.at(-1) === '**' && literal.every((piece) => !/[*?[]/.test(piece))) {
    const folder = `/${literal.join('/')}/`
    return (name) => name.startsWith(folder)
  }
  const source = pieces.map((piece) => (piece === '**' ? '(?:[^/]+/)*?' : `${expressionOf(piece)}/`)).join('')
  const expression = new RegExp(`^/${source}$`)
  return (name) => expression.test(`${name}/`)
}

function expressionOf(piece: string): string {
  return piece
    .replace(/[.+^${}()|\\-]/g, '\\$&')
    .replace(/\*/g, '[^/]*')
    .replace(/\?/g, '[^/]')
}

function fileClosure(rule: FileRule): Violates {
  const made = (deny: boolean) => (entry: FileRule['deny'][number]) => ({
    ...pathTest(entry.text, deny),
    access: entry.access,
    rank: `${pathTest(entry.text, deny).rank}${entry.namedCount}`,
  })
  const entries = [...(rule.allow ?? []).map(made(false)), ...rule.deny.map(made(true))].sort((a, b) =>
    a.rank === b.rank ? Number(b.deny) - Number(a.deny) : a.rank < b.rank ? 1 : -1,
  )
  const uncovered = rule.allow === undefined ? 0 : entries.reduce((mask, { access }) => mask | access, 0)
  const violates = (path: string, access: number) => {
    let left = access
    for (const entry of entries) {
      if ((entry.access & left) === 0 || !entry.matches(path)) continue
      if (entry.deny) return true
      left &= ~entry.access
    }
    return (left & uncovered) !== 0
  }
  return ({ path, other, access }) => violates(path, access) || (other !== undefined && violates(other, access))
}

function netClosure(rule: ConnectRule | ListenRule): Violates {
  const key = ({ prefixBits, portFrom, portTo, proto }: NetPattern) =>
    prefixBits * 1e6 + (65_536 - (portTo - portFrom)) * 10 + (proto === 'any' ? 0 : 1)
  const entries = [
    ...(rule.allow ?? []).map((net) => ({ net, deny: false })),
    ...rule.deny.map((net) => ({ net, deny: true })),
  ]
    .sort((a, b) => key(b.net) - key(a.net) || Number(b.deny) - Number(a.deny))
    .map(({ net, deny }) => ({
      deny,
      proto: net.proto === 'any' ? 0 : net.proto === 'tcp' ? 6 : 17,
      network: wordsOf(net.network),
      masks: maskWords(net.prefixBits),
      from: net.portFrom,
      to: net.portTo,
    }))
  const uncovered = rule.allow !== undefined
  return ({ words, port, proto }) => {
    for (const { deny, proto: limited, network, masks, from, to } of entries)
      if (
        from <= port &&
        port <= to &&
        (limited === 0 || limited === proto) &&
        ((words[3] ^ network[3]) & masks[3]) === 0 &&
        ((words[2] ^ network[2]) & masks[2]) === 0 &&
        ((words[1] ^ network[1]) & masks[1]) === 0 &&
        ((words[0] ^ network[0]) & masks[0]) === 0
      )
        return deny
    return uncovered
  }
}

function syscallClosure(rule: SyscallRule): Violates {
  return ({ nr }) => rule.deny.has(nr) || (rule.allow !== undefined && !rule.allow.has(nr))
}

type Words = [number, number, number, number]

function wordsOf(bytes: Uint8Array): Words {
  const word = (at: number) =>
    ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
  return [word(0), word(4), word(8), word(12)]
}

function maskWords(prefixBits: number): Words {
  const word = (at: number) => {
    const keep = Math.max(0, Math.min(32, prefixBits - at * 32))
    return keep === 0 ? 0 : 0xffffffff << (32 - keep)
  }
  return [word(0), word(1), word(2), word(3)]
}
