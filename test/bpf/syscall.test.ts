/** programs/syscall.bpf.c: the first use of each call by a container, each call outside the allowed set, and the other ABIs. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import {
  ABIS,
  Action,
  encodeMapSyscallsIgnored,
  Kind,
  Phase,
  Rung,
  SYSCALL_WORDS,
  SyscallFlag,
  Want,
} from '../../src/sensor/generated/abi.js'
import { makeTempDir, removeDir, requires, run } from '../support/process.js'
import { installPolicy, type TestCgroup, TestSensor, unforeseen } from '../support/sensor.js'
import { act, compileAct, NO_IA32 } from '../support/sensor-acts.js'

/** The numbers below are of x86-64; so is int 0x80. */
const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (process.arch !== 'x64' && 'needs an x86-64 machine: the numbers are its own')

/** header 18 and four of its own. */
const SYSCALL_FIELDS_COUNT = 22
/** A call that nothing in a small static program does by itself. */
const GETSID = 124
const GETPID_IA32 = 20
const CLONE = 56
const EXECVE = 59
const EXIT_GROUP = 231
const REBOOT = 169
const EINVAL = 22n
const X32_BIT = 0x40000000
const GETPID_X32 = X32_BIT + 39
const NATIVE = 0
const IA32 = 1
const X32 = 2

describe('syscalls', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor
  let hasIa32 = false

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
    hasIa32 = /^int80 [1-9]/.test((await run(program, ['int80', String(GETPID_IA32)])).stdout)
    sensor = new TestSensor()
    sensor.sensor.prepareHooks(new Set(['on_sys_enter', 'on_sys_exit'])).commit()
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  const callsOf = async (cgroup: TestCgroup, nr: number, abi = NATIVE) =>
    (await sensor.eventsOf(cgroup, 'syscall')).filter((event) => event.nr === nr && event.abi === abi)

  const runIn = (cgroup: TestCgroup, ...steps: (string | number)[]) =>
    act(program, 'join', cgroup.dir, 'mntns', 'exec', program, 'x', ...steps)

  test('every field of a first use, and the second use is silent', async () => {
    const cgroup = sensor.makeContainer({ want: Want.PROCESS | Want.SYSCALL_FIRST })
    const since = loadAddon().bootClockNs()
    const result = await runIn(cgroup, 'repeat', 3, 'syscall', GETSID)
    const [event, ...others] = await callsOf(cgroup, GETSID)
    assert.ok(event)
    assert.deepEqual(others, [])
    assert.equal(Object.keys(event).length, SYSCALL_FIELDS_COUNT)
    assert.deepEqual(event, {
      ...unforeseen(event, since),
      sizeBytes: 104,
      kind: Kind.SYSCALL,
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
      rung: Rung.SYSCALL,
      result: 0n,
      nr: GETSID,
      abi: NATIVE,
      flags: SyscallFlag.FIRST,
    })
    await runIn(cgroup, 'syscall', GETSID)
    assert.equal((await callsOf(cgroup, GETSID)).length, 1)
  })

  test('no call is a first use twice in a container', async () => {
    const cgroup = sensor.makeContainer({ want: Want.SYSCALL_FIRST })
    await Promise.all(Array.from({ length: 4 }, () => runIn(cgroup, 'forks', 20)))
    const calls = (await sensor.eventsOf(cgroup, 'syscall')).map(({ abi, nr }) => `${abi} ${nr}`)
    assert.ok(calls.length > 5)
    assert.equal(new Set(calls).size, calls.length)
  })

  test("the runtime's own calls in phase setup are not the container's", async () => {
    const cgroup = sensor.makeContainer({ want: Want.SYSCALL_FIRST })
    await act(program, 'join', cgroup.dir, 'syscall', GETSID)
    assert.deepEqual(await sensor.eventsOf(cgroup, 'syscall'), [])
  })

  test('a container of which nobody wants calls gives none', async () => {
    const cgroup = sensor.makeContainer()
    await runIn(cgroup, 'syscall', GETSID)
    assert.deepEqual(await sensor.eventsOf(cgroup, 'syscall'), [])
  })

  test('a call that is to be ignored is not told, nor its first use, but the same number of another ABI is', async () => {
    const calls = Array.from({ length: ABIS * SYSCALL_WORDS }, () => 0n)
    calls[Math.floor(GETSID / 64)] = 1n << BigInt(GETSID % 64)
    const ignore = (words: bigint[]) =>
      sensor.sensor.update('syscalls_ignored', new Uint8Array(4), encodeMapSyscallsIgnored({ calls: words }))
    ignore(calls)
    try {
      const cgroup = sensor.makeContainer({ want: Want.SYSCALL_FIRST })
      await runIn(cgroup, 'syscall', GETSID, 'syscall', GETSID + X32_BIT)
      assert.deepEqual(await callsOf(cgroup, GETSID), [])
      assert.equal((await callsOf(cgroup, GETSID, X32)).length, 1)
    } finally {
      ignore(calls.map(() => 0n))
    }
  })

  test('a call through int 0x80 is told by its own table', { skip }, async (context) => {
    if (!hasIa32) return context.skip(NO_IA32)
    const cgroup = sensor.makeContainer({ want: Want.SYSCALL_FIRST })
    await runIn(cgroup, 'int80', GETPID_IA32)
    const [event] = await callsOf(cgroup, GETPID_IA32, IA32)
    assert.equal(event?.flags, SyscallFlag.FIRST)
  })

  test('a call with the x32 bit is told as such, whether the kernel serves it or not', async () => {
    const cgroup = sensor.makeContainer({ want: Want.SYSCALL_FIRST })
    await runIn(cgroup, 'syscall', GETPID_X32)
    const [event] = await callsOf(cgroup, 39, X32)
    assert.equal(event?.flags, SyscallFlag.FIRST)
  })

  /** number, ABI, flags and result of each call that was told. */
  const toldOf = async (cgroup: TestCgroup) =>
    (await sensor.eventsOf(cgroup, 'syscall')).map(({ nr, abi, flags, result, action }) => {
      assert.equal(action, Action.NONE)
      return [nr, abi, flags, result]
    })
  const denying = (...calls: string[]) =>
    installPolicy(
      sensor,
      `policy: calls\ncontainers: { name: "*" }\nrules:\n  - rule: no such calls\n    syscall: { deny: [${calls.join()}] }\n`,
    ).profile.id
  const AT_END = SyscallFlag.OUTSIDE | SyscallFlag.RETURNED

  test('a call that a rule is about is told each time it ends, with its result, through every ABI', async () => {
    const cgroup = sensor.makeContainer({ profile: denying('getsid', 'getpid'), want: Want.SYSCALL_RULES })
    // in the setup of the namespace a process has no session of its own: getsid(0) is 0 where its leader is not seen
    const { pid } = await runIn(cgroup, 'repeat', 3, 'syscall', GETSID)
    await runIn(cgroup, 'syscall', GETPID_X32, 'int80', GETPID_IA32)
    const calls = await toldOf(cgroup)
    const session = calls[0]?.[3]
    assert.ok(typeof session === 'bigint' && session > 0n && session !== BigInt(pid), 'the session of the test')
    const expected = [GETSID, GETSID, GETSID].map((nr) => [nr, NATIVE, AT_END, session])
    assert.deepEqual(calls.slice(0, 3), expected)
    assert.deepEqual(calls[3]?.slice(0, 3), [39, X32, AT_END])
    assert.deepEqual(
      calls.slice(4).map((call) => call.slice(0, 3)),
      hasIa32 ? [[GETPID_IA32, IA32, AT_END]] : [],
    )
  })

  test('a call that seccomp refuses is told with the error that it got; one that it ends the process for has no result', async () => {
    const cgroup = sensor.makeContainer({ profile: denying('getsid'), want: Want.SYSCALL_RULES })
    await runIn(cgroup, 'seccomp', GETSID, 22, 'syscall', GETSID)
    const killed = await runIn(cgroup, 'seccomp', GETSID, 0, 'syscall', GETSID)
    assert.equal(killed.signal, 'SIGSYS')
    assert.deepEqual(await toldOf(cgroup), [
      [GETSID, NATIVE, AT_END, -EINVAL],
      [GETSID, NATIVE, SyscallFlag.OUTSIDE, 0n],
    ])
  })

  test('a call that does not end where it began is told when it begins', async () => {
    const cgroup = sensor.makeContainer({ profile: denying('exit_group', 'clone', 'execve'), want: Want.SYSCALL_RULES })
    await runIn(cgroup, 'fork', 0, 'exec', program, 'y')
    const calls = await toldOf(cgroup)
    // the parent's call alone, though its child comes back from it too; and two processes that exit
    assert.deepEqual(
      calls.map(([nr, abi, flags, result]) => `${nr} ${abi} ${flags} ${result}`).sort(),
      [CLONE, EXECVE, EXIT_GROUP, EXIT_GROUP].map((nr) => `${nr} ${NATIVE} ${SyscallFlag.OUTSIDE} 0`).sort(),
    )
  })

  test('where calls are judged at their entry all of them are, once', async () => {
    const want = Want.SYSCALL_RULES | Want.SYSCALLS_AT_ENTRY
    const cgroup = sensor.makeContainer({ profile: denying('getsid'), want })
    await runIn(cgroup, 'repeat', 2, 'syscall', GETSID)
    const call = [GETSID, NATIVE, SyscallFlag.OUTSIDE, 0n]
    assert.deepEqual(await toldOf(cgroup), [call, call])
  })

  test('a reboot that ends its caller, since it is of a PID namespace, is told; one that fails too', async () => {
    const cgroup = sensor.makeContainer({ profile: denying('reboot'), want: Want.SYSCALL_RULES })
    await runIn(cgroup, 'reboot', 'syscall', REBOOT)
    assert.deepEqual(await toldOf(cgroup), [
      [REBOOT, NATIVE, SyscallFlag.OUTSIDE | SyscallFlag.ENDED_THREAD, 0n],
      [REBOOT, NATIVE, AT_END, -EINVAL], // without the numbers that it asks for nothing is rebooted
    ])
  })

  test('a kill rule ends the process at the call; observe mode leaves it', async () => {
    const { profile } = installPolicy(
      sensor,
      `policy: calls kill\nmode: block\ncontainers: { name: "*" }\nrules:\n  - rule: no sessions\n    action: kill\n    syscall: { deny: [getsid] }\n`,
    )
    const cgroup = sensor.makeContainer({ profile: profile.id, want: Want.SYSCALL_RULES | Want.PROCESS })
    const spared = await runIn(cgroup, 'syscall', GETSID, 'exit', 3)
    assert.equal(spared.code, 3)
    sensor.sensor.setControl({ blocking: 1 })
    const killed = await runIn(cgroup, 'syscall', GETSID, 'exit', 3)
    sensor.sensor.setControl({ blocking: 0 })
    assert.equal(killed.signal, 'SIGKILL')
    const actions = (await callsOf(cgroup, GETSID)).map(({ action }) => action)
    assert.deepEqual(actions, [Action.NONE, Action.KILLED])
  })
})
