/** Which acts (masks of actBit) rules have to see. */
import { kindsNeeded } from '../match/needs.js'
import type { Rule } from '../policy/model.js'
import { CALL_KINDS, type CallKind } from '../record/call-model.js'
import { actBit, actOfCall } from '../sensor/call-recipes.js'

const isCallKind = (name: string): name is CallKind => CALL_KINDS.some((kind) => kind === name)

/** Mask of the acts among these kinds. */
export function actsOfKinds(kinds: Iterable<string>): bigint {
  let acts = 0n
  for (const kind of kinds) if (isCallKind(kind)) acts |= actBit(kind)
  return acts
}

/** What rules that are on have to see. */
export function actsOfRules(rules: Iterable<Rule>): bigint {
  let acts = 0n
  for (const rule of rules) acts |= actsOfNeeds(kindsNeeded(rule))
  return acts
}

/** Of what kindsNeeded says. An event type that is a call of an act asks for the act. */
export function actsOfNeeds(names: Iterable<string>): bigint {
  let acts = 0n
  for (const name of names) {
    // a rule about connects means those of the connect hooks
    const act = isCallKind(name) ? name : name === 'connect' ? undefined : actOfCall(name)
    if (act !== undefined) acts |= actBit(act)
  }
  return acts
}
