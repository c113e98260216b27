/** Capability rules -> by capability the rules that it violates. Exceptions are in the rules' sets already. */
import type { RuleId } from '../match/types.js'
import type { CapabilityRule } from '../policy/model.js'
import { CAPABILITIES_MAX } from '../sensor/generated/abi.js'

export interface CapabilityTable {
  /** Rules about what a process comes to hold. */
  readonly gain: bigint
  /** … about what it uses. */
  readonly use: bigint
  /** By capability. */
  readonly violated: readonly bigint[]
}

/** A reason why the rule stays in user space, or undefined. */
export function whyNotCapability(rule: CapabilityRule): string | undefined {
  return rule.exceptions.some(({ condition }) => condition !== undefined)
    ? 'an exception of it is a condition'
    : undefined
}

export function lowerCapabilities(
  rules: readonly { id: RuleId; rule: CapabilityRule }[],
  bitOf: (id: RuleId) => bigint,
): CapabilityTable {
  const mask = (wanted: (rule: CapabilityRule) => boolean) =>
    rules.reduce((sum, { id, rule }) => (wanted(rule) ? sum | bitOf(id) : sum), 0n)
  return {
    gain: mask(({ when }) => when === 'gain'),
    use: mask(({ when }) => when === 'use'),
    violated: Array.from({ length: CAPABILITIES_MAX }, (_, number) =>
      mask(({ allow, deny }) => deny.has(number) || (allow !== undefined && !allow.has(number))),
    ),
  }
}
