/**
 * The state that runc keeps of every container it made: the container's cgroup paths, in a file that only its owner can
 * write. That is the strongest word there is on which cgroup is which container, for plain runc and for whatever uses it
 * (dockerd, containerd, CRI-O).
 *
 * Reads `<root>/<id>/state.json` and `<root>/<namespace>/<id>/state.json`. A rootless user's state is read only for
 * cgroups in that user's own subtree, and only when that user owns the file.
 * Fail direction: what cannot be read is no claim; the cgroup stays unconfirmed.
 */
import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Counters } from '../telemetry/counters.js'
import { readBounded } from './bounded-file.js'
import { cgroupPathOfProcess, type Hierarchy, isWithin, processStartTicks } from './cgroup-fs.js'
import { delegatedUidOf, leafCandidate } from './cgroup-path.js'
import type { RuntimeFacts } from './identity.js'
import { boundedLabels, countAt, isObject, type JsonObject, objectAt, parseObject, stringAt } from './json-value.js'
import { bundleMounts, isPrivileged, runcMounts } from './mounts.js'

/** runc's word that a cgroup is a container's. */
export interface RuncClaim {
  cgroupPath: string
  facts: RuntimeFacts
  /** Docker's own container: its state directory knows name and image. */
  isDocker: boolean
}

export const RUNC_ROOTS: readonly string[] = [
  '/run/runc',
  '/run/docker/runtime-runc',
  '/run/containerd/runc',
  '/run/crio/runc',
]

/** More containers than a host runs; a directory with more entries is looked into up to here and counted. */
const ENTRIES_LIMIT_COUNT = 4096

interface Seen {
  /** Identity of the file that was read: inode, size and time of change. */
  stamp: string
  claim: RuncClaim | undefined
}

export interface RuncOptions {
  roots: readonly string[]
  /** Prefix of the host's paths as this process sees them. */
  hostRoot: string
  procRoot: string
  hierarchy: Hierarchy
  counters: Counters
}

export class RuncState {
  readonly #options: RuncOptions
  /** By path of state.json; rebuilt by each scan, so it holds no more than the roots do. */
  #seen = new Map<string, Seen>()
  #byCgroupPath = new Map<string, RuncClaim>()
  #userUids = new Set<number>()

  constructor(options: RuncOptions) {
    this.#options = options
    options.counters.define(
      'container_scan_truncated_total',
      'counter',
      'Entries of runtime state directories not looked into',
    )
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

  /** Directories whose changes tell of new containers. */
  get watchDirs(): string[] {
    return this.#options.roots.map((root) => join(this.#options.hostRoot, root))
  }

  claimFor(cgroupPath: string): RuncClaim | undefined {
    return this.#byCgroupPath.get(cgroupPath)
  }

  /** From now on scans also read the state of this user's rootless runtimes. */
  includeUser(uid: number): void {
    this.#userUids.add(uid)
  }

  /** Reads what is new or changed since the last scan; returns the claims that were not there before. */
  scan(): RuncClaim[] {
    const before = this.#seen
    this.#seen = new Map()
    this.#byCgroupPath = new Map()
    const added: RuncClaim[] = []
    for (const root of this.#options.roots) this.#scanRoot(join(this.#options.hostRoot, root), undefined, before, added)
    for (const uid of this.#userUids) {
      const home = join(this.#options.hostRoot, `/run/user/${uid}`)
      for (const name of ['runc', 'docker/runtime-runc', 'containerd/runc']) {
        this.#scanRoot(join(home, name), uid, before, added)
      }
    }
    return added
  }

  /** A directory without state.json of its own is taken for a namespace (`moby`, `k8s.io`) and looked into, one level deep. */
  #scanRoot(root: string, ownerUid: number | undefined, before: Map<string, Seen>, added: RuncClaim[]): void {
    for (const name of this.#names(root)) {
      const dir = join(root, name)
      if (this.#readClaim(dir, root, '', ownerUid, before, added)) continue
      for (const inner of this.#names(dir)) this.#readClaim(join(dir, inner), root, name, ownerUid, before, added)
    }
  }

  #names(dir: string): string[] {
    try {
      const names = readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
        entry.isDirectory() ? [entry.name] : [],
      )
      if (names.length <= ENTRIES_LIMIT_COUNT) return names
      this.#options.counters.add('container_scan_truncated_total', names.length - ENTRIES_LIMIT_COUNT)
      return names.slice(0, ENTRIES_LIMIT_COUNT)
    } catch {
      return [] // no such runtime here, or not ours to read
    }
  }

  /** Returns false when `dir` holds no state.json. */
  #readClaim(
    dir: string,
    root: string,
    namespace: string,
    ownerUid: number | undefined,
    before: Map<string, Seen>,
    added: RuncClaim[],
  ): boolean {
    const path = join(dir, 'state.json')
    let stamp: string
    try {
      const { ino, mtimeMs, size } = statSync(path)
      stamp = `${ino} ${size} ${mtimeMs}`
    } catch {
      return false
    }
    const known = before.get(path)
    let claim = known?.claim
    if (known?.stamp !== stamp) {
      const file = readBounded(path, undefined, ownerUid)
      if (file === 'absent') return false
      const state = file === 'unreadable' ? undefined : parseObject(file.text)
      claim = state === undefined ? undefined : this.#claim(state, basename(dir), root, namespace, ownerUid)
      if (claim === undefined) this.#options.counters.add('container_state_unreadable_total')
      else added.push(claim)
    }
    this.#seen.set(path, { stamp, claim })
    // A root's claim is never displaced by a user's: roots are scanned first.
    if (claim !== undefined && !this.#byCgroupPath.has(claim.cgroupPath))
      this.#byCgroupPath.set(claim.cgroupPath, claim)
    return true
  }

  #claim(
    state: JsonObject,
    dirName: string,
    root: string,
    namespace: string,
    ownerUid: number | undefined,
  ): RuncClaim | undefined {
    const id = stringAt(state, 'id')
    const cgroupPath = this.#cgroupPath(state)
    if (id === '' || id !== dirName || cgroupPath === undefined || cgroupPath === '/') return undefined
    if (ownerUid !== undefined && delegatedUidOf(cgroupPath) !== ownerUid) return undefined
    const config = objectAt(state, 'config')
    const annotations = this.#annotations(config.labels)
    const isDocker = namespace === 'moby' && root.endsWith('runtime-runc')
    const startTicks = countAt(state, 'init_process_start')
    const createdMs = Date.parse(stringAt(state, 'created'))
    const runtime = isDocker ? 'docker' : root.endsWith('/containerd/runc') ? 'containerd' : undefined
    return {
      cgroupPath,
      isDocker,
      facts: {
        id,
        name: nameOf(annotations, id),
        image: imageOf(annotations),
        imageId: '',
        runtime: runtime ?? engineOf(cgroupPath),
        labels: annotations,
        privileged: isPrivileged(objectAt(config, 'capabilities').Bounding, config.mask_paths),
        mounts: runcMounts(config),
        initPid: countAt(state, 'init_process_pid'),
        initStartTicks: startTicks === undefined ? undefined : BigInt(startTicks),
        createdMs: Number.isNaN(createdMs) ? undefined : createdMs,
        ownerUid,
      },
    }
  }

  /** The path in the hierarchy that identifies containers, without its mount point. */
  #cgroupPath(state: JsonObject): string | undefined {
    const { hierarchy, procRoot } = this.#options
    const full = stringAt(objectAt(state, 'cgroup_paths'), hierarchy.controller)
    for (const mount of hierarchy.hostRoots) {
      if (full.startsWith('/') && isWithin(full, mount)) return full.slice(mount.length) || '/'
    }
    // A runc that does not join the unified hierarchy of a hybrid host, or another mount point: ask the process itself.
    const pid = countAt(state, 'init_process_pid')
    const startTicks = countAt(state, 'init_process_start')
    if (pid === undefined || startTicks === undefined) return undefined
    const path = cgroupPathOfProcess(hierarchy, procRoot, pid)
    return processStartTicks(procRoot, pid) === BigInt(startTicks) ? path : undefined
  }

  /** runc keeps the annotations of the OCI spec as `key=value`, and adds `bundle=`. */
  #annotations(value: unknown): Readonly<Record<string, string>> {
    const pairs: [string, string][] = []
    for (const label of Array.isArray(value) ? value : []) {
      if (typeof label !== 'string') continue
      const split = label.indexOf('=')
      if (split > 0 && !label.startsWith('bundle=')) pairs.push([label.slice(0, split), label.slice(split + 1)])
    }
    const { labels, droppedCount } = boundedLabels(pairs)
    if (droppedCount > 0) this.#options.counters.add('container_labels_dropped_total', droppedCount)
    return labels
  }
}

/** What a bundle says of its container, before there is a state file. */
export function bundleFacts(bundle: { id: string; cgroupPath: string; root: string; spec: JsonObject }): RuncClaim {
  const { id, cgroupPath, root, spec } = bundle
  const given = isObject(spec.annotations) ? Object.entries(spec.annotations) : []
  const { labels } = boundedLabels(given)
  const isDocker = root.endsWith('/runtime-runc/moby')
  return {
    cgroupPath,
    isDocker,
    facts: {
      id,
      name: nameOf(labels, id),
      image: imageOf(labels),
      imageId: '',
      runtime: isDocker ? 'docker' : root.includes('/containerd/') ? 'containerd' : engineOf(cgroupPath),
      labels,
      privileged: isPrivileged(
        objectAt(objectAt(spec, 'process'), 'capabilities').bounding,
        objectAt(spec, 'linux').maskedPaths,
      ),
      mounts: bundleMounts(spec),
    },
  }
}

function imageOf(annotations: Readonly<Record<string, string>>): string {
  return annotations['io.kubernetes.cri.image-name'] ?? annotations['io.kubernetes.cri-o.ImageName'] ?? ''
}

/** The name that a person gave; plain runc has no other than the id. */
function nameOf(annotations: Readonly<Record<string, string>>, id: string): string {
  const name =
    annotations['io.kubernetes.cri.container-name'] ??
    annotations['io.kubernetes.cri.sandbox-name'] ??
    annotations['io.kubernetes.cri-o.ContainerName'] ??
    annotations['nerdctl/name'] ??
    id
  return name.slice(0, 1024)
}

/** Engines that keep runc's state in its default root tell themselves by the name they give the cgroup. */
function engineOf(cgroupPath: string): string {
  const runtime = leafCandidate(cgroupPath)?.runtime
  return runtime === 'cri-o' || runtime === 'podman' ? runtime : 'runc'
}
