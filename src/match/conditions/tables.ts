/** The flat arrays that a match call runs on; made by compile.ts, read by run.ts. */
import type { Gates, Lowered } from './gates.js'
import type { OperandIndex } from './operand-index.js'
import type { SieveTables } from './sieve.js'
import type { ConditionRule } from './types.js'

/** Kinds of predicates, as evaluated. */
export const ASK_ATOM = 0
export const ASK_ANY = 1
export const ASK_ORDER = 2
export const ASK_DIFFERS = 3
export const ASK_EXISTS = 4
export const ASK_EVERY = 5
export const ASK_COUNT = 6
export const ASK_BETWEEN = 7
export const ASK_TYPE = 8

export interface Tables {
  readonly rules: readonly ConditionRule[]
  readonly lowered: Lowered
  readonly gates: Gates
  readonly macroNames: readonly string[]
  readonly eventTypes: readonly string[]
  /** Node of each rule's condition. */
  readonly ruleNodes: Int32Array
  readonly ruleGroups: Int32Array

  /** Entry of each rule's code, and the code (code.ts). */
  readonly ruleEntries: Int32Array
  readonly code: Int32Array
  readonly macroEntries: Int32Array

  /** Of each predicate: ASK_…, its operand, and an argument: an atom, a run of `lists`, a right operand, a row of `typeHolds`. */
  readonly askKinds: Uint8Array
  readonly askOperands: Int32Array
  readonly askFrom: Int32Array
  readonly askTo: Int32Array
  readonly lists: Int32Array
  readonly typeHolds: Uint8Array

  /** By operand; undefined: compared with nothing fixed. */
  readonly indexes: readonly (OperandIndex | undefined)[]

  /** Gate sets of an atom, segments of a set. */
  readonly gateFrom: Int32Array
  readonly gateSets: Int32Array
  readonly segmentFrom: Int32Array
  readonly segments: Int32Array
  /** Of each segment: its group, its rules, whether they are sieved, and by comparisons of which operands. */
  readonly segmentGroups: Int32Array
  readonly ruleFrom: Int32Array
  readonly segmentRules: Int32Array
  readonly isSieved: Uint8Array
  readonly operandFrom: Int32Array
  readonly segmentOperands: Int32Array
  readonly sieve: SieveTables
  /** What a segment asks of what its sieve leaves (demands.ts): segmentDemands[demandFrom[s]] to [demandFrom[s + 1]]. */
  readonly demandFrom: Int32Array
  readonly segmentDemands: Int32Array
  /** Of each demand: what is asked, and the answer that lets its rules through. */
  readonly demandAsks: Int32Array
  readonly demandWants: Uint8Array

  readonly groups: readonly Group[]
}

/** Rules that match the same event types in the same scope. */
export interface Group {
  readonly scope: number
  /** Indexes of event types. */
  readonly types: readonly number[]
  /** Operands that gates compare. */
  readonly operands: readonly number[]
  /** Segment of the rules without a gate, or -1. */
  readonly always: number
}
