/** Reads a collector's store over gRPC. What it answers is checked like any other input from the network. */
import { Client, type ClientReadableStream, credentials, type ServiceError, status } from '@grpc/grpc-js'
import { grpcTarget } from '../export/address.js'
import { AGENTS, EVENTS, quietGrpc } from '../export/rpc.js'
import { invalid, recordsOf } from '../record/codec.js'
import type { AgentsResponse, EventsRequest, EventsResponse } from '../record/generated/wire.js'
import { KIND_NUMBERS, laneName } from '../record/names.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import type { AgentRow, EventPage, EventQuery, EventSource } from './types.js'

/** A page is at most 1,000 records; huge arguments may make it some megabytes. */
const PAGE_MAX_BYTES = 64 * 1024 * 1024
const CONNECT_MS = 5000

/** Throws usage for an address that is none; an unreachable collector shows at the first query. */
export function openRemote(address: string): EventSource {
  quietGrpc()
  const target = grpcTarget(address)
  if (target === undefined) {
    throw new HullguardError('usage', `expected HOST:PORT or unix:PATH for a collector, received \`${address}\``)
  }
  return new RemoteSource(address, target)
}

class RemoteSource implements EventSource {
  readonly #address: string
  readonly #client: Client

  constructor(address: string, target: string) {
    this.#address = address
    this.#client = new Client(target, credentials.createInsecure(), {
      'grpc.max_receive_message_length': PAGE_MAX_BYTES,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5000,
      'grpc.service_config_disable_resolution': 1,
    })
  }

  async *events(query: EventQuery): AsyncGenerator<EventPage, void> {
    yield* this.#pages(query, false, undefined)
  }

  async *follow(query: EventQuery, signal: AbortSignal): AsyncGenerator<EventPage, void> {
    yield* this.#pages(query, true, signal)
  }

  async agents(): Promise<AgentRow[]> {
    await this.#ready()
    const response = await new Promise<AgentsResponse>((resolve, reject) => {
      this.#client.makeUnaryRequest(
        AGENTS.path,
        AGENTS.requestSerialize,
        AGENTS.responseDeserialize,
        {},
        (error, value) => (value === undefined ? reject(this.#explain(error)) : resolve(value)),
      )
    })
    return response.agents
  }

  close(): void {
    this.#client.close()
  }

  async *#pages(query: EventQuery, follow: boolean, signal: AbortSignal | undefined): AsyncGenerator<EventPage, void> {
    await this.#ready()
    const call: ClientReadableStream<EventsResponse> = this.#client.makeServerStreamRequest(
      EVENTS.path,
      EVENTS.requestSerialize,
      EVENTS.responseDeserialize,
      requestOf(query, follow),
    )
    const cancel = () => call.cancel()
    signal?.addEventListener('abort', cancel)
    if (signal?.aborted === true) cancel()
    try {
      for await (const response of call as AsyncIterable<EventsResponse>) yield pageOf(response)
    } catch (error) {
      if (signal?.aborted !== true) throw this.#explain(error)
    } finally {
      signal?.removeEventListener('abort', cancel)
      call.cancel()
    }
  }

  #ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + CONNECT_MS, (error) => {
        if (error === undefined || error === null) resolve()
        else reject(new HullguardError('collector_unreachable', `no collector answers at ${this.#address}`))
      })
    })
  }

  #explain(error: unknown): HullguardError {
    if (error instanceof HullguardError) return error
    const { code, details } = (error ?? {}) as Partial<ServiceError>
    const name = code === status.UNAVAILABLE ? 'collector_unreachable' : 'query_failed'
    return new HullguardError(name, `${this.#address}: ${details ?? messageOf(error)}`, { cause: error })
  }
}

function requestOf({ kinds, ...rest }: EventQuery, follow: boolean): EventsRequest {
  return { ...rest, kinds: (kinds ?? []).map((kind) => KIND_NUMBERS[kind]), follow }
}

function pageOf({ batch, places, cursor }: EventsResponse): EventPage {
  if (batch === undefined) return { records: [], cursor }
  const { records } = recordsOf(batch, (position) => {
    const place = places[position]
    const lane = laneName(place?.lane ?? 0)
    if (place === undefined || lane === undefined) throw invalid('a record without its place')
    return { agent: place.agent, epoch: place.epoch, lane, seq: place.seq }
  })
  return { records, cursor }
}
