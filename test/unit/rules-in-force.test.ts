/** src/agent/rules-in-force.ts: what is said of other rules is what came of them, also while the agent stops. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Rulebook } from '../../src/agent/conditions/rulebook.js'
import { PolicySet } from '../../src/agent/rules/policies.js'
import { RulesInForce } from '../../src/agent/rules-in-force.js'
import type { Steps } from '../../src/match/steps.js'

const NONE: Rulebook = { policies: [] }

interface Faults {
  compile?: string
  activate?: string
  follow?: string
}

/** Policies whose compiling goes on until `finish`, with what was said and done. */
function begin(faults: Faults = {}) {
  const said: string[] = []
  let current = PolicySet.of(0, NONE)
  let isFinished = false
  let hasExpired = false
  let isOutdated = false
  let onOutdated = () => {}
  let rearmedCount = 0
  function* compile(rulebook: Rulebook): Steps<PolicySet> {
    while (!isFinished) yield
    if (faults.compile !== undefined) throw new Error(faults.compile)
    return PolicySet.of(current.version + 1, rulebook)
  }
  const rules = new RulesInForce({
    policies: {
      get current() {
        return current
      },
      isHostWanted: false,
      hasExpired: () => hasExpired,
      get isOutdated() {
        return isOutdated
      },
      set onOutdated(listener: () => void) {
        onOutdated = listener
      },
      compile,
      activate: (next) => {
        if (faults.activate !== undefined) throw new Error(faults.activate)
        current = next
        hasExpired = false
        isOutdated = false
      },
    },
    records: {
      report: (change, message) => said.push(`${change}: ${message}`),
      degraded: (message) => said.push(`degraded: ${message}`),
    },
    onActivated: () => {
      if (faults.follow !== undefined) throw new Error(faults.follow)
      said.push('followed')
    },
    rearm: () => rearmedCount++,
  })
  return {
    rules,
    said,
    faults,
    finish: () => {
      isFinished = true
    },
    expire: () => {
      hasExpired = true
    },
    outdate: () => {
      isOutdated = true
      onOutdated()
    },
    version: () => current.version,
    rearmed: () => rearmedCount,
  }
}

const STOPS = 'degraded: new rules did not come into force, the old ones stay: the agent stops'

test('rules come into force one set after the other, and each is told', async () => {
  const { rules, said, finish, version, rearmed } = begin()
  const both = [rules.set(NONE), rules.set(NONE)]
  finish()
  await Promise.all(both)
  assert.equal(version(), 2)
  assert.equal(rearmed(), 2)
  assert.deepEqual(said.sort(), [
    'followed',
    'followed',
    'policy: policies in force: none',
    'policy: policies in force: none',
  ])
})

test('rules that are being compiled when the agent stops do not come into force, and whoever asked is told', async () => {
  const { rules, said, finish, version, rearmed } = begin()
  const asked = [rules.set(NONE), rules.set(NONE)]
  const told = asked.map((one) => assert.rejects(one, /^Error: the agent stops$/))
  await nextTurn()
  rules.stop()
  finish()
  await Promise.all(told)
  assert.equal(version(), 0)
  assert.equal(rearmed(), 0)
  assert.deepEqual(said, [STOPS, STOPS])
})

test('rules that are asked for after the stop are not compiled', async () => {
  const { rules, said, version } = begin()
  rules.stop()
  await assert.rejects(rules.set(NONE), /^Error: the agent stops$/) // compiling would not end
  assert.equal(version(), 0)
  assert.deepEqual(said, [STOPS])
})

test('rules that fail leave the old ones, and hold up no others', async () => {
  for (const part of ['compile', 'activate'] as const) {
    const { rules, said, faults, finish, version } = begin({ [part]: 'no room' })
    finish()
    await assert.rejects(rules.set(NONE), /^Error: no room$/)
    assert.equal(version(), 0)
    assert.deepEqual(said, ['degraded: new rules did not come into force, the old ones stay: no room'])
    delete faults[part]
    await rules.set(NONE)
    assert.equal(version(), 1)
  }
})

test('rules that are in force are said to be, and what fails after that too', async () => {
  const { rules, said, finish, version, rearmed } = begin({ follow: 'no processes' })
  finish()
  await rules.set(NONE)
  assert.deepEqual([version(), rearmed()], [1, 1])
  assert.deepEqual(said, [
    'degraded: the rules are in force, but not all that follows them: no processes',
    'policy: policies in force: none',
  ])
})

test('exceptions that have expired are put out of force once, and not while the agent stops', async () => {
  const { rules, said, finish, expire, version } = begin()
  finish()
  expire()
  rules.expireExceptions()
  rules.expireExceptions()
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  assert.equal(version(), 1)
  assert.deepEqual(said, ['followed', 'policy: exceptions of rules have expired'])
  rules.stop()
  expire()
  rules.expireExceptions()
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  assert.equal(version(), 1)
  assert.equal(said.length, 2)
})

test('rules that go by names of users come into force anew when these change, once for all changes of a time', async () => {
  const { said, faults, finish, outdate, version, rearmed } = begin()
  finish()
  outdate()
  outdate()
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  assert.deepEqual([version(), rearmed()], [1, 0])
  assert.deepEqual(said, ['followed', 'policy: users or groups that rules name have changed'])
  faults.activate = 'no room'
  outdate()
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  assert.equal(version(), 1)
  assert.deepEqual(said.slice(2), [
    'degraded: rules still go by the users and groups that names stood for before: no room',
  ])
})
