/** Hand-over of slabs: what nobody takes stays in the ring, in order, and nothing is lost before the ring is full. */
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { BatchWalker, type EventHandler } from '../../src/sensor/batch.js'
import type { EvHeader } from '../../src/sensor/generated/abi.js'
import { cgroupId, cgroupMounts, makeCgroup, removeCgroup, testCgroupPath } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires, waitFor } from '../support/process.js'
import { Act, act, compileAct } from '../support/sensor-acts.js'
import {
  closedAfter,
  dropsCount,
  nativeOptions,
  SLAB_BYTES,
  startSensor,
  watchForks,
} from '../support/sensor-native.js'

const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (cgroupMounts().kind === 'v1' && 'needs a unified cgroup hierarchy')

const RING_BYTES = 4 << 20
const FORKS_COUNT = 3000

/** Checks the numbers of each CPU: one after the other, none missing. */
class Numbers implements EventHandler {
  readonly #next = new Map<number, bigint>()
  readonly faults: string[] = []
  forksCount = 0
  exitsCount = 0

  sequence({ cpu, cpuSeq }: EvHeader): void {
    const expected = this.#next.get(cpu) ?? 1n
    if (cpuSeq !== expected) this.faults.push(`CPU ${cpu}: ${cpuSeq} after ${expected - 1n}`)
    this.#next.set(cpu, cpuSeq + 1n)
  }
  fork(): void {
    this.forksCount += 1
  }
  exit(): void {
    this.exitsCount += 1
  }
  exec(): void {}
  socket(): void {}
  packet(): void {}
  connect(): void {}
  syscall(): void {}
  call(): void {}
  oom(): void {}
  cgroup(): void {}
  undecodable(_event: unknown, reason: string): void {
    this.faults.push(reason)
  }
}

describe('slabs', { skip }, () => {
  let dir: string
  let program: string
  let path: string
  let cgroupDir: string

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
    path = testCgroupPath()
    cgroupDir = makeCgroup(path)
  })
  after(async () => {
    await removeCgroup(path)
    removeDir(dir)
  })

  /** A sensor whose slabs wait in `held` until the test takes them. */
  function begin(context: TestContext, slabsCount: number, batchDelayMs?: number) {
    const held: { slab: number; sizeBytes: number }[] = []
    const onSlab = (slab: number, sizeBytes: number) => held.push({ slab, sizeBytes })
    const running = closedAfter(context, startSensor(slabsCount, onSlab, nativeOptions(RING_BYTES), batchDelayMs))
    const numbers = new Numbers()
    const walker = new BatchWalker(running.pool)
    watchForks(running.sensor, cgroupId(path))
    const takeAll = () => {
      for (const { slab, sizeBytes } of held.splice(0)) {
        assert.ok(sizeBytes > 0 && sizeBytes <= SLAB_BYTES)
        walker.walkRing(slab * SLAB_BYTES, sizeBytes, numbers)
        assert.equal(running.sensor.release(slab), true)
      }
    }
    return { ...running, held, numbers, takeAll }
  }

  test('slabs that are never released keep the records in the ring; released later, all arrive in order', async (context) => {
    const { sensor, held, numbers, takeAll } = begin(context, 2)
    await act(program, 'join', cgroupDir, 'forks', FORKS_COUNT)
    await waitFor('both slabs', () => held.length === 2)
    sensor.nudge()
    await waitFor('the reader to wait', () => sensor.stats().waitsForSlabCount > 0)
    const stuck = sensor.stats()
    assert.equal(stuck.slabsCount, 2)
    assert.equal(sensor.release(2), false)
    assert.ok(stuck.waitingBytes > 2 * SLAB_BYTES, `${stuck.waitingBytes} bytes wait`)
    assert.equal(held.length, 2)
    await waitFor('all events', () => {
      takeAll()
      return numbers.exitsCount >= FORKS_COUNT + 1
    })
    await waitFor('an empty ring', () => sensor.stats().waitingBytes === 0)
    assert.deepEqual(numbers.faults, [])
    assert.deepEqual([numbers.forksCount, numbers.exitsCount], [FORKS_COUNT, FORKS_COUNT + 1])
    assert.equal(dropsCount(sensor), 0n)
    const { bytesCount } = sensor.stats()
    assert.ok(bytesCount > stuck.bytesCount)
  })

  test('an urgent event ends the wait for company', async (context) => {
    const { held, takeAll } = begin(context, 2, 10 * 60_000)
    for (let round = 0; round < 3; round++) {
      await act(program, 'join', cgroupDir) // who joins a container is urgent, its exit is not
      await waitFor('the join', () => held.length > 0)
      takeAll()
    }
  })

  test('a blocked event loop under load loses nothing and keeps the order', async (context) => {
    const { sensor, numbers, takeAll } = begin(context, 4)
    const floods = Array.from({ length: 2 }, () => new Act(program, ['join', cgroupDir, 'forks', String(FORKS_COUNT)]))
    context.after(() => {
      for (const flood of floods) flood.kill()
    })
    for (let round = 0; round < 2; round++) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500) // JavaScript does nothing; the reader goes on
      takeAll()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await waitFor('all events', () => {
      takeAll()
      return numbers.exitsCount >= 2 * (FORKS_COUNT + 1)
    })
    await Promise.all(floods.map((flood) => flood.ended()))
    assert.deepEqual(numbers.faults, [])
    assert.equal(numbers.forksCount, 2 * FORKS_COUNT)
    assert.equal(dropsCount(sensor), 0n)
  })

  test('few events arrive without anyone asking', async (context) => {
    const { numbers, takeAll } = begin(context, 2)
    for (let round = 1; round <= 20; round++) {
      await act(program, 'join', cgroupDir, 'forks', 1)
      await waitFor(`round ${round}`, () => {
        takeAll()
        return numbers.exitsCount === 2 * round
      })
    }
    assert.deepEqual(numbers.faults, [])
  })
})
