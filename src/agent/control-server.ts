/**
 * The agent's local door: HTTP on a unix socket that only root can open, for `hullguard mode`, `containers`, `metrics` and `record`. Works without the
 * collector. Requests are bounded; anything unexpected gets a 4xx answer and changes nothing.
 */
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Identity } from '../container/identity.js'
import type { Mode } from '../policy/model.js'
import { fieldsOf } from '../record/json-fields.js'
import type { CaptureTotals } from '../sensor/capture-writer.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import type { Recording, RecordingOptions } from './capture/recording.js'

export interface AgentStatus {
  pid: number
  agent: string
  epoch: number
  mode: Mode
  policies: readonly string[]
  /** `--activity`. */
  activity: readonly string[]
  containers: number
  collector: string | null
}

export interface ControlHandler {
  setMode(mode: Mode): void
  status(): AgentStatus
  containers(): readonly Identity[]
  /** Prometheus text. */
  metrics(): string
  /** Throws HullguardError recording_busy. */
  record(options: RecordingOptions): Recording
  /** undefined: there is none. */
  stopRecording(reason: string): Promise<CaptureTotals> | undefined
}

/** A container as GET /v1/containers gives it. */
export interface ContainerRow {
  id: string
  name: string
  image: string
  image_id: string
  runtime: string
  labels: Readonly<Record<string, string>>
  outer_ids: readonly string[]
  cgroup: string
  init_pid: number | null
}

const BODY_MAX_BYTES = 4096

export function controlSocketPath(dataDir: string): string {
  return join(dataDir, 'agent.sock')
}

export async function startControlServer(dataDir: string, handler: ControlHandler): Promise<Server> {
  const path = controlSocketPath(dataDir)
  rmSync(path, { force: true }) // of an earlier agent on this data directory; the host lock says that none lives
  const server = createServer((request, response) => {
    answer(request, response, handler).catch((error: unknown) => reply(response, 500, { error: messageOf(error) }))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new HullguardError('data_dir_unusable', `cannot listen on ${path}: ${error.message}`, { cause: error }))
    })
    server.listen(path, resolve)
  })
  chmodSync(path, 0o600)
  return server
}

async function answer(request: IncomingMessage, response: ServerResponse, handler: ControlHandler): Promise<void> {
  if (request.method === 'GET' && request.url === '/v1/status') {
    reply(response, 200, handler.status())
    return
  }
  if (request.method === 'GET' && request.url === '/v1/containers') {
    reply(response, 200, { containers: handler.containers().map(rowOf) })
    return
  }
  if (request.method === 'GET' && request.url === '/v1/metrics') {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(handler.metrics())
    return
  }
  if (request.method === 'POST' && request.url === '/v1/record') {
    startRecording(await readBody(request), response, handler)
    return
  }
  if (request.method === 'POST' && request.url === '/v1/record/stop') {
    const totals = await handler.stopRecording('ended by `hullguard record`')
    if (totals === undefined) reply(response, 409, { error: 'no recording is in progress' })
    else reply(response, 200, totals)
    return
  }
  if (request.method !== 'POST' || request.url !== '/v1/mode') {
    reply(response, 404, {
      error: 'only GET /v1/status, /v1/containers, /v1/metrics and POST /v1/mode, /v1/record, /v1/record/stop',
    })
    return
  }
  const mode = parseMode(await readBody(request))
  if (mode === undefined) {
    reply(response, 400, { error: 'expected {"mode": "observe" | "block"}' })
    return
  }
  handler.setMode(mode)
  reply(response, 200, handler.status())
}

/**
 * The answer is the capture itself, as long as it is recorded. A client that goes away ends the recording. What it does not
 * take waits within the writer's bound; the agent itself never waits.
 */
function startRecording(body: string, response: ServerResponse, handler: ControlHandler): void {
  const containers = parseContainers(body)
  if (containers === undefined) {
    reply(response, 400, { error: 'expected {"containers": [NAME, …]}, or {}' })
    return
  }
  try {
    const recording = handler.record({ containers, output: (bytes) => send(response, bytes) })
    response.on('close', () => recording.stop('the client went away').catch(() => undefined)) // nobody is left to tell
    void recording.ended.then(() => response.end())
  } catch (error) {
    if (!(error instanceof HullguardError)) throw error
    reply(response, 409, { error: error.message, name: error.errorName })
  }
}

/** undefined: the body is no request for a recording. */
function parseContainers(body: string): readonly string[] | undefined {
  try {
    const fields = fieldsOf(JSON.parse(body === '' ? '{}' : body), 'record')
    return fields.has('containers') ? fields.texts('containers') : []
  } catch {
    return undefined
  }
}

/** Resolves when the client has taken the bytes. */
function send(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    if (response.destroyed) {
      reject(new Error('the client went away'))
      return
    }
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/vnd.hullguard.capture' })
    response.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

function rowOf({ ref, cgroupPath, initPid }: Identity): ContainerRow {
  return {
    id: ref.id,
    name: ref.name,
    image: ref.image,
    image_id: ref.imageId,
    runtime: ref.runtime,
    labels: ref.labels,
    outer_ids: ref.outerIds,
    cgroup: cgroupPath,
    init_pid: initPid ?? null,
  }
}

function parseMode(body: string): Mode | undefined {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value !== 'object' || value === null || !('mode' in value)) return undefined
    return value.mode === 'observe' || value.mode === 'block' ? value.mode : undefined
  } catch {
    return undefined
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk as Uint8Array)
    sizeBytes += bytes.length
    if (sizeBytes > BODY_MAX_BYTES) return ''
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(body)}\n`)
}
