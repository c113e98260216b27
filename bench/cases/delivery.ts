/**
 * Question: how many records a second get from append() to acknowledged in the collector's store, and at how many bytes?
 *
 * One process appends a deterministic stream of a busy host (fork, exec, connects, exit; 20 containers) through the
 * spool and gRPC on loopback to a collector process with its SQLite store, all on this machine's disk. Made beforehand:
 * the drafts, so that only delivery is measured. Afterwards the store is read: lost and doubled are counted, not assumed.
 * For the memory's sake the drafts repeat after POOL records, with times moved on; process ids recur, text does not grow.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLocal } from '../../src/collector/local-source.js'
import { openExporter } from '../../src/export/exporter.js'
import type { RecordDraft } from '../../src/record/model.js'
import { Counters } from '../../src/telemetry/counters.js'
import { hostActivity, SILENT, take } from '../../test/support/delivery.js'
import { endCollector, spawnCollector } from '../../test/support/delivery-child.js'

export const name = 'delivery'

export interface Row {
  case: string
  subject: string
  param: string
  metric: string
  value: number
  unit: string
  samples: number
}

const POOL = 50_000
const RUNS = 3
const RECORDS = 1_000_000
/** One turn of the event loop, as a slab from the ring would be. */
const SLAB = 512

interface Result {
  recordsPerS: number
  lost: number
  doubled: number
  wireBytes: number
  storeBytes: number
}

export async function run(emit: (row: Row) => void): Promise<void> {
  const pool = take(hostActivity(42), POOL)
  const results: Result[] = []
  for (let index = 0; index < RUNS; index++) results.push(await once(pool, RECORDS))
  const middle = (pick: (result: Result) => number) =>
    results.map(pick).sort((one, other) => one - other)[Math.floor(RUNS / 2)] ?? 0
  const sum = (pick: (result: Result) => number) => results.reduce((total, result) => total + pick(result), 0)
  const row = (metric: string, value: number, unit: string) =>
    emit({ case: name, subject: 'hullguard', param: `records=${RECORDS}`, metric, value, unit, samples: RUNS })
  row('records_per_s', Math.round(middle((result) => result.recordsPerS)), 'records/s')
  row(
    'lost',
    sum((result) => result.lost),
    'records',
  )
  row(
    'doubled',
    sum((result) => result.doubled),
    'records',
  )
  row(
    'bytes_per_record_wire',
    middle((result) => result.wireBytes),
    'bytes',
  )
  row(
    'bytes_per_record_store',
    middle((result) => result.storeBytes),
    'bytes',
  )
}

async function once(pool: readonly RecordDraft[], count: number): Promise<Result> {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-bench-'))
  const child = await spawnCollector(join(dir, 'collector'), '127.0.0.1:0')
  try {
    const counters = new Counters()
    const exporter = await openExporter({
      agentId: 'bench',
      dataDir: join(dir, 'agent'),
      collectors: [child.address],
      counters,
      log: SILENT,
    })
    while (exporter.connectedTo === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
    const startNs = process.hrtime.bigint()
    await feed(exporter, pool, count)
    const report = await exporter.close({ deadlineMs: 120_000 })
    const seconds = Number(process.hrtime.bigint() - startNs) / 1e9
    if (!report.delivered) throw new Error(`not delivered: ${JSON.stringify(report)}`)
    await endCollector(child, 'SIGTERM')
    const bytes = counters.get('delivery_bytes_sent_total')
    const { lost, doubled } = await check(join(dir, 'collector'), count)
    return {
      recordsPerS: count / seconds,
      lost,
      doubled,
      wireBytes: bytes / count,
      storeBytes: directoryBytes(join(dir, 'collector', 'store')) / count,
    }
  } finally {
    await endCollector(child, 'SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
}

async function feed(
  exporter: Awaited<ReturnType<typeof openExporter>>,
  pool: readonly RecordDraft[],
  count: number,
): Promise<void> {
  const first = pool[0]
  const last = pool.at(-1)
  if (first === undefined || last === undefined) return
  const spanNs = last.bootNs - first.bootNs
  let laterNs = 0n
  for (let index = 0; index < count; index++) {
    const draft = pool[index % pool.length] ?? first
    if (index > 0 && index % pool.length === 0) laterNs += spanNs
    exporter.append({ ...draft, bootNs: draft.bootNs + laterNs, timeNs: draft.timeNs + laterNs })
    if (index % SLAB !== SLAB - 1) continue
    await new Promise((resolve) => setImmediate(resolve))
    // What the agent does too: leave the rest in the ring.
    while (exporter.congested) await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

async function check(dataDir: string, count: number): Promise<{ lost: number; doubled: number }> {
  const source = openLocal(dataDir)
  const seen = new Uint8Array(count + 1)
  let doubled = 0
  try {
    for await (const { records } of source.events({})) {
      for (const { seq, kind } of records) {
        if (kind === 'gap' || seq > BigInt(count)) continue
        const index = Number(seq)
        if (seen[index] === 1) doubled++
        seen[index] = 1
      }
    }
  } finally {
    source.close()
  }
  return { lost: count - seen.reduce((total, one) => total + one, 0), doubled }
}

function directoryBytes(dir: string): number {
  return readdirSync(dir).reduce((total, file) => total + statSync(join(dir, file)).size, 0)
}
