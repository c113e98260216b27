/** programs/call.bpf.c, unix_connect: whom a process reaches through a unix socket, by name, process and cgroup. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import { actBit } from '../../src/sensor/call-recipes.js'
import { Act, CallFlag, EvCall, FdKind } from '../../src/sensor/generated/abi.js'
import { CallActs, sys } from '../support/call-acts.js'
import { moveToCgroup } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { type TestCgroup, TestSensor, unforeseen } from '../support/sensor.js'

const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (process.arch !== 'x64' && 'needs an x86-64 machine: the numbers are its own')

const [AF_UNIX, AF_INET, SOCK_STREAM, SOCK_DGRAM] = [1, 2, 1, 2]
const NONE_16 = '\0'.repeat(16)
/** Listens on the address in its argument once it is told to. */
const LISTENER = `
process.stdin.once('data', () => require('net').createServer().listen(process.argv[1], () => console.log('ready')))
`
/** struct sockaddr_un in use: the family and the name with its NUL. */
const lengthOf = (path: string) => 2 + path.length + 1

/** ns since boot when a process started, as /proc says it: in 1/100 s. */
const startTicks = (pid: number) =>
  BigInt(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19] ?? '')

describe('connects of unix sockets', { skip }, () => {
  let dir: string
  let acts: CallActs
  let sensor: TestSensor
  let server: TestCgroup
  let listener: ChildProcess
  const acting = { acts: actBit('unix_connect') }

  before(async () => {
    dir = makeTempDir()
    acts = await CallActs.compile(dir)
    sensor = new TestSensor()
    sensor.sensor.setActs({ wanted: acting.acts })
    server = sensor.makeContainer()
    listener = await listen(join(dir, 'socket'), server)
  })
  after(async () => {
    listener.kill('SIGKILL')
    await sensor.close()
    removeDir(dir)
  })

  async function listen(address: string, cgroup: TestCgroup): Promise<ChildProcess> {
    const child = spawn(process.execPath, ['-e', LISTENER, address], { stdio: ['pipe', 'pipe', 'inherit'] })
    moveToCgroup(cgroup.path, child.pid ?? 0)
    child.stdin.write('go\n')
    await once(child.stdout, 'data')
    return child
  }

  test('every field of unix_connect: the name, the process that listens and its cgroup', async () => {
    const path = join(dir, 'socket')
    const cgroup = sensor.makeContainer(acting)
    const since = loadAddon().bootClockNs()
    const { events, pid, results } = await acts.run(sensor, cgroup, [
      ...sys('socket', AF_UNIX, SOCK_STREAM, 0),
      ...sys('connect', '$0', `un:${path}`, lengthOf(path)),
    ])
    assert.equal(results[1], 0n)
    const [event, ...others] = events
    assert.ok(event)
    assert.equal(others.length, 0)
    const { inode, dev, mode, args, targetStartNs } = event
    assert.equal(targetStartNs / 10_000_000n, startTicks(listener.pid ?? 0))
    assert.equal(mode & 0o170000, 0o140000)
    assert.deepEqual(event, {
      ...{
        ...unforeseen(event, since),
        sizeBytes: EvCall.SIZE_BYTES + path.length,
        kind: 12,
        phase: 0,
        action: 0,
        rung: 0,
      },
      ...{
        programVersion: 0,
        cgroupId: cgroup.id,
        pid,
        tid: pid,
        uid: 0,
        gid: 0,
        profile: 0,
        decided: 0n,
        violated: 0n,
      },
      ...{ result: 0n, capGained: 0n, args, facts: [0n, 0n, 0n, 0n], inode, dev, mode, targetStartNs },
      ...{ targetPid: listener.pid, targetCgroupId: server.id, nr: 42, abi: 0, act: Act.UNIX_CONNECT },
      ...{ flags: CallFlag.HAS_RESULT, fd: 3, fdKind: FdKind.SOCKET, access: 0, family: AF_UNIX, proto: 0 },
      ...{ socketType: SOCK_STREAM, localPort: 0, remotePort: 0, local: NONE_16, remote: NONE_16, tag: NONE_16 },
      ...{ repeatsCount: 0, pathBytes: path.length, path2Bytes: 0, rawBytes: 0, raw2Bytes: 0 },
      ...{ path, path2: '', raw: '', raw2: '' },
    })
  })

  test('an abstract name, and a client that has a name of its own: the far one is told', async () => {
    const [name, own] = [`hullguard-${process.pid}`, join(dir, 'own')]
    const address = [`un:%2500${name}`, 2 + 1 + name.length]
    const cgroup = sensor.makeContainer(acting)
    const { events, pid, results } = await acts.run(sensor, cgroup, [
      ...[...sys('socket', AF_UNIX, SOCK_STREAM, 0), ...sys('bind', '$0', ...address), ...sys('listen', '$0', 1)],
      ...[...sys('socket', AF_UNIX, SOCK_STREAM, 0), ...sys('bind', '$3', `un:${own}`, lengthOf(own))],
      ...sys('connect', '$3', ...address),
    ])
    assert.deepEqual(results.slice(1), [0n, 0n, 4n, 0n, 0n])
    assert.deepEqual(
      events.map(({ path, targetPid, targetCgroupId }) => [path, targetPid, targetCgroupId]),
      [[`@${name}`, pid, cgroup.id]],
    )
  })

  test('one that fails: the name that it asked for, as it gave it', async () => {
    const none = join(dir, 'none')
    const { events } = await acts.run(sensor, sensor.makeContainer(acting), [
      ...sys('socket', AF_UNIX, SOCK_STREAM, 0),
      ...sys('connect', '$0', `un:${none}`, 110),
      ...sys('connect', '$0', 'un:%2500gone', 7),
      ...sys('connect', '$0', `un:${none}`, 1),
    ])
    assert.deepEqual(
      events.map(({ result, path, targetPid, flags }) => [result, path, targetPid, flags]),
      [
        [-2n, none, 0, CallFlag.HAS_RESULT | CallFlag.USER_MEMORY],
        [-111n, '@gone', 0, CallFlag.HAS_RESULT | CallFlag.USER_MEMORY],
        [-22n, '', 0, CallFlag.HAS_RESULT],
      ],
    )
  })

  test('datagrams: the other socket is known, its process is not', async () => {
    const path = join(dir, 'datagrams')
    const { events } = await acts.run(sensor, sensor.makeContainer(acting), [
      ...sys('socket', AF_UNIX, SOCK_DGRAM, 0),
      ...sys('bind', '$0', `un:${path}`, lengthOf(path)),
      ...sys('socket', AF_UNIX, SOCK_DGRAM, 0),
      ...sys('connect', '$2', `un:${path}`, lengthOf(path)),
    ])
    assert.deepEqual(
      events.map(({ path: name, socketType, targetPid }) => [name, socketType, targetPid]),
      [[path, SOCK_DGRAM, 0]],
    )
  })

  test('connects of other sockets are not told as such; repeats to one listener are counted when that is asked for', async () => {
    const path = join(dir, 'socket')
    const once = sys('connect', '$0', `un:${path}`, lengthOf(path))
    const { events } = await acts.run(sensor, sensor.makeContainer({ ...acting, actsAggregated: acting.acts }), [
      ...sys('socket', AF_INET, SOCK_DGRAM, 0),
      ...sys('connect', '$0', 'in:127.0.0.1:9', 16),
      ...[2, 4, 6].flatMap((index) => [
        ...sys('socket', AF_UNIX, SOCK_STREAM, 0),
        ...once.map((word) => (word === '$0' ? `$${index}` : word)),
      ]),
    ])
    assert.deepEqual(
      events.map(({ path: name, family }) => [name, family]),
      [[path, AF_UNIX]],
    )
  })
})
