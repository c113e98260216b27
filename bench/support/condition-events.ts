/**
 * The events that the matcher's case judges: those of a capture of real containers (record-capture.ts), read by the agent's own
 * pipeline, with the fields that rules ask for as the agent reads them, in the order and the mix in which they happened.
 */
import { join } from 'node:path'
import { Replay } from '../../src/agent/capture/replay.js'
import type { FieldOperand, FieldReader } from '../../src/match/conditions/types.js'
import { type FieldValues, InternedText } from '../../src/match/conditions/values.js'
import { loadPolicies } from '../../src/policy/load.js'
import type { Policy } from '../../src/policy/model.js'
import { parseNetEntry } from '../../src/policy/net-pattern.js'
import { TOLD_TYPES } from '../../src/record/fields/events.js'
import { findField } from '../../src/record/fields/table.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { CaptureReader } from '../../src/sensor/capture-reader.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'

export const CAPTURE = join(findPackageRoot(), 'bench/data/busy.hgcap')

/** Text, number or address as it is written, several of them, or undefined: the event does not have it. */
export type Value = string | number | readonly (string | number)[] | undefined

export interface Field {
  readonly name: string
  readonly argument: string | undefined
}

export interface ConditionEvent {
  readonly type: string
  /** By field of the set. */
  readonly values: readonly Value[]
}

export interface EventSet {
  readonly eventTypes: readonly string[]
  readonly fields: readonly Field[]
  readonly events: readonly ConditionEvent[]
}

/** Place of a field in the values of an event. */
export function fieldAt({ fields }: EventSet, name: string, argument: string | undefined): number {
  const at = fields.findIndex((field) => field.name === name && field.argument === argument)
  if (at === -1) throw new Error(`the events were read without ${name}`)
  return at
}

/** Every record that the agent would have made of the capture, under these policies. */
export function replayed(policies: readonly Policy[], onRecord: (record: HullguardRecord) => void): void {
  const reader = CaptureReader.open(CAPTURE)
  try {
    const steps = new Replay(reader, { rulebook: { policies }, mode: 'observe', onRecord }).run()
    for (let step = steps.next(); step.done !== true; step = steps.next());
  } finally {
    reader.close()
  }
}

const BETWEEN = '\u001f'
const ABSENT = '<NA>'
const EVERY_EVENT = `policy: capture
containers: all
rules:
  - rule: every event
    condition: evt.type exists
    output: "%evt.type"
`

/** One rule holds for every event, and its output is what the event's fields are. */
export function capturedEvents(fields: readonly Field[]): EventSet {
  const { policies } = loadPolicies([{ file: 'capture', bytes: Buffer.from(EVERY_EVENT) }])
  const asked = fields.map(({ name, argument }) => `%${name}${argument === undefined ? '' : `[${argument}]`}`)
  const output = ['%evt.type', ...asked].join(BETWEEN)
  const events: ConditionEvent[] = []
  replayed(
    policies.map((policy) => ({ ...policy, rules: policy.rules.map((rule) => ({ ...rule, output })) })),
    ({ alert }) => {
      if (alert === undefined) return
      const [type = '', ...texts] = alert.output.split(BETWEEN)
      if (texts.length !== fields.length) throw new Error(`an event with ${texts.length} fields`)
      const values = fields.map(({ name, argument }, at) => readValue(name, argument, texts[at] ?? ABSENT))
      events.push({ type, values })
    },
  )
  if (events.length === 0) throw new Error(`${CAPTURE} holds no events`)
  return { eventTypes: TOLD_TYPES, fields, events }
}

const NUMBERS: ReadonlySet<string> = new Set(['int', 'uint', 'port', 'time'])

function readValue(name: string, argument: string | undefined, text: string): Value {
  if (text === ABSENT) return undefined
  const type = findField(name)?.type ?? 'string'
  if (type === 'bool') return Number(text === 'true')
  const isSeveral = isChain(name, argument) || (type !== 'string' && type !== 'bytes' && text.includes(','))
  const texts = isSeveral ? text.split(',') : [text]
  const values = NUMBERS.has(type) ? texts.map(Number) : texts
  return isSeveral || type === 'list' ? values : values[0]
}

/** Of all ancestors at once. */
function isChain(name: string, argument: string | undefined): boolean {
  return argument === undefined && /^proc\.a(?:name|exe|exepath|cmdline)$/.test(name)
}

/** Texts that the agent keeps with the process and the container, and not with the event. */
const KEPT_FIELDS = /^(?:proc|container|user|group|k8s)\./

/** Where an event's own text stands in the slab. */
type Place = { readonly start: number; readonly end: number }
type Given = InternedText | Place | number | Uint8Array

const IS_NUMBER = 1
const IS_BOOLEAN = 2
const IS_ADDRESS = 3
const IS_KEPT = 4
const IS_OWN = 5

function kindOf({ name, type }: FieldOperand): number {
  if (type === 'bool') return IS_BOOLEAN
  if (NUMBERS.has(type)) return IS_NUMBER
  if (type === 'ip' || type === 'net') return IS_ADDRESS
  return KEPT_FIELDS.test(name) ? IS_KEPT : IS_OWN
}

/**
 * Events laid out as the agent has them: own texts as bytes in one slab, texts of processes and containers interned, numbers as
 * numbers. A read is a switch on what the field is.
 */
export class BenchReader implements FieldReader {
  index = 0
  readonly #slab: Uint8Array
  readonly #kinds: Uint8Array
  /** By operand and event. */
  readonly #given: readonly (readonly (readonly Given[] | undefined)[])[]

  constructor(operands: readonly FieldOperand[], set: EventSet) {
    const texts = new Map<string, InternedText>()
    const slab: number[] = []
    const intern = (text: string) => {
      const known = texts.get(text) ?? new InternedText(Uint8Array.from(Buffer.from(text)))
      texts.set(text, known)
      return known
    }
    const place = (text: string): Place => {
      const start = slab.length
      for (const byte of Buffer.from(text)) slab.push(byte)
      return { start, end: slab.length }
    }
    const laidOut = (kind: number, value: string | number): Given => {
      if (typeof value === 'number') return value
      if (kind === IS_ADDRESS) return addressOf(value)
      return kind === IS_KEPT ? intern(value) : place(value)
    }
    this.#kinds = Uint8Array.from(operands, kindOf)
    this.#given = operands.map(({ name, argument }, operand) => {
      const at = fieldAt(set, name, argument)
      return set.events.map(({ values }) => {
        const value = values[at]
        if (value === undefined) return undefined
        return (typeof value === 'object' ? value : [value]).map((each) =>
          laidOut(this.#kinds[operand] as number, each),
        )
      })
    })
    this.#slab = Uint8Array.from(slab)
  }

  read(operand: number, into: FieldValues): void {
    const given = (this.#given[operand] as readonly (readonly Given[] | undefined)[])[this.index]
    if (given === undefined) return
    for (let at = 0; at < given.length; at++) {
      const value = given[at] as Given
      switch (this.#kinds[operand]) {
        case IS_NUMBER:
          into.addNumber(value as number)
          break
        case IS_BOOLEAN:
          into.addBoolean(value === 1)
          break
        case IS_ADDRESS:
          into.addAddress(value as Uint8Array, 0)
          break
        case IS_KEPT:
          into.addText(value as InternedText)
          break
        default:
          into.addBytes(this.#slab, (value as Place).start, (value as Place).end)
      }
    }
  }
}

/** 16 bytes, IPv4 as ::ffff:a.b.c.d. */
export function addressOf(text: string): Uint8Array {
  const parsed = parseNetEntry(text.includes(':') ? `[${text}]` : text)
  if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`)
  return parsed.net.network
}
