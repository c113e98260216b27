import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { inflateRawSync } from 'node:zlib'
import { loadAgentId } from '../../src/export/epoch.js'
import { openExporter } from '../../src/export/exporter.js'
import { chainHash, type Frame, genesisHash } from '../../src/export/frame.js'
import { Spool } from '../../src/export/spool.js'
import type { SpoolLane } from '../../src/export/spool-lane.js'
import type { DeliveryState, Exporter, ExporterOptions } from '../../src/export/types.js'
import { BatchBuilder, decodeBatch } from '../../src/record/codec.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { Counters } from '../../src/telemetry/counters.js'
import { alertOf, hostActivity, SILENT, take, until } from '../support/delivery.js'

function temporaryDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-spool-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function openSpooling(dataDir: string, options: Partial<ExporterOptions> = {}): Promise<Exporter> {
  return openExporter({
    agentId: 'agent-1',
    dataDir,
    collectors: [],
    counters: new Counters(),
    log: SILENT,
    ...options,
  })
}

async function openSpool(dataDir: string, counters = new Counters()): Promise<Spool> {
  return Spool.open({
    agent: 'agent-1',
    dataDir,
    maxBytes: 1 << 30,
    backlogMaxBytes: 1 << 23,
    syncMs: 1000,
    counters,
    log: SILENT,
    onState() {},
  })
}

async function readLane(lane: SpoolLane): Promise<{ frames: Frame[]; records: HullguardRecord[] }> {
  const frames: Frame[] = []
  while (true) {
    const frame = await lane.next()
    if (frame === undefined) break
    frames.push(frame)
  }
  return { frames, records: frames.flatMap(({ payload }) => decodeBatch(inflateRawSync(payload)).records) }
}

/** Sequence numbers with what stands for them: records by themselves, a gap by its range. */
function covered(records: readonly HullguardRecord[]): bigint {
  let next = 1n
  for (const { seq, gap } of records) {
    assert.equal(seq, next, 'no number is missing or twice')
    next = gap === undefined ? seq + 1n : gap.lastSeq + 1n
  }
  return next - 1n
}

test('what one start spooled is found whole by the next, alerts first, and the chain of each lane holds', async (t) => {
  const dir = temporaryDir(t)
  const exporter = await openSpooling(dir)
  const drafts = take(hostActivity(3), 3000)
  for (const draft of drafts) exporter.append(draft)
  for (const draft of drafts.slice(0, 3)) exporter.append(alertOf(draft, 'a rule'))
  const report = await exporter.close({ deadlineMs: 200 })
  assert.deepEqual(report, { delivered: false, spooledCount: 3003, lostCount: 0 })

  const spool = await openSpool(dir)
  t.after(() => spool.close())
  assert.equal(spool.epoch, exporter.epoch + 1)
  assert.equal(spool.unclean, false)
  const old = spool.lanes.filter(({ epoch }) => epoch === exporter.epoch)
  assert.deepEqual(
    old.map(({ lane }) => lane),
    ['alert', 'activity'],
  )
  for (const lane of old) {
    const { frames, records } = await readLane(lane)
    assert.equal(covered(records), lane.lane === 'alert' ? 3n : 3000n)
    let hash = genesisHash('agent-1', exporter.epoch, lane.lane)
    for (const frame of frames) {
      assert.deepEqual(Buffer.from(frame.prevHash), Buffer.from(hash))
      hash = chainHash(hash, frame.payload)
      assert.deepEqual(Buffer.from(frame.hash), Buffer.from(hash))
    }
    if (lane.lane === 'activity') {
      assert.deepEqual(
        records.map(({ agent: _a, epoch: _e, seq: _s, ...draft }) => draft),
        drafts,
      )
    }
  }
})

test('alerts that come while the disk is at work share the next frame, and none waits for more to come', async (t) => {
  const dir = temporaryDir(t)
  const counters = new Counters()
  const exporter = await openSpooling(dir, { counters })
  const [draft] = take(hostActivity(3), 1)
  assert.ok(draft !== undefined)
  const ALERTS = 200
  // one a turn of the event loop: each would be a frame by itself
  for (let count = 0; count < ALERTS; count++) {
    exporter.append(alertOf(draft, `rule ${count}`))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(
    'the last is closed unasked',
    () => counters.get('delivery_records_appended_total', { lane: 'alert' }) === ALERTS,
  )
  await exporter.close({ deadlineMs: 200 })

  const spool = await openSpool(dir)
  t.after(() => spool.close())
  const lane = spool.lanes.find((candidate) => candidate.epoch === exporter.epoch && candidate.lane === 'alert')
  assert.ok(lane !== undefined)
  const { frames, records } = await readLane(lane)
  assert.equal(covered(records), BigInt(ALERTS))
  assert.ok(frames.length <= ALERTS / 2, `${frames.length} frames`)
})

test('frames are given in order and chained, read again or as they were just written', async (t) => {
  const dir = temporaryDir(t)
  const spool = await openSpool(dir)
  t.after(() => spool.close())
  const lane = spool.lanes.find((each) => each.lane === 'activity')
  assert.ok(lane)
  let seq = 0n
  const write = async (count: number) => {
    for (let index = 0; index < count; index++) {
      seq += 1n
      const builder = new BatchBuilder('agent-1', spool.epoch, 'activity', seq)
      for (const draft of take(hostActivity(Number(seq)), 1)) builder.add(draft)
      spool.enqueue('activity', { firstSeq: seq, lastSeq: seq, count: 1, raw: builder.finish() })
    }
    await spool.reached('activity', seq, false)
  }
  const frames: Frame[] = []
  const read = async (count: number) => {
    for (let index = 0; index < count; index++) {
      const frame = await lane.next()
      assert.ok(frame)
      frames.push(frame)
    }
  }
  await write(1)
  await read(1) // as written
  await write(3)
  await read(2) // from the file, behind what was never read
  await read(1) // as written
  await write(1)
  await read(1)
  await write(2)
  await read(1)
  await write(1) // the one before was not taken: it has to be read
  await read(2)
  assert.equal(await lane.next(), undefined)
  let hash = genesisHash('agent-1', spool.epoch, 'activity')
  for (const [index, frame] of frames.entries()) {
    assert.equal(frame.firstSeq, BigInt(index + 1))
    assert.deepEqual(Buffer.from(frame.prevHash), Buffer.from(hash))
    hash = chainHash(hash, frame.payload)
    assert.deepEqual(Buffer.from(frame.hash), Buffer.from(hash))
  }
  await lane.rewind()
  assert.deepEqual(
    (await readLane(lane)).frames.map(({ firstSeq, payload }) => [firstSeq, Buffer.from(payload)]),
    frames.map(({ firstSeq, payload }) => [firstSeq, Buffer.from(payload)]),
  )
})

test('what was just written is sent without being read from the disk', async (t) => {
  const dir = temporaryDir(t)
  const spool = await openSpool(dir)
  t.after(() => spool.close())
  const lane = spool.lanes.find((each) => each.lane === 'activity')
  const builder = new BatchBuilder('agent-1', spool.epoch, 'activity', 1n)
  for (const draft of take(hostActivity(1), 1)) builder.add(draft)
  spool.enqueue('activity', { firstSeq: 1n, lastSeq: 1n, count: 1, raw: builder.finish() })
  await spool.reached('activity', 1n, false)
  const [segment] = lane?.segments ?? []
  assert.ok(segment)
  truncateSync(segment.path, 0)
  assert.equal((await lane?.next())?.lastSeq, 1n)
})

test('an acknowledged lane of an earlier start leaves nothing behind', async (t) => {
  const dir = temporaryDir(t)
  const exporter = await openSpooling(dir)
  for (const draft of take(hostActivity(3), 100)) exporter.append(draft)
  await exporter.close({ deadlineMs: 100 })
  const spool = await openSpool(dir)
  for (const lane of spool.lanes.filter(({ epoch }) => epoch === exporter.epoch)) {
    await spool.acknowledge(lane, lane.writtenSeq)
  }
  assert.equal(spool.pendingCount, 0)
  await spool.close()
  assert.deepEqual(readdirSync(join(dir, 'spool')), ['epoch'])
})

test('a torn end is cut off and counted, and all before it is kept, wherever the tear is', async (t) => {
  const dir = temporaryDir(t)
  const exporter = await openSpooling(dir)
  for (let round = 0; round < 3; round++) {
    for (const draft of take(hostActivity(round), 50)) exporter.append(draft)
    await exporter.flush()
  }
  await exporter.close({ deadlineMs: 100 })
  const lane = join(dir, 'spool', String(exporter.epoch), 'activity')
  const [name = ''] = readdirSync(lane)
  const whole = readFileSync(join(lane, name))
  const lastFrame = whole.lastIndexOf(whole.subarray(0, 4))
  assert.ok(lastFrame > 0)
  for (const length of [lastFrame + 1, lastFrame + 50, lastFrame + 110, whole.length - 1]) {
    writeFileSync(join(lane, name), whole.subarray(0, length))
    const counters = new Counters()
    const spool = await openSpool(dir, counters)
    const old = spool.lanes.find(({ epoch }) => epoch === exporter.epoch)
    assert.ok(old)
    assert.equal(covered((await readLane(old)).records), 100n)
    assert.equal(counters.get('spool_torn_total'), 1)
    assert.equal(counters.get('spool_torn_bytes_total'), length - lastFrame)
    await spool.close()
  }
})

test('a segment that was damaged or taken away is sent as a gap of exactly its records', async (t) => {
  const dir = temporaryDir(t)
  // A small bound makes small segments.
  const exporter = await openSpooling(dir, { spoolMaxBytes: 400_000 })
  const stream = hostActivity(5)
  for (let round = 0; round < 20; round++) {
    for (const draft of take(stream, 1000)) exporter.append(draft)
    await exporter.flush()
  }
  await exporter.close({ deadlineMs: 100 })
  const lane = join(dir, 'spool', String(exporter.epoch), 'activity')
  const names = readdirSync(lane).sort()
  assert.ok(names.length >= 4, `segments: ${names.length}`)
  rmSync(join(lane, names[1] ?? ''))
  const spool = await openSpool(dir)
  t.after(() => spool.close())
  const old = spool.lanes.find(({ epoch }) => epoch === exporter.epoch)
  assert.ok(old)
  // Damage that happens after the check at start.
  truncateSync(join(lane, names[2] ?? ''), 200)
  const { records } = await readLane(old)
  assert.equal(covered(records), 20_000n)
  assert.deepEqual(
    records.filter(({ kind }) => kind === 'gap').map(({ gap }) => gap?.cause),
    ['segment_missing', 'damaged'],
  )
})

test('a full spool gives up its oldest activity, alerts never before that, and a gap says what went', async (t) => {
  const dir = temporaryDir(t)
  const counters = new Counters()
  const maxBytes = 200_000
  const exporter = await openSpooling(dir, { spoolMaxBytes: maxBytes, counters })
  const stream = hostActivity(9)
  for (let round = 0; round < 40; round++) {
    const drafts = take(stream, 1000)
    for (const draft of drafts) exporter.append(draft)
    for (const draft of drafts.slice(0, 5)) exporter.append(alertOf(draft, 'a rule'))
    await exporter.flush()
  }
  await exporter.close({ deadlineMs: 100 })
  const lost = counters.get('delivery_records_lost_total', { lane: 'activity', cause: 'spool_full' })
  assert.ok(lost > 0)
  assert.equal(counters.get('delivery_records_lost_total', { lane: 'alert', cause: 'spool_full' }), 0)
  assert.ok(counters.get('spool_bytes') <= maxBytes * 1.3, `${counters.get('spool_bytes')} bytes`)

  const spool = await openSpool(dir)
  t.after(() => spool.close())
  for (const lane of spool.lanes.filter(({ epoch }) => epoch === exporter.epoch)) {
    const { frames, records } = await readLane(lane)
    assert.equal(covered(records), lane.lane === 'alert' ? 200n : 40_000n)
    if (lane.lane === 'alert') continue
    const [gap, ...others] = records.filter(({ kind }) => kind === 'gap')
    assert.equal(others.length, 0, 'adjacent gaps are one')
    assert.equal(gap?.gap?.count, BigInt(lost))
    assert.equal(gap?.gap?.source, 'spool')
    // The hash of what went is where the chain goes on.
    assert.equal(gap?.gap?.hash, Buffer.from(frames[1]?.prevHash ?? []).toString('hex'))
  }
})

test('records beyond the memory backlog of a stuck disk are given up, activity first, and counted', async (t) => {
  const dir = temporaryDir(t)
  const counters = new Counters()
  const states: DeliveryState[] = []
  const exporter = await openSpooling(dir, {
    counters,
    backlogMaxBytes: 300_000,
    onState: (state) => states.push(state),
  })
  // The lane's directory becomes a file: opening a segment fails, as on a broken disk.
  const lane = join(dir, 'spool', String(exporter.epoch), 'activity')
  rmSync(lane, { recursive: true })
  writeFileSync(lane, '')
  const stream = hostActivity(9)
  for (let round = 0; round < 20; round++) for (const draft of take(stream, 2048)) exporter.append(draft)
  await until('the spool says that it is degraded', () => states.length > 0)
  assert.equal(states[0]?.state, 'degraded')
  const lost = counters.get('delivery_records_lost_total', { lane: 'activity', cause: 'backlog_full' })
  assert.ok(lost > 0)
  assert.ok(exporter.congested)
  rmSync(lane)
  mkdirSync(lane)
  await exporter.flush()
  assert.equal(states.at(-1)?.state, 'recovered')
  await exporter.close({ deadlineMs: 100 })
  const spool = await openSpool(dir)
  t.after(() => spool.close())
  const old = spool.lanes.find(({ epoch }) => epoch === exporter.epoch)
  assert.ok(old)
  const { records } = await readLane(old)
  assert.equal(covered(records), 40_960n)
  const gaps = records.filter(({ kind }) => kind === 'gap')
  assert.equal(
    gaps.reduce((sum, { gap }) => sum + (gap?.count ?? 0n), 0n),
    BigInt(lost),
  )
})

test('on a full disk alerts push out activity, nothing crashes, and every record is there or counted', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'hullguard-test', dir], { stdio: 'pipe' })
  } catch (error) {
    rmSync(dir, { recursive: true })
    t.skip(`a tmpfs cannot be mounted here: ${String(error).split('\n')[0]}`)
    return
  }
  t.after(() => {
    execFileSync('umount', ['--lazy', dir])
    rmSync(dir, { recursive: true })
  })
  const counters = new Counters()
  const exporter = await openSpooling(dir, { counters, backlogMaxBytes: 400_000, spoolMaxBytes: 1 << 22 })
  const stream = hostActivity(11)
  let appended = 0
  await until('the disk is full', async () => {
    for (const draft of take(stream, 1000)) exporter.append(draft)
    appended += 1000
    await new Promise((resolve) => setImmediate(resolve))
    return counters.get('spool_degraded') === 1
  })
  const [draft] = take(stream, 1)
  assert.ok(draft)
  const alert = exporter.append(alertOf(draft, 'still heard'))
  await exporter.flushed(alert.lane, alert.seq)
  assert.ok(counters.get('delivery_records_lost_total', { lane: 'activity', cause: 'disk_full' }) > 0)
  assert.equal(counters.get('spool_write_errors_total', { error: 'ENOSPC' }) > 0, true)
  const report = await exporter.close({ deadlineMs: 3000 })
  const spool = await openSpool(dir)
  t.after(() => spool.close())
  for (const lane of spool.lanes.filter(({ epoch }) => epoch === exporter.epoch)) {
    const { records } = await readLane(lane)
    const end = lane.lane === 'alert' ? 1 : appended - report.lostCount
    assert.equal(covered(records), BigInt(end))
  }
})

test('an unwritable data directory is refused by name at start', async (t) => {
  const dir = temporaryDir(t)
  writeFileSync(join(dir, 'file'), '')
  await assert.rejects(openSpooling(join(dir, 'file')), { errorName: 'data_dir_unusable' })
  await assert.rejects(openSpooling('/proc/hullguard'), { errorName: 'data_dir_unusable' })
  if (process.getuid?.() !== 0) {
    chmodSync(dir, 0o500)
    await assert.rejects(openSpooling(join(dir, 'sub')), { errorName: 'data_dir_unusable' })
  }
})

test('a damaged count of starts is refused, since an epoch used twice would lose records', async (t) => {
  const dir = temporaryDir(t)
  mkdirSync(join(dir, 'spool'))
  writeFileSync(join(dir, 'spool', 'epoch'), 'rubbish')
  await assert.rejects(openSpooling(dir), { errorName: 'data_dir_unusable' })
})

test('a second agent on the same directory is refused while the first lives, and takes over when it is dead', async (t) => {
  const dir = temporaryDir(t)
  const exporter = await openSpooling(dir)
  await assert.rejects(openSpooling(dir), { errorName: 'second_agent' })
  await exporter.close({ deadlineMs: 100 })
  const dead = spawn(process.execPath, ['-e', '0'])
  await new Promise((resolve) => dead.on('exit', resolve))
  writeFileSync(join(dir, 'spool', 'lock'), `${dead.pid} 12345\n`)
  const next = await openSpooling(dir)
  assert.equal(next.epoch, exporter.epoch + 1)
  assert.equal(next.uncleanStart, false)
  await next.close({ deadlineMs: 100 })
})

test('a start that did not close is told to the next', async (t) => {
  const dir = temporaryDir(t)
  const first = await openSpool(dir)
  await first.close()
  const text = join(dir, 'spool', 'epoch')
  assert.equal(readFileSync(text, 'utf8'), '1 closed\n')
  writeFileSync(text, '1 open\n')
  const second = await openSpool(dir)
  t.after(() => second.close())
  assert.equal(second.unclean, true)
  assert.equal(second.epoch, 2)
})

test("an agent's id is made once and stays", async (t) => {
  const dir = temporaryDir(t)
  const id = await loadAgentId(dir)
  assert.match(id, /^[A-Za-z0-9._-]+-[0-9a-f]{16}$/)
  assert.equal(await loadAgentId(dir), id)
})
