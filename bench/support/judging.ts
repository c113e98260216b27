/** What the cases of the matcher share: time, heap and memory of a subject that judges events by number. */
import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { median } from './statistics.js'

/** Judges event `index`; the number of hits. */
export type Judge = (index: number) => number

export interface Timing {
  /** CPU time an event, median of the samples. */
  readonly ns: number
  readonly samples: number
}

const SAMPLES = 15
const SAMPLE_MIN_NS = 30_000_000
const SLOW_SAMPLES = 5
/** A slow subject judges about this many rules a sample: the slowest takes some 10 µs for each. */
const SLOW_JUDGEMENTS = 1_000_000
const ALLOCATION_PASSES = 10

/** CPU time of this process: on a shared machine the clock also counts what others do meanwhile. */
export function cpuNs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

/** Passes over all events. Hits are summed and checked, so that no work can be left out. */
export function timed(judge: Judge, count: number): Timing {
  const pass = () => {
    let hits = 0
    for (let index = 0; index < count; index++) hits += judge(index)
    return hits
  }
  const expected = pass()
  const values: number[] = []
  for (let sample = -1; sample < SAMPLES; sample++) {
    let passes = 0
    let hits = 0
    const start = cpuNs()
    let elapsedNs = 0
    do {
      hits += pass()
      passes++
      elapsedNs = cpuNs() - start
    } while (elapsedNs < SAMPLE_MIN_NS)
    assert.equal(hits, expected * passes)
    if (sample >= 0) values.push(elapsedNs / (passes * count))
  }
  return { ns: median(values), samples: SAMPLES }
}

/** Passes over as many events, spread through the set, as a subject can judge that looks at every rule. */
export function timedSlow(judge: Judge, count: number, rules: number): Timing {
  const step = Math.max(1, Math.floor((count * rules) / SLOW_JUDGEMENTS))
  let expected = 0
  for (let index = 0; index < count; index += step) expected += judge(index)
  const values: number[] = []
  for (let sample = 0; sample < SLOW_SAMPLES; sample++) {
    const start = cpuNs()
    let judged = 0
    let hits = 0
    for (let index = 0; index < count; index += step, judged++) hits += judge(index)
    values.push((cpuNs() - start) / judged)
    assert.equal(hits, expected)
  }
  return { ns: median(values), samples: SLOW_SAMPLES }
}

let exposed: (() => void) | undefined

function collectGarbage(): void {
  if (exposed === undefined) {
    setFlagsFromString('--expose-gc')
    exposed = runInNewContext('gc') as () => void
  }
  exposed()
}

/** Collections until the heap is steady: V8 lets go of some things, such as code not run for a while, only after several. */
const COLLECTIONS_MAX_COUNT = 20
const STEADY_COUNT = 3
const STEADY_BYTES = 16_384

/** What is held of heap and typed arrays. */
function heldBytes(): number {
  let held = Number.POSITIVE_INFINITY
  let steadyCount = 0
  for (let round = 0; round < COLLECTIONS_MAX_COUNT && steadyCount < STEADY_COUNT; round++) {
    collectGarbage()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    const now = heapUsed + arrayBuffers
    steadyCount = Math.abs(held - now) <= STEADY_BYTES ? steadyCount + 1 : 0
    held = now
  }
  return held
}

const lastOf = new Map<unknown, object>()

/**
 * Keeps the last object of each class: as in the agent, which makes a program beside the one in force. Were all objects of a
 * class gone in between, V8 would forget the class's shape, and from then on search for each private field.
 */
export function kept<Kept extends object>(value: Kept): Kept {
  lastOf.set(value.constructor, value)
  return value
}

/** What is made, the CPU time that took, and what it holds of heap and typed arrays. */
export function made<Made extends object>(make: () => Made): { value: Made; ms: number; heapBytes: number } {
  const before = heldBytes()
  const start = cpuNs()
  const value = make()
  const ms = (cpuNs() - start) / 1e6
  const heapBytes = heldBytes() - before
  return { value: kept(value), ms, heapBytes }
}

/** Growth of the heap an event while these events, none of which hits, are judged, less that of a loop that judges nothing. */
export function allocatedBytes(judge: Judge, indexes: readonly number[]): { bytes: number; samples: number } {
  const order = Uint32Array.from(indexes)
  const grown = (each: Judge) => {
    collectGarbage()
    let sum = 0
    const before = process.memoryUsage().heapUsed
    for (let at = 0; at < order.length; at++) sum += each(order[at] as number)
    const after = process.memoryUsage().heapUsed
    assert.equal(sum, 0)
    return after - before
  }
  const nothing: Judge = () => 0
  const pairs = Array.from({ length: ALLOCATION_PASSES }, () => grown(judge) - grown(nothing))
  return { bytes: Math.max(0, median(pairs) / order.length), samples: ALLOCATION_PASSES }
}
