/** lib/verdict.bpf.h at sched_process_exec: what the kernel decides by itself, when it acts, and when it leaves be. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Action, CgroupState, ExecFlag, Phase } from '../../src/sensor/generated/abi.js'
import { findCommand, makeTempDir, removeDir, requires } from '../support/process.js'
import { installPolicy, type TestCgroup, TestSensor } from '../support/sensor.js'
import { Act, act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc', 'busybox'], files: ['/sys/kernel/btf/vmlinux'] })

/** One bit: these policies have one rule. */
const RULE = 1n

describe('exec verdicts in the kernel', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = realpathSync(makeTempDir())
    program = await compileAct(dir)
    for (const name of ['tools/deep/bad', 'tools/good', 'other/named']) {
      mkdirSync(join(dir, name, '..'), { recursive: true })
      copyFileSync(program, join(dir, name))
    }
    symlinkSync('good', join(dir, 'tools/alias'))
    mkdirSync(join(dir, 'bin'))
    copyFileSync(findCommand('busybox') ?? '', join(dir, 'bin/busybox'))
    symlinkSync('busybox', join(dir, 'bin/sh'))
    writeFileSync(join(dir, 'script'), `#!${join(dir, 'tools/good')} exit\n`, { mode: 0o755 })
    sensor = new TestSensor()
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })
  beforeEach(() => sensor.sensor.setControl({ blocking: 1 }))

  interface Setting {
    action?: string
    mode?: string
    limitCount?: number
  }

  /** A profile with one exec rule; `DIR` in its text is the test's directory. */
  const install = (rule: string, { action = 'kill', mode = 'block', limitCount = 5 }: Setting = {}): number =>
    installPolicy(
      sensor,
      `policy: exec\nmode: ${mode}\ncontainers: { name: "*" }\nrules:\n  - rule: tools\n    action: ${action}\n    exec: ${rule.replaceAll('DIR', dir)}\n`,
      limitCount,
    ).profile.id

  /** Executes the words in the container, past setup: the program says `connect N` when it ran. */
  async function execIn(cgroup: TestCgroup, path: string, ...words: (string | number)[]) {
    const result = await act(program, 'join', cgroup.dir, 'mntns', 'exec', `${dir}/${path}`, ...words)
    const event = (await sensor.eventsOf(cgroup, 'exec')).at(-1)
    assert.ok(event)
    return { result, event, verdict: [event.action, event.decided, event.violated] }
  }

  const RUNS = ['x', 'connect', '127.0.0.1', 9]
  const KILLED = [Action.KILLED, RULE, RULE]
  const FINE = [Action.NONE, RULE, 0n]

  const cases: {
    title: string
    rule: string
    path: string
    words?: (string | number)[]
    verdict: (number | bigint)[]
  }[] = [
    { title: 'an exact entry', rule: '{ deny: [DIR/tools/good] }', path: 'tools/good', verdict: KILLED },
    { title: 'a name beside the exact entry', rule: '{ deny: [DIR/tools/good] }', path: 'other/named', verdict: FINE },
    {
      title: 'a longer name than the exact entry',
      rule: '{ deny: [DIR/tools/deep] }',
      path: 'tools/deep/bad',
      verdict: FINE,
    },
    { title: 'a folder entry', rule: '{ deny: ["DIR/tools/**"] }', path: 'tools/deep/bad', verdict: KILLED },
    { title: 'a folder entry of another folder', rule: '{ deny: ["DIR/tool/**"] }', path: 'tools/good', verdict: FINE },
    { title: 'a base name', rule: '{ deny: ["named"] }', path: 'other/named', verdict: KILLED },
    { title: 'another base name', rule: '{ deny: ["name"] }', path: 'other/named', verdict: FINE },
    {
      title: 'the resolved file behind a symlink',
      rule: '{ deny: [DIR/tools/good] }',
      path: 'tools/alias',
      verdict: KILLED,
    },
    { title: 'the symlink that was called', rule: '{ deny: [DIR/tools/alias] }', path: 'tools/alias', verdict: KILLED },
    {
      title: 'the applet that argv[0] names',
      rule: '{ deny: [DIR/bin/nc] }',
      path: 'bin/sh',
      words: ['nc', '--help'],
      verdict: KILLED,
    },
    { title: 'a script by its own name', rule: '{ deny: [DIR/script] }', path: 'script', verdict: KILLED },
    { title: 'a script by its interpreter', rule: '{ deny: [DIR/tools/good] }', path: 'script', verdict: KILLED },
    { title: 'an allow list that covers it', rule: '{ allow: ["DIR/tools/**"] }', path: 'tools/good', verdict: FINE },
    { title: 'an allow list that does not', rule: '{ allow: ["DIR/tools/**"] }', path: 'other/named', verdict: KILLED },
    {
      title: 'an allow list that covers the script only',
      rule: '{ allow: [DIR/script] }',
      path: 'script',
      verdict: KILLED,
    },
    {
      title: 'an allow list that covers script and interpreter',
      rule: '{ allow: [DIR/script, DIR/tools/good] }',
      path: 'script',
      verdict: FINE,
    },
    {
      title: 'an allowed name in a denied folder (the more specific decides)',
      rule: '{ deny: ["DIR/tools/**"], allow: [DIR/tools/deep/bad] }',
      path: 'tools/deep/bad',
      verdict: FINE,
    },
    {
      title: 'a denied name in an allowed folder',
      rule: '{ allow: ["DIR/tools/**"], deny: [DIR/tools/good] }',
      path: 'tools/good',
      verdict: KILLED,
    },
  ]
  for (const { title, rule, path, words = RUNS, verdict } of cases)
    test(`${title}: ${verdict === FINE ? 'left alone' : 'killed before its first instruction'}`, async () => {
      const cgroup = sensor.makeContainer({ profile: install(rule) })
      const seen = await execIn(cgroup, path, ...words)
      assert.deepEqual(seen.verdict, verdict)
      const isKilled = verdict === KILLED
      assert.equal(seen.result.signal, isKilled ? 'SIGKILL' : null)
      if (isKilled) assert.equal(seen.result.stdout, '')
    })

  test("in a root that is not the container's own an allow list is left to user space, an explicit deny is not", async () => {
    for (const [rule, verdict] of [
      ['{ allow: ["DIR/nothing/**"] }', [Action.NONE, 0n, 0n]],
      ['{ deny: [DIR/tools/good] }', [Action.KILLED, RULE, RULE]],
    ] as const) {
      const cgroup = sensor.makeContainer({ profile: install('{ deny: [/nowhere] }') })
      const first = new Act(program, ['join', cgroup.dir, 'mntns', 'exec', program, 'x', 'pause'])
      await first.paused() // while it lives its mount namespace is the container's own
      sensor.watch(cgroup, { profile: install(rule) })
      const seen = await execIn(cgroup, 'tools/good', ...RUNS)
      first.resume()
      await first.ended()
      assert.ok(seen.event.flags & ExecFlag.FOREIGN_ROOT)
      assert.deepEqual(seen.verdict, verdict)
    }
  })

  test('a name with .. is left to user space unless it is denied as it stands', async () => {
    const cgroup = sensor.makeContainer({ profile: install('{ allow: [DIR/nothing] }') })
    const undecided = await execIn(cgroup, 'tools/../other/named', ...RUNS)
    assert.deepEqual(undecided.verdict, [Action.NONE, 0n, 0n])
    assert.ok(undecided.event.flags & ExecFlag.KERNEL_UNDECIDED)
    const denied = sensor.makeContainer({ profile: install('{ deny: [DIR/other/named] }') })
    assert.deepEqual((await execIn(denied, 'tools/../other/named', ...RUNS)).verdict, KILLED)
  })

  test('a name too long for the maps is left to user space, and says so', async () => {
    const long = join('long', 'l'.repeat(200), 'm'.repeat(40))
    mkdirSync(join(dir, long, '..'), { recursive: true })
    copyFileSync(program, join(dir, long))
    const cgroup = sensor.makeContainer({ profile: install('{ allow: [DIR/nothing] }') })
    const seen = await execIn(cgroup, long, ...RUNS)
    assert.deepEqual(seen.verdict, [Action.NONE, 0n, 0n])
    assert.ok(seen.event.flags & ExecFlag.KERNEL_UNDECIDED)
  })

  test('in observe mode the violation is told and nothing is done', async () => {
    sensor.sensor.setControl({ blocking: 0 })
    const cgroup = sensor.makeContainer({ profile: install('{ deny: [DIR/tools/good] }') })
    const seen = await execIn(cgroup, 'tools/good', ...RUNS)
    assert.deepEqual(seen.verdict, [Action.NONE, RULE, RULE])
    assert.equal(seen.result.code, 0)
  })

  test('a policy in observe mode, or a rule that only alerts, does nothing either', async () => {
    for (const setting of [{ mode: 'observe' }, { action: 'alert' }]) {
      const cgroup = sensor.makeContainer({ profile: install('{ deny: [DIR/tools/good] }', setting) })
      const seen = await execIn(cgroup, 'tools/good', ...RUNS)
      assert.deepEqual(seen.verdict, [Action.NONE, RULE, RULE])
      assert.equal(seen.result.code, 0)
    }
  })

  test('a pending cgroup is never acted on', async () => {
    const profile = install('{ deny: [DIR/tools/good] }')
    const cgroup = sensor.makeContainer({ profile, state: CgroupState.PENDING })
    const seen = await execIn(cgroup, 'tools/good', ...RUNS)
    assert.deepEqual([seen.event.action, seen.result.code], [Action.NONE, 0])
  })

  test("the runtime's own exec in phase setup is not judged", async () => {
    const cgroup = sensor.makeContainer({ profile: install('{ deny: [DIR/tools/good] }') })
    const result = await act(program, 'join', cgroup.dir, 'exec', join(dir, 'tools/good'), 'x')
    const event = await sensor.onlyEventOf(cgroup, 'exec')
    assert.equal(result.code, 0)
    assert.deepEqual([event.phase, event.decided, event.violated], [Phase.SETUP, 0n, 0n])
  })

  test('the breaker counts containers: the second is spared, the first is acted on again and again', async () => {
    const profile = install('{ deny: [DIR/tools/good] }', { limitCount: 1 })
    const first = sensor.makeContainer({ profile })
    const second = sensor.makeContainer({ profile })
    assert.equal((await execIn(first, 'tools/good', ...RUNS)).event.action, Action.KILLED)
    const spared = await execIn(second, 'tools/good', ...RUNS)
    assert.deepEqual([spared.event.action, spared.event.violated, spared.result.code], [Action.SPARED, RULE, 0])
    assert.equal((await execIn(first, 'tools/good', ...RUNS)).event.action, Action.KILLED)
    assert.equal((await execIn(second, 'tools/good', ...RUNS)).event.action, Action.SPARED)
  })

  test('a tripped breaker spares from the first act on', async () => {
    const cgroup = sensor.makeContainer({ profile: install('{ deny: [DIR/tools/good] }', { limitCount: 0 }) })
    assert.equal((await execIn(cgroup, 'tools/good', ...RUNS)).event.action, Action.SPARED)
  })

  test('one write of the version swaps the profile in force, and the header names it', async () => {
    const cgroup = sensor.makeContainer()
    const [even, odd] = [install('{ deny: [DIR/other/named] }'), install('{ deny: [DIR/tools/good] }')]
    sensor.sensor.setCgroup(cgroup.id, {
      rootId: cgroup.id,
      profile: [even, odd],
      rootLevel: cgroup.level,
      state: CgroupState.CONTAINER,
      want: 3,
    })
    for (const [version, profile, action] of [
      [2, even, Action.NONE],
      [3, odd, Action.KILLED],
      [4, even, Action.NONE],
    ] as const) {
      sensor.sensor.setControl({ version })
      const { event } = await execIn(cgroup, 'tools/good', ...RUNS)
      assert.deepEqual([event.programVersion, event.profile, event.action], [version, profile, action])
    }
    sensor.sensor.setControl({ version: 0 })
  })

  test('an exec from another thread is killed as a process', async () => {
    const cgroup = sensor.makeContainer({ profile: install('{ deny: [DIR/tools/good] }') })
    const one = new Act(program, ['join', cgroup.dir, 'mntns', 'thread-exec', join(dir, 'tools/good'), 'x'])
    assert.equal((await one.ended()).signal, 'SIGKILL')
    assert.equal((await sensor.onlyEventOf(cgroup, 'exec')).action, Action.KILLED)
  })
})
