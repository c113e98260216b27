/**
 * What a process came to hold: capabilities that it is permitted after an event and was not before. The kernel side compares
 * the two (bpf/lib/task.bpf.h); here the rules of kind capability are asked about the difference.
 */
import type { Hits } from '../match/types.js'
import type { ContainerRef } from '../record/model.js'
import { EvCall, EvExec, EvFork, type EvHeader, Phase } from '../sensor/generated/abi.js'
import type { PolicySet } from './policies.js'

/** Bit n: capability n. */
export function gainedBy(event: EvHeader): bigint {
  return event instanceof EvExec || event instanceof EvFork || event instanceof EvCall ? event.capGained : 0n
}

export class GainedRules {
  readonly #own: Hits = { rules: new Uint32Array(0), count: 0 }

  /** Adds the violated rules to `hits`, which has room for every rule of the set. */
  match(set: PolicySet, ref: ContainerRef, event: EvExec | EvFork | EvCall, hits: Hits): void {
    const { capGainedLow, capGainedHigh, phase } = event
    if (capGainedLow === 0 && capGainedHigh === 0) return
    const own = this.#own
    if (own.rules.length < hits.rules.length) own.rules = new Uint32Array(hits.rules.length)
    set.program.matchCapability(set.profileFor(ref), capGainedLow, capGainedHigh, phase === Phase.SETUP, own)
    for (let at = 0; at < own.count; at++) hits.rules[hits.count++] = own.rules[at] as number
  }
}
