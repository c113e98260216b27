/** Which action is taken when several rules hit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Action } from '../../src/record/model.js'
import { actionInForce, strongest } from '../../src/respond/strength.js'

const ORDER: readonly Action[] = ['alert', 'deny', 'kill', 'isolate', 'pause', 'kill-container']

test('of several actions the strongest acts: alert < deny < kill < isolate < pause < kill-container', () => {
  assert.equal(strongest([]), 'alert')
  for (const [at, action] of ORDER.entries())
    for (const weaker of ORDER.slice(0, at + 1)) {
      assert.equal(strongest([action, weaker]), action)
      assert.equal(strongest([weaker, action]), action)
    }
})

test('the strongest action is the least of the agent’s mode, the policy’s mode and the rule’s action', () => {
  for (const action of ORDER) {
    assert.equal(actionInForce(action, true, true), action)
    for (const [agent, policy] of [
      [true, false],
      [false, true],
      [false, false],
    ] as const)
      assert.equal(actionInForce(action, agent, policy), 'alert')
  }
})
