/**
 * The collector's store: takes checked frames, many to a transaction, each record exactly once. Synchronous (it is the
 * collector's process that waits for the disk, never an agent's); a failed transaction leaves nothing behind and throws.
 *
 * A frame at the mark + 1 is stored. Beyond it: the hole gets a gap record, and is remembered. Before it: dropped as a
 * repeat, unless it fills a remembered hole. The mark moves in the same transaction.
 */
import { deflateRawSync } from 'node:zlib'
import { LRUCache } from 'lru-cache'
import { BatchBuilder, decodeBatch, decodeIndex } from '../record/codec.js'
import { type GapBody, HOST } from '../record/model.js'
import { laneName } from '../record/names.js'
import type { Counters } from '../telemetry/counters.js'
import { HullguardError } from '../telemetry/errors.js'
import { type Db, openWritable } from './database.js'
import { encodePositions, type Incoming, inflate, kindBit } from './incoming.js'

/** Containers and rules seen lately, so that a batch needs no look-up; bounded, the table has them all. */
const NAMES_CACHED = 20_000

/** `refused`: overlaps or contradicts what is stored, so it is not from the agent that sent that. */
export type Stored = 'stored' | 'repeat' | 'refused'

export interface Mark {
  epoch: number
  lane: number
  seq: bigint
}

interface MarkRow {
  seq: bigint
  hash: Buffer
}

interface HoleRow {
  first_seq: bigint
  last_seq: bigint
  batch: bigint
}

interface Key {
  agentId: bigint
  agent: string
  epoch: number
  lane: number
}

interface Span {
  firstSeq: bigint
  lastSeq: bigint
}

export class Store {
  readonly #db: Db
  readonly #unlock: () => void
  readonly #counters: Counters
  readonly #names = new LRUCache<string, bigint>({ max: NAMES_CACHED })
  readonly #sql: ReturnType<typeof prepare>

  constructor(dataDir: string, counters: Counters) {
    const { db, unlock } = openWritable(dataDir)
    this.#db = db
    this.#unlock = unlock
    this.#counters = counters
    this.#sql = prepare(db)
    defineCounters(counters)
  }

  /** One durable transaction. Returns what became of each, in order. Throws when the disk or the file fails. */
  storeAll(incoming: readonly Incoming[], nowNs: bigint): Stored[] {
    try {
      const result = this.#db.transaction(() => incoming.map((one) => this.#storeOne(one, nowNs)))()
      this.#counters.add('store_commits_total')
      return result
    } catch (error) {
      // Ids that the rolled-back transaction made do not exist.
      this.#names.clear()
      throw error
    }
  }

  /** Newest epochs first. */
  marks(agent: string, limit: number): Mark[] {
    return this.#sql.marksOf.all(agent, limit).map(({ epoch, lane, seq }) => ({
      epoch: Number(epoch),
      lane: Number(lane),
      seq,
    }))
  }

  /** Deletes the oldest batches until the bounds hold; returns how many records went. */
  retain(maxBytes: number | undefined, oldestNs: bigint | undefined): number {
    let count = 0
    if (oldestNs !== undefined) {
      const horizon = oldestNs
      count += this.#expire(() => this.#sql.expiredByAge.all(horizon))
    }
    if (maxBytes !== undefined) {
      let bytes = this.#sql.payloadBytes.get()?.bytes ?? 0n
      count += this.#expire(() => {
        if (bytes <= BigInt(maxBytes)) return []
        const rows: { id: bigint; count: bigint }[] = []
        for (const row of this.#sql.oldest.all()) {
          if (bytes <= BigInt(maxBytes)) break
          bytes -= row.bytes
          rows.push(row)
        }
        return rows
      })
    }
    if (count > 0) this.#db.pragma('incremental_vacuum')
    this.#counters.add('store_records_expired_total', count)
    return count
  }

  close(): void {
    this.#db.close()
    this.#unlock()
  }

  #expire(next: () => { id: bigint; count: bigint }[]): number {
    let total = 0
    while (true) {
      const rows = next()
      if (rows.length === 0) return total
      this.#db.transaction(() => {
        for (const { id, count } of rows) {
          this.#deleteBatch(id)
          total += Number(count)
        }
      })()
    }
  }

  #storeOne(incoming: Incoming, nowNs: bigint): Stored {
    const { frame, index } = incoming
    const key: Key = {
      agentId: this.#agent(index.agent, nowNs),
      agent: index.agent,
      epoch: frame.epoch,
      lane: frame.lane,
    }
    const mark = this.#sql.mark.get(key.agentId, key.epoch, key.lane)
    const markSeq = mark?.seq ?? 0n
    if (frame.firstSeq <= markSeq) {
      if (frame.lastSeq > markSeq) return this.#storeTail(key, incoming, markSeq)
      return this.#storeLate(key, incoming) ? 'stored' : this.#repeat(key, incoming)
    }
    if (frame.firstSeq > markSeq + 1n) {
      this.#storeHole(key, { firstSeq: markSeq + 1n, lastSeq: frame.firstSeq - 1n }, incoming.minTimeNs)
    } else if (mark !== undefined) this.#checkChain(mark, incoming)
    this.#insert(key, incoming)
    this.#sql.setMark.run(key.agentId, key.epoch, key.lane, frame.lastSeq, frame.hash)
    return 'stored'
  }

  #repeat(key: Key, { frame }: Incoming): Stored {
    const stored = this.#sql.batchHash.get(key.agentId, key.epoch, key.lane, frame.firstSeq)?.hash
    // Two hosts with one id and epoch (a copied data directory): dropping the second's records as repeats would lose them.
    if (stored != null && !frame.replaces && stored.length > 0 && !stored.equals(frame.hash)) return this.#refuse(frame)
    this.#counters.add('store_repeats_total', frame.count)
    return 'repeat'
  }

  #refuse(frame: Incoming['frame']): Stored {
    this.#counters.add('store_conflicts_total', frame.count)
    return 'refused'
  }

  #checkChain(mark: MarkRow, { frame }: Incoming): void {
    if (frame.replaces || mark.hash.equals(frame.prevHash)) return
    this.#counters.add('store_chain_breaks_total')
  }

  /** A gap of which the beginning is stored already: what came before the agent gave the rest up. */
  #storeTail(key: Key, { frame, minTimeNs }: Incoming, markSeq: bigint): Stored {
    const gap = gapOf(frame.payload)
    // Frames never change their bounds otherwise.
    if (gap === undefined) return this.#refuse(frame)
    const span = { firstSeq: markSeq + 1n, lastSeq: frame.lastSeq }
    this.#insertGap(key, span, { ...gap, ...span, count: span.lastSeq - span.firstSeq + 1n }, minTimeNs, frame)
    this.#sql.setMark.run(key.agentId, key.epoch, key.lane, frame.lastSeq, frame.hash)
    return 'stored'
  }

  /** A batch below the mark: stored when it lies in a remembered hole, whose gap record then shrinks. */
  #storeLate(key: Key, incoming: Incoming): boolean {
    const { firstSeq, lastSeq } = incoming.frame
    const hole = this.#sql.holeAt.get(key.agentId, key.epoch, key.lane, firstSeq)
    if (hole === undefined || hole.last_seq < lastSeq) return false
    this.#deleteBatch(hole.batch)
    this.#sql.deleteHole.run(key.agentId, key.epoch, key.lane, hole.first_seq)
    if (hole.first_seq < firstSeq) {
      this.#storeHole(key, { firstSeq: hole.first_seq, lastSeq: firstSeq - 1n }, incoming.minTimeNs)
    }
    if (hole.last_seq > lastSeq) {
      this.#storeHole(key, { firstSeq: lastSeq + 1n, lastSeq: hole.last_seq }, incoming.maxTimeNs)
    }
    this.#insert(key, incoming)
    this.#counters.add('store_holes_filled_total')
    return true
  }

  #storeHole(key: Key, span: Span, timeNs: bigint): void {
    const gap: GapBody = {
      source: 'collector',
      cause: 'never_received',
      ...span,
      count: span.lastSeq - span.firstSeq + 1n,
    }
    const batch = this.#insertGap(key, span, gap, timeNs)
    this.#sql.addHole.run(key.agentId, key.epoch, key.lane, span.firstSeq, span.lastSeq, batch)
    this.#counters.add('store_holes_total')
    this.#counters.add('store_records_missing_total', Number(gap.count))
  }

  #insertGap(key: Key, span: Span, gap: GapBody, timeNs: bigint, frame?: Incoming['frame']): bigint {
    const lane = laneName(key.lane) ?? 'activity'
    const builder = new BatchBuilder(key.agent, key.epoch, lane, span.firstSeq)
    builder.add({ kind: 'gap', lane, bootNs: 0n, timeNs, container: HOST, gap })
    const bytes = builder.finish()
    const message = decodeIndex(bytes)
    const payload = deflateRawSync(bytes)
    const made: Incoming = {
      frame: {
        epoch: key.epoch,
        lane: key.lane,
        ...span,
        count: 1,
        payload,
        prevHash: frame?.prevHash ?? EMPTY,
        hash: frame?.hash ?? EMPTY,
        replaces: true,
      },
      index: message,
      minTimeNs: timeNs,
      maxTimeNs: timeNs,
      kinds: kindBit(message.kinds[0] ?? 0),
      groups: [{ containerIndex: 0, kind: message.kinds[0] ?? 0, ruleIndex: 0, positions: [0] }],
    }
    return this.#insert(key, made)
  }

  #insert(key: Key, { frame, index, minTimeNs, maxTimeNs, kinds, groups }: Incoming): bigint {
    const { firstSeq, lastSeq, count, prevHash, hash, payload } = frame
    const batch = BigInt(
      this.#sql.addBatch.run(
        key.agentId,
        key.epoch,
        key.lane,
        firstSeq,
        lastSeq,
        count,
        minTimeNs,
        maxTimeNs,
        kinds,
        prevHash,
        hash,
        payload,
      ).lastInsertRowid,
    )
    // Two entries of a batch's container table may be one container (its state or labels changed): one entry then.
    const merged = new Map<string, { container: bigint; kind: number; rule: bigint; positions: number[] }>()
    for (const group of groups) {
      const { id = '', name = '' } = index.containers[group.containerIndex] ?? {}
      const container = this.#containerId(id, name)
      const rule = this.#ruleId(index.rules[group.ruleIndex] ?? '')
      const same = merged.get(`${container} ${group.kind} ${rule}`)
      if (same === undefined) {
        merged.set(`${container} ${group.kind} ${rule}`, {
          container,
          kind: group.kind,
          rule,
          positions: group.positions,
        })
      } else same.positions = [...same.positions, ...group.positions].sort((one, other) => one - other)
    }
    for (const { container, kind, rule, positions } of merged.values()) {
      this.#sql.addEntry.run(batch, container, kind, rule, encodePositions(positions, count))
    }
    this.#counters.add('store_records_total', count)
    return batch
  }

  #deleteBatch(id: bigint): void {
    this.#sql.deleteEntries.run(id)
    this.#sql.deleteBatch.run(id)
  }

  #agent(name: string, nowNs: bigint): bigint {
    return this.#sql.putAgent.get(name, nowNs)?.id ?? 0n
  }

  #containerId(cid: string, name: string): bigint {
    return this.#nameId(`c${cid}\0${name}`, () => {
      this.#sql.addContainer.run(cid, name)
      return this.#sql.container.get(cid, name)?.id
    })
  }

  /** 0: no rule. */
  #ruleId(name: string): bigint {
    if (name === '') return 0n
    return this.#nameId(`r${name}`, () => {
      this.#sql.addRule.run(name)
      return this.#sql.rule.get(name)?.id
    })
  }

  #nameId(key: string, make: () => bigint | undefined): bigint {
    const known = this.#names.get(key)
    if (known !== undefined) return known
    const id = make() ?? 0n
    this.#names.set(key, id)
    return id
  }
}

function gapOf(payload: Uint8Array): GapBody | undefined {
  try {
    return decodeBatch(inflate(payload)).records[0]?.gap
  } catch (error) {
    if (error instanceof HullguardError) return undefined
    throw error
  }
}

const EMPTY = Buffer.alloc(0)

function prepare(db: Db) {
  db.defaultSafeIntegers(true)
  type Id = { id: bigint }
  return {
    putAgent: db.prepare<[string, bigint], Id>(
      `INSERT INTO agents(name, last_seen_ns) VALUES (?, ?)
       ON CONFLICT(name) DO UPDATE SET last_seen_ns = excluded.last_seen_ns RETURNING id`,
    ),
    mark: db.prepare<[bigint, number, number], MarkRow>(
      'SELECT seq, hash FROM marks WHERE agent = ? AND epoch = ? AND lane = ?',
    ),
    setMark: db.prepare<[bigint, number, number, bigint, Uint8Array]>(
      `INSERT INTO marks VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET seq = excluded.seq, hash = excluded.hash`,
    ),
    marksOf: db.prepare<[string, number], { epoch: bigint; lane: bigint; seq: bigint }>(
      `SELECT epoch, lane, seq FROM marks WHERE agent = (SELECT id FROM agents WHERE name = ?)
       ORDER BY epoch DESC, lane LIMIT ?`,
    ),
    addBatch: db.prepare(
      `INSERT INTO batches(agent, epoch, lane, first_seq, last_seq, count, min_time_ns, max_time_ns, kinds, prev_hash,
       hash, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    batchHash: db.prepare<[bigint, number, number, bigint], { hash: Buffer | null }>(
      'SELECT hash FROM batches WHERE agent = ? AND epoch = ? AND lane = ? AND first_seq = ?',
    ),
    addEntry: db.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?)'),
    addContainer: db.prepare('INSERT OR IGNORE INTO containers(cid, name) VALUES (?, ?)'),
    container: db.prepare<[string, string], Id>('SELECT id FROM containers WHERE cid = ? AND name = ?'),
    addRule: db.prepare('INSERT OR IGNORE INTO rules(name) VALUES (?)'),
    rule: db.prepare<[string], Id>('SELECT id FROM rules WHERE name = ?'),
    addHole: db.prepare('INSERT INTO holes VALUES (?, ?, ?, ?, ?, ?)'),
    holeAt: db.prepare<[bigint, number, number, bigint], HoleRow>(
      `SELECT first_seq, last_seq, batch FROM holes WHERE agent = ? AND epoch = ? AND lane = ? AND first_seq <= ?
       ORDER BY first_seq DESC LIMIT 1`,
    ),
    deleteHole: db.prepare('DELETE FROM holes WHERE agent = ? AND epoch = ? AND lane = ? AND first_seq = ?'),
    deleteBatch: db.prepare('DELETE FROM batches WHERE id = ?'),
    deleteEntries: db.prepare('DELETE FROM entries WHERE batch = ?'),
    payloadBytes: db.prepare<[], { bytes: bigint | null }>('SELECT sum(length(payload)) AS bytes FROM batches'),
    oldest: db.prepare<[], { id: bigint; count: bigint; bytes: bigint }>(
      'SELECT id, count, length(payload) AS bytes FROM batches ORDER BY id LIMIT 256',
    ),
    expiredByAge: db.prepare<[bigint], { id: bigint; count: bigint }>(
      'SELECT id, count FROM batches WHERE max_time_ns < ? ORDER BY max_time_ns LIMIT 256',
    ),
  }
}

function defineCounters(counters: Counters): void {
  counters.define('store_records_total', 'counter', 'Records stored, gap records of the collector included')
  counters.define('store_repeats_total', 'counter', 'Records that came again and were dropped, being stored already')
  counters.define('store_commits_total', 'counter', 'Durable transactions')
  counters.define('store_conflicts_total', 'counter', 'Records refused because they contradict stored ones')
  counters.define('store_holes_total', 'counter', 'Holes in a lane that got a gap record')
  counters.define('store_records_missing_total', 'counter', 'Records that holes stand for, those filled later included')
  counters.define('store_holes_filled_total', 'counter', 'Batches that came after their hole was recorded')
  counters.define('store_chain_breaks_total', 'counter', 'Frames that do not continue the hash chain of their lane')
  counters.define('store_records_expired_total', 'counter', 'Records deleted by the retention bounds')
}
