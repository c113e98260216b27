/** Events as plain values, for the oracle and, through a FieldReader, for compiled programs. */

import type { ConditionHits, ConditionProgram, FieldOperand, FieldReader } from '../../src/match/conditions/types.js'
import { type FieldValues, InternedText } from '../../src/match/conditions/values.js'
import type { FieldRef } from '../../src/policy/condition/ast.js'
import { textOf } from '../../src/policy/condition/check.js'
import { parseHost } from '../../src/policy/net-pattern.js'
import type { FieldType } from '../../src/record/fields/types.js'
import { parsed } from './condition-text.js'

/** Values as the oracle has them, by `name` or `name[argument]`; absent: missing. */
export interface TestEvent {
  readonly type: string
  readonly fields: Readonly<Record<string, readonly Uint8Array[] | undefined>>
}

export function fieldKey({ name, argument }: FieldRef): string {
  return argument === undefined ? name : `${name}[${textOf(argument)}]`
}

const HALF = 2n ** 32n

/** Adds each value as its type asks; texts now and then as interned ones, which outlive the event. */
export class TestReader implements FieldReader {
  event: TestEvent = { type: '', fields: {} }
  readCount = 0
  readonly #operands: readonly FieldOperand[]
  readonly #interned = new Map<string, InternedText>()
  readonly #isInterning: boolean

  constructor({ operands }: Pick<ConditionProgram, 'operands'>, isInterning: boolean) {
    this.#operands = operands
    this.#isInterning = isInterning
  }

  read(operand: number, into: FieldValues): void {
    this.readCount++
    const spec = this.#operands[operand]
    if (spec === undefined) throw new RangeError(`no operand ${operand}`)
    const values = this.event.fields[spec.argument === undefined ? spec.name : `${spec.name}[${spec.argument}]`]
    if (values === undefined) return
    if (values.length === 0) into.setEmptyList()
    for (const value of values) this.#add(spec.type, value, into)
  }

  #add(type: FieldType, value: Uint8Array, into: FieldValues): void {
    const text = Buffer.from(value).toString('latin1')
    switch (type) {
      case 'string':
      case 'bytes':
      case 'list':
        if (this.#isInterning) into.addText(this.#intern(text))
        // in the midst of other bytes, as in a slab
        else into.addBytes(Uint8Array.from([0x2f, ...value, 0x2f]), 1, value.length + 1)
        return
      case 'ip':
      case 'net': {
        const host = parseHost(text)
        if (!host.ok) throw new Error(text)
        into.addAddress(Uint8Array.from([1, ...host.net.network]), 1)
        return
      }
      case 'bool':
        into.addBoolean(text === 'true')
        return
      default: {
        const number = BigInt(text)
        if (Number.isSafeInteger(Number(number))) into.addNumber(Number(number))
        else into.addWide(Number(BigInt.asIntN(128, number) >> 32n), Number(BigInt.asUintN(32, number) % HALF))
      }
    }
  }

  #intern(text: string): InternedText {
    const known = this.#interned.get(text) ?? new InternedText(Uint8Array.from(Buffer.from(text, 'latin1')))
    this.#interned.set(text, known)
    return known
  }
}

export function hitsOf(
  program: ConditionProgram,
  reader: TestReader,
  event: TestEvent,
  eventTypes: readonly string[],
  scopes: Iterable<number> = [0],
): number[] {
  const hits: ConditionHits = { rules: new Uint32Array(program.rules.length), count: 0 }
  reader.event = event
  program.match(program.profileOf(scopes), eventTypes.indexOf(event.type), reader, hits)
  return [...hits.rules.subarray(0, hits.count)]
}

export function expressionOf(text: string) {
  const read = parsed(text)
  if (!read.ok) throw new Error(`${text}: ${read.fault.message}`)
  return read.expression
}
