/** src/sensor/ladder.ts: what is asked of the functions that opens come to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NativeSensor } from '../../src/sensor/addon.js'
import { type Allowed, loadWithout, whyNotEach } from '../../src/sensor/ladder.js'

const [EPERM, EBADF, EISDIR, ENOSYS] = [-1, -9, -21, -38]

test('a function serves when it ran once for each call', () => {
  assert.equal(whyNotEach(4, [EISDIR, EISDIR, EISDIR, EISDIR]), '')
  assert.equal(whyNotEach(1, [EBADF]), '')
})

test('a function that some calls never come to, or that others come to as well, does not serve', () => {
  assert.match(whyNotEach(1, [EISDIR, EISDIR, EISDIR, EISDIR]), /^it ran 1 times for 4 calls/)
  assert.notEqual(whyNotEach(0, [EBADF]), '')
  assert.notEqual(whyNotEach(5, [EISDIR, EISDIR, EISDIR, EISDIR]), '')
})

test('a call that was turned away before the function, or may have been, need not have come to it', () => {
  assert.equal(whyNotEach(3, [EISDIR, EISDIR, EISDIR, ENOSYS]), '')
  assert.equal(whyNotEach(0, [EPERM]), '')
  assert.equal(whyNotEach(1, [EPERM]), '')
  assert.notEqual(whyNotEach(2, [EISDIR, EISDIR, EISDIR, ENOSYS]), '')
})

/** A kernel that refuses what `refuses` says, by the verifier. */
function loadOn(refuses: (program: string, canCast: boolean) => boolean, programs: readonly string[]) {
  const tries: boolean[] = []
  const missing = new Map<string, string>()
  loadWithout(missing, true, ({ skip, canCast }: Allowed) => {
    tries.push(canCast)
    const load = () => {
      const program = programs.find((name) => !skip.includes(name) && refuses(name, canCast))
      if (program === undefined) return
      const log = `R2 is not a scalar\nprocessed 9 insns\nlibbpf: prog '${program}': failed to load: -22`
      throw Object.assign(new Error('Invalid argument'), { errno: 22, code: 'native', log })
    }
    return { load, close() {} } as unknown as NativeSensor
  })
  return { tries, missing: [...missing] }
}

test('a program that the verifier takes only without reads by loads is loaded without them', () => {
  const got = loadOn((_, canCast) => canCast, ['on_exec', 'on_file_open'])
  assert.deepEqual(got, { tries: [true, false], missing: [] })
})

test('one that it takes neither way is missing, and the others keep their loads', () => {
  const got = loadOn((program) => program === 'on_file_open', ['on_exec', 'on_file_open'])
  assert.deepEqual(got, { tries: [true, false, true], missing: [['on_file_open', 'R2 is not a scalar']] })
  assert.throws(() => loadOn((program) => program === 'on_exec', ['on_exec']), /Invalid argument/)
})
