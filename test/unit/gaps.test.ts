/** src/sensor/gaps.ts: every number is seen, or counted in exactly one gap. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { GapTracker, type LostRange } from '../../src/sensor/gaps.js'
import { seedOf } from '../support/seed.js'

/** So many numbers of a CPU go by before a hole is called lost. */
const WINDOW = 64

function feed(tracker: GapTracker, cpu: number, numbers: readonly number[]): LostRange[] {
  return numbers.flatMap((seq) => [...tracker.see(cpu, BigInt(seq))])
}

const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index)

describe('gaps', () => {
  test('numbers in order leave none', () => {
    const tracker = new GapTracker()
    assert.deepEqual(feed(tracker, 0, upTo(1, 1000)), [])
    assert.equal(tracker.hasHoles, false)
    assert.deepEqual(tracker.flush(), [])
  })

  test('a hole is called lost only after the window, once, with its exact ends', () => {
    const tracker = new GapTracker()
    assert.deepEqual(feed(tracker, 3, [1, 2, 6, ...upTo(7, 4 + WINDOW)]), [])
    assert.equal(tracker.hasHoles, true)
    assert.deepEqual(feed(tracker, 3, [5 + WINDOW]), [{ cpu: 3, firstSeq: 3n, lastSeq: 5n }])
    assert.deepEqual(feed(tracker, 3, upTo(6 + WINDOW, 300)), [])
    assert.equal(tracker.hasHoles, false)
    assert.deepEqual(tracker.flush(), [])
  })

  test('the first event of a CPU need not be its first number', () => {
    const tracker = new GapTracker()
    assert.deepEqual(feed(tracker, 0, [11]), [])
    assert.deepEqual(tracker.flush(), [{ cpu: 0, firstSeq: 1n, lastSeq: 10n }])
  })

  test('a late number fills its hole, or splits it', () => {
    const tracker = new GapTracker()
    feed(tracker, 0, [1, 3, 8])
    assert.deepEqual(feed(tracker, 0, [2]), [])
    assert.deepEqual(feed(tracker, 0, [6]), [])
    assert.deepEqual(tracker.flush(), [
      { cpu: 0, firstSeq: 4n, lastSeq: 5n },
      { cpu: 0, firstSeq: 7n, lastSeq: 7n },
    ])
    assert.deepEqual(tracker.flush(), [])
  })

  test('a number that comes twice changes nothing', () => {
    const tracker = new GapTracker()
    feed(tracker, 0, [1, 2, 4, 2, 4, 1])
    assert.deepEqual(tracker.flush(), [{ cpu: 0, firstSeq: 3n, lastSeq: 3n }])
  })

  test('CPUs are counted apart', () => {
    const tracker = new GapTracker()
    feed(tracker, 0, [1, 2])
    feed(tracker, 1, [2])
    feed(tracker, 7, [1])
    assert.deepEqual(tracker.flush(), [{ cpu: 1, firstSeq: 1n, lastSeq: 1n }])
  })

  test('numbers beyond 2^53 are exact', () => {
    const tracker = new GapTracker()
    const big = 1n << 60n
    tracker.see(0, big)
    assert.deepEqual(tracker.flush(), [{ cpu: 0, firstSeq: 1n, lastSeq: big - 1n }])
    tracker.see(0, big + 2n)
    assert.deepEqual(tracker.flush(), [{ cpu: 0, firstSeq: big + 1n, lastSeq: big + 1n }])
  })

  test('whatever is lost and however late the rest comes within the window: seen and lost are all numbers, once', () => {
    const event = fc.record({ isLost: fc.boolean(), delay: fc.integer({ min: 0, max: WINDOW - 4 }) })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 500 }), (events) => {
        const arriving = events
          .map((one, index) => ({ ...one, seq: index + 1 }))
          .filter(({ isLost }) => !isLost)
          .sort((a, b) => a.seq + a.delay - (b.seq + b.delay) || a.seq - b.seq)
          .map(({ seq }) => seq)
        const tracker = new GapTracker()
        const ranges = [...feed(tracker, 0, arriving), ...tracker.flush()]
        const lost = ranges.flatMap(({ firstSeq, lastSeq }) => upTo(Number(firstSeq), Number(lastSeq)))
        const highest = Math.max(0, ...arriving)
        assert.deepEqual(
          [...arriving, ...lost].sort((a, b) => a - b),
          upTo(1, highest),
        )
      }),
      seedOf(300),
    )
  })
})
