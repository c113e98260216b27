/**
 * The four rule kinds: `exec`, `connect`, `syscall`, `memory`. Each reader returns the kind's part of the rule, or
 * undefined when the part cannot be used; every mistake in it has been reported by then.
 */
import type { NetPattern, PathPattern, SourceSpan } from './model.js'
import { didYouMean } from './nearest.js'
import { PORT_MAX, parseHost, parseNetEntry, parsePorts } from './net-pattern.js'
import type { Field, Node, NodeReader, TextAt } from './node-reader.js'
import { parsePathPattern } from './path-pattern.js'
import { DURATION_HELP, parseDurationMs, parseSizeBytes, SIZE_HELP } from './quantity.js'
import { syscallNames, syscallNumber } from './syscalls.js'
import { quoted } from './visible-text.js'

export interface Lists<Entry> {
  allow?: readonly Entry[]
  deny: readonly Entry[]
}

const LIST_KEYS = ['allow', 'deny']
const MEMORY_KEYS = ['max', 'for']
const ENTRY_KEYS = ['to', 'port', 'protocol']

export function readExec(field: Field, reader: NodeReader): Lists<PathPattern> | undefined {
  return readLists(field, reader, (node, what) =>
    reader.texts(node, what)?.flatMap(({ text, span }) => {
      const parsed = parsePathPattern(text)
      if (parsed.ok) return [{ text: parsed.text, span, key: parsed.text }]
      reader.error('policy_bad_path', span, parsed.message, parsed.help)
      return []
    }),
  )
}

export function readConnect(field: Field, reader: NodeReader): Lists<NetPattern> | undefined {
  return readLists(field, reader, (node, what) =>
    entriesOf(node, reader, what)?.flatMap((entry) => {
      const net = reader.isMap(entry) ? readNetMap(entry, reader) : readNetText(entry, reader)
      if (net === undefined) return []
      const { network, prefixBits, ipv6Only, portFrom, portTo, proto } = net
      return [{ ...net, key: `${network.join('.')}/${prefixBits} ${ipv6Only} ${portFrom}-${portTo}/${proto}` }]
    }),
  )
}

export function readSyscall(
  field: Field,
  reader: NodeReader,
): { allow?: ReadonlySet<number>; deny: ReadonlySet<number> } | undefined {
  const lists = readLists(field, reader, (node, what) =>
    reader.texts(node, what)?.flatMap(({ text, span }) => {
      const nr = syscallNumber(text)
      if (nr !== undefined) return [{ nr, span, key: text }]
      reader.error(
        'policy_bad_syscall',
        span,
        `there is no system call ${quoted(text)}`,
        didYouMean(text, syscallNames()),
      )
      return []
    }),
  )
  if (lists === undefined) return undefined
  const deny = new Set(lists.deny.map(({ nr }) => nr))
  return lists.allow === undefined ? { deny } : { allow: new Set(lists.allow.map(({ nr }) => nr)), deny }
}

export function readMemory(field: Field, reader: NodeReader): { maxBytes: number; forMs: number } | undefined {
  const fields = reader.map(field.value, '`memory`')
  if (fields === undefined) return undefined
  for (const other of fields.values()) {
    if (other.key === 'above_normal')
      notYet(reader, other.keySpan, '`above_normal` belongs to learned behaviour, which')
    else if (!MEMORY_KEYS.includes(other.key)) reader.unknownKey(other, '`memory`', MEMORY_KEYS)
  }
  const max = fields.get('max')
  if (max === undefined) {
    if (!fields.has('above_normal')) reader.error('policy_missing_key', field.keySpan, '`memory` has no `max`')
    return undefined
  }
  const maxBytes = readQuantity(max, reader, parseSizeBytes, 'a size', SIZE_HELP)
  if (maxBytes === 0) reader.error('policy_bad_quantity', max.span, '`max` is 0: every container uses more')
  const held = fields.get('for')
  const forMs = held === undefined ? 0 : readQuantity(held, reader, parseDurationMs, 'a duration', DURATION_HELP)
  return maxBytes === undefined || forMs === undefined ? undefined : { maxBytes, forMs }
}

/** Reports `PART is not supported yet`; `part` ends with the word the sentence goes on from. */
export function notYet(reader: NodeReader, span: SourceSpan, part: string): void {
  reader.error('policy_unsupported', span, `${part} is not supported yet`)
}

function readQuantity(
  field: Field,
  reader: NodeReader,
  parse: (text: string) => number | undefined,
  noun: string,
  help: string,
): number | undefined {
  const written = reader.written(field.value)
  if (written === undefined) {
    reader.text(field.value, `\`${field.key}\``)
    return undefined
  }
  const value = parse(written.text)
  if (value === undefined)
    reader.error('policy_bad_quantity', written.span, `${quoted(written.text)} is not ${noun}`, help)
  return value
}

interface Keyed {
  readonly span: SourceSpan
  /** Entries with equal keys are the same entry. */
  readonly key: string
}

/** `allow` and `deny` of a rule. An allow list of which an entry was refused is no reason to go on: undefined follows from the error count of the file. */
function readLists<Entry extends Keyed>(
  field: Field,
  reader: NodeReader,
  read: (node: Node, what: string) => Entry[] | undefined,
): Lists<Entry> | undefined {
  const kind = `\`${field.key}\``
  const fields = reader.map(field.value, kind)
  if (fields === undefined) return undefined
  for (const other of fields.values()) if (!LIST_KEYS.includes(other.key)) reader.unknownKey(other, kind, LIST_KEYS)
  const allowField = fields.get('allow')
  const denyField = fields.get('deny')
  if (allowField === undefined && denyField === undefined) {
    reader.error('policy_missing_key', field.keySpan, `${kind} has neither \`allow\` nor \`deny\``)
    return undefined
  }
  const allow = allowField === undefined ? undefined : read(allowField.value, `\`allow\` of ${kind}`)
  const deny = denyField === undefined ? [] : read(denyField.value, `\`deny\` of ${kind}`)
  if (deny === undefined || (allow === undefined && allowField !== undefined)) return undefined
  if (allow === undefined && denyField !== undefined && isEmptyList(denyField, reader))
    reader.error('policy_empty', denyField.keySpan, `${kind} with an empty \`deny\` and no \`allow\` never hits`)
  warnOfDoubles(allow ?? [], deny, reader)
  return allow === undefined ? { deny } : { allow, deny }
}

function isEmptyList(field: Field, reader: NodeReader): boolean {
  return reader.isList(field.value) && reader.list(field.value, '')?.length === 0
}

function warnOfDoubles(allow: readonly Keyed[], deny: readonly Keyed[], reader: NodeReader): void {
  const denied = new Map<string, Keyed>()
  for (const entry of deny) {
    const first = denied.get(entry.key)
    if (first === undefined) denied.set(entry.key, entry)
    else reader.warning('policy_doubtful', entry.span, `the same entry stands in line ${first.span.line}`)
  }
  const allowed = new Map<string, Keyed>()
  for (const entry of allow) {
    const contrary = denied.get(entry.key)
    const first = allowed.get(entry.key)
    allowed.set(entry.key, first ?? entry)
    if (contrary !== undefined)
      reader.warning('policy_doubtful', entry.span, `the same entry is denied in line ${contrary.span.line}: deny wins`)
    else if (first !== undefined)
      reader.warning('policy_doubtful', entry.span, `the same entry stands in line ${first.span.line}`)
  }
}

/** One entry or a list of them, as nodes. */
function entriesOf(node: Node, reader: NodeReader, what: string): Node[] | undefined {
  if (reader.isList(node)) return reader.list(node, what)
  if (reader.isMap(node) || reader.written(node) !== undefined) return [node]
  reader.texts(node, what)
  return undefined
}

function readNetText(node: Node, reader: NodeReader): NetPattern | undefined {
  const entry = reader.text(node, 'an entry of `connect`')
  if (entry === undefined) return undefined
  const parsed = parseNetEntry(entry.text)
  if (parsed.ok) return { ...parsed.net, text: entry.text, span: entry.span }
  const name = parsed.reason === 'name' ? 'policy_unsupported' : 'policy_bad_address'
  reader.error(name, entry.span, parsed.message, parsed.help)
  return undefined
}

/** `{ to: 10.0.0.0/8, port: 8000-8999, protocol: tcp }` */
function readNetMap(node: Node, reader: NodeReader): NetPattern | undefined {
  const fields = reader.map(node, 'an entry of `connect`')
  if (fields === undefined) return undefined
  for (const field of fields.values())
    if (!ENTRY_KEYS.includes(field.key)) reader.unknownKey(field, 'an entry of `connect`', ENTRY_KEYS)
  const to = fields.get('to')
  if (to === undefined) {
    reader.error(
      'policy_missing_key',
      reader.span(node),
      'an entry of `connect` has no `to`',
      'write `to: "*"` for any address',
    )
    return undefined
  }
  const host = reader.text(to.value, '`to`')
  const ports = readPort(fields.get('port'), reader)
  const proto = readProtocol(fields.get('protocol'), reader)
  if (host === undefined || ports === undefined || proto === undefined) return undefined
  const parsed = parseHost(host.text)
  if (!parsed.ok) {
    reader.error(
      parsed.reason === 'name' ? 'policy_unsupported' : 'policy_bad_address',
      host.span,
      parsed.message,
      parsed.help,
    )
    return undefined
  }
  const text = `${host.text} port ${ports.from === ports.to ? ports.from : `${ports.from}-${ports.to}`} ${proto}`
  return { ...parsed.net, portFrom: ports.from, portTo: ports.to, proto, text, span: reader.span(node) }
}

function readPort(field: Field | undefined, reader: NodeReader): { from: number; to: number } | undefined {
  if (field === undefined) return { from: 0, to: PORT_MAX }
  const written: TextAt | undefined = reader.written(field.value)
  if (written === undefined) {
    reader.text(field.value, '`port`')
    return undefined
  }
  const parsed = parsePorts(written.text)
  if (parsed.ok) return parsed
  reader.error('policy_bad_address', written.span, parsed.message, parsed.help)
  return undefined
}

function readProtocol(field: Field | undefined, reader: NodeReader): NetPattern['proto'] | undefined {
  if (field === undefined) return 'any'
  const text = reader.text(field.value, '`protocol`')
  if (text === undefined) return undefined
  if (text.text === 'tcp' || text.text === 'udp' || text.text === 'any') return text.text
  const help = didYouMean(text.text, ['tcp', 'udp', 'any']) ?? 'one of `tcp`, `udp`, `any`'
  reader.error('policy_bad_value', text.span, `${quoted(text.text)} is not a protocol`, help)
  return undefined
}
