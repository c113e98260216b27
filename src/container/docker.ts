/**
 * Containers of a Docker Engine: from its state directory where that can be read (no daemon, no load, and the answer is
 * there before the container's first process), else from the Engine's API. The API also tells the data root and what
 * changes later.
 *
 * Fail direction: what cannot be read is absent; the caller leaves the cgroup unconfirmed. A lost connection is taken up
 * again with growing pauses, and the events of the gap are asked for.
 */
import { join } from 'node:path'
import type { Counters } from '../telemetry/counters.js'
import { readBounded } from './bounded-file.js'
import { DockerApi, type DockerEvent } from './docker-api.js'
import type { RuntimeFacts } from './identity.js'
import { boundedLabels, countAt, type JsonObject, nameAt, objectAt, parseObject, stringAt } from './json-value.js'
import { dockerMounts } from './mounts.js'

export interface DockerFacts extends RuntimeFacts {
  /** 0 when it does not run. */
  pid: number
  /** --cgroup-parent of the container; empty for the daemon's default. */
  cgroupParent: string
}

export interface DockerListener {
  /** The daemon answers (again): what could not be told before may be told now. */
  connected(): void
  event(event: DockerEvent): void
}

export interface DockerOptions {
  socketPath: string
  /** Prefix of the host's paths as this process sees them. */
  hostRoot: string
  counters: Counters
  nowMs: () => number
}

const CONTAINER_ID = /^[0-9a-f]{64}$/
const DEFAULT_DATA_ROOT = '/var/lib/docker'
/** One daemon has one data root; a few are kept for a daemon that was moved while the agent ran. */
const DATA_ROOTS_LIMIT_COUNT = 4
const RECONNECT_FIRST_MS = 100
const RECONNECT_LAST_MS = 10_000
/** Events from a little before are asked for again: the daemon's and this clock may differ in rounding, repeats do no harm. */
const REPLAY_OVERLAP_NS = 1e9

export class DockerAdapter {
  readonly #api: DockerApi
  readonly #options: DockerOptions
  readonly #stopped = new AbortController()
  #dataRoots: string[] = [DEFAULT_DATA_ROOT]
  #lastEventNs = 0
  #connected = false
  #loop: Promise<void> | undefined

  constructor(options: DockerOptions) {
    this.#api = new DockerApi(options.socketPath)
    this.#options = options
    options.counters.define('container_docker_disconnects_total', 'counter', 'Connections to the Docker Engine lost')
    options.counters.define(
      'container_state_unreadable_total',
      'counter',
      'State files of a container runtime that exist but could not be used',
    )
    options.counters.define(
      'container_labels_dropped_total',
      'counter',
      'Container labels left out of records for their size',
    )
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Starts to follow the daemon; resolves when the first attempt to reach it has ended, one way or the other. */
  start(listener: DockerListener): Promise<void> {
    return new Promise((resolve) => {
      this.#loop = this.#follow(listener, resolve)
    })
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#loop
  }

  /** What the state directory says of a container; undefined when it says nothing. Synchronous: two small files. */
  readState(id: string): DockerFacts | undefined {
    if (!CONTAINER_ID.test(id)) return undefined
    for (const root of this.#dataRoots) {
      const dir = join(this.#options.hostRoot, root, 'containers', id)
      const config = this.#readObject(join(dir, 'config.v2.json'))
      if (config === undefined || stringAt(config, 'ID') !== id) continue
      return this.#facts(id, config, this.#readObject(join(dir, 'hostconfig.json')) ?? {})
    }
    return undefined
  }

  /** What the API says of a container; undefined when there is no such container or the daemon does not answer. */
  async inspect(id: string): Promise<DockerFacts | undefined> {
    if (!CONTAINER_ID.test(id) || !this.#connected) return undefined
    try {
      const answer = await this.#api.inspect(id)
      if (answer === undefined || stringAt(answer, 'Id') !== id) return undefined
      return this.#facts(id, answer, objectAt(answer, 'HostConfig'))
    } catch {
      return undefined // seen by the event loop as a lost connection when it is one
    }
  }

  /** config.v2.json and the inspect answer agree in the fields read here. */
  #facts(id: string, config: JsonObject, hostConfig: JsonObject): DockerFacts {
    const inner = objectAt(config, 'Config')
    const { labels, droppedCount } = boundedLabels(Object.entries(objectAt(inner, 'Labels')))
    if (droppedCount > 0) this.#options.counters.add('container_labels_dropped_total', droppedCount)
    const createdMs = Date.parse(stringAt(config, 'Created'))
    const state = objectAt(config, 'State')
    const pid = state.Running === true ? (countAt(state, 'Pid') ?? 0) : 0
    return {
      id,
      name: nameAt(config, 'Name').replace(/^\//, ''),
      image: nameAt(inner, 'Image'),
      imageId: nameAt(config, 'Image'),
      runtime: 'docker',
      labels,
      privileged: hostConfig.Privileged === true,
      user: nameAt(inner, 'User'),
      mounts: dockerMounts(config),
      createdMs: Number.isNaN(createdMs) ? undefined : createdMs,
      pid,
      cgroupParent: stringAt(hostConfig, 'CgroupParent'),
    }
  }

  #readObject(path: string): JsonObject | undefined {
    const file = readBounded(path)
    if (file === 'absent') return undefined
    const object = file === 'unreadable' ? undefined : parseObject(file.text)
    if (object === undefined) this.#options.counters.add('container_state_unreadable_total')
    return object
  }

  async #follow(listener: DockerListener, firstAttemptEnded: () => void): Promise<void> {
    const { signal } = this.#stopped
    let pauseMs = RECONNECT_FIRST_MS
    while (!signal.aborted) {
      try {
        await this.#api.negotiate()
        const root = await this.#api.dataRoot()
        if (root !== undefined) this.#learnDataRoot(root)
        const sinceNs = (this.#lastEventNs || this.#options.nowMs() * 1e6) - REPLAY_OVERLAP_NS
        await this.#api.events(
          sinceNs,
          signal,
          () => {
            this.#connected = true
            pauseMs = RECONNECT_FIRST_MS
            listener.connected()
            firstAttemptEnded()
          },
          (event) => {
            if (event.timeNs > this.#lastEventNs) this.#lastEventNs = event.timeNs
            listener.event(event)
          },
        )
      } catch {} // no daemon, no permission, or nonsense: all the same here, and shown by `connected` and the counter
      if (this.#connected && !signal.aborted) this.#options.counters.add('container_docker_disconnects_total')
      this.#connected = false
      firstAttemptEnded()
      await pause(pauseMs, signal)
      pauseMs = Math.min(pauseMs * 2, RECONNECT_LAST_MS)
    }
  }

  #learnDataRoot(root: string): void {
    this.#dataRoots = [root, ...this.#dataRoots.filter((known) => known !== root)].slice(0, DATA_ROOTS_LIMIT_COUNT)
  }
}

function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, durationMs)
    signal.addEventListener('abort', end)
  })
}
