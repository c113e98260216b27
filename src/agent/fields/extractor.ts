/** How one field is read: adds its values, or nothing where the event does not have it. */
import type { FieldValues, InternedText } from '../../match/conditions/values.js'
import type { EventContext } from './context.js'

/** What stands in `[…]`, as the extractors need it. */
export interface Argument {
  readonly text: string
  /** -1: not a number. */
  readonly number: number
}

export type Extractor = (context: EventContext, into: FieldValues, argument: Argument | undefined) => void

export type Extractors = Readonly<Record<string, Extractor>>

export function addText(into: FieldValues, text: InternedText | undefined): void {
  if (text !== undefined) into.addText(text)
}

/** 64 bits; `isSigned`: the high half counts as signed. */
export function addBigint(into: FieldValues, value: bigint): void {
  into.addWide(Number(value >> 32n), Number(value & 0xffff_ffffn))
}
