/** programs/call.bpf.c, what processes share by a key or a name: every call, with every field. In an IPC namespace of its own. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Act, CallFlag, FdKind } from '../../src/sensor/generated/abi.js'
import { sys, sys32 } from '../support/call-acts.js'
import { CallStage, ENOENT, POINTER, s, skipCalls } from '../support/call-stage.js'
import { run } from '../support/process.js'
import { NO_IA32 } from '../support/sensor-acts.js'

const NEW_IPC = 0x8000000
const KEY = 0x48474d
const CREATE = 0o1600
const IA32 = 1

describe('shared memory, queues and semaphores', { skip: skipCalls }, () => {
  let stage: CallStage
  before(async () => {
    stage = await CallStage.open()
  })
  after(() => stage.close())
  const apart = sys('unshare', NEW_IPC)

  test('every field of ipc: memory that is made, found and attached, a queue, semaphores', async () => {
    const done = await stage.doing(
      'ipc',
      ...apart,
      ...sys('shmget', KEY, 4096, CREATE),
      ...sys('shmget', KEY, 0, 0),
      ...sys('shmat', '$1', 0, 0o10000),
      ...sys('msgget', 0, 0o600),
      ...sys('semget', KEY, 3, CREATE),
      ...sys('semget', KEY + 1, 0, 0),
    )
    const at = (index: number) => done.results[index] ?? -1n
    stage.assertAll(
      done,
      { call: 'shmget', args: [KEY, 4096, CREATE], result: at(1) },
      { call: 'shmget', args: [KEY], result: at(1) },
      { call: 'shmat', args: [at(1), 0, 0o10000], result: at(3) },
      { call: 'msgget', args: [0, 0o600], result: at(4) },
      { call: 'semget', args: [KEY, 3, CREATE], result: at(5) },
      { call: 'semget', args: [KEY + 1], result: ENOENT },
    )
    assert.ok([1, 3, 4, 5].every((index) => at(index) >= 0n))
  })

  test('a message queue by its name', async () => {
    const done = await stage.doing('ipc', ...apart, ...sys('mq_open', s('a queue'), 0o102, 0o600, 0))
    const [event] = done.events
    stage.assertAll(done, {
      call: 'mq_open',
      args: [POINTER, 0o102, 0o600],
      result: done.results[1] ?? -1n,
      fd: Number(done.results[1]),
      fdKind: FdKind.FILE,
      inode: event?.inode ?? 0n,
      dev: event?.dev ?? 0,
      mode: 0o100600,
      path: '/a queue',
      raw: 'a queue',
    })
    assert.ok((event?.inode ?? 0n) > 0n)
  })

  test('through ia32’s one call for all of them, and its own calls', async (context) => {
    if (!/^20 [1-9]/.test((await run(stage.at('calls'), ['sys32', '20'])).stdout)) return context.skip(NO_IA32)
    const done = await stage.doing(
      'ipc',
      ...apart,
      ...sys32('ipc', 23, KEY, 4096, CREATE, 0),
      ...sys32('ipc', 13, KEY, CREATE, 0, 0),
      ...sys32('ipc', 2, KEY, 3, CREATE, 0),
      ...sys32('ipc', 3, 0, 0, 1, 0),
      ...sys32('shmget', KEY, 0, 0),
    )
    const old = (index: number, args: number[]) => ({
      abi: IA32,
      call: 'ipc',
      act: Act.IPC,
      args,
      result: done.results[index] ?? -1n,
      flags: CallFlag.HAS_RESULT,
    })
    // semctl (3) gets and attaches nothing
    stage.assertAll(done, old(1, [23, KEY, 4096, CREATE]), old(2, [13, KEY, CREATE]), old(3, [2, KEY, 3, CREATE]), {
      abi: IA32,
      call: 'shmget',
      args: [KEY],
      result: done.results[5] ?? -1n,
    })
  })
})
