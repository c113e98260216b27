/**
 * A written value as a field's type reads it, or why it cannot be one. Numbers are decimal and within 64 bits; booleans are
 * `true` and `false`; ports may be well-known service names; addresses may be networks where a network is asked for.
 */
import { isIP } from 'node:net'
import type { FieldType } from '../../record/fields/types.js'
import { parseHost } from '../net-pattern.js'
import { quoted } from '../visible-text.js'

export type Literal =
  | { ok: true; value: Uint8Array | bigint | boolean | NetLiteral }
  | { ok: false; message: string; help?: string }

export interface NetLiteral {
  /** 16 bytes, IPv4 as ::ffff:a.b.c.d, host bits cleared. */
  readonly network: Uint8Array
  readonly prefixBits: number
}

/** As in libs' filter buffers: a longer value is refused when the rule is read, not cut when it is compared. */
export const VALUE_MAX_BYTES = 255

/** Of the services file, those that rules name. */
const SERVICES: ReadonlyMap<string, bigint> = new Map([
  ['ftp', 21n],
  ['ssh', 22n],
  ['telnet', 23n],
  ['smtp', 25n],
  ['domain', 53n],
  ['http', 80n],
  ['pop3', 110n],
  ['ntp', 123n],
  ['imap2', 143n],
  ['snmp', 161n],
  ['ldap', 389n],
  ['https', 443n],
  ['imaps', 993n],
  ['mysql', 3306n],
  ['postgresql', 5432n],
  ['redis', 6379n],
])

const UINT_MAX = 2n ** 64n - 1n
const INT_MAX = 2n ** 63n - 1n
/** Digits of 2^64. */
const DIGITS_MAX_COUNT = 20

export function readLiteral(type: FieldType, bytes: Uint8Array): Literal {
  if (bytes.length > VALUE_MAX_BYTES)
    return { ok: false, message: `the value has ${bytes.length} bytes, more than ${VALUE_MAX_BYTES}` }
  if (type === 'bytes') return { ok: true, value: bytes }
  if (bytes.includes(0)) return { ok: false, message: 'a NUL byte only compares with byte buffers' }
  if (type === 'string' || type === 'list') return { ok: true, value: bytes }
  const text = new TextDecoder().decode(bytes)
  switch (type) {
    case 'int':
      return readNumber(text, -INT_MAX - 1n, INT_MAX)
    case 'uint':
    case 'time':
      return readNumber(text, 0n, UINT_MAX)
    case 'port': {
      const port = SERVICES.get(text)
      return port === undefined ? readNumber(text, 0n, 65535n) : { ok: true, value: port }
    }
    case 'bool':
      if (text === 'true' || text === 'false') return { ok: true, value: text === 'true' }
      return { ok: false, message: `${quoted(text)} is neither \`true\` nor \`false\`` }
    default:
      return readNetwork(text, type)
  }
}

function readNumber(text: string, least: bigint, most: bigint): Literal {
  if (/^0[xX]|[.eE]/.test(text) && /^[+-]?[0-9]/.test(text))
    return { ok: false, message: `${quoted(text)} is not a whole decimal number` }
  if (!/^[+-]?[0-9]+$/.test(text)) return { ok: false, message: `${quoted(text)} is not a number` }
  const value = text.length > DIGITS_MAX_COUNT + 1 ? most + 1n : BigInt(text.replace(/^\+/, ''))
  if (value >= least && value <= most) return { ok: true, value }
  return { ok: false, message: `${quoted(text)} is outside ${least} to ${most}` }
}

function readNetwork(text: string, type: 'ip' | 'net'): Literal {
  const slash = text.indexOf('/')
  if (slash !== -1 && type === 'ip') {
    const help = 'networks are compared with the field that ends in `net`, such as `fd.snet`'
    return { ok: false, message: `${quoted(text)} is a network, not an address`, help }
  }
  const address = slash === -1 ? text : text.slice(0, slash)
  const family = isIP(address)
  const prefix = slash === -1 ? '' : text.slice(slash + 1)
  const width = family === 4 ? 32 : 128
  const isPrefix = slash === -1 || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= width)
  const host = family === 0 || !isPrefix ? undefined : parseHost(address)
  if (host === undefined || !host.ok)
    return { ok: false, message: `${quoted(text)} is not an address${type === 'net' ? ' or network' : ''}` }
  // host bits are ignored: 10.1.2.3/8 is 10.0.0.0/8
  const prefixBits = (slash === -1 ? width : Number(prefix)) + (128 - width)
  return { ok: true, value: { network: cleared(host.net.network, prefixBits), prefixBits } }
}

function cleared(network: Uint8Array, prefixBits: number): Uint8Array {
  return network.map((byte, at) => byte & ~(0xff >> Math.max(0, Math.min(8, prefixBits - at * 8))) & 0xff)
}
