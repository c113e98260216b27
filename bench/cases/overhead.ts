/**
 * Question: what does the agent cost a program, watched and not?
 *
 * The same loops run on the host and in a runc container, in turns without an agent and with `hullguard run` (agent and
 * collector). A ratio is one turn with the agent over the mean of the turns without it before and after, so that slow drift of
 * the machine falls out; given are the median of the ratios and the 95 % interval of that median. The loops: fork, exec and
 * wait of a static program that returns; TCP connect to a closed and to an open port on loopback; a system call that does
 * nothing, also with `--activity syscall`. Asserted from the agent's own records and counters: the container is identified
 * and its acts are recorded, the host's are not.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchAgent } from '../support/agent.js'
import { withCleanup } from '../support/cleanup.js'
import { Producer } from '../support/producer.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { type BenchStage, setUpStage } from '../support/stage.js'
import { median, medianInterval } from '../support/statistics.js'

export const name = 'overhead'

const PAIRS = 30
const QUICK_PAIRS = 3
/** A turn is so many chunks of each loop, and its value is the middle one: another process's burst spoils a chunk, not a turn. */
const CHUNKS = 7
const EXECS = 30
const CONNECTS = 400
const CALLS = 40_000
/** Until a turn begins: the agent's own start and stop are over. */
const SETTLE_MS = 300

interface Loop {
  op: string
  count: number
  command: (openPort: number) => string
}

const LOOPS: readonly Loop[] = [
  { op: 'fork_exec', count: EXECS, command: () => `exec ${EXECS}` },
  { op: 'connect_closed', count: CONNECTS, command: () => `connect ${CONNECTS} 9` },
  { op: 'connect_open', count: CONNECTS, command: (port) => `connect ${CONNECTS} ${port}` },
  { op: 'getppid', count: CALLS, command: () => `getppid ${CALLS}` },
]
const SYSCALL_LOOP = LOOPS.filter(({ op }) => op === 'getppid')

/** Where the loops run. */
interface Place {
  subject: 'unwatched' | 'watched'
  producer: Producer
  openPort: number
}

/** `subject op` -> ns per operation, one per turn. */
type Turn = ReadonlyMap<string, number>

interface Round {
  before: Turn
  agent: Turn
  between: Turn
  withSyscalls: Turn
  after: Turn
}

export async function run(emit: Emit, { isQuick }: BenchOptions): Promise<void> {
  await withCleanup(async (defer) => {
    const stage = await setUpStage(defer)
    const onHost = Producer.onHost(stage.producerPath)
    defer(() => onHost.end())
    const places: Place[] = []
    for (const [subject, producer] of [
      ['unwatched', onHost],
      ['watched', stage.inContainer],
    ] as const)
      places.push({ subject, producer, openPort: (await producer.do('listen'))[0] ?? 0 })
    let agent: BenchAgent | undefined
    defer(() => agent?.stop())
    const withAgent = async (args: readonly string[], work: (agent: BenchAgent) => Promise<Turn>): Promise<Turn> => {
      agent = await BenchAgent.start(stage.dir, ['--runc-root', stage.runcRoot, ...args])
      try {
        await sleep(SETTLE_MS)
        return await work(agent)
      } finally {
        await agent.stop()
        agent = undefined
        await sleep(SETTLE_MS)
      }
    }
    await withAgent([], (started) => assertWatches(started, places, stage))
    const rounds: Round[] = []
    let before = await turn(places, LOOPS)
    for (let round = 0; round < (isQuick ? QUICK_PAIRS : PAIRS); round++) {
      const agentTurn = await withAgent([], (started) => counted(started, places))
      const between = await turn(places, LOOPS)
      const withSyscalls = await withAgent(['--activity', 'syscall'], () => turn(places, SYSCALL_LOOP))
      const after = await turn(places, LOOPS)
      rounds.push({ before, agent: agentTurn, between, withSyscalls, after })
      before = after
    }
    report(emit, rounds)
  })
}

async function turn(places: readonly Place[], loops: readonly Loop[]): Promise<Turn> {
  const results = new Map<string, number>()
  // The watched place comes last: the agent is still at work on its events when its loops are over.
  for (const { subject, producer, openPort } of places)
    for (const { op, count, command } of loops) {
      const chunksNs: number[] = []
      for (let chunk = 0; chunk < CHUNKS; chunk++) chunksNs.push(...(await producer.do(command(openPort))))
      results.set(`${subject} ${op}`, median(chunksNs) / count)
    }
  return results
}

/** A turn whose container events the agent has counted, and no more than those of one place. */
async function counted(agent: BenchAgent, places: readonly Place[]): Promise<Turn> {
  const seen = await agent.counter('sensor_events_total')
  const results = await turn(places, LOOPS)
  // fork, exec, exit each; the batch of the last events may still be on its way: 3 of 4 are enough to tell watched from not
  const wanted = CHUNKS * (3 * EXECS + 2 * CONNECTS)
  await sleep(100)
  const got = (await agent.counter('sensor_events_total')) - seen
  const lost = await agent.counter('kernel_events_lost_total')
  assert.ok(got + lost > 0.75 * wanted, `${got} events of the watched container counted, ${wanted} made`)
  return results
}

/** Before anything is timed: the container's acts are recorded under its name, the host's are not recorded. */
async function assertWatches(
  agent: BenchAgent,
  places: readonly Place[],
  { container, producerPath }: BenchStage,
): Promise<Turn> {
  for (const { producer } of places) {
    await producer.do('exec 20')
    await producer.do('connect 20 9')
  }
  await sleep(2_000)
  const records = await agent.records()
  const own = records.filter((record) => record.container.id === container.id && record.container.state === 'container')
  assert.equal(own.filter(({ exec }) => exec?.path === '/bench/true').length, 20, 'execs of the container')
  assert.equal(
    own.filter(({ kind, connect }) => kind === 'connect' && connect?.port === 9).length,
    20,
    'connects of the container',
  )
  const host = producerPath.replace(/producer$/, 'true')
  assert.equal(records.filter(({ exec }) => exec?.path === host).length, 0, "the host's execs")
  return new Map()
}

function report(emit: Emit, rounds: readonly Round[]): void {
  for (const subject of ['unwatched', 'watched'] as const) {
    for (const { op } of LOOPS) {
      const key = `${subject} ${op}`
      const pairs = rounds.map(({ before, agent, between }) => pairOf(key, before, agent, between))
      emitPairs(emit, subject, `op=${op}`, pairs)
      if (op !== 'getppid') continue
      const syscalls = rounds.map(({ between, withSyscalls, after }) => pairOf(key, between, withSyscalls, after))
      emitPairs(emit, subject, `op=${op},activity=syscall`, syscalls)
    }
  }
}

interface Pair {
  withoutNs: number
  withNs: number
}

function pairOf(key: string, before: Turn, during: Turn, after: Turn): Pair {
  const [one, withNs, other] = [before.get(key), during.get(key), after.get(key)]
  assert.ok(one !== undefined && withNs !== undefined && other !== undefined, key)
  return { withoutNs: (one + other) / 2, withNs }
}

function emitPairs(emit: Emit, subject: string, param: string, pairs: readonly Pair[]): void {
  const ratio = medianInterval(pairs.map(({ withoutNs, withNs }) => withNs / withoutNs))
  const row = (metric: string, value: number, unit: string, digits: number) =>
    emit({ case: name, subject, param, metric, value: Number(value.toFixed(digits)), unit, samples: pairs.length })
  row('ratio', ratio.median, 'ratio', 4)
  row('ratio_low95', ratio.low, 'ratio', 4)
  row('ratio_high95', ratio.high, 'ratio', 4)
  row('without_agent', median(pairs.map(({ withoutNs }) => withoutNs)), 'ns/op', 1)
  row('with_agent', median(pairs.map(({ withNs }) => withNs)), 'ns/op', 1)
}
