/**
 * Which rules are looked at when: rules with the same event types and scope are a group; the rules of a group behind one set
 * of a gate are a segment, and so are those without a gate. Long segments are sieved (sieve.ts).
 */
import type { Steps } from '../steps.js'
import { Demands } from './demands.js'
import type { Gates, Lowered } from './gates.js'
import type { Group } from './tables.js'
import type { ConditionInput } from './types.js'

/** A shorter list is gone through faster than it is sieved, and a part that fewer share is not asked for them. */
export const SIEVED_MIN_COUNT = 8
/** The set of rules without a gate. */
const ALWAYS = -1

export type SegmentTables = ReturnType<typeof segmentTables> extends Steps<infer Tables> ? Tables : never

export function* segmentTables(input: ConditionInput, nodes: readonly number[], lowered: Lowered, gates: Gates) {
  const { groups, ruleGroups } = groupsOf(input)
  const segments = yield* collect(nodes, lowered, gates, ruleGroups)
  const operands = groups.map(() => new Set<number>())
  const always = groups.map(() => -1)
  for (const [id, { set, group }] of segments.entries()) {
    if (set === ALWAYS) always[group] = id
    else operands[group]?.add(operandOfSet(set, lowered, gates))
  }
  const sieved = yield* sieveTables(segments, nodes, lowered, gates)
  yield
  const bySet = gates.sets.all.map((): number[] => [])
  for (const [id, { set }] of segments.entries()) bySet[set]?.push(id)
  const gateSets = lowered.atoms.all.map((): number[] => [])
  for (const [set, own] of bySet.entries())
    if (own.length > 0) for (const atom of gates.sets.all[set] ?? []) gateSets[atom]?.push(set)
  yield
  const gate = flat(gateSets)
  const segment = flat(bySet)
  const rule = flat(segments.map(({ rules }) => rules))
  const operand = flat(sieved.operands)
  const demand = flat(sieved.asked)
  const emitted = new Set<number>(sieved.atoms)
  for (const [atom, sets] of gateSets.entries()) if (sets.length > 0) emitted.add(atom)
  return {
    ruleGroups,
    gateFrom: gate.from,
    gateSets: gate.items,
    segmentFrom: segment.from,
    segments: segment.items,
    segmentGroups: Int32Array.from(segments, ({ group }) => group),
    ruleFrom: rule.from,
    segmentRules: rule.items,
    isSieved: Uint8Array.from(segments, (_, id) => Number(sieved.tables.lists.has(id))),
    operandFrom: operand.from,
    segmentOperands: operand.items,
    sieve: sieved.tables,
    demandFrom: demand.from,
    segmentDemands: demand.items,
    demands: sieved.demands,
    groups: groups.map(
      (group, id): Group => ({
        ...group,
        operands: [...(operands[id] ?? [])].sort((a, b) => a - b),
        always: always[id] ?? -1,
      }),
    ),
    /** Atoms that a walk must yield, orders among them. */
    emitted,
  }
}

function groupsOf({ rules, eventTypes }: ConditionInput) {
  const typeIndex = new Map(eventTypes.map((name, index) => [name, index]))
  const groups: { scope: number; types: number[] }[] = []
  const ids = new Map<string, number>()
  const ruleGroups = Int32Array.from(rules, ({ eventTypes: names, scope }) => {
    const types = [...new Set(names.flatMap((name) => typeIndex.get(name) ?? []))].sort((a, b) => a - b)
    const key = `${scope} ${types.join()}`
    const known = ids.get(key)
    if (known === undefined) ids.set(key, groups.push({ scope, types }) - 1)
    return known ?? groups.length - 1
  })
  return { groups, ruleGroups }
}

interface Segment {
  readonly set: number
  readonly group: number
  readonly rules: number[]
}

function* collect(nodes: readonly number[], lowered: Lowered, gates: Gates, ruleGroups: Int32Array): Steps<Segment[]> {
  const segments: Segment[] = []
  const ids = new Map<string, number>()
  for (const [rule, node] of nodes.entries()) {
    // what is never true is in no segment
    if (node === lowered.nodes.never) continue
    const group = ruleGroups[rule] ?? 0
    for (const set of gates.gate(node)?.sets ?? [ALWAYS]) {
      const key = `${set} ${group}`
      const known = ids.get(key)
      if (known === undefined) ids.set(key, segments.push({ set, group, rules: [rule] }) - 1)
      else segments[known]?.rules.push(rule)
    }
    yield
  }
  return segments
}

/** All atoms of a gate's set are of one operand. */
function operandOfSet(set: number, { atoms }: Lowered, gates: Gates): number {
  const [first = 0] = gates.sets.all[set] ?? []
  return atoms.at(first).operand
}

function* sieveTables(segments: readonly Segment[], nodes: readonly number[], lowered: Lowered, gates: Gates) {
  const { atoms } = lowered
  const demands = new Demands(lowered, gates)
  const asked = segments.map((): number[] => [])
  const lists = new Map<number, Int32Array>()
  const falsified = gates.sets.all.map((): Set<number> | undefined => undefined)
  const operands = segments.map((): number[] => [])
  for (const [id, { set: gateSet, rules }] of segments.entries()) {
    if (rules.length < SIEVED_MIN_COUNT) continue
    const own = new Set<number>()
    for (const rule of rules)
      for (const set of gates.falsifiers(nodes[rule] ?? 0)) {
        const falsifies = falsified[set] ?? new Set<number>()
        falsified[set] = falsifies.add(rule)
        own.add(set)
      }
    const shared = yield* demands.of(rules, nodes, gateSet, SIEVED_MIN_COUNT)
    if (own.size + shared.length === 0) continue
    asked[id] = shared
    lists.set(id, Int32Array.from(rules))
    const read = new Set<number>()
    for (const set of own) for (const atom of gates.sets.all[set] ?? []) read.add(atoms.at(atom).operand)
    operands[id] = [...read].sort((a, b) => a - b)
  }
  const sets = atoms.all.map((): number[] => [])
  const used = new Set<number>()
  for (const [set, rules] of falsified.entries())
    if (rules !== undefined)
      for (const atom of gates.sets.all[set] ?? []) {
        sets[atom]?.push(set)
        used.add(atom)
      }
  // behind the atoms stand the demands, each a set of its own
  const setRuns = flat([...sets, ...demands.all.map((_, id) => [falsified.length + id])])
  const ruleRuns = flat([...falsified, ...demands.rules].map((rules) => [...(rules ?? [])]))
  const tables = {
    lists,
    setFrom: setRuns.from,
    setOf: setRuns.items,
    ruleFrom: ruleRuns.from,
    rules: ruleRuns.items,
    ruleCount: nodes.length,
  }
  return { operands, atoms: used, asked, demands: demands.all, tables }
}

/** Lists behind each other: list i is items[from[i]] to items[from[i + 1]]. */
function flat(lists: readonly (readonly number[])[]): { from: Int32Array; items: Int32Array } {
  const from = new Int32Array(lists.length + 1)
  for (const [index, list] of lists.entries()) from[index + 1] = (from[index] as number) + list.length
  const items = new Int32Array(from[lists.length] as number)
  for (const [index, list] of lists.entries()) items.set(list, from[index])
  return { from, items }
}
