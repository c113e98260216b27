/**
 * A compiled program: holds the tables, answers for profiles, and runs match calls (run.ts). One program is used by one
 * thread; calls do not nest.
 */
import { describeProgram } from './describe.js'
import { Run } from './run.js'
import type { Tables } from './tables.js'
import type {
  ConditionHits,
  ConditionProfile,
  ConditionProgram,
  ConditionRule,
  ConditionStatistics,
  FieldOperand,
  FieldReader,
} from './types.js'

/** What is done for an event of one type in one profile. */
export interface Plan {
  /** Operands that gates compare. */
  readonly operands: Int32Array
  /** Segments without a gate. */
  readonly always: Int32Array
  /** By group. */
  readonly isActive: Uint8Array
}

class Profile implements ConditionProfile {
  readonly scopes: readonly number[]
  /** By event type; made when the first event comes. */
  readonly plans: (Plan | null | undefined)[] = []

  constructor(scopes: readonly number[]) {
    this.scopes = scopes
  }
}

export class Program implements ConditionProgram {
  readonly rules: readonly ConditionRule[]
  readonly operands: readonly FieldOperand[]
  readonly #tables: Tables
  readonly #profiles = new Map<string, Profile>()
  readonly #run: Run

  constructor(tables: Tables, isFirstOnly: boolean) {
    this.rules = tables.rules
    this.operands = tables.lowered.operands.fields
    this.#tables = tables
    this.#run = new Run(tables, isFirstOnly)
  }

  get statistics(): ConditionStatistics {
    const { lowered, groups, ruleFrom, ruleNodes, rules } = this.#tables
    const sievedCount = groups.reduce(
      (sum, { always }) => sum + (always === -1 ? 0 : (ruleFrom[always + 1] as number) - (ruleFrom[always] as number)),
      0,
    )
    const neverCount = ruleNodes.filter((node) => node === lowered.nodes.never).length
    return {
      ruleCount: rules.length,
      atomCount: lowered.atoms.all.length,
      predicateCount: lowered.predicates.all.length,
      operandCount: lowered.operands.all.length,
      gatedCount: rules.length - sievedCount - neverCount,
      sievedCount,
      programBytes: this.#run.programBytes,
    }
  }

  profileOf(scopes: Iterable<number>): ConditionProfile {
    const sorted = [...new Set(scopes)].sort((a, b) => a - b)
    const key = sorted.join()
    const known = this.#profiles.get(key)
    if (known !== undefined) return known
    const made = new Profile(sorted)
    this.#profiles.set(key, made)
    return made
  }

  wants(profile: ConditionProfile, eventType: number): boolean {
    return this.#plan(profile, eventType) !== null
  }

  match(profile: ConditionProfile, eventType: number, reader: FieldReader, hits: ConditionHits): void {
    hits.count = 0
    const plan = this.#plan(profile, eventType)
    if (plan !== null) this.#run.match(plan, eventType, reader, hits)
  }

  describe(): string {
    return describeProgram(this.#tables)
  }

  #plan(profile: ConditionProfile, eventType: number): Plan | null {
    if (!(profile instanceof Profile)) throw new TypeError('expected a profile of this program')
    const known = profile.plans[eventType]
    if (known !== undefined) return known
    // an index from outside makes no hole in the list of plans
    if (eventType < 0 || eventType >= this.#tables.eventTypes.length) return null
    while (profile.plans.length <= eventType) profile.plans.push(undefined)
    const made = this.#makePlan(profile, eventType)
    profile.plans[eventType] = made
    return made
  }

  #makePlan(profile: Profile, eventType: number): Plan | null {
    const { groups } = this.#tables
    const scopes = new Set(profile.scopes)
    const isActive = new Uint8Array(groups.length)
    const operands = new Set<number>()
    const always: number[] = []
    for (const [id, group] of groups.entries()) {
      if (!scopes.has(group.scope) || !group.types.includes(eventType)) continue
      isActive[id] = 1
      for (const operand of group.operands) operands.add(operand)
      if (group.always !== -1) always.push(group.always)
    }
    if (operands.size === 0 && always.length === 0) return null
    const read = Int32Array.from(operands).sort()
    return { operands: read, always: Int32Array.from(always), isActive }
  }
}
