/**
 * Outputs of rules: text with fields in it, written out for the event that a context stands on. A field that the event does
 * not have is `<NA>`. Runs for events that hit only; may allocate.
 */
import { FieldValues } from '../../match/conditions/values.js'
import type { Operand, TransformerArgument } from '../../policy/condition/ast.js'
import { outputParts } from '../../policy/falco/output.js'
import { findField } from '../../record/fields/table.js'
import type { FieldType } from '../../record/fields/types.js'
import { formatIp } from '../../record/ip-text.js'
import type { EventContext } from './context.js'
import { ContextReader } from './reader.js'
import { timeText } from './time-text.js'
import { transformed } from './transform-text.js'

const ABSENT = '<NA>'

/** The texts of a field's values; undefined: absent. */
export type Texts = readonly string[] | undefined

export class OutputFormat {
  readonly #parts: readonly (string | Operand)[]

  /** Falco's `*` at the head of an output asks for what is done anyway: absent fields do not silence it. */
  constructor(text: string) {
    this.#parts = outputParts(text.replace(/^\*/, ''), (name) => findField(name) !== undefined)
  }

  /** Names of the fields in it. */
  get fields(): ReadonlySet<string> {
    const names = new Set<string>()
    const visit = (part: TransformerArgument): void => {
      if (part.kind === 'field') names.add(part.name)
      else if (part.kind === 'transformer') part.args.forEach(visit)
      else if (part.kind === 'arguments') part.items.forEach(visit)
    }
    for (const part of this.#parts) if (typeof part !== 'string') visit(part)
    return names
  }

  render(context: EventContext, eventType: string): string {
    return this.#parts
      .map((part) => {
        if (typeof part === 'string') return part
        const texts = textsOf(part, context, eventType)
        return texts === undefined ? ABSENT : texts.join(',')
      })
      .join('')
  }
}

function textsOf(part: TransformerArgument, context: EventContext, eventType: string): Texts {
  switch (part.kind) {
    case 'value':
      return [new TextDecoder().decode(part.bytes)]
    case 'number':
      return [part.text]
    case 'arguments': {
      const items = part.items.map((item) => textsOf(item, context, eventType))
      return items.some((texts) => texts === undefined) ? undefined : items.flatMap((texts) => texts ?? [])
    }
    case 'transformer': {
      const args = part.args.map((each) => textsOf(each, context, eventType))
      const index = part.index === undefined ? undefined : new TextDecoder().decode(part.index.bytes)
      return transformed(part.name, args, index)
    }
    default: {
      if (part.name === 'evt.type' || part.name === 'syscall.type') return [eventType]
      const argument = part.argument === undefined ? undefined : new TextDecoder().decode(part.argument.bytes)
      return fieldTexts(context, part.name, argument)
    }
  }
}

/** A field's values as text. */
export function fieldTexts(context: EventContext, name: string, argument: string | undefined): Texts {
  const values = new FieldValues()
  new ContextReader(context, [{ name, argument }]).read(0, values)
  const type = findField(name)?.type
  if (!values.isPresent || type === undefined) return undefined
  return Array.from({ length: values.count }, (_, at) =>
    name === 'evt.time' ? timeText(wideOf(values, at)) : valueText(values, at, type),
  )
}

function wideOf(values: FieldValues, at: number): bigint {
  return (BigInt(values.high[at] ?? 0) << 32n) | BigInt(values.low[at] ?? 0)
}

function valueText(values: FieldValues, at: number, type: FieldType): string {
  switch (type) {
    case 'int':
    case 'uint':
    case 'port':
    case 'time':
      return String(wideOf(values, at))
    case 'bool':
      return values.low[at] === 0 ? 'false' : 'true'
    default: {
      const bytes = values.bytes[at]?.subarray(values.starts[at], values.ends[at]) ?? new Uint8Array(0)
      return type === 'ip' || type === 'net' ? addressText(bytes) : Buffer.from(bytes).toString('utf8')
    }
  }
}

function addressText(address: Uint8Array): string {
  const isMapped = address[10] === 0xff && address[11] === 0xff && address.subarray(0, 10).every((byte) => byte === 0)
  return formatIp(address, isMapped)
}
