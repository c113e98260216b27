/**
 * What follows from the rules an event violated: alert records, and actions. The kernel may have acted already (the event's
 * header says so); what it left is done here through a pidfd, with an intent record before and a result record after.
 *
 * Fail direction: a doubt spares the process and says why.
 */
import type { Identity } from '../../container/identity.js'
import type { RuleId } from '../../match/types.js'
import type { Rule } from '../../policy/model.js'
import type { Action, AlertBody, Cause, Outcome, RecordDraft } from '../../record/model.js'
import type { CircuitBreaker } from '../../respond/breaker.js'
import { reasonToSpare } from '../../respond/guard.js'
import { killProcess } from '../../respond/kill.js'
import { actionInForce, strongest } from '../../respond/strength.js'
import { Action as KernelAction } from '../../sensor/generated/abi.js'
import type { Counters } from '../../telemetry/counters.js'
import type { RuleSource } from '../conditions/condition-set.js'
import type { EventContext } from '../fields/context.js'
import { OutputFormat } from '../fields/format.js'
import { describe } from './outputs.js'
import type { PolicySet } from './policies.js'

export interface VerdictsOptions {
  append: (draft: RecordDraft) => { seq: bigint }
  confirm: (identity: Identity, pid: number) => boolean
  isBlocking: () => boolean
  breaker: CircuitBreaker
  /** The breaker's counts changed: the kernel's copy has to follow. */
  onActed: () => void
  /** Nothing is acted on: asked instead what the action would have come to. A capture's acts are over. */
  foresee?: ((judged: Judged, rule: RuleId, action: Action) => Foreseen) | undefined
  counters: Counters
  /** Stands on the event that is judged. */
  context: EventContext
}

/** What an action would have come to, had it been in force. */
export interface Foreseen {
  outcome: Outcome
  /** The hook that would have acted, or empty. */
  hook: string
  /** In words. */
  text: string
}

/** An event, or a sample, with the record made of it. */
export interface Judged {
  /** As `evt.type` has it; undefined: a sample, the context does not stand on it. */
  eventType?: string | undefined
  draft: RecordDraft
  cause: Cause
  identity: Identity
  set: PolicySet
  /** enum hg_action of the event. */
  kernelAction: number
  /** Hook that the event came from. */
  hook: string
  /** An action that user space takes on this comes after the effect, unless the kernel denied it. */
  pid: number
  startNs: bigint
  /** What was found, in words, when it was no event. */
  reading?: string
  /** Capabilities that the process came to hold by the event; bit n: capability n. */
  gained?: bigint
}

/** What became of the act; the same for all rules that asked for an action. */
interface Result {
  outcome: Outcome
  hook: string
  reason: string
}

const BREAKER_TRIPPED = 'the circuit breaker has tripped: too many containers acted on'
const ALLOWANCE_USED_UP = "the kernel's allowance for this policy was used up a moment ago; the next act is refused"
/** What alerts of Falco rules name as their policy. */
export const FALCO_POLICY = 'falco'
/** A call that is killed at its entry runs to its end all the same. */
const AFTER_EFFECT: ReadonlySet<string> = new Set(['sys_enter', 'sys_exit'])
const NOTHING: Result = { outcome: 'none', hook: '', reason: '' }

export class Verdicts {
  readonly #options: VerdictsOptions
  readonly #formats = new WeakMap<Rule, OutputFormat>()

  constructor(options: VerdictsOptions) {
    this.#options = options
    options.counters.define('alerts_total', 'counter', 'Alerts, by policy and rule')
    options.counters.define('actions_total', 'counter', 'Actions, by outcome')
  }

  /** rules: violated rule ids of the set's program. */
  judge(judged: Judged, ruleIds: Iterable<number>): void {
    const { set } = judged
    const { program } = set
    const blocking = this.#options.isBlocking()
    const wanted = [...ruleIds].flatMap((id) => {
      const rule = program.rules[id]
      return rule === undefined
        ? []
        : [
            {
              id: id as RuleId,
              rule,
              action: actionInForce(rule.action, blocking, program.policyOf(id as RuleId).mode === 'block'),
            },
          ]
    })
    if (wanted.length === 0) return
    const action = strongest(wanted.map((entry) => entry.action))
    const acting = wanted.find((entry) => entry.action === action)
    const { foresee } = this.#options
    if (foresee !== undefined) {
      for (const { id, rule, action: own } of wanted)
        this.#record('alert', judged, rule, own, foreseen(foresee, judged, id, own))
      return
    }
    const fromKernel =
      acting === undefined || action === 'alert' ? NOTHING : this.#kernelResult(judged, acting.rule, action)
    for (const { rule, action: own } of wanted)
      this.#record('alert', judged, rule, own, own === 'alert' ? NOTHING : fromKernel)
    if (acting === undefined || action === 'alert') return
    if (fromKernel.outcome !== 'none') {
      this.#record('action', judged, acting.rule, action, fromKernel)
      this.#options.counters.add('actions_total', 1, { outcome: fromKernel.outcome })
    }
    if (this.#isLeftToUserSpace(judged, action, fromKernel)) this.#kill(judged, acting.rule, action, fromKernel)
  }

  #kernelResult(judged: Judged, rule: Rule, action: Action): Result {
    const { breaker, onActed } = this.#options
    const { hook, identity } = judged
    switch (judged.kernelAction) {
      case KernelAction.KILLED:
      case KernelAction.DENIED:
      case KernelAction.DENIED_KILL_PENDING:
        breaker.note(rule.policy, identity.ref.id)
        onActed()
        if (judged.kernelAction !== KernelAction.KILLED) return { outcome: 'denied', hook, reason: '' }
        return { outcome: AFTER_EFFECT.has(hook) ? 'killed_after_effect' : 'killed_before_effect', hook, reason: '' }
      case KernelAction.SPARED: {
        // The kernel's copy of the allowance was used up. A kill is tried from here, where the breaker itself is asked.
        if (action !== 'deny') return NOTHING
        const isAdmitted = breaker.admit(rule.policy, identity.ref.id)
        onActed()
        return {
          outcome: isAdmitted ? 'failed' : 'spared',
          hook,
          reason: isAdmitted ? ALLOWANCE_USED_UP : BREAKER_TRIPPED,
        }
      }
      default:
        if (action !== 'deny') return NOTHING
        // hooks that run before an exec leave no mark of what they spared
        if (breaker.remainingCount(rule.policy) === 0 && !breaker.admit(rule.policy, identity.ref.id)) {
          onActed()
          return { outcome: 'spared', hook: '', reason: BREAKER_TRIPPED }
        }
        return {
          outcome: 'failed',
          hook: '',
          reason: 'no hook on this host could refuse it: see `hullguard policy explain`',
        }
    }
  }

  #isLeftToUserSpace(judged: Judged, action: Action, fromKernel: Result): boolean {
    if (action !== 'kill') return false
    return fromKernel.outcome === 'none' || judged.kernelAction === KernelAction.DENIED_KILL_PENDING
  }

  #kill(judged: Judged, rule: Rule, action: Action, fromKernel: Result): void {
    const { breaker, onActed, counters, confirm } = this.#options
    const { identity, pid, startNs, draft } = judged
    const wasDenied = fromKernel.outcome === 'denied'
    const hook = wasDenied ? `${fromKernel.hook}, pidfd` : 'pidfd'
    const target = {
      identity,
      pid,
      startNs,
      exe: draft.process?.exe ?? '',
      phase: draft.process?.phase ?? 'run',
    } as const
    let reason = reasonToSpare(target, rule.setup)
    if (reason === undefined && !wasDenied && !breaker.admit(rule.policy, identity.ref.id)) reason = BREAKER_TRIPPED
    if (reason !== undefined) {
      this.#record('action', judged, rule, action, { outcome: 'spared', hook: '', reason })
      counters.add('actions_total', 1, { outcome: 'spared' })
      return
    }
    this.#record('action', judged, rule, action, { outcome: 'none', hook, reason: 'intent' })
    const killed = killProcess(pid, startNs, identity, confirm)
    const outcome: Outcome = !killed.killed ? 'failed' : wasDenied ? 'killed_before_effect' : 'killed_after_effect'
    this.#record('action', judged, rule, action, { outcome, hook, reason: killed.killed ? '' : killed.reason })
    counters.add('actions_total', 1, { outcome })
    onActed()
  }

  /** A rule of a Falco file holds: it tells, and does nothing else. */
  report({ draft, cause, eventType }: Judged, { rule, format }: Extract<RuleSource, { from: 'falco' }>): void {
    const { append, context, counters } = this.#options
    const alert: AlertBody = {
      rule: rule.name,
      policy: FALCO_POLICY,
      priority: rule.priority,
      tags: rule.tags,
      output: format.render(context, eventType ?? ''),
      actionTaken: 'alert',
      outcome: 'none',
      reason: '',
      hook: '',
      cause,
    }
    append({ ...draft, kind: 'alert', lane: 'alert', alert })
    counters.add('alerts_total', 1, { policy: FALCO_POLICY, rule: rule.name })
  }

  #outputOf(judged: Judged, rule: Rule): string {
    const { draft, eventType, identity } = judged
    if (rule.output === undefined) return describe(rule, draft, judged)
    let format = this.#formats.get(rule)
    if (format === undefined) {
      format = new OutputFormat(rule.output)
      this.#formats.set(rule, format)
    }
    if (eventType === undefined) this.#options.context.standOnSample(identity)
    return format.render(this.#options.context, eventType ?? 'sample')
  }

  #record(kind: 'alert' | 'action', judged: Judged, rule: Rule, action: Action, result: Result): void {
    const { draft, cause } = judged
    const alert: AlertBody = {
      rule: rule.name,
      policy: rule.policy,
      priority: rule.priority,
      tags: rule.tags,
      output: this.#outputOf(judged, rule),
      actionTaken: action,
      outcome: result.outcome,
      reason: result.reason,
      hook: result.hook,
      cause,
    }
    this.#options.append({ ...draft, kind, lane: 'alert', alert })
    if (kind === 'alert') this.#options.counters.add('alerts_total', 1, { policy: rule.policy, rule: rule.name })
  }
}

/** A record never claims what has not happened: what would have is said in its reason only. */
function foreseen(
  foresee: NonNullable<VerdictsOptions['foresee']>,
  judged: Judged,
  rule: RuleId,
  action: Action,
): Result {
  if (action === 'alert') return NOTHING
  return { outcome: 'none', hook: '', reason: `dry run: ${foresee(judged, rule, action).text}` }
}
