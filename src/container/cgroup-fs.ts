/**
 * The cgroup hierarchy by which containers are identified, and what is in it. The id of a cgroup is the inode number of its
 * directory, which is what bpf_get_current_cgroup_id() gives on the unified hierarchy. Reads only; every walk is bounded.
 *
 * Ids of two hierarchies can be equal, so exactly one is chosen, at load: cgroup v2 where there is one (also on a hybrid
 * host, where runtimes put a container at the same path in it), else v1's memory hierarchy.
 */
import { lstatSync, opendirSync, readlinkSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, HullguardError } from '../telemetry/errors.js'
import { readBounded } from './bounded-file.js'

export interface Hierarchy {
  kind: 'v2' | 'hybrid' | 'v1'
  /** Its mount point as this process sees it. */
  root: string
  /** Its mount points as the host's runtimes may write them in their state. */
  hostRoots: readonly string[]
  /** Its name in /proc/PID/cgroup and in runc's state: empty for the unified one. */
  controller: '' | 'memory'
}

export interface Cgroup {
  id: bigint
  /** 0n for the root. */
  parentId: bigint
  /** As the kernel shows it: `/` for the root. */
  path: string
  level: number
}

/** include/uapi/linux/magic.h */
const CGROUP2_SUPER_MAGIC = 0x63677270
const CGROUP_SUPER_MAGIC = 0x27e0eb
/** As many as the kernel side's map of cgroups can hold; a host with more is not watched whole, and says so. */
export const CGROUPS_LIMIT_COUNT = 65_536
/** cgroup.procs of 100,000 processes is below this. */
const PROCS_LIMIT_BYTES = 1024 * 1024

export function findHierarchy(
  options: { cgroupRoot?: string | undefined; hostRoot?: string | undefined } = {},
): Hierarchy {
  const base = options.cgroupRoot ?? join(options.hostRoot ?? '/', 'sys/fs/cgroup')
  const hybrid = { kind: 'hybrid', root: join(base, 'unified'), controller: '' } as const
  const v1 = { kind: 'v1', root: join(base, 'memory'), controller: 'memory' } as const
  if (magicOf(base) === CGROUP2_SUPER_MAGIC) {
    // A hybrid host's unified hierarchy may be given by its own path.
    const hostRoots = [base, '/sys/fs/cgroup/unified', '/sys/fs/cgroup']
    return { kind: base.endsWith('/unified') ? 'hybrid' : 'v2', root: base, controller: '', hostRoots }
  }
  if (magicOf(hybrid.root) === CGROUP2_SUPER_MAGIC) {
    return { ...hybrid, hostRoots: [hybrid.root, '/sys/fs/cgroup/unified'] }
  }
  if (magicOf(v1.root) === CGROUP_SUPER_MAGIC) return { ...v1, hostRoots: [v1.root, '/sys/fs/cgroup/memory'] }
  if (magicOf(base) === CGROUP_SUPER_MAGIC) {
    return { kind: 'v1', root: base, controller: 'memory', hostRoots: [base, '/sys/fs/cgroup/memory'] }
  }
  throw new HullguardError('cgroup_root_unusable', `no cgroup hierarchy that holds containers is mounted at ${base}`)
}

function magicOf(path: string): number | undefined {
  try {
    return statfsSync(path).type
  } catch {
    return undefined
  }
}

export interface Walk {
  /** Parents before their children. */
  cgroups: Cgroup[]
  /** Directories that were not looked into since there are too many. */
  skippedCount: number
}

/** All cgroups from the root down. One that goes away during the walk is left out. */
export function walkCgroups(hierarchy: Hierarchy, limitCount = CGROUPS_LIMIT_COUNT): Walk {
  const rootId = idAt(hierarchy.root)
  if (rootId === undefined) {
    throw new HullguardError('cgroup_root_unusable', `${hierarchy.root} cannot be read`)
  }
  const cgroups: Cgroup[] = [{ id: rootId, parentId: 0n, path: '/', level: 0 }]
  let skippedCount = 0
  for (let index = 0; index < cgroups.length; index += 1) {
    const parent = cgroups[index]
    if (parent === undefined) break
    for (const name of childNames(join(hierarchy.root, parent.path))) {
      const path = parent.path === '/' ? `/${name}` : `${parent.path}/${name}`
      if (cgroups.length >= limitCount) {
        skippedCount += 1
        continue
      }
      const id = idAt(join(hierarchy.root, path))
      if (id !== undefined) cgroups.push({ id, parentId: parent.id, path, level: parent.level + 1 })
    }
  }
  return { cgroups, skippedCount }
}

function childNames(dir: string): string[] {
  const names: string[] = []
  try {
    const handle = opendirSync(dir)
    try {
      for (let entry = handle.readSync(); entry !== null; entry = handle.readSync()) {
        if (entry.isDirectory()) names.push(entry.name)
      }
    } finally {
      handle.closeSync()
    }
  } catch {} // it went away: so did its children
  return names
}

function idAt(dir: string): bigint | undefined {
  try {
    return lstatSync(dir, { bigint: true }).ino
  } catch {
    return undefined
  }
}

/** Id of the cgroup that is at this path now, or undefined. */
export function cgroupIdAt(hierarchy: Hierarchy, path: string): bigint | undefined {
  return idAt(join(hierarchy.root, path))
}

/** Path of the cgroup with this id, by a walk: for the rare question that the table cannot answer. */
export function cgroupPathOf(hierarchy: Hierarchy, id: bigint): string | undefined {
  return walkCgroups(hierarchy).cgroups.find((cgroup) => cgroup.id === id)?.path
}

/** Pids directly in a cgroup; undefined when it is gone or cannot be read. 0 (a process of an outer pid namespace) is left out. */
export function processesIn(hierarchy: Hierarchy, path: string): number[] | undefined {
  const file = readBounded(join(hierarchy.root, path, 'cgroup.procs'), PROCS_LIMIT_BYTES)
  if (typeof file === 'string') return undefined
  return file.text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0)
}

/** The cgroup path of a process in this hierarchy; undefined when it is gone, unreadable or its cgroup was removed. */
export function cgroupPathOfProcess(
  hierarchy: { controller: string },
  procRoot: string,
  pid: number,
): string | undefined {
  const file = readBounded(join(procRoot, String(pid), 'cgroup'), 64 * 1024)
  if (typeof file === 'string') return undefined
  for (const line of file.text.split('\n')) {
    const first = line.indexOf(':')
    const second = line.indexOf(':', first + 1)
    if (first < 0 || second < 0) continue
    if (
      !line
        .slice(first + 1, second)
        .split(',')
        .includes(hierarchy.controller)
    )
      continue
    const path = line.slice(second + 1)
    // The unified line has no controllers and number 0; a named v1 hierarchy has no number 0.
    if (hierarchy.controller === '' && line.slice(0, first) !== '0') continue
    return path.endsWith(' (deleted)') ? undefined : path
  }
  return undefined
}

/** Field 22 of /proc/PID/stat: start in clock ticks since boot. With the pid it identifies a process. */
export function processStartTicks(procRoot: string, pid: number): bigint | undefined {
  const file = readBounded(join(procRoot, String(pid), 'stat'), 16 * 1024)
  if (typeof file === 'string') return undefined
  // The name may hold spaces and parentheses: fields are counted from the last one.
  const fields = file.text.slice(file.text.lastIndexOf(')') + 2).split(' ')
  const ticks = fields[19]
  return ticks !== undefined && /^\d+$/.test(ticks) ? BigInt(ticks) : undefined
}

/** The host's own PID namespace: PROC_PID_INIT_INO of the kernel's include/linux/proc_ns.h. */
const HOST_PID_NAMESPACE = `pid:[${0xeffffffc}]`

/** Is the process in it? undefined: it is gone. One whose namespaces may not be read counts as one that is. */
export function isInHostPidNamespace(procRoot: string, pid: number): boolean | undefined {
  try {
    return readlinkSync(join(procRoot, String(pid), 'ns', 'pid')) === HOST_PID_NAMESPACE
  } catch (error) {
    return ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '') ? undefined : true
  }
}

/** true when `path` is `top` or lies below it. */
export function isWithin(path: string, top: string): boolean {
  return path === top || top === '/' || (path.startsWith(top) && path.charCodeAt(top.length) === 0x2f)
}
