/** programs/cgroup.bpf.c: which cgroups are watched, who joins them, and to which container a task belongs since. */
import assert from 'node:assert/strict'
import { rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import {
  CgroupState,
  decodeMapCgroup,
  Kind,
  MAP_CGROUP_BYTES,
  Phase,
  Rung,
  Want,
} from '../../src/sensor/generated/abi.js'
import { encodeU64 } from '../../src/sensor/sensor.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { type CgroupFields, type TestCgroup, TestSensor, unforeseen } from '../support/sensor.js'
import { Act, act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

/** header 17, four of its own, and the path. */
const CGROUP_FIELDS_COUNT = 23

describe('cgroups', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
    sensor = new TestSensor()
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  async function cgroupEvents(cgroup: TestCgroup, kind: number): Promise<CgroupFields[]> {
    return (await sensor.eventsOf(cgroup, 'cgroup')).filter((event) => event.kind === kind)
  }

  function entryOf(cgroup: TestCgroup) {
    const value = new Uint8Array(MAP_CGROUP_BYTES)
    return sensor.sensor.lookup('cgroups', encodeU64(cgroup.id), value) ? decodeMapCgroup(value) : undefined
  }

  const common = (cgroup: TestCgroup) => ({
    sizeBytes: 112 + cgroup.path.length,
    action: 0,
    programVersion: 0,
    cgroupId: cgroup.id,
    uid: 0,
    gid: 0,
    profile: 0,
    decided: 0n,
    violated: 0n,
    rung: Rung.TRACEPOINT,
    id: cgroup.id,
    parentId: cgroup.parentId,
    level: cgroup.level,
    pathBytes: cgroup.path.length,
    path: cgroup.path,
  })

  test('every field of a new cgroup, and it is pending until someone says what it is', async () => {
    const since = loadAddon().bootClockNs()
    const cgroup = sensor.makeCgroup()
    const [event] = await cgroupEvents(cgroup, Kind.CGROUP_MKDIR)
    assert.ok(event)
    assert.equal(Object.keys(event).length, CGROUP_FIELDS_COUNT)
    assert.deepEqual(event, {
      ...unforeseen(event, since),
      ...common(cgroup),
      kind: Kind.CGROUP_MKDIR,
      phase: Phase.RUN,
      pid: process.pid,
      tid: process.pid,
    })
    const entry = entryOf(cgroup)
    assert.equal(entry?.state, CgroupState.PENDING)
    assert.equal(entry?.want, Want.PROCESS | Want.CONNECT)
    assert.equal(entry?.rootId, cgroup.parentId) // its parent was made just before it, and is pending too
  })

  test('every field of a removed cgroup, and nothing of it stays', async () => {
    const cgroup = sensor.makeContainer()
    const since = loadAddon().bootClockNs()
    rmdirSync(cgroup.dir)
    const [event] = await cgroupEvents(cgroup, Kind.CGROUP_RMDIR)
    assert.ok(event)
    assert.deepEqual(event, {
      ...unforeseen(event, since),
      ...common(cgroup),
      kind: Kind.CGROUP_RMDIR,
      phase: Phase.RUN,
      pid: process.pid,
      tid: process.pid,
    })
    assert.equal(entryOf(cgroup), undefined)
    assert.equal(sensor.sensor.lookup('containers', encodeU64(cgroup.id), new Uint8Array(24)), false)
  })

  test('every field of a join: the task that joined, in phase setup', async () => {
    const cgroup = sensor.makeContainer()
    const since = loadAddon().bootClockNs()
    const result = await act(program, 'join', cgroup.dir)
    const [event, ...others] = await cgroupEvents(cgroup, Kind.CGROUP_JOIN)
    assert.ok(event)
    assert.deepEqual(others, [])
    assert.deepEqual(event, {
      ...unforeseen(event, since),
      ...common(cgroup),
      kind: Kind.CGROUP_JOIN,
      phase: Phase.SETUP,
      pid: result.pid,
      tid: result.pid,
    })
  })

  test('setup lasts until an exec outside the mount namespace in which the task joined', async () => {
    const cgroup = sensor.makeContainer()
    await act(program, 'join', cgroup.dir, 'exec', program, 'x', 'mntns', 'exec', program, 'y', 'exec', program, 'z')
    const phases = (await sensor.eventsOf(cgroup, 'exec')).map(({ phase, args }) => [args[0], phase])
    assert.deepEqual(phases, [
      ['x', Phase.SETUP],
      ['y', Phase.RUN],
      ['z', Phase.RUN],
    ])
  })

  test('setup lasts one exec at most in a container without a mount namespace of its own', async () => {
    const cgroup = sensor.makeContainer()
    await act(program, 'join', cgroup.dir, 'exec', program, 'x', 'exec', program, 'y')
    const phases = (await sensor.eventsOf(cgroup, 'exec')).map(({ phase }) => phase)
    assert.deepEqual(phases, [Phase.SETUP, Phase.RUN])
  })

  test('a cgroup below a container is part of it from its first moment', async () => {
    const cgroup = sensor.makeContainer({ profile: 77 })
    const nested = sensor.makeCgroup({ path: `${cgroup.path}/nested` })
    assert.deepEqual(entryOf(nested), { ...entryOf(cgroup), rootId: cgroup.id })
    assert.equal(entryOf(nested)?.state, CgroupState.CONTAINER)
    await act(program, 'join', nested.dir, 'mntns', 'exec', program, 'x')
    const event = await sensor.onlyEventOf(nested, 'exec')
    assert.deepEqual([event.profile, event.phase], [77, Phase.RUN])
  })

  test('a move within the container is no join, and the new cgroup becomes the home', async () => {
    const cgroup = sensor.makeContainer()
    const nested = sensor.makeCgroup({ path: `${cgroup.path}/inner` })
    await act(program, 'join', cgroup.dir, 'mntns', 'exec', program, 'x', 'join', nested.dir, 'exec', program, 'y')
    assert.deepEqual(await cgroupEvents(nested, Kind.CGROUP_JOIN), [])
    const event = await sensor.onlyEventOf(nested, 'exec')
    assert.deepEqual([event.args, event.phase], ['y\0', Phase.RUN])
  })

  for (const where of ['the host', 'another container'])
    test(`a process that moves itself to ${where} keeps its home: exec, connect, children and exit`, async () => {
      const cgroup = sensor.makeContainer()
      const outside = sensor.makeContainer()
      if (where === 'the host') sensor.sensor.removeCgroup(outside.id)
      const steps = ['mntns', 'exec', program, 'x', 'join', outside.dir, 'exec', program, 'y']
      const acts = ['connect', '127.0.0.1', '9', 'fork', '5', 'spawn', 'connect', '127.0.0.1', '10']
      const result = await act(program, 'join', cgroup.dir, ...steps, ...acts)
      const execs = (await sensor.eventsOf(cgroup, 'exec')).map(({ args }) => args[0])
      const connects = await sensor.eventsOf(cgroup, 'connect')
      const exits = await sensor.eventsOf(cgroup, 'exit')
      assert.deepEqual(execs, ['x', 'y'])
      assert.deepEqual(
        connects.map(({ port, pid }) => [port, pid === result.pid]),
        [
          [9, true],
          [10, false],
        ],
      )
      assert.deepEqual(exits.map(({ code }) => code).sort(), [0, 0, 5])
      const elsewhere = sensor.all.filter(({ name, event }) => event.cgroupId === outside.id && name !== 'cgroup')
      assert.deepEqual(elsewhere, [])
    })

  test('a process that ended leaves no home behind for the next owner of its pid', async () => {
    const cgroup = sensor.makeContainer()
    const outside = sensor.makeContainer()
    sensor.sensor.removeCgroup(outside.id)
    const running = new Act(program, ['join', cgroup.dir, 'join', outside.dir, 'fork', '0', 'pause'])
    await running.paused()
    const movedPids = () => {
      const keys = sensor.sensor.keys('moved')
      const view = new DataView(keys.buffer, keys.byteOffset, keys.byteLength)
      return Array.from({ length: keys.length / 4 }, (_, index) => view.getUint32(index * 4, true))
    }
    assert.ok(movedPids().includes(running.pid))
    const [fork] = await sensor.eventsOf(cgroup, 'fork')
    assert.ok(fork)
    assert.ok(!movedPids().includes(fork.childPid))
    running.resume()
    await running.ended()
    assert.ok(!movedPids().includes(running.pid))
  })

  test('a child made straight into a container belongs to it, in phase setup', async () => {
    const cgroup = sensor.makeContainer()
    const result = await act(program, 'clone-into', cgroup.dir, program, 'x', 'mntns', 'exec', program, 'y')
    const child = Number(/child (\d+)/.exec(result.stdout)?.[1])
    const execs = await sensor.eventsOf(cgroup, 'exec')
    assert.deepEqual(
      execs.map(({ args, pid, phase }) => [args[0], pid, phase]),
      [
        ['x', child, Phase.SETUP],
        ['y', child, Phase.RUN],
      ],
    )
    assert.equal((await sensor.onlyEventOf(cgroup, 'exit')).pid, child)
  })

  test('cgroups of other hierarchies are not announced', async () => {
    const cgroup = sensor.makeCgroup({ isMemory: true })
    assert.equal((await cgroupEvents(cgroup, Kind.CGROUP_MKDIR)).length, 1)
    const named = sensor.all.filter(
      ({ name, event }) => name === 'cgroup' && 'path' in event && event.path === cgroup.path,
    )
    assert.equal(named.length, 1, join('only in the hierarchy that identifies containers', cgroup.path))
  })
})
