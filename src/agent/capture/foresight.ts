/**
 * What an action would have come to, told from the same tables that the kernel would have answered from, the same guard
 * rails and the same circuit breaker. It is a forecast: what was refused or killed would have changed what came after.
 */
import type { Profile, RuleId } from '../../match/types.js'
import type { Rule } from '../../policy/model.js'
import type { Action } from '../../record/model.js'
import type { CircuitBreaker } from '../../respond/breaker.js'
import { reasonToSpare } from '../../respond/guard.js'
import { type LoweredProfile, lowerProfile } from '../../respond/lower.js'
import type { Foreseen, Judged } from '../rules/verdicts.js'

/** Hooks that can refuse: the host that was recorded had one where its events came from one. */
const DECISIONS = /^(lsm\/|cgroup\/bind)/
const WITHOUT_PROCESS: readonly Action[] = ['pause', 'isolate', 'kill-container']

export class Foresight {
  readonly #breaker: CircuitBreaker
  readonly #lowered = new WeakMap<Profile, LoweredProfile>()

  constructor(breaker: CircuitBreaker) {
    this.#breaker = breaker
  }

  foresee(judged: Judged, ruleId: RuleId, action: Action): Foreseen {
    const rule = judged.set.program.rules[ruleId]
    if (rule === undefined) throw new RangeError(`no rule ${ruleId}`)
    const isKernel = this.#isLowered(judged, ruleId)
    const spared = this.#reasonToSpare(judged, rule, action)
    if (spared !== undefined) return { outcome: 'spared', hook: '', text: `would have been spared: ${spared}` }
    if (action === 'kill') return killed(rule, judged.hook, isKernel)
    if (WITHOUT_PROCESS.includes(action))
      return { outcome: 'none', hook: '', text: `would have been followed by ${action} of the container` }
    if (DECISIONS.test(judged.hook) ? isKernel || rule.kind !== 'exec' : isKernel && rule.kind === 'connect')
      return { outcome: 'denied', hook: judged.hook, text: `would have been denied by ${judged.hook}` }
    return {
      outcome: 'failed',
      hook: '',
      text: 'could have been denied by no hook of that host: see `hullguard policy explain`',
    }
  }

  #isLowered({ set, identity }: Judged, ruleId: RuleId): boolean {
    const profile = set.profileFor(identity.ref)
    let lowered = this.#lowered.get(profile)
    if (lowered === undefined) {
      const { policies } = set.program
      lowered = lowerProfile(set.program, profile, {
        isBlockPolicy: (policy) => policies.some(({ name, mode }) => name === policy && mode === 'block'),
      })
      this.#lowered.set(profile, lowered)
    }
    return lowered.ruleIds.includes(ruleId)
  }

  #reasonToSpare({ identity, pid, startNs, draft }: Judged, rule: Rule, action: Action): string | undefined {
    const { exe = '', phase = 'run' } = draft.process ?? {}
    // No process of this host is meant: its own pids are nothing to spare.
    const reason = reasonToSpare({ identity, pid, startNs, exe, phase }, rule.setup, [])
    if (reason !== undefined && action !== 'deny') return reason
    if (this.#breaker.admit(rule.policy, identity.ref.id)) return undefined
    return 'the circuit breaker had tripped: too many containers acted on'
  }
}

function killed(rule: Rule, hook: string, isKernel: boolean): Foreseen {
  if (DECISIONS.test(hook) && rule.kind !== 'exec')
    return {
      outcome: 'killed_before_effect',
      hook,
      text: `would have been denied by ${hook} and its process killed`,
    }
  if (!isKernel)
    return { outcome: 'killed_after_effect', hook: 'pidfd', text: 'would have been killed after its effect by pidfd' }
  if (rule.kind === 'connect')
    return {
      outcome: 'denied',
      hook: `${hook}, pidfd`,
      text: `would have been denied by ${hook} and its process killed by pidfd`,
    }
  const isBefore = rule.kind === 'exec'
  return {
    outcome: isBefore ? 'killed_before_effect' : 'killed_after_effect',
    hook,
    text: `would have been killed ${isBefore ? 'before' : 'after'} its effect by ${hook}`,
  }
}
