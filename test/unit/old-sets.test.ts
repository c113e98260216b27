/** src/agent/rules/policies.ts: when what the kernel holds of an old set goes, and that nothing is touched once the agent stops. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Policies } from '../../src/agent/rules/policies.js'
import type { Identity } from '../../src/container/identity.js'
import type { ContainerTable } from '../../src/container/table.js'
import { atOnce } from '../../src/match/steps.js'
import { loadPolicies } from '../../src/policy/load.js'
import { HOST } from '../../src/record/model.js'
import type { KernelPolicy } from '../../src/respond/kernel-policy.js'
import type { Sensor } from '../../src/sensor/sensor.js'

const MINUTE_MS = 60_000
const POLICY = 'policy: p\ncontainers: all\nrules:\n  - { rule: r, exec: { deny: [nc] } }\n'

function makePolicies() {
  const removals: string[] = []
  const kernel = {
    install() {},
    allowances: { refill() {} },
    hooksOf: () => [],
    callHooksOf: () => [],
    retire: () => removals.push('retire'),
    sweep: () => removals.push('sweep'),
  } as unknown as KernelPolicy
  const change = { commit() {}, undo() {} }
  const sensor = { prepareHooks: () => change, hooksOfActs: () => [], setActs() {}, setControl() {}, setCgroup() {} }
  const identity = { ref: { ...HOST, state: 'container', id: 'c' }, confirmed: true } as Identity
  const table = { containers: () => [identity], cgroupsOf: () => [1n] } as unknown as ContainerTable
  const policies = new Policies({ sensor: sensor as unknown as Sensor, table, kernel, activity: new Set() })
  const rulebook = { policies: loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(POLICY) }]).policies }
  return { policies, removals, next: () => policies.activate(atOnce(policies.compile(rulebook))) }
}

test('profiles of an old set go some time after it, their tables later still', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { removals, next } = makePolicies()
  next()
  next()
  assert.deepEqual(removals, [])
  t.mock.timers.tick(MINUTE_MS)
  t.mock.timers.tick(MINUTE_MS)
  assert.deepEqual(removals, ['retire', 'sweep'])
})

test('an agent that stops right after a reload touches the sensor no more', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (const ticks of [0, 1]) {
    const { policies, removals, next } = makePolicies()
    next()
    next()
    for (let tick = 0; tick < ticks; tick++) t.mock.timers.tick(11_000)
    const done = removals.length
    policies.stop()
    t.mock.timers.tick(MINUTE_MS)
    t.mock.timers.tick(MINUTE_MS)
    assert.equal(removals.length, done)
  }
})
