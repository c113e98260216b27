/** The addon's Sensor when it goes away while it runs: collected, with its worker, with its process. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { cgroupId, cgroupMounts, makeCgroup, removeCgroup, testCgroupPath } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires, run, waitFor } from '../support/process.js'
import { Act, compileAct } from '../support/sensor-acts.js'
import { closedAfter, loadSensor, startSensor, watchForks } from '../support/sensor-native.js'

const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (cgroupMounts().kind === 'v1' && 'needs a unified cgroup hierarchy')

const CHILD = fileURLToPath(new URL('../support/sensor-child.js', import.meta.url))

describe('a running sensor that goes away', { skip }, () => {
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

  /** Forks without end in the watched cgroup, until told. */
  async function underLoad<T>(work: () => Promise<T>): Promise<T> {
    const flood = new Act(program, ['join', cgroupDir, 'forks', '1000000'])
    try {
      return await work()
    } finally {
      flood.kill()
      await flood.ended()
    }
  }

  const child = (mode: string) =>
    underLoad(() => run(process.execPath, ['--expose-gc', CHILD, mode, String(cgroupId(path))]))

  test('a sensor that nobody holds is collected while it runs, and no longer keeps the process', async () => {
    const { code, signal, stdout, stderr } = await child('gc')
    assert.deepEqual([code, signal, stderr], [0, undefined, ''])
    assert.match(stdout, /^ready\n/)
    assert.match(stdout, /collected\n/)
  })

  test('a process that exits with a running sensor ends cleanly', async () => {
    const { code, signal, stderr } = await child('exit')
    assert.deepEqual([code, signal, stderr], [0, undefined, ''])
  })

  test('a process that fails with a running sensor fails with its own error only', async () => {
    const { code, signal, stderr } = await child('throw')
    assert.deepEqual([code, signal], [1, undefined])
    assert.match(stderr, /ended on purpose, with a running sensor/)
  })

  for (const mode of ['stay', 'slow'])
    test(`a worker is terminated while its sensor runs (${mode}), again and again, beside a sensor that goes on`, async (context) => {
      let slabsCount = 0
      const { sensor } = closedAfter(
        context,
        startSensor(4, (slab) => {
          slabsCount += 1
          assert.equal(sensor.release(slab), true)
        }),
      )
      watchForks(sensor, cgroupId(path))
      await underLoad(async () => {
        for (let round = 0; round < 4; round++) {
          const worker = new Worker(CHILD, { workerData: [mode, String(cgroupId(path))] })
          const [word] = await once(worker, 'message')
          assert.equal(word, 'ready')
          const seen = slabsCount
          await waitFor('events beside the worker', () => slabsCount > seen + 2)
          assert.equal(await worker.terminate(), 1)
        }
        const seen = slabsCount
        await waitFor('events after the workers', () => slabsCount > seen + 2)
      })
    })

  test('closing within the callback, with slabs still to come, hands over no more', async (context) => {
    let callsCount = 0
    const { sensor } = closedAfter(
      context,
      startSensor(4, () => {
        callsCount += 1
        sensor.close()
      }),
    )
    watchForks(sensor, cgroupId(path))
    await underLoad(() => waitFor('the first slab', () => callsCount > 0))
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(callsCount, 1)
    assert.equal(sensor.stats().waitingBytes, 0)
  })

  test('opening, loading and closing many times leaves no descriptor and no thread behind', async () => {
    const countsNow = () => ['fd', 'task'].map((name) => readdirSync(`/proc/self/${name}`).length)
    loadSensor().close()
    const before = countsNow()
    for (let round = 0; round < 5; round++) {
      const { sensor } = startSensor(2, () => {})
      watchForks(sensor, cgroupId(path))
      sensor.close()
    }
    // The pipes of earlier acts may still be closing: they only make it fewer.
    await waitFor('no more than before', () => countsNow().every((count, index) => count <= (before[index] ?? 0)))
  })
})
