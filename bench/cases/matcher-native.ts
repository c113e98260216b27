/**
 * Question: the matcher's question (matcher.ts) of native policies: lists of programs, files, networks and system calls.
 *
 * The compiled program, plain closures in buckets by kind of event, and json-rules-engine (given the same closures as one
 * custom operator, so that only its own machinery is added) judge the same acts of the capture, in one container to which every
 * rule applies. Rule sets with the same hits an event at each size; a hostile set of allow lists only, which every rule has to be
 * asked about; and the same where every rule is violated, where the answer itself grows with the rules. All answers are asserted
 * equal before anything is timed.
 */
import assert from 'node:assert/strict'
import { Engine } from 'json-rules-engine'
import { compileProgram } from '../../src/match/program.js'
import type { ExecNames, FilePaths, Hits, Program } from '../../src/match/types.js'
import type { Rule } from '../../src/policy/model.js'
import { closureOf, type Fields, fieldsOf, type Violates } from '../support/closures.js'
import { hostileRules, mixedRules, policyOf } from '../support/generated-rules.js'
import { allocatedBytes, cpuNs, type Judge, made, type Timing, timed, timedSlow } from '../support/judging.js'
import { type BenchEvent, capturedActs } from '../support/native-events.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { median } from '../support/statistics.js'

const SIZES = [10, 100, 1_000, 10_000, 100_000]
const QUICK_SIZES = SIZES.slice(0, 3)
const RULES_SEED = 20_250_101
const HITS_MAX_PER_EVENT = 0.1
/** Larger sets take a rival minutes. */
const CLOSURES_MAX_RULES = 10_000
const ENGINE_MAX_RULES = 1_000
/** Beyond, an answer that names every rule does not fit what is remembered of it twice. */
const VIOLATED_SIZES = [100, 10_000]
/** json-rules-engine needs some 20 µs per rule and event: this many judgements of a rule a sample, and fewer samples. */
const ENGINE_JUDGEMENTS = 20_000
const ENGINE_SAMPLES = 3
const CHECKED_JUDGEMENTS = 2_000_000

const encoder = new TextEncoder()

export async function run(emit: Emit, { isQuick }: BenchOptions): Promise<void> {
  const events = capturedActs()
  const sizes = isQuick ? QUICK_SIZES : SIZES
  for (const size of sizes)
    await sweep(mixedRules(size, RULES_SEED), events, `rules=${size},set=native`, ENGINE_MAX_RULES, emit)
  const execs = events.filter(({ kind }) => kind === 'exec')
  for (const size of sizes) await sweep(hostileRules(size), execs, `rules=${size},set=native-hostile`, 0, emit)
  for (const size of VIOLATED_SIZES)
    violated(hostileRules(size, true), execs, `rules=${size},set=native-violated`, emit)
}

/** json-rules-engine is asked at up to `engineMaxRules` rules. */
async function sweep(
  rules: readonly Rule[],
  events: readonly BenchEvent[],
  param: string,
  engineMaxRules: number,
  emit: Emit,
): Promise<void> {
  const row = rowsOf(param, emit)
  const timing = (subject: string, { ns, samples }: Timing) => row(subject, 'ns_per_event', ns, 'ns', samples)
  const { value: program, ms, heapBytes } = made(() => compileProgram([policyOf(rules)]))
  const own = judgeOf(program, events)
  const hits = events.map((_, index) => own.ids(index))
  checkAnswers(rules, events, hits, param)
  const perEvent = hits.reduce((sum, ids) => sum + ids.length, 0) / events.length
  assert.ok(perEvent <= HITS_MAX_PER_EVENT, `${param}: ${perEvent} hits an event`)
  row('hullguard', 'hits_per_event', perEvent, 'hits')
  row('hullguard', 'compile_ms', ms, 'ms')
  row('hullguard', 'heap_bytes', heapBytes, 'bytes')
  timing('hullguard', timed(own.judge, events.length))
  const quiet = hits.flatMap((ids, index) => (ids.length === 0 ? [index] : []))
  const allocated = allocatedBytes(own.judge, quiet)
  row('hullguard', 'bytes_allocated_per_event', allocated.bytes, 'bytes', allocated.samples)
  if (rules.length > CLOSURES_MAX_RULES) process.stderr.write(`${param}: closures left out\n`)
  else timing('linear', timedSlow(closureJudge(rules, events), events.length, rules.length))
  if (rules.length <= engineMaxRules) timing('json-rules-engine', await timedEngine(rules, events.map(fieldsOf), hits))
  else if (engineMaxRules > 0) process.stderr.write(`${param}: json-rules-engine left out\n`)
}

function rowsOf(param: string, emit: Emit) {
  return (subject: string, metric: string, value: number, unit: string, samples = 1) =>
    emit({ case: 'matcher', subject, param, metric, value: Math.round(value * 1000) / 1000, unit, samples })
}

/** Every rule is reported at every event: what one of them costs. */
function violated(rules: readonly Rule[], events: readonly BenchEvent[], param: string, emit: Emit): void {
  const own = judgeOf(compileProgram([policyOf(rules)]), events)
  for (const index of events.keys()) assert.equal(own.judge(index), rules.length, `${param}: event ${index}`)
  const { ns, samples } = timed(own.judge, events.length)
  rowsOf(param, emit)('hullguard', 'ns_per_hit', ns / rules.length, 'ns', samples)
}

function checkAnswers(
  rules: readonly Rule[],
  events: readonly BenchEvent[],
  hits: readonly (readonly number[])[],
  param: string,
): void {
  const closures = rules.map((rule) => ({ kind: rule.kind, violates: closureOf(rule) }))
  const step = Math.max(1, Math.floor((events.length * rules.length) / CHECKED_JUDGEMENTS))
  for (let index = 0; index < events.length; index += step) {
    const one = fieldsOf(events[index] ?? raise(index))
    const expected = closures.flatMap(({ kind, violates }, id) => (kind === one.kind && violates(one) ? [id] : []))
    assert.deepEqual(hits[index], expected, `${param}: event ${index}`)
  }
}

function judgeOf(program: Program, events: readonly BenchEvent[]) {
  const ref = { state: 'container' as const, id: 'c', name: 'bench', image: 'bench', imageId: '', runtime: 'runc' }
  const profile = program.profileFor({ ...ref, labels: {}, outerIds: [] })
  const hits: Hits = { rules: new Uint32Array(program.rules.length), count: 0 }
  const prepared = events.map((event) => {
    if (event.kind === 'exec') return { ...event, names: namesOf(event) }
    return event.kind === 'file' ? { ...event, paths: pathsOf(event) } : event
  })
  const judge: Judge = (index) => {
    const event = prepared[index] ?? raise(index)
    switch (event.kind) {
      case 'exec':
        program.matchExec(profile, event.names, false, hits)
        break
      case 'file':
        program.matchFile(profile, event.paths, event.access, false, hits)
        break
      case 'connect':
        program.matchConnect(profile, event.address, 0, event.port, event.proto, false, hits)
        break
      case 'listen':
        program.matchListen(profile, event.address, 0, event.port, false, hits)
        break
      default:
        program.matchSyscall(profile, event.nr, 0, false, hits)
    }
    return hits.count
  }
  const ids = (index: number) => {
    judge(index)
    return [...hits.rules.subarray(0, hits.count)]
  }
  return { judge, ids }
}

function raise(index: number): never {
  throw new RangeError(`no event ${index}`)
}

function namesOf({ invoked, file, isScript }: Extract<BenchEvent, { kind: 'exec' }>): ExecNames {
  const [first, second] = [encoder.encode(invoked), encoder.encode(file)]
  const bytes = Uint8Array.from([...first, ...second])
  return {
    bytes,
    invokedStart: 0,
    invokedEnd: first.length,
    fileStart: first.length,
    fileEnd: bytes.length,
    isScript,
    foreignRoot: false,
    verified: false,
  }
}

function pathsOf({ path, other }: Extract<BenchEvent, { kind: 'file' }>): FilePaths {
  const [first, second] = [encoder.encode(path), encoder.encode(other ?? '')]
  const bytes = Uint8Array.from([...first, ...second])
  return {
    bytes,
    start: 0,
    end: first.length,
    hasOther: other !== undefined,
    otherStart: first.length,
    otherEnd: bytes.length,
  }
}

/** From the event on: parsing its fields is part of the work, once an event, as it is for the program. */
function closureJudge(rules: readonly Rule[], events: readonly BenchEvent[]): Judge {
  const buckets: Record<BenchEvent['kind'], Violates[]> = { exec: [], connect: [], listen: [], syscall: [], file: [] }
  for (const rule of rules) if (isJudged(rule.kind)) buckets[rule.kind].push(closureOf(rule))
  return (index) => {
    const event = events[index] ?? raise(index)
    const fields = fieldsOf(event)
    let count = 0
    for (const violates of buckets[event.kind]) if (violates(fields)) count++
    return count
  }
}

function isJudged(kind: Rule['kind']): kind is BenchEvent['kind'] {
  return kind === 'exec' || kind === 'connect' || kind === 'listen' || kind === 'syscall' || kind === 'file'
}

async function timedEngine(
  rules: readonly Rule[],
  fields: readonly Fields[],
  expected: readonly (readonly number[])[],
): Promise<Timing> {
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
    return events.map(({ type }) => Number(type)).sort((a, b) => a - b)
  }
  for (const index of chosen) assert.deepEqual(await judge(index), expected[index], `json-rules-engine: event ${index}`)
  const values: number[] = []
  for (let sample = 0; sample < ENGINE_SAMPLES; sample++) {
    const start = cpuNs()
    for (const index of chosen) await judge(index)
    values.push((cpuNs() - start) / count)
  }
  return { ns: median(values), samples: ENGINE_SAMPLES }
}
