import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { openReadOnly, storePath } from '../../src/collector/database.js'
import { checkFrame } from '../../src/collector/incoming.js'
import { openLocal } from '../../src/collector/local-source.js'
import { openRemote } from '../../src/collector/remote-source.js'
import { startCollector } from '../../src/collector/server.js'
import { Store } from '../../src/collector/store.js'
import type { EventQuery, EventSource, RunningCollector } from '../../src/collector/types.js'
import { openExporter } from '../../src/export/exporter.js'
import { chainHash, genesisHash } from '../../src/export/frame.js'
import { gapPayload } from '../../src/export/gap-record.js'
import { BatchBuilder } from '../../src/record/codec.js'
import type { Frame } from '../../src/record/generated/wire.js'
import type { HullguardRecord, RecordDraft } from '../../src/record/model.js'
import { RECORD_KINDS } from '../../src/record/names.js'
import { Counters } from '../../src/telemetry/counters.js'
import { alertOf, hostActivity, makeContainers, SILENT, take, until } from '../support/delivery.js'
import { allKinds } from '../support/delivery-arbitraries.js'

function temporaryDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-collector-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function start(t: TestContext, dataDir: string, counters = new Counters()): Promise<RunningCollector> {
  const collector = await startCollector({ listen: ['127.0.0.1:0'], dataDir, counters, log: SILENT })
  t.after(() => collector.close())
  return collector
}

async function deliver(t: TestContext, address: string, drafts: readonly RecordDraft[], agentId = 'agent-1') {
  const exporter = await openExporter({
    agentId,
    dataDir: temporaryDir(t),
    collectors: [address],
    counters: new Counters(),
    log: SILENT,
  })
  for (const draft of drafts) exporter.append(draft)
  const report = await exporter.close({ deadlineMs: 20_000 })
  assert.deepEqual(report, { delivered: true, spooledCount: 0, lostCount: 0 })
}

async function all(source: EventSource, query: EventQuery = {}): Promise<HullguardRecord[]> {
  const records: HullguardRecord[] = []
  for await (const page of source.events(query)) records.push(...page.records)
  return records
}

/** Frames of one lane, made without an agent, so that they can come in any order. */
class FrameMaker {
  #hash = genesisHash('agent-1', 1, 'activity')
  #stream = hostActivity(21)

  frame(firstSeq: bigint, count: number): Frame {
    const builder = new BatchBuilder('agent-1', 1, 'activity', firstSeq)
    for (const draft of take(this.#stream, count)) builder.add(draft)
    const payload = deflateRawSync(builder.finish())
    const prevHash = this.#hash
    this.#hash = chainHash(prevHash, payload)
    const lastSeq = firstSeq + BigInt(count) - 1n
    return { epoch: 1, lane: 2, firstSeq, lastSeq, count, payload, prevHash, hash: this.#hash, replaces: false }
  }
}

function storeOf(t: TestContext, dataDir: string, counters = new Counters()) {
  const store = new Store(dataDir, counters)
  t.after(() => store.close())
  const put = (...frames: Frame[]) =>
    store.storeAll(
      frames.map((frame) => checkFrame('agent-1', 1, frame)),
      1n,
    )
  return { put, counters }
}

/** What stands for each number: the record, or the gap over it. */
function coverage(records: readonly HullguardRecord[]): string {
  return records
    .toSorted((one, other) => Number(one.seq - other.seq))
    .map(({ seq, gap }) => (gap === undefined ? `${seq}` : `[${gap.firstSeq}-${gap.lastSeq} ${gap.cause}]`))
    .join(' ')
}

test('what an agent appends is in the store, the same record for record, local and remote, in order of time', async (t) => {
  const dir = temporaryDir(t)
  const collector = await start(t, dir)
  const drafts = take(hostActivity(1), 5000)
  const alerts = drafts.filter(({ kind }) => kind === 'exec').slice(0, 20)
  await deliver(t, collector.addresses[0] ?? '', [...drafts, ...alerts.map((draft) => alertOf(draft, 'a rule'))])
  const local = openLocal(dir)
  const remote = openRemote(collector.addresses[0] ?? '')
  t.after(() => {
    local.close()
    remote.close()
  })
  const records = await all(local)
  assert.equal(records.length, 5020)
  assert.ok(records.every((record, index) => index === 0 || (records[index - 1]?.timeNs ?? 0n) <= record.timeNs))
  assert.deepEqual(
    records
      .filter(({ lane }) => lane === 'activity')
      .map(({ agent, epoch, seq, ...draft }, index) => {
        assert.deepEqual([agent, epoch, seq], ['agent-1', 1, BigInt(index + 1)])
        return draft
      }),
    drafts,
  )
  assert.deepEqual(await all(remote), records)
  const agents = await remote.agents()
  assert.deepEqual(agents, await local.agents())
  assert.deepEqual(
    agents.map(({ lastSeenNs: _, ...row }) => row),
    [{ agent: 'agent-1', epoch: 1, lastAlertSeq: 20n, lastActivitySeq: 5000n }],
  )
})

test('a query gives exactly the records that a look at each would choose', async (t) => {
  const dir = temporaryDir(t)
  const collector = await start(t, dir)
  const drafts = take(hostActivity(2), 6000)
  await deliver(t, collector.addresses[0] ?? '', [
    ...drafts,
    ...drafts.slice(0, 9).map((draft) => alertOf(draft, 'no nc')),
  ])
  await deliver(t, collector.addresses[0] ?? '', take(hostActivity(3), 700), 'agent-2')
  const local = openLocal(dir)
  t.after(() => local.close())
  const records = await all(local)
  assert.equal(records.length, 6709)
  const [container] = makeContainers(1)
  assert.ok(container)
  const middle = records[3000]?.timeNs ?? 0n
  const cases: [EventQuery, (record: HullguardRecord) => boolean][] = [
    [{ container: 'app-0' }, (record) => record.container.name === 'app-0'],
    [{ container: container.id }, (record) => record.container.id === container.id],
    [{ container: container.id.slice(0, 12) }, (record) => record.container.id === container.id],
    [{ container: container.id.slice(0, 3) }, () => false],
    [{ container: 'app' }, () => false],
    [{ container: '' }, () => false],
    [{ rule: 'no nc' }, (record) => record.alert?.rule === 'no nc'],
    [{ rule: 'no such rule' }, () => false],
    [{ kinds: ['exit', 'alert'] }, (record) => record.kind === 'exit' || record.kind === 'alert'],
    [
      { kinds: ['connect'], container: 'app-3' },
      (record) => record.kind === 'connect' && record.container.name === 'app-3',
    ],
    [{ sinceNs: middle }, (record) => record.timeNs >= middle],
    [{ untilNs: middle }, (record) => record.timeNs < middle],
    [
      { sinceNs: middle, untilNs: middle + 10_000_000n, kinds: ['exec'] },
      (record) => record.timeNs >= middle && record.timeNs < middle + 10_000_000n && record.kind === 'exec',
    ],
    [{ agent: 'agent-2' }, (record) => record.agent === 'agent-2'],
    [{ sinceNs: 2n ** 70n }, () => false],
  ]
  for (const [query, wanted] of cases) {
    const expected = records.filter(wanted)
    assert.deepEqual(
      await all(local, query),
      expected,
      JSON.stringify(query, (_, value) => String(value)),
    )
    const newest = await all(local, { ...query, limit: 7 })
    assert.deepEqual(
      newest.map(({ timeNs }) => timeNs),
      expected.slice(-7).map(({ timeNs }) => timeNs),
    )
  }
})

test('a record of every kind is taken, and found by its kind', async (t) => {
  const dir = temporaryDir(t)
  const collector = await start(t, dir)
  const kinds = RECORD_KINDS.filter((kind) => kind !== 'gap')
  const [drafts] = fc.sample(allKinds, { numRuns: 1, seed: 5 })
  assert.ok(drafts)
  await deliver(t, collector.addresses[0] ?? '', drafts)
  const local = openLocal(dir)
  for (const kind of kinds) {
    const found = await all(local, { kinds: [kind] })
    assert.deepEqual([kind, found.map((record) => record.kind)], [kind, [kind]])
  }
})

test('a follower is given what is stored from then on, once, local and remote', async (t) => {
  const dir = temporaryDir(t)
  const collector = await start(t, dir)
  const address = collector.addresses[0] ?? ''
  await deliver(t, address, take(hostActivity(2), 100))
  for (const source of [openLocal(dir), openRemote(address)]) {
    const stop = new AbortController()
    const seen: HullguardRecord[] = []
    const following = (async () => {
      for await (const page of source.follow({ limit: 5 }, stop.signal)) seen.push(...page.records)
    })()
    await until('the newest five', () => seen.length === 5)
    await deliver(t, address, take(hostActivity(4), 300), `agent-${source.constructor.name}`)
    await until('the new ones', () => seen.length >= 305)
    await deliver(t, address, take(hostActivity(4), 10), `later-${source.constructor.name}`)
    await until('the last ones', () => seen.length >= 315)
    stop.abort()
    await following
    assert.equal(new Set(seen.map(({ agent, seq }) => `${agent} ${seq}`)).size, 315)
    source.close()
  }
})

test('a cursor continues where a query ended', async (t) => {
  const dir = temporaryDir(t)
  const { put } = storeOf(t, dir)
  const maker = new FrameMaker()
  put(maker.frame(1n, 10))
  const source = openLocal(dir)
  t.after(() => source.close())
  let cursor = ''
  for await (const page of source.events({})) cursor = page.cursor
  put(maker.frame(11n, 10))
  const later = await all(source, { after: cursor })
  assert.deepEqual(
    later.map(({ seq }) => Number(seq)),
    [11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
  )
  await assert.rejects(all(source, { after: 'x' }), { errorName: 'query_failed' })
})

test('a repeated frame is dropped; a hole becomes a gap record, which shrinks and goes as its batches come', async (t) => {
  const dir = temporaryDir(t)
  const { put, counters } = storeOf(t, dir)
  const source = openLocal(dir)
  t.after(() => source.close())
  const maker = new FrameMaker()
  const [one, two, three, four, five] = [1n, 3n, 5n, 7n, 9n].map((seq) => maker.frame(seq, 2))
  assert.ok(one && two && three && four && five)
  assert.deepEqual(put(one, one), ['stored', 'repeat'])
  assert.deepEqual(put(five), ['stored'])
  assert.equal(coverage(await all(source)), '1 2 [3-8 never_received] 9 10')
  assert.deepEqual(put(three), ['stored'])
  assert.equal(coverage(await all(source)), '1 2 [3-4 never_received] 5 6 [7-8 never_received] 9 10')
  assert.deepEqual(put(three, two, four, five), ['repeat', 'stored', 'stored', 'repeat'])
  assert.equal(coverage(await all(source)), '1 2 3 4 5 6 7 8 9 10')
  assert.equal(counters.get('store_repeats_total'), 6)
})

test("an agent's gap takes the place of what it gave up; what was stored before stays, the rest is the gap", async (t) => {
  const dir = temporaryDir(t)
  const { put } = storeOf(t, dir)
  const source = openLocal(dir)
  t.after(() => source.close())
  const maker = new FrameMaker()
  put(maker.frame(1n, 4))
  const place = { agent: 'agent-1', epoch: 1, lane: 'activity' as const, firstSeq: 3n, lastSeq: 9n }
  const hash = Buffer.alloc(32, 7)
  const gap: Frame = {
    epoch: 1,
    lane: 2,
    firstSeq: 3n,
    lastSeq: 9n,
    count: 1,
    payload: gapPayload(place, 'spool', 'spool_full', hash),
    prevHash: Buffer.alloc(32),
    hash,
    replaces: true,
  }
  assert.deepEqual(put(gap, gap, maker.frame(10n, 1)), ['stored', 'repeat', 'stored'])
  const records = await all(source)
  assert.equal(coverage(records), '1 2 3 4 [5-9 spool_full] 10')
  assert.equal(records.find(({ kind }) => kind === 'gap')?.gap?.count, 5n)
})

test('other records under numbers that are stored are refused, since dropping them would lose them silently', async (t) => {
  const { put, counters } = storeOf(t, temporaryDir(t))
  const maker = new FrameMaker()
  put(maker.frame(1n, 4))
  assert.deepEqual(put(maker.frame(1n, 4)), ['refused'])
  assert.deepEqual(put(maker.frame(3n, 4)), ['refused'])
  assert.equal(counters.get('store_conflicts_total'), 8)
})

test('a frame that does not continue the chain is stored and counted as a break', (t) => {
  const { put, counters } = storeOf(t, temporaryDir(t))
  const maker = new FrameMaker()
  put(maker.frame(1n, 4), maker.frame(5n, 4))
  assert.equal(counters.get('store_chain_breaks_total'), 0)
  put(new FrameMaker().frame(9n, 4))
  assert.equal(counters.get('store_chain_breaks_total'), 1)
})

test('the retention bounds delete the oldest batches only, and count them', async (t) => {
  const dir = temporaryDir(t)
  const counters = new Counters()
  const store = new Store(dir, counters)
  t.after(() => store.close())
  const maker = new FrameMaker()
  const frames = Array.from({ length: 10 }, (_, index) => maker.frame(BigInt(index * 100 + 1), 100))
  store.storeAll(
    frames.map((frame) => checkFrame('agent-1', 1, frame)),
    1n,
  )
  const newest = frames.slice(-3).reduce((sum, { payload }) => sum + payload.length, 0)
  assert.equal(store.retain(newest, undefined), 700)
  const source = openLocal(dir)
  t.after(() => source.close())
  assert.equal((await all(source)).length, 300)
  assert.equal(
    (await all(source, { container: 'app-0' })).every(({ seq }) => seq > 700n),
    true,
  )
  assert.equal(store.retain(undefined, 2n ** 62n), 300)
  assert.equal(counters.get('store_records_expired_total'), 1000)
  // What went by retention is not taken for new when it comes again.
  assert.deepEqual(store.storeAll([checkFrame('agent-1', 1, frames[0] as Frame)], 1n), ['repeat'])
})

test('a stored batch that cannot be read shows as a gap of its records and hides no others', async (t) => {
  const dir = temporaryDir(t)
  const { put } = storeOf(t, dir)
  const maker = new FrameMaker()
  put(maker.frame(1n, 2), maker.frame(3n, 2), maker.frame(5n, 2))
  const db = new Database(storePath(dir))
  db.prepare("UPDATE batches SET payload = x'00ff' WHERE first_seq = 3").run()
  db.close()
  const source = openLocal(dir)
  t.after(() => source.close())
  assert.equal(coverage(await all(source)), '1 2 [3-4 stored_batch_damaged] 5 6')
})

test('a store that is missing, damaged, foreign, of a later version or in use is refused by name', async (t) => {
  const dir = temporaryDir(t)
  assert.throws(() => openReadOnly(dir), { errorName: 'store_missing' })
  const open = () => new Store(dir, new Counters())
  const store = open()
  assert.throws(open, { errorName: 'store_in_use' })
  store.close()
  const good = readFileSync(storePath(dir))
  const cases: [string, () => void][] = [
    ['rubbish', () => writeFileSync(storePath(dir), 'x'.repeat(10_000))],
    ['a cut file', () => writeFileSync(storePath(dir), good.subarray(0, 1000))],
    ['another program', () => new Database(storePath(dir)).exec('CREATE TABLE t(x)').close()],
    [
      'a later version',
      () => {
        writeFileSync(storePath(dir), good)
        const db = new Database(storePath(dir))
        db.pragma('user_version = 99')
        db.close()
      },
    ],
  ]
  for (const [what, damage] of cases) {
    rmSync(join(dir, 'store'), { recursive: true })
    mkdirSync(join(dir, 'store'))
    damage()
    assert.throws(open, { errorName: 'store_unusable' }, what)
    assert.throws(() => openReadOnly(dir), { errorName: 'store_unusable' }, what)
  }
  rmSync(join(dir, 'store'), { recursive: true })
  mkdirSync(join(dir, 'store'))
  writeFileSync(join(dir, 'store', 'lock.db'), 'x'.repeat(10_000))
  assert.throws(open, { errorName: 'store_unusable' }, 'a rubbish lock')
  writeFileSync(join(dir, 'file'), '')
  assert.throws(() => new Store(join(dir, 'file'), new Counters()), { errorName: 'data_dir_unusable' })
})

test('a full disk under the store is a stated fault: nothing is acknowledged until it is stored, and then nothing is missing', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'hullguard-test', dir], { stdio: 'pipe' })
  } catch (error) {
    rmSync(dir, { recursive: true })
    t.skip(`a tmpfs cannot be mounted here: ${String(error).split('\n')[0]}`)
    return
  }
  const counters = new Counters()
  const collector = await startCollector({ listen: ['127.0.0.1:0'], dataDir: dir, counters, log: SILENT })
  t.after(async () => {
    await collector.close()
    execFileSync('umount', ['--lazy', dir])
    rmSync(dir, { recursive: true })
  })
  const exporter = await openExporter({
    agentId: 'agent-1',
    dataDir: temporaryDir(t),
    collectors: [...collector.addresses],
    counters: new Counters(),
    log: SILENT,
  })
  const stream = hostActivity(6)
  let appended = 0
  await until('the disk is full', async () => {
    for (const draft of take(stream, 2000)) exporter.append(draft)
    appended += 2000
    await exporter.flush()
    return counters.get('collector_degraded') === 1
  })
  const source = openLocal(dir)
  const before = (await all(source)).length
  assert.ok(before < appended)
  execFileSync('mount', ['-o', 'remount,size=64m', dir])
  assert.deepEqual(await exporter.close({ deadlineMs: 60_000 }), { delivered: true, spooledCount: 0, lostCount: 0 })
  assert.equal(counters.get('collector_degraded'), 0)
  const seqs = (await all(source)).map(({ seq }) => Number(seq)).sort((one, other) => one - other)
  source.close()
  assert.deepEqual(
    seqs,
    Array.from({ length: appended }, (_, index) => index + 1),
  )
})

test('listening beyond this host needs to be said, and an address in use is told', async (t) => {
  const dir = temporaryDir(t)
  const options = { dataDir: dir, counters: new Counters(), log: SILENT }
  await assert.rejects(startCollector({ ...options, listen: ['0.0.0.0:0'] }), { errorName: 'usage' })
  await assert.rejects(startCollector({ ...options, listen: ['[::]:0'] }), { errorName: 'usage' })
  await assert.rejects(startCollector({ ...options, listen: ['nonsense'] }), { errorName: 'usage' })
  const collector = await start(t, dir)
  const other = { ...options, dataDir: temporaryDir(t) }
  await assert.rejects(startCollector({ ...other, listen: [...collector.addresses] }), { errorName: 'listen_failed' })
  const open = await startCollector({ ...other, listen: ['0.0.0.0:0'], insecure: true })
  await open.close()
})

test('a unix socket is listened on, also when a killed collector left its file', async (t) => {
  const dir = temporaryDir(t)
  const path = join(dir, 'collector.sock')
  const options = { listen: [`unix:${path}`], counters: new Counters(), log: SILENT }
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  const collector = await startCollector({ ...options, dataDir: dir })
  await deliver(t, `unix:${path}`, take(hostActivity(1), 10))
  await assert.rejects(startCollector({ ...options, dataDir: temporaryDir(t) }), { errorName: 'listen_failed' })
  await collector.close()
})

test('a query to where no collector is ends with collector_unreachable', async () => {
  const source = openRemote('127.0.0.1:1')
  await assert.rejects(all(source), { errorName: 'collector_unreachable' })
  source.close()
  assert.throws(() => openRemote('http://x/'), { errorName: 'usage' })
})
