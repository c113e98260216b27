/**
 * Question: what is missed when a container opens files as fast as it can?
 *
 * Two loops in a runc container open and close a plain file, and each thousandth time one that a rule is about, on every core at
 * once. With a rule that the kernel can filter (the path is written down), and with one that it cannot (the last component
 * alone), so that each open comes to user space. Given are the sensitive opens that were alerted, the events that the kernel
 * counted as lost, the agent's CPU time, and the time of an open+close with and without the agent. An agent that was just started
 * has floods before the one that counts: it compiles its own code while it handles its first events. Asserted: each alert is of an open
 * that was made; what is missing of the alerts is counted as lost; and gaps say as much as the kernel's own counters.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchAgent } from '../support/agent.js'
import { withCleanup } from '../support/cleanup.js'
import { Producer } from '../support/producer.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { type BenchStage, setUpStage } from '../support/stage.js'

export const name = 'saturation'

const LOOPS_COUNT = 2
const OPENS = 300_000
const QUICK_OPENS = 20_000
/** An agent runs for weeks: what V8 takes to compile its code is not counted. */
const WARM_UP_FLOODS = 4
const EVERY = 1_000
const PLAIN = '/bench/true'
const SENSITIVE = '/etc/passwd'
const FORKS_AFTER = 50
/** Counters and records stand still for so long, which is longer than a hole in the numbers stands open: all has arrived. */
const STILL_MS = 3_000
/** USER_HZ of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

const RULES = {
  filtered: `file: { deny: [{ path: ${SENSITIVE}, access: [read] }] }`,
  unfiltered: 'condition: evt.type in (open, openat, openat2) and fd.num >= 0 and fd.filename = passwd',
} as const

interface Flood {
  sensitiveCount: number
  nsPerPair: number
}

export async function run(emit: Emit, { isQuick }: BenchOptions): Promise<void> {
  await withCleanup(async (defer) => {
    const stage = await setUpStage(defer)
    const second = new Producer(stage.container.execSpawn(['/bench/producer', 'serve']))
    defer(() => second.end())
    const producers = [stage.inContainer, second]
    assert.equal(producers.length, LOOPS_COUNT)
    const opens = isQuick ? QUICK_OPENS : OPENS
    const alone = await flood(producers, opens)
    row(emit, 'no agent', 'pair', alone.nsPerPair, 'ns/op', opens)
    for (const [subject, rule] of Object.entries(RULES)) await measure(emit, stage, producers, opens, subject, rule)
  })
}

async function measure(
  emit: Emit,
  stage: BenchStage,
  producers: readonly Producer[],
  opens: number,
  subject: string,
  rule: string,
): Promise<void> {
  const policy = join(stage.dir, `${subject}.yaml`)
  writeFileSync(
    policy,
    `policy: bench\ncontainers: { name: "hullguard-test-*" }\nrules:\n  - rule: sensitive\n    ${rule}\n`,
  )
  const agent = await BenchAgent.start(stage.dir, ['--runc-root', stage.runcRoot, '--policies', policy])
  try {
    await sleep(STILL_MS) // the container's processes are known
    for (let round = 0; round < WARM_UP_FLOODS; round++) await flood(producers, opens)
    const before = await settle(agent)
    const cpuBefore = cpuSeconds(agent.pid)
    const made = await flood(producers, opens)
    await sleep(STILL_MS)
    const cpu = cpuSeconds(agent.pid) - cpuBefore
    assert.equal(await agent.counter('sensor_ring_waiting_bytes'), 0, 'all is handled')
    // The loss of a CPU's last events shows with its next one: forks from both loops at once reach every CPU.
    await Promise.all(producers.map((producer) => producer.do(`exec ${FORKS_AFTER}`)))
    const after = await settle(agent)
    const [alertedCount, lostCount] = [after.alerted - before.alerted, after.lost - before.lost]
    assert.ok(alertedCount <= made.sensitiveCount, `${alertedCount} alerts of ${made.sensitiveCount} opens`)
    assert.ok(made.sensitiveCount - alertedCount <= lostCount, `${alertedCount} alerts, ${lostCount} events lost`)
    assert.equal(after.inGaps, after.lost, 'gap records and counters')
    row(emit, subject, 'sensitive_opens', made.sensitiveCount, 'opens', opens)
    row(emit, subject, 'alerted', alertedCount, 'opens', opens)
    row(emit, subject, 'events_lost', lostCount, 'events', opens)
    row(emit, subject, 'agent_cpu', cpu, 's', opens)
    row(emit, subject, 'pair', made.nsPerPair, 'ns/op', opens)
  } finally {
    await agent.stop()
  }
}

async function flood(producers: readonly Producer[], opens: number): Promise<Flood> {
  const answers = await Promise.all(
    producers.map((producer) => producer.do(`opens ${opens} ${EVERY} ${PLAIN} ${SENSITIVE}`)),
  )
  const [ns, sensitive] = [0, 1].map((index) => answers.reduce((sum, answer) => sum + (answer[index] ?? 0), 0))
  return { sensitiveCount: sensitive ?? 0, nsPerPair: (ns ?? 0) / (opens * producers.length) }
}

/** Events so far. */
interface Outcome {
  alerted: number
  inGaps: number
  lost: number
}

/** Waits until the agent has worked off all that came, and says what came of it. */
async function settle(agent: BenchAgent): Promise<Outcome> {
  let last = -1
  for (;;) {
    await sleep(STILL_MS)
    const records = await agent.records()
    const now = (await agent.counter('sensor_events_total')) + records.length
    if (now === last && (await agent.counter('sensor_ring_waiting_bytes')) === 0)
      return {
        alerted: records.filter(({ alert }) => alert?.rule === 'sensitive').length,
        inGaps: records.reduce((sum, { gap }) => sum + Number(gap?.count ?? 0), 0),
        lost: await agent.counter('kernel_events_lost_total'),
      }
    last = now
  }
}

/** User and system time so far. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function row(emit: Emit, subject: string, metric: string, value: number, unit: string, samples: number): void {
  const param = `loops=${LOOPS_COUNT},sensitive=1/${EVERY}`
  emit({ case: name, subject, param, metric, value: Number(value.toFixed(2)), unit, samples })
}
