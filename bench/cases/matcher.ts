/**
 * Question: what does judging one event by conditions cost, and does it grow with the number of rules?
 *
 * The compiled program, closures over the same trees in buckets by event type, json-rules-engine and a CEL evaluator judge the
 * same events: those of a capture of real containers, in their order. Rule sets of 10 to 100,000 with the same hits an event at
 * each size; a hostile set: exceptions only, one event type, so that every rule holds unless something rules it out; and a
 * negated one, of rules that nothing holds but the negation of `!=` or of `exists`. All answers are asserted equal before
 * anything is timed; a subject that would take minutes at a size is left out there, which is said on standard error. Then
 * Falco's stable file, where it is at hand, and native policies (matcher-native.ts).
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { compileConditions } from '../../src/match/conditions/compile.js'
import type { ConditionInput } from '../../src/match/conditions/types.js'
import { loadFalcoRules } from '../../src/policy/falco/load.js'
import { TOLD_TYPES } from '../../src/record/fields/events.js'
import { findField } from '../../src/record/fields/table.js'
import { sharedFile } from '../../test/support/shared-data.js'
import { ClosureMatcher } from '../support/condition-closures.js'
import { BenchReader, capturedEvents, type EventSet, type Field } from '../support/condition-events.js'
import { cel, jsonRulesEngine, type Rival } from '../support/condition-rivals.js'
import { generatedConditions, hostileConditions, inputOf, negatedConditions } from '../support/condition-rules.js'
import { allocatedBytes, cpuNs, type Judge, kept, made, type Timing, timed, timedSlow } from '../support/judging.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { median } from '../support/statistics.js'
import { run as runNative } from './matcher-native.js'

export const name = 'matcher'

const SIZES = [10, 100, 1_000, 10_000, 100_000]
const QUICK_SIZES = SIZES.slice(0, 3)
const RULES_SEED = 20_250_101
const HITS_MAX_PER_EVENT = 0.1
/** A set of this size asks for every field that larger ones do. */
const FIELDS_SIZE = 1_000
/** A rival judges about this many rules a sample: the slowest takes some 10 µs for each. */
const RIVAL_JUDGEMENTS = 50_000
const RIVAL_SAMPLES = 5
/** Larger sets take a rival minutes to read, or gigabytes. */
const CLOSURES_MAX_RULES = 10_000
const RIVALS_MAX_RULES = 1_000
const CHECKED_EVENTS = 256

export async function run(emit: Emit, options: BenchOptions): Promise<void> {
  const sizes = options.isQuick ? QUICK_SIZES : SIZES
  const stable = stableRules()
  const samples = [
    generatedConditions(FIELDS_SIZE, RULES_SEED),
    hostileConditions(FIELDS_SIZE),
    negatedConditions(FIELDS_SIZE),
  ].map(inputOf)
  const set = capturedEvents(fieldsOf(stable === undefined ? samples : [...samples, stable]))
  for (const size of sizes)
    await sweep(inputOf(generatedConditions(size, RULES_SEED)), set, `rules=${size}`, RIVALS_MAX_RULES, emit)
  const opens = { ...set, events: set.events.filter(({ type }) => type === 'openat') }
  for (const size of sizes) await sweep(inputOf(hostileConditions(size)), opens, `rules=${size},set=hostile`, 0, emit)
  for (const size of sizes) await sweep(inputOf(negatedConditions(size)), opens, `rules=${size},set=negated`, 0, emit)
  if (stable !== undefined) await sweep(stable, set, `rules=${stable.rules.length},set=falco-stable`, 0, emit)
  await runNative(emit, options)
}

/** The fields that these conditions read, each once; and the event's type, which a program has without reading. */
function fieldsOf(inputs: readonly ConditionInput[]): Field[] {
  const fields = new Map<string, Field>([['evt.type', { name: 'evt.type', argument: undefined }]])
  for (const input of inputs)
    for (const { name, argument } of compileConditions(input).operands)
      fields.set(`${name}[${argument}]`, { name, argument })
  return [...fields.values()]
}

/** Rivals are asked at up to `rivalsMaxRules` rules. */
async function sweep(
  input: ConditionInput,
  set: EventSet,
  param: string,
  rivalsMaxRules: number,
  emit: Emit,
): Promise<void> {
  const size = input.rules.length
  const row = (subject: string, metric: string, value: number, unit: string, samples = 1) =>
    emit({ case: name, subject, param, metric, value: Math.round(value * 1000) / 1000, unit, samples })
  const timing = (subject: string, { ns, samples }: Timing) => row(subject, 'ns_per_event', ns, 'ns', samples)
  const { value: program, ms, heapBytes } = made(() => compileConditions(input))
  const own = judgeOf(program, set)
  const hits = set.events.map((_, index) => own.ids(index))
  const isFalco = param.includes('falco')
  const perEvent = hits.reduce((sum, ids) => sum + ids.length, 0) / hits.length
  assert.ok(isFalco || perEvent <= HITS_MAX_PER_EVENT, `${param}: ${perEvent} hits an event`)
  row('hullguard', 'hits_per_event', perEvent, 'hits')
  row('hullguard', 'compile_ms', ms, 'ms')
  row('hullguard', 'program_bytes', program.statistics.programBytes, 'bytes')
  row('hullguard', 'heap_bytes', heapBytes, 'bytes')
  timing('hullguard', timed(own.judge, set.events.length))
  const quiet = hits.flatMap((ids, index) => (ids.length === 0 ? [index] : []))
  const allocated = allocatedBytes(own.judge, quiet)
  row('hullguard', 'bytes_allocated_per_event', allocated.bytes, 'bytes', allocated.samples)
  // closures know the operators of the generated rules
  if (isFalco) return
  if (size > CLOSURES_MAX_RULES) process.stderr.write(`${param}: closures left out\n`)
  else timing('closures', closures(input, set, hits, param))
  if (rivalsMaxRules === 0) return
  for (const [subject, make] of [
    ['json-rules-engine', jsonRulesEngine],
    ['cel-js', cel],
  ] as const) {
    if (size > rivalsMaxRules) process.stderr.write(`${param}: ${subject} left out\n`)
    else timing(subject, await timedRival(make(input, set), set, hits, size))
  }
}

function judgeOf(program: ReturnType<typeof compileConditions>, set: EventSet) {
  const profile = program.profileOf([0])
  const hits = { rules: new Uint32Array(Math.max(1, program.rules.length)), count: 0 }
  const reader = kept(new BenchReader(program.operands, set))
  const types = Int32Array.from(set.events, ({ type }) => set.eventTypes.indexOf(type))
  const judge: Judge = (index) => {
    reader.index = index
    program.match(profile, types[index] as number, reader, hits)
    return hits.count
  }
  const ids = (index: number) => {
    judge(index)
    return [...hits.rules.subarray(0, hits.count)]
  }
  return { judge, ids }
}

function closures(input: ConditionInput, set: EventSet, hits: readonly (readonly number[])[], param: string): Timing {
  const matcher = kept(new ClosureMatcher(input, set))
  const step = Math.ceil(set.events.length / CHECKED_EVENTS)
  for (let index = 0; index < set.events.length; index += step)
    assert.deepEqual(hits[index], matcher.hits(set.events[index] ?? raise(index)), `${param}: closures, event ${index}`)
  return timedSlow((index) => matcher.count(set.events[index] ?? raise(index)), set.events.length, input.rules.length)
}

function raise(index: number): never {
  throw new RangeError(`no event ${index}`)
}

async function timedRival(
  rival: Rival,
  set: EventSet,
  hits: readonly (readonly number[])[],
  size: number,
): Promise<Timing> {
  const step = Math.ceil(set.events.length / Math.max(16, Math.min(512, Math.floor(RIVAL_JUDGEMENTS / size))))
  const chosen = set.events.flatMap((event, index) => (index % step === 0 ? [{ event, index }] : []))
  for (const { event, index } of chosen) assert.deepEqual(await rival.hits(event), hits[index], `event ${index}`)
  const values: number[] = []
  for (let sample = 0; sample < RIVAL_SAMPLES; sample++) {
    const start = cpuNs()
    for (const { event } of chosen) await rival.hits(event)
    values.push((cpuNs() - start) / chosen.length)
  }
  return { ns: median(values), samples: RIVAL_SAMPLES }
}

/** Falco's own rules, those that can be in force. undefined: the file is not at hand. */
function stableRules(): ConditionInput | undefined {
  const { path: file, skip } = sharedFile('falco-rules/falco_rules.yaml')
  if (skip !== false) {
    process.stderr.write(`the stable Falco file is left out: ${skip}\n`)
    return undefined
  }
  const { rules, macros, lists } = loadFalcoRules([{ file, bytes: readFileSync(file) }])
  return {
    rules: rules.filter(({ enabled }) => enabled).map((rule) => ({ ...rule, scope: 0 })),
    macros,
    list: (list) => lists.values(list),
    fieldType: (field) => findField(field)?.type,
    eventTypes: TOLD_TYPES,
  }
}
