/** programs/call.bpf.c, namespaces, mounts and roots: every call of each act, with every field. */
import assert from 'node:assert/strict'
import { mkdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { CallFlag, FdKind } from '../../src/sensor/generated/abi.js'
import { sys } from '../support/call-acts.js'
import { AT_FDCWD, CallStage, ENOENT, fileFacts, POINTER, s, skipCalls } from '../support/call-stage.js'
import { actWord } from '../support/sensor-acts.js'

const EINVAL = -22n
const CLAIMED = CallFlag.HAS_RESULT | CallFlag.PATH_UNRESOLVED
const MS_BIND = 0x1000
const PRIVATE = 0x44000 // MS_REC | MS_PRIVATE
const NEW_UTS = 0x4000000
const NEW_NET = 0x40000000
const name16 = (text: string) => text.padEnd(16, '\0')
/** Keeps what the process mounts to its own namespace. */
const keepPrivate = sys('mount', s('none'), s('/'), 0, PRIVATE, 0)
const privateMount = {
  call: 'mount',
  args: [POINTER, POINTER, 0, PRIVATE],
  path: '/',
  raw: '/',
  raw2: 'none',
  flags: CLAIMED | CallFlag.USER_MEMORY,
} as const

describe('namespaces and mounts', { skip: skipCalls }, () => {
  let stage: CallStage
  before(async () => {
    stage = await CallStage.open()
  })
  after(() => stage.close())
  const at = (name: string) => stage.at(name)
  const folder = (name: string) => {
    mkdirSync(at(name), { recursive: true })
    return at(name)
  }

  test('every field of unshare and setns', async () => {
    const done = await stage.doing(
      ['unshare', 'setns'],
      ...sys('open', s('/proc/self/ns/uts'), 0),
      ...sys('unshare', NEW_UTS),
      ...sys('setns', '$0', NEW_UTS),
      ...sys('setns', '$0', NEW_NET),
      ...sys('unshare', 1),
    )
    const [, inode] = /\[(\d+)\]/.exec(readlinkSync('/proc/self/ns/uts')) ?? []
    const { dev } = statSync('/proc/self/ns/uts')
    const uts = {
      fd: 3,
      fdKind: FdKind.NAMESPACE,
      inode: BigInt(inode ?? 0),
      dev,
      mode: 0o100444,
    }
    const path = readlinkSync('/proc/self/ns/uts')
    stage.assertAll(
      done,
      { call: 'unshare', args: [NEW_UTS] },
      { call: 'setns', args: [3, NEW_UTS], ...uts, path },
      { call: 'setns', args: [3, NEW_NET], result: EINVAL, ...uts, path },
      { call: 'unshare', args: [1], result: EINVAL },
    )
  })

  test('every field of mount and umount: by path', async () => {
    const place = folder('place')
    const done = await stage.doing(
      ['mount', 'umount'],
      'chdir',
      actWord(stage.dir),
      ...keepPrivate,
      ...sys('mount', s('some source'), s('./place'), s('tmpfs'), 6, s('size=1m')),
      ...sys('umount2', s('place'), 2),
      ...sys('mount', s('/etc'), s('none'), 0, MS_BIND, 0),
      ...sys('umount2', s(place), 0),
    )
    stage.assertAll(
      done,
      privateMount,
      {
        call: 'mount',
        args: [POINTER, POINTER, POINTER, 6, POINTER],
        path: place,
        raw: './place',
        raw2: 'some source',
        tag: name16('tmpfs'),
        flags: CLAIMED | CallFlag.USER_MEMORY,
      },
      { call: 'umount2', args: [POINTER, 2], path: place, raw: 'place', flags: CLAIMED },
      {
        call: 'mount',
        args: [POINTER, POINTER, 0, MS_BIND],
        path: at('none'),
        raw: 'none',
        raw2: '/etc',
        flags: CLAIMED | CallFlag.USER_MEMORY,
        result: ENOENT,
      },
      { call: 'umount2', args: [POINTER], path: place, raw: place, flags: CLAIMED, result: EINVAL },
    )
  })

  test('every field of mount: by descriptor', async () => {
    const place = folder('by-descriptor')
    const done = await stage.doing(
      'mount',
      ...keepPrivate,
      ...sys('fsopen', s('tmpfs'), 0),
      ...sys('fsconfig', '$1', 6, 0, 0, 0),
      ...sys('fsmount', '$1', 0, 0),
      ...sys('move_mount', '$3', s(''), AT_FDCWD, s(place), 4),
      ...sys('open_tree', AT_FDCWD, s(place), 1),
    )
    stage.assertAll(
      done,
      privateMount,
      { call: 'fsmount', args: [3], result: 4n, flags: CallFlag.HAS_RESULT | CallFlag.USER_MEMORY },
      {
        call: 'move_mount',
        args: [4, POINTER, AT_FDCWD, POINTER, 4],
        path: place,
        raw: place,
        flags: CLAIMED | CallFlag.USER_MEMORY,
      },
      {
        call: 'open_tree',
        args: [AT_FDCWD, POINTER, 1],
        path: place,
        raw: place,
        result: 5n,
        flags: CLAIMED | CallFlag.USER_MEMORY,
      },
    )
  })

  test('every field of pivot_root and chroot: from the root of the mount namespace', async () => {
    const root = folder('root')
    folder('root/old')
    folder('root/jail')
    const done = await stage.doing(
      ['pivot_root', 'chroot'],
      ...keepPrivate,
      ...sys('mount', s(root), s(root), 0, MS_BIND, 0),
      ...sys('pivot_root', s(root), s(`${root}/none`)),
      ...sys('pivot_root', s(root), s(`${root}/old`)),
      ...sys('chroot', s('/jail')),
      ...sys('chroot', s('/none')),
    )
    stage.assertAll(
      done,
      {
        call: 'pivot_root',
        args: [POINTER, POINTER],
        path: root,
        raw: root,
        path2: `${root}/none`,
        raw2: `${root}/none`,
        result: ENOENT,
        flags: CLAIMED,
      },
      {
        call: 'pivot_root',
        args: [POINTER, POINTER],
        path: root,
        raw: root,
        path2: `${root}/old`,
        raw2: `${root}/old`,
        flags: CLAIMED,
      },
      { call: 'chroot', args: [POINTER], path: '/jail', raw: '/jail' },
      { call: 'chroot', args: [POINTER], path: '/jail/none', raw: '/none', result: ENOENT, flags: CLAIMED },
    )
  })

  test('a mount is crossed: the file below it, and the one that it hides', async () => {
    const place = folder('crossed')
    folder('crossed/sub')
    writeFileSync(at('crossed/file'), 'below')
    const done = await stage.doing(
      'open',
      ...sys('open', s(`${place}/file`), 0),
      ...keepPrivate,
      ...sys('mount', s('none'), s(place), s('tmpfs'), 0, 0),
      ...sys('open', s(`${place}/file`), 0o102, 0o600),
      ...sys('open', s(`${place}/sub/../file`), 0),
    )
    const [below, above, none] = done.events
    assert.deepEqual([below?.path, above?.path, none?.path], [`${place}/file`, `${place}/file`, `${place}/file`])
    assert.equal(below?.inode, fileFacts(`${place}/file`).inode)
    assert.notEqual(above?.dev, below?.dev)
    assert.equal(none?.result, ENOENT)
  })
})
