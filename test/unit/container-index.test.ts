import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CgroupEntries, type Entry, GONE_KEPT_MS, highOf, lowOf } from '../../src/container/cgroup-entries.js'
import { IdIndex } from '../../src/container/id-index.js'
import { IdentityCell, PENDING } from '../../src/container/identity.js'

test('the index answers as a Map does, whatever is set and deleted', () => {
  // Few distinct ids, spread over both halves, so that collisions, overwrites and deletions all happen.
  const id = fc.tuple(fc.integer({ min: 0, max: 600 }), fc.constantFrom(0, 1, 0xffff_ffff))
  const step = fc.tuple(fc.boolean(), id)
  fc.assert(
    fc.property(fc.array(step, { maxLength: 2000 }), (steps) => {
      const index = new IdIndex<number>()
      const model = new Map<string, number>()
      steps.forEach(([isSet, [low, high]], number) => {
        if (isSet) {
          index.set(low, high, number)
          model.set(`${low} ${high}`, number)
        } else assert.equal(index.delete(low, high), model.delete(`${low} ${high}`))
      })
      assert.equal(index.size, model.size)
      for (let low = 0; low <= 600; low += 1) {
        for (const high of [0, 1, 0xffff_ffff]) assert.equal(index.get(low, high), model.get(`${low} ${high}`))
      }
    }),
    { numRuns: 60 },
  )
})

function entry(id: bigint, path: string): Entry {
  const identity = new IdentityCell(PENDING, id, 1, path)
  return { id, parentId: 1n, level: 1, path, identity, pending: undefined, removedAtMs: 0 }
}

test('a removed cgroup is found until its time is over, and each such lookup is counted', () => {
  const entries = new CgroupEntries()
  const id = (7n << 32n) | 0xffff_fffen
  const one = entry(id, '/a')
  entries.add(one)
  entries.remove(one, 1000)
  assert.equal(entries.identityOf(lowOf(id), highOf(id)), one.identity)
  assert.equal(entries.lateLookupsCount, 1)
  assert.equal(entries.atPath('/a'), undefined)
  assert.equal(entries.sweep(1000 + GONE_KEPT_MS - 1), 1000 + GONE_KEPT_MS)
  assert.equal(entries.get(id), one)
  assert.equal(entries.sweep(1000 + GONE_KEPT_MS), undefined)
  assert.equal(entries.get(id), undefined)
  assert.equal(entries.evictedCount, 0)
})

test('removed cgroups are bounded: the oldest goes first, and it is counted', () => {
  const entries = new CgroupEntries(3)
  for (let id = 1n; id <= 5n; id += 1n) {
    const one = entry(id, `/${id}`)
    entries.add(one)
    entries.remove(one, Number(id))
  }
  assert.deepEqual(
    [1n, 2n, 3n, 4n, 5n].map((id) => entries.get(id) !== undefined),
    [false, false, true, true, true],
  )
  assert.equal(entries.evictedCount, 2)
})

test('a path that is used again does not lose its new cgroup when the old one is forgotten', () => {
  const entries = new CgroupEntries()
  const [old, young] = [entry(1n, '/a'), entry(2n, '/a')]
  entries.add(old)
  entries.remove(old, 1)
  entries.add(young)
  entries.sweep(1 + GONE_KEPT_MS)
  assert.equal(entries.atPath('/a'), young)
  assert.equal(entries.get(1n), undefined)
})

test('the cgroups around and below a path', () => {
  const entries = new CgroupEntries()
  const [root, a, ab, abc, aa] = ['/', '/a', '/a/b', '/a/b/c', '/aa'].map((path, index) =>
    entry(BigInt(index + 1), path),
  )
  for (const one of [root, a, ab, abc, aa]) if (one !== undefined) entries.add(one)
  assert.ok(a !== undefined && root !== undefined)
  assert.deepEqual(entries.below(a), [ab, abc])
  assert.equal(entries.below(root).length, 4)
  assert.equal(entries.around('/a/b/x/y'), ab)
  assert.equal(entries.around('/x'), root)
})
