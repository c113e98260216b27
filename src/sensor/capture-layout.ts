/**
 * Events of a capture that another build made. Both builds' tables of where each field lies (EVENT_LAYOUT) say whether and
 * how its events can be read: fields are taken by name, one that the capture lacks reads as 0 and is named, and what cannot
 * be taken over (a field of another size, a changed meaning of a number) refuses the capture, by name.
 */
import { HullguardError } from '../telemetry/errors.js'

interface Field {
  offset: number
  sizeBytes: number
}

interface Struct {
  sizeBytes: number
  fields: ReadonlyMap<string, Field>
}

type Layout = Readonly<Record<string, string>>

/** Enumerations that a field of an event holds, by the field: their numbers are translated by name. */
const NAMED_NUMBERS: Readonly<Record<string, string>> = { kind: 'hg_kind', act: 'hg_act' }
/** Which struct an event of a kind is; the others are ev_ and the kind's name. */
const STRUCT_OF_KIND: Readonly<Record<string, string>> = {
  CGROUP_MKDIR: 'ev_cgroup',
  CGROUP_RMDIR: 'ev_cgroup',
  CGROUP_JOIN: 'ev_cgroup',
  LISTEN: 'ev_socket',
  ACCEPT: 'ev_socket',
  CONNECTED: 'ev_socket',
  CLOSE: 'ev_socket',
}
/** What iterators yield is no event, and these enumerations are in none. */
const NO_EVENTS = ['TASK', 'MEMORY', 'NONE', 'MAX']
const NOT_IN_EVENTS = ['hg_drop', 'hg_want', 'hg_cgroup_state']
const HEADER = 'ev_header'
/** No event of a capture is longer once it is converted: a block holds it. */
const MAX_STRUCT_BYTES = 65_536

/** Copies [from, from + sizeBytes) of the old event to `to`. */
interface Move {
  from: number
  to: number
  sizeBytes: number
}

interface Plan {
  oldBytes: number
  newBytes: number
  moves: readonly Move[]
  /** The 8-, 16- or 32-bit field at `to`, little-endian: old number -> new number. */
  numbers: readonly { to: number; sizeBytes: number; map: ReadonlyMap<number, number> }[]
}

export class LayoutConverter {
  /** Fields that the capture does not have, as `exec.loginuid`; they read as 0. */
  readonly absent: readonly string[]
  readonly #plans = new Map<number, Plan>()
  readonly #kindAt: Field
  readonly #sizeAt: number

  /** Throws HullguardError capture_version, with what differs. */
  constructor(captured: Layout, current: Layout) {
    const faults: string[] = []
    const absent: string[] = []
    const headers = { old: structOf(captured, HEADER), new: structOf(current, HEADER) }
    if (headers.old === undefined || headers.new === undefined) throw refusal(['it says nothing of its events'])
    const kinds = { old: numbersOf(captured, 'hg_kind'), new: numbersOf(current, 'hg_kind') }
    this.#kindAt = headers.old.fields.get('kind') ?? { offset: 4, sizeBytes: 2 }
    this.#sizeAt = headers.new.fields.get('size_bytes')?.offset ?? 0
    compareNumbers(captured, current, faults)
    for (const [name, number] of kinds.old) {
      if (NO_EVENTS.includes(name)) continue
      const structName = STRUCT_OF_KIND[name] ?? `ev_${name.toLowerCase()}`
      const [old, now] = [structOf(captured, structName), structOf(current, structName)]
      if (old === undefined || now === undefined || !kinds.new.has(name)) continue
      const plan = planFor(merged(headers.old, old), merged(headers.new, now), { captured, current }, (field, what) => {
        const place = `${headers.new?.fields.has(field) ? 'the header' : structName.slice(3)}.${field}`
        const list = what === 'absent' ? absent : faults
        const text = what === 'absent' ? place : `${place} ${what}`
        if (!list.includes(text)) list.push(text)
      })
      this.#plans.set(number, plan)
    }
    if (faults.length > 0) throw refusal(faults)
    this.absent = absent
  }

  /** The event's bytes as this build lays them out; undefined: of a kind that this build does not have. */
  convert(bytes: Uint8Array, start: number, end: number, into: Uint8Array): number | undefined {
    const kindAt = start + this.#kindAt.offset
    const kind = (bytes[kindAt] ?? 0) | ((bytes[kindAt + 1] ?? 0) << 8)
    const plan = this.#plans.get(kind)
    if (plan === undefined || end - start < plan.oldBytes) return undefined
    const tailBytes = end - start - plan.oldBytes
    const sizeBytes = plan.newBytes + tailBytes
    if (sizeBytes > into.length) return undefined
    into.fill(0, 0, plan.newBytes)
    for (const { from, to, sizeBytes: count } of plan.moves)
      into.set(bytes.subarray(start + from, start + from + count), to)
    into.set(bytes.subarray(start + plan.oldBytes, end), plan.newBytes)
    const view = new DataView(into.buffer, into.byteOffset, into.length)
    for (const { to, sizeBytes: width, map } of plan.numbers) {
      const number = width === 4 ? view.getUint32(to, true) : width === 2 ? view.getUint16(to, true) : view.getUint8(to)
      const mapped = map.get(number) ?? number
      if (width === 4) view.setUint32(to, mapped, true)
      else if (width === 2) view.setUint16(to, mapped, true)
      else view.setUint8(to, mapped)
    }
    view.setUint32(this.#sizeAt, sizeBytes, true)
    return sizeBytes
  }
}

/** undefined: the capture's events lie as this build's do. Throws HullguardError capture_version. */
export function converterFor(captured: Layout, current: Layout): LayoutConverter | undefined {
  const names = new Set([...Object.keys(captured), ...Object.keys(current)])
  const isSame = [...names].every((name) => captured[name] === current[name])
  return isSame ? undefined : new LayoutConverter(captured, current)
}

export function structOf(layout: Layout, name: string): Struct | undefined {
  const text = Object.hasOwn(layout, name) ? layout[name] : undefined
  if (text === undefined) return undefined
  const [size, ...rest] = text.split(' ')
  const sizeBytes = Number(size)
  const fields = new Map<string, Field>()
  for (const part of rest) {
    const found = /^(\w+)@(\d{1,6})\+(\d{1,6})$/.exec(part)
    if (found === null) throw refusal([`its table of ${name} cannot be read at \`${part.slice(0, 40)}\``])
    const field = { offset: Number(found[2]), sizeBytes: Number(found[3]) }
    if (field.offset + field.sizeBytes > sizeBytes) throw refusal([`its ${name}.${found[1]} lies outside the event`])
    fields.set(String(found[1]), field)
  }
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes > MAX_STRUCT_BYTES)
    throw refusal([`its ${name} has an impossible size`])
  return { sizeBytes, fields }
}

/** Name without the prefix that all names of the enumeration share -> number. */
function numbersOf(layout: Layout, name: string): Map<string, number> {
  const text = Object.hasOwn(layout, name) ? (layout[name] ?? '') : ''
  const stem = `${name.toUpperCase()}_`
  return new Map(
    text.split(' ').flatMap((part) => {
      const [key = '', value = ''] = part.split('=')
      return /^\d{1,10}$/.test(value)
        ? [[key.startsWith(stem) ? key.slice(stem.length) : key, Number(value)] as const]
        : []
    }),
  )
}

/** Numbers that are not translated by name must mean the same in both builds. Ends of enumerations (`MAX`) are none. */
function compareNumbers(captured: Layout, current: Layout, faults: string[]): void {
  const translated = new Set([...Object.values(NAMED_NUMBERS), ...NOT_IN_EVENTS])
  for (const name of Object.keys(captured).filter((key) => key.startsWith('hg_') && !translated.has(key))) {
    const now = numbersOf(current, name)
    for (const [key, number] of numbersOf(captured, name)) {
      const other = now.get(key)
      if (other !== undefined && other !== number && !key.endsWith('MAX'))
        faults.push(`${name} ${key} is ${number} in it and ${other} here`)
    }
  }
}

function merged(header: Struct, struct: Struct): Struct {
  return { sizeBytes: struct.sizeBytes, fields: new Map([...header.fields, ...struct.fields]) }
}

function planFor(
  old: Struct,
  now: Struct,
  layouts: { captured: Layout; current: Layout },
  say: (field: string, what: string) => void,
): Plan {
  const moves: Move[] = []
  const numbers: { to: number; sizeBytes: number; map: Map<number, number> }[] = []
  for (const [name, field] of now.fields) {
    const from = old.fields.get(name)
    if (from === undefined) {
      say(name, 'absent')
      continue
    }
    if (from.sizeBytes !== field.sizeBytes) {
      say(name, `has ${from.sizeBytes} bytes in it and ${field.sizeBytes} here`)
      continue
    }
    moves.push({ from: from.offset, to: field.offset, sizeBytes: field.sizeBytes })
    const enumName = NAMED_NUMBERS[name]
    if (enumName === undefined) continue
    const here = numbersOf(layouts.current, enumName)
    const map = new Map<number, number>()
    for (const [key, number] of numbersOf(layouts.captured, enumName)) map.set(number, here.get(key) ?? number)
    numbers.push({ to: field.offset, sizeBytes: field.sizeBytes, map })
  }
  return { oldBytes: old.sizeBytes, newBytes: now.sizeBytes, moves, numbers }
}

function refusal(faults: readonly string[]): HullguardError {
  const shown = faults.slice(0, 5).join('; ')
  const more = faults.length > 5 ? `; and ${faults.length - 5} more` : ''
  return new HullguardError('capture_version', `the capture's events are laid out differently: ${shown}${more}`)
}
