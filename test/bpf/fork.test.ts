/** programs/process.bpf.c on_fork: a child is announced by its parent; threads are not; home and phase are inherited. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import { Kind, Phase, Rung } from '../../src/sensor/generated/abi.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { TestSensor, unforeseen } from '../support/sensor.js'
import { act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

/** header 17 and three of its own. */
const FORK_FIELDS_COUNT = 22

describe('fork', { skip }, () => {
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

  test('every field says who made whom', async () => {
    const cgroup = sensor.makeContainer()
    const since = loadAddon().bootClockNs()
    const parent = await act(program, 'join', cgroup.dir, 'mntns', 'exec', program, 'x', 'fork', 7)
    const event = await sensor.onlyEventOf(cgroup, 'fork')
    const exits = await sensor.eventsOf(cgroup, 'exit')
    const child = exits.find(({ code }) => code === 7)
    assert.ok(child)
    assert.equal(Object.keys(event).length, FORK_FIELDS_COUNT)
    assert.deepEqual(event, {
      ...unforeseen(event, since),
      sizeBytes: 112,
      kind: Kind.FORK,
      phase: Phase.RUN,
      action: 0,
      programVersion: 0,
      cgroupId: cgroup.id,
      pid: parent.pid,
      tid: parent.pid,
      uid: 0,
      gid: 0,
      profile: 0,
      decided: 0n,
      violated: 0n,
      rung: Rung.TRACEPOINT,
      childPid: child.pid,
      childVpid: child.pid,
      childStartNs: child.startNs,
      capGained: 0n,
    })
    const own = exits.find(({ pid }) => pid === parent.pid)
    assert.equal(event.startNs, own?.startNs)
  })

  test('threads are no processes', async () => {
    const cgroup = sensor.makeContainer()
    await act(program, 'join', cgroup.dir, 'threads', 4, 0)
    assert.deepEqual(await sensor.eventsOf(cgroup, 'fork'), [])
  })

  test('a child of a process in phase setup is in setup too', async () => {
    const cgroup = sensor.makeContainer()
    await act(program, 'join', cgroup.dir, 'fork', 0)
    const event = await sensor.onlyEventOf(cgroup, 'fork')
    assert.equal(event.phase, Phase.SETUP)
    const phases = (await sensor.eventsOf(cgroup, 'exit')).map(({ phase }) => phase)
    assert.deepEqual(phases, [Phase.SETUP, Phase.SETUP])
  })

  test('each of many forks is there once, with children of their own', async () => {
    const cgroup = sensor.makeContainer()
    await act(program, 'join', cgroup.dir, 'forks', 200)
    const forks = await sensor.eventsOf(cgroup, 'fork')
    const exits = await sensor.eventsOf(cgroup, 'exit')
    assert.equal(forks.length, 200)
    assert.equal(new Set(forks.map(({ childPid, childStartNs }) => `${childPid} ${childStartNs}`)).size, 200)
    assert.equal(exits.length, 201)
  })
})
