/**
 * Question: how much CPU does the agent take for one event, from the ring to its spool and collector?
 *
 * The real agent runs in this process. Its JavaScript thread stands still while a producer in a runc container makes forks,
 * execs, exits and connects: they wait in the ring, which is large enough to hold them all below its wake-up mark. Then it
 * goes on, and the CPU time of the whole process (reader thread, JavaScript, libuv's threads, garbage collection) until all is
 * handled and still is divided by the events. With 0 and 1,000 rules that apply to the container and hit nothing;
 * delivering to a collector process, and with the collector down (spool only).
 *
 * An agent runs for weeks: what V8 takes to compile and to learn of types is not counted. It takes some 700,000 events, so each agent
 * handles as many before the first that counts, and each is in a process of its own (PARTS): a second one in the same process pays
 * for what V8 learned of the first. Asserted: nothing lost, and in the store exactly what was made.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningAgent, startAgent } from '../../src/agent/agent.js'
import { boundYoungGeneration } from '../../src/cli/heap.js'
import { openLocal } from '../../src/collector/local-source.js'
import { Counters } from '../../src/telemetry/counters.js'
import { SILENT } from '../../test/support/delivery.js'
import { endCollector, spawnCollector } from '../../test/support/delivery-child.js'
import { withCleanup } from '../support/cleanup.js'
import { mixedRules, policyOf } from '../support/generated-rules.js'
import { BlockingProducer } from '../support/producer.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { type BenchStage, setUpStage } from '../support/stage.js'
import { median } from '../support/statistics.js'

export const name = 'pipeline'

const SEED = 20_250_101

/** So many times a fork, an exec, an exit and `connects` connects that are refused, two events each of about 115 bytes. */
interface Mix {
  iterations: number
  connects: number
}

interface Fills {
  mix: Mix
  count: number
}

const WARM_UP: Fills = { mix: { iterations: 1_000, connects: 60 }, count: 6 }
const MIX: Mix = { iterations: 5_000, connects: 5 }
const FIRST: Fills = { mix: MIX, count: 1 }
const COUNTED: Fills = { mix: MIX, count: 5 }
const QUICK_COUNTED: Fills = { mix: MIX, count: 2 }
/** Room for all of a fill within a quarter of the ring: beyond that the kernel side wakes the reader for every event. */
const RING_BYTES = 64 * 1024 * 1024
const QUIET_MS = 100
const QUIET_CPU_US = 5_000
/** Other containers of the machine may act now and then: their events are handled, and divided by, as well. */
const QUIET_EVENTS = 20
const DRAINED_WITHIN_MS = 120_000

interface Fill {
  events: number
  cpuUs: number
  /** Of it, the main thread. */
  mainUs: number
}

export async function run(emit: Emit, { isQuick, part }: BenchOptions): Promise<void> {
  const [, rules, delivery] = /^rules=(\d+),delivery=(collector|spool)$/.exec(part ?? '') ?? []
  if (rules === undefined) throw new Error(`no part \`${part}\``)
  await withCleanup(async (defer) => {
    boundYoungGeneration() // as the agent's own process does
    const stage = await setUpStage(defer)
    const before = isQuick ? [FIRST] : [WARM_UP, FIRST]
    const counted = isQuick ? QUICK_COUNTED : COUNTED
    const results = await measure(stage, Number(rules), delivery === 'collector', before, counted, defer)
    const row = (metric: string, pick: (fill: Fill) => number) =>
      emit({
        case: name,
        subject: 'hullguard',
        param: `rules=${rules},delivery=${delivery}`,
        metric,
        value: Number(median(results.map(pick)).toFixed(3)),
        unit: 'us',
        samples: results.length,
      })
    row('cpu_per_event', ({ cpuUs, events }) => cpuUs / events)
    row('main_thread_per_event', ({ mainUs, events }) => mainUs / events)
    row('other_threads_per_event', ({ cpuUs, mainUs, events }) => (cpuUs - mainUs) / events)
  })
}

async function measure(
  stage: BenchStage,
  rules: number,
  isCollected: boolean,
  before: readonly Fills[],
  counted: Fills,
  defer: (undo: () => unknown) => void,
): Promise<Fill[]> {
  const dir = mkdtempSync(join(stage.dir, 'pipeline-'))
  const collector = isCollected ? await spawnCollector(join(dir, 'collector'), '127.0.0.1:0') : undefined
  const endChild = async () => collector && endCollector(collector, 'SIGTERM')
  defer(endChild)
  const counters = new Counters()
  const agent = await startAgent({
    dataDir: join(dir, 'agent'),
    lockFile: join(dir, 'agent.lock'),
    collectors: collector === undefined ? [] : [collector.address],
    rulebook: { policies: rules === 0 ? [] : [policyOf(mixedRules(rules, SEED))] },
    mode: 'observe',
    activity: new Set(),
    ringBytes: RING_BYTES,
    dockerSocket: join(dir, 'none.sock'),
    runcRoots: [stage.runcRoot],
    counters,
    log: SILENT,
  })
  defer(() => agent.stop())
  const producer = await BlockingProducer.start(dir, (input, output) =>
    stage.container.execSpawn(['/bench/producer', 'serve'], [input, output, 'ignore']),
  )
  defer(() => producer.end())
  while (collector !== undefined && agent.status.collector === null) await sleep(10)
  const fill = async ({ mix, count }: Fills) => {
    const results: Fill[] = []
    for (let index = 0; index < count; index++) results.push(await one(producer, counters, mix))
    return results
  }
  for (const fills of before) await fill(fills)
  const results = await fill(counted)
  await finish(agent, counters)
  await endChild()
  if (collector !== undefined) await assertStored(join(dir, 'collector'), stage, [...before, counted])
  return results
}

async function one(producer: BlockingProducer, counters: Counters, { iterations, connects }: Mix): Promise<Fill> {
  await quiet(counters)
  const eventsBefore = counters.get('sensor_events_total')
  const cpuBefore = process.cpuUsage()
  const mainBefore = mainThreadUs()
  producer.do(`mix ${iterations} ${connects}`)
  await quiet(counters)
  const { user, system } = process.cpuUsage(cpuBefore)
  const events = counters.get('sensor_events_total') - eventsBefore
  assert.ok(events >= iterations * (3 + 2 * connects), `${events} events handled`)
  return { events, cpuUs: user + system, mainUs: mainThreadUs() - mainBefore }
}

/** Until hardly an event was handled and next to no CPU was used for a while, twice in a row. */
async function quiet(counters: Counters): Promise<void> {
  const end = Date.now() + DRAINED_WITHIN_MS
  for (let quietCount = 0; quietCount < 2; ) {
    const events = counters.get('sensor_events_total')
    const cpu = process.cpuUsage()
    await sleep(QUIET_MS)
    const { user, system } = process.cpuUsage(cpu)
    const handled = counters.get('sensor_events_total') - events
    const isQuiet = handled <= QUIET_EVENTS && user + system < QUIET_CPU_US
    quietCount = isQuiet ? quietCount + 1 : 0
    assert.ok(Date.now() < end, 'the agent did not come to rest')
  }
}

async function finish(agent: RunningAgent, counters: Counters): Promise<void> {
  const report = await agent.stop()
  assert.equal(report.lostCount, 0)
  assert.equal(counters.get('kernel_events_lost_total'), 0, 'events lost in the ring')
}

async function assertStored(dataDir: string, { container }: BenchStage, fills: readonly Fills[]): Promise<void> {
  const source = openLocal(dataDir)
  const counts = { fork: 0, exec: 0, connect: 0, alert: 0 }
  try {
    for await (const { records } of source.events({ container: container.id }))
      for (const { kind, exec, process: actor } of records) {
        if (kind === 'exec' && exec?.path === '/bench/true') counts.exec++
        if (kind === 'fork' && actor?.exe === '/bench/producer') counts.fork++
        if (kind === 'connect') counts.connect++
        if (kind === 'alert') counts.alert++
      }
  } finally {
    source.close()
  }
  const made = (of: (mix: Mix) => number) => fills.reduce((sum, { mix, count }) => sum + count * of(mix), 0)
  const forks = made(({ iterations }) => iterations)
  const connect = made(({ iterations, connects }) => iterations * connects)
  assert.deepEqual(counts, { fork: forks, exec: forks, connect, alert: 0 })
}

/** CPU time of this process's main thread: sum of its user and system time in ns is field 1 of schedstat. */
function mainThreadUs(): number {
  const main = String(process.pid)
  assert.ok(readdirSync('/proc/self/task').includes(main))
  return Number(readFileSync(`/proc/self/task/${main}/schedstat`, 'latin1').split(' ')[0]) / 1000
}
