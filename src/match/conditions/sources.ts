/** Where the values of each operand come from in a match call: the reader, the event's type, or other operands. */
import type { Operands } from './operands.js'
import { constantValues, TransformStep } from './transform.js'
import type { FieldValues } from './values.js'

export interface Source {
  /** Index for the reader; -1: the event's type, -2: a transformer. */
  readonly field: number
  readonly inputs: readonly (number | FieldValues)[]
  readonly values: FieldValues[]
  readonly step: TransformStep | undefined
}

/** By operand. `slots`: the values of each, which those that are made of it read. */
export function sourcesOf(operands: Operands, slots: readonly FieldValues[]): Source[] {
  return operands.all.map(({ source }) => {
    if (source.kind !== 'transformer')
      return { field: source.kind === 'field' ? source.field : -1, inputs: [], values: [], step: undefined }
    const inputs = source.inputs.map((each) => (each.kind === 'operand' ? each.operand : constantValues(each.bytes)))
    const values = inputs.map((each) => (typeof each === 'number' ? (slots[each] as FieldValues) : each))
    const [first] = source.inputs
    const isOfList = first?.kind === 'operand' && operands.at(first.operand).type === 'list'
    return { field: -2, inputs, values, step: new TransformStep(source.name, isOfList, source.index) }
  })
}
