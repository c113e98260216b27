/**
 * Connect entries: `HOST[:PORT[-PORT]][/tcp|/udp]` -> network, ports, protocol. HOST is `*`, an IPv4 or IPv6 address or
 * network; an IPv6 one stands in `[…]` when a port follows. Names are recognised, to be refused with their own code.
 *
 *   *:80   10.0.0.0/8   10.1.2.3:443/tcp   10.0.0.0/8:8000-8999   2001:db8::1   [2001:db8::/32]:443/udp
 *
 * Bytes are those of IPv6; IPv4 stands at ::ffff:0:0/96, where the kernel's own mapped addresses are.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { formatIp } from '../record/ip-text.js'
import type { NetPattern } from './model.js'
import { quoted } from './visible-text.js'

export type ParsedNet = Omit<NetPattern, 'span' | 'text'>
export type Refusal = { ok: false; reason: 'malformed' | 'name'; message: string; help?: string }
export type NetParse = { ok: true; net: ParsedNet } | Refusal
export type PortParse = { ok: true; from: number; to: number } | Refusal

export const PORT_MAX = 65535
const MAPPED_BITS = 96
const ADDRESS_BITS = 128
/** The longest valid entry is about 60 characters; more is not worth a look. */
const ENTRY_MAX_COUNT = 300
const DNS_NAME = /^(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_-]*\.?)*$/

export function parseNetEntry(entry: string): NetParse {
  if (entry.length > ENTRY_MAX_COUNT) return malformed(`${quoted(entry)} is too long to be an address`)
  const suffix = /\/(tcp|udp)$/i.exec(entry)
  const proto = suffix?.[1] === undefined ? 'any' : suffix[1].toLowerCase() === 'tcp' ? 'tcp' : 'udp'
  const split = splitPort(suffix === null ? entry : entry.slice(0, suffix.index))
  if ('ok' in split) return split
  const host = parseHost(split.host)
  if (!host.ok) return host
  const ports = split.port === undefined ? { ok: true as const, from: 0, to: PORT_MAX } : parsePorts(split.port)
  if (!ports.ok) return ports
  return { ok: true, net: { ...host.net, portFrom: ports.from, portTo: ports.to, proto } }
}

export type HostParse = { ok: true; net: Pick<NetPattern, 'network' | 'prefixBits' | 'ipv6Only'> } | Refusal

/** Address, network or `*`, without a port. */
export function parseHost(host: string): HostParse {
  if (host === '*') return { ok: true, net: { network: new Uint8Array(16), prefixBits: 0, ipv6Only: false } }
  const slash = host.indexOf('/')
  const address = slash === -1 ? host : host.slice(0, slash)
  const four = isIPv4(address)
  if (!four && (!isIPv6(address) || address.includes('%'))) return notAnAddress(host, address)
  const bytes = four ? mappedBytes(address) : ipv6Bytes(address)
  const width = four ? 32 : ADDRESS_BITS
  const prefix = slash === -1 ? width : parsePrefix(host.slice(slash + 1), width)
  if (prefix === undefined) return malformed(`${quoted(host)}: the prefix length is not a number from 0 to ${width}`)
  const prefixBits = four ? MAPPED_BITS + prefix : prefix
  const network = masked(bytes, prefixBits)
  if (network.some((byte, at) => byte !== bytes[at])) {
    const meant = four ? network.slice(12).join('.') : formatIp(network, false)
    return malformed(`${quoted(host)} has bits set below its prefix`, `the network is \`${meant}/${prefix}\``)
  }
  return { ok: true, net: { network, prefixBits, ipv6Only: !four && containsMapped(network, prefixBits) } }
}

/** `443` or `8000-8999`. */
export function parsePorts(text: string): PortParse {
  const found = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  const from = Number(found?.[1])
  const to = found?.[2] === undefined ? from : Number(found[2])
  if (found === null || from > PORT_MAX || to > PORT_MAX)
    return malformed(`${quoted(text)} is not a port from 0 to ${PORT_MAX}, or a range such as 8000-8999`)
  if (to < from) return malformed(`the port range ${quoted(text)} runs backwards`)
  return { ok: true, from, to }
}

function splitPort(text: string): { host: string; port?: string } | Refusal {
  if (text.startsWith('[')) {
    const close = text.indexOf(']')
    const rest = text.slice(close + 1)
    if (close === -1) return malformed(`${quoted(text)}: \`[\` has no closing \`]\``)
    const host = text.slice(1, close)
    // `[2001:db8::]/32:443` is as natural as `[2001:db8::/32]:443`
    const network = /^\/(\d+)(?=:|$)/.exec(rest)
    const whole = network !== null && !host.includes('/') ? `${host}/${network[1]}` : host
    const after = network !== null && !host.includes('/') ? rest.slice(network[0].length) : rest
    if (!whole.includes(':')) return malformed(`${quoted(text)}: only IPv6 stands in \`[…]\``)
    if (after === '') return { host: whole }
    if (!after.startsWith(':')) return malformed(`${quoted(text)}: only \`:PORT\` may follow \`]\``)
    return { host: whole, port: after.slice(1) }
  }
  const colon = text.indexOf(':')
  if (colon === -1 || colon !== text.lastIndexOf(':')) return { host: text }
  return { host: text.slice(0, colon), port: text.slice(colon + 1) }
}

function notAnAddress(host: string, address: string): Refusal {
  if (address.includes('%')) return malformed(`${quoted(host)}: an address here has no zone`)
  if (!/^[\d.]+$/.test(address) && DNS_NAME.test(address))
    return {
      ok: false,
      reason: 'name',
      message: `${quoted(host)}: names in \`connect\` are not supported yet`,
      help: 'give the address or network that the name stands for',
    }
  if (address.split(':').length > 2)
    return malformed(`${quoted(host)} is not an IPv6 address or network`, 'with a port, write `[2001:db8::/32]:443`')
  const help = /^\d+$/.test(host) ? `to mean a port, write \`*:${host}\`` : undefined
  return malformed(`${quoted(host)} is not an address, a network or \`*\``, help)
}

function parsePrefix(text: string, width: number): number | undefined {
  if (!/^\d{1,3}$/.test(text)) return undefined
  const bits = Number(text)
  return bits <= width ? bits : undefined
}

function mappedBytes(address: string): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes.set([0xff, 0xff, ...address.split('.').map(Number)], 10)
  return bytes
}

/** `address` passed isIPv6 and has no zone. */
function ipv6Bytes(address: string): Uint8Array {
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  let text = address
  if (dotted !== null) {
    const [a, b, c, d] = dotted.slice(1).map(Number)
    const groups = [((a ?? 0) << 8) | (b ?? 0), ((c ?? 0) << 8) | (d ?? 0)]
    text = address.slice(0, dotted.index) + groups.map((group) => group.toString(16)).join(':')
  }
  const [head = '', tail] = text.split('::')
  const groupsOf = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  const left = groupsOf(head)
  const right = tail === undefined ? [] : groupsOf(tail)
  const bytes = new Uint8Array(16)
  for (const [at, group] of left.entries()) bytes.set([group >> 8, group & 0xff], at * 2)
  for (const [at, group] of right.entries()) bytes.set([group >> 8, group & 0xff], 16 - (right.length - at) * 2)
  return bytes
}

function masked(bytes: Uint8Array, prefixBits: number): Uint8Array {
  return bytes.map((byte, at) => byte & (0xff00 >> Math.max(0, Math.min(8, prefixBits - at * 8))))
}

/** Shorter than ::ffff:0:0/96 and a prefix of it. */
function containsMapped(network: Uint8Array, prefixBits: number): boolean {
  if (prefixBits >= MAPPED_BITS) return false
  const mapped = masked(mappedBytes('0.0.0.0'), prefixBits)
  return network.every((byte, at) => byte === mapped[at])
}

function malformed(message: string, help?: string): Refusal {
  return help === undefined
    ? { ok: false, reason: 'malformed', message }
    : { ok: false, reason: 'malformed', message, help }
}
