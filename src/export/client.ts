/**
 * The stream to a collector: one at a time, to one of several addresses. Sends what the spool has, in each lane's order,
 * alerts first; acknowledged frames leave the spool, all others are sent again on the next stream.
 *
 * Trusts nothing that a collector says: an acknowledgement beyond what was sent, a message too large, silence or garbage
 * ends the stream, is counted, and the next address is tried after a pause with jitter. Nothing here can lose a record.
 */
import type { Counters } from '../telemetry/counters.js'
import { messageOf } from '../telemetry/errors.js'
import type { Spool } from './spool.js'
import type { DeliveryState, Log } from './types.js'

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
    const { streamTo } = await import('./stream.js')
    if (this.#stop) return 'closing'
    try {
      return await streamTo(address, this.#options, {
        onUp: () => this.#setUp(address),
        onProgress: () => {
          this.#backoffMs = BACKOFF_FIRST_MS
          if (this.#drainWaiters.length > 0 && this.#isDone()) {
            for (const resolve of this.#drainWaiters.splice(0)) resolve()
          }
        },
        onHandles: ({ cancel, wake }) => {
          this.#cancel = cancel
          this.#wake = wake
        },
      })
    } finally {
      this.#wake = () => {}
    }
  }
}
