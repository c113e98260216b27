/** programs/call.bpf.c, names of files and what is done to files: every call of each act, with every field. */
import assert from 'node:assert/strict'
import { linkSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { CallFlag, FdKind } from '../../src/sensor/generated/abi.js'
import { sys } from '../support/call-acts.js'
import {
  AT_FDCWD,
  CallStage,
  ENOENT,
  fileFacts,
  O_CREAT,
  O_RDWR,
  POINTER,
  s,
  skipCalls,
  u64,
} from '../support/call-stage.js'
import { actWord } from '../support/sensor-acts.js'

const CLAIMED = CallFlag.HAS_RESULT | CallFlag.PATH_UNRESOLVED
const AT_EMPTY_PATH = 0x1000
const AT_REMOVEDIR = 0x200
const EBADF = -9n

describe('acts on files', { skip: skipCalls }, () => {
  let stage: CallStage
  before(async () => {
    stage = await CallStage.open()
  })
  after(() => stage.close())
  const at = (name: string) => stage.at(name)
  /** Of a path that the call named. */
  const named = (raw: string) => ({ raw, path: at(raw), flags: CLAIMED })

  test('every field of mkdir, rmdir, unlink', async () => {
    writeFileSync(at('file'), '')
    writeFileSync(at('other'), '')
    const done = await stage.doing(
      ['mkdir', 'rmdir', 'unlink'],
      'chdir',
      actWord(stage.dir),
      ...sys('mkdir', s('folder'), 0o755),
      ...sys('mkdirat', AT_FDCWD, s('second'), 0o700),
      ...sys('rmdir', s('folder')),
      ...sys('rmdir', s('folder')),
      ...sys('unlink', s('file')),
      ...sys('unlinkat', AT_FDCWD, s('other'), 0),
      ...sys('unlinkat', AT_FDCWD, s('second'), AT_REMOVEDIR),
      ...sys('unlink', s('file')),
    )
    stage.assertAll(
      done,
      { call: 'mkdir', args: [POINTER, 0o755], ...named('folder') },
      { call: 'mkdirat', args: [AT_FDCWD, POINTER, 0o700], ...named('second') },
      { call: 'rmdir', args: [POINTER], ...named('folder') },
      { call: 'rmdir', args: [POINTER], ...named('folder'), result: ENOENT },
      { call: 'unlink', args: [POINTER], ...named('file') },
      { call: 'unlinkat', args: [AT_FDCWD, POINTER], ...named('other') },
      { call: 'unlinkat', args: [AT_FDCWD, POINTER, AT_REMOVEDIR], ...named('second') },
      { call: 'unlink', args: [POINTER], ...named('file'), result: ENOENT },
    )
  })

  test('every field of rename, link, symlink', async () => {
    writeFileSync(at('old'), '')
    mkdirSync(at('sub'))
    const done = await stage.doing(
      ['rename', 'link', 'symlink'],
      'chdir',
      actWord(stage.dir),
      ...sys('rename', s('old'), s('sub/../new')),
      ...sys('renameat', AT_FDCWD, s('new'), AT_FDCWD, s('newer')),
      ...sys('renameat2', AT_FDCWD, s('newer'), AT_FDCWD, s('newest'), 1),
      ...sys('open', s('sub'), 0),
      ...sys('link', s('newest'), s('sub/hard')),
      ...sys('linkat', '$3', s('hard'), AT_FDCWD, s('harder'), 0x400),
      ...sys('linkat', '$3', s('hard'), AT_FDCWD, s('harder'), 0),
      ...sys('symlink', s('../any thing'), s('soft')),
      ...sys('symlinkat', s('/x'), '$3', s('softer')),
    )
    const fd = Number(done.results[3])
    const to = (raw2: string) => ({ raw2, path2: at(raw2) })
    stage.assertAll(
      done,
      { call: 'rename', args: [POINTER, POINTER], ...named('old'), raw2: 'sub/../new', path2: at('new') },
      { call: 'renameat', args: [AT_FDCWD, POINTER, AT_FDCWD, POINTER], ...named('new'), ...to('newer') },
      { call: 'renameat2', args: [AT_FDCWD, POINTER, AT_FDCWD, POINTER, 1], ...named('newer'), ...to('newest') },
      { call: 'link', args: [POINTER, POINTER], ...named('newest'), ...to('sub/hard') },
      {
        call: 'linkat',
        args: [fd, POINTER, AT_FDCWD, POINTER, 0x400],
        ...named('hard'),
        path: at('sub/hard'),
        ...to('harder'),
      },
      {
        call: 'linkat',
        args: [fd, POINTER, AT_FDCWD, POINTER],
        ...named('hard'),
        path: at('sub/hard'),
        ...to('harder'),
        result: -17n,
      },
      { call: 'symlink', args: [POINTER, POINTER], ...named('soft'), raw2: '../any thing' },
      { call: 'symlinkat', args: [POINTER, fd, POINTER], ...named('softer'), path: at('sub/softer'), raw2: '/x' },
    )
  })

  test('every field of chmod, chown, truncate: the file of a descriptor, the claimed name of a path', async () => {
    const file = at('owned')
    writeFileSync(file, 'text')
    linkSync(file, at('owned-too'))
    const done = await stage.doing(
      ['chmod', 'chown', 'truncate'],
      'chdir',
      actWord(stage.dir),
      ...sys('open', s(file), O_RDWR),
      ...sys('fchmod', '$0', 0o644),
      ...sys('fchown', '$0', 7, 8),
      ...sys('ftruncate', '$0', 2),
      ...sys('fchownat', '$0', 's:', 9, -1, AT_EMPTY_PATH),
      ...sys('chmod', s('owned'), 0o600),
      ...sys('fchmodat', AT_FDCWD, s('owned'), 0o604),
      ...sys('chown', s('owned'), 1, 2),
      ...sys('lchown', s('owned'), 3, 4),
      ...sys('truncate', s('none'), 2),
      ...sys('fchmod', 900, 0o600),
    )
    const { inode, dev, fdKind } = fileFacts(file)
    const own = (permissions: number) => ({ fd: 3, inode, dev, fdKind, path: file, mode: 0o100000 | permissions })
    stage.assertAll(
      done,
      { call: 'fchmod', args: [3, 0o644], ...own(0o644) },
      { call: 'fchown', args: [3, 7, 8], ...own(0o644) },
      { call: 'ftruncate', args: [3, 2], ...own(0o644) },
      { call: 'fchownat', args: [3, POINTER, 9, -1, AT_EMPTY_PATH], ...own(0o644) },
      { call: 'chmod', args: [POINTER, 0o600], ...named('owned') },
      { call: 'fchmodat', args: [AT_FDCWD, POINTER, 0o604], ...named('owned') },
      { call: 'chown', args: [POINTER, 1, 2], ...named('owned') },
      { call: 'lchown', args: [POINTER, 3, 4], ...named('owned') },
      { call: 'truncate', args: [POINTER, 2], ...named('none'), result: ENOENT },
      { call: 'fchmod', args: [900, 0o600], result: EBADF, fd: 900 },
    )
    const { uid, gid, mode } = statSync(file)
    assert.deepEqual([uid, gid, mode & 0o7777], [3, 4, 0o604])
  })

  test('fchmodat2, where the kernel has it, of a descriptor through an empty path', async (context) => {
    const file = at('by-empty-path')
    writeFileSync(file, '')
    const done = await stage.doing(
      'chmod',
      ...sys('open', s(file), 0),
      ...sys('fchmodat2', '$0', 's:', 0o640, AT_EMPTY_PATH),
    )
    if (done.results[1] === -38n) return context.skip('no fchmodat2 here (Linux before 6.6)')
    const args = [3, POINTER, 0o640, AT_EMPTY_PATH] as const
    stage.assertAll(done, { call: 'fchmodat2', args, fd: 3, path: file, ...fileFacts(file) })
  })

  test('every field of dup and memfd: files with and without a name, descriptors without a file', async () => {
    const gone = at('gone')
    const done = await stage.doing(
      ['dup', 'memfd'],
      ...sys('open', s(gone), O_CREAT | O_RDWR, 0o600),
      ...sys('unlink', s(gone)),
      ...sys('dup', '$0'),
      ...sys('memfd_create', s('in memory'), 1),
      ...sys('dup2', '$3', 77),
      ...sys('eventfd2', 0, 0),
      ...sys('dup3', '$5', 78, 0x80000),
      ...sys('open', s('/dev/null'), 0),
      ...sys('dup', '$7'),
      ...sys('dup', 900),
    )
    const { dev, fdKind } = fileFacts(stage.at('calls'))
    const device = statSync('/dev/null')
    assert.ok(done.results[0] === 3n && done.results[2] === 4n && done.results[3] === 5n && done.results[5] === 6n)
    stage.assertAll(
      done,
      (event) => ({
        call: 'dup',
        args: [3],
        result: 4n,
        fd: 4,
        inode: event.inode,
        dev,
        fdKind,
        mode: 0o100600,
        path: gone,
        flags: CallFlag.HAS_RESULT | CallFlag.DELETED,
      }),
      (event) => ({
        call: 'memfd_create',
        args: [POINTER, 1],
        result: 5n,
        fd: 5,
        inode: event.inode,
        dev: event.dev,
        fdKind: FdKind.FILE,
        mode: 0o100777,
        path: '/memfd:in memory',
        raw: 'in memory',
        flags: CallFlag.HAS_RESULT | CallFlag.MEMFD,
      }),
      (event) => ({
        call: 'dup2',
        args: [5, 77],
        result: 77n,
        fd: 77,
        inode: event.inode,
        dev: event.dev,
        fdKind: FdKind.FILE,
        mode: 0o100777,
        path: '/memfd:in memory',
        flags: CallFlag.HAS_RESULT | CallFlag.MEMFD,
      }),
      (event) => ({
        call: 'dup3',
        args: [6, 78, 0x80000],
        result: 78n,
        fd: 78,
        inode: event.inode,
        dev: event.dev,
        fdKind: FdKind.ANON,
        mode: event.mode,
        path: '[eventfd]',
      }),
      {
        call: 'dup',
        args: [7],
        result: 8n,
        fd: 8,
        inode: BigInt(device.ino),
        dev: device.dev,
        mode: device.mode,
        fdKind: FdKind.CHAR_DEVICE,
        path: '/dev/null',
      },
      { call: 'dup', args: [900], result: EBADF, fd: 900 },
    )
    assert.ok(done.events.slice(0, 4).every(({ inode, dev: on }) => inode !== 0n && on !== 0))
    assert.ok(u64(done.events[1]?.inode ?? 0n) === u64(done.events[2]?.inode ?? 1n))
  })

  test('memfd_secret, where the kernel has it', async (context) => {
    const done = await stage.doing('memfd', ...sys('memfd_secret', 0))
    if (done.results[0] === -38n) {
      stage.assertAll(done, { call: 'memfd_secret', result: -38n })
      return context.skip('no memfd_secret here: the refused call was told')
    }
    stage.assertAll(done, (event) => ({
      call: 'memfd_secret',
      result: done.results[0] ?? 0n,
      fd: Number(done.results[0]),
      inode: event.inode,
      dev: event.dev,
      mode: event.mode,
      fdKind: event.fdKind,
      path: event.path,
    }))
    assert.match(done.events[0]?.path ?? '', /secretmem/)
  })
})
