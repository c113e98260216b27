/**
 * What a process came to hold: capabilities that it is permitted after an event and was not before. The kernel side compares
 * the two (bpf/lib/task.bpf.h); here the rules of kind capability are asked about the difference.
 */
import type { Hits } from '../../match/types.js'
import type { CapabilityWhen } from '../../policy/model.js'
import type { ContainerRef } from '../../record/model.js'
import { Act, type EvCall, type EvExec, type EvFork, Phase } from '../../sensor/generated/abi.js'
import type { PolicySet } from './policies.js'

export class GainedRules {
  readonly #own: Hits = { rules: new Uint32Array(0), count: 0 }

  /** Adds the violated rules to `hits`, which has room for every rule of the set. Gives what was gained; bit n: capability n. */
  match(set: PolicySet, ref: ContainerRef, event: EvExec | EvFork | EvCall, hits: Hits): bigint {
    const { capGainedLow, capGainedHigh, phase } = event
    if (capGainedLow === 0 && capGainedHigh === 0) return 0n
    this.#judge(set, ref, capGainedLow, capGainedHigh, phase, 'gain', hits)
    return event.capGained
  }

  /** Adds the rules that the use of a capability violates, which the process was given. */
  matchUse(set: PolicySet, ref: ContainerRef, event: EvCall, hits: Hits): void {
    if (event.act !== Act.CAPABLE || event.result < 0n) return
    const number = Number(event.facts(0))
    const bit = (1 << (number & 31)) >>> 0
    this.#judge(set, ref, number < 32 ? bit : 0, number < 32 ? 0 : bit, event.phase, 'use', hits)
  }

  #judge(
    set: PolicySet,
    ref: ContainerRef,
    low: number,
    high: number,
    phase: number,
    when: CapabilityWhen,
    hits: Hits,
  ): void {
    const own = this.#own
    if (own.rules.length < hits.rules.length) own.rules = new Uint32Array(hits.rules.length)
    set.program.matchCapability(set.profileFor(ref), low, high, phase === Phase.SETUP, own)
    for (let at = 0; at < own.count; at++) {
      const id = own.rules[at] as number
      const rule = set.program.rules[id]
      if (rule?.kind === 'capability' && rule.when === when) hits.rules[hits.count++] = id
    }
  }
}
