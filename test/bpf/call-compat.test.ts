/** programs/call.bpf.c through int 0x80 and with the x32 marker: seen as what they are, in tables of their own. */
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Access, Act, CallFlag, FdKind } from '../../src/sensor/generated/abi.js'
import { sys32 } from '../support/call-acts.js'
import {
  AT_FDCWD,
  CallStage,
  ENOENT,
  fileFacts,
  type Given,
  O_RDWR,
  POINTER,
  s,
  skipCalls,
} from '../support/call-stage.js'
import { run } from '../support/process.js'
import { actWord, NO_IA32 } from '../support/sensor-acts.js'

const IA32 = 1
const X32 = 2
const X32_BIT = 0x40000000
const CLAIMED = CallFlag.HAS_RESULT | CallFlag.PATH_UNRESOLVED
const IN_MEMORY = CallFlag.HAS_RESULT | CallFlag.USER_MEMORY
const [RWX, ANONYMOUS] = [7, 0x22]
const [INET, STREAM, TCP] = [2, 1, 6]

describe('acts through the compatibility calls', { skip: skipCalls }, () => {
  let stage: CallStage
  let hasIa32 = false
  before(async () => {
    stage = await CallStage.open()
    hasIa32 = /^20 [1-9]/.test((await run(stage.at('calls'), ['sys32', '20'])).stdout)
  })
  after(() => stage.close())

  const ia32Test = (title: string, body: () => Promise<void>) =>
    test(title, async (context) => {
      if (!hasIa32) return context.skip(NO_IA32)
      return body()
    })
  const named = (raw: string): Given => ({ abi: IA32, raw, path: stage.at(raw), flags: CLAIMED })

  ia32Test('files, with the calls that only ia32 has', async () => {
    const file = stage.at('made')
    writeFileSync(file, '')
    const done = await stage.doing(
      ['open', 'unlink', 'chown', 'truncate', 'umount'],
      'chdir',
      actWord(stage.dir),
      ...sys32('open', s(file), O_RDWR, 0),
      ...sys32('openat', AT_FDCWD, s(file), 0, 0),
      ...sys32('unlink', s('none')),
      ...sys32('chown32', s('made'), 1, 2),
      ...sys32('lchown32', s('made'), 3, 4),
      ...sys32('fchown32', '$0', 5, 6),
      ...sys32('truncate64', s('made'), 0, 0),
      ...sys32('ftruncate64', '$0', 0, 0),
      ...sys32('umount', s('none')),
    )
    const own = { path: file, ...fileFacts(file) }
    stage.assertAll(
      done,
      {
        abi: IA32,
        call: 'open',
        args: [POINTER, O_RDWR],
        facts: [O_RDWR],
        access: Access.READ | Access.WRITE,
        raw: file,
        result: 3n,
        fd: 3,
        ...own,
      },
      { abi: IA32, call: 'openat', args: [-100, POINTER], access: Access.READ, raw: file, result: 4n, fd: 4, ...own },
      { call: 'unlink', args: [POINTER], result: ENOENT, ...named('none') },
      { call: 'chown32', args: [POINTER, 1, 2], ...named('made') },
      { call: 'lchown32', args: [POINTER, 3, 4], ...named('made') },
      { abi: IA32, call: 'fchown32', args: [3, 5, 6], fd: 3, ...own },
      { call: 'truncate64', args: [POINTER], ...named('made') },
      { abi: IA32, call: 'ftruncate64', args: [3], fd: 3, ...own },
      { call: 'umount', args: [POINTER], result: ENOENT, ...named('none') },
    )
  })

  ia32Test('ids, with 32 bits and with 16', async () => {
    const done = await stage.doing(
      ['setuid', 'setgid'],
      ...sys32('setgroups32', 1, 'args:5'),
      ...sys32('setregid32', -1, 70_001),
      ...sys32('setresgid32', 1, 2, 3),
      ...sys32('setfsgid32', 4),
      ...sys32('setgid32', 5),
      ...sys32('setgid', 6),
      ...sys32('setreuid32', -1, 0),
      ...sys32('setfsuid32', 9),
      ...sys32('setresuid32', 0, 0, 0),
      ...sys32('setuid32', 70_000),
      ...sys32('setuid', 0),
    )
    const id = (call: string, args: number[], facts: number[], rest: Given = {}): Given => ({
      abi: IA32,
      call,
      args,
      facts,
      ...rest,
    })
    stage.assertAll(
      done,
      { abi: IA32, call: 'setgroups32', args: [1, POINTER] },
      id('setregid32', [-1, 70_001], [0, 70_001, 70_001, 70_001], { gid: 70_001 }),
      id('setresgid32', [1, 2, 3], [1, 2, 3, 2], { gid: 2 }),
      id('setfsgid32', [4], [1, 2, 3, 4], { gid: 2, result: 2n }),
      id('setgid32', [5], [5, 5, 5, 5], { gid: 5 }),
      id('setgid', [6], [6, 6, 6, 6], { gid: 6 }),
      id('setreuid32', [-1, 0], [0, 0, 0, 0], { gid: 6 }),
      id('setfsuid32', [9], [0, 0, 0, 9], { gid: 6 }),
      id('setresuid32', [0, 0, 0], [0, 0, 0, 0], { gid: 6 }),
      id('setuid32', [70_000], [70_000, 70_000, 70_000, 70_000], { uid: 70_000, gid: 6 }),
      id('setuid', [0], [70_000, 70_000, 70_000, 70_000], { uid: 70_000, gid: 6, result: -1n }),
    )
  })

  ia32Test('calls whose arguments stand in memory: old mmap, socketcall', async () => {
    const done = await stage.doing(
      ['mmap', 'socket', 'bind'],
      ...sys32('mmap2', 0, 4096, RWX, ANONYMOUS, -1, 0),
      ...['sys32', 90, `args:0:4096:${RWX}:${ANONYMOUS}:-1:0`],
      ...sys32('socketcall', 1, `args:${INET}:${STREAM}:0`),
      ...sys32('socketcall', 2, 'args:$2:0:16'),
    )
    const low = (index: number) => BigInt.asUintN(32, done.results[index] ?? 0n)
    const mapped = (event: { result: bigint }, index: number): Given => ({
      // ia32 addresses above 2 GiB read as negative numbers from the program
      result: BigInt.asUintN(32, event.result) === low(index) ? event.result : low(index),
      args: [0, 4096, RWX, ANONYMOUS, -1],
      abi: IA32,
    })
    const socket = { inode: done.events[2]?.inode ?? 0n, dev: done.events[2]?.dev ?? 0, fdKind: FdKind.SOCKET }
    const any = `${'\0'.repeat(10)}\xff\xff\0\0\0\0`
    const inet = { family: INET, socketType: STREAM, proto: TCP, mode: 0o140777, fd: 3, ...socket }
    stage.assertAll(
      done,
      (event) => ({ call: 'mmap2', ...mapped(event, 0) }),
      (event) => ({ call: 'mmap', ...mapped(event, 1), flags: IN_MEMORY }),
      {
        abi: IA32,
        call: 'socketcall',
        act: Act.SOCKET,
        args: [INET, STREAM],
        facts: [0, 0, 0, 1],
        result: 3n,
        flags: IN_MEMORY,
        local: any,
        ...inet,
      },
      {
        abi: IA32,
        call: 'socketcall',
        act: Act.BIND,
        args: [3, 0, 16],
        facts: [0, 0, 0, 2],
        result: -14n,
        flags: IN_MEMORY,
        local: any,
        ...inet,
      },
    )
  })

  test('with the x32 marker: seen whether the kernel serves it or not', async () => {
    const raw = stage.at('x32')
    const done = await stage.doing('mkdir', ...['sys', X32_BIT + 83, s(raw), 0o700])
    const claimed = { raw, path: raw, flags: CLAIMED }
    stage.assertAll(done, {
      abi: X32,
      call: 'mkdir',
      args: [POINTER, 0o700],
      result: done.results[0] ?? 0n,
      ...claimed,
    })
  })
})
