/**
 * Question: the matcher's question (matcher.ts) of native policies: lists of paths, networks and system calls.
 *
 * The compiled program, plain closures in buckets by kind of event, and json-rules-engine (given the same closures as one
 * custom operator, so that only its own machinery is added) judge the same events: half execs, connects, a few system
 * calls, in one container to which every rule applies. Rule sets of 10 to 10,000 with the same hits an event at each
 * size; and a hostile set, allow lists only, where every rule must be looked at. All answers are asserted equal before
 * anything is timed. Values are medians; hits are summed and checked, so that no work can be left out.
 */
import assert from 'node:assert/strict'
import { pathToFileURL } from 'node:url'
import { Engine } from 'json-rules-engine'
import { compileProgram } from '../../src/match/program.js'
import type { ExecNames, Hits } from '../../src/match/types.js'
import type { Rule } from '../../src/policy/model.js'
import { closureOf, type Fields, fieldsOf, type Violates } from '../support/closures.js'
import { type BenchEvent, hostileRules, mixedEvents, mixedRules, policyOf } from '../support/generated-rules.js'

export const name = 'matcher'

export interface Row {
  case: string
  subject: string
  param: string
  metric: string
  value: number
  unit: string
  samples: number
}

const SIZES = [10, 100, 1_000, 10_000]
const EVENTS_COUNT = 1_024
const RULES_SEED = 20_250_101
const EVENTS_SEED = 7
const HITS_MAX_PER_EVENT = 0.1
const SAMPLES = 15
const SAMPLE_MIN_NS = 20_000_000
/** A pass of the slowest closures over all events would take seconds. */
const PASS_MAX_NS = 100_000_000
const SLOW_SAMPLES = 7
const PROBE_EVENTS = 64
/** json-rules-engine needs some 20 µs per rule and event: this many judgements of a rule a sample, and fewer samples. */
const ENGINE_JUDGEMENTS = 20_000
const ENGINE_SAMPLES = 3

/** Judges event `index`; the number of hits. */
type Judge = (index: number) => number

export async function run(emit: (row: Row) => void): Promise<void> {
  const events = mixedEvents(EVENTS_COUNT, EVENTS_SEED)
  for (const size of SIZES) await sweep(mixedRules(size, RULES_SEED), events, `rules=${size},set=native`, true, emit)
  const execs = events.filter(({ kind }) => kind === 'exec')
  for (const size of SIZES) await sweep(hostileRules(size), execs, `rules=${size},set=native-hostile`, false, emit)
}

async function sweep(
  rules: readonly Rule[],
  events: readonly BenchEvent[],
  param: string,
  withEngine: boolean,
  emit: (row: Row) => void,
): Promise<void> {
  const own = ownJudge(rules, events)
  const fields = events.map(fieldsOf)
  const closures = closureJudge(rules, events)
  const hitsPerEvent = events.map((_, index) => sortedHits(own.ids(index)))
  for (const [index, one] of fields.entries()) {
    const expected = rules.flatMap((rule, id) => (rule.kind === one.kind && closureOf(rule)(one) ? [id] : []))
    assert.deepEqual(hitsPerEvent[index], expected, `${param}: event ${index}`)
  }
  const hits = hitsPerEvent.reduce((sum, ids) => sum + ids.length, 0) / events.length
  assert.ok(hits <= HITS_MAX_PER_EVENT, `${param}: ${hits} hits an event`)
  const row = (subject: string, metric: string, value: number, unit: string, samples: number) =>
    emit({ case: name, subject, param, metric, value: Math.round(value * 1000) / 1000, unit, samples })
  row('hullguard', 'hits_per_event', hits, 'hits', 1)
  const ownTiming = timed(own.judge, events.length)
  row('hullguard', 'ns_per_event', ownTiming.ns, 'ns', ownTiming.samples)
  const linear = timed(closures, events.length)
  row('linear', 'ns_per_event', linear.ns, 'ns', linear.samples)
  if (withEngine) {
    const value = await timedEngine(rules, fields, hitsPerEvent)
    row('json-rules-engine', 'ns_per_event', value, 'ns', ENGINE_SAMPLES)
  }
}

function ownJudge(rules: readonly Rule[], events: readonly BenchEvent[]) {
  const program = compileProgram([policyOf(rules)])
  const labels = {}
  const container = {
    state: 'container' as const,
    id: 'c',
    name: 'bench',
    image: 'bench',
    imageId: '',
    runtime: 'runc',
  }
  const profile = program.profileFor({ ...container, labels, outerIds: [] })
  const hits: Hits = { rules: new Uint32Array(rules.length), count: 0 }
  const prepared = events.map((event) => (event.kind === 'exec' ? { ...event, names: namesOf(event) } : event))
  const judge: Judge = (index) => {
    const event = prepared[index]
    if (event === undefined) throw new RangeError(`no event ${index}`)
    if (event.kind === 'exec') program.matchExec(profile, event.names, false, hits)
    else if (event.kind === 'connect')
      program.matchConnect(profile, event.address, 0, event.port, event.proto, false, hits)
    else program.matchSyscall(profile, event.nr, 0, false, hits)
    return hits.count
  }
  const ids = (index: number) => {
    judge(index)
    return [...hits.rules.subarray(0, hits.count)]
  }
  return { judge, ids }
}

function namesOf({ invoked, file }: { invoked: string; file: string }): ExecNames {
  const bytes = new TextEncoder().encode(invoked + file)
  return {
    bytes,
    invokedStart: 0,
    invokedEnd: invoked.length,
    fileStart: invoked.length,
    fileEnd: bytes.length,
    isScript: false,
    foreignRoot: false,
    verified: false,
  }
}

/** From the event on: parsing its fields is part of the work, once an event, as it is for the program. */
function closureJudge(rules: readonly Rule[], events: readonly BenchEvent[]): Judge {
  const buckets: Record<BenchEvent['kind'], Violates[]> = { exec: [], connect: [], syscall: [] }
  for (const rule of rules)
    if (rule.kind === 'exec' || rule.kind === 'connect' || rule.kind === 'syscall')
      buckets[rule.kind].push(closureOf(rule))
  return (index) => {
    const event = events[index]
    if (event === undefined) throw new RangeError(`no event ${index}`)
    const fields = fieldsOf(event)
    let count = 0
    for (const violates of buckets[event.kind]) if (violates(fields)) count++
    return count
  }
}

function sortedHits(ids: readonly number[]): number[] {
  return [...ids].sort((a, b) => a - b)
}

interface Timing {
  ns: number
  samples: number
}

/** Median ns an event over samples of whole passes, after warming up. A judge too slow for that passes over every nth event, fewer times. */
function timed(judge: Judge, count: number): Timing {
  const probeStart = process.hrtime.bigint()
  for (let index = 0; index < PROBE_EVENTS; index++) judge(index)
  const probedNs = Number(process.hrtime.bigint() - probeStart) / PROBE_EVENTS
  const slow = probedNs * count > PASS_MAX_NS
  const step = slow ? Math.min(Math.floor(count / PROBE_EVENTS), Math.ceil((probedNs * count) / PASS_MAX_NS)) : 1
  const samples = slow ? SLOW_SAMPLES : SAMPLES
  const pass = () => {
    let hits = 0
    for (let index = 0; index < count; index += step) hits += judge(index)
    return hits
  }
  const judged = Math.ceil(count / step)
  const expected = pass()
  const values: number[] = []
  for (let sample = -1; sample < samples; sample++) {
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
    if (sample >= 0) values.push(elapsedNs / (passes * judged))
  }
  return { ns: median(values), samples }
}

async function timedEngine(
  rules: readonly Rule[],
  fields: readonly Fields[],
  expected: readonly (readonly number[])[],
): Promise<number> {
  const engine = new Engine()
  const closures = rules.map(closureOf)
  engine.addOperator('violates', (fact: Fields, rule: number) => closures[rule]?.(fact) === true)
  for (const [id, rule] of rules.entries())
    engine.addRule({
      conditions: {
        all: [
          { fact: 'kind', operator: 'equal', value: rule.kind, priority: 2 },
          { fact: 'fields', operator: 'violates', value: id, priority: 1 },
        ],
      },
      event: { type: String(id) },
    })
  const count = Math.max(2, Math.min(fields.length, Math.floor(ENGINE_JUDGEMENTS / rules.length)))
  // spread over the list, so that every kind of event is in
  const chosen = Array.from({ length: count }, (_, index) => Math.floor((index * fields.length) / count))
  const judge = async (index: number) => {
    const one = fields[index]
    const { events } = await engine.run({ kind: one?.kind, fields: one })
    return sortedHits(events.map(({ type }) => Number(type)))
  }
  for (const index of chosen) assert.deepEqual(await judge(index), expected[index], `json-rules-engine: event ${index}`)
  const values: number[] = []
  for (let sample = 0; sample < ENGINE_SAMPLES; sample++) {
    const start = process.hrtime.bigint()
    for (const index of chosen) await judge(index)
    values.push(Number(process.hrtime.bigint() - start) / count)
  }
  return median(values)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  await run((row) => console.log(JSON.stringify(row)))
