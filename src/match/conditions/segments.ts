/**
 * Which rules are looked at when: rules with the same event types and scope are a group; the rules of a group behind one set
 * of a gate are a segment, and so are those without a gate. Long segments are sieved (sieve.ts).
 */
import { STEP_COUNT, type Steps } from '../steps.js'
import { Demands } from './demands.js'
import type { Gates, Lowered } from './gates.js'
import type { Group } from './tables.js'
import type { ConditionInput } from './types.js'

/** A shorter list is gone through faster than it is sieved, and a part that fewer share is not asked for them. */
export const SIEVED_MIN_COUNT = 8
/** The set of rules without a gate. */
const ALWAYS = -1
const NONE: readonly number[] = []

export type SegmentTables = ReturnType<typeof segmentTables> extends Steps<infer Tables> ? Tables : never

export function* segmentTables(input: ConditionInput, nodes: readonly number[], lowered: Lowered, gates: Gates) {
  const { groups, ruleGroups } = yield* groupsOf(input)
  const segments = yield* collect(nodes, lowered, gates, ruleGroups)
  const operands = groups.map(() => new Set<number>())
  const always = groups.map(() => -1)
  for (const [id, { set, group }] of segments.entries()) {
    if (id % STEP_COUNT === 0) yield
    if (set === ALWAYS) always[group] = id
    else operands[group]?.add(operandOfSet(set, lowered, gates))
  }
  const sieved = yield* sieveTables(segments, nodes, lowered, gates)
  const bySet: (number[] | undefined)[] = gates.sets.all.map(() => undefined)
  for (const [id, { set }] of segments.entries()) {
    if (id % STEP_COUNT === 0) yield
    if (set === ALWAYS) continue
    const own = bySet[set]
    if (own === undefined) bySet[set] = [id]
    else own.push(id)
  }
  const atomCount = lowered.atoms.all.length
  const gate = yield* setsOf(gates.sets.all, (set) => bySet[set] !== undefined, atomCount)
  const emitted = sieved.atoms
  for (let atom = 0; atom < atomCount; atom++)
    if ((gate.from[atom] as number) < (gate.from[atom + 1] as number)) emitted.add(atom)
  yield
  const segment = yield* flat(bySet)
  const rule = yield* flat(segments.map(({ rules }) => rules))
  const operand = yield* flat(sieved.operands)
  const demand = yield* flat(sieved.asked)
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
    emitted: emitted as ReadonlySet<number>,
  }
}

function* groupsOf({ rules, eventTypes }: ConditionInput) {
  const typeIndex = new Map(eventTypes.map((name, index) => [name, index]))
  const groups: { scope: number; types: number[] }[] = []
  const ids = new Map<string, number>()
  const ruleGroups = new Int32Array(rules.length)
  for (const [rule, { eventTypes: names, scope }] of rules.entries()) {
    if (rule % STEP_COUNT === 0) yield
    const types = [...new Set(names.flatMap((name) => typeIndex.get(name) ?? []))].sort((a, b) => a - b)
    const key = `${scope} ${types.join()}`
    const known = ids.get(key)
    if (known === undefined) ids.set(key, groups.push({ scope, types }) - 1)
    ruleGroups[rule] = known ?? groups.length - 1
  }
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
  const asked = segments.map((): readonly number[] => NONE)
  const lists = new Map<number, Int32Array>()
  const falsified = gates.sets.all.map((): Set<number> | undefined => undefined)
  const operands = segments.map((): readonly number[] => NONE)
  for (const [id, { set: gateSet, rules }] of segments.entries()) {
    if (id % STEP_COUNT === 0) yield
    if (rules.length < SIEVED_MIN_COUNT) continue
    const own = new Set<number>()
    for (const rule of rules) {
      for (const set of gates.falsifiers(nodes[rule] ?? 0)) {
        const falsifies = falsified[set] ?? new Set<number>()
        falsified[set] = falsifies.add(rule)
        own.add(set)
      }
      yield
    }
    const shared = yield* demands.of(rules, nodes, gateSet, SIEVED_MIN_COUNT)
    if (own.size + shared.length === 0) continue
    asked[id] = shared
    lists.set(id, Int32Array.from(rules))
    const read = new Set<number>()
    for (const set of own) {
      for (const atom of gates.sets.all[set] ?? []) read.add(atoms.at(atom).operand)
      yield
    }
    operands[id] = [...read].sort((a, b) => a - b)
  }
  // behind the atoms stand the demands, each a set of its own
  const demandSets = demands.all.map((_, id) => Int32Array.of(atoms.all.length + id))
  const setRuns = yield* setsOf(
    [...gates.sets.all, ...demandSets],
    (set) => set >= falsified.length || falsified[set] !== undefined,
    atoms.all.length + demandSets.length,
  )
  const used = new Set<number>()
  for (const [atom] of atoms.all.entries())
    if ((setRuns.from[atom] as number) < (setRuns.from[atom + 1] as number)) used.add(atom)
  yield
  const ruleRuns = yield* flat([...falsified, ...demands.rules])
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
function* flat(
  lists: readonly (readonly number[] | ReadonlySet<number> | undefined)[],
): Steps<{ from: Int32Array; items: Int32Array }> {
  const from = new Int32Array(lists.length + 1)
  for (const [index, list] of lists.entries()) {
    if (index % STEP_COUNT === 0) yield
    const count = list === undefined ? 0 : 'size' in list ? list.size : list.length
    from[index + 1] = (from[index] as number) + count
  }
  const items = new Int32Array(from[lists.length] as number)
  let at = 0
  for (const [index, list] of lists.entries()) {
    if (index % STEP_COUNT === 0) yield
    if (list !== undefined) for (const item of list) items[at++] = item
  }
  return { from, items }
}

/** The other way round: of each member the lists that it is in, among those that count. */
function* setsOf(
  lists: readonly Int32Array[],
  counts: (list: number) => boolean,
  memberCount: number,
): Steps<{ from: Int32Array; items: Int32Array }> {
  const from = new Int32Array(memberCount + 1)
  for (const [list, members] of lists.entries()) {
    if (list % STEP_COUNT === 0) yield
    if (counts(list)) for (const member of members) from[member + 1] = (from[member + 1] as number) + 1
  }
  for (let member = 0; member < memberCount; member++)
    from[member + 1] = (from[member + 1] as number) + (from[member] as number)
  const items = new Int32Array(from[memberCount] as number)
  const next = from.slice()
  for (const [list, members] of lists.entries()) {
    if (list % STEP_COUNT === 0) yield
    if (!counts(list)) continue
    for (const member of members) {
      const at = next[member] as number
      next[member] = at + 1
      items[at] = list
    }
  }
  return { from, items }
}
