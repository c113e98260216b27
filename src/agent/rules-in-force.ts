/**
 * Puts other rules in force while the agent watches: compiled beside the events, swapped between two of them, one set after the
 * other. Whoever asked is told what came of it. Fail direction: the set that is in force stays.
 */
import { messageOf } from '../telemetry/errors.js'
import type { Rulebook } from './conditions/rulebook.js'
import { inTurns } from './host/in-turns.js'
import type { OwnRecords } from './own-records.js'
import type { Policies, PolicySet } from './rules/policies.js'

export interface RulesInForceOptions {
  policies: Pick<
    Policies,
    'activate' | 'compile' | 'current' | 'hasExpired' | 'isHostWanted' | 'isOutdated' | 'onOutdated'
  >
  records: Pick<OwnRecords, 'degraded' | 'report'>
  /** Others are in force; `wasHostWanted`: the set before had rules for the host. */
  onActivated: (wasHostWanted: boolean) => void
  /** They were asked for by somebody: what a breaker stopped begins anew. */
  rearm: () => void
}

export class RulesInForce {
  readonly #options: RulesInForceOptions
  /** The last replacement; never rejects. */
  #replacing: Promise<unknown> = Promise.resolve()
  #isExpiring = false
  #isStopped = false

  constructor(options: RulesInForceOptions) {
    this.#options = options
    options.policies.onOutdated = () => this.#followAccounts()
  }

  /** Throws when the set cannot be put in force. What fails once it is, is said: the set stays. */
  activate(next: PolicySet): void {
    const { policies, records, onActivated } = this.#options
    const wasHostWanted = policies.isHostWanted
    policies.activate(next)
    try {
      onActivated(wasHostWanted)
    } catch (error) {
      records.degraded(`the rules are in force, but not all that follows them: ${messageOf(error)}`)
    }
  }

  /** Resolves when they are in force; rejects when they cannot be, and the old ones stay. */
  async set(rulebook: Rulebook): Promise<void> {
    const { records, rearm } = this.#options
    try {
      if (!(await this.#replace(() => rulebook))) throw new Error('the agent stops')
    } catch (error) {
      records.report('degraded', `new rules did not come into force, the old ones stay: ${messageOf(error)}`)
      throw error
    }
    rearm()
    const { policies, falco } = rulebook
    const rules = falco === undefined ? '' : `; Falco rules in force: ${falco.rules.length}`
    records.report('policy', `policies in force: ${policies.map(({ name }) => name).join(', ') || 'none'}${rules}`)
  }

  /** Policies whose exceptions have expired are put in force anew; when that fails, the old program goes on. */
  expireExceptions(): void {
    const { policies, records } = this.#options
    const hasExpired = () => policies.hasExpired(Date.now())
    if (this.#isExpiring || !hasExpired()) return
    this.#isExpiring = true
    this.#replace(() => (hasExpired() ? policies.current.rulebook : undefined))
      .then((isDone) => {
        if (isDone) records.report('policy', 'exceptions of rules have expired')
      })
      .catch((error: unknown) => records.degraded(`exceptions that have expired still count: ${messageOf(error)}`))
      .finally(() => {
        this.#isExpiring = false
      })
  }

  /** Policies that name users or groups are put in force anew, for whom the names stand now; when that fails, the old program goes on. */
  #followAccounts(): void {
    const { policies, records } = this.#options
    this.#replace(() => (policies.isOutdated ? policies.current.rulebook : undefined))
      .then((isDone) => {
        if (isDone) records.report('policy', 'users or groups that rules name have changed')
      })
      .catch((error: unknown) =>
        records.degraded(`rules still go by the users and groups that names stood for before: ${messageOf(error)}`),
      )
  }

  /** Nothing comes into force from then on, also not what is being compiled. */
  stop(): void {
    this.#isStopped = true
  }

  /** False: it was not wanted any more. Each set follows the one before it. */
  #replace(rulebook: () => Rulebook | undefined): Promise<boolean> {
    const done = this.#replacing.then(async () => {
      const wanted = rulebook()
      if (wanted === undefined || this.#isStopped) return false
      const next = await inTurns(this.#options.policies.compile(wanted))
      if (this.#isStopped) return false
      this.activate(next)
      return true
    })
    this.#replacing = done.catch(() => undefined)
    return done
  }
}
