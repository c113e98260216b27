/**
 * Every event that the probes report has its test on a real kernel: each kind of bpf/abi.h, each act, and every system call that an
 * act is known by is done by name in test/bpf, with `every field of ACT` as the title of the test that asserts them.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { CALL_KINDS } from '../../src/record/call-model.js'
import { callNames, SOCKETCALLS } from '../../src/sensor/call-recipes.js'
import { Act, type Kind } from '../../src/sensor/generated/abi.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'

const dir = join(findPackageRoot(), 'test/bpf')
const calls = readdirSync(dir)
  .filter((name) => /^call.*\.test\.ts$/.test(name))
  .map((name) => readFileSync(join(dir, name), 'utf8'))
const titles = calls.flatMap((text) =>
  [...text.matchAll(/test\('every field of ([^:']+)/g)].map(([, title]) => title ?? ''),
)
/** The acts that a title names: `rename, link and symlink`. */
const titled = new Set(titles.flatMap((title) => title.split(/,| and | when /)).map((word) => word.trim()))

/** The test of each kind that is no act, and by what it names the kind. */
const TEST_OF_KIND: Readonly<
  Record<Exclude<keyof typeof Kind, 'NONE' | 'MAX'>, readonly [file: string, names: RegExp]>
> = {
  EXEC: ['bpf/exec.test.ts', /kind: Kind\.EXEC/],
  FORK: ['bpf/fork.test.ts', /kind: Kind\.FORK/],
  EXIT: ['bpf/exit.test.ts', /kind: Kind\.EXIT/],
  CONNECT: ['bpf/connect.test.ts', /kind: Kind\.CONNECT/],
  SYSCALL: ['bpf/syscall.test.ts', /kind: Kind\.SYSCALL/],
  OOM: ['bpf/oom.test.ts', /kind: Kind\.OOM/],
  CGROUP_MKDIR: ['bpf/cgroup.test.ts', /kind: Kind\.CGROUP_MKDIR/],
  CGROUP_RMDIR: ['bpf/cgroup.test.ts', /kind: Kind\.CGROUP_RMDIR/],
  CGROUP_JOIN: ['bpf/cgroup.test.ts', /kind: Kind\.CGROUP_JOIN/],
  TASK: ['bpf/tasks.test.ts', /readTasks\(\)/],
  MEMORY: ['bpf/memory.test.ts', /readMemory\(\)/],
  CALL: ['support/call-stage.ts', /kind: Kind\.CALL/],
  LISTEN: ['bpf/socket.test.ts', /kind: Kind\.LISTEN/],
  ACCEPT: ['bpf/socket.test.ts', /kind: Kind\.ACCEPT/],
  CONNECTED: ['bpf/socket.test.ts', /kind: Kind\.CONNECTED/],
  CLOSE: ['bpf/socket.test.ts', /kind: Kind\.CLOSE/],
  PACKET: ['bpf/packet.test.ts', /kind: Kind\.PACKET/],
}

test('every act of enum hg_act has a kind of record and a test of every field', () => {
  for (const [name, number] of Object.entries(Act)) {
    if (name === 'NONE' || name === 'MAX') continue
    const kind = CALL_KINDS[number - 1]
    assert.equal(kind, name.toLowerCase())
    assert.ok(titled.has(kind), `no test/bpf/call*.test.ts has a test titled \`every field of ${kind}\``)
  }
  assert.equal(CALL_KINDS.length, Act.MAX - 1)
})

test('every system call of every act is done by name in a test', () => {
  const done = new Set(
    calls.flatMap((text) => [...text.matchAll(/sys(?:32)?\('(\w+)'/g)].map(([, name]) => name ?? '')),
  )
  const missing = CALL_KINDS.flatMap((kind) => callNames(kind).filter((name) => !done.has(name)))
  assert.deepEqual(missing, [])
  assert.ok(done.has('socketcall') && SOCKETCALLS.length > 0)
})

test('every kind of enum hg_kind is reported by a program and asserted in its test', () => {
  const folders = ['bpf/lib', 'bpf/programs'].map((folder) => join(findPackageRoot(), folder))
  const reporting = folders.flatMap((dir) => readdirSync(dir).map((name) => readFileSync(join(dir, name), 'utf8')))
  for (const [name, [file, names]] of Object.entries(TEST_OF_KIND)) {
    assert.ok(
      reporting.some((text) => new RegExp(`\\bHG_KIND_${name}\\b`).test(text)),
      `no program reports HG_KIND_${name}`,
    )
    assert.match(readFileSync(join(findPackageRoot(), 'test', file), 'utf8'), names, `HG_KIND_${name}`)
  }
})
