/**
 * Cgroups of tests: made and removed in every mounted hierarchy, on v1, hybrid and v2 hosts. Refuses to touch a cgroup
 * that does not carry the tests' own prefix, so that a mistake in a test cannot reach anything else on the machine.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { uniqueName } from './process.js'

/** First component of every cgroup that tests make; containers of a test's own dockerd are dockerd's to remove. */
const PREFIX = '/hullguard-test-'

interface Mounts {
  /** Mount point of the hierarchy by which containers are identified: cgroup v2 where there is one, else v1 memory. */
  identity: string
  kind: 'v2' | 'hybrid' | 'v1'
  /** Mount point of the memory controller's hierarchy. */
  memory: string
  all: string[]
}

export function cgroupMounts(): Mounts {
  const all: string[] = []
  let v2: string | undefined
  let memory: string | undefined
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, point, type, options] = line.split(' ')
    if (point === undefined || !point.startsWith('/sys/fs/cgroup')) continue
    if (type === 'cgroup2') v2 = point
    else if (type !== 'cgroup') continue
    else if (options?.split(',').includes('memory') === true) memory = point
    all.push(point)
  }
  const identity = v2 ?? memory
  if (identity === undefined) throw new Error('no cgroup hierarchy is mounted below /sys/fs/cgroup')
  return {
    identity,
    kind: v2 === undefined ? 'v1' : memory === undefined ? 'v2' : 'hybrid',
    memory: memory ?? identity,
    all,
  }
}

/** A path for `cgroupsPath` or makeCgroup(), unused so far. */
export function testCgroupPath(name = 'c'): string {
  return `/${uniqueName(PREFIX.slice(1, -1))}/${name}`
}

/** Makes the cgroup in the identity hierarchy only; returns its directory. */
export function makeCgroup(path: string): string {
  check(path)
  const dir = join(cgroupMounts().identity, path)
  mkdirSync(dir, { recursive: true })
  return dir
}

/** The kernel's 64-bit id of a cgroup: the inode number of its directory. */
export function cgroupId(path: string): bigint {
  return statSync(join(cgroupMounts().identity, path), { bigint: true }).ino
}

export function moveToCgroup(path: string, pid: number): void {
  check(path)
  writeFileSync(join(cgroupMounts().identity, path, 'cgroup.procs'), String(pid))
}

export function cgroupPids(path: string): number[] {
  const text = readFileSync(join(cgroupMounts().identity, path, 'cgroup.procs'), 'utf8')
  return text.split('\n').filter(Boolean).map(Number)
}

/** How many forks the cgroup's bound of processes has refused (pids.events). */
export function pidsRefused(path: string): number {
  const dir = cgroupMounts().all.find((mount) => existsSync(join(mount, path, 'pids.events')))
  if (dir === undefined) throw new Error(`cgroup ${path} has no pids controller`)
  return Number(/^max (\d+)/m.exec(readFileSync(join(dir, path, 'pids.events'), 'utf8'))?.[1])
}

/** Kills what still runs there and removes the cgroup, those below it, and its test-made parent, in every hierarchy. */
export async function removeCgroup(path: string): Promise<void> {
  check(path)
  const top = `/${path.split('/')[1]}`
  for (const mount of cgroupMounts().all) {
    if (existsSync(join(mount, path))) await removeTree(join(mount, path))
    for (let dir = dirname(path); dir.startsWith(top); dir = dirname(dir)) {
      try {
        rmdirSync(join(mount, dir))
      } catch {
        break // not empty: another cgroup of the same test lives there
      }
    }
  }
}

async function removeTree(dir: string): Promise<void> {
  for (let round = 0; ; round += 1) {
    for (const child of directoriesBottomUp(dir)) {
      for (const pid of pidsIn(child)) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {} // ended meanwhile
      }
      try {
        rmdirSync(child)
      } catch {} // a killed task leaves its cgroup a moment later: tried again
    }
    if (!existsSync(dir)) return
    if (round === 100) throw new Error(`cgroup ${dir} cannot be removed: still holds ${pidsIn(dir).join(', ')}`)
    await sleep(20)
  }
}

function directoriesBottomUp(dir: string): string[] {
  const found: string[] = []
  try {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.isDirectory()) found.push(...directoriesBottomUp(join(dir, entry.name)))
    }
  } catch {}
  found.push(dir)
  return found
}

function pidsIn(dir: string): number[] {
  try {
    // 0 stands for a process of another pid namespace: never a target of kill().
    return readFileSync(join(dir, 'cgroup.procs'), 'utf8')
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 1)
  } catch {
    return []
  }
}

function check(path: string): void {
  if (!path.startsWith(PREFIX) || path.split('/').includes('..')) {
    throw new Error(`expected a cgroup path below ${PREFIX}*, received \`${path}\``)
  }
}
