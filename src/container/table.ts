/**
 * The table that the agent asks for every event: cgroup id -> identity. Filled by a walk at start, kept by the kernel's
 * cgroup events, and decided by what runtimes say: a path alone decides nothing.
 *
 *   new cgroup ──> the runtime process making it claims it ────────────> container
 *              ──> runc claims this path ──────────────────────────────> container
 *              ──> Docker's state (or API) knows the id, and vouched() ─> container
 *              ──> below a container or an unknown ────────────────────> the same identity
 *              ──> otherwise pending: tried again for up to 2 s, then
 *                    a name like a container's ────────────────────────> unknown
 *                    any other ────────────────────────────────────────> host
 *   A claim that comes later still makes it a container.
 *
 * Fail direction: what no runtime vouches for is never `confirmed`, and nothing may act on it. Single-threaded.
 */
import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { HOST } from '../record/model.js'
import type { Counters } from '../telemetry/counters.js'
import { CgroupEntries, type Entry } from './cgroup-entries.js'
import {
  CGROUPS_LIMIT_COUNT,
  type Cgroup,
  cgroupIdAt,
  cgroupPathOfProcess,
  findHierarchy,
  type Hierarchy,
  isWithin,
  processStartTicks,
  walkCgroups,
} from './cgroup-fs.js'
import { delegatedUidOf, isHostUnit, leafCandidate } from './cgroup-path.js'
import { DockerAdapter, type DockerFacts } from './docker.js'
import {
  type Identity,
  IdentityCell,
  NO_MOUNTS,
  PENDING,
  type RuntimeFacts,
  refOf,
  sameRef,
  UNKNOWN,
} from './identity.js'
import { RUNC_ROOTS, RuncState } from './runc.js'
import { claimOfCreator } from './runc-process.js'
import { RuntimeWatch } from './runtime-watch.js'

export interface ContainerTableOptions {
  counters: Counters
  cgroupRoot?: string | undefined
  /** Where the host's root is mounted, when the agent runs in a container. */
  hostRoot?: string | undefined
  dockerSocket?: string | undefined
  /** In addition to the usual ones. */
  runcRoots?: readonly string[] | undefined
  nowMs?: (() => number) | undefined
}

export interface ContainerTableEvents {
  /** A cgroup has been decided: container, host or unknown. At start only containers are told. */
  resolved: [identity: Identity]
  /** Name, image or labels of a container are now others, or its confirmation was withdrawn. */
  changed: [identity: Identity]
  /** A container's own cgroup is gone. Lookups still answer for a while. */
  removed: [identity: Identity]
  /** A cgroup has got the identity of the one around it. */
  inherited: [identity: Identity, cgroupId: bigint]
}

const DEFAULT_DOCKER_SOCKET = '/run/docker.sock'
/** runc writes its state some 20 to 100 ms after it made the cgroup. */
const RETRY_FIRST_MS = 20
/** A runtime that has said nothing by then has none of it; also as long as a loaded host may take to start a container. */
const DECIDE_WITHIN_MS = 2_000
/** How long start() waits for the Docker Engine; what it tells later is taken up later. */
const DOCKER_WAIT_MS = 1_000
/** Changes in a state directory come in bursts; a scan of 100 containers takes about a millisecond. */
const SCAN_PAUSE_MS = 5
/** Questions to the Docker Engine at a time. */
const INSPECTS_LIMIT_COUNT = 16

export class ContainerTable extends EventEmitter<ContainerTableEvents> {
  readonly hierarchy: Hierarchy
  readonly #counters: Counters
  readonly #entries = new CgroupEntries()
  readonly #pending = new Set<Entry>()
  readonly #runc: RuncState
  readonly #docker: DockerAdapter
  /** Live Docker containers by id. */
  readonly #dockerCells = new Map<string, IdentityCell>()
  readonly #inspecting = new Set<string>()
  readonly #procRoot: string
  readonly #hostRoot: string
  readonly #nowMs: () => number
  #watch: RuntimeWatch | undefined
  #timer: NodeJS.Timeout | undefined
  #scanTimer: NodeJS.Timeout | undefined
  #sweepTimer: NodeJS.Timeout | undefined
  #starting = false
  #stopped = false

  /** Throws `cgroup_root_unusable`. */
  constructor(options: ContainerTableOptions) {
    super()
    const hostRoot = options.hostRoot ?? '/'
    this.hierarchy = findHierarchy(options)
    this.#counters = options.counters
    this.#procRoot = join(hostRoot, 'proc')
    this.#hostRoot = hostRoot
    this.#nowMs = options.nowMs ?? Date.now
    defineCounters(options.counters)
    const shared = { hostRoot, counters: options.counters }
    const roots = [...new Set([...(options.runcRoots ?? []), ...RUNC_ROOTS])]
    this.#runc = new RuncState({ ...shared, roots, procRoot: this.#procRoot, hierarchy: this.hierarchy })
    const socketPath = options.dockerSocket ?? join(hostRoot, DEFAULT_DOCKER_SOCKET)
    this.#docker = new DockerAdapter({ ...shared, socketPath, nowMs: this.#nowMs })
  }

  /** Identifies all cgroups that exist. Attach the probes before and feed their cgroup events after: repeats do no harm. */
  async start(): Promise<void> {
    this.#starting = true
    this.#addAll(walkCgroups(this.hierarchy))
    this.#watch = new RuntimeWatch(this.#runc.watchDirs, () => this.#scanSoon())
    let waited: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => {
      waited = setTimeout(resolve, DOCKER_WAIT_MS)
    })
    await Promise.race([
      this.#docker.start({
        connected: () => this.#dockerConnected(),
        event: (event) => this.#dockerEvent(event.action, event.containerId),
      }),
      timeout,
    ])
    clearTimeout(waited)
    this.#starting = false
    this.#schedule()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of [this.#timer, this.#scanTimer, this.#sweepTimer]) clearTimeout(timer)
    this.#watch?.close()
    await this.#docker.stop()
    this.exportCounters()
  }

  /** undefined: a cgroup that was never seen. */
  lookup(cgroupId: bigint): Identity | undefined {
    const asNumber = Number(cgroupId)
    if (asNumber > Number.MAX_SAFE_INTEGER) return this.#entries.get(cgroupId)?.identity
    return this.#entries.identityOf(asNumber >>> 0, Math.floor(asNumber / 0x1_0000_0000))
  }

  /** lookup() by the two halves of an id as they stand in an event: makes no bigint, allocates nothing. */
  lookup32(low: number, high: number): Identity | undefined {
    return this.#entries.identityOf(low, high)
  }

  /** Confirmed containers that exist. */
  containers(): Identity[] {
    const found = new Set<Identity>()
    for (const entry of this.#entries.live()) if (entry.identity.confirmed) found.add(entry.identity)
    return [...found]
  }

  /** Ids of the existing cgroups that have this identity: the container's own and those below it. */
  cgroupsOf(identity: Identity): bigint[] {
    const ids: bigint[] = []
    for (const entry of this.#entries.live()) if (entry.identity === identity) ids.push(entry.id)
    return ids
  }

  /** Path of a known cgroup, also of one that went a short time ago. */
  pathOf(cgroupId: bigint): string | undefined {
    return this.#entries.get(cgroupId)?.path
  }

  /** creatorPid: the process that made it, when the kernel told; a runtime is asked at once whose cgroup it is making. */
  onCgroupCreated(
    id: bigint,
    parentId: bigint,
    level: number,
    path: string,
    creatorPid?: number,
  ): Identity | undefined {
    const known = this.#entries.get(id)
    if (known !== undefined && known.removedAtMs === 0 && known.path === path) return known.identity
    const identity = this.#add({ id, parentId, level, path }, creatorPid)?.identity
    this.#schedule()
    return identity
  }

  onCgroupRemoved(id: bigint): void {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.removedAtMs !== 0) return
    this.#pending.delete(entry)
    this.#entries.remove(entry, this.#nowMs())
    const { identity } = entry
    if (identity.confirmed && identity.rootCgroupId === id) {
      if (this.#dockerCells.get(identity.ref.id) === identity) this.#dockerCells.delete(identity.ref.id)
      this.emit('removed', identity)
    }
    this.#scheduleSweep()
  }

  /** Walks again: after cgroup events were lost. */
  rescan(): void {
    const walk = walkCgroups(this.hierarchy)
    const present = new Set(walk.cgroups.map((cgroup) => cgroup.id))
    for (const entry of [...this.#entries.live()]) if (!present.has(entry.id)) this.onCgroupRemoved(entry.id)
    this.#addAll(walk)
    this.#schedule()
  }

  /**
   * Right before a process is acted on from user space: does it still lie in the container's own cgroup tree, and in no
   * other container within it? Fails closed: false when anything cannot be read.
   */
  confirmProcess(identity: Identity, pid: number): boolean {
    if (!identity.confirmed || !Number.isSafeInteger(pid) || pid <= 0) return false
    const path = cgroupPathOfProcess(this.hierarchy, this.#procRoot, pid)
    if (path === undefined || !isWithin(path, identity.cgroupPath)) return false
    if (cgroupIdAt(this.hierarchy, identity.cgroupPath) !== identity.rootCgroupId) return false
    return this.#entries.around(path)?.identity === identity
  }

  /** Brings the counters that the event path keeps as plain numbers up to date. */
  exportCounters(): void {
    const { lateLookupsCount, evictedCount, liveCount } = this.#entries
    this.#entries.lateLookupsCount = 0
    this.#entries.evictedCount = 0
    this.#counters.add('container_late_lookups_total', lateLookupsCount)
    this.#counters.add('container_evicted_total', evictedCount)
    this.#counters.set('container_cgroups', liveCount)
    this.#counters.set('container_watch_failures', this.#watch?.failedCount ?? 0)
  }

  #addAll(walk: { cgroups: readonly Cgroup[]; skippedCount: number }): void {
    if (walk.skippedCount > 0) this.#counters.add('container_cgroups_dropped_total', walk.skippedCount)
    for (const cgroup of walk.cgroups) this.#includeUserOf(cgroup.path)
    this.#scan()
    for (const cgroup of walk.cgroups) {
      const known = this.#entries.get(cgroup.id)
      if (known === undefined || known.removedAtMs !== 0 || known.path !== cgroup.path) this.#add(cgroup)
    }
  }

  #add(cgroup: Cgroup, creatorPid?: number): Entry | undefined {
    if (this.#entries.liveCount >= CGROUPS_LIMIT_COUNT) {
      this.#counters.add('container_cgroups_dropped_total')
      return undefined
    }
    // Its removal was lost: the path is taken again, or the id.
    for (const stale of [this.#entries.atPath(cgroup.path), this.#entries.get(cgroup.id)]) {
      if (stale !== undefined) this.onCgroupRemoved(stale.id)
    }
    const identity = new IdentityCell(PENDING, cgroup.id, cgroup.level, cgroup.path)
    const entry: Entry = { ...cgroup, identity, pending: undefined, removedAtMs: 0 }
    this.#entries.add(entry)
    this.#includeUserOf(cgroup.path)
    if (this.#tryBind(entry) || this.#tryCreator(entry, creatorPid)) return entry
    const around = this.#parentOf(entry)?.identity
    if (around !== undefined && (around.confirmed || around.ref === UNKNOWN)) this.#inherit(entry, around)
    else if (this.#isHostAtOnce(entry, around)) this.#settle(entry, HOST)
    else this.#wait(entry)
    return entry
  }

  #includeUserOf(path: string): void {
    const uid = delegatedUidOf(path)
    if (uid !== undefined) this.#runc.includeUser(uid)
  }

  /** No runtime needs to be asked: its name is no container's, and it is a host's unit or was there before the agent. */
  #isHostAtOnce(entry: Entry, around: Identity | undefined): boolean {
    if (entry.path === '/') return true
    if (leafCandidate(entry.path) !== undefined || around?.ref === PENDING) return false
    return this.#starting || isHostUnit(entry.path)
  }

  #parentOf(entry: Entry): Entry | undefined {
    const parent = this.#entries.get(entry.parentId)
    if (parent !== undefined && parent.removedAtMs === 0) return parent
    return entry.path === '/' ? undefined : this.#entries.around(entry.path.slice(0, entry.path.lastIndexOf('/')))
  }

  /** Asks the runtimes' state; true when one of them says that this cgroup is its container's. */
  #tryBind(entry: Entry): boolean {
    const claim = this.#runc.claimFor(entry.path)
    if (claim !== undefined) {
      const known = claim.isDocker ? this.#docker.readState(claim.facts.id) : undefined
      this.#bind(entry, known === undefined ? claim.facts : { ...claim.facts, ...known })
      if (claim.isDocker && known === undefined) this.#inspect(claim.facts.id)
      return true
    }
    const id = dockerIdOf(entry.path)
    const facts = id === undefined ? undefined : this.#docker.readState(id)
    if (facts !== undefined && this.#vouched(entry, facts)) {
      this.#bind(entry, facts)
      return true
    }
    if (id !== undefined && facts === undefined) this.#inspect(id)
    return false
  }

  /** Asks the runtime process that is making the cgroup; Docker's containers still get their name and image from Docker. */
  #tryCreator(entry: Entry, pid: number | undefined): boolean {
    if (pid === undefined) return false
    const claim = claimOfCreator(pid, entry.path, {
      procRoot: this.#procRoot,
      hostRoot: this.#hostRoot,
      isInContainer: (creator) => {
        const path = cgroupPathOfProcess(this.hierarchy, this.#procRoot, creator)
        return path === undefined || this.#entries.around(path)?.identity.confirmed === true
      },
    })
    if (claim === undefined || claim.isDocker) return false
    this.#bind(entry, claim.facts)
    return true
  }

  /**
   * Docker knows the id; is this cgroup really that container's? Its running init proves it either way. Before it runs,
   * a place where Docker does not put containers, or a second cgroup for one container, is not believed.
   */
  #vouched(entry: Entry, facts: DockerFacts): boolean {
    if (facts.pid > 0) {
      const path = cgroupPathOfProcess(this.hierarchy, this.#procRoot, facts.pid)
      if (path !== undefined) return isWithin(path, entry.path)
    }
    const other = this.#dockerCells.get(facts.id)
    if (other !== undefined && other.cgroupPath !== entry.path) return false
    if (this.#parentOf(entry)?.identity.confirmed === true) return false
    const place = entry.path.slice(0, entry.path.lastIndexOf('/'))
    const parent = facts.cgroupParent.replace(/^\/+|\/+$/g, '')
    return parent === '' || place === `/${parent}` || place.endsWith(`/${parent}`)
  }

  #bind(entry: Entry, facts: RuntimeFacts & { pid?: number }): void {
    const { rootCgroupId, confirmed, ref } = entry.identity
    if (confirmed && rootCgroupId === entry.id) {
      // The runtime process spoke for it when it made the cgroup; its state file adds the init process.
      if (entry.identity.initPid === undefined)
        this.#setInit(entry.identity, facts.initPid ?? facts.pid, facts.initStartTicks)
      return
    }
    if (entry.pending === undefined && ref !== PENDING && !confirmed) this.#counters.add('container_late_total')
    const own =
      rootCgroupId === entry.id ? entry.identity : new IdentityCell(PENDING, entry.id, entry.level, entry.path)
    const outer = this.#parentOf(entry)?.identity
    own.ref = refOf(facts, outer?.confirmed === true ? [...outer.ref.outerIds, outer.ref.id] : [])
    own.confirmed = true
    own.privileged = facts.privileged
    own.mounts = facts.mounts ?? NO_MOUNTS
    own.createdMs = facts.createdMs
    own.ownerUid = facts.ownerUid
    this.#setInit(own, facts.initPid ?? facts.pid, facts.initStartTicks)
    if (facts.runtime === 'docker') this.#dockerCells.set(facts.id, own)
    this.#decided(entry)
    const replaced = entry.identity
    entry.identity = own
    this.emit('resolved', own)
    for (const inner of this.#entries.below(entry)) this.#enclose(inner, replaced, own)
  }

  /** A cgroup around `inner` has turned out to be a container. */
  #enclose(inner: Entry, replaced: IdentityCell, own: IdentityCell): void {
    if (inner.identity.confirmed && inner.identity.rootCgroupId === inner.id) {
      const { ref } = inner.identity
      const outer = this.#parentOf(inner)?.identity
      if (outer?.confirmed !== true || ref.outerIds.includes(outer.ref.id)) return
      inner.identity.ref = Object.freeze({ ...ref, outerIds: Object.freeze([...outer.ref.outerIds, outer.ref.id]) })
      this.emit('changed', inner.identity)
    } else if (!inner.identity.confirmed || inner.identity === replaced) {
      this.#decided(inner)
      this.#inherit(inner, own)
    }
  }

  #inherit(entry: Entry, around: IdentityCell): void {
    entry.identity = around
    this.emit('inherited', around, entry.id)
  }

  #setInit(cell: IdentityCell, pid: number | undefined, startTicks: bigint | undefined): void {
    if (pid === undefined || pid === 0) return
    cell.initPid = pid
    cell.initStartTicks = startTicks ?? processStartTicks(this.#procRoot, pid)
  }

  #wait(entry: Entry): void {
    const nowMs = this.#nowMs()
    entry.pending = { nextTryMs: nowMs + RETRY_FIRST_MS, pauseMs: RETRY_FIRST_MS, deadlineMs: nowMs + DECIDE_WITHIN_MS }
    this.#pending.add(entry)
  }

  #decided(entry: Entry): void {
    entry.pending = undefined
    this.#pending.delete(entry)
  }

  #settle(entry: Entry, ref: typeof HOST): void {
    this.#decided(entry)
    entry.identity.ref = ref
    if (ref === UNKNOWN) this.#counters.add('container_unresolved_total')
    if (!this.#starting) this.emit('resolved', entry.identity)
  }

  /** The time is over: what looks like a container is unknown, all else is the host's. */
  #giveUp(entry: Entry): void {
    const around = this.#parentOf(entry)?.identity
    if (leafCandidate(entry.path) !== undefined) this.#settle(entry, UNKNOWN)
    else if (around?.ref === UNKNOWN) {
      this.#decided(entry)
      this.#inherit(entry, around)
    } else this.#settle(entry, HOST)
  }

  #schedule(): void {
    if (this.#stopped || this.#starting) return
    clearTimeout(this.#timer)
    let nextMs = Number.POSITIVE_INFINITY
    for (const { pending } of this.#pending) if (pending !== undefined) nextMs = Math.min(nextMs, pending.nextTryMs)
    if (nextMs !== Number.POSITIVE_INFINITY) {
      this.#timer = setTimeout(() => this.#retryDue(), Math.max(0, nextMs - this.#nowMs()))
    }
  }

  #retryDue(): void {
    const nowMs = this.#nowMs()
    this.#scan()
    // Parents first: what lies below takes their decision.
    for (const entry of [...this.#pending].sort((a, b) => a.level - b.level)) {
      const { pending } = entry
      if (pending === undefined || pending.nextTryMs > nowMs || this.#tryBind(entry)) continue
      if (nowMs >= pending.deadlineMs) {
        this.#giveUp(entry)
        continue
      }
      pending.pauseMs *= 2
      pending.nextTryMs = Math.min(nowMs + pending.pauseMs, pending.deadlineMs)
    }
    this.#schedule()
  }

  #scanSoon(): void {
    if (this.#stopped || this.#scanTimer !== undefined) return
    this.#scanTimer = setTimeout(() => {
      this.#scanTimer = undefined
      this.#watch?.refresh()
      this.#scan()
    }, SCAN_PAUSE_MS)
  }

  /** New claims are taken up for whatever cgroup they name: pending, decided as host meanwhile, or inside another container. */
  #scan(): void {
    for (const claim of this.#runc.scan()) {
      const entry = this.#entries.atPath(claim.cgroupPath)
      if (entry !== undefined) this.#tryBind(entry)
    }
  }

  #dockerConnected(): void {
    for (const entry of [...this.#entries.live()]) {
      if (!entry.identity.confirmed && dockerIdOf(entry.path) !== undefined) this.#tryBind(entry)
    }
    for (const id of [...this.#dockerCells.keys()]) this.#refresh(id)
  }

  #dockerEvent(action: string, id: string): void {
    if (action !== 'start' && action !== 'rename' && action !== 'update') return
    if (this.#dockerCells.has(id)) {
      this.#refresh(id)
      return
    }
    for (const entry of [...this.#pending]) if (dockerIdOf(entry.path) === id) this.#tryBind(entry)
  }

  #refresh(id: string): void {
    const facts = this.#docker.readState(id)
    if (facts === undefined) this.#inspect(id)
    else this.#update(id, facts)
  }

  /** New metadata of a confirmed Docker container; its running init must lie in the cgroup that was believed to be its own. */
  #update(id: string, facts: DockerFacts): void {
    const cell = this.#dockerCells.get(id)
    if (cell === undefined) return
    const path = facts.pid > 0 ? cgroupPathOfProcess(this.hierarchy, this.#procRoot, facts.pid) : undefined
    if (path !== undefined && !isWithin(path, cell.cgroupPath)) {
      this.#revoke(cell)
      return
    }
    this.#setInit(cell, facts.pid, undefined)
    cell.privileged = facts.privileged
    cell.mounts = facts.mounts ?? NO_MOUNTS
    cell.createdMs = facts.createdMs
    const ref = refOf(facts, cell.ref.outerIds)
    if (sameRef(ref, cell.ref)) return
    cell.ref = ref
    this.emit('changed', cell)
  }

  #revoke(cell: IdentityCell): void {
    const { id } = cell.ref
    this.#dockerCells.delete(id)
    cell.confirmed = false
    cell.ref = UNKNOWN
    this.#counters.add('container_revoked_total')
    this.emit('changed', cell)
    for (const entry of [...this.#entries.live()]) if (dockerIdOf(entry.path) === id) this.#tryBind(entry)
  }

  /** Asks the API where the state directory did not answer; what it says is taken up when it comes. */
  #inspect(id: string): void {
    if (!this.#docker.connected || this.#inspecting.has(id) || this.#inspecting.size >= INSPECTS_LIMIT_COUNT) return
    this.#inspecting.add(id)
    void this.#docker.inspect(id).then((facts) => {
      this.#inspecting.delete(id)
      if (facts === undefined || this.#stopped) return
      if (this.#dockerCells.has(id)) {
        this.#update(id, facts)
        return
      }
      for (const entry of [...this.#entries.live()]) {
        if (entry.identity.confirmed || dockerIdOf(entry.path) !== id || !this.#vouched(entry, facts)) continue
        this.#bind(entry, facts)
      }
    })
  }

  #scheduleSweep(): void {
    if (this.#sweepTimer !== undefined || this.#stopped) return
    const dueMs = this.#entries.sweep(this.#nowMs())
    if (dueMs === undefined) return
    this.#sweepTimer = setTimeout(
      () => {
        this.#sweepTimer = undefined
        this.#scheduleSweep()
      },
      Math.max(100, dueMs - this.#nowMs()),
    )
    this.#sweepTimer.unref()
  }
}

/** The Docker id that a path names as its own, outside subtrees where a user may make any name. */
function dockerIdOf(path: string): string | undefined {
  const leaf = leafCandidate(path)
  if (leaf === undefined || leaf.delegatedUid !== undefined || leaf.id.length !== 64) return undefined
  return leaf.runtime === 'docker' || leaf.runtime === 'k8s' || leaf.runtime === 'ecs' ? leaf.id : undefined
}

function defineCounters(counters: Counters): void {
  counters.define('container_unresolved_total', 'counter', 'Cgroups named like a container that no runtime vouched for')
  counters.define(
    'container_late_total',
    'counter',
    'Containers confirmed after their cgroup had been taken for another',
  )
  counters.define('container_revoked_total', 'counter', 'Containers whose init was found in another cgroup')
  counters.define('container_late_lookups_total', 'counter', 'Events identified after their cgroup had gone')
  counters.define('container_evicted_total', 'counter', 'Removed cgroups forgotten early for lack of room')
  counters.define('container_cgroups_dropped_total', 'counter', 'Cgroups not tracked since there are too many')
  counters.define('container_cgroups', 'gauge', 'Cgroups tracked')
  counters.define('container_watch_failures', 'gauge', 'Runtime state directories that could not be watched')
}
