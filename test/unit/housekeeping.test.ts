/** src/agent/housekeeping.ts: a timer runs only as often as there is something to do. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { EXPIRE_PAUSE_MS, HOUSEKEEPING_MS, Housekeeping, IDLE_HOUSEKEEPING_MS } from '../../src/agent/housekeeping.js'

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
afterEach(() => mock.timers.reset())

/** Step by step: a timer that is set within a step begins where the step ends. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= EXPIRE_PAUSE_MS) mock.timers.tick(EXPIRE_PAUSE_MS)
}

function begin() {
  const house = { keptCount: 0, expiredCount: 0, hasWork: false, waitingCount: 0 }
  const housekeeping = new Housekeeping({
    keep: () => {
      house.keptCount++
    },
    hasWork: () => house.hasWork,
    expire: () => {
      house.expiredCount++
      house.waitingCount--
      return house.waitingCount > 0
    },
  })
  return { house, housekeeping }
}

test('records that wait are looked at until none does; then no timer runs', () => {
  const { house, housekeeping } = begin()
  pass(60_000)
  assert.equal(house.expiredCount, 0)
  house.waitingCount = 3
  for (let record = 0; record < 3; record++) housekeeping.expireSoon()
  mock.timers.tick(EXPIRE_PAUSE_MS)
  assert.equal(house.expiredCount, 1)
  pass(60_000)
  assert.equal(house.expiredCount, 3)
  house.waitingCount = 1
  housekeeping.expireSoon()
  pass(60_000)
  assert.equal(house.expiredCount, 4)
})

test('a house with nothing to do is looked after every ten seconds, one with something every second', () => {
  const { house, housekeeping } = begin()
  housekeeping.soon()
  mock.timers.tick(HOUSEKEEPING_MS)
  assert.equal(house.keptCount, 1)
  mock.timers.tick(IDLE_HOUSEKEEPING_MS - 1)
  assert.equal(house.keptCount, 1)
  house.hasWork = true
  mock.timers.tick(1)
  assert.equal(house.keptCount, 2)
  for (let second = 0; second < 5; second++) mock.timers.tick(HOUSEKEEPING_MS)
  assert.equal(house.keptCount, 7)
})

test('events that leave something to do wake an idle house within a second, others do not', () => {
  const { house, housekeeping } = begin()
  housekeeping.soon()
  mock.timers.tick(HOUSEKEEPING_MS)
  housekeeping.onBatchDone()
  mock.timers.tick(HOUSEKEEPING_MS)
  assert.equal(house.keptCount, 1)
  house.hasWork = true
  housekeeping.onBatchDone()
  mock.timers.tick(HOUSEKEEPING_MS / 2)
  housekeeping.onBatchDone() // puts off nothing
  mock.timers.tick(HOUSEKEEPING_MS / 2)
  assert.equal(house.keptCount, 2)
})

test('after the stop no timer runs, and none begins', () => {
  const { house, housekeeping } = begin()
  house.hasWork = true
  house.waitingCount = 9
  housekeeping.soon()
  housekeeping.expireSoon()
  housekeeping.stop()
  housekeeping.soon()
  housekeeping.expireSoon()
  housekeeping.onBatchDone()
  pass(60_000)
  assert.deepEqual([house.keptCount, house.expiredCount], [0, 0])
})
