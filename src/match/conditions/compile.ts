/**
 * Rules -> ConditionProgram. Time and memory are linear in the rules as written, lists and macros read once: what is equal is
 * stored once. Throws only on what the checker would have refused.
 */
import { atOnce, STEP_COUNT, type Steps } from '../steps.js'
import { TEST_MISSING } from './atoms.js'
import { Code } from './code.js'
import { Gates } from './gates.js'
import { Lowering } from './lower.js'
import { indexOf, type OperandIndex } from './operand-index.js'
import { kindOfType } from './operands.js'
import type { Predicate } from './predicates.js'
import { Program } from './program.js'
import { type SegmentTables, segmentTables } from './segments.js'
import {
  ASK_ANY,
  ASK_ATOM,
  ASK_BETWEEN,
  ASK_COUNT,
  ASK_DIFFERS,
  ASK_EVERY,
  ASK_EXISTS,
  ASK_ORDER,
  ASK_TYPE,
} from './tables.js'
import type { ConditionInput, ConditionProgram, MatchOptions } from './types.js'

export function compileConditions(input: ConditionInput, options: MatchOptions = {}): ConditionProgram {
  return atOnce(conditionSteps(input, options))
}

/** The same, step by step. */
export function* conditionSteps(input: ConditionInput, options: MatchOptions = {}): Steps<ConditionProgram> {
  const lowered = new Lowering(input)
  const nodes: number[] = []
  for (const { condition } of input.rules) {
    nodes.push(lowered.node(condition))
    yield
  }
  const gates = new Gates(lowered)
  yield* gates.findAll()
  const code = new Code(lowered.nodes, lowered.predicates.all.length)
  const ruleEntries = new Int32Array(nodes.length)
  for (const [rule, node] of nodes.entries()) {
    ruleEntries[rule] = code.entry(node)
    yield
  }
  const { demands, ...segments } = yield* segmentTables(input, nodes, lowered, gates)
  const demandAsks = Int32Array.from(demands, ({ node }) => code.asked(node))
  const indexes = yield* indexesOf(lowered, segments)
  const asks = yield* askTables(lowered.predicates.all)
  const words = code.words
  yield
  return new Program(
    {
      rules: input.rules,
      eventTypes: input.eventTypes,
      lowered,
      gates,
      macroNames: code.macroNames,
      ruleNodes: Int32Array.from(nodes),
      ruleEntries,
      code: words,
      macroEntries: code.macroEntries,
      ...asks,
      indexes,
      ...segments,
      demandAsks,
      demandWants: Uint8Array.from(demands, ({ isWanted }) => Number(isWanted)),
    },
    options.firstMatch === true,
  )
}

function* indexesOf(
  { atoms, operands }: Lowering,
  { emitted }: Pick<SegmentTables, 'emitted'>,
): Steps<(OperandIndex | undefined)[]> {
  const byOperand = operands.all.map((): typeof atoms.all => [])
  for (const atom of atoms.all) {
    if (atom.id % STEP_COUNT === 0) yield
    if (atom.test !== TEST_MISSING) byOperand[atom.operand]?.push(atom)
  }
  const indexes: (OperandIndex | undefined)[] = []
  for (const [operand, own] of byOperand.entries())
    indexes.push(own.length === 0 ? undefined : yield* indexOf(own, kindOfType(operands.at(operand).type), emitted))
  return indexes
}

function* askTables(predicates: readonly Predicate[]) {
  const kinds = new Uint8Array(predicates.length)
  const operands = new Int32Array(predicates.length).fill(-1)
  const from = new Int32Array(predicates.length)
  const to = new Int32Array(predicates.length)
  const lists: number[] = []
  const typeHolds: number[] = []
  for (const [id, predicate] of predicates.entries()) {
    if (id % STEP_COUNT === 0) yield
    kinds[id] = ASKS[predicate.kind]
    if (predicate.kind !== 'type') operands[id] = predicate.operand
    switch (predicate.kind) {
      case 'atom':
      case 'order':
      case 'differs':
        from[id] = predicate.atom
        break
      case 'any':
      case 'every':
        from[id] = lists.length
        for (const atom of predicate.atoms) lists.push(atom)
        to[id] = lists.length
        break
      case 'count':
        from[id] = lists.length
        for (const item of predicate.items) lists.push(item)
        to[id] = lists.length
        break
      case 'between':
        from[id] = predicate.right
        break
      case 'type':
        from[id] = typeHolds.length
        for (const holds of predicate.holds) typeHolds.push(holds)
    }
  }
  return {
    askKinds: kinds,
    askOperands: operands,
    askFrom: from,
    askTo: to,
    lists: Int32Array.from(lists),
    typeHolds: Uint8Array.from(typeHolds),
  }
}

const ASKS: Readonly<Record<Predicate['kind'], number>> = {
  atom: ASK_ATOM,
  any: ASK_ANY,
  order: ASK_ORDER,
  differs: ASK_DIFFERS,
  exists: ASK_EXISTS,
  every: ASK_EVERY,
  count: ASK_COUNT,
  between: ASK_BETWEEN,
  type: ASK_TYPE,
}
