/**
 * One stream to one collector: connects, greets, sends frames within a window and takes acknowledgements, until it ends. Loaded when
 * an agent first connects: grpc-js is a good part of all the code of an agent, which watches without it.
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
import { grpcTarget } from './address.js'
import { DELIVER, PROTOCOL_VERSION, quietGrpc } from './rpc.js'
import type { Spool } from './spool.js'
import type { SpoolLane } from './spool-lane.js'

/** What may be on its way at once: at 100,000 records/s and a commit each 20 ms some 5 frames are; the rest is for latency. */
const WINDOW_FRAMES = 64
const WINDOW_BYTES = 4 * 1024 * 1024
/** Answers are a few bytes; a Welcome has two marks for each of an agent's epochs that the collector still mentions. */
const ANSWER_MAX_BYTES = 65_536
const CONNECT_MS = 5000
const WELCOME_MS = 10_000
/** A collector that stores nothing for so long while frames wait is given up. */
const ACK_MS = 30_000

export interface StreamOptions {
  agent: string
  spool: Spool
  counters: Counters
}

export interface StreamHooks {
  onUp(): void
  onProgress(): void
  /** What ends it and what wakes it from now on. */
  onHandles(handles: { cancel: () => void; wake: () => void }): void
}

interface InFlight {
  lane: SpoolLane
  lastSeq: bigint
  bytes: number
}

/** Resolves with the reason of its end. */
export async function streamTo(address: string, options: StreamOptions, hooks: StreamHooks): Promise<string> {
  quietGrpc()
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
    let isCancelled = false
    const cancel = () => {
      isCancelled = true
      client.close()
    }
    hooks.onHandles({ cancel, wake: () => {} })
    if (!(await isReady(client.getChannel()))) return 'it does not answer'
    if (isCancelled) return 'closing'
    const call = client.makeBidiStreamRequest(DELIVER.path, DELIVER.requestSerialize, DELIVER.responseDeserialize)
    const stream = new Stream(options, call, hooks)
    hooks.onHandles({ cancel: () => stream.end('closing'), wake: () => stream.wake() })
    return await stream.run()
  } finally {
    client.close()
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

/** One bidirectional call: hello, welcome, then frames out and acknowledgements in. */
class Stream {
  readonly #options: StreamOptions
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

  constructor(options: StreamOptions, call: ClientDuplexStream<DeliverRequest, DeliverResponse>, hooks: StreamHooks) {
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
