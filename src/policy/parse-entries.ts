/**
 * Entries of the rule kinds that allow and deny, each from one YAML node. A wrong entry is reported and undefined, so that
 * the reader goes on to the next.
 */
import { CAPABILITY_NAMES, capabilityNumber } from './capabilities.js'
import type { Item } from './definitions.js'
import { keysOf, type MappingName, PROTOCOLS } from './keys.js'
import {
  FILE_ACCESS,
  FILE_ACCESS_ALL,
  FILE_ACCESSES,
  type FilePattern,
  type NetPattern,
  type PathPattern,
} from './model.js'
import { didYouMean } from './nearest.js'
import { type HostParse, PORT_MAX, type PortParse, parseHost, parseNetEntry, parsePorts } from './net-pattern.js'
import type { Field, Node, NodeReader } from './node-reader.js'
import type { Keyed } from './parse-lists.js'
import { parsePathPattern } from './path-pattern.js'
import { syscallNames, syscallNumber } from './syscalls.js'
import { quoted } from './visible-text.js'

export interface NumberEntry extends Keyed {
  readonly number: number
}

/** What is left of an entry when it is in the model. */
export function withoutKey<Entry extends Keyed>({ key: _, ...entry }: Entry): Omit<Entry, 'key'> {
  return entry
}

export function readPath({ node, reader }: Item, what: string): (PathPattern & Keyed) | undefined {
  const entry = reader.text(node, what)
  if (entry === undefined) return undefined
  const parsed = parsePathPattern(entry.text)
  if (parsed.ok) return { text: parsed.text, span: entry.span, key: parsed.text }
  reader.error('policy_bad_path', entry.span, parsed.message, parsed.help)
  return undefined
}

/** A path, or `{ path: /etc/**, access: [write, create] }`. */
export function readFile(item: Item, what: string): (FilePattern & Keyed) | undefined {
  const { node, reader } = item
  if (!reader.isMap(node)) {
    const path = readPath(item, what)
    return path && { ...path, access: FILE_ACCESS_ALL, namedCount: 0, key: `${path.key} ${FILE_ACCESS_ALL} 0` }
  }
  const fields = entryFields(item, 'file entry', 'an entry of `file`')
  if (fields === undefined) return undefined
  const pathField = needed(fields, 'path', item, 'an entry of `file`')
  const path = pathField && readPath({ node: pathField.value, reader }, '`path`')
  const accessField = fields.get('access')
  const access = accessField === undefined ? 0 : readAccess(accessField, reader)
  if (path === undefined || access === undefined) return undefined
  const namedCount = FILE_ACCESSES.filter((name) => (access & FILE_ACCESS[name]) !== 0).length
  const mask = accessField === undefined ? FILE_ACCESS_ALL : access
  return {
    text: path.text,
    span: reader.span(node),
    access: mask,
    namedCount,
    key: `${path.key} ${mask} ${namedCount}`,
  }
}

function readAccess(field: Field, reader: NodeReader): number | undefined {
  const names = reader.texts(field.value, '`access`')
  if (names === undefined) return undefined
  if (names.length === 0) reader.error('policy_empty', field.keySpan, '`access` names nothing')
  let mask = 0
  for (const { text, span } of names) {
    const found = FILE_ACCESSES.find((access) => access === text)
    if (found !== undefined) mask |= FILE_ACCESS[found]
    else
      reader.error(
        'policy_bad_value',
        span,
        `${quoted(text)} is not an access`,
        didYouMean(text, FILE_ACCESSES) ?? `one of ${FILE_ACCESSES.map((name) => `\`${name}\``).join(', ')}`,
      )
  }
  return mask
}

export function readConnect(item: Item): (NetPattern & Keyed) | undefined {
  return withNetKey(item.reader.isMap(item.node) ? readConnectMap(item) : readConnectText(item))
}

/** A port, a range, `HOST:PORT`, or `{ at: 127.0.0.1, port: 8080 }`. */
export function readListen(item: Item): (NetPattern & Keyed) | undefined {
  return withNetKey(item.reader.isMap(item.node) ? readListenMap(item) : readListenText(item))
}

function withNetKey(net: NetPattern | undefined): (NetPattern & Keyed) | undefined {
  if (net === undefined) return undefined
  const { network, prefixBits, ipv6Only, portFrom, portTo, proto } = net
  return { ...net, key: `${network.join('.')}/${prefixBits} ${ipv6Only} ${portFrom}-${portTo}/${proto}` }
}

function readConnectText({ node, reader }: Item): NetPattern | undefined {
  const entry = reader.text(node, 'an entry of `connect`')
  if (entry === undefined) return undefined
  const parsed = parseNetEntry(entry.text)
  if (parsed.ok) return { ...parsed.net, text: entry.text, span: entry.span }
  const name = parsed.reason === 'name' ? 'policy_unsupported' : 'policy_bad_address'
  reader.error(name, entry.span, parsed.message, parsed.help)
  return undefined
}

/** `{ to: 10.0.0.0/8, port: 8000-8999, protocol: tcp }` */
function readConnectMap(item: Item): NetPattern | undefined {
  const { node, reader } = item
  const fields = entryFields(item, 'connect entry', 'an entry of `connect`')
  if (fields === undefined) return undefined
  const to = needed(fields, 'to', item, 'an entry of `connect`', 'write `to: "*"` for any address')
  if (to === undefined) return undefined
  const host = readHost(to, reader)
  const ports = readPort(fields.get('port'), reader)
  const proto = readProtocol(fields.get('protocol'), reader)
  if (host === undefined || ports === undefined || proto === undefined) return undefined
  const text = `${host.text} port ${portText(ports)} ${proto}`
  return { ...host.net, portFrom: ports.from, portTo: ports.to, proto, text, span: reader.span(node) }
}

function readListenText({ node, reader }: Item): NetPattern | undefined {
  const written = reader.written(node)
  if (written === undefined) {
    reader.text(node, 'an entry of `listen`')
    return undefined
  }
  const { text, span } = written
  const entry = /^\d+(-\d+)?(\/\w+)?$/.test(text) ? `*:${text}` : text
  const parsed = parseNetEntry(entry)
  if (!parsed.ok) {
    const message = parsed.reason === 'name' ? `${quoted(text)} is not an address, a network or a port` : parsed.message
    reader.error('policy_bad_address', span, message, parsed.help)
    return undefined
  }
  if (parsed.net.proto === 'udp') {
    reader.error('policy_bad_address', span, 'only stream sockets listen: there is no `/udp` here')
    return undefined
  }
  return { ...parsed.net, text, span }
}

function readListenMap(item: Item): NetPattern | undefined {
  const { node, reader } = item
  const fields = entryFields(item, 'listen entry', 'an entry of `listen`')
  if (fields === undefined) return undefined
  const at = fields.get('at')
  const anywhere = { text: '*', net: { network: new Uint8Array(16), prefixBits: 0, ipv6Only: false } }
  if (at === undefined && !fields.has('port'))
    reader.error('policy_missing_key', reader.span(node), 'an entry of `listen` has neither `at` nor `port`')
  const host = at === undefined ? anywhere : readHost(at, reader)
  const ports = readPort(fields.get('port'), reader)
  if (host === undefined || ports === undefined) return undefined
  const text = `${host.text} port ${portText(ports)}`
  return { ...host.net, portFrom: ports.from, portTo: ports.to, proto: 'any', text, span: reader.span(node) }
}

type Host = { text: string; net: Extract<HostParse, { ok: true }>['net'] }

function readHost(field: Field, reader: NodeReader): Host | undefined {
  const host = reader.text(field.value, `\`${field.key}\``)
  if (host === undefined) return undefined
  const parsed = parseHost(host.text)
  if (parsed.ok) return { text: host.text, net: parsed.net }
  const name = parsed.reason === 'name' ? 'policy_unsupported' : 'policy_bad_address'
  reader.error(name, host.span, parsed.message, parsed.help)
  return undefined
}

type Ports = Extract<PortParse, { ok: true }>

function portText({ from, to }: Ports): string {
  return from === to ? `${from}` : `${from}-${to}`
}

function readPort(field: Field | undefined, reader: NodeReader): Ports | undefined {
  if (field === undefined) return { ok: true, from: 0, to: PORT_MAX }
  const written = reader.written(field.value)
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
  const found = PROTOCOLS.find((protocol) => protocol === text.text)
  if (found !== undefined) return found
  const help = didYouMean(text.text, PROTOCOLS) ?? 'one of `tcp`, `udp`, `any`'
  reader.error('policy_bad_value', text.span, `${quoted(text.text)} is not a protocol`, help)
  return undefined
}

export function readSyscall({ node, reader }: Item, what: string): NumberEntry | undefined {
  const entry = reader.text(node, what)
  if (entry === undefined) return undefined
  const { text, span } = entry
  const number = syscallNumber(text)
  if (number !== undefined) return { number, span, key: text }
  const help = didYouMean(text, syscallNames())
  reader.error('policy_bad_syscall', span, `there is no system call ${quoted(text)}`, help)
  return undefined
}

export function readCapability({ node, reader }: Item, what: string): NumberEntry | undefined {
  const entry = reader.text(node, what)
  if (entry === undefined) return undefined
  const { text, span } = entry
  const number = capabilityNumber(text)
  if (number !== undefined) return { number, span, key: String(number) }
  const upper = text.toUpperCase()
  const help = didYouMean(upper.startsWith('CAP_') ? upper : `CAP_${upper}`, CAPABILITY_NAMES)
  reader.error('policy_bad_capability', span, `there is no capability ${quoted(text)}`, help)
  return undefined
}

/** The fields of an entry that is a mapping, unknown ones reported. */
export function entryFields(
  { node, reader }: Item,
  mapping: MappingName,
  what: string,
): Map<string, Field> | undefined {
  const fields = reader.map(node, what)
  if (fields === undefined) return undefined
  const known = keysOf(mapping)
  for (const field of fields.values()) if (!known.includes(field.key)) reader.unknownKey(field, what, known)
  return fields
}

function needed(
  fields: ReadonlyMap<string, Field>,
  key: string,
  { node, reader }: { node: Node; reader: NodeReader },
  what: string,
  help?: string,
): Field | undefined {
  const field = fields.get(key)
  if (field === undefined) reader.error('policy_missing_key', reader.span(node), `${what} has no \`${key}\``, help)
  return field
}
