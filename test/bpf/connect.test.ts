/** programs/connect.bpf.c: connects and unconnected sends, from the kernel's copy of the address, whoever's socket it is. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import { Kind, Phase, Rung, Want } from '../../src/sensor/generated/abi.js'
import { cgroupMounts } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { installPolicy, TestSensor, unforeseen } from '../support/sensor.js'
import { Act, act, compileAct } from '../support/sensor-acts.js'

const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (cgroupMounts().kind === 'v1' && 'needs a unified cgroup hierarchy: the connect hooks attach there')
const noIpv6 = requires({ files: ['/proc/sys/net/ipv6'] })

/** header 18 and six of its own. */
const CONNECT_FIELDS_COUNT = 24
const TCP = 6
const UDP = 17
const EPERM = 1
const ECONNREFUSED = 111
/** Nothing listens there: the hook runs before that is known. */
const CLOSED_PORT = 9

const bytesOf = (...bytes: number[]) => Buffer.from(bytes).toString('latin1')
const mapped = (...ip: number[]) => bytesOf(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...ip)

describe('connect', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor
  let server: Server
  let port: number

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
    sensor = new TestSensor()
    server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    port = address.port
  })
  after(async () => {
    server.close()
    await sensor.close()
    removeDir(dir)
  })

  test('every field of a TCP connect that succeeds', async () => {
    const cgroup = sensor.makeContainer()
    const since = loadAddon().bootClockNs()
    const result = await act(program, 'join', cgroup.dir, 'connect', '127.0.0.1', port)
    assert.equal(result.stdout, 'connect 0\n')
    const event = await sensor.onlyEventOf(cgroup, 'connect')
    assert.equal(Object.keys(event).length, CONNECT_FIELDS_COUNT)
    assert.deepEqual(event, {
      ...unforeseen(event, since),
      sizeBytes: 120,
      kind: Kind.CONNECT,
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
      rung: Rung.CGROUP,
      address: mapped(127, 0, 0, 1),
      port,
      proto: TCP,
      family: 4,
      repeatsCount: 0,
      cookie: event.cookie,
    })
    assert.ok(event.cookie > 0n)
  })

  const loopback6 = bytesOf(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
  const cases = [
    {
      title: 'refused TCP over IPv4',
      step: 'connect',
      ip: '127.0.0.2',
      address: mapped(127, 0, 0, 2),
      proto: TCP,
      family: 4,
    },
    { title: 'refused TCP over IPv6', step: 'connect', ip: '::1', address: loopback6, proto: TCP, family: 6 },
    {
      title: 'an IPv4-mapped IPv6 address',
      step: 'connect',
      ip: '::ffff:127.0.0.1',
      address: mapped(127, 0, 0, 1),
      proto: TCP,
      family: 6,
    },
    {
      title: 'a connected UDP socket over IPv4',
      step: 'udp-connect',
      ip: '127.0.0.1',
      address: mapped(127, 0, 0, 1),
      proto: UDP,
      family: 4,
    },
    {
      title: 'a connected UDP socket over IPv6',
      step: 'udp-connect',
      ip: '::1',
      address: loopback6,
      proto: UDP,
      family: 6,
    },
    {
      title: 'an unconnected UDP send over IPv4',
      step: 'send',
      ip: '127.0.0.1',
      address: mapped(127, 0, 0, 1),
      proto: UDP,
      family: 4,
    },
    { title: 'an unconnected UDP send over IPv6', step: 'send', ip: '::1', address: loopback6, proto: UDP, family: 6 },
  ]
  for (const { title, step, ip, address, proto, family } of cases)
    test(`${title} is seen with its address`, { skip: ip.includes(':') ? noIpv6 : false }, async () => {
      const cgroup = sensor.makeContainer()
      const steps = [step, ip, CLOSED_PORT, ...(step === 'send' ? [1] : [])]
      const result = await act(program, 'join', cgroup.dir, ...steps)
      const event = await sensor.onlyEventOf(cgroup, 'connect')
      assert.deepEqual([event.address, event.proto, event.family, event.port], [address, proto, family, CLOSED_PORT])
      if (step === 'connect') assert.equal(result.stdout, `connect ${ECONNREFUSED}\n`)
    })

  test('a connect of a thread names the thread and the process', async () => {
    const cgroup = sensor.makeContainer()
    const result = await act(program, 'join', cgroup.dir, 'thread-connect', '127.0.0.1', CLOSED_PORT)
    const event = await sensor.onlyEventOf(cgroup, 'connect')
    assert.equal(event.pid, result.pid)
    assert.notEqual(event.tid, result.pid)
  })

  test('repeated sends to one destination are one event; another destination is another', async () => {
    const cgroup = sensor.makeContainer()
    await act(
      program,
      'join',
      cgroup.dir,
      'send',
      '127.0.0.1',
      CLOSED_PORT,
      100,
      'send',
      '127.0.0.1',
      CLOSED_PORT + 1,
      3,
    )
    const events = await sensor.eventsOf(cgroup, 'connect')
    assert.deepEqual(
      events.map(({ port, repeatsCount }) => [port, repeatsCount]),
      [
        [CLOSED_PORT, 0],
        [CLOSED_PORT + 1, 0],
      ],
    )
  })

  test('the next report carries the exact count of sends that were not reported one by one', async () => {
    const { profile } = installPolicy(
      sensor,
      `policy: sends\ncontainers: { name: "*" }\nrules:\n  - rule: no discard\n    connect: { deny: ["*:9/udp"] }\n`,
    )
    const cgroup = sensor.makeContainer()
    const steps = ['send', '127.0.0.1', '9', '50', 'pause', 'send', '127.0.0.1', '9', '2']
    const running = new Act(program, ['join', cgroup.dir, ...steps])
    await running.paused()
    sensor.watch(cgroup, { profile: profile.id }) // from now on it violates, and every such send is reported
    running.resume()
    await running.ended()
    const counts = (await sensor.eventsOf(cgroup, 'connect')).map(({ repeatsCount, violated }) => [
      repeatsCount,
      violated,
    ])
    assert.deepEqual(counts, [
      [0, 0n],
      [49, 1n],
      [0, 1n],
    ])
  })

  test('a profile that wants no connects gets none', async () => {
    const cgroup = sensor.makeContainer({ want: Want.PROCESS })
    await act(program, 'join', cgroup.dir, 'connect', '127.0.0.1', CLOSED_PORT)
    assert.deepEqual(await sensor.eventsOf(cgroup, 'connect'), [])
    assert.equal((await sensor.eventsOf(cgroup, 'exit')).length, 1)
  })

  test('a refused call gives EPERM, and only that call', async () => {
    const { profile } = installPolicy(
      sensor,
      `policy: denies\nmode: block\ncontainers: { name: "*" }\nrules:\n  - rule: no discard\n    action: deny\n    connect: { deny: ["127.0.0.0/8:9"] }\n`,
    )
    const cgroup = sensor.makeContainer({ profile: profile.id })
    sensor.sensor.setControl({ blocking: 1 })
    const result = await act(program, 'join', cgroup.dir, 'connect', '127.0.0.1', 9, 'connect', '127.0.0.1', port)
    sensor.sensor.setControl({ blocking: 0 })
    assert.equal(result.stdout, `connect ${EPERM}\nconnect 0\n`)
  })
})
