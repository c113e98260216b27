/** programs/process.bpf.c on_exec: every field of an exec, and the names of the awkward ways to execute something. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, realpathSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import { Drop, ExecFlag, Kind, Phase, Rung, Want } from '../../src/sensor/generated/abi.js'
import { findCommand, makeTempDir, requires, runOk } from '../support/process.js'
import { capabilitiesOf, loginuidOf } from '../support/process-facts.js'
import { latin1, TestSensor, unforeseen } from '../support/sensor.js'
import { Act, act, actWord, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc', 'busybox'], files: ['/sys/kernel/btf/vmlinux'] })

/** header 18, exec 23 of its own, and the five strings. */
const EXEC_FIELDS_COUNT = 46

describe('exec', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = realpathSync(makeTempDir())
    program = await compileAct(dir)
    sensor = new TestSensor()
  })
  after(async () => {
    await sensor.close()
    await runOk('rm', ['-rf', dir]) // removeDir() cannot name the deepest folder
  })

  /** Steps inside a fresh container that left its mount namespace, so the exec under test is past setup. */
  async function execInContainer(...steps: (string | number)[]) {
    const cgroup = sensor.makeContainer()
    const result = await act(program, 'join', cgroup.dir, 'mntns', ...steps)
    return { event: await sensor.onlyEventOf(cgroup, 'exec'), result, cgroup }
  }

  test('every field says what the kernel did', async () => {
    const cgroup = sensor.makeContainer()
    const since = loadAddon().bootClockNs()
    const running = new Act(program, ['join', cgroup.dir, 'mntns', 'cd', dir, 'exec', program, 'zero', 'pause'])
    await running.paused()
    const stat = readFileSync(`/proc/${running.pid}/stat`, 'latin1').split(' ')
    const own = readFileSync('/proc/self/stat', 'latin1').split(' ')
    const caps = capabilitiesOf(running.pid)
    const loginuid = loginuidOf(running.pid)
    const mountNamespace = statSync(`/proc/${running.pid}/ns/mnt`).ino
    running.resume()
    await running.ended()
    const event = await sensor.onlyEventOf(cgroup, 'exec')
    const file = statSync(program, { bigint: true })
    const args = `zero\0pause\0`
    assert.equal(Object.keys(event).length, EXEC_FIELDS_COUNT)
    assert.deepEqual(event, {
      ...unforeseen(event, since),
      sizeBytes: 224 + 2 * program.length + dir.length + args.length,
      kind: Kind.EXEC,
      phase: Phase.RUN,
      action: 0,
      programVersion: 0,
      cgroupId: cgroup.id,
      pid: running.pid,
      tid: running.pid,
      uid: 0,
      gid: 0,
      profile: 0,
      decided: 0n,
      violated: 0n,
      rung: Rung.TRACEPOINT,
      inode: file.ino,
      parentStartNs: event.parentStartNs,
      parentPid: process.pid,
      dev: Number(file.dev),
      mntNs: mountNamespace,
      flags: 0,
      invokedBytes: program.length,
      fileBytes: program.length,
      cwdBytes: dir.length,
      argsBytes: args.length,
      realUid: 0,
      realGid: 0,
      envBytes: 0,
      ...caps,
      loginuid,
      tty: Number(stat[6]),
      vpid: running.pid,
      vpgid: Number(stat[4]),
      sid: Number(stat[5]),
      comm: 'act'.padEnd(16, '\0'),
      capGained: 0n,
      invoked: program,
      file: program,
      cwd: dir,
      args,
      env: '',
    })
    assert.equal(event.startNs / 10_000_000n, BigInt(stat[21] ?? 0))
    assert.equal(event.parentStartNs / 10_000_000n, BigInt(own[21] ?? 0))
  })

  test('empty arguments, newlines, escapes and invalid UTF-8 arrive byte for byte', async () => {
    const words = ['', 'a\nb', '\x1b[31mred\x1b[0m', Buffer.from([0xff, 0xfe, 0x80, 0x41]), '', ' ']
    const { event } = await execInContainer('exec', program, 'x', 'exit', 0, ...words.map((word) => actWord(word)))
    assert.equal(event.args, `x\0exit\x000\0${words.map((word) => `${latin1(Buffer.from(word))}\0`).join('')}`)
    assert.equal(event.flags, 0)
  })

  test('a program called with no argument at all has an empty list, or the empty argument that newer kernels add', async () => {
    const { event } = await execInContainer('exec', program)
    assert.ok(['', '\0'].includes(event.args), JSON.stringify(event.args))
  })

  test('a name that is not UTF-8 is reported as it is', async () => {
    const name = Buffer.concat([Buffer.from(`${dir}/n`), Buffer.from([0xff, 0x0a, 0x1b])])
    copyFileSync(program, name)
    const { event } = await execInContainer('exec', actWord(name), 'x')
    assert.equal(event.invoked, latin1(name))
    assert.equal(event.file, latin1(name))
  })

  test('a symlink is invoked by its own name and resolves to the file', async () => {
    const link = join(dir, 'link')
    symlinkSync(program, link)
    const { event } = await execInContainer('exec', link, 'x')
    assert.deepEqual([event.invoked, event.file, event.flags], [link, program, 0])
  })

  test('a script is invoked, its interpreter is the file, and the flag says so', async () => {
    const script = join(dir, 'script')
    writeFileSync(script, `#!${program} exit\n0\n`, { mode: 0o755 })
    const { event } = await execInContainer('exec', script, 'x', 'arg')
    assert.deepEqual([event.invoked, event.file, event.flags], [script, program, ExecFlag.SCRIPT])
    assert.equal(event.args, `${program}\0exit\0${script}\0arg\0`)
  })

  test('relative names are made absolute from the working directory', async () => {
    for (const name of ['act', './act', './/./act']) {
      const { event } = await execInContainer('cd', dir, 'exec', name, 'x')
      assert.deepEqual([event.invoked, event.file, event.cwd, event.flags], [program, program, dir, 0], name)
    }
  })

  test('.. is taken back and marked, because a symlink before it would make it another file', async () => {
    mkdirSync(join(dir, 'sub'))
    const { event } = await execInContainer('cd', join(dir, 'sub'), 'exec', '..//./sub/../act', 'x')
    assert.deepEqual([event.invoked, event.file], [program, program])
    assert.equal(event.flags, ExecFlag.KERNEL_UNDECIDED)
  })

  test('a chroot does not shorten the names', async () => {
    const root = join(dir, 'root')
    mkdirSync(join(root, 'bin'), { recursive: true })
    copyFileSync(program, join(root, 'bin/act'))
    const { event } = await execInContainer('chroot', root, 'exec', '/bin/act', 'x')
    const name = join(root, 'bin/act')
    assert.deepEqual([event.invoked, event.file, event.cwd], [name, name, root])
  })

  test('a program in a memfd is flagged and named as what it is', async () => {
    const { event } = await execInContainer('memfd-exec', program, 'innocent', 'exit', 0)
    assert.equal(event.flags, ExecFlag.MEMFD)
    assert.match(event.invoked, /^\/dev\/fd\/\d+$/)
    assert.equal(event.file, '/memfd:hidden')
    assert.equal(event.args, ['innocent', 'exit', '0', ''].join('\0'))
  })

  describe('multicall programs', () => {
    let bin: string
    before(() => {
      bin = join(dir, 'bin')
      mkdirSync(bin)
      copyFileSync(findCommand('busybox') ?? '', join(bin, 'busybox'))
      for (const name of ['sh', 'true', 'nc']) symlinkSync('busybox', join(bin, name))
    })
    const cases: { title: string; steps: string[]; applet: string }[] = [
      { title: 'called by its link', steps: ['BIN/true', 'true'], applet: 'true' },
      { title: 'called as another applet (exec -a nc /bin/sh)', steps: ['BIN/sh', 'nc', '--help'], applet: 'nc' },
      { title: 'called by a path in argv[0]', steps: ['BIN/sh', '/usr/bin/true'], applet: 'true' },
      { title: 'called as a login shell', steps: ['BIN/sh', '-sh', '-c', ':'], applet: 'sh' },
      { title: 'called by its own name', steps: ['BIN/busybox', 'busybox', 'true'], applet: 'true' },
      { title: 'called by its own name alone', steps: ['BIN/busybox', 'busybox'], applet: 'busybox' },
    ]
    for (const { title, steps, applet } of cases)
      test(`${title}: the applet stands in the name`, async () => {
        const { event } = await execInContainer('exec', ...steps.map((word) => word.replace('BIN', bin)))
        assert.deepEqual([event.invoked, event.file], [join(bin, applet), join(bin, 'busybox')])
        assert.equal(event.flags, ExecFlag.MULTICALL)
      })

    test('run through /proc/self/exe by a shell: the applet beside the program', async () => {
      const cgroup = sensor.makeContainer()
      await act(program, 'join', cgroup.dir, 'mntns', 'exec', join(bin, 'sh'), 'sh', '-c', 'sleep 0; true')
      const names = (await sensor.eventsOf(cgroup, 'exec')).map(({ invoked }) => invoked)
      assert.deepEqual(names, [join(bin, 'sh'), join(bin, 'sleep')])
    })
  })

  test('200 components are walked whole, and left to user space', async () => {
    let deep = dir
    for (let level = 0; level < 200; level++) deep = join(deep, 'd')
    mkdirSync(deep, { recursive: true })
    copyFileSync(program, join(deep, 'act'))
    const { event } = await execInContainer('exec', join(deep, 'act'), 'x')
    assert.deepEqual([event.invoked, event.file], [join(deep, 'act'), join(deep, 'act')])
    assert.equal(event.flags, ExecFlag.KERNEL_UNDECIDED)
  })

  test('a path longer than PATH_MAX keeps its end and says that it is truncated', async () => {
    const part = 'l'.repeat(200)
    const steps: string[] = []
    mkdirSync(join(dir, part))
    let built = join(dir, part)
    for (let level = 0; level < 18; level++) built = join(built, part)
    mkdirSync(built, { recursive: true })
    // The deepest folders are beyond what one call can name: made and entered step by step.
    for (let level = 0; level < 3; level++) {
      await act(program, 'cd', built, ...steps, 'exec', findCommand('mkdir') ?? '', 'mkdir', part)
      steps.push('cd', part)
    }
    await act(program, 'cd', built, ...steps, 'exec', findCommand('cp') ?? '', 'cp', program, 'act')
    const { event } = await execInContainer('cd', built, ...steps, 'exec', './act', 'x')
    const whole = join(built, part, part, part, 'act')
    assert.ok(whole.length > 4096)
    assert.ok(event.flags & ExecFlag.PATH_TRUNCATED, `flags ${event.flags}`)
    assert.ok(event.flags & ExecFlag.KERNEL_UNDECIDED, `flags ${event.flags}`)
    assert.ok(event.file.length > 3800 && whole.endsWith(event.file), `file of ${event.file.length} bytes`)
  })

  test('arguments beyond 32 KiB are cut there, with the flag', async () => {
    const { event, result } = await execInContainer('fill-exec', findCommand('true') ?? '', 50, 1000)
    assert.equal(result.code, 0)
    assert.equal(event.argsBytes, 32_768)
    assert.equal(event.flags, ExecFlag.ARGS_TRUNCATED)
    const path = findCommand('true') ?? ''
    const whole = `${path}\0${`${'a'.repeat(1000)}\0`.repeat(50)}`
    assert.equal(event.args, whole.slice(0, 32_768))
    const cut = sensor.sensor.losses().filter(({ cgroupId }) => cgroupId === event.cgroupId)
    assert.deepEqual(cut, [{ cgroupId: event.cgroupId, profile: 0, cause: Drop.TRUNCATED, kind: Kind.EXEC, count: 1 }])
  })

  test('arguments of exactly 32 KiB are whole, without the flag', async () => {
    const path = findCommand('true') ?? ''
    const { event } = await execInContainer('fill-exec', path, 1, 32_768 - path.length - 2)
    assert.deepEqual([event.argsBytes, event.flags], [32_768, 0])
  })

  test('an exec from another thread than the leader is the process, by its own pid', async () => {
    const { event, result } = await execInContainer('thread-exec', program, 'x')
    assert.deepEqual([event.pid, event.tid], [result.pid, result.pid])
    assert.deepEqual([event.invoked, event.phase], [program, Phase.RUN])
  })

  test('real and effective ids are told apart', { skip: requires({ commands: ['setpriv'] }) }, async () => {
    const setpriv = findCommand('setpriv') ?? ''
    const cgroup = sensor.makeContainer()
    const steps = [
      setpriv,
      'setpriv',
      '--ruid',
      '65534',
      '--rgid',
      '65533',
      '--clear-groups',
      findCommand('true') ?? '',
    ]
    await act(program, 'join', cgroup.dir, 'mntns', 'exec', ...steps)
    const event = (await sensor.eventsOf(cgroup, 'exec')).at(-1)
    assert.ok(event)
    assert.deepEqual([event.uid, event.gid, event.realUid, event.realGid], [0, 0, 65534, 65533])
  })

  test('the environment comes only where it is wanted, and is cut after 4 KiB with the flag', async () => {
    const path = 'PATH=/bin:/usr/bin\0'
    for (const want of [Want.PROCESS, Want.PROCESS | Want.ENV]) {
      const cgroup = sensor.makeContainer({ want })
      await act(program, 'join', cgroup.dir, 'mntns', 'exec', program, 'x')
      const event = await sensor.onlyEventOf(cgroup, 'exec')
      assert.deepEqual([event.env, event.flags], [want & Want.ENV ? path : '', 0])
    }
    const cgroup = sensor.makeContainer({ want: Want.PROCESS | Want.ENV })
    const script = `LONG=${'l'.repeat(5000)} exec ${program} exit 0`
    await act(program, 'join', cgroup.dir, 'mntns', 'exec', '/bin/sh', 'sh', '-c', actWord(script))
    const event = (await sensor.eventsOf(cgroup, 'exec')).at(-1)
    assert.ok(event)
    assert.deepEqual([event.envBytes, event.flags], [4096, ExecFlag.ENV_TRUNCATED])
    assert.match(event.env, /LONG=l{3000}/)
  })

  test('a pid namespace of its own: ids within it', { skip: requires({ commands: ['unshare'] }) }, async () => {
    const cgroup = sensor.makeContainer()
    const unshare = findCommand('unshare') ?? ''
    await act(program, 'join', cgroup.dir, 'mntns', 'exec', unshare, 'unshare', '-p', '-f', program, 'fork', '0')
    const event = (await sensor.eventsOf(cgroup, 'exec')).at(-1)
    assert.ok(event)
    assert.deepEqual([event.file, event.vpid, event.vpgid], [program, 1, 0])
    const forks = await sensor.eventsOf(cgroup, 'fork')
    assert.deepEqual(
      forks.map(({ childVpid }) => childVpid),
      [1, 2],
    )
  })

  test('a terminal is the one that /proc names', { skip: requires({ commands: ['script'] }) }, async () => {
    const cgroup = sensor.makeContainer()
    const command = `${program} join ${cgroup.dir} mntns exec /bin/sh sh -c 'cat%20/proc/self/stat'`
    const stdout = await runOk('script', ['-qec', command, '/dev/null'])
    const event = (await sensor.eventsOf(cgroup, 'exec')).at(-1)
    assert.ok(event)
    const stat = stdout.slice(stdout.lastIndexOf(')') + 2).split(' ')
    assert.deepEqual([event.tty, event.sid], [Number(stat[4]), Number(stat[3])])
    assert.notEqual(event.tty, 0)
  })

  test("a file of an overlay's upper layer is told from one of its lower layers", async () => {
    const cgroup = sensor.makeContainer()
    const base = join(dir, 'overlay')
    mkdirSync(base)
    const script = [
      `mount -t tmpfs none ${base} && cd ${base} && mkdir lower upper work merged && cp ${program} lower/below`,
      'mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged',
      `cp ${program} merged/above && merged/below exit 0; merged/above exit 0`,
    ].join(' && ')
    await act(program, 'join', cgroup.dir, 'mntns', 'exec', '/bin/sh', 'sh', '-c', actWord(script))
    const events = (await sensor.eventsOf(cgroup, 'exec')).filter(({ file }) => file.startsWith(`${base}/merged/`))
    assert.deepEqual(
      events.map(({ file, flags }) => [file, flags & ExecFlag.UPPER_LAYER]),
      [
        [`${base}/merged/below`, 0],
        [`${base}/merged/above`, ExecFlag.UPPER_LAYER],
      ],
    )
  })

  test('a cgroup that nobody watches gives no event', async () => {
    const cgroup = sensor.makeContainer()
    sensor.sensor.removeCgroup(cgroup.id)
    await act(program, 'join', cgroup.dir, 'mntns', 'fork', 0, 'connect', '127.0.0.1', 1, 'exec', program, 'x')
    await sensor.settle()
    const seen = sensor.all.filter(({ name, event }) => event.cgroupId === cgroup.id && name !== 'cgroup')
    assert.deepEqual(seen, [])
  })
})
