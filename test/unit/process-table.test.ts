/** src/agent/process/process-table.ts: who a pid is, by pid and start time, within a bound. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { readExistingProcesses } from '../../src/agent/process/existing-processes.js'
import { type ProcessEntry, ProcessTable } from '../../src/agent/process/process-table.js'
import type { TaskSnapshot } from '../../src/sensor/iterators.js'
import { Counters } from '../../src/telemetry/counters.js'

const entry = (pid: number, startNs: bigint, exe = '/bin/x'): ProcessEntry => ({
  pid,
  startNs,
  parentPid: 1,
  parentStartNs: 1n,
  exe,
  invoked: exe,
  args: [exe],
  cwd: '/',
  uid: 0,
  gid: 0,
  phase: 'run',
})

describe('the process table', () => {
  let counters: Counters
  let table: ProcessTable

  beforeEach(() => {
    counters = new Counters()
    table = new ProcessTable(counters, 3)
  })

  test('who acted last, and whose parent was asked for, is who it is now', () => {
    const actor = (pid: number, startNsLow: number) => table.findActor({ pid, startNsLow, startNsHigh: 0 })
    const parent = { ...entry(1, 1n, '/bin/p'), parentPid: 0 }
    table.set(parent)
    table.set(entry(10, 100n))
    assert.equal(actor(10, 100)?.exe, '/bin/x')
    assert.equal(actor(10, 101), undefined, 'another start')
    assert.equal(actor(10, 100)?.exe, '/bin/x')
    table.set(entry(10, 100n, '/bin/y'))
    const [executed] = [actor(10, 100)]
    assert.ok(executed)
    assert.equal(executed.exe, '/bin/y', 'after an exec')
    assert.equal(table.parentOf(executed), parent)
    assert.equal(table.parentOf({ ...executed, parentStartNs: 2n }), undefined)
    assert.equal(table.parentOf(parent), undefined)
    table.set(entry(1, 2n, '/bin/q'))
    assert.equal(table.parentOf(executed), undefined, 'its pid is another one by now')
    for (let pid = 20; pid < 23; pid++) table.set(entry(pid, 1n))
    assert.equal(actor(10, 100), undefined, 'pushed out')
  })

  test('a process that only forks is not forgotten for its children', () => {
    const parent = entry(10, 100n)
    table.set(parent)
    for (let pid = 20; pid < 40; pid++) {
      assert.equal(table.findActor({ pid: 10, startNsLow: 100, startNsHigh: 0 }), parent, `before child ${pid}`)
      table.set(entry(pid, 1n))
    }
    assert.equal(table.sizeCount, 3)
  })

  test('a process is found by pid and start time; a reused pid is another one', () => {
    table.set(entry(10, 100n))
    assert.equal(table.find(10, 100n)?.exe, '/bin/x')
    assert.equal(table.find(10, 101n), undefined)
    assert.equal(table.find(11, 100n), undefined)
    table.set(entry(10, 200n, '/bin/y'))
    assert.equal(table.find(10, 100n), undefined)
    assert.equal(table.find(10, 200n)?.exe, '/bin/y')
    assert.equal(table.current(10)?.exe, '/bin/y')
    assert.equal(table.current(99), undefined)
  })

  test('a child is its parent until it executes something, with its own pid, start and parent', () => {
    const parent = { ...entry(10, 100n), facts: undefined, image: undefined, ref: undefined }
    table.set(parent)
    const child = table.fork(parent, 11, 110n, parent, 3)
    assert.deepEqual(child, { ...parent, pid: 11, startNs: 110n, parentPid: 10, parentStartNs: 100n, vpid: 3 })
    assert.equal(table.find(11, 110n), child)
    assert.equal(parent.pid, 10)
  })

  test('a child of a process that was never seen has what the event says', () => {
    const fallback = { ...entry(10, 100n, ''), args: [] }
    const child = table.fork(undefined, 11, 110n, fallback)
    assert.deepEqual([child.exe, child.parentPid, child.parentStartNs], ['', 10, 100n])
  })

  test("a child's exec that came first on another CPU is not undone by its fork", () => {
    const executed = { ...entry(11, 110n, '/bin/new'), parentPid: 10, parentStartNs: 100n }
    table.set(executed)
    const parent = entry(10, 100n)
    assert.equal(table.fork(parent, 11, 110n, parent), executed)
    assert.equal(table.find(11, 110n)?.exe, '/bin/new')
  })

  test('the fork of a reused pid replaces the process that had it before', () => {
    table.set(entry(11, 50n, '/bin/old'))
    const parent = entry(10, 100n)
    assert.equal(table.fork(parent, 11, 110n, parent).exe, '/bin/x')
    assert.equal(table.find(11, 50n), undefined)
  })

  test('beyond the bound the process seen longest ago is forgotten, and counted', () => {
    for (const pid of [1, 2, 3]) table.set(entry(pid, 1n))
    table.find(1, 1n)
    table.set(entry(4, 1n))
    assert.equal(table.sizeCount, 3)
    assert.equal(table.find(2, 1n), undefined)
    assert.ok(table.find(1, 1n) && table.find(3, 1n) && table.find(4, 1n))
    assert.equal(counters.get('process_table_evicted_total'), 1)
  })

  test('a process that executes again takes no more room, and nothing is forgotten for it', () => {
    for (let count = 0; count < 10; count++) table.set(entry(1, 1n, `/bin/${count}`))
    assert.equal(table.sizeCount, 1)
    assert.equal(counters.get('process_table_evicted_total'), 0)
  })
})

test('of what was there before, a process that may be about to execute something unseen stays unknown', () => {
  const table = new ProcessTable(new Counters())
  const task = (pid: number, startNs: bigint, cgroupId: bigint): TaskSnapshot => ({
    ...{ pid, startNs, cgroupId, parentPid: 1, parentStartNs: 1n, uid: 0, gid: 0, vpid: pid },
    ...{ comm: 'x', exe: '/bin/x', flags: 0, inode: 0n, tty: 0, vpgid: 0, sid: 0, loginuid: 0xffff_ffff },
    ...{ capPermitted: 0n, capEffective: 0n, capInheritable: 0n },
  })
  const [host, pending] = [1n, 2n]
  const [old, young] = [1_000_000_000n, 4_500_000_000n]
  readExistingProcesses(
    [task(4_000_010, old, host), task(4_000_011, young, host), task(4_000_012, young, pending)],
    table,
    { isConfirmed: () => false, isReported: (id) => id === pending, nowBootNs: 5_000_000_000n },
  )
  assert.equal(table.find(4_000_010, old)?.exe, '/bin/x')
  assert.equal(table.find(4_000_011, young), undefined)
  assert.equal(table.find(4_000_012, young)?.exe, '/bin/x')
})
