/** What is known of cgroups and processes is bounded: a full map is counted by its cause, and what was there stays. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { encodeMapCgroup, encodeMapContainer } from '../../src/sensor/generated/abi.js'
import { encodeU32, encodeU64 } from '../../src/sensor/sensor.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { TestSensor } from '../support/sensor.js'
import { act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

/** No cgroup has an id this high, and no process a pid. */
const UNUSED_ID = 1n << 62n
const UNUSED_PID = 1 << 30

describe('full maps', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
  })
  beforeEach(() => {
    sensor = new TestSensor()
  })
  afterEach(() => sensor.close())
  after(() => removeDir(dir))

  /** Until the map takes no more; returns how many it took. */
  function fill(map: string, keyOf: (index: number) => Uint8Array, value: Uint8Array): number {
    for (let index = 0; ; index++)
      try {
        sensor.sensor.update(map, keyOf(index), value)
      } catch (error) {
        assert.match(String(error), /Argument list too long/)
        return index
      }
  }
  /** Other people of the machine make cgroups too: at least these. */
  function assertCounted(cause: string, kind: string): void {
    sensor.sensor.publishCounters()
    assert.ok(sensor.counters.get('sensor_kernel_drops_total', { cause, kind }) >= 1, `${cause} of ${kind}`)
  }
  const cgroupValue = encodeMapCgroup({
    rootId: UNUSED_ID,
    profile: [0, 0],
    rootLevel: 1,
    state: 0,
    want: 0,
    acts: 0n,
    actsAggregated: 0n,
  })
  const container = encodeMapContainer({ acted: 0n, rootDentry: 0n, mntNs: 0, profile: 0 })

  test('cgroups: a new one stays unwatched, and is counted', () => {
    assert.ok(fill('cgroups', (index) => encodeU64(UNUSED_ID + BigInt(index)), cgroupValue) > 60_000)
    sensor.makeCgroup()
    assertCounted('cgroups_full', 'cgroup_mkdir')
  })

  test('containers: a new cgroup is watched all the same, and counted', async () => {
    assert.ok(fill('containers', (index) => encodeU64(UNUSED_ID + BigInt(index)), container) > 4_000)
    const cgroup = sensor.makeCgroup()
    assertCounted('containers_full', 'cgroup_mkdir')
    await act(program, 'join', cgroup.dir, 'mntns', 'exec', program, 'x')
    assert.equal((await sensor.onlyEventOf(cgroup, 'exec')).cgroupId, cgroup.id)
  })

  test('moved: a process that leaves its container keeps its home, but its connects are not told; it is counted', async () => {
    const cgroup = sensor.makeContainer()
    const outside = sensor.makeContainer()
    sensor.sensor.removeCgroup(outside.id)
    assert.ok(fill('moved', (index) => encodeU32(UNUSED_PID + index), encodeU64(1n)) > 4_000)
    await act(program, 'join', cgroup.dir, 'join', outside.dir, 'exec', program, 'x', 'connect', '127.0.0.1', '9')
    assertCounted('moved_full', 'cgroup_join')
    assert.equal((await sensor.onlyEventOf(cgroup, 'exec')).args.split('\0')[0], 'x')
    assert.deepEqual(await sensor.eventsOf(cgroup, 'connect'), [])
  })
})
