/** programs/connect.bpf.c connect__judge: which connects the kernel refuses by itself, and when it leaves be. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Action, CgroupState } from '../../src/sensor/generated/abi.js'
import { cgroupMounts } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { installPolicy, type TestCgroup, TestSensor } from '../support/sensor.js'
import { act, compileAct } from '../support/sensor-acts.js'

const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (cgroupMounts().kind === 'v1' && 'needs a unified cgroup hierarchy: the connect hooks attach there')
const noIpv6 = requires({ files: ['/proc/sys/net/ipv6'] })

const RULE = 1n
const EPERM = 1
const ECONNREFUSED = 111

describe('connect verdicts in the kernel', { skip }, () => {
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
  beforeEach(() => sensor.sensor.setControl({ blocking: 1 }))

  const install = (rule: string, { action = 'deny', mode = 'block', limitCount = 5 } = {}): number =>
    installPolicy(
      sensor,
      `policy: net\nmode: ${mode}\ncontainers: { name: "*" }\nrules:\n  - rule: net\n    action: ${action}\n    connect: ${rule}\n`,
      limitCount,
    ).profile.id

  /** The errno of the connect, and what the event says. Loopback only; nothing listens at these ports. */
  async function connectIn(cgroup: TestCgroup, ip: string, port: number, step = 'connect') {
    const result = await act(program, 'join', cgroup.dir, step, ip, port)
    const event = (await sensor.eventsOf(cgroup, 'connect')).at(-1)
    assert.ok(event)
    const errno = Number(/connect (\d+)/.exec(result.stdout)?.[1])
    return { errno, result, event, verdict: [event.action, event.decided, event.violated] }
  }

  const DENIED = [Action.DENIED, RULE, RULE]
  const FINE = [Action.NONE, RULE, 0n]
  const cases: { title: string; rule: string; ip: string; port: number; isDenied: boolean }[] = [
    {
      title: 'a denied network and port',
      rule: '{ deny: ["127.0.0.0/8:9"] }',
      ip: '127.0.0.1',
      port: 9,
      isDenied: true,
    },
    { title: 'another port', rule: '{ deny: ["127.0.0.0/8:9"] }', ip: '127.0.0.1', port: 10, isDenied: false },
    { title: 'another network', rule: '{ deny: ["127.1.0.0/16:9"] }', ip: '127.0.0.1', port: 9, isDenied: false },
    { title: 'a denied port anywhere', rule: '{ deny: ["*:9"] }', ip: '127.0.0.1', port: 9, isDenied: true },
    { title: 'a range of ports', rule: '{ deny: ["*:5-9"] }', ip: '127.0.0.1', port: 9, isDenied: true },
    { title: 'a port after the range', rule: '{ deny: ["*:5-8"] }', ip: '127.0.0.1', port: 9, isDenied: false },
    {
      title: 'an allowed network within a denied port',
      rule: '{ deny: ["*:9"], allow: ["127.0.0.0/8"] }',
      ip: '127.0.0.1',
      port: 9,
      isDenied: false,
    },
    {
      title: 'an allow list that does not cover it',
      rule: '{ allow: ["10.0.0.0/8"] }',
      ip: '127.0.0.1',
      port: 9,
      isDenied: true,
    },
    {
      title: 'an IPv4-mapped IPv6 address',
      rule: '{ deny: ["127.0.0.0/8:9"] }',
      ip: '::ffff:127.0.0.1',
      port: 9,
      isDenied: true,
    },
    { title: 'a denied IPv6 network', rule: '{ deny: ["[::1/128]:9"] }', ip: '::1', port: 9, isDenied: true },
    {
      title: 'an IPv6 address under an IPv4 rule',
      rule: '{ deny: ["127.0.0.0/8:9"] }',
      ip: '::1',
      port: 9,
      isDenied: false,
    },
    { title: 'a rule for UDP only', rule: '{ deny: ["*:9/udp"] }', ip: '127.0.0.1', port: 9, isDenied: false },
  ]
  for (const { title, rule, ip, port, isDenied } of cases)
    test(`${title}: ${isDenied ? 'refused' : 'let through'}`, { skip: ip.includes(':') ? noIpv6 : false }, async () => {
      const cgroup = sensor.makeContainer({ profile: install(rule) })
      const seen = await connectIn(cgroup, ip, port)
      assert.deepEqual(seen.verdict, isDenied ? DENIED : FINE)
      assert.equal(seen.errno, isDenied ? EPERM : ECONNREFUSED)
    })

  test('a kill rule refuses here, and says that the kill is still due', async () => {
    const cgroup = sensor.makeContainer({ profile: install('{ deny: ["*:9"] }', { action: 'kill' }) })
    const seen = await connectIn(cgroup, '127.0.0.1', 9)
    assert.deepEqual([seen.event.action, seen.errno], [Action.DENIED_KILL_PENDING, EPERM])
  })

  test('unconnected UDP sends are refused one by one, and each is told', async () => {
    const cgroup = sensor.makeContainer({ profile: install('{ deny: ["*:9/udp"] }') })
    const result = await act(program, 'join', cgroup.dir, 'send', '127.0.0.1', 9, 3, 'send', '127.0.0.1', 10, 1)
    assert.equal(result.stdout, 'refused 3\nrefused 0\n')
    const actions = (await sensor.eventsOf(cgroup, 'connect')).map(({ port, action }) => [port, action])
    assert.deepEqual(actions, [...Array.from({ length: 3 }, () => [9, Action.DENIED]), [10, Action.NONE]])
  })

  test('in observe mode the violation is told and nothing is refused', async () => {
    sensor.sensor.setControl({ blocking: 0 })
    const cgroup = sensor.makeContainer({ profile: install('{ deny: ["*:9"] }') })
    const seen = await connectIn(cgroup, '127.0.0.1', 9)
    assert.deepEqual([...seen.verdict, seen.errno], [Action.NONE, RULE, RULE, ECONNREFUSED])
  })

  test('a pending cgroup is never refused anything', async () => {
    const profile = install('{ deny: ["*:9"] }')
    const cgroup = sensor.makeContainer({ profile, state: CgroupState.PENDING })
    const seen = await connectIn(cgroup, '127.0.0.1', 9)
    assert.deepEqual([seen.event.action, seen.errno], [Action.NONE, ECONNREFUSED])
  })

  test('a spent budget spares, and a container that was acted on before stays under the rule', async () => {
    const profile = install('{ deny: ["*:9"] }', { limitCount: 1 })
    const first = sensor.makeContainer({ profile })
    const second = sensor.makeContainer({ profile })
    assert.equal((await connectIn(first, '127.0.0.1', 9)).errno, EPERM)
    const spared = await connectIn(second, '127.0.0.1', 9)
    assert.deepEqual([spared.event.action, spared.errno], [Action.SPARED, ECONNREFUSED])
    assert.equal((await connectIn(first, '127.0.0.1', 9)).errno, EPERM)
  })

  test('a process that moved itself out of the container is still refused', async () => {
    const cgroup = sensor.makeContainer({ profile: install('{ deny: ["*:9"] }') })
    const outside = sensor.makeContainer()
    sensor.sensor.removeCgroup(outside.id)
    const result = await act(program, 'join', cgroup.dir, 'join', outside.dir, 'connect', '127.0.0.1', 9)
    assert.equal(result.stdout, `connect ${EPERM}\n`)
    assert.equal((await sensor.onlyEventOf(cgroup, 'connect')).action, Action.DENIED)
  })

  test("the host's own connects are neither seen nor refused", async () => {
    install('{ deny: ["*:9"] }')
    const result = await act(program, 'connect', '127.0.0.1', 9)
    assert.equal(result.stdout, `connect ${ECONNREFUSED}\n`)
    await sensor.settle()
    assert.equal(sensor.all.filter(({ name, event }) => name === 'connect' && event.pid === result.pid).length, 0)
  })
})
