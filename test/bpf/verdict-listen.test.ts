/**
 * programs/listen.bpf.c at the cgroup hooks, and call__judge_listen at the end of the call: which sockets the kernel keeps from
 * listening by itself, whom it ends for it, and when it leaves be. The LSM's hook is tried in the vm tier.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { actBit } from '../../src/sensor/call-recipes.js'
import { Action, Act as ActKind, CallFlag, CgroupState, FdKind, Rung } from '../../src/sensor/generated/abi.js'
import { tryRungs } from '../../src/sensor/ladder.js'
import { cgroupMounts } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { installPolicy, type TestCgroup, TestSensor } from '../support/sensor.js'
import { Act, act, compileAct, compileTalk } from '../support/sensor-acts.js'

const requirement = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })
const skip =
  requirement ||
  (cgroupMounts().kind === 'v1' && 'needs a unified cgroup hierarchy: the bind hooks attach there') ||
  (!tryRungs().has('lsm') && 'this kernel refuses the listen itself: see the vm tier')
const noIpv6 = requires({ files: ['/proc/sys/net/ipv6'] })

const RULE = 1n
const LISTEN_NR = { x64: 50, arm64: 201 }[process.arch as 'x64' | 'arm64']
const BIND_NR = { x64: 49, arm64: 200 }[process.arch as 'x64' | 'arm64']
const REFUSED = 'talk: listen: Operation not permitted\n'

describe('listen verdicts in the kernel', { skip }, () => {
  let dir: string
  let talk: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    talk = await compileTalk(dir)
    program = await compileAct(dir)
    sensor = new TestSensor()
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })
  beforeEach(() => {
    sensor.sensor.setActs({ wanted: actBit('listen') })
    sensor.sensor.setControl({ blocking: 1 })
  })

  /** A profile with one listen rule, and its hooks. */
  function install(rule: string, { action = 'deny', mode = 'block', limitCount = 5 } = {}): number {
    const { profile, kernel } = installPolicy(
      sensor,
      `policy: net\nmode: ${mode}\ncontainers: { name: "*" }\nrules:\n  - rule: net\n    action: ${action}\n    listen: ${rule}\n`,
      limitCount,
    )
    sensor.sensor.prepareHooks(new Set([...kernel.hooksOf(profile.id), 'on_sys_exit'])).commit()
    return profile.id
  }

  const make = (profile: number, state: number = CgroupState.CONTAINER) =>
    sensor.makeContainer({ profile, state, acts: actBit('listen') })
  /** Ends with 99 when it cannot listen. */
  const bindIn = (cgroup: TestCgroup, ip: string, port: number) =>
    new Act(talk, ['join', cgroup.dir, 'listen', '0', ip, String(port), '7']).ended()
  const decisionsOf = async (cgroup: TestCgroup) =>
    (await sensor.eventsOf(cgroup, 'call')).filter(({ flags }) => (flags & CallFlag.DECISION) !== 0)

  test('every field of a refused bind', async () => {
    const cgroup = make(install('{ deny: [48123] }'))
    const result = await bindIn(cgroup, '127.0.0.1', 48123)
    assert.deepEqual([result.code, result.stdout, result.stderr], [99, '', REFUSED])
    const [event, ...others] = await decisionsOf(cgroup)
    assert.ok(event)
    assert.equal(others.length, 0)
    const { profile, ...rest } = event
    assert.ok(profile > 0)
    assert.deepEqual(
      { ...rest, bootNs: 0n, startNs: 0n, cpu: 0, cpuSeq: 0n, programVersion: 0, local: rest.local.slice(-4) },
      {
        ...{ sizeBytes: 312, kind: 12, phase: 0, action: Action.DENIED, cpu: 0, cpuSeq: 0n, programVersion: 0 },
        ...{ bootNs: 0n, startNs: 0n, cgroupId: cgroup.id, pid: result.pid, tid: result.pid, uid: 0, gid: 0 },
        ...{ rung: Rung.CGROUP, decided: RULE, violated: RULE, result: 0n, args: [0n, 0n, 0n, 0n, 0n, 0n] },
        ...{
          facts: [0n, 0n, 0n, 0n],
          capGained: 0n,
          inode: 0n,
          targetStartNs: 0n,
          targetCgroupId: 0n,
          targetPid: 0,
          nr: BIND_NR,
        },
        ...{ abi: 0, act: ActKind.BIND, flags: CallFlag.DECISION, fd: -1, dev: 0, mode: 0, fdKind: FdKind.SOCKET },
        ...{ access: 0, family: 2, proto: 6, socketType: 1, localPort: 48123, remotePort: 0 },
        ...{ local: '\x7f\0\0\x01', remote: '\0'.repeat(16), tag: '\0'.repeat(16), repeatsCount: 0 },
        ...{ pathBytes: 0, path2Bytes: 0, rawBytes: 0, raw2Bytes: 0, path: '', path2: '', raw: '', raw2: '' },
      },
    )
  })

  const cases: { title: string; rule: string; ip: string; port: number; isDenied: boolean }[] = [
    { title: 'a denied port', rule: '{ deny: [48123] }', ip: '127.0.0.1', port: 48123, isDenied: true },
    { title: 'another port', rule: '{ deny: [48123] }', ip: '127.0.0.1', port: 48124, isDenied: false },
    { title: 'a denied port at every address', rule: '{ deny: [48123] }', ip: '0.0.0.0', port: 48123, isDenied: true },
    {
      title: 'a port that no allow entry covers',
      rule: '{ allow: [48124] }',
      ip: '127.0.0.1',
      port: 48123,
      isDenied: true,
    },
    {
      title: 'a port that an allow entry covers',
      rule: '{ allow: [48000-48999] }',
      ip: '127.0.0.1',
      port: 48123,
      isDenied: false,
    },
    {
      title: 'an allowed network in a denied port',
      rule: '{ deny: [48123], allow: ["127.0.0.0/8"] }',
      ip: '127.0.0.1',
      port: 48123,
      isDenied: false,
    },
    { title: 'a denied port over IPv6', rule: '{ deny: [48123] }', ip: '::1', port: 48123, isDenied: true },
    {
      title: 'an IPv6 address under an IPv4 rule',
      rule: '{ deny: ["127.0.0.0/8:48123"] }',
      ip: '::1',
      port: 48123,
      isDenied: false,
    },
    {
      title: 'an IPv4-mapped address',
      rule: '{ deny: ["127.0.0.0/8:48123"] }',
      ip: '::ffff:127.0.0.1',
      port: 48123,
      isDenied: true,
    },
    { title: 'a port that the kernel chooses', rule: '{ allow: [] }', ip: '127.0.0.1', port: 0, isDenied: false },
  ]
  for (const { title, rule, ip, port, isDenied } of cases)
    test(`${title}: ${isDenied ? 'refused' : 'let through'}`, { skip: ip.includes(':') ? noIpv6 : false }, async () => {
      const cgroup = make(install(rule))
      const result = await bindIn(cgroup, ip, port)
      assert.deepEqual([result.code, result.stderr], isDenied ? [99, REFUSED] : [0, ''])
      assert.equal((await decisionsOf(cgroup)).length, isDenied ? 1 : 0)
    })

  test('a port taken for UDP is no listen', async () => {
    const cgroup = make(install('{ deny: [48123] }'))
    const result = await act(program, 'join', cgroup.dir, 'send', '127.0.0.1', 48123, 1)
    assert.equal(result.code, 0)
    assert.deepEqual(await decisionsOf(cgroup), [])
  })

  test('a kill rule refuses here, and says that the kill is still due', async () => {
    const cgroup = make(install('{ deny: [48123] }', { action: 'kill' }))
    const result = await bindIn(cgroup, '127.0.0.1', 48123)
    const [event] = await decisionsOf(cgroup)
    assert.deepEqual([event?.action, result.code], [Action.DENIED_KILL_PENDING, 99])
  })

  /** Past phase setup: the end of the call knows the phase. */
  const execTalk = (cgroup: TestCgroup, ...steps: (string | number)[]) =>
    act(program, 'join', cgroup.dir, 'mntns', 'exec', talk, talk, ...steps)

  test('who listens at a port that the kernel chose is killed before the call is over, by a kill rule', async () => {
    const ways: (string | number)[][] = [
      ['listen-any', 0],
      ['listen', 0, '127.0.0.1', 0, 7],
    ]
    for (const steps of ways) {
      const cgroup = make(install('{ allow: [1] }', { action: 'kill' }))
      const result = await execTalk(cgroup, ...steps, 'exit', 0)
      assert.deepEqual([result.signal, result.stdout], ['SIGKILL', ''])
      const events = (await sensor.eventsOf(cgroup, 'call')).filter((event) => event.act === ActKind.LISTEN)
      assert.deepEqual(
        events.map(({ action, decided, violated, nr, result: answer }) => [action, decided, violated, nr, answer]),
        [[Action.KILLED, RULE, RULE, LISTEN_NR, 0n]],
      )
    }
  })

  test('in observe mode, in a pending cgroup and by a rule that only alerts nothing is refused', async () => {
    const refused = install('{ deny: [48123] }')
    const alerting = install('{ deny: [48123] }', { action: 'alert' })
    const observing = install('{ deny: [48123] }', { mode: 'observe' })
    install('{ deny: [48123] }') // the hooks stay
    for (const cgroup of [make(refused, CgroupState.PENDING), make(alerting), make(observing)])
      assert.equal((await bindIn(cgroup, '127.0.0.1', 48123)).code, 0)
    sensor.sensor.setControl({ blocking: 0 })
    assert.equal((await bindIn(make(refused), '127.0.0.1', 48123)).code, 0)
  })

  test('a spent budget spares, and a container that was acted on before stays under the rule', async () => {
    const profile = install('{ deny: [48123] }', { limitCount: 1 })
    const [first, second] = [make(profile), make(profile)]
    for (const [cgroup, code] of [
      [first, 99],
      [second, 0],
      [first, 99],
    ] as const)
      assert.equal((await bindIn(cgroup, '127.0.0.1', 48123)).code, code)
  })

  test('the end of a call that a spent budget let through says so, of a rule that denies as of one that kills', async () => {
    for (const action of ['deny', 'kill']) {
      const profile = install('{ deny: [48123] }', { action, limitCount: 1 })
      const [first, second] = [make(profile), make(profile)]
      assert.equal((await bindIn(first, '127.0.0.1', 48123)).code, 99)
      assert.equal((await execTalk(second, 'listen', 0, '127.0.0.1', 48124, 7)).code, 0)
      assert.equal((await execTalk(second, 'listen', 0, '127.0.0.1', 48123, 7)).code, 0)
      const listens = (await sensor.eventsOf(second, 'call')).filter((event) => event.act === ActKind.LISTEN)
      assert.deepEqual(
        listens.map(({ localPort, action: did, violated, result }) => [localPort, did, violated, result]),
        [[48123, Action.SPARED, RULE, 0n]], // the other port is no rule's
      )
    }
  })

  test("the host's own sockets are never refused, and without a rule the hooks are not there", async () => {
    install('{ deny: [48123] }')
    assert.equal((await act(talk, 'listen', 0, '127.0.0.1', 48123, 7)).code, 0)
    install('{ deny: [48123] }', { action: 'alert' })
    assert.deepEqual(
      sensor.sensor.attachedPrograms.filter((name) => /bind|listen/.test(name)),
      [],
    )
  })
})
