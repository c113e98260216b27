/**
 * What a process came to hold: capabilities that it is permitted after an event and was not before. The kernel side compares
 * the two (bpf/lib/task.bpf.h); here the rules of kind capability are asked about the difference.
 */
import type { Hits } from '../../match/types.js'
import type { ContainerRef } from '../../record/model.js'
import { type EvCall, type EvExec, type EvFork, Phase } from '../../sensor/generated/abi.js'
import type { PolicySet } from './policies.js'

export class GainedRules {
  readonly #own: Hits = { rules: new Uint32Array(0), count: 0 }

  /** Adds the violated rules to `hits`, which has room for every rule of the set. Gives what was gained; bit n: capability n. */
  match(set: PolicySet, ref: ContainerRef, event: EvExec | EvFork | EvCall, hits: Hits): bigint {
    const { capGainedLow, capGainedHigh, phase } = event
    if (capGainedLow === 0 && capGainedHigh === 0) return 0n
    const own = this.#own
    if (own.rules.length < hits.rules.length) own.rules = new Uint32Array(hits.rules.length)
    set.program.matchCapability(set.profileFor(ref), capGainedLow, capGainedHigh, phase === Phase.SETUP, own)
    for (let at = 0; at < own.count; at++) hits.rules[hits.count++] = own.rules[at] as number
    return event.capGained
  }
}
