/** Answers remote queries from the store, through a reader of its own. A slow client waits for itself only. */
import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js'
import { BatchBuilder, decodeMessage } from '../record/codec.js'
import type { AgentsRequest, AgentsResponse, EventsRequest, EventsResponse } from '../record/generated/wire.js'
import type { RecordKind } from '../record/model.js'
import { kindName, laneNumber } from '../record/names.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import type { EventPage, EventQuery, EventSource } from './types.js'

export class QueryService {
  readonly #source: EventSource
  readonly #stopping = new AbortController()

  constructor(source: EventSource) {
    this.#source = source
  }

  readonly events = (call: ServerWritableStream<EventsRequest, EventsResponse>): void => {
    const gone = new AbortController()
    const end = () => gone.abort()
    call.on('cancelled', end)
    call.on('error', end)
    this.#stopping.signal.addEventListener('abort', end)
    this.#answer(call, gone.signal)
      .then(() => call.end())
      .catch((error: unknown) => call.emit('error', { code: codeOf(error), details: messageOf(error) }))
      .finally(() => this.#stopping.signal.removeEventListener('abort', end))
  }

  readonly agents = (
    _call: ServerUnaryCall<AgentsRequest, AgentsResponse>,
    callback: sendUnaryData<AgentsResponse>,
  ): void => {
    this.#source
      .agents()
      .then((agents) => callback(null, { agents }))
      .catch((error: unknown) => callback({ code: codeOf(error), details: messageOf(error) }))
  }

  close(): void {
    this.#stopping.abort()
  }

  async #answer(call: ServerWritableStream<EventsRequest, EventsResponse>, gone: AbortSignal): Promise<void> {
    const query = queryOf(call.request)
    const pages = call.request.follow ? this.#source.follow(query, gone) : this.#source.events(query)
    for await (const page of pages) {
      if (gone.aborted) return
      if (!call.write(responseOf(page))) await drained(call, gone)
    }
  }
}

function drained(call: ServerWritableStream<EventsRequest, EventsResponse>, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      gone.removeEventListener('abort', done)
      call.removeListener('drain', done)
      resolve()
    }
    gone.addEventListener('abort', done)
    call.on('drain', done)
  })
}

function codeOf(error: unknown): status {
  const isUsage = error instanceof HullguardError && error.errorName === 'query_failed'
  return isUsage ? status.INVALID_ARGUMENT : status.INTERNAL
}

function queryOf({ follow: _, kinds, ...rest }: EventsRequest): EventQuery {
  if (kinds.length === 0) return rest
  const names: RecordKind[] = []
  for (const number of kinds) {
    const name = kindName(number)
    if (name === undefined) throw new HullguardError('query_failed', `kind ${number} is not known here`)
    names.push(name)
  }
  return { ...rest, kinds: names }
}

function responseOf({ records, cursor }: EventPage): EventsResponse {
  const builder = new BatchBuilder('', 0, undefined, 0n)
  for (const record of records) builder.add(record)
  return {
    batch: decodeMessage(builder.finish()),
    places: records.map(({ agent, epoch, lane, seq }) => ({ agent, epoch, lane: laneNumber(lane), seq })),
    cursor,
  }
}
