/**
 * Into the store exactly once: the collector and the agent are killed under load, and every record is counted afterwards:
 * by its sequence number, by the agent's own counter, and by what the container itself says it did.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeFrame, FRAME_HEADER_BYTES } from '../../src/export/frame.js'
import type { HullguardRecord, Lane } from '../../src/record/model.js'
import { freePort } from '../support/free-port.js'
import {
  agentArgs,
  childrenOf,
  type Host,
  hullguard,
  Running,
  scratchDir,
  startRun,
  storedEvents,
  waitForEnd,
} from '../support/hullguard.js'
import { metric } from '../support/metrics.js'
import { isAlive, requires, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox'] })

const LANES: readonly Lane[] = ['alert', 'activity']
const DOWN_MS = 30_000
/** About 40 programs a second: all that is recorded can be read and counted in a few seconds. */
const LOAD =
  'n=0; while [ ! -e "/tmp/$0" ]; do /bin/true; n=$((n+1)); echo $n > "/tmp/$0.count"; sleep 0.02; done; echo $n'
/** A load that is worth the name, and at least so many kills. */
const [PROGRAMS_MIN, KILLS_MIN] = [200, 3]
/** Beyond DOWN_MS: a slow machine takes longer to come to that. */
const PATIENCE_MS = 120_000

/** Every (epoch, lane) holds 1, 2, 3, … once each. Returns how many each holds, as `epoch/lane`. */
function assertWhole(records: readonly HullguardRecord[]): Map<string, number> {
  const seqs = new Map<string, Set<bigint>>()
  for (const { epoch, lane, seq } of records) {
    const key = `${epoch}/${lane}`
    const known = seqs.get(key) ?? new Set()
    seqs.set(key, known)
    assert.ok(!known.has(seq), `${key} holds record ${seq} once`)
    known.add(seq)
  }
  for (const [key, known] of seqs) {
    for (let seq = 1n; seq <= BigInt(known.size); seq++) assert.ok(known.has(seq), `${key} holds record ${seq}`)
  }
  assert.deepEqual(
    records.filter(({ kind }) => kind === 'gap').map(({ gap }) => gap),
    [],
  )
  return new Map([...seqs].map(([key, known]) => [key, known.size]))
}

/**
 * The agent's own count, when the end of the container and all that was counted is stored. Other containers of this host may go on:
 * what comes after is not waited for.
 */
async function settled(port: number, dataDir: string, ended: RuncContainer): Promise<Record<Lane, number>> {
  await waitFor(`the end of ${ended.id} to be stored`, async () => {
    const exits = await storedEvents(dataDir, '--container', ended.id, 'exit').catch(() => []) // it is being opened
    return exits.some(({ process }) => process?.pid === ended.pid)
  })
  const counted = {
    alert: await metric(port, 'delivery_records_appended_total{lane="alert"}'),
    activity: await metric(port, 'delivery_records_appended_total{lane="activity"}'),
  }
  await waitFor('the store to hold as many records as the agent made', async () => {
    const { stdout } = await hullguard(['agents', '--data-dir', dataDir, '--json'])
    const [line] = stdout.split('\n')
    if (line === undefined || line === '') return false // the store does not know the agent yet, or is being opened
    const row = JSON.parse(line) as { last_alert_seq: string; last_activity_seq: string }
    return Number(row.last_alert_seq) >= counted.alert && Number(row.last_activity_seq) >= counted.activity
  })
  return counted
}

const timesTrue = (records: readonly HullguardRecord[], name: string, epoch?: number) =>
  records.filter(
    ({ kind, container, process, epoch: own }) =>
      kind === 'exec' && container.name === name && process?.args[0] === '/bin/true' && (epoch ?? own) === own,
  ).length

/** Part of the load is stored. */
const storing = (dataDir: string, { id }: RuncContainer, epoch: number) =>
  waitFor('the first programs to be stored', async () => timesTrue(await storedEvents(dataDir), id, epoch) > 20)

/** How many records of the lane are in the spool's files: what a kill leaves. */
function spooledCount(dataDir: string, epoch: number, lane: Lane): number {
  const dir = join(dataDir, 'spool', String(epoch), lane)
  let count = 0
  for (const name of readdirSync(dir).filter((one) => one.endsWith('.seg'))) {
    const bytes = readFileSync(join(dir, name))
    for (let frame = decodeFrame(bytes, 0), at = 0; frame !== undefined; frame = decodeFrame(bytes, at)) {
      count += frame.count
      at += FRAME_HEADER_BYTES + frame.payload.length
    }
  }
  return count
}

describe('delivery under faults', { skip }, () => {
  const root = scratchDir()
  const containers: RuncContainer[] = []
  const running: Running[] = []
  let rootfs: string
  let collectorAddress: string

  const load = async () => {
    const id = uniqueName('load')
    const container = await runcRun({ rootfs, root, id, args: ['/bin/sh', '-c', LOAD, id] })
    containers.push(container)
    return container
  }
  /** How many programs it has run so far. */
  const programCount = ({ id }: RuncContainer) => {
    const path = join(rootfs, 'tmp', `${id}.count`)
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0
  }
  /** Returns how many programs it ran. */
  const endLoad = async (container: RuncContainer) => {
    const { pid } = container
    await container.exec(['touch', `/tmp/${container.id}`])
    await waitForEnd(pid)
    return Number(container.stdout)
  }
  const keep = <T extends Running>(one: T): T => {
    running.push(one)
    return one
  }
  const startCollector = async (dataDir: string) => {
    const collector = keep(new Running(['collector', '--listen', collectorAddress, '--data-dir', dataDir]))
    await collector.waitForLog('collecting')
    return collector
  }
  const startAgent = async (dataDir: string, metrics: number) => {
    const args = ['--collector', collectorAddress, '--metrics', `127.0.0.1:${metrics}`]
    const agent = keep(new Running(['agent', ...agentArgs(dataDir, { runcRoot: root, args })]))
    await agent.waitForLog('watching')
    await waitFor('its metrics', () =>
      metric(metrics, 'spool_degraded').then(
        () => true,
        () => false,
      ),
    )
    return agent
  }
  const startHost = async (dataDir: string, metrics: number): Promise<Host> =>
    keep(await startRun({ dataDir, runcRoot: root, args: ['--metrics', `127.0.0.1:${metrics}`] }))

  before(async () => {
    rootfs = await makeRootfs(scratchDir())
    collectorAddress = `127.0.0.1:${await freePort()}`
  })
  after(async () => {
    for (const container of containers) await container.remove()
    for (const one of running) if (!one.hasEnded) await one.kill()
  })

  test('a collector that is killed for 30 s under load: every record is in the store once', async () => {
    const [agentDir, storeDir, runDir] = [scratchDir(), scratchDir(), scratchDir()]
    const [agentMetrics, runMetrics] = [await freePort(), await freePort()]
    const first = await startCollector(storeDir)
    const agent = await startAgent(agentDir, agentMetrics)
    await agent.waitForLog('the collector takes records')
    const host = await startHost(runDir, runMetrics)
    const container = await load()
    await storing(storeDir, container, 1)

    await first.kill()
    const until = Date.now() + DOWN_MS
    const killed = new Set<number>()
    while (Date.now() < until || killed.size < KILLS_MIN || programCount(container) <= PROGRAMS_MIN) {
      assert.ok(Date.now() < until + PATIENCE_MS, `${killed.size} kills, ${programCount(container)} programs`)
      // The collector of `hullguard run` comes back by itself: it is killed whenever it is there.
      const [pid] = childrenOf(host.pid)
      if (pid !== undefined && !killed.has(pid)) {
        process.kill(pid, 'SIGKILL')
        killed.add(pid)
      }
      await sleep(500)
    }
    const second = await startCollector(storeDir)
    const count = await endLoad(container)

    for (const [dataDir, port] of [
      [storeDir, agentMetrics],
      [runDir, runMetrics],
    ] as const) {
      const counted = await settled(port, dataDir, container)
      const records = await storedEvents(dataDir)
      const held = assertWhole(records)
      for (const lane of LANES) assert.ok((held.get(`1/${lane}`) ?? 0) >= counted[lane])
      assert.equal(timesTrue(records, container.id), count)
      assert.equal(await metric(port, 'kernel_events_lost_total'), 0)
      assert.ok(
        records.some(
          ({ agentChange }) => agentChange?.change === 'degraded' && agentChange.message.startsWith('collector:'),
        ),
        'that it had no collector is on record',
      )
    }

    const ended = await host.stop()
    assert.equal(ended.code, 0)
    assert.match(ended.stderr, /"delivered":true.*everything is stored/)
    assert.equal((await agent.stop()).code, 0)
    assert.equal((await second.stop()).code, 0)
    assertWhole(await storedEvents(runDir))
    const last = (await storedEvents(storeDir)).filter(({ lane }) => lane === 'alert').at(-1)
    assert.equal(last?.agentChange?.change, 'stop', 'the last word of the agent is in the store')
  })

  test('an agent that is killed: its collector child goes too, and the next start is a new epoch', async () => {
    const dataDir = scratchDir()
    const host = await startHost(dataDir, await freePort())
    const container = await load()
    await storing(dataDir, container, 1)
    const { collectorPid } = host
    await host.kill()
    const port = await freePort()
    const next = await startHost(dataDir, port)
    await waitForEnd(collectorPid)
    await storing(dataDir, container, 2)
    await endLoad(container)
    await settled(port, dataDir, container)
    const held = assertWhole(await storedEvents(dataDir))
    assert.ok((held.get('1/activity') ?? 0) > 50)
    assert.ok((held.get('2/activity') ?? 0) > 20)
    const child = next.collectorPid
    assert.equal((await next.stop()).code, 0)
    assert.equal(isAlive(child), false, 'no process is left behind')
  })

  test('what is in the spool when an agent ends, well or not, arrives when the collector is back', async () => {
    const [agentDir, storeDir] = [scratchDir(), scratchDir()]
    const port = await freePort()
    const agent = await startAgent(agentDir, port)
    const container = await load()
    await waitFor('the load to be in the spool', () => spooledCount(agentDir, 1, 'activity') > 20)
    const stopped = await agent.stop()
    assert.equal(stopped.code, 0, stopped.stderr)
    const report = agent.log.find(({ msg }) => msg === 'stopped: the rest is in the spool')
    assert.ok(report !== undefined, stopped.stderr)
    assert.deepEqual([report.delivered, report.lostCount], [false, 0])

    const killed = await startAgent(agentDir, port)
    const counted = await waitFor('the load to be in the spool', () => {
      const count = spooledCount(agentDir, 2, 'activity')
      return count > 20 && count
    })
    await killed.kill()

    const last = await startAgent(agentDir, port)
    const collector = await startCollector(storeDir)
    await endLoad(container)
    await settled(port, storeDir, container)
    const records = await storedEvents(storeDir)
    const held = assertWhole(records)
    assert.deepEqual([...new Set(records.map(({ epoch }) => epoch))].sort(), [1, 2, 3])
    assert.equal((held.get('1/alert') ?? 0) + (held.get('1/activity') ?? 0), report.spooledCount)
    assert.ok((held.get('2/activity') ?? 0) >= counted)
    const ends = records.filter(({ epoch, agentChange }) => epoch === 1 && agentChange !== undefined).at(-1)
    assert.equal(ends?.agentChange?.change, 'stop')

    assert.equal((await collector.stop()).code, 0)
    assert.equal((await last.stop()).code, 0)
  })

  test('SIGTERM while everything is still starting ends it cleanly too', async () => {
    for (const delayMs of [300, 700, 1200]) {
      const dataDir = scratchDir()
      const host = keep(new Running(['run', ...agentArgs(dataDir, { runcRoot: root })]))
      await sleep(delayMs)
      const { code, signal, stderr } = await host.stop()
      // Before the program has begun to listen to signals the system ends it: there is nothing to lose yet.
      assert.ok(code === 0 || signal === 'SIGTERM', `after ${delayMs} ms: ${code ?? signal}\n${stderr}`)
      assert.doesNotMatch(stderr, /^ +at /m)
    }
  })
})
