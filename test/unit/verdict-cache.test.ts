/** Remembered verdicts against a plain map. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Hits } from '../../src/match/types.js'
import { VerdictCache } from '../../src/match/verdict-cache.js'
import { seedOf } from '../support/seed.js'

const RULES = 64

function tell(cache: VerdictCache, facts: readonly number[]): void {
  const [first = 0, second = 0, ...rest] = facts
  cache.start(first, second)
  for (const fact of rest) cache.add(fact)
}

function hitsOf(rules: readonly number[], room = RULES): Hits {
  const hits = { rules: new Uint32Array(room), count: rules.length }
  hits.rules.set(rules)
  return hits
}

/** Any verdict that follows from the facts. */
function verdictOf(facts: readonly number[]): number[] {
  return facts.slice(0, 5).map((fact, at) => Math.abs((fact * 31 + at) % RULES))
}

function ask(cache: VerdictCache, facts: readonly number[]): { known: boolean; rules: number[] } {
  tell(cache, facts)
  const hits = hitsOf([])
  const known = cache.recall(hits)
  if (!known) cache.remember(hitsOf(verdictOf(facts)))
  return { known, rules: [...hits.rules.subarray(0, hits.count)] }
}

describe('verdict cache', () => {
  test('what was remembered comes back, and nothing else', () => {
    const facts = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 6 })
    fc.assert(
      fc.property(fc.array(facts, { maxLength: 60 }), (events) => {
        const cache = new VerdictCache(RULES, 16)
        const seen = new Set<string>()
        for (const event of events) {
          const { known, rules } = ask(cache, event)
          assert.equal(known, seen.has(event.join()))
          if (known) assert.deepEqual(rules, verdictOf(event))
          seen.add(event.join())
        }
      }),
      seedOf(300),
    )
  })

  test('when it is full it starts over, and every answer stays right', () => {
    const cache = new VerdictCache(RULES, 64)
    let recalledCount = 0
    for (let asked = 0; asked < 40_000; asked++) {
      const number = asked >> 1
      const event = [number % 7, (number * number) % 9001, ...Array.from({ length: number % 40 }, (_, at) => at)]
      const { known, rules } = ask(cache, event)
      if (known) {
        recalledCount++
        assert.deepEqual(rules, verdictOf(event))
      }
    }
    assert.ok(cache.flushCount > 1)
    assert.ok(recalledCount > 100)
  })

  test('a verdict of all rules is kept while it has room, and an event of very many facts is judged each time', () => {
    const cache = new VerdictCache(20_000, 1_000)
    const all = Array.from({ length: 20_000 }, (_, rule) => rule)
    tell(cache, [1, 2, 3])
    assert.equal(cache.recall(hitsOf([], 20_000)), false)
    cache.remember(hitsOf(all, 20_000))
    const hits = hitsOf([], 20_000)
    assert.equal(cache.recall(hits), true)
    assert.deepEqual([...hits.rules.subarray(0, hits.count)], all)
    const many = Array.from({ length: 900 }, (_, fact) => fact)
    assert.equal(ask(cache, many).known, false)
    assert.equal(ask(cache, many).known, false)
  })

  test('a program without rules has a cache that holds empty verdicts', () => {
    const cache = new VerdictCache(0, 2)
    cache.start(1, 2)
    assert.equal(cache.recall(hitsOf([])), false)
    cache.remember(hitsOf([]))
    assert.equal(cache.recall(hitsOf([])), true)
  })
})
