/** programs/call.bpf.c, what a process does to itself, to others and to the kernel: every call of each act, with every field. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { CallFlag, FdKind } from '../../src/sensor/generated/abi.js'
import { sys } from '../support/call-acts.js'
import {
  CallStage,
  fileFacts,
  type Given,
  O_RDWR,
  POINTER,
  type StageDone,
  s,
  skipCalls,
} from '../support/call-stage.js'
import type { CallFields } from '../support/sensor.js'

const EPERM = -1n
const ESRCH = -3n
const EINVAL = -22n
const SIGKILL = 9
const SIGUSR1 = 10
const SIGWINCH = 28
const RW = 3
const RX = 5
const RWX = 7
const PRIVATE = 2
const ANONYMOUS = 0x22
const PAGE_BYTES = 4096
const TOLD_BY_USER = CallFlag.HAS_RESULT | CallFlag.USER_MEMORY

describe('acts of processes', { skip: skipCalls }, () => {
  let stage: CallStage
  before(async () => {
    stage = await CallStage.open()
  })
  after(() => stage.close())

  /** The child that was made by the call `index`, as a target. */
  const child = (done: StageDone, index: number) => (event: CallFields) => {
    assert.ok(event.targetStartNs > event.startNs && event.targetStartNs < event.bootNs)
    return {
      targetPid: Number(done.results[index]),
      targetStartNs: event.targetStartNs,
      targetCgroupId: event.cgroupId,
    }
  }

  test('every field of signal: each call that sends one, and the attempts that fail', async () => {
    const done = await stage.doing(
      'signal',
      'child',
      ...sys('kill', '$0', SIGWINCH),
      ...sys('tkill', '$0', SIGWINCH),
      ...sys('tgkill', '$0', '$0', SIGWINCH),
      ...sys('rt_sigqueueinfo', '$0', SIGWINCH, 'args:0:0:-1'),
      ...sys('rt_tgsigqueueinfo', '$0', '$0', SIGWINCH, 'args:0:0:-1'),
      ...sys('pidfd_open', '$0', 0),
      ...sys('pidfd_send_signal', '$6', SIGWINCH, 0, 0),
      ...sys('kill', '$0', 0),
      ...sys('kill', '@pid', SIGWINCH),
      ...sys('kill', 0x3ffffff, SIGUSR1),
    )
    const pid = Number(done.results[0])
    const sent =
      (call: string, ...args: NonNullable<Given['args']>) =>
      (event: CallFields) => ({
        call,
        args,
        facts: [args.at(-1) === SIGKILL ? SIGKILL : SIGWINCH],
        ...child(done, 0)(event),
      })
    stage.assertAll(
      done,
      sent('kill', pid, SIGWINCH),
      sent('tkill', pid, SIGWINCH),
      sent('tgkill', pid, pid, SIGWINCH),
      sent('rt_sigqueueinfo', pid, SIGWINCH, POINTER),
      sent('rt_tgsigqueueinfo', pid, pid, SIGWINCH, POINTER),
      sent('pidfd_send_signal', done.results[6] ?? 0n, SIGWINCH),
      // a signal 0 asks whether it could be sent, one to oneself is nobody's business
      { call: 'kill', args: [0x3ffffff, SIGUSR1], result: ESRCH },
      sent('kill', pid, SIGKILL),
    )
  })

  test('every field of setuid and setgid: the ids after each call, and who it was from then on', async () => {
    const done = await stage.doing(
      ['setuid', 'setgid'],
      ...sys('setgroups', 2, 'args:5:6'),
      ...sys('setregid', -1, 11),
      ...sys('setresgid', 12, 13, 14),
      ...sys('setfsgid', 15),
      ...sys('setgid', 16),
      ...sys('setreuid', -1, 0),
      ...sys('setfsuid', 21),
      ...sys('setresuid', 22, 23, 0),
      ...sys('setuid', 24),
      ...sys('setuid', 0),
    )
    stage.assertAll(
      done,
      { call: 'setgroups', args: [2, POINTER] },
      { call: 'setregid', args: [-1, 11], facts: [0, 11, 11, 11], gid: 11 },
      { call: 'setresgid', args: [12, 13, 14], facts: [12, 13, 14, 13], gid: 13 },
      { call: 'setfsgid', args: [15], result: 13n, facts: [12, 13, 14, 15], gid: 13 },
      { call: 'setgid', args: [16], facts: [16, 16, 16, 16], gid: 16 },
      { call: 'setreuid', args: [-1, 0], facts: [0, 0, 0, 0], gid: 16 },
      { call: 'setfsuid', args: [21], facts: [0, 0, 0, 21], gid: 16 },
      { call: 'setresuid', args: [22, 23, 0], facts: [22, 23, 0, 23], uid: 23, gid: 16 },
      { call: 'setuid', args: [24], result: EPERM, facts: [22, 23, 0, 23], uid: 23, gid: 16 },
      { call: 'setuid', args: [0], facts: [22, 0, 0, 0], gid: 16 },
    )
  })

  test('every field of capset: the sets after the call', async () => {
    const done = await stage.doing(
      'capset',
      ...sys('capset', 'caps', 'args:0xff:0x1ff:1:0:0:0'),
      ...sys('capset', 'caps', 'args:0xff:0xfff:0:0:0:0'),
    )
    const facts = [0xff, 0x1ff, 1, 0]
    stage.assertAll(
      done,
      { call: 'capset', args: [POINTER, POINTER], facts },
      { call: 'capset', args: [POINTER, POINTER], facts, result: EPERM },
    )
  })

  test('every field of ptrace: the tracer, the traced, and one that is not there', async () => {
    const done = await stage.doing(
      'ptrace',
      'child',
      ...sys('ptrace', 0x4206, '$0', 0, 0),
      ...sys('ptrace', 0x4207, '$0', 0, 0),
      ...sys('ptrace', 16, 0x3ffffff, 0, 0),
      'fork',
      ...sys('ptrace', 0, 0, 0, 0),
    )
    const pid = Number(done.results[0])
    stage.assertAll(
      done,
      (event) => ({ call: 'ptrace', args: [0x4206, pid], ...child(done, 0)(event) }),
      (event) => ({ call: 'ptrace', args: [0x4207, pid], ...child(done, 0)(event) }),
      { call: 'ptrace', args: [16, 0x3ffffff], result: ESRCH },
      // PTRACE_TRACEME: the parent traces from now on
      (event) => ({
        call: 'ptrace',
        args: [0],
        targetPid: done.pid,
        targetStartNs: done.events[0]?.startNs ?? 0n,
        targetCgroupId: event.cgroupId,
      }),
    )
    assert.notEqual(done.events[3]?.pid, done.pid)
  })

  test('every field of prctl: the options that bear on security, and no others', async () => {
    const done = await stage.doing(
      'prctl',
      ...sys('prctl', 15, s('a rather long name'), 0, 0, 0),
      ...sys('prctl', 16, 'buf:32', 0, 0, 0),
      ...sys('prctl', 4, 1, 0, 0, 0),
      ...sys('prctl', 38, 1, 0, 0, 0),
      ...sys('prctl', 24, 99, 0, 0, 0),
    )
    stage.assertAll(
      done,
      { call: 'prctl', args: [15, POINTER], tag: 'a rather long n\0', flags: TOLD_BY_USER },
      { call: 'prctl', args: [4, 1] },
      { call: 'prctl', args: [38, 1] },
      { call: 'prctl', args: [24, 99], result: EINVAL },
    )
  })

  test('every field of mmap and mprotect: to executable, of memory and of a file', async () => {
    const file = stage.at('mapped')
    writeFileSync(file, 'x'.repeat(PAGE_BYTES), { mode: 0o755 })
    const done = await stage.doing(
      ['mmap', 'mprotect'],
      ...sys('mmap', 0, PAGE_BYTES, RWX, ANONYMOUS, -1, 0),
      ...sys('mmap', 0, PAGE_BYTES, RX, ANONYMOUS, -1, 0),
      ...sys('mmap', 0, PAGE_BYTES, RW, ANONYMOUS, -1, 0),
      ...sys('open', s(file), O_RDWR),
      ...sys('mmap', 0, PAGE_BYTES, RX, PRIVATE, '$3', 0),
      ...sys('mmap', 0, PAGE_BYTES, RWX, PRIVATE, '$3', 0),
      ...sys('mmap', 0, 0, RWX, ANONYMOUS, -1, 0),
      ...sys('mprotect', '$2', PAGE_BYTES, RX),
      ...sys('mprotect', '$2', PAGE_BYTES, RW),
      ...sys('pkey_mprotect', '$2', PAGE_BYTES, RWX, -1),
    )
    const at = (index: number) => done.results[index] ?? 0n
    stage.assertAll(
      done,
      { call: 'mmap', args: [0, PAGE_BYTES, RWX, ANONYMOUS, -1], result: at(0) },
      { call: 'mmap', args: [0, PAGE_BYTES, RX, ANONYMOUS, -1], result: at(1) },
      {
        call: 'mmap',
        args: [0, PAGE_BYTES, RWX, PRIVATE, 3],
        result: at(5),
        fd: 3,
        path: file,
        ...fileFacts(file),
      },
      { call: 'mmap', args: [0, 0, RWX, ANONYMOUS, -1], result: EINVAL },
      { call: 'mprotect', args: [at(2), PAGE_BYTES, RX] },
      { call: 'pkey_mprotect', args: [at(2), PAGE_BYTES, RWX, -1] },
    )
  })

  test('every field of userfaultfd and bpf', async () => {
    const done = await stage.doing(
      ['userfaultfd', 'bpf'],
      ...sys('userfaultfd', 0x801),
      ...sys('bpf', 0, 'args:2:4:8:1:0:0', 24),
      ...sys('bpf', 99, 'args:0', 24),
    )
    stage.assertAll(
      done,
      (event) => ({
        call: 'userfaultfd',
        args: [0x801],
        result: done.results[0] ?? 0n,
        ...(event.result < 0n
          ? {}
          : {
              fd: 3,
              inode: event.inode,
              dev: event.dev,
              mode: event.mode,
              fdKind: FdKind.ANON,
              path: '[userfaultfd]',
            }),
      }),
      { call: 'bpf', args: [0, POINTER, 24], result: done.results[1] ?? -1n },
      { call: 'bpf', args: [99, POINTER, 24], result: EINVAL },
    )
    assert.ok((done.results[1] ?? -1n) >= 0n, 'a map can be made here')
  })

  test('every field of module: attempts with what is no module', async () => {
    const file = stage.at('no-module.ko')
    writeFileSync(file, 'nothing')
    const done = await stage.doing(
      'module',
      ...sys('init_module', s('nothing'), 7, s('speed=9')),
      ...sys('open', s(file), 0),
      ...sys('finit_module', '$1', s('depth=1'), 2),
      ...sys('delete_module', s('hullguard_none'), 0x800),
    )
    const refused = (index: number) => ({ result: done.results[index] ?? 0n })
    stage.assertAll(
      done,
      { call: 'init_module', args: [POINTER, 7, POINTER], raw: 'speed=9', ...refused(0) },
      {
        call: 'finit_module',
        args: [3, POINTER, 2],
        raw2: 'depth=1',
        fd: 3,
        path: file,
        ...fileFacts(file),
        ...refused(2),
      },
      { call: 'delete_module', args: [POINTER, 0x800], raw: 'hullguard_none', ...refused(3) },
    )
    assert.ok(done.events.every(({ result }) => result < 0n))
  })
})
