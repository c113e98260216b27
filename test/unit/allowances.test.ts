/** src/respond/allowances.ts: what the kernel may still do of its own, while events of what it did wait. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Allowances } from '../../src/respond/allowances.js'
import { CircuitBreaker } from '../../src/respond/breaker.js'

const LIMIT = 3
const WINDOW_MS = 60_000

/** A kernel that acts for the policy `p`, of whose events some wait. */
function makeKernel() {
  let nowMs = 0
  let [produced, handled, taken] = [0, 0, 0]
  const limits: number[] = []
  let nudges = 0
  const sensor = {
    lookup(map: string, [slot]: Uint8Array, value: Uint8Array) {
      assert.equal(map, 'acts_taken')
      new DataView(value.buffer).setBigUint64(0, slot === 0 ? BigInt(taken) : 0n, true)
      return true
    },
    update(map: string, [slot]: Uint8Array, value: Uint8Array) {
      assert.equal(map, 'budgets')
      limits[slot ?? -1] = Number(new DataView(value.buffer).getBigInt64(0, true))
    },
    get position() {
      return produced
    },
    get isEmpty() {
      return produced === handled
    },
    get hasWaiting() {
      return produced > handled
    },
    isHandled: (position: number) => handled >= position,
    nudge: () => void nudges++,
  }
  const breaker = new CircuitBreaker({ limitCount: LIMIT, windowMs: WINDOW_MS, nowMs: () => nowMs }, () => {})
  const allowances = new Allowances(sensor, breaker, 2)
  allowances.slotOf('p')
  allowances.refill()
  return {
    allowances,
    breaker,
    limitOf: (slot: number) => limits[slot],
    left: () => (limits[0] ?? 0) - taken,
    act: () => {
      assert.ok(taken < (limits[0] ?? 0), 'the kernel would not')
      taken++
      produced++
    },
    /** What is told of the next acts reaches user space, in one batch. */
    handle: (...containers: string[]) => {
      for (const container of containers) {
        breaker.note('p', container)
        allowances.refill()
      }
      handled += containers.length
      allowances.onBatchDone()
    },
    pass: (ms: number) => {
      nowMs += ms
    },
    nudges: () => nudges,
  }
}

test('an act whose event still waits is not given back', () => {
  const kernel = makeKernel()
  assert.equal(kernel.left(), LIMIT)
  kernel.act()
  assert.equal(kernel.left(), LIMIT - 1)
  kernel.allowances.refill()
  assert.equal(kernel.left(), LIMIT - 1)
  assert.equal(kernel.nudges(), 1, 'what waits is asked for')
  kernel.allowances.refill()
  assert.equal(kernel.nudges(), 1)
  kernel.act()
  kernel.act()
  assert.equal(kernel.left(), 0)
})

test('acts are counted once when their events are handled, and given back when their window is over', () => {
  const kernel = makeKernel()
  kernel.act()
  kernel.handle('a')
  assert.equal(kernel.left(), LIMIT - 1)
  kernel.act()
  kernel.act()
  kernel.handle('b')
  kernel.handle('c')
  assert.equal(kernel.left(), 0)
  kernel.pass(WINDOW_MS + 1)
  kernel.allowances.refill()
  assert.equal(kernel.left(), LIMIT)
  kernel.act()
  assert.equal(kernel.left(), LIMIT - 1)
})

test('acts of user space count, and those of the kernel between two batches too', () => {
  const kernel = makeKernel()
  kernel.act()
  kernel.breaker.admit('p', 'user')
  kernel.allowances.refill()
  assert.equal(kernel.left(), LIMIT - 2)
  kernel.handle('a')
  assert.equal(kernel.left(), LIMIT - 2)
})

test('a policy that has tripped gets nothing, and everything when it is armed again', () => {
  const kernel = makeKernel()
  kernel.act()
  kernel.breaker.trip('p')
  kernel.allowances.refill()
  assert.ok(kernel.left() <= 0)
  kernel.handle('a')
  assert.ok(kernel.left() <= 0)
  kernel.breaker.rearm()
  kernel.allowances.refill()
  assert.equal(kernel.left(), LIMIT)
})

test('what was taken after a reading, and told in the same batch, counts once when the batch is done', () => {
  const kernel = makeKernel()
  kernel.act()
  kernel.allowances.refill() // reads one act, and waits for its event
  kernel.act()
  kernel.handle('a', 'b')
  assert.equal(kernel.left(), LIMIT - 2)
})

test('policies beyond the slots share the last one, and what is left of it is what the strictest has', () => {
  const { allowances, breaker, limitOf } = makeKernel()
  assert.deepEqual(
    ['p', 'q', 'r', 'q'].map((policy) => allowances.slotOf(policy)),
    [0, 1, 1, 1],
  )
  for (const policy of ['q', 'r', 's']) allowances.slotOf(policy)
  breaker.trip('r')
  allowances.refill()
  assert.deepEqual([limitOf(0), limitOf(1)], [LIMIT, 0])
})
