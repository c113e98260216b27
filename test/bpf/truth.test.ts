/** What the kernel did, not what a program says of itself: awkward ways to be a process, to name a file and to reach one. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { CallFlag, ExecFlag } from '../../src/sensor/generated/abi.js'
import { sys } from '../support/call-acts.js'
import { CallStage, O_RDWR, s, skipCalls } from '../support/call-stage.js'
import { findCommand, requires } from '../support/process.js'
import { act, actWord } from '../support/sensor-acts.js'

/** As many as DESIGN's bad inputs have; far beyond what the kernel's own tables take. */
const COMPONENTS = 300

describe('truth', { skip: skipCalls || requires({ commands: ['busybox'] }) }, () => {
  let stage: CallStage
  let program: string
  before(async () => {
    stage = await CallStage.open()
    program = stage.at('act')
  })
  after(() => stage.close())

  async function execsOf(...steps: (string | number)[]) {
    const cgroup = stage.sensor.makeContainer()
    await act(program, 'join', cgroup.dir, 'mntns', ...steps)
    return stage.sensor.eventsOf(cgroup, 'exec')
  }
  const shell = (script: string) => ['exec', '/bin/sh', 'sh', '-c', actWord(script)]

  test('a child that never executes a program acts under its own pid', async () => {
    const done = await stage.doing(
      ['open', 'mkdir'],
      ...sys('open', s('/etc'), 0),
      'fork',
      ...sys('open', s('/etc'), 0),
    )
    const [parent, child] = done.events
    assert.ok(parent && child)
    assert.equal(parent.pid, done.pid)
    assert.notEqual(child.pid, parent.pid)
    assert.equal(child.tid, child.pid)
    assert.ok(child.startNs > parent.startNs)
    assert.deepEqual([child.cgroupId, child.path], [parent.cgroupId, '/etc'])
  })

  test('a setuid after the exec: the user from then on, in every kind of event', async () => {
    const cgroup = stage.sensor.makeContainer()
    stage.sensor.watch(cgroup, { acts: 1n << 1n })
    const words = [...sys('setuid', 12), ...sys('open', s('/etc'), 0), 'fork', ...sys('getpid')]
    const { pid } = await stage.acts.run(stage.sensor, cgroup, words)
    const [opened] = (await stage.sensor.eventsOf(cgroup, 'call')).filter(
      (event) => event.pid === pid && event.uid !== 0,
    )
    assert.deepEqual([opened?.path, opened?.uid], ['/etc', 12])
    const forks = await stage.sensor.eventsOf(cgroup, 'fork')
    assert.deepEqual(
      forks.map(({ uid }) => uid),
      [12],
    )
    const exits = await stage.sensor.eventsOf(cgroup, 'exit')
    assert.ok(exits.length === 2 && exits.every(({ uid }) => uid === 12))
  })

  test('a program that is renamed into place is another file of the same name', async () => {
    const [place, other] = [stage.at('tool'), stage.at('tool.new')]
    for (const path of [place, other]) copyFileSync(program, path)
    const inodes = [place, other].map((path) => statSync(path, { bigint: true }).ino)
    const events = await execsOf(...shell(`${place} exit 0; mv ${other} ${place}; ${place} exit 0`))
    const runs = events.filter(({ file }) => file === place)
    assert.deepEqual(
      runs.map(({ inode }) => inode),
      inodes,
    )
  })

  test('through /proc/self/root and through links in the middle of a path: the file that runs', async () => {
    mkdirSync(stage.at('bin'))
    copyFileSync(program, stage.at('bin/run'))
    symlinkSync(stage.at('bin'), stage.at('link'))
    for (const invoked of [`/proc/self/root${stage.at('bin/run')}`, stage.at('link/run')]) {
      const [event] = await execsOf('exec', invoked, 'x', 'exit', 0)
      assert.deepEqual([event?.invoked, event?.file], [invoked, stage.at('bin/run')])
    }
    const done = await stage.doing('open', ...sys('open', s(`/proc/self/root${stage.at('link/run')}`), 0))
    assert.equal(done.events[0]?.path, stage.at('bin/run'))
  })

  test('an executable without a name is told by the name that it had, and as what is gone', async () => {
    const gone = stage.at('gone')
    copyFileSync(program, gone)
    const events = await execsOf(...shell(`exec 7<${gone}; rm ${gone}; /proc/self/fd/7 exit 0`))
    const event = events.at(-1)
    assert.deepEqual([event?.file, event?.flags], [gone, ExecFlag.DELETED])
    assert.equal(event?.invoked, '/proc/self/fd/7')
  })

  test(`a path of ${COMPONENTS} components, executed and opened: whole`, async () => {
    let deep = stage.dir
    for (let level = 0; level < COMPONENTS; level++) deep = join(deep, 'd')
    mkdirSync(deep, { recursive: true })
    copyFileSync(program, join(deep, 'act'))
    const [event] = await execsOf('exec', join(deep, 'act'), 'x', 'exit', 0)
    assert.deepEqual([event?.invoked, event?.file], [join(deep, 'act'), join(deep, 'act')])
    assert.equal(event?.flags, ExecFlag.KERNEL_UNDECIDED)
    const done = await stage.doing(
      'open',
      ...sys('open', s(join(deep, 'act')), 0),
      ...sys('open', s(join(deep, 'no')), 0),
    )
    assert.deepEqual(
      done.events.map(({ path, flags }) => [path, (flags & CallFlag.PATH_TRUNCATED) === 0]),
      [
        [join(deep, 'act'), true],
        [join(deep, 'no'), true],
      ],
    )
  })

  test('names of every length, in paths of few and of many components: whole, whichever way they are read', async () => {
    const name = (length: number) => 'abcdefghijklmnopqrstuvwxyz'.repeat(10).slice(0, length)
    const lengths = [...Array.from({ length: 40 }, (_, at) => at + 1), 254, 255]
    const paths = [
      ...lengths.map((length) => stage.at(`of-${length}/${name(length)}`)),
      ...lengths.map((length) => stage.at(`in-${length}/${name(length)}/x`)),
      stage.at(`many/${lengths.slice(0, 20).map(name).join('/')}`),
      stage.at(`more/${lengths.slice(0, 30).reverse().map(name).join('/')}`),
    ]
    for (const path of paths) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, '')
    }
    const { events } = await stage.doing('open', ...paths.flatMap((path) => sys('open', s(path), 0)))
    assert.deepEqual(
      events.map(({ path }) => path),
      paths,
    )
  })

  test('a file of an overlay: its path across two mounts, and whether it lies in the upper layer', async () => {
    const base = stage.at('overlay')
    mkdirSync(base)
    const mounts = [
      `mount -t tmpfs none ${base} && cd ${base} && mkdir lower upper work merged && echo > lower/below`,
      'mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged && echo > merged/above',
      'cat merged/below merged/above',
    ].join(' && ')
    const cgroup = stage.sensor.makeContainer({ acts: 1n << 1n })
    await act(program, 'join', cgroup.dir, 'mntns', ...shell(mounts))
    const reads = (await stage.sensor.eventsOf(cgroup, 'call')).filter(
      ({ path, access }) => path.startsWith(`${base}/merged/`) && access === 1,
    )
    assert.deepEqual(
      reads.map(({ path, flags }) => [path, flags & CallFlag.UPPER_LAYER]),
      [
        [`${base}/merged/below`, 0],
        [`${base}/merged/above`, CallFlag.UPPER_LAYER],
      ],
    )
  })

  test('a device is told by its numbers, whatever name it has', async () => {
    const mknod = findCommand('mknod') ?? ''
    const node = stage.at('innocent')
    await act(program, 'exec', mknod, 'mknod', node, 'c', '1', '3')
    writeFileSync(stage.at('plain'), '')
    const done = await stage.doing('open', ...sys('open', s(node), O_RDWR), ...sys('open', s(stage.at('plain')), 0))
    assert.deepEqual(
      done.events.map(({ path, facts }) => [path, facts[3]]),
      [
        [node, 0x103n],
        [stage.at('plain'), 0n],
      ],
    )
  })
})
