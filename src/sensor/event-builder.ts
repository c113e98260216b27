/** Events that no kernel reported, for tests that a person wrote: laid out by the same table as real ones. */
import { structOf } from './capture-layout.js'
import { EVENT_LAYOUT } from './generated/abi.js'

/** A list fills an array of numbers of 8 bytes. */
export type FieldInput = number | bigint | Uint8Array | readonly bigint[]

/** Fields by their name in bpf/abi.h; what is not given is 0. The strings follow the fields. Throws RangeError for a field that the event has not. */
export function buildEvent(
  struct: string,
  fields: Readonly<Record<string, FieldInput>>,
  strings: readonly Uint8Array[] = [],
): Uint8Array<ArrayBuffer> {
  const [header, body] = [structOf(EVENT_LAYOUT, 'ev_header'), structOf(EVENT_LAYOUT, struct)]
  if (header === undefined || body === undefined) throw new RangeError(`no event ${struct}`)
  const places = new Map([...header.fields, ...body.fields])
  const tailBytes = strings.reduce((sum, { length }) => sum + length, 0)
  const bytes = new Uint8Array(body.sizeBytes + tailBytes)
  const view = new DataView(bytes.buffer)
  for (const [name, value] of Object.entries({ ...fields, size_bytes: bytes.length })) {
    const place = places.get(name)
    if (place === undefined) throw new RangeError(`${struct} has no field ${name}`)
    put(view, bytes, place.offset, place.sizeBytes, value)
  }
  let at = body.sizeBytes
  for (const string of strings) {
    bytes.set(string, at)
    at += string.length
  }
  return bytes
}

/** A number of an enumeration of bpf/abi.h, by its name there. Throws RangeError. */
export function enumNumber(enumeration: string, name: string): number {
  const found = EVENT_LAYOUT[enumeration]?.split(' ').find((entry) => entry.startsWith(`${name}=`))
  if (found === undefined) throw new RangeError(`${enumeration} has no ${name}`)
  return Number(found.slice(name.length + 1))
}

function put(view: DataView, bytes: Uint8Array, at: number, sizeBytes: number, value: FieldInput): void {
  if (value instanceof Uint8Array) bytes.set(value.subarray(0, sizeBytes), at)
  else if (typeof value === 'object')
    value.slice(0, sizeBytes / 8).forEach((item, index) => {
      view.setBigUint64(at + index * 8, BigInt.asUintN(64, item), true)
    })
  else {
    let rest = BigInt.asUintN(sizeBytes * 8, BigInt(value))
    for (let index = 0; index < sizeBytes; index++, rest >>= 8n) bytes[at + index] = Number(rest & 0xffn)
  }
}
