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
  isInHostPidNamespace,
  isWithin,
  processStartTicks,
  walkCgroups,
} from './cgroup-fs.js'
import { delegatedUidOf, isHostUnit, leafCandidate } from './cgroup-path.js'
import { DockerAdapter } from './docker.js'
import { DockerContainers, dockerIdOf } from './docker-containers.js'
import { type Identity, IdentityCell, NO_MOUNTS, PENDING, type RuntimeFacts, refOf, UNKNOWN } from './identity.js'
import { PendingCgroups } from './pending-cgroups.js'
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
  /** Of a container that was told before: whether its init is in the host's PID namespace. */
  namespaceKnown: [identity: Identity]
  /** A container's own cgroup is gone. Lookups still answer for a while. */
  removed: [identity: Identity]
  /** A cgroup has got the identity of the one around it. */
  inherited: [identity: Identity, cgroupId: bigint]
}

const DEFAULT_DOCKER_SOCKET = '/run/docker.sock'
/** How long start() waits for the Docker Engine; what it tells later is taken up later. */
const DOCKER_WAIT_MS = 1_000
/** Changes in a state directory come in bursts; a scan of 100 containers takes about a millisecond. */
const SCAN_PAUSE_MS = 5
export class ContainerTable extends EventEmitter<ContainerTableEvents> {
  readonly hierarchy: Hierarchy
  readonly #counters: Counters
  readonly #entries = new CgroupEntries()
  readonly #pending: PendingCgroups
  readonly #runc: RuncState
  readonly #docker: DockerContainers
  readonly #procRoot: string
  readonly #hostRoot: string
  readonly #nowMs: () => number
  #watch: RuntimeWatch | undefined
  #scanTimer: NodeJS.Timeout | undefined
  #sweepTimer: NodeJS.Timeout | undefined
  #starting = false
  /** Of cgroups that were there at the start, while nobody had said yet whose they are. */
  readonly #undecidedAtStart = new WeakSet<Identity>()
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
    this.#pending = new PendingCgroups(this.#nowMs, () => this.#retryDue())
    defineCounters(options.counters)
    const shared = { hostRoot, counters: options.counters }
    const roots = [...new Set([...(options.runcRoots ?? []), ...RUNC_ROOTS])]
    this.#runc = new RuncState({ ...shared, roots, procRoot: this.#procRoot, hierarchy: this.hierarchy })
    const socketPath = options.dockerSocket ?? join(hostRoot, DEFAULT_DOCKER_SOCKET)
    this.#docker = new DockerContainers(
      new DockerAdapter({ ...shared, socketPath, nowMs: this.#nowMs }),
      {
        entries: this.#entries,
        pending: () => this.#pending.all(),
        parentOf: (entry) => this.#parentOf(entry),
        pathOfProcess: (pid) => this.#pathOfProcess(pid),
        tryBind: (entry) => this.#tryBind(entry),
        bind: (entry, facts) => this.#bind(entry, facts),
        setInit: (cell, pid) => this.#setInit(cell, pid, undefined),
        changed: (cell) => this.emit('changed', cell),
      },
      options.counters,
    )
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
    await Promise.race([this.#docker.start(), timeout])
    clearTimeout(waited)
    this.#starting = false
    for (const { pending, identity } of this.#entries.live())
      if (pending !== undefined) this.#undecidedAtStart.add(identity)
    this.#schedule()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#pending.stop()
    for (const timer of [this.#scanTimer, this.#sweepTimer]) clearTimeout(timer)
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

  /** It ran before start(), and was found after: the Docker Engine answered late, say. */
  wasFoundLate(identity: Identity): boolean {
    return this.#undecidedAtStart.has(identity)
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
      this.#docker.removed(identity)
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
    const path = this.#pathOfProcess(pid)
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
    else this.#pending.add(entry)
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
      const known = claim.isDocker ? this.#docker.factsOf(claim.facts.id) : undefined
      this.#bind(entry, known === undefined ? claim.facts : { ...claim.facts, ...known })
      return true
    }
    const id = dockerIdOf(entry.path)
    const facts = id === undefined ? undefined : this.#docker.factsOf(id)
    if (facts === undefined || !this.#docker.vouched(entry, facts)) return false
    this.#bind(entry, facts)
    return true
  }

  /** Asks the runtime process that is making the cgroup; Docker's containers still get their name and image from Docker. */
  #tryCreator(entry: Entry, pid: number | undefined): boolean {
    if (pid === undefined) return false
    const claim = claimOfCreator(pid, entry.path, {
      procRoot: this.#procRoot,
      hostRoot: this.#hostRoot,
      isInContainer: (creator) => {
        const path = this.#pathOfProcess(creator)
        return path === undefined || this.#entries.around(path)?.identity.confirmed === true
      },
    })
    if (claim === undefined || claim.isDocker) return false
    this.#bind(entry, claim.facts)
    return true
  }

  #pathOfProcess(pid: number): string | undefined {
    return cgroupPathOfProcess(this.hierarchy, this.#procRoot, pid)
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
    own.privileged = facts.privileged
    own.mounts = facts.mounts ?? NO_MOUNTS
    own.createdMs = facts.createdMs
    own.ownerUid = facts.ownerUid
    this.#setInit(own, facts.initPid ?? facts.pid, facts.initStartTicks)
    own.confirmed = true
    if (facts.runtime === 'docker') this.#docker.bound(own)
    this.#pending.delete(entry)
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
      this.#pending.delete(inner)
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
    const sharesHostPids = isInHostPidNamespace(this.#procRoot, pid)
    if (sharesHostPids === undefined || sharesHostPids === cell.sharesHostPids) return
    cell.sharesHostPids = sharesHostPids
    if (cell.confirmed) this.emit('namespaceKnown', cell)
  }

  #settle(entry: Entry, ref: typeof HOST): void {
    this.#pending.delete(entry)
    entry.identity.ref = ref
    if (ref === UNKNOWN) this.#counters.add('container_unresolved_total')
    if (!this.#starting) this.emit('resolved', entry.identity)
  }

  /** The time is over: what looks like a container is unknown, all else is the host's. */
  #giveUp(entry: Entry): void {
    const around = this.#parentOf(entry)?.identity
    if (leafCandidate(entry.path) !== undefined) this.#settle(entry, UNKNOWN)
    else if (around?.ref === UNKNOWN) {
      this.#pending.delete(entry)
      this.#inherit(entry, around)
    } else this.#settle(entry, HOST)
  }

  #schedule(): void {
    if (!this.#stopped && !this.#starting) this.#pending.schedule()
  }

  #retryDue(): void {
    this.#scan()
    this.#pending.retry(
      (entry) => this.#tryBind(entry),
      (entry) => this.#giveUp(entry),
    )
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

function defineCounters(counters: Counters): void {
  counters.define('container_unresolved_total', 'counter', 'Cgroups named like a container that no runtime vouched for')
  counters.define(
    'container_late_total',
    'counter',
    'Containers confirmed after their cgroup had been taken for another',
  )
  counters.define('container_late_lookups_total', 'counter', 'Events identified after their cgroup had gone')
  counters.define('container_evicted_total', 'counter', 'Removed cgroups forgotten early for lack of room')
  counters.define('container_cgroups_dropped_total', 'counter', 'Cgroups not tracked since there are too many')
  counters.define('container_cgroups', 'gauge', 'Cgroups tracked')
  counters.define('container_watch_failures', 'gauge', 'Runtime state directories that could not be watched')
}
