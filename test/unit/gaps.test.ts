/** src/sensor/gaps.ts: every number is seen or counted in exactly one gap, and what was counted and comes after all is taken back. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { GapTracker, gapOf, HOLES_MAX, LATE_MAX_NS, type LostRange, type Numbered } from '../../src/sensor/gaps.js'
import { seedOf } from '../support/seed.js'

const LATE_MAX_MS = Number(LATE_MAX_NS / 1_000_000n)
const at = (ms: number) => ({ bootNs: BigInt(ms) * 1_000_000n })

/** An event with this number. */
function numbered(cpu: number, cpuSeq: bigint, ms = 0): Numbered {
  return { cpu, cpuSeq, cpuSeqLow: Number(cpuSeq & 0xffff_ffffn), cpuSeqHigh: Number(cpuSeq >> 32n), ...at(ms) }
}

/** All at one time. */
function feed(tracker: GapTracker, cpu: number, numbers: readonly number[], ms = 0): LostRange[] {
  return numbers.flatMap((seq) => [...tracker.see(numbered(cpu, BigInt(seq), ms))])
}

const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index)
const numbersOf = (ranges: readonly LostRange[]) =>
  ranges.flatMap(({ firstSeq, lastSeq }) => upTo(Number(firstSeq), Number(lastSeq)))

describe('gaps', () => {
  test('numbers in order leave none', () => {
    const tracker = new GapTracker()
    assert.deepEqual(feed(tracker, 0, upTo(1, 1000)), [])
    assert.equal(tracker.hasHoles, false)
    assert.deepEqual(tracker.flush(), [])
  })

  test('no 64-bit number of an event in order is read while nothing is missing', () => {
    const tracker = new GapTracker()
    const unread = (name: string) => ({
      get: () => {
        throw new Error(`${name} read`)
      },
    })
    const event = (seq: bigint): Numbered =>
      Object.defineProperties(numbered(0, seq), { bootNs: unread('bootNs'), cpuSeq: unread('cpuSeq') })
    for (let seq = 1n; seq <= 3n; seq++) assert.deepEqual(tracker.see(event(seq)), [])
    assert.throws(() => tracker.see(event(5n)), /read/)
  })

  test('a hole is called lost when it has stood open for long, once, with its exact ends', () => {
    const tracker = new GapTracker()
    assert.deepEqual(feed(tracker, 3, [1, 2, 6, ...upTo(7, 100_000)], 5), [])
    assert.deepEqual(feed(tracker, 3, [100_001], 5 + LATE_MAX_MS), [])
    assert.equal(tracker.hasHoles, true)
    assert.deepEqual(feed(tracker, 3, [100_002], 6 + LATE_MAX_MS), [{ cpu: 3, firstSeq: 3n, lastSeq: 5n }])
    assert.deepEqual(feed(tracker, 3, upTo(100_003, 100_100), 7 + LATE_MAX_MS), [])
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

  test('a number is late at any distance, as long as it is not late in time', () => {
    for (const distance of [...upTo(1, 300), 1023, 1024, 4095, 4096, 4097, 50_000]) {
      const tracker = new GapTracker()
      assert.deepEqual(feed(tracker, 0, [1, ...upTo(3, 2 + distance)]), [], `${distance}`)
      assert.deepEqual(feed(tracker, 0, [2], LATE_MAX_MS), [], `${distance}`)
      assert.equal(tracker.hasHoles, false, `${distance}`)
      assert.deepEqual(tracker.flush(), [], `${distance}`)
    }
  })

  test('a number that comes when it was called lost is told as such, at any distance', () => {
    for (const distance of [1, 2, 63, 64, 65, 4096, 50_000]) {
      const tracker = new GapTracker()
      feed(tracker, 1, [1, ...upTo(4, 3 + distance)])
      assert.deepEqual(feed(tracker, 1, [4 + distance], LATE_MAX_MS + 1), [{ cpu: 1, firstSeq: 2n, lastSeq: 3n }])
      assert.deepEqual(feed(tracker, 1, [3], 0), [{ cpu: 1, firstSeq: 3n, lastSeq: 3n, cameLate: true }])
      assert.deepEqual(tracker.flush(), [])
    }
  })

  test('empty rings end only what has stood open for long', () => {
    const tracker = new GapTracker()
    feed(tracker, 0, [2], 10)
    feed(tracker, 0, [4], 20)
    feed(tracker, 1, [3], 20)
    assert.deepEqual(tracker.flush(at(10 + LATE_MAX_MS).bootNs), [])
    assert.deepEqual(tracker.flush(at(20 + LATE_MAX_MS).bootNs), [{ cpu: 0, firstSeq: 1n, lastSeq: 1n }])
    assert.deepEqual(feed(tracker, 0, [3], 20), [])
    assert.deepEqual(tracker.flush(), [{ cpu: 1, firstSeq: 1n, lastSeq: 2n }])
  })

  test('only so many holes of a CPU stand open: the oldest is called lost, and taken back when it is not', () => {
    const tracker = new GapTracker()
    const lost = upTo(1, HOLES_MAX + 5).flatMap((pair) => feed(tracker, 0, [2 * pair]))
    assert.deepEqual(
      lost,
      [1n, 3n, 5n, 7n, 9n].map((seq) => ({ cpu: 0, firstSeq: seq, lastSeq: seq })),
    )
    assert.deepEqual(feed(tracker, 0, [9, 11]), [{ cpu: 0, firstSeq: 9n, lastSeq: 9n, cameLate: true }])
    assert.equal(tracker.flush().length, HOLES_MAX - 1)
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
    tracker.see(numbered(0, big))
    assert.deepEqual(tracker.flush(), [{ cpu: 0, firstSeq: 1n, lastSeq: big - 1n }])
    tracker.see(numbered(0, big + 2n))
    assert.deepEqual(tracker.flush(), [{ cpu: 0, firstSeq: big + 1n, lastSeq: big + 1n }])
  })

  test('numbers are in order over the end of 32 bits', () => {
    const tracker = new GapTracker()
    const end = 1n << 32n
    tracker.see(numbered(0, end - 2n))
    tracker.flush()
    for (let seq = end - 1n; seq <= end + 2n; seq++) assert.deepEqual(tracker.see(numbered(0, seq)), [])
    assert.deepEqual(tracker.flush(), [])
    tracker.see(numbered(0, 2n * end + 2n))
    assert.deepEqual(tracker.flush(), [{ cpu: 0, firstSeq: end + 3n, lastSeq: 2n * end + 1n }])
  })

  test('a gap says how many, and none of what came late', () => {
    const range = { cpu: 2, firstSeq: 5n, lastSeq: 7n }
    const told = { source: 'kernel', ...range }
    assert.deepEqual(gapOf(range), { ...told, cause: 'no_room', count: 3n })
    assert.deepEqual(gapOf({ ...range, cameLate: true }), { ...told, cause: 'came_late', count: 0n })
  })

  test('whatever is lost and however late the rest comes: seen, and lost without what came late, are all numbers, once', () => {
    const event = fc.record({
      isLost: fc.boolean(),
      delayMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 * LATE_MAX_MS })),
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 500 }), (events) => {
        const arriving = events
          .map(({ isLost, delayMs }, index) => ({
            isLost,
            seq: index + 1,
            ms: index * 10,
            endMs: index * 10 + delayMs,
          }))
          .filter(({ isLost }) => !isLost)
          .sort((a, b) => a.endMs - b.endMs || a.seq - b.seq)
        const tracker = new GapTracker()
        const told = [...arriving.flatMap(({ seq, ms }) => feed(tracker, 0, [seq], ms)), ...tracker.flush()]
        const late = new Set(numbersOf(told.filter(({ cameLate }) => cameLate)))
        const lost = numbersOf(told.filter(({ cameLate }) => !cameLate))
        const numbers = [...arriving.map(({ seq }) => seq), ...lost.filter((seq) => !late.has(seq))]
        const highest = Math.max(0, ...arriving.map(({ seq }) => seq))
        assert.deepEqual(
          numbers.sort((a, b) => a - b),
          upTo(1, highest),
        )
        assert.ok([...late].every((seq) => lost.includes(seq)))
      }),
      seedOf(300),
    )
  })
})
