/** Code that V8 compiled for what comes and goes with a burst outlives the rest after it, when nothing of it is left. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { Draft } from '../../src/agent/event/drafts.js'
import { WaitingConnect, WaitingConnects } from '../../src/agent/event/waiting-connects.js'
import { collect } from '../../src/cli/heap.js'
import { BatchBuilder } from '../../src/record/batch-builder.js'
import { HOST, type ProcessRef } from '../../src/record/model.js'

const BURST_RECORDS = 20_000
const BURSTS_MAX = 100
/** V8 keeps the hidden class of a class that is out of use for two collections (--retain-maps-for-n-gc). */
const COLLECTIONS = 6

setFlagsFromString('--allow-natives-syntax')
const statusOf = new Function('f', 'return %GetOptimizationStatus(f)') as (f: unknown) => number
/** The bits of that status differ between versions of V8: those that a function has once it is optimized, and before has not. */
const OPTIMIZED = new Function(
  `const f = (a) => a + 1;
  %PrepareFunctionForOptimization(f);
  f(1);
  const before = %GetOptimizationStatus(f);
  %OptimizeFunctionOnNextCall(f);
  f(2);
  return %GetOptimizationStatus(f) & ~before`,
)() as number
const isOptimized = (f: unknown) => (statusOf(f) & OPTIMIZED) === OPTIMIZED

test('code for batches and for connects that wait is kept while there are none', async () => {
  const { add } = BatchBuilder.prototype
  const { add: wait } = WaitingConnects.prototype
  const waiting = new WaitingConnects()
  assert.notEqual(OPTIMIZED, 0)
  for (let burst = 0; burst < BURSTS_MAX && !(isOptimized(add) && isOptimized(wait)); burst++) {
    doBurst(waiting)
    await sleep(10) // it compiles on a thread of its own
  }
  assert.deepEqual([isOptimized(add), isOptimized(wait)], [true, true], 'compiled')
  for (let count = 0; count < COLLECTIONS; count++) {
    collect()
    await sleep(0)
  }
  assert.deepEqual([isOptimized(add), isOptimized(wait)], [true, true], 'and kept')
})

function doBurst(waiting: WaitingConnects): void {
  const builder = new BatchBuilder('agent', 1, 'activity', 1n)
  for (let index = 0; index < BURST_RECORDS; index++) {
    const bootNs = 5_000_000_000n + BigInt(index) * 1_000_000n
    const pid = 1000 + (index >> 4)
    const process: ProcessRef = {
      ...{ pid, tid: pid, startNs: bootNs, exe: '/bin/true', invoked: '/bin/true', args: ['true', String(index)] },
      ...{ cwd: '/', uid: 0, gid: 0, user: 'root', phase: 'run' },
    }
    const draft = new Draft('fork', bootNs, bootNs + 1_700_000_000_000_000_000n, HOST, process)
    draft.fork = { childPid: pid, childStartNs: bootNs }
    const connect = new WaitingConnect(0x80000001 + index, index, draft, bootNs, 1n)
    waiting.add(connect)
    builder.add(draft)
    waiting.delete(connect)
  }
  builder.finish()
}
