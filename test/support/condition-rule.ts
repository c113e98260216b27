/** A condition for all containers, about events of some types, as it is compiled. */
import assert from 'node:assert/strict'
import { PolicySet } from '../../src/agent/rules/policies.js'
import { compileProgram } from '../../src/match/program.js'
import { loadPolicies } from '../../src/policy/load.js'
import type { ConditionRule } from '../../src/policy/model.js'
import { policyOf, when } from './rule-text.js'

export function conditionOf(eventTypes: readonly string[], text: string): ConditionRule {
  const yaml = policyOf(when(`evt.type in (${eventTypes.join(', ')}) and ${text}`))
  const { policies, errorCount } = loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(yaml) }])
  assert.equal(errorCount, 0, yaml)
  const rule = new PolicySet(1, compileProgram(policies)).program.rules[0]
  assert.ok(rule?.kind === 'condition')
  return rule
}
