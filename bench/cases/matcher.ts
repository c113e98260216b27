/**
 * Question: what does judging one event by conditions cost, and does it grow with the number of rules?
 *
 * The compiled program, closures over the same trees in buckets by event type, json-rules-engine and a CEL evaluator judge the
 * same events. Rule sets of 10 to 100,000 with the same hits an event at each size, and a hostile set: exceptions only, one event
 * type, so that every rule holds unless something rules it out. All answers are asserted equal before anything is timed; a
 * subject that would take minutes at a size is left out there, which is said on standard error. Values are medians; hits are
 * summed and checked, so that no work can be left out. Then Falco's stable file, where it is at hand, and native policies.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { compileConditions } from '../../src/match/conditions/compile.js'
import type { ConditionInput, ConditionProgram } from '../../src/match/conditions/types.js'
import { loadFalcoRules } from '../../src/policy/falco/load.js'
import { findField } from '../../src/record/fields/table.js'
import { sharedFile } from '../../test/support/shared-data.js'
import { ClosureMatcher } from '../support/condition-closures.js'
import { BenchReader, type EventSet, generatedEvents } from '../support/condition-events.js'
import { cel, jsonRulesEngine, type Rival } from '../support/condition-rivals.js'
import { generatedConditions, hostileConditions, inputOf } from '../support/condition-rules.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { median } from '../support/statistics.js'
import { run as runNative } from './matcher-native.js'

export const name = 'matcher'

const SIZES = [10, 100, 1_000, 10_000, 100_000]
const EVENTS_COUNT = 4_096
const RULES_SEED = 20_250_101
const EVENTS_SEED = 7
const HITS_MAX_PER_EVENT = 0.1
const SAMPLES = 15
const SAMPLE_MIN_NS = 30_000_000
const SLOW_SAMPLES = 5
/** A rival judges about this many rules a sample: the slowest takes some 10 µs for each. */
const RIVAL_JUDGEMENTS = 50_000
/** Larger sets take a rival minutes to read, or gigabytes. */
const CLOSURES_MAX_RULES = 10_000
const RIVALS_MAX_RULES = 1_000
const CHECKED_EVENTS = 256
const ALLOCATION_PASSES = 10

type Judge = (index: number) => number

export async function run(emit: Emit, options: BenchOptions): Promise<void> {
  const set = generatedEvents(EVENTS_COUNT, EVENTS_SEED)
  const sizes = options.isQuick ? SIZES.slice(0, 3) : SIZES
  for (const size of sizes)
    await sweep(inputOf(generatedConditions(size, RULES_SEED), set.eventTypes), set, `rules=${size}`, true, emit)
  const opens = { ...set, events: set.events.filter(({ type }) => type === 'openat') }
  for (const size of sizes)
    await sweep(inputOf(hostileConditions(size), set.eventTypes), opens, `rules=${size},set=hostile`, false, emit)
  stableFile(set, emit)
  await runNative(emit)
}

async function sweep(
  input: ConditionInput,
  set: EventSet,
  param: string,
  withRivals: boolean,
  emit: Emit,
): Promise<void> {
  const size = input.rules.length
  const own = subjectOf(input, set)
  const row = (subject: string, metric: string, value: number, unit: string, samples = 1) =>
    emit({ case: name, subject, param, metric, value: Math.round(value * 1000) / 1000, unit, samples })
  const hits = set.events.map((_, index) => own.ids(index))
  const perEvent = hits.reduce((sum, ids) => sum + ids.length, 0) / hits.length
  assert.ok(perEvent <= HITS_MAX_PER_EVENT, `${param}: ${perEvent} hits an event`)
  row('hullguard', 'hits_per_event', perEvent, 'hits')
  row('hullguard', 'compile_ms', own.compileMs, 'ms')
  row('hullguard', 'program_bytes', own.program.statistics.programBytes, 'bytes')
  row('hullguard', 'heap_bytes', own.heapBytes, 'bytes')
  const timing = timed(own.judge, set.events.length)
  row('hullguard', 'ns_per_event', timing.ns, 'ns', timing.samples)
  const quiet = hits.flatMap((ids, index) => (ids.length === 0 ? [index] : []))
  row('hullguard', 'bytes_allocated_per_event', allocatedBytes(own.judge, quiet), 'bytes', ALLOCATION_PASSES)
  if (size > CLOSURES_MAX_RULES) process.stderr.write(`${param}: closures left out\n`)
  else {
    const closures = new ClosureMatcher(input)
    for (const [index, event] of set.events.slice(0, CHECKED_EVENTS).entries())
      assert.deepEqual(hits[index], closures.hits(event), `${param}: closures, event ${index}`)
    const count = (index: number) => closures.count(set.events[index] ?? raise(index))
    const other = timedRival(count, set.events.length, size)
    row('closures', 'ns_per_event', other.ns, 'ns', other.samples)
  }
  if (!withRivals) return
  for (const [subject, make] of [
    ['json-rules-engine', jsonRulesEngine],
    ['cel-js', cel],
  ] as const) {
    const rival = size > RIVALS_MAX_RULES ? undefined : make(input)
    if (rival === undefined) process.stderr.write(`${param}: ${subject} left out\n`)
    else await sweepRival(rival, set, hits, size, (ns, samples) => row(subject, 'ns_per_event', ns, 'ns', samples))
  }
}

function raise(index: number): never {
  throw new RangeError(`no event ${index}`)
}

function subjectOf(input: ConditionInput, set: EventSet) {
  collectGarbage()
  const before = process.memoryUsage()
  const start = process.hrtime.bigint()
  const program: ConditionProgram = compileConditions(input)
  const compileMs = Number(process.hrtime.bigint() - start) / 1e6
  collectGarbage()
  const after = process.memoryUsage()
  const heapBytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  const profile = program.profileOf([0])
  const hits = { rules: new Uint32Array(Math.max(1, input.rules.length)), count: 0 }
  const reader = new BenchReader(program.operands, set)
  const types = Uint8Array.from(set.events, ({ type }) => set.eventTypes.indexOf(type))
  const judge: Judge = (index) => {
    reader.index = index
    program.match(profile, types[index] as number, reader, hits)
    return hits.count
  }
  const ids = (index: number) => {
    judge(index)
    return [...hits.rules.subarray(0, hits.count)]
  }
  return { program, compileMs, heapBytes, judge, ids }
}

function timed(judge: Judge, count: number): { ns: number; samples: number } {
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
    const start = process.hrtime.bigint()
    let elapsedNs = 0
    do {
      hits += pass()
      passes++
      elapsedNs = Number(process.hrtime.bigint() - start)
    } while (elapsedNs < SAMPLE_MIN_NS)
    assert.equal(hits, expected * passes)
    if (sample >= 0) values.push(elapsedNs / (passes * count))
  }
  return { ns: median(values), samples: SAMPLES }
}

/** Over events spread through the set, as many as a slow subject can judge. */
function timedRival(judge: Judge, count: number, size: number): { ns: number; samples: number } {
  const step = Math.max(1, Math.floor((count * size) / (RIVAL_JUDGEMENTS * 20)))
  for (let index = 0; index < count; index += step) judge(index)
  const values: number[] = []
  for (let sample = 0; sample < SLOW_SAMPLES; sample++) {
    const start = process.hrtime.bigint()
    let judged = 0
    let hits = 0
    for (let index = 0; index < count; index += step, judged++) hits += judge(index)
    assert.ok(hits <= judged)
    values.push(Number(process.hrtime.bigint() - start) / judged)
  }
  return { ns: median(values), samples: SLOW_SAMPLES }
}

async function sweepRival(
  rival: Rival,
  set: EventSet,
  hits: readonly (readonly number[])[],
  size: number,
  done: (ns: number, samples: number) => void,
): Promise<void> {
  const step = Math.ceil(set.events.length / Math.max(16, Math.min(512, Math.floor(RIVAL_JUDGEMENTS / size))))
  const chosen = set.events.flatMap((event, index) => (index % step === 0 ? [{ event, index }] : []))
  for (const { event, index } of chosen) assert.deepEqual(await rival.hits(event), hits[index], `event ${index}`)
  const values: number[] = []
  for (let sample = 0; sample < SLOW_SAMPLES; sample++) {
    const start = process.hrtime.bigint()
    for (const { event } of chosen) await rival.hits(event)
    values.push(Number(process.hrtime.bigint() - start) / chosen.length)
  }
  done(median(values), SLOW_SAMPLES)
}

let exposed: (() => void) | undefined

function collectGarbage(): void {
  if (exposed === undefined) {
    setFlagsFromString('--expose-gc')
    exposed = runInNewContext('gc') as () => void
  }
  exposed()
}

/** Growth of the heap while the events are judged, less that of a loop that judges nothing. Median of passes. */
function allocatedBytes(judge: Judge, indexes: readonly number[]): number {
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
  return Math.max(0, median(pairs) / order.length)
}

/** Falco's own rules, those that can be in force. */
function stableFile(set: EventSet, emit: Emit): void {
  const { path: file, skip } = sharedFile('falco-rules/falco_rules.yaml')
  if (skip !== false) {
    process.stderr.write(`the stable Falco file is left out: ${skip}\n`)
    return
  }
  const { rules, macros, lists } = loadFalcoRules([{ file, bytes: readFileSync(file) }])
  const input: ConditionInput = {
    rules: rules.filter(({ enabled }) => enabled).map((rule) => ({ ...rule, scope: 0 })),
    macros,
    list: (list) => lists.values(list),
    fieldType: (field) => findField(field)?.type,
    eventTypes: set.eventTypes,
  }
  const own = subjectOf(input, set)
  const param = `rules=${input.rules.length},set=falco-stable`
  const { ns, samples } = timed(own.judge, set.events.length)
  emit({ case: name, subject: 'hullguard', param, metric: 'ns_per_event', value: Math.round(ns), unit: 'ns', samples })
}
