/** programs/process.bpf.c on_exit: one event a process, when its last thread is gone, with how it ended. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import { ExitFlag, Kind, Phase, Rung } from '../../src/sensor/generated/abi.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { TestSensor, unforeseen } from '../support/sensor.js'
import { Act, act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

/** header 17 and three of its own. */
const EXIT_FIELDS_COUNT = 21
const SIGSEGV = 11
const SIGTERM = 15
const SIGKILL = 9

describe('exit', { skip }, () => {
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

  async function exitOf(...steps: (string | number)[]) {
    const cgroup = sensor.makeContainer()
    const result = await act(program, 'join', cgroup.dir, 'mntns', 'cd', dir, 'exec', program, 'x', ...steps)
    return { event: await sensor.onlyEventOf(cgroup, 'exit'), result, cgroup }
  }

  test('every field of an orderly end', async () => {
    const since = loadAddon().bootClockNs()
    const { event, result, cgroup } = await exitOf('exit', 42)
    assert.equal(result.code, 42)
    assert.equal(Object.keys(event).length, EXIT_FIELDS_COUNT)
    assert.deepEqual(event, {
      ...unforeseen(event, since),
      sizeBytes: 104,
      kind: Kind.EXIT,
      phase: Phase.RUN,
      action: 0,
      programVersion: 0,
      cgroupId: cgroup.id,
      pid: result.pid,
      tid: result.pid,
      uid: 0,
      gid: 0,
      profile: 0,
      decided: 0n,
      violated: 0n,
      rung: Rung.TRACEPOINT,
      code: 42,
      signal: 0,
      flags: 0,
    })
  })

  test('a signal of its own or of another is told, without a code', async () => {
    for (const signal of [SIGTERM, SIGKILL]) {
      const { event } = await exitOf('die', signal)
      assert.deepEqual([event.code, event.signal, event.flags], [0, signal, 0])
    }
    const cgroup = sensor.makeContainer()
    const running = new Act(program, ['join', cgroup.dir, 'pause'])
    await running.paused()
    running.kill()
    await running.ended()
    const event = await sensor.onlyEventOf(cgroup, 'exit')
    assert.deepEqual([event.code, event.signal], [0, SIGKILL])
  })

  test('the core flag is set when a core was dumped', async () => {
    const { event } = await exitOf('core', 'die', SIGSEGV)
    assert.deepEqual([event.code, event.signal, event.flags], [0, SIGSEGV, ExitFlag.CORE])
  })

  test('when the leader ends first, the process ends with its last thread, and the code is what its parent gets', async () => {
    const { event, result } = await exitOf('last-thread', 3, 9)
    assert.ok(result.code === 3 || result.code === 9) // the leader's code before Linux 5.18, the last thread's since
    assert.deepEqual([event.code, event.signal, event.pid], [result.code, 0, result.pid])
    assert.notEqual(event.tid, event.pid)
  })

  test('a process of many threads that end at once ends once', async () => {
    const cgroup = sensor.makeContainer()
    const processesCount = 150
    const steps = ['repeat', processesCount, 'spawn', 'threads', 12, 5]
    const result = await act(program, 'join', cgroup.dir, ...steps)
    assert.equal(result.stdout.match(/child exit 5\n/g)?.length, processesCount)
    const exits = await sensor.eventsOf(cgroup, 'exit')
    const pids = exits.map(({ pid, startNs }) => `${pid} ${startNs}`)
    assert.equal(exits.length - new Set(pids).size, 0, 'processes that ended more than once')
    assert.equal(exits.length, processesCount + 1)
    assert.deepEqual([...new Set(exits.map(({ code }) => code))].sort(), [0, 5])
  })
})
