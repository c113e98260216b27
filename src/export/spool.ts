/**
 * The agent's records on disk until a collector has stored them: DIR/spool/EPOCH/LANE/*.seg. Owns the lock, the epoch,
 * the lanes and the bound on all of them together.
 *
 * Full: whole segments go, oldest activity first, alerts last, and a gap record takes their place. A disk that refuses:
 * batches wait in memory up to a bound (then they go the same way, counted) and writing is tried again.
 */
import { join } from 'node:path'
import type { Lane } from '../record/model.js'
import { LANES } from '../record/names.js'
import type { Counters } from '../telemetry/counters.js'
import { errnoOf, messageOf } from '../telemetry/errors.js'
import { makeDirectory } from './directory.js'
import { closeEpoch, lockSpool, nextEpoch, usable } from './epoch.js'
import { LaneWriter, type LaneWriterHooks, type Waiting } from './lane-writer.js'
import { recoverLanes, removeDirectory } from './recover.js'
import { type Segment, SpoolLane } from './spool-lane.js'
import type { DeliveryState, Log } from './types.js'

/** The unit of giving up and of removal: small enough that little goes at once, and an eighth of the spool at most. */
const SEGMENT_BYTES = 4 * 1024 * 1024

export interface SpoolOptions {
  agent: string
  dataDir: string
  maxBytes: number
  backlogMaxBytes: number
  syncMs: number
  counters: Counters
  log: Log
  onState: (state: DeliveryState) => void
}

export class Spool {
  readonly #options: SpoolOptions
  readonly #dir: string
  readonly #unlock: () => Promise<void>
  readonly #writers: Record<Lane, LaneWriter>
  /** Runs only while something waits to be synced. */
  #syncTimer: NodeJS.Timeout | undefined
  /** Of earlier epochs, in the order to send. */
  #old: SpoolLane[] = []
  #totalBytes = 0
  #waitingBytes = 0
  #degraded = false
  #evicting: Promise<void> | undefined
  #closed = false
  /** Called when there is something new to send. */
  onNew: () => void = () => {}
  /** Called when the lane has written what it was given. */
  onIdle: (lane: Lane) => void = () => {}

  private constructor(
    options: SpoolOptions,
    dir: string,
    readonly epoch: number,
    readonly unclean: boolean,
    unlock: () => Promise<void>,
  ) {
    this.#options = options
    this.#dir = dir
    this.#unlock = unlock
    const onBytes = (change: number) => this.#onBytes(change)
    const segmentBytes = Math.min(SEGMENT_BYTES, Math.ceil(options.maxBytes / 8))
    const writer = (lane: Lane) => {
      const spoolLane = new SpoolLane(options.agent, epoch, lane, this.#laneDir(lane), onBytes, (segment) =>
        this.#onDamage(segment),
      )
      return new LaneWriter(spoolLane, lane === 'alert', segmentBytes, this.#hooks())
    }
    this.#writers = { alert: writer('alert'), activity: writer('activity') }
  }

  /** Throws data_dir_unusable or second_agent; nothing else stops an agent from starting. */
  static async open(options: SpoolOptions): Promise<Spool> {
    defineCounters(options.counters)
    const dir = join(options.dataDir, 'spool')
    await usable(options.dataDir, async () => makeDirectory(dir))
    const unlock = await lockSpool(dir)
    try {
      const { epoch, unclean } = await nextEpoch(dir)
      for (const lane of LANES) {
        await usable(dir, async () => makeDirectory(join(dir, String(epoch), lane)))
      }
      const spool = new Spool(options, dir, epoch, unclean, unlock)
      await spool.#recover()
      return spool
    } catch (error) {
      await unlock()
      throw error
    }
  }

  /** In the order to send: alerts first, older epochs first. */
  get lanes(): readonly SpoolLane[] {
    const all = [...this.#old, this.#writers.alert.lane, this.#writers.activity.lane]
    return all.sort((one, other) => (one.lane === other.lane ? one.epoch - other.epoch : one.lane === 'alert' ? -1 : 1))
  }

  enqueue(lane: Lane, batch: Waiting): void {
    this.#waitingBytes += batch.raw?.length ?? 0
    this.#writers[lane].enqueue(batch)
    while (this.#waitingBytes > this.#options.backlogMaxBytes) {
      if (!this.#writers.activity.giveUp('backlog_full') && !this.#writers.alert.giveUp('backlog_full')) break
    }
  }

  /** Is the lane still writing what it was given? */
  isBusy(lane: Lane): boolean {
    return this.#writers[lane].isBusy
  }

  async reached(lane: Lane, seq: bigint, synced: boolean): Promise<void> {
    await this.#writers[lane].reached(seq, synced)
  }

  /** The collector has stored that lane up to seq. */
  async acknowledge(lane: SpoolLane, seq: bigint): Promise<void> {
    await lane.acknowledge(seq)
    if (this.#degraded) for (const name of LANES) this.#writers[name].retry()
    const old = this.#old.indexOf(lane)
    if (old < 0 || !lane.isDone) return
    this.#old.splice(old, 1)
    await lane.removeAll()
    await removeDirectory(lane.dir)
    await removeDirectory(join(this.#dir, String(lane.epoch)))
  }

  /** What waits in memory for the disk. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  get pendingCount(): number {
    return Number(this.lanes.reduce((sum, lane) => sum + lane.pendingCount, 0n))
  }

  /** Returns how many records never reached a file. Acknowledged files go; the rest waits for the next start. */
  async close(): Promise<number> {
    if (this.#closed) return 0
    this.#closed = true
    clearTimeout(this.#syncTimer)
    let lostCount = 0
    for (const name of LANES) {
      const count = await this.#writers[name].close()
      lostCount += count
      if (count > 0) this.#options.counters.add('delivery_records_lost_total', count, { lane: name, cause: 'closed' })
    }
    await this.#evicting
    try {
      for (const lane of this.lanes) {
        await lane.close()
        if (lane.epoch !== this.epoch || !lane.isDone) continue
        await lane.removeAll()
        await removeDirectory(lane.dir)
      }
      await removeDirectory(join(this.#dir, String(this.epoch)))
      if (lostCount === 0) await closeEpoch(this.#dir, this.epoch)
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, 'the spool could not be closed cleanly')
    }
    await this.#unlock()
    return lostCount
  }

  #laneDir(lane: Lane): string {
    return join(this.#dir, String(this.epoch), lane)
  }

  async #recover(): Promise<void> {
    const { counters, log, agent } = this.#options
    this.#old = await usable(this.#dir, () =>
      recoverLanes({
        agent,
        spoolDir: this.#dir,
        epoch: this.epoch,
        onBytes: (change) => this.#onBytes(change),
        onDamage: (segment) => this.#onDamage(segment),
        onTorn: (path, tornBytes) => {
          counters.add('spool_torn_total')
          counters.add('spool_torn_bytes_total', tornBytes)
          log.warn({ path, tornBytes }, 'the end of a spool file was not whole and was cut off')
        },
      }),
    )
    if (this.#old.length > 0) {
      log.info({ recordCount: this.pendingCount }, 'records of earlier starts are in the spool and are sent first')
    }
  }

  #hooks(): LaneWriterHooks {
    return {
      onWritten: () => {
        this.onNew()
        if (this.#totalBytes > this.#options.maxBytes) this.#evict()
      },
      onIdle: ({ lane }) => this.onIdle(lane),
      onTaken: (bytes) => {
        this.#waitingBytes -= bytes
      },
      onLost: (lane, cause, count) => {
        this.#options.counters.add('delivery_records_lost_total', count, { lane: lane.lane, cause })
      },
      onDirty: () => {
        this.#syncTimer ??= setTimeout(() => {
          this.#syncTimer = undefined
          this.#writers.activity.syncTick()
        }, this.#options.syncMs).unref()
      },
      onGood: () => this.#setDegraded(false, 'the spool takes records again'),
      onFault: async (lane, error) => {
        this.#options.counters.add('spool_write_errors_total', 1, { error: errnoOf(error) ?? 'other' })
        this.#setDegraded(true, `the spool cannot be written: ${messageOf(error)}; records wait in memory`)
        // Alerts go last: on a full disk, activity makes room for them.
        const full = errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT'
        return full && lane.lane === 'alert' && (await this.#giveUpOldest('activity', 'disk_full'))
      },
    }
  }

  #setDegraded(degraded: boolean, message: string): void {
    if (degraded === this.#degraded) return
    this.#degraded = degraded
    this.#options.counters.set('spool_degraded', degraded ? 1 : 0)
    if (degraded) this.#options.log.error({}, message)
    else this.#options.log.info({}, message)
    this.#options.onState({ part: 'spool', state: degraded ? 'degraded' : 'recovered', message })
  }

  #onBytes(change: number): void {
    this.#totalBytes += change
    this.#options.counters.set('spool_bytes', this.#totalBytes)
  }

  #onDamage(segment: Segment): void {
    this.#options.counters.add('spool_damaged_segments_total')
    this.#options.log.error(
      { path: segment.path },
      'a spool file is damaged: a gap record takes the place of its records',
    )
  }

  #evict(): void {
    this.#evicting ??= this.#evictAll().finally(() => {
      this.#evicting = undefined
    })
  }

  async #evictAll(): Promise<void> {
    while (this.#totalBytes > this.#options.maxBytes) {
      const gone =
        (await this.#giveUpOldest('activity', 'spool_full')) || (await this.#giveUpOldest('alert', 'spool_full'))
      if (!gone) return
    }
  }

  /** Gives up the oldest segment of the lane, over all epochs. False: there is none. */
  async #giveUpOldest(name: Lane, cause: string): Promise<boolean> {
    for (const lane of this.lanes) {
      if (lane.lane !== name) continue
      const writer = this.#writers[name]
      const segment = lane.oldestFile() ?? (writer.lane === lane && writer.seal() ? lane.oldestFile() : undefined)
      if (segment === undefined) continue
      try {
        const count = await lane.giveUp(segment, cause)
        this.#options.counters.add('delivery_records_lost_total', Number(count), { lane: name, cause })
        this.#options.log.warn({ lane: name, recordCount: Number(count), cause }, 'spooled records were given up')
      } catch (error) {
        // The hole stands in memory all the same; only the file's space is not free.
        this.#options.log.warn({ error: messageOf(error) }, 'a given-up spool file could not be removed')
      }
      return true
    }
    return false
  }
}

function defineCounters(counters: Counters): void {
  counters.define('spool_bytes', 'gauge', 'Bytes in the spool')
  counters.define('spool_degraded', 'gauge', '1 while the spool cannot be written')
  counters.define('spool_write_errors_total', 'counter', 'Failed writes and syncs of the spool, by error')
  counters.define('spool_torn_total', 'counter', 'Spool files whose end was not whole at start')
  counters.define('spool_torn_bytes_total', 'counter', 'Bytes cut off such files')
  counters.define('spool_damaged_segments_total', 'counter', 'Spool files found damaged when read')
  counters.define(
    'delivery_records_lost_total',
    'counter',
    'Records given up, by lane and cause; gap records say where',
  )
}
