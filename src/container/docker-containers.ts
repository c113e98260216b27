/**
 * The live containers of a Docker Engine that the table has bound, kept as the Engine says they are: names, labels, init. What its
 * state directory does not answer its API is asked for, and that is taken up when it comes.
 *
 * Fail direction: a container whose init runs in another cgroup than the one believed to be its own is confirmed no more.
 */
import type { Counters } from '../telemetry/counters.js'
import type { CgroupEntries, Entry } from './cgroup-entries.js'
import { isWithin } from './cgroup-fs.js'
import { leafCandidate } from './cgroup-path.js'
import type { DockerAdapter, DockerFacts } from './docker.js'
import type { DockerEvent } from './docker-api.js'
import { type IdentityCell, NO_MOUNTS, refOf, sameRef, UNKNOWN } from './identity.js'

/** The table's side. */
export interface CgroupBinder {
  readonly entries: CgroupEntries
  /** Cgroups that nobody has decided yet. */
  pending(): readonly Entry[]
  parentOf(entry: Entry): Entry | undefined
  pathOfProcess(pid: number): string | undefined
  /** Asks all runtimes whose it is. */
  tryBind(entry: Entry): void
  bind(entry: Entry, facts: DockerFacts): void
  setInit(cell: IdentityCell, pid: number): void
  changed(cell: IdentityCell): void
}

/** Questions to the Docker Engine at a time. */
const INSPECTS_LIMIT_COUNT = 16

export class DockerContainers {
  readonly #docker: DockerAdapter
  readonly #binder: CgroupBinder
  readonly #counters: Counters
  /** By id. */
  readonly #cells = new Map<string, IdentityCell>()
  readonly #inspecting = new Set<string>()
  #isStopped = false

  constructor(docker: DockerAdapter, binder: CgroupBinder, counters: Counters) {
    this.#docker = docker
    this.#binder = binder
    this.#counters = counters
    counters.define('container_revoked_total', 'counter', 'Containers whose init was found in another cgroup')
  }

  /** Resolves when the Engine has answered for the first time. */
  start(): Promise<void> {
    return this.#docker.start({ connected: () => this.#connected(), event: (event) => this.#event(event) })
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#docker.stop()
  }

  bound(cell: IdentityCell): void {
    this.#cells.set(cell.ref.id, cell)
  }

  removed(cell: IdentityCell): void {
    if (this.#cells.get(cell.ref.id) === cell) this.#cells.delete(cell.ref.id)
  }

  /** What the state directory says; where it does not, the API is asked. */
  factsOf(id: string): DockerFacts | undefined {
    const facts = this.#docker.readState(id)
    if (facts === undefined) this.#inspect(id)
    return facts
  }

  /**
   * Docker knows the id; is this cgroup really that container's? Its running init proves it either way. Before it runs,
   * a place where Docker does not put containers, or a second cgroup for one container, is not believed.
   */
  vouched(entry: Entry, facts: DockerFacts): boolean {
    if (facts.pid > 0) {
      const path = this.#binder.pathOfProcess(facts.pid)
      if (path !== undefined) return isWithin(path, entry.path)
    }
    const other = this.#cells.get(facts.id)
    if (other !== undefined && other.cgroupPath !== entry.path) return false
    if (this.#binder.parentOf(entry)?.identity.confirmed === true) return false
    const place = entry.path.slice(0, entry.path.lastIndexOf('/'))
    const parent = facts.cgroupParent.replace(/^\/+|\/+$/g, '')
    return parent === '' || place === `/${parent}` || place.endsWith(`/${parent}`)
  }

  #connected(): void {
    for (const entry of [...this.#binder.entries.live()]) {
      if (!entry.identity.confirmed && dockerIdOf(entry.path) !== undefined) this.#binder.tryBind(entry)
    }
    for (const id of [...this.#cells.keys()]) this.#refresh(id)
  }

  #event({ action, containerId }: DockerEvent): void {
    if (action !== 'start' && action !== 'rename' && action !== 'update') return
    if (this.#cells.has(containerId)) {
      this.#refresh(containerId)
      return
    }
    for (const entry of this.#binder.pending()) if (dockerIdOf(entry.path) === containerId) this.#binder.tryBind(entry)
  }

  #refresh(id: string): void {
    const facts = this.factsOf(id)
    if (facts !== undefined) this.#update(id, facts)
  }

  /** New metadata of a confirmed container; its running init must lie in the cgroup that was believed to be its own. */
  #update(id: string, facts: DockerFacts): void {
    const cell = this.#cells.get(id)
    if (cell === undefined) return
    const path = facts.pid > 0 ? this.#binder.pathOfProcess(facts.pid) : undefined
    if (path !== undefined && !isWithin(path, cell.cgroupPath)) {
      this.#revoke(cell)
      return
    }
    this.#binder.setInit(cell, facts.pid)
    cell.privileged = facts.privileged
    cell.mounts = facts.mounts ?? NO_MOUNTS
    cell.createdMs = facts.createdMs
    const ref = refOf(facts, cell.ref.outerIds)
    if (sameRef(ref, cell.ref)) return
    cell.ref = ref
    this.#binder.changed(cell)
  }

  #revoke(cell: IdentityCell): void {
    const { id } = cell.ref
    this.#cells.delete(id)
    cell.confirmed = false
    cell.ref = UNKNOWN
    this.#counters.add('container_revoked_total')
    this.#binder.changed(cell)
    for (const entry of [...this.#binder.entries.live()]) if (dockerIdOf(entry.path) === id) this.#binder.tryBind(entry)
  }

  #inspect(id: string): void {
    if (!this.#docker.connected || this.#inspecting.has(id) || this.#inspecting.size >= INSPECTS_LIMIT_COUNT) return
    this.#inspecting.add(id)
    void this.#docker.inspect(id).then((facts) => {
      this.#inspecting.delete(id)
      if (facts === undefined || this.#isStopped) return
      if (this.#cells.has(id)) {
        this.#update(id, facts)
        return
      }
      for (const entry of [...this.#binder.entries.live()]) {
        if (entry.identity.confirmed || dockerIdOf(entry.path) !== id || !this.vouched(entry, facts)) continue
        this.#binder.bind(entry, facts)
      }
    })
  }
}

/** The Docker id that a path names as its own, outside subtrees where a user may make any name. */
export function dockerIdOf(path: string): string | undefined {
  const leaf = leafCandidate(path)
  if (leaf === undefined || leaf.delegatedUid !== undefined || leaf.id.length !== 64) return undefined
  return leaf.runtime === 'docker' || leaf.runtime === 'k8s' || leaf.runtime === 'ecs' ? leaf.id : undefined
}
