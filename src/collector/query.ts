/**
 * Reads a store: finds the batches that may hold what is asked for by their index, decodes only those, and gives the
 * records page by page. Synchronous steps of one page each, so that a caller can let others run in between.
 *
 * History comes in order of time (of several agents, merged; bounded by how many batches overlap), what follows a cursor in
 * order of storing. A stored batch that cannot be read gives a gap record, never an error that hides the others.
 */
import { decodeBatch } from '../record/codec.js'
import { HOST, type HullguardRecord, type Lane } from '../record/model.js'
import { KIND_NUMBERS, laneName } from '../record/names.js'
import { HullguardError } from '../telemetry/errors.js'
import type { Db } from './database.js'
import { decodePositions, inflate, kindBit } from './incoming.js'
import type { AgentRow, EventPage, EventQuery } from './types.js'

/** Batches looked at in one step: about 20 ms of decoding at most. */
const STEP_BATCHES = 16
const PAGE_RECORDS = 1000
const ID_PREFIX_MIN = 4

interface BatchRow {
  id: bigint
  agent: string
  epoch: bigint
  lane: bigint
  first_seq: bigint
  last_seq: bigint
  count: bigint
  min_time_ns: bigint
  max_time_ns: bigint
  payload: Buffer
}

interface EntryRow {
  positions: Buffer
}

/** A query with its names looked up. */
interface Plan {
  query: EventQuery
  where: string
  values: (bigint | number | string)[]
  /** Of `entries`, when the query needs them. */
  entryWhere: string | undefined
  entryValues: (bigint | number)[]
  nothing: boolean
}

export class StoreReader {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
    db.defaultSafeIntegers(true)
  }

  /** Pages until all that was stored when the first was asked for has been given; the last may be empty. */
  *events(query: EventQuery): Generator<EventPage, void> {
    const snapshot = this.lastBatch()
    const plan = this.#plan(query)
    const cursor = String(snapshot)
    if (plan.nothing) yield { records: [], cursor }
    else if (query.after !== undefined) yield* this.#stored(plan, parseCursor(query.after), snapshot)
    else if (query.limit !== undefined) yield* this.#newest(plan, snapshot, query.limit)
    else yield* this.#history(plan, snapshot)
  }

  /** Id of the newest batch: 0 when there is none. */
  lastBatch(): bigint {
    return this.#row<{ id: bigint | null }>('SELECT max(id) AS id FROM batches', [])?.id ?? 0n
  }

  agents(): AgentRow[] {
    return this.#rows<{ name: string; seen: bigint; epoch: bigint; alert: bigint | null; activity: bigint | null }>(
      `SELECT a.name AS name, a.last_seen_ns AS seen, m.epoch AS epoch,
         max(CASE m.lane WHEN 1 THEN m.seq END) AS alert, max(CASE m.lane WHEN 2 THEN m.seq END) AS activity
       FROM agents a JOIN marks m ON m.agent = a.id
       WHERE m.epoch = (SELECT max(epoch) FROM marks WHERE agent = a.id) GROUP BY a.id ORDER BY a.name`,
      [],
    ).map(({ name, seen, epoch, alert, activity }) => ({
      agent: name,
      epoch: Number(epoch),
      lastSeenNs: seen,
      lastAlertSeq: alert ?? 0n,
      lastActivitySeq: activity ?? 0n,
    }))
  }

  /** In order of storing, after a batch. */
  *#stored(plan: Plan, after: bigint, snapshot: bigint): Generator<EventPage, void> {
    let last = after
    while (last < snapshot) {
      const rows = this.#batches(plan, 'b.id > ? AND b.id <= ?', [last, snapshot], 'b.id')
      const records = rows.flatMap((row) => this.#records(plan, row))
      last = rows.length < STEP_BATCHES ? snapshot : (rows.at(-1)?.id ?? snapshot)
      yield { records, cursor: String(last) }
    }
  }

  /** All, in order of time: batches by their first time; a record goes out once no later batch can begin before it. */
  *#history(plan: Plan, snapshot: bigint): Generator<EventPage, void> {
    const cursor = String(snapshot)
    let waiting: HullguardRecord[] = []
    let from: [bigint, bigint] = [-(2n ** 63n), 0n]
    while (true) {
      const rows = this.#batches(
        plan,
        'b.id <= ? AND (b.min_time_ns, b.id) > (?, ?)',
        [snapshot, ...from],
        'b.min_time_ns, b.id',
      )
      for (const row of rows) waiting.push(...this.#records(plan, row))
      waiting.sort(byTime)
      const last = rows.at(-1)
      const isEnd = last === undefined || rows.length < STEP_BATCHES
      let ready = waiting.length
      if (!isEnd) {
        from = [last.min_time_ns, last.id]
        const later = waiting.findIndex(({ timeNs }) => timeNs > last.min_time_ns)
        ready = later < 0 ? waiting.length : later
      }
      for (let start = 0; start < ready; start += PAGE_RECORDS) {
        yield { records: waiting.slice(start, Math.min(start + PAGE_RECORDS, ready)), cursor }
      }
      waiting = waiting.slice(ready)
      if (isEnd) return
      if (ready === 0) yield { records: [], cursor }
    }
  }

  /** The newest `limit`, in order of time: batches by their last time, backwards, until no older one can matter. */
  *#newest(plan: Plan, snapshot: bigint, limit: number): Generator<EventPage, void> {
    const cursor = String(snapshot)
    let found: HullguardRecord[] = []
    let from: [bigint, bigint] = [2n ** 63n - 1n, 2n ** 63n - 1n]
    while (limit > 0) {
      const rows = this.#batches(
        plan,
        'b.id <= ? AND (b.max_time_ns, b.id) < (?, ?)',
        [snapshot, ...from],
        'b.max_time_ns DESC, b.id DESC',
      )
      for (const row of rows) found.push(...this.#records(plan, row))
      found = found.sort(byTime).slice(-limit)
      const last = rows.at(-1)
      if (last === undefined || rows.length < STEP_BATCHES) break
      const oldest = found[0]
      if (found.length === limit && oldest !== undefined && oldest.timeNs > last.max_time_ns) break
      from = [last.max_time_ns, last.id]
      yield { records: [], cursor }
    }
    for (let start = 0; start < found.length; start += PAGE_RECORDS) {
      yield { records: found.slice(start, start + PAGE_RECORDS), cursor }
    }
  }

  #batches(plan: Plan, where: string, values: bigint[], order: string): BatchRow[] {
    return this.#rows<BatchRow>(
      `SELECT b.id, a.name AS agent, b.epoch, b.lane, b.first_seq, b.last_seq, b.count, b.min_time_ns, b.max_time_ns,
         b.payload FROM batches b JOIN agents a ON a.id = b.agent
       WHERE ${where}${plan.where} ORDER BY ${order} LIMIT ${STEP_BATCHES}`,
      [...values, ...plan.values],
    )
  }

  #records(plan: Plan, row: BatchRow): HullguardRecord[] {
    let wanted: Uint8Array | undefined
    if (plan.entryWhere !== undefined) {
      wanted = new Uint8Array(Number(row.count))
      const sql = `SELECT positions FROM entries WHERE batch = ?${plan.entryWhere}`
      for (const { positions } of this.#rows<EntryRow>(sql, [row.id, ...plan.entryValues])) {
        decodePositions(positions, wanted)
      }
    }
    const { sinceNs, untilNs } = plan.query
    return decodeRow(row, wanted).filter(
      ({ timeNs }) => (sinceNs === undefined || timeNs >= sinceNs) && (untilNs === undefined || timeNs < untilNs),
    )
  }

  #plan(query: EventQuery): Plan {
    const plan: Plan = { query, where: '', values: [], entryWhere: undefined, entryValues: [], nothing: false }
    const narrow = (clause: string, ...values: (bigint | number | string)[]) => {
      plan.where += ` AND ${clause}`
      plan.values.push(...values)
    }
    if (query.sinceNs !== undefined) narrow('b.max_time_ns >= ?', clampTime(query.sinceNs))
    if (query.untilNs !== undefined) narrow('b.min_time_ns < ?', clampTime(query.untilNs))
    if (query.agent !== undefined) narrow('a.name = ?', query.agent)
    const entry: string[] = []
    if (query.kinds !== undefined) {
      const numbers = query.kinds.map((kind) => KIND_NUMBERS[kind])
      if (numbers.length === 0) plan.nothing = true
      narrow(`(b.kinds & ${numbers.reduce((mask, number) => mask | kindBit(number), 0n)}) <> 0`)
      entry.push(`kind IN (${numbers.join(', ')})`)
    }
    if (query.rule !== undefined) {
      const id = this.#row<{ id: bigint }>('SELECT id FROM rules WHERE name = ?', [query.rule])?.id
      if (id === undefined) plan.nothing = true
      else entry.push(`rule = ${id}`)
    }
    if (query.container !== undefined) {
      const ids = this.#containers(query.container)
      if (ids.length === 0) plan.nothing = true
      entry.push(`container IN (${ids.join(', ')})`)
    }
    if (entry.length > 0) {
      plan.entryWhere = ` AND ${entry.join(' AND ')}`
      if (query.rule !== undefined || query.container !== undefined) {
        narrow(`b.id IN (SELECT batch FROM entries WHERE ${entry.join(' AND ')})`)
      }
    }
    return plan
  }

  #containers(text: string): bigint[] {
    const rows = this.#rows<{ id: bigint }>(
      'SELECT id FROM containers WHERE name = ? OR substr(cid, 1, ?) = ?',
      // A text too short for a prefix must be the whole id.
      [text, text.length >= ID_PREFIX_MIN ? text.length : 64, text],
    )
    return text === '' ? [] : rows.map(({ id }) => id)
  }

  #rows<T>(sql: string, values: (bigint | number | string)[]): T[] {
    return this.#db.prepare<(bigint | number | string)[], T>(sql).all(...values)
  }

  #row<T>(sql: string, values: (bigint | number | string)[]): T | undefined {
    return this.#db.prepare<(bigint | number | string)[], T>(sql).get(...values)
  }
}

function decodeRow(row: BatchRow, wanted: Uint8Array | undefined): HullguardRecord[] {
  const accepts = wanted === undefined ? undefined : (position: number) => wanted[position] === 1
  try {
    const { records, unknownCount } = decodeBatch(inflate(row.payload), accepts)
    if (unknownCount === 0) return records
    return [...records, unreadable(row, 'kind_unknown_to_this_version', BigInt(unknownCount))]
  } catch (error) {
    if (!(error instanceof HullguardError)) throw error
    return [unreadable(row, 'stored_batch_damaged', row.last_seq - row.first_seq + 1n)]
  }
}

function unreadable(row: BatchRow, cause: string, count: bigint): HullguardRecord {
  const lane: Lane = laneName(Number(row.lane)) ?? 'activity'
  return {
    kind: 'gap',
    lane,
    bootNs: 0n,
    timeNs: row.min_time_ns,
    container: HOST,
    agent: row.agent,
    epoch: Number(row.epoch),
    seq: row.first_seq,
    gap: { source: 'collector', cause, firstSeq: row.first_seq, lastSeq: row.last_seq, count },
  }
}

function byTime(one: HullguardRecord, other: HullguardRecord): number {
  if (one.timeNs !== other.timeNs) return one.timeNs < other.timeNs ? -1 : 1
  if (one.agent !== other.agent) return one.agent < other.agent ? -1 : 1
  if (one.lane !== other.lane) return one.lane < other.lane ? -1 : 1
  return one.seq < other.seq ? -1 : one.seq > other.seq ? 1 : 0
}

/** SQLite's integers are 64 bits. */
function clampTime(timeNs: bigint): bigint {
  return BigInt.asIntN(64, timeNs) === timeNs ? timeNs : timeNs < 0n ? -(2n ** 63n) : 2n ** 63n - 1n
}

function parseCursor(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw new HullguardError('query_failed', `\`${text}\` is not a cursor`)
  return BigInt(text)
}
