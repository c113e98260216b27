/**
 * The few read-only questions that are put to a Docker Engine, over its unix socket: version, data root, one container,
 * the event stream. The daemon's answers are bounded in size and time, since a socket may lead anywhere.
 * Fail direction: every failure is a rejected promise; nothing is retried here.
 */
import { type IncomingMessage, request } from 'node:http'
import { StringDecoder } from 'node:string_decoder'
import { isObject, type JsonObject, objectAt, parseObject, stringAt } from './json-value.js'

/** An inspect answer is about 8 kB, `info` about 5 kB. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024
/** An event is below 1 kB, its labels included a few kB. */
const EVENT_LIMIT_CHARS = 1024 * 1024
/** A busy daemon answers `info` within a second or two. */
const ANSWER_TIMEOUT_MS = 10_000
/** The newest API version whose answers were checked against this code; the daemon's own version when that is lower. */
const NEWEST_API = [1, 56] as const

export interface DockerEvent {
  action: string
  containerId: string
  /** UTC ns, as precise as a JSON number is. */
  timeNs: number
}

export class DockerApi {
  /** `/v1.41`, or empty for an unversioned path; set by negotiate(). */
  #prefix = ''

  constructor(readonly socketPath: string) {}

  async negotiate(): Promise<void> {
    const response = await this.#get('/_ping', AbortSignal.timeout(ANSWER_TIMEOUT_MS))
    response.resume()
    const version = /^(\d{1,3})\.(\d{1,3})$/.exec(String(response.headers['api-version'] ?? ''))
    if (version === null) {
      this.#prefix = ''
      return
    }
    const [major, minor] = [Number(version[1]), Number(version[2])]
    const newer = major > NEWEST_API[0] || (major === NEWEST_API[0] && minor > NEWEST_API[1])
    this.#prefix = newer ? `/v${NEWEST_API.join('.')}` : `/v${major}.${minor}`
  }

  /** DockerRootDir of the daemon; undefined when it does not say. */
  async dataRoot(): Promise<string | undefined> {
    const info = await this.#json(`${this.#prefix}/info`)
    const root = info === undefined ? '' : stringAt(info, 'DockerRootDir')
    return root.startsWith('/') ? root : undefined
  }

  /** undefined: no such container. */
  inspect(id: string): Promise<JsonObject | undefined> {
    return this.#json(`${this.#prefix}/containers/${encodeURIComponent(id)}/json`)
  }

  /** Delivers the container events from `sinceNs` on, past ones first; ends when the stream ends, rejects when it breaks. */
  async events(
    sinceNs: number,
    signal: AbortSignal,
    opened: () => void,
    deliver: (event: DockerEvent) => void,
  ): Promise<void> {
    const filters = JSON.stringify({ type: ['container'] })
    const since = `${Math.floor(sinceNs / 1e9)}.${String(Math.floor(sinceNs % 1e9)).padStart(9, '0')}`
    const path = `${this.#prefix}/events?since=${since}&filters=${encodeURIComponent(filters)}`
    const response = await this.#get(path, signal)
    if (response.statusCode !== 200) {
      response.destroy()
      throw new Error(`${path}: status ${response.statusCode}`)
    }
    opened()
    const decoder = new StringDecoder('utf8')
    let rest = ''
    for await (const chunk of response) {
      rest += decoder.write(chunk)
      let start = 0
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', start)) {
        const event = readEvent(rest.slice(start, end))
        if (event !== undefined) deliver(event)
        start = end + 1
      }
      rest = rest.slice(start)
      if (rest.length > EVENT_LIMIT_CHARS) {
        response.destroy()
        throw new Error(`an event of the Docker Engine is longer than ${EVENT_LIMIT_CHARS} characters`)
      }
    }
  }

  /** undefined for status 404; rejects for every other failure, and for an answer that is no JSON object. */
  async #json(path: string): Promise<JsonObject | undefined> {
    const response = await this.#get(path, AbortSignal.timeout(ANSWER_TIMEOUT_MS))
    const chunks: Buffer[] = []
    let sizeBytes = 0
    for await (const chunk of response) {
      sizeBytes += chunk.length
      if (sizeBytes > BODY_LIMIT_BYTES) {
        response.destroy()
        throw new Error(`${path}: the answer is longer than ${BODY_LIMIT_BYTES} bytes`)
      }
      chunks.push(chunk)
    }
    if (response.statusCode === 404) return undefined
    const body = parseObject(Buffer.concat(chunks).toString('utf8'))
    if (response.statusCode !== 200 || body === undefined) throw new Error(`${path}: status ${response.statusCode}`)
    return body
  }

  #get(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      // No agent: one connection a question, so that none outlives stop().
      const call = request(
        { socketPath: this.socketPath, path, agent: false, signal, headers: { Host: 'docker' } },
        resolve,
      )
      call.on('error', reject)
      call.end()
    })
  }
}

function readEvent(line: string): DockerEvent | undefined {
  const event = parseObject(line)
  if (event === undefined) return undefined
  const actor = objectAt(event, 'Actor')
  const containerId = stringAt(isObject(actor) ? actor : {}, 'ID') || stringAt(event, 'id')
  const action = stringAt(event, 'Action') || stringAt(event, 'status')
  const { timeNano } = event
  if (containerId === '' || action === '') return undefined
  return { action, containerId, timeNs: typeof timeNano === 'number' && timeNano > 0 ? timeNano : 0 }
}
