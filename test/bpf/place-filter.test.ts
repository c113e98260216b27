/** Acts on files that no rule wants are not reported: by how their paths begin, what is done and whether it failed. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { CALL_KINDS } from '../../src/record/call-model.js'
import { actBit } from '../../src/sensor/call-recipes.js'
import { MAP_PROFILE_BYTES } from '../../src/sensor/generated/abi.js'
import { encodeU32 } from '../../src/sensor/sensor.js'
import { sys, whyNoRings } from '../support/call-acts.js'
import { AT_FDCWD, type Call, CallStage, O_CREAT, O_RDWR, O_WRONLY } from '../support/call-stage.js'
import { requires } from '../support/process.js'
import { fileDenied as file, when } from '../support/rule-text.js'
import type { TestCgroup, TestSensor } from '../support/sensor.js'
import { actWord } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

const O_RDONLY = 0
const O_PATH = 0o10000000
const MS_BIND = 0x1000
const MNT_DETACH = 2
const AF_UNIX = 1
const SOCK_STREAM = 1
/** Longer than a prefix in the kernel. */
const LONG = 'd'.repeat(200)

describe('acts on files that rules want', { skip }, () => {
  let stage: CallStage
  let dir: string
  let sensor: TestSensor

  before(async () => {
    stage = await CallStage.open()
    dir = stage.dir
    sensor = stage.sensor
    for (const sub of ['watched', 'watchedtoo', 'other', `${LONG}/${LONG}`])
      mkdirSync(join(dir, sub), { recursive: true })
    for (const name of ['watched/a', 'watchedtoo/b', 'other/c', `${LONG}/${LONG}/x`, `${LONG}/${LONG}/y`])
      writeFileSync(join(dir, name), '')
    symlinkSync(join(dir, 'watched/a'), join(dir, 'other/link'))
  })
  after(() => stage.close())

  const open = (path: string, flags: number) =>
    sys('openat', AT_FDCWD, `s:${actWord(path.startsWith('/') ? path : join(dir, path))}`, flags, 0o600)
  const install = (rules: string) => stage.install(rules).profile.id
  /** Paths of the opens that were reported, those below the test's folder without it, with their access. */
  async function reported(rules: string, ...calls: Call[]): Promise<[string, number][]> {
    return reportedIn(sensor.makeContainer({ acts: actBit('open'), profile: install(rules) }), ...calls)
  }
  async function reportedIn(cgroup: TestCgroup, ...calls: Call[]): Promise<[string, number][]> {
    const { events, results } = await stage.doIn(cgroup, calls)
    assert.ok(
      results.every((result) => result >= 0n || result === -2n),
      `${results}`,
    )
    return events.map(({ path, access }) => [stage.below(path), access])
  }
  const at = (path: string) => `s:${actWord(join(dir, path))}`

  test('the resolved path decides, whole components or not, and the access', async () => {
    const got = await reported(
      file(`{ path: "${dir}/watched/**", access: [read] }`),
      open('watched/a', O_RDONLY),
      open('other/c', O_RDONLY),
      open('other/link', O_RDONLY),
      open('watched/../other/c', O_RDONLY),
      open('watched/a', O_WRONLY),
      open('watchedtoo/b', O_RDONLY),
      open('watched/none', O_RDONLY),
      open('watched/a', O_PATH),
    )
    assert.deepEqual(got, [
      ['watched/a', 1],
      ['watched/a', 1],
      ['watchedtoo/b', 1], // user space judges: the kernel tells no components apart
    ])
  })

  test('a deeper entry speaks for the shorter ones, and one for every path for all', async () => {
    const rules = file(
      `{ path: "${dir}/**", access: [create] }, { path: "${dir}/watched/**", access: [read] }, { path: "**/c", access: [write] }`,
    )
    const got = await reported(
      rules,
      open('watched/a', O_RDONLY),
      open('watched/a', O_WRONLY),
      open('watched/new', O_RDONLY | O_CREAT),
      open('other/c', O_RDONLY),
      open('other/new', O_WRONLY | O_CREAT),
      open('/dev/null', O_WRONLY),
      open('/dev/null', O_RDONLY),
    )
    assert.deepEqual(got, [
      ['watched/a', 1],
      ['watched/a', 2],
      ['watched/new', 5],
      ['other/new', 6],
      ['/dev/null', 2],
    ])
  })

  test('conditions: opens that failed go by the path as it was given, unless success is asked for', async () => {
    const opens = [
      open('watched/a', O_RDONLY),
      open('other/c', O_RDONLY),
      open('other/none', O_RDONLY),
      open('watched/none', O_RDONLY),
      open('watched/a', O_PATH),
    ]
    assert.deepEqual(await reported(when(`evt.type = openat and fd.name startswith ${dir}/watched/`), ...opens), [
      ['watched/a', 1],
      ['watched/none', 1],
      ['watched/a', 0],
    ])
    assert.deepEqual(
      await reported(when(`evt.type = openat and fd.num >= 0 and fd.name startswith ${dir}/watched`), ...opens),
      [
        ['watched/a', 1],
        ['watched/a', 0],
      ],
    )
    assert.deepEqual(await reported(when('evt.type = openat'), ...opens), [
      ['watched/a', 1],
      ['other/c', 1],
      ['other/none', 1],
      ['watched/none', 1],
      ['watched/a', 0],
    ])
  })

  test('of a failed open whose path has to be worked out first, the path that is told decides', async () => {
    const rule = when(`evt.type = openat and fd.name startswith ${dir}/watched/`)
    const asGiven = (path: string) => sys('openat', AT_FDCWD, `s:${actWord(path)}`, O_RDONLY, 0)
    const got = await reported(
      rule,
      asGiven(`${dir}/other/none`),
      asGiven(`${dir}/other/../watched/none`),
      asGiven(`${dir}//watched/none`),
      asGiven(`${dir}/./watched/none`),
      asGiven(`${dir}/other//none`),
      asGiven('none'),
      asGiven(`${dir}/other/none.`),
      sys('chroot', at('other')),
      asGiven('/watched/none'),
      asGiven('/none'),
    )
    assert.deepEqual(got, [
      ['watched/none', 1],
      ['watched/none', 1],
      ['watched/none', 1],
    ])
  })

  test('an open for reading and writing is both; one that a rule asks to be both is no other', async () => {
    const both = when(
      `evt.type = openat and fd.num >= 0 and evt.is_open_read = true and evt.is_open_write = true and fd.name startswith ${dir}`,
    )
    const opens = [O_RDONLY, O_WRONLY, O_RDWR].map((flags) => open('watched/a', flags))
    assert.deepEqual(await reported(both, ...opens), [['watched/a', 3]])
    assert.deepEqual(await reported(file(`{ path: "${dir}/watched/**", access: [write] }`), ...opens), [
      ['watched/a', 2],
      ['watched/a', 3],
    ])
  })

  test('a name given with two dots in a row, wherever they stand in it, and whatever the call', async () => {
    const rule = when(`evt.type in (openat, openat2) and fd.nameraw contains ".." and fd.name startswith ${dir}`)
    const far = (before: number, after: number) =>
      `${dir}/${'./'.repeat(before)}watched/../${'./'.repeat(after)}other/c`
    const how = (path: string) => sys('openat2', AT_FDCWD, `s:${actWord(join(dir, path))}`, 'how:0:0:0', 24)
    const asGiven = (path: string) => sys('openat', AT_FDCWD, `s:${actWord(path)}`, O_RDONLY, 0)
    const got = await reported(
      rule,
      asGiven(`${dir}/other/c`),
      asGiven(`${dir}/./other/./c`), // single dots
      asGiven(`${dir}/other/.no.ne`),
      ...Array.from({ length: 9 }, (_, shift) => asGiven(`${dir}/${'/'.repeat(shift)}watched/../other/c`)),
      asGiven(far(60, 60)),
      asGiven(`${dir}/watched/../none`), // fails
      how('other/c'),
      sys('openat2', AT_FDCWD, `s:${actWord(`${dir}/watched/../other/c`)}`, 'how:0:0:0', 24),
    )
    assert.deepEqual(got, [...Array.from({ length: 10 }, () => ['other/c', 1]), ['none', 1], ['other/c', 1]])
  })

  test('of a path that is longer than an entry in the kernel its beginning decides', async () => {
    const got = await reported(
      file(`{ path: "${dir}/${LONG}/${LONG}/x", access: [read] }`),
      open(`${LONG}/${LONG}/x`, O_RDONLY),
      open(`${LONG}/${LONG}/y`, O_RDONLY),
      open('other/c', O_RDONLY),
    )
    assert.deepEqual(got, [
      [`${LONG}/${LONG}/x`, 1],
      [`${LONG}/${LONG}/y`, 1],
    ])
  })

  test('the path that an open has now decides, whatever it was at the open before', async () => {
    const rules = file(`{ path: "${dir}/watched/**", access: [read] }`)
    mkdirSync(join(dir, 'other/deep/er'), { recursive: true })
    writeFileSync(join(dir, 'other/deep/er/f'), '')
    const got = await reported(
      rules,
      open('other/deep/er/f', O_RDONLY),
      sys('rename', at('other/deep'), at('watched/deep')), // a directory two levels above
      open('watched/deep/er/f', O_RDONLY),
      sys('rename', at('watched/deep'), at('other/deep')),
      open('other/deep/er/f', O_RDONLY),
      sys('link', at('other/c'), at('watched/hard')), // one inode, two names
      open('other/c', O_RDONLY),
      open('watched/hard', O_RDONLY),
      sys('unlink', at('watched/hard')),
      open('watched/hard', O_RDONLY | O_CREAT), // another inode, the same name
      sys('rename', at('watched/hard'), at('other/hard')),
      open('other/hard', O_RDONLY),
      sys('rename', at('other/hard'), at('watched/hard')),
      open('watched/hard', O_RDONLY),
      sys('mkdir', at('watched/bound'), 0o755),
      sys('mount', at('other'), at('watched/bound'), 's:', MS_BIND, 0),
      open('watched/bound/c', O_RDONLY),
      open('other/c', O_RDONLY),
      sys('umount2', at('watched/bound'), MNT_DETACH),
    )
    assert.deepEqual(got, [
      ['watched/deep/er/f', 1],
      ['watched/hard', 1],
      ['watched/hard', 5],
      ['watched/hard', 1],
      ['watched/bound/c', 1],
    ])
  })

  test('the profile that is in force decides', async () => {
    const quiet = install(file('{ path: /etc/shadow, access: [read] }'))
    const loud = install(file(`{ path: "${dir}/watched/**", access: [read] }`))
    const cgroup = sensor.makeContainer({ acts: actBit('open'), profile: quiet })
    assert.deepEqual(await reportedIn(cgroup, open('watched/a', O_RDONLY)), [])
    sensor.watch(cgroup, { acts: actBit('open'), profile: loud })
    assert.deepEqual(await reportedIn(cgroup, open('watched/a', O_RDONLY)), [['watched/a', 1]])
    sensor.watch(cgroup, { acts: actBit('open'), profile: quiet })
    assert.deepEqual(await reportedIn(cgroup, open('watched/a', O_RDONLY)), [])
  })

  test('a file without a place in the tree is reported; a socket by its path has one', async () => {
    const got = await reported(
      file(`{ path: "${dir}/watched/**", access: [read] }`),
      sys('memfd_create', 's:made', 0),
      open('/proc/self/fd/3', O_RDONLY),
      sys('socket', AF_UNIX, SOCK_STREAM, 0),
      sys('bind', '$2', `un:${actWord(join(dir, 'other/sock'))}`, 110),
      open('other/sock', O_PATH),
    )
    assert.deepEqual(got, [['/memfd:made', 1]])
    const paths = await reported(
      when('evt.type = openat and fd.num >= 0'),
      sys('socket', AF_UNIX, SOCK_STREAM, 0),
      sys('bind', '$0', `un:${actWord(join(dir, 'watched/sock'))}`, 110),
      open('watched/sock', O_PATH),
    )
    assert.deepEqual(paths, [['watched/sock', 0]])
  })

  const PLACED = ['unlink', 'rename', 'link', 'symlink', 'chmod', 'chown', 'mkdir', 'rmdir', 'truncate'] as const
  const everyAct = PLACED.reduce((mask, act) => mask | actBit(act), 0n)
  /** Of every act on a file but opens, what was reported: its kind, its paths below the test's folder, whether it failed. */
  async function told(rules: string, ...calls: Call[]): Promise<string[]> {
    const { events } = await stage.doUnder(rules, calls, everyAct)
    return events.map(({ act, path, path2, result }) => {
      const paths = [path, path2].filter((text) => text !== '').map((text) => stage.below(text))
      return [CALL_KINDS[act - 1], ...paths, ...(result < 0n ? ['failed'] : [])].join(' ')
    })
  }
  /** Everything that can be done to a name in this folder and to what is made there. */
  const allIn = (folder: string) => [
    sys('mkdir', at(`${folder}/m`), 0o700),
    sys('symlink', 's:anything', at(`${folder}/s`)),
    sys('link', at(`${folder}/t`), at(`${folder}/l`)),
    sys('chmod', at(`${folder}/t`), 0o600),
    sys('chown', at(`${folder}/t`), 0, 0),
    sys('truncate', at(`${folder}/t`), 0),
    sys('rename', at(`${folder}/l`), at(`${folder}/r`)),
    sys('unlink', at(`${folder}/r`)),
    sys('unlink', at(`${folder}/s`)),
    sys('rmdir', at(`${folder}/m`)),
    sys('unlink', at(`${folder}/none`)),
  ]
  const toldOf = (folder: string) => [
    ...[`mkdir ${folder}/m`, `symlink ${folder}/s`, `link ${folder}/t ${folder}/l`, `chmod ${folder}/t`],
    ...[`chown ${folder}/t`, `truncate ${folder}/t`, `rename ${folder}/l ${folder}/r`, `unlink ${folder}/r`],
    ...[`unlink ${folder}/s`, `rmdir ${folder}/m`],
  ]

  test('acts of every kind are reported where a rule names the place, and nowhere else', async () => {
    for (const folder of ['watched', 'other']) writeFileSync(join(dir, folder, 't'), '')
    const calls = [...allIn('watched'), ...allIn('other')]
    assert.deepEqual(await told(file(`{ path: "${dir}/watched/**" }`), ...calls), toldOf('watched'))
    assert.deepEqual(await told(file('{ path: /etc/shadow }'), ...calls), [])
    assert.deepEqual(
      await told(
        file(`{ path: "${dir}/watched/**", access: [delete] }, { path: "${dir}/**", access: [chmod] }`),
        ...calls,
      ),
      ['chmod watched/t', 'unlink watched/r', 'unlink watched/s', 'rmdir watched/m', 'chmod other/t'],
    )
    assert.deepEqual(await told(when('evt.type = unlink and evt.failed = true'), ...calls), [
      'unlink watched/none failed',
      'unlink other/none failed',
    ])
    assert.deepEqual(await told(when(`evt.type = unlink and evt.arg.path startswith ${dir}/other/`), ...calls), [
      'unlink other/r',
      'unlink other/s',
      'unlink other/none failed',
    ])
  })

  test('below a folder that a rule allows or a condition leaves out nothing is reported, the folder itself is', async () => {
    for (const folder of ['watched', 'other']) writeFileSync(join(dir, folder, 't'), '')
    const calls = [...allIn('watched'), ...allIn('other')]
    const all = '[create, delete, write, rename, link, chmod, chown]'
    const allow = (folder: string) => `  - rule: r\n    file: { allow: [{ path: "${folder}/**", access: ${all} }] }\n`
    assert.deepEqual(await told(allow(`${dir}/watched`), ...calls), toldOf('other'))
    assert.deepEqual(await told(allow(dir), ...calls), [])
    const beside = when(`evt.type = chmod and evt.failed = false and not fd.name startswith ${dir}/watched/`)
    assert.deepEqual(
      await told(
        beside,
        ...[sys('chmod', at('watched/t'), 0o600), sys('chmod', at('other/t'), 0o600)],
        ...[sys('chmod', at('watched/'), 0o755), sys('chmod', at('watched'), 0o755)],
      ),
      ['chmod other/t', 'chmod watched', 'chmod watched'],
    )
  })

  test('of two paths either is enough', async () => {
    const moves = [
      sys('rename', at('other/c'), at('other/d')),
      sys('rename', at('other/d'), at('watched/d')),
      sys('rename', at('watched/d'), at('other/c')),
      sys('link', at('other/c'), at('watched/c')),
      sys('unlink', at('watched/c')),
    ]
    assert.deepEqual(await told(file(`{ path: "${dir}/watched/**", access: [rename, link] }`), ...moves), [
      'rename other/d watched/d',
      'rename watched/d other/c',
      'link other/c watched/c',
    ])
    assert.deepEqual(
      await told(
        when(`evt.type = rename and evt.arg.oldpath startswith ${dir}/o and evt.arg.newpath startswith ${dir}/w`),
        ...moves,
      ),
      ['rename other/d watched/d', 'rename watched/d other/c'], // which of the two is for user space to judge
    )
  })

  test('names given from a folder, with odd slashes or dots, and descriptors go by the path that is told', async () => {
    writeFileSync(join(dir, 'other/t'), '')
    writeFileSync(join(dir, 'watched/t'), '')
    const given = (folder: string, name: string) => `s:${actWord(`${dir}/${folder}${name}`)}`
    const calls = (folder: string, elsewhere: string) => [
      sys('chdir', at(folder)),
      sys('chmod', 's:t', 0o600),
      sys('chmod', 's:./t', 0o600),
      sys('chmod', given(elsewhere, `/../${folder}//t`), 0o600),
      sys('openat', AT_FDCWD, 's:t', O_RDWR, 0),
      sys('fchmod', '$4', 0o600),
      sys('fchown', '$4', 0, 0),
      sys('ftruncate', '$4', 0),
      sys('openat', AT_FDCWD, 's:.', O_PATH, 0),
      sys('mkdirat', '$8', 's:n', 0o700),
      sys('unlinkat', '$8', 's:n', 0x200),
      sys('renameat2', '$8', 's:t', '$8', 's:u', 0),
      sys('renameat2', '$8', 's:u', '$8', 's:t', 0),
      sys('fchownat', '$4', 's:', 0, 0, 0x1000),
    ]
    const rules = file(`{ path: "${dir}/watched/**", access: [create, delete, write, rename, chmod, chown] }`)
    assert.deepEqual(await told(rules, ...calls('other', 'watched')), [])
    const got = await told(rules, ...calls('watched', 'other'))
    const t = 'watched/t'
    assert.deepEqual(got, [
      ...[`chmod ${t}`, `chmod ${t}`, `chmod ${t}`, `chmod ${t}`, `chown ${t}`, `truncate ${t}`, 'mkdir watched/n'],
      ...['unlink watched/n', `rename ${t} watched/u`, `rename watched/u ${t}`, `chown ${t}`],
    ])
  })

  test('behind a changed root the path counts that leads from the root of the mounts', async () => {
    mkdirSync(join(dir, 'other/watched'), { recursive: true })
    writeFileSync(join(dir, 'other/watched/t'), '')
    const calls = [sys('chroot', at('other')), sys('chmod', 's:/watched/t', 0o600)]
    assert.deepEqual(await told(file('{ path: "/watched/**", access: [chmod] }'), ...calls), [])
    assert.deepEqual(await told(file(`{ path: "${dir}/other/watched/**", access: [chmod] }`), ...calls), [
      'chmod other/watched/t',
    ])
  })

  test('what an io_uring does is filtered alike', async (context) => {
    const whyNot = await whyNoRings(sensor, dir)
    if (whyNot !== '') return context.skip(whyNot)
    const [RENAMEAT, MKDIRAT] = [35, 37]
    const calls = ['other', 'watched'].flatMap((folder) => [
      ['ring', MKDIRAT, AT_FDCWD, at(`${folder}/ring`), 0o700],
      ['ring', RENAMEAT, AT_FDCWD, at(`${folder}/ring`), AT_FDCWD, at(`${folder}/gnir`)],
    ])
    assert.deepEqual(await told(file(`{ path: "${dir}/watched/**", access: [create, rename] }`), ...calls), [
      'mkdir watched/ring',
      'rename watched/ring watched/gnir',
    ])
  })

  test('a profile that is given up takes its entries with it', async () => {
    const { kernel, profile } = stage.install(file('{ path: /etc/shadow, access: [read] }'))
    const before = sensor.sensor.keys('place_prefixes').length
    kernel.retire(profile.id)
    assert.equal(sensor.sensor.lookup('profiles', encodeU32(profile.id), new Uint8Array(MAP_PROFILE_BYTES)), false)
    assert.equal(sensor.sensor.keys('place_prefixes').length, before, 'hooks that found the profile may still ask')
    kernel.sweep(profile.id)
    assert.ok(sensor.sensor.keys('place_prefixes').length < before)
  })
})
