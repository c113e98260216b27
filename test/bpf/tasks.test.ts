/** programs/memory.bpf.c on_task: the processes that are there before the probes, and that they are watched from then on. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Phase } from '../../src/sensor/generated/abi.js'
import { cgroupId, cgroupMounts, removeCgroup, testCgroupPath } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { capabilitiesOf, loginuidOf } from '../support/process-facts.js'
import { type TestCgroup, TestSensor } from '../support/sensor.js'
import { Act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

describe('existing processes', { skip }, () => {
  let dir: string
  let program: string
  let cgroup: TestCgroup
  let running: Act
  let sensor: TestSensor

  before(async () => {
    dir = realpathSync(makeTempDir())
    program = await compileAct(dir)
    const path = testCgroupPath()
    const cgroupDir = join(cgroupMounts().identity, path)
    mkdirSync(cgroupDir, { recursive: true })
    cgroup = { path, dir: cgroupDir, id: cgroupId(path), level: 2, parentId: 0n }
    running = new Act(program, ['join', cgroupDir, 'pause', 'fork', '4', 'exec', program, 'later'])
    await running.paused()
    sensor = new TestSensor()
    sensor.watch(cgroup)
  })
  after(async () => {
    running.kill()
    await running.ended()
    await sensor.close()
    await removeCgroup(cgroup.path)
    removeDir(dir)
  })

  test('every field of a process is what /proc says', () => {
    const tasks = sensor.sensor.readTasks()
    const task = tasks.find(({ pid }) => pid === running.pid)
    assert.ok(task)
    const stat = readFileSync(`/proc/${running.pid}/stat`, 'latin1').split(' ')
    assert.equal(task.startNs / 10_000_000n, BigInt(stat[21] ?? 0))
    const self = tasks.find(({ pid }) => pid === process.pid)
    assert.ok(self)
    assert.deepEqual(task, {
      pid: running.pid,
      startNs: task.startNs,
      parentPid: process.pid,
      parentStartNs: self.startNs,
      cgroupId: cgroup.id,
      uid: 0,
      gid: 0,
      exe: program,
      comm: 'act',
      inode: statSync(program, { bigint: true }).ino,
      flags: 0,
      ...capabilitiesOf(running.pid),
      loginuid: loginuidOf(running.pid),
      tty: Number(stat[6]),
      vpid: running.pid,
      vpgid: Number(stat[4]),
      sid: Number(stat[5]),
    })
    assert.equal(self.exe, readlinkSync('/proc/self/exe'))
    const kernelThread = tasks.find(({ comm }) => comm === 'kthreadd')
    if (kernelThread !== undefined) assert.deepEqual([kernelThread.exe, kernelThread.parentPid], ['', 0])
    assert.equal(new Set(tasks.map(({ pid }) => pid)).size, tasks.length)
  })

  test('from then on its acts are seen, as of a process past setup', async () => {
    running.resume()
    await running.ended()
    const fork = await sensor.onlyEventOf(cgroup, 'fork')
    const exec = await sensor.onlyEventOf(cgroup, 'exec')
    assert.deepEqual([fork.pid, exec.pid, exec.phase], [running.pid, running.pid, Phase.RUN])
    assert.deepEqual((await sensor.eventsOf(cgroup, 'exit')).map(({ code }) => code).sort(), [0, 4])
  })

  test('a reading never replaces newer state: a process in setup stays there', async () => {
    const fresh = sensor.makeContainer()
    const joining = new Act(program, ['join', fresh.dir, 'pause', 'exec', program, 'x'])
    await joining.paused()
    assert.equal(sensor.sensor.readTasks().find(({ pid }) => pid === joining.pid)?.cgroupId, fresh.id)
    joining.resume()
    await joining.ended()
    assert.equal((await sensor.onlyEventOf(fresh, 'exec')).phase, Phase.SETUP)
  })
})

describe('processes that left their container before the probes were there', { skip }, () => {
  let dir: string
  let program: string
  const cgroups: TestCgroup[] = []

  before(async () => {
    dir = realpathSync(makeTempDir())
    program = await compileAct(dir)
  })
  after(async () => {
    for (const { path } of cgroups) await removeCgroup(path)
    removeDir(dir)
  })

  /** Without a sensor that sees it made. */
  function cgroupBefore(): TestCgroup {
    const path = testCgroupPath()
    const made = join(cgroupMounts().identity, path)
    mkdirSync(made, { recursive: true })
    const cgroup = { path, dir: made, id: cgroupId(path), level: 2, parentId: 0n }
    cgroups.push(cgroup)
    return cgroup
  }

  test('belong to the container of their ancestor: exec, connect and children', async () => {
    const [container, elsewhere] = [cgroupBefore(), cgroupBefore()]
    const steps = ['exec', program, 'left', 'connect', '127.0.0.1', '9', 'fork', '6']
    const leaving = new Act(program, [
      'join',
      container.dir,
      'spawn',
      'join',
      elsewhere.dir,
      'spawn',
      'pause',
      ...steps,
    ])
    const stranger = new Act(program, ['join', elsewhere.dir, 'pause', 'exec', program, 'stranger'])
    await leaving.paused()
    await stranger.paused()
    const sensor = new TestSensor()
    try {
      sensor.watch(container)
      const tasks = sensor.sensor.readTasks()
      assert.equal(tasks.find(({ pid }) => pid === stranger.pid)?.cgroupId, elsewhere.id)
      for (const running of [leaving, stranger]) running.resume()
      for (const running of [leaving, stranger]) await running.ended()
      const execs = await sensor.eventsOf(container, 'exec')
      assert.deepEqual(
        execs.map(({ args, phase }) => [args.split('\0')[0], phase]),
        [['left', Phase.RUN]],
      )
      assert.equal(tasks.find(({ pid }) => pid === execs[0]?.pid)?.cgroupId, container.id)
      assert.deepEqual(
        (await sensor.eventsOf(container, 'connect')).map(({ port, pid }) => [port, pid]),
        [[9, execs[0]?.pid]],
      )
      assert.deepEqual((await sensor.eventsOf(container, 'exit')).map(({ code }) => code).sort(), [0, 0, 0, 6])
      assert.deepEqual(
        sensor.all.filter(({ event }) => event.cgroupId === elsewhere.id),
        [],
      )
    } finally {
      await sensor.close()
    }
  })
})
