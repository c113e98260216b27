/** src/container/pending-cgroups.ts: asked about again after growing pauses, given up in time, and no timer while none waits. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import type { Entry } from '../../src/container/cgroup-entries.js'
import { IdentityCell, PENDING } from '../../src/container/identity.js'
import { PendingCgroups } from '../../src/container/pending-cgroups.js'

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }))
afterEach(() => mock.timers.reset())

function entryAt(path: string): Entry {
  const level = path.split('/').length
  const id = BigInt(level)
  const identity = new IdentityCell(PENDING, id, level, path)
  return { id, parentId: id - 1n, level, path, identity, pending: undefined, removedAtMs: 0 }
}

/** With a log of when each was asked about; nobody decides anything but what is in `decided`. */
function begin() {
  const asked: string[] = []
  const gaveUp: string[] = []
  const decided = new Set<Entry>()
  const pending = new PendingCgroups(Date.now, () => {
    pending.retry(
      (entry) => {
        asked.push(`${entry.path} ${Date.now()}`)
        if (decided.has(entry)) pending.delete(entry)
        return decided.has(entry)
      },
      (entry) => {
        gaveUp.push(entry.path)
        pending.delete(entry)
      },
    )
    pending.schedule()
  })
  return { pending, asked, gaveUp, decided }
}

test('pauses grow until the time is over; then it is given up, and no timer runs', () => {
  const { pending, asked, gaveUp } = begin()
  pending.schedule()
  mock.timers.tick(60_000)
  assert.equal(asked.length, 0)
  const start = Date.now()
  pending.add(entryAt('/a'))
  pending.schedule()
  for (let ms = 0; ms < 60_000; ms++) mock.timers.tick(1)
  assert.deepEqual(
    asked.map((text) => Number(text.split(' ')[1]) - start),
    [20, 60, 140, 300, 620, 1260, 2000],
  )
  assert.deepEqual(gaveUp, ['/a'])
})

test('what is decided is asked about no more, and what lies above comes first', () => {
  const { pending, asked, gaveUp, decided } = begin()
  const [above, below] = [entryAt('/a'), entryAt('/a/b')]
  pending.add(below)
  pending.add(above)
  pending.schedule()
  decided.add(above)
  decided.add(below)
  for (let ms = 0; ms < 5_000; ms++) mock.timers.tick(1)
  assert.deepEqual(
    asked.map((text) => text.split(' ')[0]),
    ['/a', '/a/b'],
  )
  assert.deepEqual(gaveUp, [])
  assert.deepEqual(pending.all(), [])
})

test('after the stop nobody is asked', () => {
  const { pending, asked } = begin()
  pending.add(entryAt('/a'))
  pending.schedule()
  pending.stop()
  mock.timers.tick(60_000)
  assert.deepEqual(asked, [])
})
