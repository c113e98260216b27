/**
 * A process or a worker of the native tests with a running sensor: `<mode> <cgroup id>`. Says `ready` when it watches.
 *   gc: drops its sensor, collects garbage until it is gone, and ends by itself
 *   exit: ends at once, with the sensor running; throw: ends with an error nobody catches
 *   stay: runs until it is ended from outside (a worker); slow: the same, with every turn of its loop blocked for a while
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { NativeSensor } from '../../src/sensor/addon.js'
import { startSensor, watchForks } from './sensor-native.js'

const [mode, cgroup] = (workerData as string[] | null) ?? process.argv.slice(2)
const registry = new FinalizationRegistry(() => say('collected'))

function say(word: string): void {
  if (parentPort === null) process.stdout.write(`${word}\n`)
  else parentPort.postMessage(word)
}

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

interface Holder {
  sensor: NativeSensor | undefined
}

/** Not in the scope of anything that names the sensor: what a closure's scope holds, the callback would keep alive. */
function callbackFor(holder: Holder): (slab: number) => void {
  return (slab) => {
    if (mode === 'slow') block(20)
    holder.sensor?.release(slab)
  }
}

function begin(): Holder {
  const holder: Holder = { sensor: undefined }
  const { sensor } = startSensor(4, callbackFor(holder))
  watchForks(sensor, BigInt(cgroup ?? 0))
  if (mode === 'gc') registry.register(sensor, undefined)
  else holder.sensor = sensor // the callback keeps it alive, as the agent's does
  return holder
}

const holder = begin()
say('ready')
if (mode === 'gc') {
  for (let turn = 0; turn < 50; turn++) {
    globalThis.gc?.()
    await nextTurn()
  }
} else if (mode === 'exit') {
  setTimeout(() => process.exit(0), 100)
} else if (mode === 'throw') {
  setTimeout(() => {
    throw new Error(`ended on purpose, with ${holder.sensor === undefined ? 'no' : 'a'} running sensor`)
  }, 100)
}
