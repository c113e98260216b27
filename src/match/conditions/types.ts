/**
 * What a program of conditions is made of, asked and answers. The agent implements FieldReader over the event in the slab,
 * the process table and the container; the program asks for a field at most once per event, and only for fields that decide
 * something. Match calls do no I/O, read no clock and allocate nothing once the values that they meet have been met before.
 */
import type { Expression } from '../../policy/condition/ast.js'
import type { FieldType } from '../../record/fields/types.js'
import type { FieldValues } from './values.js'

/** One rule, checked (src/policy/condition/check.ts): nothing here is refused for its types. */
export interface ConditionRule {
  readonly name: string
  /** Macros and lists stay references: ConditionInput has them. */
  readonly condition: Expression
  /** The event types it can match, by name; those that ConditionInput.eventTypes lacks are left out. */
  readonly eventTypes: readonly string[]
  /** For whom it is: a number of the caller's, such as one for each policy and one for each scope of Falco files. 0 to 65,535. */
  readonly scope: number
}

export interface ConditionInput {
  readonly rules: readonly ConditionRule[]
  /** In an order in which every macro stands behind those that it names (loadFalcoRules gives it so). */
  readonly macros: ReadonlyMap<string, Expression>
  /** Distinct values of a list, lists in it put in; undefined: there is no list of that name. */
  list(name: string): readonly Uint8Array[] | undefined
  fieldType(name: string): FieldType | undefined
  /** The type with index i is `eventType` i of the match calls. */
  readonly eventTypes: readonly string[]
}

/** A field with its argument as a program reads it: the operand is its index in ConditionProgram.operands. */
export interface FieldOperand {
  readonly name: string
  /** What stands in `[…]`, decoded; undefined without. */
  readonly argument: string | undefined
  readonly type: FieldType
}

/**
 * Gives the values of one event. Bind it to a program when the program is loaded: look the operands up by name once and
 * switch on numbers in `read`.
 */
export interface FieldReader {
  /**
   * Adds the values of operands[operand] of the present event to `into`, which is empty. Adding nothing: the event does not
   * have the field, and every comparison of it is false. Several values: either end, any ancestor, lists; of lists also
   * none at all, see FieldValues.setEmptyList. Bytes must stay as they are until the match call returns.
   * Strings, bytes, lists: addBytes or addText. Numbers, ports, times: addNumber, addWide. Booleans: addBoolean. Addresses and networks: addAddress.
   */
  read(operand: number, into: FieldValues): void
}

/** The rules that apply where an event happened; made by ConditionProgram.profileOf, the same object for the same scopes. */
export interface ConditionProfile {
  /** Ascending. */
  readonly scopes: readonly number[]
}

/** Caller-owned answer of a match call: ids of the rules that hold, in rule order. */
export interface ConditionHits {
  /** At least ConditionProgram.rules.length. */
  rules: Uint32Array
  count: number
}

export interface MatchOptions {
  /** Only the first rule that holds, in rule order, as Falco reports by default. */
  readonly firstMatch?: boolean
}

export interface ConditionProgram {
  readonly rules: readonly ConditionRule[]
  /** What a FieldReader is asked for. `evt.type` is none of them. */
  readonly operands: readonly FieldOperand[]
  readonly statistics: ConditionStatistics
  /** Not for the event path: keep it per container. */
  profileOf(scopes: Iterable<number>): ConditionProfile
  /** False: no rule of the profile can match events of that type, so that they need not be read at all. */
  wants(profile: ConditionProfile, eventType: number): boolean
  /** The rules that hold. `reader` must be bound to this program and stand on the event. */
  match(profile: ConditionProfile, eventType: number, reader: FieldReader, hits: ConditionHits): void
  /** The program as text: each index and what is in it, each rule's gate and code. Stable for equal input. */
  describe(): string
}

export interface ConditionStatistics {
  readonly ruleCount: number
  /** Distinct single comparisons, such as one value of a list. */
  readonly atomCount: number
  /** Distinct comparisons as written. */
  readonly predicateCount: number
  readonly operandCount: number
  /** Rules that are looked at when one of their gate's comparisons holds. */
  readonly gatedCount: number
  /** Rules without such a comparison, sieved by what falsifies them. */
  readonly sievedCount: number
  /** Typed arrays of the program. */
  readonly programBytes: number
}
