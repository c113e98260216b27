/** Single comparisons of one field with one value: the smallest things that a program knows to hold or not, each stored once. */

export const TEST_EQUALS = 0
export const TEST_PREFIX = 1
export const TEST_SUFFIX = 2
export const TEST_CONTAINS = 3
export const TEST_ICONTAINS = 4
export const TEST_GLOB = 5
export const TEST_IGLOB = 6
export const TEST_PATH = 7
export const TEST_REGEX = 8
export const TEST_NETWORK = 9
/** Orders: not found by an index but by the place of a value among those that it is compared with. */
export const TEST_LESS = 10
export const TEST_AT_MOST = 11
export const TEST_AT_LEAST = 12
export const TEST_MORE = 13
/** The field is not there: known from reading it, in no index. Not of conditions, but of what their negations come to. */
export const TEST_MISSING = 14

export const TEST_NAMES = [
  '=',
  'startswith',
  'endswith',
  'contains',
  'icontains',
  'glob',
  'iglob',
  'pmatch',
  'regex',
  'net',
  '<',
  '<=',
  '>=',
  '>',
  'missing',
] as const

export interface Atom {
  readonly id: number
  readonly operand: number
  readonly test: number
  /** A character a byte; a network as 16 bytes, its prefix length and whether it is of IPv6 only; a number in decimal; of `missing` nothing. */
  readonly value: string
}

export function isOrder(test: number): boolean {
  return test >= TEST_LESS && test <= TEST_MORE
}

export class Atoms {
  readonly all: Atom[] = []
  readonly #ids = new Map<string, number>()

  id(operand: number, test: number, value: string): number {
    const key = `${operand} ${test} ${value}`
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.all.length
    this.#ids.set(key, id)
    this.all.push({ id, operand, test, value })
    return id
  }

  at(id: number): Atom {
    const atom = this.all[id]
    if (atom === undefined) throw new RangeError(`no atom ${id}`)
    return atom
  }
}

/** A network as the value of an atom. IPv4 stands at ::ffff:0:0/96; what is wider there and written as IPv6 does not mean IPv4. */
export function networkValue(network: Uint8Array, prefixBits: number): string {
  return Buffer.from(network).toString('latin1') + String.fromCharCode(prefixBits)
}

export function readNetworkValue(value: string): { network: Uint8Array; prefixBits: number; ipv6Only: boolean } {
  const network = Uint8Array.from(Buffer.from(value.slice(0, 16), 'latin1'))
  const prefixBits = value.charCodeAt(16)
  const isAroundMapped =
    prefixBits < 96 &&
    network.every((byte, at) => at * 8 >= prefixBits || sameBits(byte, MAPPED[at] ?? 0, prefixBits - at * 8))
  return { network, prefixBits, ipv6Only: isAroundMapped }
}

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]

function sameBits(a: number, b: number, bits: number): boolean {
  return bits >= 8 ? a === b : (a ^ b) >>> (8 - bits) === 0
}
