/**
 * The stream to a collector: one at a time, to one of several addresses. Sends what the spool has, in each lane's order,
 * alerts first; acknowledged frames leave the spool, all others are sent again on the next stream.
 *
 * Trusts nothing that a collector says: an acknowledgement beyond what was sent, a message too large, silence or garbage
 * ends the stream, is counted, and the next address is tried after a pause with jitter. Nothing here can lose a record.
 */
import {
  type ChannelInterface,
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  type StatusObject,
} from '@grpc/grpc-js'
import type { Ack, DeliverRequest, DeliverResponse } from '../record/generated/wire.js'
import { laneName, laneNumber } from '../record/names.js'
import type { Counters } from '../telemetry/counters.js'
import { messageOf } from '../telemetry/errors.js'
import { DELIVER, grpcTarget, PROTOCOL_VERSION } from './rpc.js'
import type { Spool } from './spool.js'
import type { SpoolLane } from './spool-lane.js'
import type { DeliveryState, Log } from './types.js'

/** What may be on its way at once: at 100,000 records/s and a commit each 20 ms some 5 frames are; the rest is for latency. */
const WINDOW_FRAMES = 64
const WINDOW_BYTES = 4 * 1024 * 1024
/** Answers are a few bytes; a Welcome has two marks for each of an agent's epochs that the collector still mentions. */
const ANSWER_MAX_BYTES = 65_536
const CONNECT_MS = 5000
const WELCOME_MS = 10_000
/** A collector that stores nothing for so long while frames wait is given up. */
const ACK_MS = 30_000
const BACKOFF_FIRST_MS = 100
/** Short enough that a restarted collector is found soon, long enough that a thousand agents do not drown it. */
const BACKOFF_MAX_MS = 5000

export interface ClientOptions {
  agent: string
  collectors: readonly string[]
  spool: Spool
  counters: Counters
  log: Log
  onState: (state: DeliveryState) => void
}

interface InFlight {
  lane: SpoolLane
  lastSeq: bigint
  bytes: number
}

export class DeliveryClient {
  readonly #options: ClientOptions
  #running: Promise<void> | undefined
  #stop = false
  #wake: () => void = () => {}
  #cancel: () => void = () => {}
  #connectedTo: string | undefined
  #lastFault = ''
  #drainWaiters: (() => void)[] = []
  #backoffMs = BACKOFF_FIRST_MS

  constructor(options: ClientOptions) {
    this.#options = options
    const { counters } = options
    counters.define('collector_connected', 'gauge', '1 while a stream to a collector is up')
    counters.define('collector_disconnects_total', 'counter', 'Streams to a collector that ended or did not come up')
    counters.define('collector_nonsense_total', 'counter', 'Streams ended because the collector broke the protocol')
    counters.define('delivery_frames_sent_total', 'counter', 'Frames sent, repeats included')
    counters.define('delivery_bytes_sent_total', 'counter', 'Payload bytes sent, repeats included')
  }

  get connectedTo(): string | undefined {
    return this.#connectedTo
  }

  start(): void {
    if (this.#options.collectors.length === 0) return
    this.#options.spool.onNew = () => this.#wake()
    this.#running = this.#run()
  }

  /** Resolves when all that the spool has is acknowledged; never, when there is no collector to do so. */
  async drained(): Promise<void> {
    if (this.#isDone()) return
    await new Promise<void>((resolve) => this.#drainWaiters.push(resolve))
  }

  async close(): Promise<void> {
    this.#stop = true
    this.#cancel()
    this.#wake()
    await this.#running
  }

  #isDone(): boolean {
    return this.#options.spool.lanes.every((lane) => lane.isDone)
  }

  async #run(): Promise<void> {
    const { collectors, spool } = this.#options
    for (let attempt = 0; !this.#stop; attempt++) {
      const address = collectors[attempt % collectors.length] ?? ''
      const fault = await this.#connect(address).catch((error: unknown) => messageOf(error))
      for (const lane of spool.lanes) await lane.rewind().catch(() => {})
      if (this.#stop) return
      this.#setDown(address, fault)
      // Full jitter (between half and all of it): agents that lost their collector together do not come back together.
      const pauseMs = this.#backoffMs * (0.5 + Math.random() / 2)
      this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MAX_MS)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs)
        this.#cancel = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  #setDown(address: string, fault: string): void {
    const { counters, log, onState } = this.#options
    counters.add('collector_disconnects_total')
    counters.set('collector_connected', 0)
    const wasUp = this.#connectedTo !== undefined
    this.#connectedTo = undefined
    // Once per change, not once per attempt.
    if (!wasUp && fault === this.#lastFault) return
    this.#lastFault = fault
    const message = `no collector: ${fault}; records are kept in the spool`
    log.warn({ collector: address }, message)
    onState({ part: 'collector', state: 'degraded', message })
  }

  #setUp(address: string): void {
    const { counters, log, onState } = this.#options
    this.#connectedTo = address
    this.#lastFault = ''
    counters.set('collector_connected', 1)
    log.info({ collector: address }, 'the collector takes records')
    onState({ part: 'collector', state: 'recovered', message: `the collector ${address} takes records` })
  }

  /** One stream, until it ends; resolves with the reason. */
  async #connect(address: string): Promise<string> {
    const client = new Client(grpcTarget(address) ?? address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': ANSWER_MAX_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5000,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
    })
    try {
      this.#cancel = () => client.close()
      if (!(await isReady(client.getChannel()))) return 'it does not answer'
      if (this.#stop) return 'closing'
      const call = client.makeBidiStreamRequest(DELIVER.path, DELIVER.requestSerialize, DELIVER.responseDeserialize)
      const stream = new Stream(this.#options, call, {
        onUp: () => this.#setUp(address),
        onProgress: () => {
          this.#backoffMs = BACKOFF_FIRST_MS
          if (this.#drainWaiters.length > 0 && this.#isDone()) {
            for (const resolve of this.#drainWaiters.splice(0)) resolve()
          }
        },
      })
      this.#cancel = () => stream.end('closing')
      this.#wake = () => stream.wake()
      return await stream.run()
    } finally {
      this.#wake = () => {}
      client.close()
    }
  }
}

/** False at the first failure: the next attempt, and the pause before it, are ours and not grpc-js's. */
async function isReady(channel: ChannelInterface): Promise<boolean> {
  const deadlineMs = Date.now() + CONNECT_MS
  while (true) {
    const state = channel.getConnectivityState(true)
    if (state === connectivityState.READY) return true
    if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) return false
    const changed = await new Promise<boolean>((resolve) => {
      channel.watchConnectivityState(state, deadlineMs, (error) => resolve(error === undefined))
    })
    if (!changed) return false
  }
}

interface StreamHooks {
  onUp(): void
  onProgress(): void
}

/** One bidirectional call: hello, welcome, then frames out and acknowledgements in. */
class Stream {
  readonly #options: ClientOptions
  readonly #call: ClientDuplexStream<DeliverRequest, DeliverResponse>
  readonly #hooks: StreamHooks
  readonly #inFlight: InFlight[] = []
  /** Highest sent on this stream, by lane. */
  readonly #sent = new Map<SpoolLane, bigint>()
  #inFlightBytes = 0
  #welcomed = false
  #ended: string | undefined
  #wakeUp: () => void = () => {}
  #woken = false
  #watchdog: NodeJS.Timeout | undefined
  #acks: Promise<void> = Promise.resolve()

  constructor(options: ClientOptions, call: ClientDuplexStream<DeliverRequest, DeliverResponse>, hooks: StreamHooks) {
    this.#options = options
    this.#call = call
    this.#hooks = hooks
  }

  wake(): void {
    this.#woken = true
    this.#wakeUp()
  }

  end(reason: string): void {
    if (this.#ended !== undefined) return
    this.#ended = reason
    clearTimeout(this.#watchdog)
    this.#call.cancel()
    this.wake()
  }

  async run(): Promise<string> {
    const { agent, spool } = this.#options
    this.#call.on('data', (response: DeliverResponse) => {
      this.#acks = this.#acks.then(() => this.#receive(response)).catch((error: unknown) => this.end(messageOf(error)))
    })
    this.#call.on('error', (error: Partial<StatusObject> & Error) => this.end(error.details ?? error.message))
    this.#call.on('end', () => this.end('it closed the stream'))
    this.#call.on('drain', () => this.wake())
    this.#watch(WELCOME_MS, 'it did not greet in time')
    this.#call.write({ hello: { agent, version: PROTOCOL_VERSION, epoch: spool.epoch } })
    try {
      while (this.#ended === undefined) {
        if (!(this.#welcomed && (await this.#sendOne()))) await this.#sleep()
      }
    } catch (error) {
      this.end(messageOf(error))
    }
    await this.#acks
    return this.#ended ?? 'it ended'
  }

  /** Sends the next frame; false when there is none or the window is full. */
  async #sendOne(): Promise<boolean> {
    if (this.#inFlight.length >= WINDOW_FRAMES || this.#inFlightBytes >= WINDOW_BYTES) return false
    if (this.#call.writableNeedDrain) return false
    const { spool, counters } = this.#options
    for (const lane of spool.lanes) {
      if (!lane.hasNext) continue
      const frame = await lane.next()
      if (frame === undefined) continue
      if (this.#ended !== undefined) return false
      const bytes = frame.payload.length
      this.#inFlight.push({ lane, lastSeq: frame.lastSeq, bytes })
      this.#inFlightBytes += bytes
      this.#sent.set(lane, frame.lastSeq)
      if (this.#inFlight.length === 1) this.#watch(ACK_MS, 'it stores nothing')
      counters.add('delivery_frames_sent_total')
      counters.add('delivery_bytes_sent_total', bytes)
      this.#call.write({ frame: { epoch: lane.epoch, lane: laneNumber(lane.lane), ...frame } })
      return true
    }
    return false
  }

  async #receive({ welcome, ack }: DeliverResponse): Promise<void> {
    if (this.#ended !== undefined) return
    if (welcome !== undefined && !this.#welcomed) {
      for (const stored of welcome.stored) {
        const fault = await this.#acknowledge(stored, (lane) => lane.writtenSeq)
        if (fault !== undefined) return this.#nonsense(fault)
      }
      this.#welcomed = true
      clearTimeout(this.#watchdog)
      this.#hooks.onUp()
    } else if (ack !== undefined && this.#welcomed) {
      const fault = await this.#acknowledge(ack, (lane) => this.#sent.get(lane) ?? 0n)
      if (fault !== undefined) return this.#nonsense(fault)
      if (this.#inFlight.length === 0) clearTimeout(this.#watchdog)
      else this.#watch(ACK_MS, 'it stores nothing')
    } else {
      return this.#nonsense('it sent a message out of turn')
    }
    this.#hooks.onProgress()
    this.wake()
  }

  /** Returns what is wrong with an acknowledgement, or undefined. */
  async #acknowledge(
    { epoch, lane: number, seq }: Ack,
    limit: (lane: SpoolLane) => bigint,
  ): Promise<string | undefined> {
    const { spool } = this.#options
    const name = laneName(number)
    const lane = spool.lanes.find((candidate) => candidate.epoch === epoch && candidate.lane === name)
    if (lane === undefined) {
      // Delivered and forgotten long ago; but a start that has not happened cannot have been stored.
      return name === undefined || epoch > spool.epoch
        ? `it has records of epoch ${epoch}, which this agent never had`
        : undefined
    }
    if (seq > limit(lane)) {
      return `it acknowledges record ${seq} of epoch ${epoch}, lane ${name}, which this agent never sent`
    }
    for (let index = this.#inFlight.length - 1; index >= 0; index--) {
      const entry = this.#inFlight[index]
      if (entry?.lane !== lane || entry.lastSeq > seq) continue
      this.#inFlight.splice(index, 1)
      this.#inFlightBytes -= entry.bytes
    }
    await spool.acknowledge(lane, seq)
    return undefined
  }

  #nonsense(reason: string): void {
    this.#options.counters.add('collector_nonsense_total')
    this.end(reason)
  }

  #watch(timeoutMs: number, reason: string): void {
    clearTimeout(this.#watchdog)
    this.#watchdog = setTimeout(() => this.end(reason), timeoutMs)
  }

  async #sleep(): Promise<void> {
    if (!this.#woken && this.#ended === undefined) {
      await new Promise<void>((resolve) => {
        this.#wakeUp = resolve
      })
    }
    this.#woken = false
  }
}
