/** What the left and right sides of a program's comparisons are: fields, and what transformers make of them, each stored once. */
import type { Operand, TransformerArgument, TransformerName } from '../../policy/condition/ast.js'
import { textOf } from '../../policy/condition/check.js'
import { printOperand } from '../../policy/condition/printer.js'
import type { FieldType } from '../../record/fields/types.js'
import type { ValueKind } from './compare.js'
import type { FieldOperand } from './types.js'

export type OperandSource =
  /** Index of ConditionProgram.operands. */
  | { readonly kind: 'field'; readonly field: number }
  /** The event's type: known from the match call. */
  | { readonly kind: 'type' }
  | {
      readonly kind: 'transformer'
      readonly name: TransformerName
      readonly inputs: readonly TransformerInput[]
      /** What stands in `[…]` of getopt. */
      readonly index: Uint8Array | undefined
    }

export type TransformerInput =
  | { readonly kind: 'operand'; readonly operand: number }
  | { readonly kind: 'constant'; readonly bytes: Uint8Array }

export interface OperandEntry {
  readonly id: number
  /** As it is written. */
  readonly text: string
  readonly type: FieldType
  readonly source: OperandSource
  /** An event may have several values of it. */
  readonly isSeveral: boolean
  /** `!=` must hold of both ends. */
  readonly isEitherEnd: boolean
}

const EITHER_END = /^fd\.(?:ip|net|port)$/
const ANCESTOR = /^proc\.a(?:name|exe|exepath|cmdline|pid|env)$/
const NAMES_OF_ADDRESS = /^fd\.[clrs]ip\.name$/

/** Fields of which a FieldReader may give several values; of any other it gives one or none. */
export function mayBeSeveral({ name, argument, type }: FieldOperand): boolean {
  if (type === 'list' || EITHER_END.test(name) || NAMES_OF_ADDRESS.test(name)) return true
  return argument === undefined && ANCESTOR.test(name)
}

export function kindOfType(type: FieldType): ValueKind {
  switch (type) {
    case 'string':
    case 'bytes':
    case 'list':
      return 'text'
    case 'ip':
    case 'net':
      return 'address'
    default:
      return 'number'
  }
}

export class Operands {
  readonly all: OperandEntry[] = []
  readonly fields: FieldOperand[] = []
  readonly #ids = new Map<string, number>()
  readonly #fieldType: (name: string) => FieldType | undefined

  constructor(fieldType: (name: string) => FieldType | undefined) {
    this.#fieldType = fieldType
  }

  at(id: number): OperandEntry {
    const entry = this.all[id]
    if (entry === undefined) throw new RangeError(`no operand ${id}`)
    return entry
  }

  of(operand: Operand): OperandEntry {
    const text = printOperand(operand)
    const known = this.#ids.get(text)
    if (known !== undefined) return this.at(known)
    const made = operand.kind === 'field' ? this.#field(operand) : this.#transformer(operand)
    const entry = { id: this.all.length, text, ...made }
    this.#ids.set(text, entry.id)
    this.all.push(entry)
    return entry
  }

  #field({ name, argument }: Extract<Operand, { kind: 'field' }>): Omit<OperandEntry, 'id' | 'text'> {
    const type = this.#fieldType(name)
    if (type === undefined) throw new Error(`a field that was not checked: ${name}`)
    const isEitherEnd = EITHER_END.test(name)
    if (name === 'evt.type') return { type, source: { kind: 'type' }, isSeveral: false, isEitherEnd }
    const operand = { name, argument: argument === undefined ? undefined : textOf(argument), type }
    const field = this.fields.push(operand) - 1
    return { type, source: { kind: 'field', field }, isSeveral: mayBeSeveral(operand), isEitherEnd }
  }

  #transformer({ name, args, index }: Extract<Operand, { kind: 'transformer' }>): Omit<OperandEntry, 'id' | 'text'> {
    const inputs = args
      .flatMap((each) => (each.kind === 'arguments' ? each.items : [each]))
      .map((each) => this.#input(each))
    const operands = inputs.flatMap((input) => (input.kind === 'operand' ? [this.at(input.operand)] : []))
    const type = transformedType(name, operands[0]?.type ?? 'string', index !== undefined)
    const keepsSeveral = name === 'tolower' || name === 'toupper' || name === 'b64' || name === 'basename'
    const isSeveral = type === 'list' || (keepsSeveral && operands.some((each) => each.isSeveral))
    return { type, source: { kind: 'transformer', name, inputs, index: index?.bytes }, isSeveral, isEitherEnd: false }
  }

  #input(argument: TransformerArgument): TransformerInput {
    switch (argument.kind) {
      case 'field':
      case 'transformer':
        return { kind: 'operand', operand: this.of(argument).id }
      case 'value':
        return { kind: 'constant', bytes: argument.bytes }
      case 'number':
        return { kind: 'constant', bytes: new TextEncoder().encode(argument.text) }
      default:
        throw new Error('a transformer’s list in a list, which is not checked to be one')
    }
  }
}

function transformedType(name: TransformerName, first: FieldType, hasIndex: boolean): FieldType {
  switch (name) {
    case 'len':
      return 'uint'
    case 'getopt':
      return hasIndex ? 'string' : 'list'
    case 'join':
    case 'concat':
      return 'string'
    default:
      return first
  }
}
