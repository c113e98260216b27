/**
 * Question: what does the agent cost a program, watched and not, by what is in force?
 *
 * The same loops run on the host and in a runc container, in turns without an agent and with `hullguard run` (agent and collector):
 * with no policy, with the standard set, with 1,000 rules, with Falco's stable file where it is at hand (HULLGUARD_SHARED_DATA), and
 * with `--activity syscall`. `empty-hook` is no agent but an empty program at the end of every system call: what that hook costs at
 * least. Every second turn is one without an agent: a ratio is a turn with the agent over the mean of the turns without it before and
 * after, so that slow drift of the machine falls out; given are the median of the ratios and the 95 % interval of that median. The
 * loops: fork, exec and wait of a static program that returns; TCP connect to an open and to a closed port on loopback; open and
 * close of a file that no rule names; a system call that does nothing; the compiler on a small file. An agent that was just started is
 * warmed up by acts of the container first. Asserted from the agent's own records and counters: the container is identified and its
 * acts are recorded, the host's are not.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { sharedFile } from '../../test/support/shared-data.js'
import { BenchAgent } from '../support/agent.js'
import { withCleanup } from '../support/cleanup.js'
import { EmptyHook } from '../support/empty-hook.js'
import { Producer } from '../support/producer.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { writeManyRules } from '../support/rules-file.js'
import { type BenchStage, BUILD_SOURCE, setUpStage } from '../support/stage.js'
import { median, medianInterval } from '../support/statistics.js'

export const name = 'overhead'

const PAIRS = 30
const QUICK_PAIRS = 2
/** A turn is so many chunks of each loop, and its value is the middle one: another process's burst spoils a chunk, not a turn. */
const CHUNKS = 5
/** A chunk takes so long that bursts are a small part of it. */
const BUILD_CHUNKS = 2
const EXECS = 20
const CONNECTS = 200
const OPENS = 10_000
const CALLS = 40_000
/** A turn compiles BUILD_CHUNKS times this many, all pairs of a configuration together BUILD_CHUNKS * PAIRS times. */
const BUILDS = 1
const RULES_COUNT = 1_000
/** Until a turn begins: the agent's own start and stop are over. */
const SETTLE_MS = 300
/** The watched container does this first (producer.c): an agent compiles its own code while it handles its first events, once. */
const WARM_UP = 'mix 300 5'

interface Loop {
  op: string
  count: number
  chunks?: number
  command: (place: Place) => string
}

/** First those of which no event is told: the agent is at rest then, and works on no other loop's events. */
const LOOPS: readonly Loop[] = [
  { op: 'open_close', count: OPENS, command: ({ folder }) => `opens ${OPENS} 1 ${folder}/true ${folder}/true` },
  { op: 'getppid', count: CALLS, command: () => `getppid ${CALLS}` },
  { op: 'fork_exec', count: EXECS, command: () => `exec ${EXECS}` },
  { op: 'connect_closed', count: CONNECTS, command: () => `connect ${CONNECTS} 9` },
  { op: 'connect_open', count: CONNECTS, command: ({ openPort }) => `connect ${CONNECTS} ${openPort}` },
  {
    op: 'build',
    count: BUILDS,
    chunks: BUILD_CHUNKS,
    command: ({ folder, tmp }) => `build ${BUILDS} ${folder}/${BUILD_SOURCE} ${tmp}`,
  },
]
const SYSCALL_LOOP = LOOPS.filter(({ op }) => op === 'getppid')
const HOOK_LOOPS = LOOPS.filter(({ op }) => ['getppid', 'open_close', 'fork_exec'].includes(op))

/** Where the loops run. */
interface Place {
  subject: 'unwatched' | 'watched'
  producer: Producer
  openPort: number
  /** With the programs. */
  folder: string
  tmp: string
}

/** What is in force. */
interface Config {
  config: string
  /** Of the agent; undefined: there is none, but the empty program. */
  args: readonly string[] | undefined
  loops: readonly Loop[]
}

/** `subject op` -> ns per operation, one per turn. */
type Turn = ReadonlyMap<string, number>

interface Pair {
  before: Turn
  during: Turn
  after: Turn
}

export async function run(emit: Emit, { isQuick }: BenchOptions): Promise<void> {
  await withCleanup(async (defer) => {
    const stage = await setUpStage(defer)
    const places = await makePlaces(stage, defer)
    let agent: BenchAgent | undefined
    defer(() => agent?.stop())
    const hook = await EmptyHook.compile(stage.dir)
    defer(() => hook.detach())
    const withHook = async (loops: readonly Loop[]): Promise<Turn> => {
      hook.attach()
      try {
        return await turn(places, loops)
      } finally {
        hook.detach()
      }
    }
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
    const configs = configsFor(stage)
    const pairs = new Map<Config, Pair[]>(configs.map((config) => [config, []]))
    const pairsCount = isQuick ? QUICK_PAIRS : PAIRS
    let before = await turn(places, LOOPS)
    for (let round = 1; round <= pairsCount; round++) {
      if (round % 5 === 1) process.stderr.write(`  overhead: pair ${round} of ${pairsCount}\n`)
      for (const config of configs) {
        const { args, loops } = config
        const during =
          args === undefined
            ? await withHook(loops)
            : await withAgent(args, (started) => counted(started, places, config))
        const after = await turn(places, LOOPS)
        pairs.get(config)?.push({ before, during, after })
        before = after
      }
    }
    for (const [config, made] of pairs) report(emit, config, made)
  })
}

async function makePlaces(stage: BenchStage, defer: (undo: () => unknown) => void): Promise<Place[]> {
  const onHost = Producer.onHost(stage.producerPath)
  defer(() => onHost.end())
  const openPortOf = async (producer: Producer) => (await producer.do('listen'))[0] ?? 0
  return [
    { subject: 'unwatched', producer: onHost, openPort: await openPortOf(onHost), folder: stage.dir, tmp: stage.dir },
    {
      subject: 'watched',
      producer: stage.inContainer,
      openPort: await openPortOf(stage.inContainer),
      folder: '/bench',
      tmp: '/tmp',
    },
  ]
}

function configsFor({ dir }: BenchStage): Config[] {
  const falco = sharedFile('falco-rules/falco_rules.yaml')
  if (falco.skip !== false) process.stderr.write(`  overhead: without Falco's rules: ${falco.skip}\n`)
  return [
    { config: 'empty-hook', args: undefined, loops: HOOK_LOOPS },
    { config: 'no-policy', args: [], loops: LOOPS },
    { config: 'standard', args: ['--policies', 'standard'], loops: LOOPS },
    { config: '1000-rules', args: ['--policies', writeManyRules(dir, RULES_COUNT)], loops: LOOPS },
    ...(falco.skip === false ? [{ config: 'falco', args: ['--rules', falco.path], loops: LOOPS }] : []),
    { config: 'activity-syscall', args: ['--activity', 'syscall'], loops: SYSCALL_LOOP },
  ]
}

async function turn(places: readonly Place[], loops: readonly Loop[]): Promise<Turn> {
  const results = new Map<string, number>()
  // The watched place comes last: the agent is still at work on its events when its loops are over.
  for (const place of places)
    for (const { op, count, chunks = CHUNKS, command } of loops) {
      const chunksNs: number[] = []
      for (let chunk = 0; chunk < chunks; chunk++) chunksNs.push((await place.producer.do(command(place)))[0] ?? NaN)
      results.set(`${place.subject} ${op}`, median(chunksNs) / count)
    }
  return results
}

/** A turn with a warm agent; of one with execs and connects, the container's events are counted by the agent. */
async function counted(agent: BenchAgent, places: readonly Place[], { loops }: Config): Promise<Turn> {
  for (const { subject, producer } of places) if (subject === 'watched') await producer.do(WARM_UP)
  await sleep(SETTLE_MS)
  const seen = await agent.counter('sensor_events_total')
  const results = await turn(places, loops)
  if (loops !== LOOPS) return results
  // fork, exec, exit each; the batch of the last events may still be on its way: 3 of 4 are enough to tell watched from not
  const wanted = CHUNKS * (3 * EXECS + 2 * CONNECTS)
  await sleep(SETTLE_MS)
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

function report(emit: Emit, { config, loops }: Config, pairs: readonly Pair[]): void {
  for (const subject of ['unwatched', 'watched'] as const)
    for (const { op } of loops) {
      const measured = pairs.map((pair) => timesOf(`${subject} ${op}`, pair))
      const ratio = medianInterval(measured.map(({ withoutNs, withNs }) => withNs / withoutNs))
      const row = (metric: string, value: number, unit: string, digits: number) =>
        emit({
          case: name,
          subject,
          param: `op=${op},config=${config}`,
          metric,
          value: Number(value.toFixed(digits)),
          unit,
          samples: pairs.length,
        })
      row('ratio', ratio.median, 'ratio', 4)
      row('ratio_low95', ratio.low, 'ratio', 4)
      row('ratio_high95', ratio.high, 'ratio', 4)
      row('without_agent', median(measured.map(({ withoutNs }) => withoutNs)), 'ns/op', 1)
      row('with_agent', median(measured.map(({ withNs }) => withNs)), 'ns/op', 1)
    }
}

function timesOf(key: string, { before, during, after }: Pair): { withoutNs: number; withNs: number } {
  const [one, withNs, other] = [before.get(key), during.get(key), after.get(key)]
  assert.ok(one !== undefined && withNs !== undefined && other !== undefined, key)
  return { withoutNs: (one + other) / 2, withNs }
}
