/** Readings of a container's cgroup files: processor time and number of tasks, on v2 and on v1's own hierarchies. */
import { dirname, join } from 'node:path'
import { readBounded } from '../../container/bounded-file.js'
import { cgroupPathOfProcess, type Hierarchy } from '../../container/cgroup-fs.js'
import type { Identity } from '../../container/identity.js'

const FILE_LIMIT_BYTES = 4096
/** USER_HZ of every architecture that is supported: 100 ticks a second (times(2)). */
const NS_PER_TICK = 10_000_000

export class ResourceReadings {
  readonly #hierarchy: Hierarchy
  readonly #procRoot: string

  constructor(hierarchy: Hierarchy, procRoot = '/proc') {
    this.#hierarchy = hierarchy
    this.#procRoot = procRoot
  }

  /** Of all tasks below it since it was made; undefined: it cannot be read. */
  cpuNs(identity: Identity): bigint | undefined {
    if (this.#hierarchy.kind !== 'v2') return wholeNumber(this.#read(identity, 'cpuacct', 'cpuacct.usage'))
    const usec = /^usage_usec (\d+)$/m.exec(this.#read(identity, '', 'cpu.stat') ?? '')?.[1]
    return usec === undefined ? undefined : BigInt(usec) * 1000n
  }

  /** Processes and threads below it. */
  tasksCount(identity: Identity): number | undefined {
    const controller = this.#hierarchy.kind === 'v2' ? '' : 'pids'
    const count = wholeNumber(this.#read(identity, controller, 'pids.current'))
    return count === undefined ? undefined : Number(count)
  }

  /** Processor time that a process has used; 0 for one that is gone. */
  processCpuNs(pid: number): number {
    const file = readBounded(join(this.#procRoot, String(pid), 'stat'), FILE_LIMIT_BYTES)
    if (typeof file === 'string') return 0
    // The name may hold spaces and parentheses: fields are counted from the last one. utime and stime are 14 and 15.
    const fields = file.text.slice(file.text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * NS_PER_TICK
  }

  #read(identity: Identity, controller: string, name: string): string | undefined {
    const { root } = this.#hierarchy
    const mount = controller === '' ? root : join(dirname(root), controller)
    const file = readBounded(join(mount, this.#pathIn(identity, controller), name), FILE_LIMIT_BYTES)
    return typeof file === 'string' ? undefined : file.text
  }

  /** The runtimes use one path in all hierarchies; the container's first process says where that is not so. */
  #pathIn(identity: Identity, controller: string): string {
    if (controller === '' || identity.initPid === undefined) return identity.cgroupPath
    return cgroupPathOfProcess({ controller }, this.#procRoot, identity.initPid) ?? identity.cgroupPath
  }
}

function wholeNumber(text: string | undefined): bigint | undefined {
  const digits = text?.trim() ?? ''
  return /^\d{1,20}$/.test(digits) ? BigInt(digits) : undefined
}
