/**
 * The agent's pipeline over a capture instead of a host: identity, records, matching and verdicts are the same code, only
 * what lies around them comes from the file (`Surroundings`). Nothing is acted on. Needs no privilege, no BPF, no addon.
 *
 * INVARIANT: the same capture, rules and mode yield the same records, byte for byte: no clock of this host is read, and
 * nothing of it is asked. What expires (exceptions) expires by the time of the capture.
 */
import type { Identity } from '../../container/identity.js'
import type { Mode } from '../../policy/model.js'
import { fieldsOf } from '../../record/json-fields.js'
import { HOST, type HullguardRecord, type Lane, type RecordDraft } from '../../record/model.js'
import { BREAKER_DEFAULTS, CircuitBreaker } from '../../respond/breaker.js'
import { BatchWalker } from '../../sensor/batch.js'
import { BLOCK_PLAIN_MAX_BYTES, Entry } from '../../sensor/capture-format.js'
import { converterFor, type LayoutConverter } from '../../sensor/capture-layout.js'
import type { CaptureBlock, CaptureReader, RawEntry } from '../../sensor/capture-reader.js'
import { NO_ROOM } from '../../sensor/gaps.js'
import { EVENT_LAYOUT, EvHeader } from '../../sensor/generated/abi.js'
import { Counters } from '../../telemetry/counters.js'
import { HullguardError, messageOf } from '../../telemetry/errors.js'
import type { Rulebook } from '../conditions/rulebook.js'
import { HeldEvents } from '../event/held-events.js'
import { type Composition, composePipeline } from '../pipeline/compose.js'
import type { Identities } from '../pipeline/options.js'
import { ProcessTable } from '../process/process-table.js'
import { PolicySet } from '../rules/policies.js'
import type { Foreseen, Judged } from '../rules/verdicts.js'
import { parseIdentity, parseProcess } from './entries.js'
import { Foresight } from './foresight.js'

export interface ReplayOptions {
  rulebook: Rulebook
  /** What the agent's own mode would have been. */
  mode: Mode
  /** Every record that the agent would have made, in order. */
  onRecord: (record: HullguardRecord, cause: ReplayCause) => void
}

/** What a record of a replay comes from. */
export interface ReplayCause {
  /** Counts the capture's entries: the same for every replay of it. */
  entry: number
  /** Of an alert whose action would have done something. */
  foreseen: Foreseen | undefined
}

export interface ReplayReport {
  eventsCount: number
  undecodableCount: number
  /** Events that the capture says are missing. */
  lostCount: bigint
  /** The file ends at this byte in the middle of a block; undefined: it does not. */
  cutAt: number | undefined
  /** The recording was ended in order. */
  isComplete: boolean
  /** Of the recorded time, first to last event. */
  spanNs: bigint
}

/** Of one container: who it was last, and what was on for it. */
export interface ReplayedContainer {
  identity: Identity
  kinds: readonly string[]
}

/** What an entry says cannot be. */
class CaptureFault extends Error {}

const AGENT = 'replay'
/** The longest event is an exec with 45 KiB of names and arguments. */
const CONVERTED_MAX_BYTES = 128 * 1024
/** More than any host has; a file that names more is no real one. */
const ENTRIES_MAX_COUNT = 1_000_000

export class Replay {
  readonly #reader: CaptureReader
  readonly #options: ReplayOptions
  readonly #walker = new BatchWalker(new ArrayBuffer(BLOCK_PLAIN_MAX_BYTES))
  readonly #bytes: Uint8Array
  /** Of a capture of another build; then its events are read from #converted. */
  readonly #converter: LayoutConverter | undefined
  readonly #converted: BatchWalker | undefined
  readonly #containers = new Map<number, ReplayedContainer>()
  readonly #cgroups = new Map<bigint, Identity>()
  readonly #users = new Map<number, string>()
  readonly #processes: ProcessTable
  readonly #counters = new Counters()
  readonly #seq: Record<Lane, bigint> = { alert: 0n, activity: 0n }
  readonly #composition: Composition
  #set: PolicySet
  #offsetNs: bigint
  #nowNs: bigint
  #firstNs: bigint | undefined
  #entryCount = 0
  #eventsCount = 0
  #lostCount = 0n
  #isComplete = false
  #isOwnFile = false
  #foreseen: Foreseen | undefined

  constructor(reader: CaptureReader, options: ReplayOptions) {
    this.#reader = reader
    this.#options = options
    this.#bytes = this.#walker.header.bytes
    this.#converter = converterFor(reader.header.layout, EVENT_LAYOUT)
    if (this.#converter !== undefined) this.#converted = new BatchWalker(new ArrayBuffer(CONVERTED_MAX_BYTES))
    this.#offsetNs = reader.header.clockOffsetNs
    this.#nowNs = reader.header.startedBootNs
    this.#processes = new ProcessTable(this.#counters)
    this.#counters.define('sensor_undecodable_total', 'counter', 'Events of the capture that did not decode')
    this.#set = this.#compile(1)
    this.#composition = this.#compose()
  }

  /** All containers that the capture has told of so far. */
  get containers(): ReplayedContainer[] {
    return [...this.#containers.values()]
  }

  /** Fields that this build's events have and the capture's do not: they read as 0. */
  get absentFields(): readonly string[] {
    return this.#converter?.absent ?? []
  }

  /** A step is a block: the caller may do something else between two. Throws HullguardError capture_damaged. */
  *run(): Generator<void, ReplayReport> {
    for (const block of this.#reader.blocks()) {
      this.#bytes.set(block.plain)
      for (const entry of this.#reader.entries(block)) this.#take(block, entry)
      yield
    }
    this.#composition.pipeline.flushWaiting()
    return {
      eventsCount: this.#eventsCount,
      undecodableCount: this.#counters.get('sensor_undecodable_total'),
      lostCount: this.#lostCount,
      cutAt: this.#reader.cutAt,
      isComplete: this.#isComplete,
      spanNs: this.#nowNs - (this.#firstNs ?? this.#nowNs),
    }
  }

  #compose(): Composition {
    const { mode } = this.#options
    const breaker = new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => Number(this.#nowNs / 1_000_000n) }, () => {})
    const foresight = new Foresight(breaker)
    const table: Identities = {
      lookup: (id) => this.#cgroups.get(id),
      lookup32: (low, high) => this.#cgroups.get((BigInt(high) << 32n) | BigInt(low)),
      onCgroupCreated: () => undefined,
      onCgroupRemoved: () => {},
    }
    return composePipeline({
      table,
      policies: { forVersion: () => this.#set, isHostWanted: this.#set.conditions.isForHost },
      processes: this.#processes,
      held: new HeldEvents(this.#counters),
      users: { nameOf: (uid) => this.#users.get(uid) ?? '' },
      utcNs: (bootNs) => bootNs + this.#offsetNs,
      hostname: '',
      isOwnFile: () => this.#isOwnFile,
      judgesFirstUses: true,
      isActRecorded: () => true,
      areNamesRecorded: true,
      append: (draft) => this.#append(draft),
      onCgroup: () => {},
      onLost: () => {},
      onWaiting: () => {},
      response: {
        confirm: () => false,
        isBlocking: () => mode === 'block',
        breaker,
        onActed: () => {},
        foresee: (judged: Judged, rule, action) => {
          this.#foreseen = foresight.foresee(judged, rule, action)
          return this.#foreseen
        },
      },
      counters: this.#counters,
    })
  }

  /** As of the time in the capture. */
  #compile(version: number): PolicySet {
    return PolicySet.of(version, this.#options.rulebook, this.#nowUtcMs())
  }

  #nowUtcMs(): number {
    return Number((this.#nowNs + this.#offsetNs) / 1_000_000n)
  }

  /** As the running agent does it: exceptions that have expired no longer count. */
  #expire(): void {
    const { validUntilMs } = this.#set.program
    if (validUntilMs !== undefined && this.#nowUtcMs() >= validUntilMs) this.#set = this.#compile(this.#set.version + 1)
  }

  #append(draft: RecordDraft): { seq: bigint } {
    this.#seq[draft.lane] += 1n
    const seq = this.#seq[draft.lane]
    const foreseen = this.#foreseen
    this.#foreseen = undefined
    this.#options.onRecord({ ...draft, agent: AGENT, epoch: 1, seq }, { entry: this.#entryCount, foreseen })
    return { seq }
  }

  #take(block: CaptureBlock, entry: RawEntry): void {
    this.#entryCount += 1
    try {
      if (entry.type === Entry.EVENT) this.#event(entry)
      else this.#note(entry.type, this.#json(block, entry))
    } catch (error) {
      const isOfTheFile =
        error instanceof CaptureFault ||
        error instanceof SyntaxError ||
        (error instanceof HullguardError && error.errorName === 'wire_invalid')
      if (!isOfTheFile) throw error
      throw this.#reader.damaged(block.offset, `the entry at ${entry.start} of its block: ${messageOf(error)}`)
    }
  }

  #json({ plain }: CaptureBlock, { start, end }: RawEntry): unknown {
    return JSON.parse(Buffer.from(plain.buffer, plain.byteOffset + start, end - start).toString('utf8'))
  }

  #event({ start, end }: RawEntry): void {
    this.#eventsCount += 1
    if (this.#converter === undefined || this.#converted === undefined) {
      this.#dispatch(this.#walker, start, end - start)
      return
    }
    const sizeBytes = this.#converter.convert(this.#bytes, start, end, this.#converted.header.bytes)
    if (sizeBytes === undefined) this.#composition.pipeline.undecodable()
    else this.#dispatch(this.#converted, 0, sizeBytes)
  }

  #dispatch(walker: BatchWalker, start: number, sizeBytes: number): void {
    const { pipeline } = this.#composition
    const { header } = walker
    header.at = start
    if (sizeBytes < EvHeader.SIZE_BYTES || header.sizeBytes < EvHeader.SIZE_BYTES) {
      pipeline.undecodable()
      return
    }
    this.#nowNs = header.bootNs
    this.#firstNs ??= header.bootNs
    this.#expire()
    pipeline.expire(header.bootNs)
    const identity = this.#cgroups.get(header.cgroupId)
    if (identity === undefined)
      throw new CaptureFault(`an event of the cgroup ${header.cgroupId}, which is not in the capture`)
    pipeline.handOn(identity, (handler) => walker.dispatchUnnumbered(start, sizeBytes, handler))
    this.#isOwnFile = false
  }

  #note(type: number, json: unknown): void {
    if (this.#containers.size + this.#cgroups.size + this.#users.size > ENTRIES_MAX_COUNT)
      throw new CaptureFault(`more than ${ENTRIES_MAX_COUNT} containers, cgroups and users`)
    switch (type) {
      case Entry.CONTAINER:
        this.#container(json)
        return
      case Entry.CGROUP: {
        const fields = fieldsOf(json, 'cgroup')
        this.#cgroups.set(fields.big('id'), this.#numbered(fields.count('number')).identity)
        return
      }
      case Entry.PROCESS:
        this.#processes.set(parseProcess(json))
        return
      case Entry.USER: {
        const fields = fieldsOf(json, 'user')
        this.#users.set(fields.count('uid'), fields.text('name'))
        return
      }
      case Entry.CLOCK:
        this.#offsetNs = fieldsOf(json, 'clock').big('offsetNs')
        return
      case Entry.LOST:
        this.#lost(json)
        return
      case Entry.OWN_FILE:
        this.#isOwnFile = fieldsOf(json, 'own file').flag('isOwn')
        return
      case Entry.CHANGE:
        this.#change(json)
        return
      case Entry.END:
        this.#isComplete = true
        return
      default:
        // An entry of a later version; what it would tell is not needed to understand the rest.
        return
    }
  }

  /** New facts of a known number go into the object that its cgroups already have. */
  #container(json: unknown): void {
    const { number, identity, kinds } = parseIdentity(json)
    const known = this.#containers.get(number)
    if (known === undefined) this.#containers.set(number, { identity, kinds })
    else {
      Object.assign(known.identity, identity)
      known.kinds = kinds
    }
  }

  #numbered(number: number): ReplayedContainer {
    const found = this.#containers.get(number)
    if (found === undefined) throw new CaptureFault(`no container ${number} stands before it`)
    return found
  }

  #lost(json: unknown): void {
    const fields = fieldsOf(json, 'lost')
    const source = fields.oneOf('source', ['kernel', 'capture'])
    const range = { firstSeq: fields.big('firstSeq'), lastSeq: fields.big('lastSeq'), count: fields.big('count') }
    // none: they came late, and were counted before
    this.#lostCount += range.count === 0n ? range.firstSeq - range.lastSeq - 1n : range.count
    const cause = fields.has('cause') ? fields.text('cause') : NO_ROOM
    this.#append({
      ...this.#at('gap', 'alert', this.#nowNs),
      gap:
        source === 'kernel'
          ? { source, cause, cpu: fields.count('cpu'), ...range }
          : { source: 'spool', cause: 'capture_slow', ...range },
    })
  }

  #change(json: unknown): void {
    const fields = fieldsOf(json, 'change')
    const { identity } = this.#numbered(fields.count('number'))
    this.#nowNs = fields.big('bootNs')
    this.#append({
      ...this.#at('container', 'activity', this.#nowNs),
      container: identity.ref,
      containerChange: {
        change: fields.oneOf('change', ['start', 'stop', 'update']),
        cgroup: identity.cgroupPath,
      },
    })
  }

  #at<K extends RecordDraft['kind']>(kind: K, lane: Lane, bootNs: bigint): RecordDraft & { kind: K } {
    return { kind, lane, bootNs, timeNs: bootNs + this.#offsetNs, container: HOST }
  }
}
