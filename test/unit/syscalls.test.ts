/** System calls by name and number on each architecture, and the acts that they are. The numbers are those of the kernel's source. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FOREIGN_FIRST, SYSCALL_NUMBERS_MAX, Syscalls } from '../../src/policy/syscalls.js'
import { ALL_ACTS, actBit, hooksOfActs, recipeEntries } from '../../src/sensor/call-recipes.js'
import { Act, RecipeFlag, SYSCALLS_MAX } from '../../src/sensor/generated/abi.js'

const x64 = new Syscalls('x64')
const arm64 = new Syscalls('arm64')

/** The act of each call that has one, by its name; `abi` as its number. */
function actsOf(calls: Syscalls, abi: 0 | 1 | 2, acts = ALL_ACTS): Record<string, number> {
  const first = abi * SYSCALLS_MAX
  const found: Record<string, number> = {}
  for (const [index, value] of recipeEntries(acts, { calls }))
    if (index >= first && index < first + SYSCALLS_MAX && value[0] !== 0)
      found[calls.name(index - first, abi)] = value[0] ?? 0
  return found
}

test('tables of the kernel end where the numbers of foreign names begin', () => {
  assert.equal(FOREIGN_FIRST, SYSCALLS_MAX)
})

test('each architecture has its own numbers, natively and for 32-bit programs', () => {
  const numbers = (calls: Syscalls) => ['openat', 'execve', 'ptrace', 'cachestat'].map((name) => calls.number(name))
  assert.deepEqual(numbers(x64), [257, 59, 101, 451])
  assert.deepEqual(numbers(arm64), [56, 221, 117, 451])
  assert.deepEqual(x64.abiNames, ['native', 'ia32', 'x32'])
  assert.deepEqual(arm64.abiNames, ['native', 'aarch32'])
  assert.deepEqual([arm64.name(5, 1), arm64.name(322, 1), arm64.name(192, 1)], ['open', 'openat', 'mmap2'])
  assert.equal(arm64.native(322, 1), 56)
  assert.equal(arm64.name(244, 0), 'syscall_244', 'a hole')
  assert.equal(arm64.name(9999, 1), 'syscall_9999')
})

test('a name that only the other architecture has is known, by a number that no native call has', () => {
  for (const name of ['open', 'unlink', 'mkdir', 'fork', 'rmdir', 'chmod', 'dup2']) {
    const nr = arm64.number(name) ?? 0
    assert.ok(nr >= FOREIGN_FIRST && nr < SYSCALL_NUMBERS_MAX, `${name} ${nr}`)
    assert.equal(arm64.policyName(nr), name)
    assert.equal(arm64.name(nr, 0), `syscall_${nr}`, 'a process that makes the number up does not make the call')
    assert.equal(arm64.native(nr, 0), -1)
    assert.ok(!arm64.table(0).includes(name), name)
  }
  assert.equal(arm64.native(5, 1), arm64.number('open'), 'a 32-bit open is the open that a policy names')
  assert.equal(arm64.number('nothing'), undefined)
  assert.deepEqual(new Set(arm64.names()), new Set(x64.names()))
})

test('on arm64 each act has calls to be seen by, but for rmdir, which unlinkat(2) does there, and the use of a capability, which is none', () => {
  const native = actsOf(arm64, 0)
  const seen = new Set(Object.values(native))
  const unseen = Object.entries(Act).filter(([name, act]) => act !== Act.NONE && name !== 'MAX' && !seen.has(act))
  assert.deepEqual(unseen, [
    ['RMDIR', Act.RMDIR],
    ['CAPABLE', Act.CAPABLE],
  ])
  assert.equal(native.openat, Act.OPEN)
  assert.equal(native.unlinkat, Act.UNLINK)
  assert.equal(native.umount2, Act.UMOUNT)
  assert.equal(native.renameat, Act.RENAME)
  assert.equal(native.open, undefined)
  assert.equal(actsOf(arm64, 1).mkdir, Act.MKDIR)
  assert.equal(actsOf(arm64, 1).chown32, Act.CHOWN)
  assert.deepEqual(actsOf(arm64, 0, actBit('chroot')), { chroot: Act.CHROOT })
})

test("ia32's socketcall is no part of arm64", () => {
  const indexes = (calls: Syscalls) => [...recipeEntries(ALL_ACTS, { calls })].map(([index]) => index)
  assert.ok(Math.max(...indexes(x64)) >= 3 * SYSCALLS_MAX)
  assert.ok(Math.max(...indexes(arm64)) < 2 * SYSCALLS_MAX)
})

test('opens alone attach the functions that carry them out, never the end of every call; without both functions it is that', () => {
  const functions = ['on_open_result', 'on_open_by_handle']
  const hooks = (acts: bigint, has: (program: string) => boolean) =>
    hooksOfActs(acts, has).filter((program) => !program.startsWith('on_ring_'))
  const [open, unlink] = [actBit('open'), actBit('unlink')]
  assert.deepEqual(
    hooks(open, () => true),
    functions,
  )
  assert.deepEqual(
    hooks(open | unlink, () => true),
    ['on_sys_exit', ...functions],
  )
  assert.deepEqual(
    hooks(unlink, () => true),
    ['on_sys_exit'],
  )
  for (const missing of functions)
    assert.deepEqual(
      hooks(open, (program) => program !== missing),
      ['on_sys_exit'],
    )
  assert.deepEqual(
    hooks(0n, () => true),
    [],
  )
})

test('which hook tells of opens is said of every call that opens, and of no other', () => {
  const marked = (areOpensByFunction: boolean) =>
    [...recipeEntries(ALL_ACTS, { calls: x64, areOpensByFunction })].flatMap(([, [act, flags = 0]]) =>
      (flags & RecipeFlag.BY_FUNCTION) === 0 ? [] : [act],
    )
  assert.deepEqual(marked(false), [])
  // open, openat, openat2, creat, open_by_handle_at of three ABIs
  assert.deepEqual(
    marked(true),
    Array.from({ length: 15 }, () => Act.OPEN),
  )
})
