/** Arguments of calls as records and rules have them, for calls that are made in more than one way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callBody } from '../../src/agent/event/call-drafts.js'
import { HOST_SYSCALLS } from '../../src/policy/syscalls.js'
import { CALL_KINDS } from '../../src/record/call-model.js'
import { Act, EvCall } from '../../src/sensor/generated/abi.js'

const skip = process.arch !== 'x64' && 'the numbers are those of x86-64'
const IA32 = 1
const IPC = 117

/** An event with these arguments; its place in the buffer of each member is asked of the view itself. */
function body(call: { nr: number; abi: number; act: number }, args: readonly number[], facts: readonly number[] = []) {
  const bytes = new Uint8Array(EvCall.SIZE_BYTES)
  const data = new DataView(bytes.buffer)
  const event = new EvCall(data, bytes)
  event.at = 0
  const put = (isThere: () => boolean, size: number, value: number) => {
    for (let at = 0; at < bytes.length; at += size) {
      const before = bytes.slice()
      if (size === 8) data.setBigUint64(at, 0x0101_0101_0101_0101n, true)
      else if (size === 4) data.setUint32(at, 0x0101_0101, true)
      else data.setUint16(at, 0x0101, true)
      const found = isThere()
      bytes.set(before)
      if (!found) continue
      if (size === 8) data.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true)
      else if (size === 4) data.setUint32(at, value, true)
      else data.setUint16(at, value, true)
      return
    }
    throw new Error('no such member')
  }
  for (const [index, value] of args.entries()) put(() => event.args(index) === 0x0101_0101_0101_0101n, 8, value)
  for (const [index, value] of facts.entries()) put(() => event.facts(index) === 0x0101_0101_0101_0101n, 8, value)
  put(() => event.nr === 0x0101_0101, 4, call.nr)
  put(() => event.abi === 0x0101, 2, call.abi)
  put(() => event.act === 0x0101, 2, call.act)
  return callBody(event, CALL_KINDS[call.act - 1] ?? 'open')
}
const native = (name: string) => ({ nr: HOST_SYSCALLS.table(0).indexOf(name), abi: 0, act: Act.IPC })
const old = { nr: IPC, abi: IA32, act: Act.IPC }

test('shared memory, queues and semaphores: the same whichever way the call was made', { skip }, () => {
  const shown = (of: ReturnType<typeof body>) => [of.call, of.args]
  const shmget = ['shmget', { key: '0x48', size: '4096', flags: '01600' }]
  assert.deepEqual(shown(body(native('shmget'), [0x48, 4096, 0o1600])), shmget)
  assert.deepEqual(shown(body(old, [23, 0x48, 4096, 0o1600])), shmget)
  const shmat = ['shmat', { id: '7', flags: '010000' }]
  assert.deepEqual(shown(body(native('shmat'), [7, 0x1000, 0o10000])), shmat)
  assert.deepEqual(shown(body(old, [0x10000 | 21, 7, 0o10000, 0x2000])), shmat)
  const msgget = ['msgget', { key: 'IPC_PRIVATE', flags: '0600' }]
  assert.deepEqual(shown(body(native('msgget'), [0, 0o600])), msgget)
  assert.deepEqual(shown(body(old, [13, 0, 0o600])), msgget)
  const semget = ['semget', { key: '0x49', size: '3', flags: '01000' }]
  assert.deepEqual(shown(body(native('semget'), [0x49, 3, 0o1000])), semget)
  assert.deepEqual(shown(body(old, [2, 0x49, 3, 0o1000])), semget)
  assert.deepEqual(body(native('mq_open'), [1, 0o102]).args, { name: '', flags: 'O_RDWR|O_CREAT' })
})

test('an open of a device tells its numbers, also those beyond 8 bits', { skip }, () => {
  const open = { nr: HOST_SYSCALLS.table(0).indexOf('open'), abi: 0, act: Act.OPEN }
  const device = (dev: number) => body(open, [1, 2], [2, 0, 0, dev]).args.device
  assert.equal(device(0x103), '1:3')
  assert.equal(device(0), undefined)
  // new_encode_dev(MKDEV(259, 300))
  assert.equal(device((300 & 0xff) | (259 << 8) | ((300 & ~0xff) << 12)), '259:300')
})
