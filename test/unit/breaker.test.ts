/** src/respond/breaker.ts: distinct containers count, repeats never do, and a tripped policy stays tripped until re-armed. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { BREAKER_DEFAULTS, CircuitBreaker } from '../../src/respond/breaker.js'
import { seedOf } from '../support/seed.js'

describe('the circuit breaker', () => {
  let nowMs: number
  let trips: string[]
  let breaker: CircuitBreaker

  beforeEach(() => {
    nowMs = 1_000_000
    trips = []
    breaker = new CircuitBreaker({ limitCount: 3, windowMs: 1000, nowMs: () => nowMs }, (policy) => trips.push(policy))
  })

  test('admits as many containers as the limit, and trips at the next', () => {
    for (const [container, remaining] of [
      ['a', 2],
      ['b', 1],
      ['c', 0],
    ] as const) {
      assert.equal(breaker.admit('p', container), true)
      assert.equal(breaker.remainingCount('p'), remaining)
    }
    assert.deepEqual(trips, [])
    assert.equal(breaker.admit('p', 'd'), false)
    assert.deepEqual(trips, ['p'])
    assert.equal(breaker.isTripped('p'), true)
  })

  test('a busy attacker in one container never trips it', () => {
    for (let count = 0; count < 1000; count++) assert.equal(breaker.admit('p', 'a'), true)
    assert.equal(breaker.remainingCount('p'), 2)
    assert.deepEqual(trips, [])
  })

  test('once tripped it refuses all, also those it acted on, however long it takes, and says so once', () => {
    for (const container of ['a', 'b', 'c', 'd', 'e', 'f']) breaker.admit('p', container)
    nowMs += 1_000_000
    assert.equal(breaker.admit('p', 'a'), false)
    assert.equal(breaker.remainingCount('p'), 0)
    assert.deepEqual(trips, ['p'])
  })

  test('a container is forgotten when the policy has not acted on it for the window', () => {
    breaker.admit('p', 'a')
    nowMs += 600
    breaker.admit('p', 'b')
    breaker.admit('p', 'c')
    nowMs += 400
    assert.equal(breaker.remainingCount('p'), 0) // exactly the window: still within
    nowMs += 1
    assert.equal(breaker.remainingCount('p'), 1)
    assert.equal(breaker.admit('p', 'd'), true)
    assert.equal(breaker.admit('p', 'e'), false)
  })

  test('an act of the kernel is counted, never refused, and does not trip by itself', () => {
    for (const container of ['a', 'b', 'c', 'd', 'e']) breaker.note('p', container)
    assert.deepEqual(trips, [])
    assert.equal(breaker.remainingCount('p'), 0)
    assert.equal(breaker.admit('p', 'a'), true)
    assert.equal(breaker.admit('p', 'f'), false)
    assert.deepEqual(trips, ['p'])
  })

  test('policies are counted apart', () => {
    for (const container of ['a', 'b', 'c', 'd']) breaker.admit('p', container)
    assert.equal(breaker.isTripped('q'), false)
    assert.equal(breaker.admit('q', 'a'), true)
    assert.equal(breaker.remainingCount('q'), 2)
  })

  test('it can be tripped from outside, and re-armed', () => {
    breaker.trip('p')
    breaker.trip('p')
    assert.deepEqual(trips, ['p'])
    assert.equal(breaker.admit('p', 'a'), false)
    breaker.rearm()
    assert.equal(breaker.remainingCount('p'), 3)
    assert.equal(breaker.admit('p', 'a'), true)
    breaker.trip('p')
    assert.deepEqual(trips, ['p', 'p'])
  })

  test('a limit of none refuses the first act', () => {
    const strict = new CircuitBreaker({ limitCount: 0, windowMs: 1000, nowMs: () => nowMs }, (policy) =>
      trips.push(policy),
    )
    assert.equal(strict.admit('p', 'a'), false)
    assert.deepEqual(trips, ['p'])
  })

  test('the defaults are five containers a minute', () => {
    assert.deepEqual(BREAKER_DEFAULTS, { limitCount: 5, windowMs: 60_000 })
  })

  test('within any window, whatever happens, never more distinct containers are admitted than the limit', () => {
    const step = fc.record({ container: fc.integer({ min: 0, max: 9 }), afterMs: fc.integer({ min: 0, max: 700 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let now = 0
        const one = new CircuitBreaker({ limitCount: 3, windowMs: 1000, nowMs: () => now }, () => {})
        const admitted: { container: number; atMs: number }[] = []
        for (const { container, afterMs } of steps) {
          now += afterMs
          if (one.admit('p', String(container))) admitted.push({ container, atMs: now })
        }
        for (const { atMs } of admitted) {
          const within = admitted.filter((other) => other.atMs <= atMs && other.atMs >= atMs - 1000)
          assert.ok(new Set(within.map(({ container }) => container)).size <= 3)
        }
      }),
      seedOf(200),
    )
  })
})
