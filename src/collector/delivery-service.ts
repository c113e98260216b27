/**
 * Takes agents' streams: one live stream an agent id, frames checked, gathered and stored many to a commit, acknowledged
 * after it. A stream that breaks the protocol is ended with the reason; the others do not notice.
 *
 * A store that fails (disk full, I/O error) ends all streams with UNAVAILABLE, without acknowledgements: the agents keep
 * their records and come again. What waits here is bounded by pausing the streams.
 */
import { type ServerDuplexStream, status } from '@grpc/grpc-js'
import { PROTOCOL_VERSION } from '../export/rpc.js'
import type { Log } from '../export/types.js'
import type { Ack, DeliverRequest, DeliverResponse, Frame, Hello } from '../record/generated/wire.js'
import type { Counters } from '../telemetry/counters.js'
import { messageOf } from '../telemetry/errors.js'
import { sqliteCode } from './database.js'
import { checkFrame, type Incoming } from './incoming.js'
import type { Store } from './store.js'

/** A commit is one sync of the disk: gathering for so long lets many frames share it. */
const COMMIT_MS = 20
/** Enough to keep storing while the next commit's frames arrive. */
const COMMIT_FRAMES = 64
/** Of one stream, waiting for a commit: twice what an agent keeps in flight. */
const STREAM_WAITING_BYTES = 8 * 1024 * 1024
/** Two lanes of each of 200 epochs: their marks fit the answer that an agent accepts; older ones are found by repetition. */
const WELCOME_MARKS = 400
const HELLO_MS = 10_000
/** A log, not an account: the counter has them all. */
const CONTESTED_MAX = 10_000

type Call = ServerDuplexStream<DeliverRequest, DeliverResponse>

interface Waiting {
  session: Session
  incoming: Incoming
}

export class DeliveryService {
  readonly #store: Store
  readonly #counters: Counters
  readonly #log: Log
  readonly #sessions = new Map<string, Session>()
  /** Agents of which a second stream was refused and told. */
  readonly #contested = new Set<string>()
  #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined
  #lastCommitMs = 0
  #degraded = false
  #closed = false

  constructor(store: Store, counters: Counters, log: Log) {
    this.#store = store
    this.#counters = counters
    this.#log = log
    counters.define('collector_streams', 'gauge', 'Live streams of agents')
    counters.define('collector_streams_refused_total', 'counter', 'Streams ended for a fault of the agent, by reason')
    counters.define('collector_degraded', 'gauge', '1 while the store cannot be written')
  }

  readonly deliver = (call: Call): void => {
    new Session(this, call)
  }

  /** Undefined: welcome. Otherwise why not. */
  enter(session: Session, hello: Hello): { code: status; reason: string } | undefined {
    if (this.#closed) return { code: status.UNAVAILABLE, reason: 'the collector is stopping' }
    if (!/^[A-Za-z0-9._:-]{1,128}$/.test(hello.agent) || hello.epoch === 0) {
      return { code: status.INVALID_ARGUMENT, reason: 'expected an agent id and an epoch' }
    }
    if (hello.version !== PROTOCOL_VERSION) {
      const reason = `protocol version ${hello.version} is not spoken here, but ${PROTOCOL_VERSION}`
      return { code: status.FAILED_PRECONDITION, reason }
    }
    if (this.#sessions.has(hello.agent)) {
      // Once a session: the second tries again every few seconds.
      if (this.#contested.size < CONTESTED_MAX && !this.#contested.has(hello.agent)) {
        this.#contested.add(hello.agent)
        this.#log.warn({ agent: hello.agent }, 'a second live stream of an agent was refused')
      }
      return { code: status.ALREADY_EXISTS, reason: 'this agent id has a live stream already' }
    }
    this.#sessions.set(hello.agent, session)
    this.#counters.set('collector_streams', this.#sessions.size)
    return undefined
  }

  stored(agent: string): Ack[] {
    return this.#store.marks(agent, WELCOME_MARKS)
  }

  take(session: Session, incoming: Incoming): void {
    this.#waiting.push({ session, incoming })
    if (this.#waiting.length >= COMMIT_FRAMES) this.#commit()
    else this.#timer ??= setTimeout(() => this.#commit(), Math.max(0, this.#lastCommitMs + COMMIT_MS - Date.now()))
  }

  leave(session: Session): void {
    if (this.#sessions.get(session.agent) !== session) return
    this.#sessions.delete(session.agent)
    this.#contested.delete(session.agent)
    this.#counters.set('collector_streams', this.#sessions.size)
  }

  refused(reason: string): void {
    this.#counters.add('collector_streams_refused_total', 1, { reason })
  }

  warn(agent: string, message: string): void {
    this.#log.warn({ agent }, message)
  }

  close(): void {
    this.#closed = true
    this.#commit()
    for (const session of [...this.#sessions.values()]) session.end(status.UNAVAILABLE, 'the collector is stopping')
  }

  #commit(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 0) return
    try {
      const results = this.#store.storeAll(
        waiting.map(({ incoming }) => incoming),
        BigInt(Date.now()) * 1_000_000n,
      )
      this.#setDegraded(undefined)
      for (const [index, { session, incoming }] of waiting.entries()) {
        if (results[index] === 'refused') session.conflict(incoming.frame)
        else session.stored(incoming.frame)
      }
      for (const session of new Set(waiting.map((one) => one.session))) session.acknowledge()
    } catch (error) {
      this.#setDegraded(error)
      for (const session of [...this.#sessions.values()]) {
        session.end(status.UNAVAILABLE, `the store cannot be written: ${messageOf(error)}`)
      }
    }
    this.#lastCommitMs = Date.now()
  }

  #setDegraded(error: unknown): void {
    const degraded = error !== undefined
    if (degraded === this.#degraded) return
    this.#degraded = degraded
    this.#counters.set('collector_degraded', degraded ? 1 : 0)
    if (!degraded) this.#log.info({}, 'the store takes records again')
    else {
      const fields = { code: sqliteCode(error) ?? 'internal' }
      this.#log.error(fields, `the store cannot be written: ${messageOf(error)}; agents keep their records`)
    }
  }
}

/** One agent's stream. */
export class Session {
  readonly #service: DeliveryService
  readonly #call: Call
  #hello: Hello | undefined
  #ended = false
  #paused = false
  #waitingBytes = 0
  /** To be acknowledged, by epoch and lane. */
  readonly #acks = new Map<string, Ack>()
  /** Frames after one that was refused must not be acknowledged: acknowledgements are cumulative. */
  #conflicted = false
  readonly #helloTimer: NodeJS.Timeout

  constructor(service: DeliveryService, call: Call) {
    this.#service = service
    this.#call = call
    this.#helloTimer = setTimeout(() => this.end(status.DEADLINE_EXCEEDED, 'expected a hello'), HELLO_MS)
    call.on('data', (request: DeliverRequest) => this.#receive(request))
    call.on('end', () => this.#finish(() => call.end()))
    // After an error or a cancellation there is nobody left to tell.
    call.on('error', () => this.#finish(() => {}))
    call.on('cancelled', () => this.#finish(() => {}))
  }

  get agent(): string {
    return this.#hello?.agent ?? ''
  }

  end(code: status, details: string): void {
    this.#finish(() => this.#call.emit('error', { code, details }))
  }

  stored({ epoch, lane, lastSeq, payload }: Frame): void {
    this.#waitingBytes -= payload.length
    if (this.#conflicted) return
    const key = `${epoch} ${lane}`
    const before = this.#acks.get(key)
    if (before === undefined || before.seq < lastSeq) this.#acks.set(key, { epoch, lane, seq: lastSeq })
  }

  conflict({ epoch, lane, firstSeq }: Frame): void {
    this.#conflicted = true
    this.#refuse(
      status.FAILED_PRECONDITION,
      'conflict',
      `record ${firstSeq} of epoch ${epoch}, lane ${lane} is stored with other content: the agent id is used twice`,
    )
  }

  acknowledge(): void {
    if (this.#ended) return
    for (const ack of this.#acks.values()) this.#call.write({ ack })
    this.#acks.clear()
    if (this.#paused && this.#waitingBytes < STREAM_WAITING_BYTES / 2) {
      this.#paused = false
      this.#call.resume()
    }
  }

  #receive({ hello, frame }: DeliverRequest): void {
    if (this.#ended) return
    if (this.#hello === undefined) {
      if (hello === undefined) this.#refuse(status.INVALID_ARGUMENT, 'protocol', 'expected a hello first')
      else this.#greet(hello)
      return
    }
    if (frame === undefined) {
      this.#refuse(status.INVALID_ARGUMENT, 'protocol', 'expected a frame')
      return
    }
    let incoming: Incoming
    try {
      incoming = checkFrame(this.#hello.agent, this.#hello.epoch, frame)
    } catch (error) {
      this.#refuse(status.INVALID_ARGUMENT, 'invalid_frame', messageOf(error))
      return
    }
    this.#waitingBytes += frame.payload.length
    if (this.#waitingBytes > STREAM_WAITING_BYTES && !this.#paused) {
      this.#paused = true
      this.#call.pause()
    }
    this.#service.take(this, incoming)
  }

  #greet(hello: Hello): void {
    clearTimeout(this.#helloTimer)
    const refusal = this.#service.enter(this, hello)
    if (refusal !== undefined) {
      this.#service.refused('hello')
      this.end(refusal.code, refusal.reason)
      return
    }
    this.#hello = hello
    let stored: Ack[]
    try {
      stored = this.#service.stored(hello.agent)
    } catch (error) {
      this.end(status.UNAVAILABLE, `the store cannot be read: ${messageOf(error)}`)
      return
    }
    this.#call.write({ welcome: { stored } })
  }

  #refuse(code: status, reason: string, details: string): void {
    if (this.#ended) return
    this.#service.refused(reason)
    this.#service.warn(this.agent, `the stream of an agent was ended: ${details}`)
    this.end(code, details)
  }

  #finish(say: () => void): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#helloTimer)
    this.#service.leave(this)
    say()
  }
}
