/** native/system_calls.cc: the calls that Node lacks answer with a descriptor, 0, or a negative errno. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, linkSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadAddon } from '../../src/sensor/addon.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'

const addon = loadAddon()
const [EPERM, ENOENT, ESRCH, EBADF, EAGAIN, EFAULT, EISDIR, EINVAL, ELOOP] = [-1, -2, -3, -9, -11, -14, -21, -22, -40]
const SIGTERM = 15
/** No kernel gives a pid this high (PID_MAX_LIMIT is 4,194,304). */
const NO_PID = 4_194_305
/** The clocks are read one after the other, and Date.now() is whole milliseconds. */
const CLOCKS_APART_NS = 50_000_000n

describe('pidfd', () => {
  test('a descriptor means the very process, and knows when it is gone', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    assert.ok(child.pid)
    const fd = addon.pidfdOpen(child.pid)
    assert.ok(fd >= 0)
    assert.equal(addon.pidfdSendSignal(fd, 0), 0)
    assert.equal(addon.pidfdSendSignal(fd, 1000), EINVAL)
    const ended = once(child, 'exit')
    assert.equal(addon.pidfdSendSignal(fd, SIGTERM), 0)
    assert.deepEqual(await ended, [null, 'SIGTERM'])
    assert.equal(addon.pidfdSendSignal(fd, SIGTERM), ESRCH)
    closeSync(fd)
    assert.equal(addon.pidfdSendSignal(fd, SIGTERM), EBADF)
  })

  test('a pid that nobody has, or nobody can have, gives no descriptor', () => {
    assert.ok([ESRCH, EINVAL].includes(addon.pidfdOpen(NO_PID)))
    assert.equal(addon.pidfdOpen(0), EINVAL)
    assert.equal(addon.pidfdOpen(-1), EINVAL)
  })
})

describe('lockFile', () => {
  test('one descriptor holds the lock, another is told so at once, and closing gives it back', () => {
    const dir = makeTempDir()
    const file = join(dir, 'lock')
    const [first, second] = [openSync(file, 'w'), openSync(file, 'w')]
    assert.equal(addon.lockFile(first), 0)
    assert.equal(addon.lockFile(first), 0)
    assert.equal(addon.lockFile(second), EAGAIN)
    closeSync(first)
    assert.equal(addon.lockFile(second), 0)
    closeSync(second)
    assert.equal(addon.lockFile(second), EBADF)
    removeDir(dir)
  })
})

describe('isSameFileInRoot', () => {
  let dir: string
  let root: string
  const inRoot = (path: string, other: string) => addon.isSameFileInRoot(root, path, join(dir, other))

  before(() => {
    dir = makeTempDir()
    root = join(dir, 'root')
    mkdirSync(join(root, 'bin'), { recursive: true })
    writeFileSync(join(root, 'bin/tool'), 'tool')
    writeFileSync(join(root, 'bin/other'), 'tool')
    writeFileSync(join(dir, 'outside'), 'outside')
    linkSync(join(root, 'bin/tool'), join(root, 'hard'))
    symlinkSync('/bin/tool', join(root, 'absolute'))
    symlinkSync('../../../../bin/tool', join(root, 'bin/climbing'))
    symlinkSync('/outside', join(root, 'escape'))
    symlinkSync('loop', join(root, 'loop'))
  })
  after(() => removeDir(dir))

  test('a path is resolved as a process in that root would, symlinks included', () => {
    for (const path of [
      '/bin/tool',
      'bin/tool',
      '/./bin//tool',
      '/absolute',
      '/bin/climbing',
      '/hard',
      '/../../bin/tool',
    ])
      assert.equal(inRoot(path, 'root/bin/tool'), 1, path)
    assert.equal(inRoot('/bin/other', 'root/bin/tool'), 0)
  })

  test('nothing outside of the root is ever reached', () => {
    assert.equal(inRoot('/escape', 'outside'), ENOENT)
    assert.equal(inRoot('/../outside', 'outside'), ENOENT)
    assert.equal(inRoot(join(dir, 'outside'), 'outside'), ENOENT)
  })

  test('what is missing on either side is an errno, not an answer', () => {
    assert.equal(inRoot('/bin/none', 'root/bin/tool'), ENOENT)
    assert.equal(inRoot('/bin/tool', 'none'), ENOENT)
    assert.equal(inRoot('', 'root/bin/tool'), ENOENT)
    assert.equal(inRoot('/loop', 'root/bin/tool'), ELOOP)
    assert.equal(addon.isSameFileInRoot(join(dir, 'none'), '/bin/tool', join(root, 'bin/tool')), ENOENT)
    assert.ok(addon.isSameFileInRoot('/proc/self/root', '/proc/self/exe', process.execPath) < 0) // no magic links
  })
})

describe('clocks', () => {
  test('the boot clock goes on, and with its offset is the time of day', async () => {
    const first = addon.bootClockNs()
    await sleep(2)
    const second = addon.bootClockNs()
    assert.ok(second > first)
    // What comes between the readings on a busy machine lies between the times before and after them.
    const before = BigInt(Date.now()) * 1_000_000n
    const now = addon.bootClockNs() + addon.bootClockOffsetNs()
    const after = BigInt(Date.now()) * 1_000_000n
    assert.ok(now > before - CLOCKS_APART_NS && now < after + CLOCKS_APART_NS, `${now} from ${before} to ${after}`)
  })
})

describe('setThreadNice', () => {
  const niceOf = (stat: string) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
  const ownNice = () => niceOf(readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1'))

  test('the thread has it, and what it starts begins anew', { skip: requires({ root: true }) }, () => {
    const usual = ownNice()
    assert.equal(addon.setThreadNice(process.pid, -7), 0)
    try {
      assert.equal(ownNice(), -7)
      assert.equal(niceOf(execFileSync('cat', ['/proc/self/stat'], { encoding: 'latin1' })), 0)
    } finally {
      assert.equal(addon.setThreadNice(process.pid, usual), 0)
    }
    assert.equal(ownNice(), usual)
  })

  test('a thread that nobody has', () => {
    assert.equal(addon.setThreadNice(NO_PID, 0), ESRCH)
  })
})

describe('wrong arguments', () => {
  const wrongs: unknown[] = [undefined, null, 'text', {}, [], 1n, Symbol('s')]
  for (const name of ['pidfdOpen', 'pidfdSendSignal', 'lockFile', 'isSameFileInRoot', 'setThreadNice'] as const)
    test(`${name} throws a TypeError and calls nothing`, () => {
      const call = addon[name] as (...args: unknown[]) => unknown
      assert.throws(() => call(), TypeError)
      for (const wrong of wrongs) assert.throws(() => call(wrong, wrong, wrong === 'text' ? 1 : wrong), TypeError)
    })
})

describe('callOpens', () => {
  test('every call that opens is made, and none of them opens or makes anything', () => {
    const results = addon.callOpens(0o5246)
    assert.deepEqual(results.slice(0, -1), Array(process.arch === 'arm64' ? 2 : 4).fill(EISDIR))
    assert.ok([EPERM, EBADF, EFAULT].includes(results.at(-1) ?? 0), String(results))
  })
})
