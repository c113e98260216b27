import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openLocal } from '../../src/collector/local-source.js'
import { openExporter } from '../../src/export/exporter.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { Counters } from '../../src/telemetry/counters.js'
import { alertOf, hostActivity, SILENT, take, until } from '../support/delivery.js'
import { type CollectorChild, endCollector, spawnCollector } from '../support/delivery-child.js'

async function stored(dataDir: string): Promise<HullguardRecord[]> {
  const source = openLocal(dataDir)
  const records: HullguardRecord[] = []
  for await (const page of source.events({})) records.push(...page.records)
  source.close()
  return records
}

test('a collector killed again and again under load has every record once in the end, none twice, none missing', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-crash-'))
  const listen = `unix:${join(dir, 'collector.sock')}`
  const storeDir = join(dir, 'collector')
  let child: CollectorChild = await spawnCollector(storeDir, listen)
  t.after(async () => {
    await endCollector(child, 'SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  })
  const counters = new Counters()
  const exporter = await openExporter({
    agentId: 'agent-1',
    dataDir: join(dir, 'agent'),
    collectors: [listen],
    counters,
    log: SILENT,
  })
  const stream = hostActivity(7)
  const appended = { alert: 0, activity: 0 }
  let stop = false
  const load = (async () => {
    while (!stop) {
      const drafts = take(stream, 200)
      for (const draft of drafts) exporter.append(draft)
      for (const draft of drafts.slice(0, 2)) exporter.append(alertOf(draft, 'a rule'))
      appended.activity += 200
      appended.alert += 2
      await sleep(5)
    }
  })()
  for (let kill = 0; kill < 6; kill++) {
    await until('the agent to be connected again', () => exporter.connectedTo !== undefined)
    await sleep(400 + kill * 130)
    await endCollector(child, 'SIGKILL')
    await sleep(kill * 150)
    child = await spawnCollector(storeDir, listen)
  }
  await sleep(300)
  stop = true
  await load
  assert.deepEqual(await exporter.close({ deadlineMs: 60_000 }), { delivered: true, spooledCount: 0, lostCount: 0 })
  await endCollector(child, 'SIGTERM')
  assert.ok(counters.get('collector_disconnects_total') >= 6)
  const records = await stored(storeDir)
  for (const lane of ['alert', 'activity'] as const) {
    const seqs = records.filter((record) => record.lane === lane).map(({ seq }) => Number(seq))
    assert.equal(seqs.length, appended[lane], lane)
    assert.equal(new Set(seqs).size, appended[lane], lane)
    assert.equal(Math.max(...seqs.slice(-1000)), appended[lane], lane)
  }
  assert.equal(records.filter(({ kind }) => kind === 'gap').length, 0)
})

test('what an agent had flushed before it was killed is delivered by its next start, in the epoch it was made in', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-crash-'))
  const child = await spawnCollector(join(dir, 'collector'), '127.0.0.1:0')
  t.after(async () => {
    await endCollector(child, 'SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  })
  const agentDir = join(dir, 'agent')
  const main = fileURLToPath(new URL('../support/delivery-agent.js', import.meta.url))
  for (let start = 0; start < 2; start++) {
    const agent = spawn(process.execPath, [main, agentDir, '3000'], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(agent.stdout, 'data')
    agent.kill('SIGKILL')
    await once(agent, 'close')
  }
  const exporter = await openExporter({
    agentId: 'agent-1',
    dataDir: agentDir,
    collectors: [child.address],
    counters: new Counters(),
    log: SILENT,
  })
  assert.equal(exporter.epoch, 3)
  assert.equal(exporter.uncleanStart, true)
  const [draft] = take(hostActivity(1), 1)
  assert.ok(draft)
  exporter.append(draft)
  assert.equal((await exporter.close({ deadlineMs: 60_000 })).delivered, true)
  const records = await stored(join(dir, 'collector'))
  for (const [epoch, count] of [
    [1, 3000],
    [2, 3000],
    [3, 1],
  ]) {
    assert.equal(records.filter((record) => record.epoch === epoch).length, count)
  }
})
