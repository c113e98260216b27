/**
 * Events made by hand for the unit tests. Where a field lies is found by asking the generated view itself, so that the layout
 * is written down nowhere else.
 */
import { RING_HEADER_BYTES } from '../../src/sensor/batch.js'
import { EvExec, type EvHeader } from '../../src/sensor/generated/abi.js'

type Value = number | bigint | Uint8Array
interface ViewClass {
  readonly SIZE_BYTES: number
  new (view: DataView, bytes: Uint8Array): EvHeader
}

interface Place {
  at: number
  sizeBytes: number
}
const places = new Map<string, Place>()

/** First byte and length of a field. */
function placeOf(type: ViewClass, name: string): Place {
  const key = `${type.name} ${name}`
  const known = places.get(key) ?? findPlace(type, name)
  places.set(key, known)
  return known
}

function findPlace(type: ViewClass, name: string): Place {
  const bytes = new Uint8Array(type.SIZE_BYTES)
  const view = new type(new DataView(bytes.buffer), bytes)
  const isSet = () => {
    const value: unknown = Reflect.get(view, name)
    if (value === undefined) throw new Error(`${type.name} has no field ${name}`)
    return value instanceof Uint8Array ? value.some((byte) => byte !== 0) : Number(value) !== 0
  }
  const set = [...bytes.keys()].filter((at) => {
    bytes[at] = 1
    const found = isSet()
    bytes[at] = 0
    return found
  })
  return { at: set[0] ?? 0, sizeBytes: set.length }
}

/** An event with these fields, everything else 0. `sizeBytes` is its own length unless given. */
export function makeEvent(
  type: ViewClass,
  fields: Readonly<Record<string, Value>>,
  tail: Uint8Array = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const event = new Uint8Array(type.SIZE_BYTES + tail.length)
  event.set(tail, type.SIZE_BYTES)
  const all: Record<string, Value> = { sizeBytes: event.length, ...fields }
  for (const [name, value] of Object.entries(all)) {
    const { at, sizeBytes } = placeOf(type, name)
    if (value instanceof Uint8Array) event.set(value.subarray(0, sizeBytes), at)
    else
      for (let byte = 0; byte < sizeBytes; byte++)
        event[at + byte] = Number((BigInt(value) >> BigInt(8 * byte)) & 0xffn)
  }
  return event
}

/** The same, seen as such an event. */
export function viewOf<Type extends ViewClass>(
  type: Type,
  fields: Readonly<Record<string, Value>>,
  tail?: Uint8Array,
): InstanceType<Type> {
  const bytes = makeEvent(type, fields, tail)
  return new type(new DataView(bytes.buffer), bytes) as InstanceType<Type>
}

export function makeExec(
  fields: Readonly<Record<string, Value>>,
  strings: { invoked?: string; file?: string; cwd?: string; args?: string; env?: string } = {},
): Uint8Array {
  const parts = [strings.invoked, strings.file, strings.cwd, strings.args, strings.env].map((text) =>
    Buffer.from(text ?? '', 'latin1'),
  )
  const [invoked, file, cwd, args, env] = parts.map(({ length }) => length)
  const lengths = {
    invokedBytes: invoked ?? 0,
    fileBytes: file ?? 0,
    cwdBytes: cwd ?? 0,
    argsBytes: args ?? 0,
    envBytes: env ?? 0,
  }
  return makeEvent(EvExec, { ...lengths, ...fields }, Buffer.concat(parts))
}

/** Records as they lie in the ring: each with its length and padded to 8 bytes. `flags` are the busy and discard bits. */
export function ringOf(events: readonly Uint8Array[], flags = 0): Uint8Array {
  const records = events.map((event) => {
    const record = new Uint8Array((RING_HEADER_BYTES + event.length + 7) & ~7)
    new DataView(record.buffer).setUint32(0, (event.length | flags) >>> 0, true)
    record.set(event, RING_HEADER_BYTES)
    return record
  })
  return Uint8Array.from(Buffer.concat(records))
}
