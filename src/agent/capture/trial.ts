/**
 * A trial of policies on a capture: for each rule what it would have hit and what blocking mode would have done, or why
 * this capture cannot tell. The policies are taken as if blocking were on everywhere; nothing is acted on.
 */

import { kindsNeeded, kindsOfTypes } from '../../match/needs.js'
import { compileProgram } from '../../match/program.js'
import type { ContainerSelector, Policy, Rule } from '../../policy/model.js'
import type { Action, HullguardRecord, Outcome } from '../../record/model.js'
import type { Rulebook } from '../conditions/rulebook.js'
import { PolicySet } from '../rules/policies.js'
import { FALCO_POLICY } from '../rules/verdicts.js'
import type { ReplayCause, ReplayedContainer } from './replay.js'

/** Enough to see what the hits are; the count says how many there were. */
const EXAMPLES_MAX_COUNT = 3

export interface TrialHit {
  /** Of the event in the capture: the same in every replay of it. */
  entry: number
  record: HullguardRecord
  /** What the rule's action would have come to; undefined: it only alerts. */
  outcome: Outcome | undefined
  said: string
}

/**
 * `evaluated`: every kind of event that the rule judges is in the capture, for every container that its policy selects.
 * `partly`: for some of them. `not_evaluable`: for none, or the capture does not tell what the policy selects by. `no_container`: its policy selects no container of the capture.
 */
export type TrialState = 'evaluated' | 'partly' | 'not_evaluable' | 'no_container' | 'disabled'

export interface RuleTrial {
  policy: string
  rule: string
  action: Action
  state: TrialState
  /** Kinds of events, and facts of containers, that the capture lacks for all or some of the containers. */
  lacks: readonly string[]
  hitsCount: number
  /** By name, most hits first. */
  containers: readonly { name: string; hitsCount: number }[]
  /** What blocking mode would have come to, with how often. */
  outcomes: readonly { outcome: Outcome; count: number }[]
  examples: readonly TrialHit[]
}

interface Tally {
  hitsCount: number
  containers: Map<string, number>
  outcomes: Map<Outcome, number>
  examples: TrialHit[]
}

export class Trial {
  /** As it is judged: every policy in block mode. */
  readonly rulebook: Rulebook
  readonly #tallies = new Map<string, Tally>()
  readonly #onHit: (hit: TrialHit) => void

  /** onHit: for those who want each one. */
  constructor(rulebook: Rulebook, onHit: (hit: TrialHit) => void = () => {}) {
    const policies = rulebook.policies.map((policy): Policy => ({ ...policy, mode: 'block' }))
    this.rulebook = { ...rulebook, policies }
    this.#onHit = onHit
  }

  /** Every record of the replay. */
  take(record: HullguardRecord, { entry, foreseen }: ReplayCause): void {
    const { alert, kind, container } = record
    if (kind !== 'alert' || alert === undefined) return
    const tally = this.#tallyOf(alert.policy, alert.rule)
    const hit: TrialHit = { entry, record, outcome: foreseen?.outcome, said: foreseen?.text ?? '' }
    const name = container.name === '' ? container.state : container.name
    tally.hitsCount += 1
    tally.containers.set(name, (tally.containers.get(name) ?? 0) + 1)
    if (foreseen !== undefined) tally.outcomes.set(foreseen.outcome, (tally.outcomes.get(foreseen.outcome) ?? 0) + 1)
    if (tally.examples.length < EXAMPLES_MAX_COUNT) tally.examples.push(hit)
    this.#onHit(hit)
  }

  /** One row a rule, in the order of the files, those of Falco files last. */
  rows(containers: readonly ReplayedContainer[]): RuleTrial[] {
    const { policies } = this.rulebook
    const set = new PolicySet(0, compileProgram(policies))
    const selected = new Map<Rule, ReplayedContainer[]>()
    for (const container of containers) {
      for (const rule of set.rulesOf(set.profileFor(container.identity.ref))) {
        const those = selected.get(rule)
        if (those === undefined) selected.set(rule, [container])
        else those.push(container)
      }
    }
    const selectors = new Map(policies.map((policy) => [policy.name, policy.containers]))
    return [
      ...set.program.rules.map((rule) =>
        this.#row(rule, stateOf(rule, selectors.get(rule.policy) ?? {}, selected.get(rule) ?? [], containers)),
      ),
      ...this.#falcoRows(containers),
    ]
  }

  #falcoRows(containers: readonly ReplayedContainer[]): RuleTrial[] {
    const those = containers.filter(({ identity }) => identity.ref.state !== 'host')
    return (this.rulebook.falco?.rules ?? []).map(({ name, enabled, eventTypes }) => {
      const state: State = enabled ? stateBy(kindsOfTypes(eventTypes), those, []) : { state: 'disabled', lacks: [] }
      return this.#row({ policy: FALCO_POLICY, name, action: 'alert' }, state)
    })
  }

  #row(rule: Pick<Rule, 'policy' | 'name' | 'action'>, state: State): RuleTrial {
    const { hitsCount, examples, ...tally } = this.#tallyOf(rule.policy, rule.name)
    return {
      ...{ policy: rule.policy, rule: rule.name, action: rule.action, hitsCount, examples },
      ...state,
      containers: [...tally.containers]
        .map(([name, count]) => ({ name, hitsCount: count }))
        .sort((a, b) => b.hitsCount - a.hitsCount || (a.name < b.name ? -1 : 1)),
      outcomes: [...tally.outcomes].map(([outcome, count]) => ({ outcome, count })),
    }
  }

  #tallyOf(policy: string, rule: string): Tally {
    const key = `${policy}\0${rule}`
    let tally = this.#tallies.get(key)
    if (tally === undefined) {
      tally = { hitsCount: 0, containers: new Map(), outcomes: new Map(), examples: [] }
      this.#tallies.set(key, tally)
    }
    return tally
  }
}

type State = Pick<RuleTrial, 'state' | 'lacks'>

/** `selected`: of all containers of the capture, those that the rule's policy selects. */
function stateOf(
  rule: Rule,
  selector: ContainerSelector,
  selected: readonly ReplayedContainer[],
  all: readonly ReplayedContainer[],
): State {
  if (!rule.enabled) return { state: 'disabled', lacks: [] }
  return stateBy(kindsNeeded(rule), selected, unknownFacts(selector, all))
}

function stateBy(needed: readonly string[], containers: readonly ReplayedContainer[], facts: readonly string[]): State {
  const missing = containers.map(({ kinds }) => needed.filter((kind) => !kinds.includes(kind)))
  const lacks = [...new Set([...missing.flat(), ...facts])].sort()
  if (containers.length === 0) return { state: facts.length === 0 ? 'no_container' : 'not_evaluable', lacks }
  if (lacks.length === 0) return { state: 'evaluated', lacks }
  const isNone = missing.every(({ length }) => length === needed.length)
  return { state: isNone ? 'not_evaluable' : 'partly', lacks }
}

/** What the selector asks for and the capture does not tell of some container (captures of earlier versions). */
function unknownFacts({ user, privileged }: ContainerSelector, all: readonly ReplayedContainer[]): string[] {
  const known = all.map(({ identity }) => identity).filter(({ ref }) => ref.state === 'container')
  return [
    ...(user !== undefined && known.some(({ ref }) => ref.user === undefined) ? ['container.user'] : []),
    ...(privileged !== undefined && known.some(({ ref }) => ref.privileged === undefined)
      ? ['container.privileged']
      : []),
  ]
}
