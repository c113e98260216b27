/**
 * Question: how many events a second does the agent take for a minute without losing one, and what is lost above that?
 *
 * A process of a runc container opens a file at a steady pace; a rule that the kernel cannot filter brings each open to the matcher.
 * Short tries at rising paces find the fastest that loses nothing and that the producer itself can hold; that pace is then held for
 * 60 s (`steady`), and the next one above for a shorter time (`above`). The producer knows how many opens it made. Asserted: events
 * that the agent handled and events that the kernel's numbers say are lost are together exactly those, and gap records
 * say as much as the counters. Other containers of the machine speak in between: a try whose sum is too high is made again.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchAgent } from '../support/agent.js'
import { withCleanup } from '../support/cleanup.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { writePolicy } from '../support/rules-file.js'
import { type BenchStage, setUpStage } from '../support/stage.js'

export const name = 'sustained'

const PACES = [10_000, 20_000, 40_000, 60_000, 80_000, 120_000, 160_000, 240_000]
const TRY_S = 4
const STEADY_S = 60
const ABOVE_S = 15
const QUICK = { PACES: PACES.slice(0, 2), TRY_S: 1, STEADY_S: 2, ABOVE_S: 1 }
const FULL = { PACES, TRY_S, STEADY_S, ABOVE_S }
/** A producer that makes less than this of a pace cannot hold it. */
const HELD = 0.98
const ATTEMPTS_MAX = 4
/** Counters stand still for so long, which is longer than a hole in the numbers stands open: all has arrived. */
const STILL_MS = 3_000
const PLAIN = '/bench/true'
const RULE =
  '  - rule: every open\n    condition: evt.type in (open, openat, openat2) and fd.num >= 0 and fd.filename = nothing\n'

interface Held {
  paceHz: number
  madeCount: number
  handledCount: number
  lostCount: number
  perSecond: number
}

export async function run(emit: Emit, { isQuick }: BenchOptions): Promise<void> {
  await withCleanup(async (defer) => {
    const size = isQuick ? QUICK : FULL
    const stage = await setUpStage(defer)
    const policy = writePolicy(stage.dir, 'sustained', RULE)
    const agent = await BenchAgent.start(stage.dir, ['--runc-root', stage.runcRoot, '--policies', policy])
    defer(() => agent.stop())
    await settle(agent)
    let best: Held | undefined
    let above: number | undefined
    for (const paceHz of size.PACES) {
      const held = await hold(stage, agent, paceHz, size.TRY_S)
      process.stderr.write(`  sustained: ${paceHz}/s: ${held.perSecond.toFixed(0)}/s made, ${held.lostCount} lost\n`)
      if (held.lostCount > 0 || held.perSecond < HELD * paceHz) {
        above = held.lostCount > 0 ? paceHz : undefined
        break
      }
      best = held
    }
    assert.ok(best, `even ${size.PACES[0]} events/s lose some`)
    // What a few seconds bear, a minute may not: one pace down then, until none is lost.
    for (let at = size.PACES.indexOf(best.paceHz); at >= 0; at--) {
      const steady = await hold(stage, agent, size.PACES[at] ?? 0, size.STEADY_S)
      if (steady.lostCount > 0 && at > 0) {
        above = steady.paceHz
        continue
      }
      report(emit, 'steady', steady, size.STEADY_S)
      break
    }
    if (above !== undefined) report(emit, 'above', await hold(stage, agent, above, size.ABOVE_S), size.ABOVE_S)
    assert.equal(await gapsOf(agent), await agent.counter('kernel_events_lost_total'), 'gap records and counters')
  })
}

/** Holds a pace. */
async function hold(stage: BenchStage, agent: BenchAgent, paceHz: number, seconds: number): Promise<Held> {
  for (let attempt = 1; ; attempt++) {
    const before = await totals(agent)
    const [ns = 0, madeCount = 0] = await stage.inContainer.do(`paced ${paceHz} ${seconds} ${PLAIN}`)
    await settle(agent)
    const after = await totals(agent)
    const handledCount = after.handledCount - before.handledCount
    const lostCount = after.lostCount - before.lostCount
    assert.ok(handledCount + lostCount >= madeCount, `${madeCount} made, ${handledCount} handled, ${lostCount} lost`)
    if (handledCount + lostCount === madeCount)
      return { paceHz, madeCount, handledCount, lostCount, perSecond: madeCount / (ns / 1e9) }
    const sums = `${madeCount} made, ${handledCount} handled, ${lostCount} lost`
    assert.ok(attempt < ATTEMPTS_MAX, `${sums}: others' events in each of ${ATTEMPTS_MAX} attempts`)
  }
}

async function totals(agent: BenchAgent): Promise<{ handledCount: number; lostCount: number }> {
  return {
    handledCount: await agent.counter('sensor_events_total'),
    lostCount: await agent.counter('kernel_events_lost_total'),
  }
}

/** Until the agent has worked off all that came. */
async function settle(agent: BenchAgent): Promise<void> {
  let last = -1
  for (;;) {
    await sleep(STILL_MS)
    const { handledCount, lostCount } = await totals(agent)
    if (handledCount + lostCount === last && (await agent.counter('sensor_ring_waiting_bytes')) === 0) return
    last = handledCount + lostCount
  }
}

async function gapsOf(agent: BenchAgent): Promise<number> {
  await sleep(STILL_MS) // its collector stores
  const records = await agent.records()
  return records.reduce((sum, { gap }) => sum + Number(gap?.count ?? 0), 0)
}

function report(emit: Emit, subject: string, held: Held, seconds: number): void {
  const row = (metric: string, value: number, unit: string) =>
    emit({ case: name, subject, param: `pace=${held.paceHz},for=${seconds}s`, metric, value, unit, samples: 1 })
  row('events_made', held.madeCount, 'events')
  row('events_handled', held.handledCount, 'events')
  row('events_lost', held.lostCount, 'events')
  row('rate', Math.round(held.perSecond), 'events/s')
}
