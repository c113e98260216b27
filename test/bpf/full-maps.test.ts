/** What is known of cgroups and processes is bounded: a full map is counted by its cause, and what was there stays. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { actBit } from '../../src/sensor/call-recipes.js'
import { CallFlag, encodeMapCgroup, encodeMapContainer, PATH_MAX_BYTES } from '../../src/sensor/generated/abi.js'
import { encodeU32, encodeU64 } from '../../src/sensor/sensor.js'
import { CallActs, whyNoRings } from '../support/call-acts.js'
import { AT_FDCWD, s } from '../support/call-stage.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { type CallFields, TestSensor } from '../support/sensor.js'
import { act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

/** No cgroup has an id this high, and no process a pid. */
const UNUSED_ID = 1n << 62n
const UNUSED_PID = 1 << 30
/** sizeof(struct ring_request) of bpf/lib/ring.bpf.h. */
const RING_REQUEST_BYTES = 152

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

  describe('of an io_uring', () => {
    const MKDIRAT = 37
    let acts: CallActs

    before(async () => {
      acts = await CallActs.compile(dir)
    })

    const ringTest = (title: string, body: () => Promise<void>) =>
      test(title, async (context) => {
        const whyNot = await whyNoRings(sensor, dir)
        return whyNot === '' ? body() : context.skip(whyNot)
      })

    /** Has a ring make a directory, which works; the one event of it. */
    async function makeDirectory(path: string): Promise<CallFields> {
      sensor.sensor.setActs({ wanted: actBit('mkdir') })
      const cgroup = sensor.makeContainer({ acts: actBit('mkdir') })
      const { events, results } = await acts.run(sensor, cgroup, ['ring', MKDIRAT, AT_FDCWD, s(path), 0o700])
      assert.deepEqual(results, [0n])
      assert.ok(existsSync(path))
      const [event] = events
      assert.ok(event !== undefined && events.length === 1, `${events.length} events`)
      return event
    }
    /** Addresses that no request of the kernel has. */
    const address = (index: number) => encodeU64(BigInt(index))

    ringTest('paths: the request is told with its result but no path, says so, and is counted', async () => {
      const key = (index: number) => Uint8Array.of(...address(index), ...address(0))
      assert.ok(fill('ring_paths', key, new Uint8Array(PATH_MAX_BYTES)) >= 8_000)
      const { flags, raw, path, result } = await makeDirectory(join(dir, 'unnamed'))
      assert.deepEqual([raw, path, result], ['', '', 0n])
      assert.equal(flags, CallFlag.IO_URING | CallFlag.HAS_RESULT | CallFlag.PATH_TRUNCATED)
      assertCounted('helper', 'call')
    })

    ringTest('requests: it is told at once, with its path but without a result', async () => {
      const { path: made, flags: usual } = await makeDirectory(join(dir, 'heard'))
      assert.deepEqual([made, usual & CallFlag.HAS_RESULT], [join(dir, 'heard'), CallFlag.HAS_RESULT])
      assert.ok(fill('ring_requests', address, new Uint8Array(RING_REQUEST_BYTES)) >= 4_000)
      const { flags, path } = await makeDirectory(join(dir, 'unheard'))
      assert.equal(path, join(dir, 'unheard'))
      assert.equal(flags, CallFlag.IO_URING | CallFlag.PATH_UNRESOLVED)
    })
  })
})
