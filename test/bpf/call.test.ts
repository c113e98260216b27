/** programs/call.bpf.c, files: each act is done in a container and every field is asserted, of success and failure. */
import assert from 'node:assert/strict'
import { linkSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { syscallNumber } from '../../src/policy/syscalls.js'
import type { CallKind } from '../../src/record/call-model.js'
import { loadAddon } from '../../src/sensor/addon.js'
import { ALL_ACTS, actBit } from '../../src/sensor/call-recipes.js'
import { Access, Act, CallFlag, FdKind, Kind } from '../../src/sensor/generated/abi.js'
import { CallActs, sys } from '../support/call-acts.js'
import { makeTempDir, removeDir, requires, run } from '../support/process.js'
import { type CallFields, TestSensor, unforeseen } from '../support/sensor.js'
import { actWord } from '../support/sensor-acts.js'

const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (process.arch !== 'x64' && 'needs an x86-64 machine: the numbers are its own')

const AT_FDCWD = -100
const NONE_16 = '\0'.repeat(16)
const ENOENT = -2n
const O_CREAT = 0o100
const O_WRONLY = 1
const O_RDWR = 2

const u64 = (value: number): bigint => BigInt.asUintN(64, BigInt(value))
const s = (path: string) => `s:${actWord(path)}`

describe('acts on files', { skip }, () => {
  let dir: string
  let acts: CallActs
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    acts = await CallActs.compile(dir)
    sensor = new TestSensor()
    sensor.sensor.setActs({ wanted: ALL_ACTS })
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  const doing = async (kinds: CallKind | readonly CallKind[], ...words: (string | number)[]) => {
    const wanted = typeof kinds === 'string' ? [kinds] : kinds
    const cgroup = sensor.makeContainer({ acts: wanted.reduce((mask, kind) => mask | actBit(kind), 0n) })
    return acts.run(sensor, cgroup, words)
  }
  const only = ({ events }: { events: CallFields[] }): CallFields => {
    assert.equal(events.length, 1, JSON.stringify(events.map(({ nr, path }) => [nr, path])))
    const [event] = events
    assert.ok(event)
    return event
  }
  const nothing = {
    action: 0,
    rung: 0,
    decided: 0n,
    violated: 0n,
    profile: 0,
    programVersion: 0,
    phase: 0,
    uid: 0,
    gid: 0,
    kind: Kind.CALL,
    abi: 0,
    fd: -1,
    inode: 0n,
    dev: 0,
    mode: 0,
    fdKind: FdKind.NONE,
    access: 0,
    family: 0,
    proto: 0,
    socketType: 0,
    localPort: 0,
    remotePort: 0,
    local: NONE_16,
    remote: NONE_16,
    tag: NONE_16,
    repeatsCount: 0,
    targetPid: 0,
    targetStartNs: 0n,
    targetCgroupId: 0n,
    facts: [0n, 0n, 0n, 0n],
    path: '',
    path2: '',
    raw: '',
    raw2: '',
    capGained: 0n,
  }
  /** Everything that is not given is as `nothing`; lengths follow from the strings. */
  const expected = (event: CallFields, since: bigint, given: Partial<CallFields>): CallFields => {
    const whole = { ...nothing, ...given }
    const { path, path2, raw, raw2 } = whole
    return {
      ...whole,
      ...unforeseen(event, since),
      cgroupId: event.cgroupId,
      pid: event.pid,
      tid: event.pid,
      args: given.args ?? event.args,
      pathBytes: path.length,
      path2Bytes: path2.length,
      rawBytes: raw.length,
      raw2Bytes: raw2.length,
      sizeBytes: 312 + path.length + path2.length + raw.length + raw2.length,
    } as CallFields
  }
  const fileFacts = (path: string) => {
    const { ino, dev, mode } = statSync(path)
    return { inode: BigInt(ino), dev, mode }
  }

  test('every field of an open that worked: the resolved file, not what the program wrote', async () => {
    const file = join(dir, 'real')
    writeFileSync(file, '')
    symlinkSync(file, join(dir, 'link'))
    const since = loadAddon().bootClockNs()
    const done = await doing('open', ...sys('openat', AT_FDCWD, s(`${dir}/./link`), O_RDWR, 0o600))
    const event = only(done)
    assert.deepEqual(
      event,
      expected(event, since, {
        nr: syscallNumber('openat') ?? 0,
        act: Act.OPEN,
        result: done.results[0] ?? 0n,
        flags: CallFlag.HAS_RESULT,
        args: [u64(AT_FDCWD), event.args[1] ?? 0n, BigInt(O_RDWR), 0o600n, 0n, 0n],
        facts: [BigInt(O_RDWR), 0o600n, 0n, 0n],
        fd: Number(done.results[0]),
        fdKind: FdKind.FILE,
        access: Access.READ | Access.WRITE,
        path: file,
        raw: `${dir}/./link`,
        ...fileFacts(file),
      }),
    )
    assert.equal(event.pid, done.pid)
  })

  test('every field of an open that failed: the claimed path, joined and marked', async () => {
    const since = loadAddon().bootClockNs()
    const done = await doing('open', 'chdir', actWord(dir), ...sys('open', s('sub/../none//x/.'), O_WRONLY, 0))
    const event = only(done)
    assert.deepEqual(done.results, [ENOENT])
    assert.deepEqual(
      event,
      expected(event, since, {
        nr: 2,
        act: Act.OPEN,
        result: ENOENT,
        flags: CallFlag.HAS_RESULT | CallFlag.PATH_UNRESOLVED,
        facts: [BigInt(O_WRONLY), 0n, 0n, 0n],
        access: Access.WRITE,
        path: `${dir}/none/x`,
        raw: 'sub/../none//x/.',
      }),
    )
  })

  test('open, openat2 and creat tell what was asked and whether the file was made', async () => {
    const [made, again] = [join(dir, 'made'), join(dir, 'again')]
    const done = await doing(
      'open',
      ...sys('open', s(made), O_CREAT | O_WRONLY, 0o640),
      ...sys('open', s(made), O_CREAT | O_WRONLY, 0o640),
      ...sys('creat', s(again), 0o600),
      ...sys('openat2', AT_FDCWD, s(made), `how:${O_RDWR}:0:8`, 24),
      ...sys('openat2', AT_FDCWD, s('/etc/../etc/passwd'), 'how:0:0:0', 24),
    )
    const shown = done.events.map(({ access, flags, path, facts }) => [
      access,
      (flags & CallFlag.CREATED) !== 0,
      (flags & CallFlag.USER_MEMORY) !== 0,
      path,
      facts[2],
    ])
    const write = Access.WRITE | Access.CREATE
    assert.deepEqual(shown, [
      [write, true, false, made, 0n],
      [write, false, false, made, 0n],
      [write, true, false, again, 0n],
      // RESOLVE_BENEATH refuses an absolute path
      [Access.READ | Access.WRITE, false, true, made, 8n],
      [Access.READ, false, true, '/etc/passwd', 0n],
    ])
    assert.equal(done.results[3], -18n)
  })

  test('paths: bytes that are no text, 4,096 bytes, a deleted directory, /proc/self/root', async () => {
    const odd = join(dir, 'n\n\u001b[31m\xff')
    const oddBytes = Buffer.from(odd, 'latin1')
    writeFileSync(oddBytes, '')
    let deep = join(dir, 'd')
    while (deep.length < 3600) deep = join(deep, 'x'.repeat(200))
    mkdirSync(deep, { recursive: true })
    writeFileSync(join(deep, 'f'), '')
    const done = await doing(
      'open',
      ...sys('open', `s:${actWord(oddBytes)}`, 0),
      ...sys('open', s(join(deep, 'f')), 0),
      ...sys('open', s(`/proc/self/root${dir}/made`), 0),
      ...sys('open', `s:${'/y'.repeat(2047)}`, 0),
      ...sys('open', `s:${'/y'.repeat(2100)}`, 0),
    )
    const [first, second, third, long, tooLong] = done.events
    assert.equal(first?.path, oddBytes.toString('latin1'))
    assert.equal(second?.path, join(deep, 'f'))
    assert.equal(third?.path, `${dir}/made`)
    assert.equal(long?.path, '/y'.repeat(2047))
    assert.equal((long?.flags ?? 0) & CallFlag.PATH_TRUNCATED, 0)
    assert.ok((tooLong?.flags ?? 0) & CallFlag.PATH_TRUNCATED)
    assert.deepEqual(done.results.slice(3), [ENOENT, -36n])
  })

  test('a chroot does not shorten a path, and the bind mount is crossed', async () => {
    mkdirSync(join(dir, 'jail/inner'), { recursive: true })
    writeFileSync(join(dir, 'jail/inner/file'), '')
    const done = await doing(
      ['open', 'chroot', 'mount'],
      ...sys('chroot', s(join(dir, 'jail'))),
      ...sys('open', s('/inner/file'), 0),
      ...sys('open', s('/inner/none'), 0),
    )
    const [chrooted, opened, failed] = done.events
    assert.equal(chrooted?.path, join(dir, 'jail'))
    assert.equal(opened?.path, join(dir, 'jail/inner/file'))
    assert.equal(failed?.path, join(dir, 'jail/inner/none'))
  })

  test('names that are made, changed and removed', async () => {
    const at = (name: string) => join(dir, name)
    writeFileSync(at('old'), '')
    const done = await doing(
      ['unlink', 'rename', 'link', 'symlink', 'mkdir', 'rmdir'],
      'chdir',
      actWord(dir),
      ...sys('mkdir', s('folder'), 0o755),
      ...sys('rename', s('old'), s('folder/../new')),
      ...sys('renameat2', AT_FDCWD, s('new'), AT_FDCWD, s('newer'), 1),
      ...sys('link', s('newer'), s('folder/hard')),
      ...sys('symlinkat', s('../any thing'), AT_FDCWD, s('soft')),
      ...sys('unlinkat', AT_FDCWD, s('folder/hard'), 0),
      ...sys('unlink', s('soft')),
      ...sys('rmdir', s('folder')),
      ...sys('rmdir', s('folder')),
    )
    const shown = done.events.map(({ act, result, path, path2, raw, raw2, flags }) => {
      assert.equal(flags, CallFlag.HAS_RESULT | CallFlag.PATH_UNRESOLVED)
      return [act, result, path, path2, raw, raw2]
    })
    assert.deepEqual(shown, [
      [Act.MKDIR, 0n, at('folder'), '', 'folder', ''],
      [Act.RENAME, 0n, at('old'), at('new'), 'old', 'folder/../new'],
      [Act.RENAME, 0n, at('new'), at('newer'), 'new', 'newer'],
      [Act.LINK, 0n, at('newer'), at('folder/hard'), 'newer', 'folder/hard'],
      [Act.SYMLINK, 0n, at('soft'), '', 'soft', '../any thing'],
      [Act.UNLINK, 0n, at('folder/hard'), '', 'folder/hard', ''],
      [Act.UNLINK, 0n, at('soft'), '', 'soft', ''],
      [Act.RMDIR, 0n, at('folder'), '', 'folder', ''],
      [Act.RMDIR, ENOENT, at('folder'), '', 'folder', ''],
    ])
  })

  test('by descriptor: the file it stands for, through chmod, chown, truncate and dup', async () => {
    const file = join(dir, 'owned')
    writeFileSync(file, 'text')
    linkSync(file, join(dir, 'owned-too'))
    const done = await doing(
      ['chmod', 'chown', 'truncate', 'dup'],
      ...sys('open', s(file), O_RDWR),
      ...sys('fchmod', '$0', 0o644),
      ...sys('fchown', '$0', 7, 8),
      ...sys('ftruncate', '$0', 2),
      ...sys('dup2', '$0', 77),
      ...sys('fchownat', '$0', 's:', 9, -1, 0x1000),
      ...sys('fchmodat', AT_FDCWD, s(file), 0o4755),
      ...sys('chown', s(file), 1, 2),
      ...sys('truncate', s(join(dir, 'none')), 2),
    )
    const { ino } = statSync(file)
    const shown = done.events.map(({ act, fd, path, inode, flags }) => [act, fd, path, inode, flags])
    const resolved = CallFlag.HAS_RESULT
    const claimed = CallFlag.HAS_RESULT | CallFlag.PATH_UNRESOLVED
    assert.deepEqual(shown, [
      [Act.CHMOD, 3, file, BigInt(ino), resolved],
      [Act.CHOWN, 3, file, BigInt(ino), resolved],
      [Act.TRUNCATE, 3, file, BigInt(ino), resolved],
      [Act.DUP, 77, file, BigInt(ino), resolved],
      [Act.CHOWN, 3, file, BigInt(ino), resolved],
      [Act.CHMOD, -1, file, 0n, claimed],
      [Act.CHOWN, -1, file, 0n, claimed],
      [Act.TRUNCATE, -1, join(dir, 'none'), 0n, claimed],
    ])
    assert.equal(statSync(file).mode & 0o7777, 0o4755 & ~0o6000 & 0o7777)
  })

  test('a deleted file, one in memory, and descriptors without a file', async () => {
    const gone = join(dir, 'gone')
    const done = await doing(
      ['dup', 'memfd'],
      ...sys('open', s(gone), O_CREAT | O_RDWR, 0o600),
      ...sys('unlink', s(gone)),
      ...sys('dup', '$0'),
      ...sys('memfd_create', s('in memory'), 0),
      ...sys('dup', '$3'),
      ...sys('eventfd2', 0, 0),
      ...sys('dup', '$5'),
      ...sys('open', s('/dev/null'), 0),
      ...sys('dup', '$7'),
      ...sys('dup', 900),
    )
    const shown = done.events.map(({ act, fdKind, path, flags, raw }) => [act, fdKind, path, flags & ~1, raw])
    assert.deepEqual(shown, [
      [Act.DUP, FdKind.FILE, gone, CallFlag.DELETED, ''],
      [Act.MEMFD, FdKind.FILE, '/memfd:in memory', CallFlag.MEMFD, 'in memory'],
      [Act.DUP, FdKind.FILE, '/memfd:in memory', CallFlag.MEMFD, ''],
      [Act.DUP, FdKind.ANON, '[eventfd]', 0, ''],
      [Act.DUP, FdKind.CHAR_DEVICE, '/dev/null', 0, ''],
      [Act.DUP, FdKind.NONE, '', 0, ''],
    ])
    assert.equal(done.events.at(-1)?.result, -9n)
  })

  test('through int 0x80 and the x32 marker: the act, in the table of its own', async (context) => {
    const probe = await run(join(dir, 'calls'), ['sys32', '20'])
    if (!/^20 [1-9]/.test(probe.stdout)) {
      context.skip('the kernel has no 32-bit calls (CONFIG_IA32_EMULATION)')
      return
    }
    const file = join(dir, 'made')
    const done = await doing(
      ['open', 'unlink', 'mkdir'],
      ...['sys32', 5, s(file), O_RDWR, 0],
      ...['sys32', 295, AT_FDCWD, s(file), 0, 0],
      ...['sys32', 10, s(join(dir, 'none'))],
      ...['sys', 0x40000000 + 83, s(join(dir, 'x32')), 0o700],
    )
    const shown = done.events.map(({ act, abi, nr, path, result }) => [act, abi, nr, path, result >= 0n])
    assert.deepEqual(shown.slice(0, 3), [
      [Act.OPEN, 1, 5, file, true],
      [Act.OPEN, 1, 295, file, true],
      [Act.UNLINK, 1, 10, join(dir, 'none'), false],
    ])
    // Whether the kernel serves x32 or not, the call is seen.
    assert.deepEqual(shown[3]?.slice(0, 4), [Act.MKDIR, 2, 83, join(dir, 'x32')])
  })

  test('what nobody wants is not reported, and leaves no hole in the numbers', async () => {
    const numbers: bigint[] = []
    const unwanted = await doing('unlink', ...sys('open', s('/etc/passwd'), 0), ...sys('mkdir', s('/etc'), 0))
    assert.deepEqual(unwanted.events, [])
    const none = await acts.run(sensor, sensor.makeContainer(), sys('open', s('/etc/passwd'), 0))
    assert.deepEqual(none.events, [])
    const outside = sensor.makeCgroup()
    sensor.sensor.removeCgroup(outside.id)
    const unwatched = await acts.run(sensor, outside, sys('open', s('/etc/passwd'), 0))
    assert.deepEqual(unwatched.events, [])
    for (const { event } of sensor.all) if (event.cpu === 0) numbers.push(event.cpuSeq)
    const sorted = numbers.toSorted((a, b) => Number(a - b))
    for (const [index, number] of sorted.entries()) if (index > 0) assert.equal(number, (sorted[index - 1] ?? 0n) + 1n)
  })
})
