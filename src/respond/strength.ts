/** Which of several actions is the strongest: the one that is carried out when several rules hit. */
import type { Action } from '../record/model.js'

const STRENGTH: Readonly<Record<Action, number>> = {
  alert: 0,
  deny: 1,
  kill: 2,
  isolate: 3,
  pause: 4,
  'kill-container': 5,
}

export function strongest(actions: readonly Action[]): Action {
  return actions.reduce<Action>((best, action) => (STRENGTH[action] > STRENGTH[best] ? action : best), 'alert')
}

/** The rule's action when both the agent and the policy block, else alert: min(agent mode, policy mode, rule action). */
export function actionInForce(ruleAction: Action, isAgentBlocking: boolean, isPolicyBlocking: boolean): Action {
  return isAgentBlocking && isPolicyBlocking ? ruleAction : 'alert'
}
