/** What is known of cgroups and processes is bounded: a full map is counted by its cause, and what was there stays. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { actBit } from '../../src/sensor/call-recipes.js'
import {
  ABIS,
  CallFlag,
  Drop,
  encodeMapCgroup,
  encodeMapContainer,
  Kind,
  PATH_MAX_BYTES,
  SYSCALLS_MAX,
  Want,
} from '../../src/sensor/generated/abi.js'
import { encodeU32, encodeU64 } from '../../src/sensor/sensor.js'
import { CallActs, whyNoRings } from '../support/call-acts.js'
import { AT_FDCWD, s } from '../support/call-stage.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { type CallFields, type TestCgroup, TestSensor } from '../support/sensor.js'
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
  /** The only loss of this cgroup. */
  function assertOwned(cgroup: Pick<TestCgroup, 'id'>, cause: number, kind: number, profile = 0): void {
    assert.deepEqual(sensor.lossesOf(cgroup), [{ profile, cause, kind, count: 1 }])
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
    const cgroup = sensor.makeCgroup()
    assertCounted('cgroups_full', 'cgroup_mkdir')
    assertOwned(cgroup, Drop.CGROUPS_FULL, Kind.CGROUP_MKDIR)
  })

  test('cgroups: one that a container makes is counted as that container’s', () => {
    const PROFILE = 7
    const parent = sensor.makeContainer({ profile: PROFILE })
    fill('cgroups', (index) => encodeU64(UNUSED_ID + BigInt(index)), cgroupValue)
    const child = sensor.makeCgroup({ path: `${parent.path}/child` })
    assertOwned(child, Drop.CGROUPS_FULL, Kind.CGROUP_MKDIR, PROFILE)
  })

  test('containers: a new cgroup is watched all the same, and counted', async () => {
    assert.ok(fill('containers', (index) => encodeU64(UNUSED_ID + BigInt(index)), container) > 4_000)
    const cgroup = sensor.makeCgroup()
    assertCounted('containers_full', 'cgroup_mkdir')
    assertOwned({ id: cgroup.parentId }, Drop.CONTAINERS_FULL, Kind.CGROUP_MKDIR) // its own entry is the parent's
    await act(program, 'join', cgroup.dir, 'mntns', 'exec', program, 'x')
    assert.equal((await sensor.onlyEventOf(cgroup, 'exec')).cgroupId, cgroup.id)
  })

  test('moved: a process that leaves its container keeps its home, but its connects are not told; it is counted', async () => {
    const PROFILE = 7
    const cgroup = sensor.makeContainer({ profile: PROFILE })
    const outside = sensor.makeContainer()
    sensor.sensor.removeCgroup(outside.id)
    assert.ok(fill('moved', (index) => encodeU32(UNUSED_PID + index), encodeU64(1n)) > 4_000)
    await act(program, 'join', cgroup.dir, 'join', outside.dir, 'exec', program, 'x', 'connect', '127.0.0.1', '9')
    assertCounted('moved_full', 'cgroup_join')
    assertOwned(cgroup, Drop.MOVED_FULL, Kind.CGROUP_JOIN, PROFILE)
    assert.equal((await sensor.onlyEventOf(cgroup, 'exec')).args.split('\0')[0], 'x')
    assert.deepEqual(await sensor.eventsOf(cgroup, 'connect'), [])
  })

  test('syscalls: a container whose calls find no room is not told of them, and counted', async () => {
    const PROFILE = 7
    sensor.sensor.prepareHooks(new Set(['on_sys_enter'])).commit()
    const cgroup = sensor.makeContainer({ want: Want.PROCESS | Want.SYSCALL_FIRST, profile: PROFILE })
    const noCalls = new Uint8Array((ABIS * SYSCALLS_MAX) / 8)
    assert.ok(fill('syscalls_seen', (index) => encodeU64(UNUSED_ID + BigInt(index)), noCalls) > 1_000)
    await act(program, 'join', cgroup.dir, 'mntns', 'exec', program, 'x')
    assertCounted('syscalls_full', 'syscall')
    assert.deepEqual(await sensor.eventsOf(cgroup, 'syscall'), [])
    const [loss, ...others] = sensor.lossesOf(cgroup)
    assert.ok(loss !== undefined && loss.count > 0 && others.length === 0)
    assert.deepEqual([loss.cause, loss.kind, loss.profile], [Drop.SYSCALLS_FULL, Kind.SYSCALL, PROFILE])
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

    function makeMaker(): TestCgroup {
      sensor.sensor.setActs({ wanted: actBit('mkdir') })
      return sensor.makeContainer({ acts: actBit('mkdir') })
    }
    /** Has a ring make a directory, which works; the one event of it. */
    async function makeDirectory(path: string, cgroup = makeMaker()): Promise<CallFields> {
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
      const cgroup = makeMaker()
      const { flags, raw, path, result } = await makeDirectory(join(dir, 'unnamed'), cgroup)
      assert.deepEqual([raw, path, result], ['', '', 0n])
      assert.equal(flags, CallFlag.IO_URING | CallFlag.HAS_RESULT | CallFlag.PATH_TRUNCATED)
      assertCounted('helper', 'call')
      const loss = { profile: 0, kind: Kind.CALL, count: 1 }
      assert.deepEqual(sensor.lossesOf(cgroup), [
        { ...loss, cause: Drop.HELPER },
        { ...loss, cause: Drop.TRUNCATED },
      ])
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
