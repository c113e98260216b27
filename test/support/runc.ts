/**
 * Real containers through runc, each in a cgroup of the tests' own and in its own namespaces. remove() ends the container
 * and leaves neither state nor cgroup behind.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { removeCgroup, testCgroupPath } from './cgroup.js'
import { findCommand, makeTempDir, type RunResult, removeDir, run, runOk, uniqueName } from './process.js'

export interface RuncOptions {
  args: readonly string[]
  rootfs: string
  /** Unique on the machine; made up when absent. */
  id?: string
  /** Below the tests' prefix (testCgroupPath()); made up when absent. */
  cgroupsPath?: string
  /** runc's --root; its default (/run/runc) when absent. */
  root?: string
  env?: readonly string[]
  cwd?: string
  uid?: number
  gid?: number
  memoryLimitBytes?: number
  /** Processes and threads at once. */
  pidsLimitCount?: number
  /** `own`: a network namespace with loopback only (default); `host`: the machine's. */
  network?: 'own' | 'host'
  /** false: no pid namespace of its own, so that pids inside are the host's. */
  pidNamespace?: boolean
  capabilities?: readonly string[]
  /** false: files may give their process a user or capabilities, as in Docker's containers. */
  noNewPrivileges?: boolean
  mounts?: readonly { source: string; destination: string; readonly?: boolean }[]
  annotations?: Readonly<Record<string, string>>
}

const DEFAULT_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
]

export class RuncContainer {
  constructor(
    readonly id: string,
    readonly bundle: string,
    readonly cgroupPath: string,
    readonly rootfs: string,
    readonly root: string | undefined,
  ) {}

  /** Init's pid on the host. */
  get pid(): number {
    return Number(readFileSync(join(this.bundle, 'pid'), 'utf8'))
  }

  /** What the detached init has written so far. */
  get stdout(): string {
    return readFileSync(join(this.bundle, 'stdout'), 'utf8')
  }

  get stderr(): string {
    return readFileSync(join(this.bundle, 'stderr'), 'utf8')
  }

  exec(args: readonly string[], options: { timeoutMs?: number; input?: string } = {}): Promise<RunResult> {
    return run('runc', [...this.#global(), 'exec', this.id, ...args], options)
  }

  /** A process in the container that the caller ends or waits for; stdin is a pipe. */
  execSpawn(args: readonly string[], stdio: StdioOptions = 'pipe'): ChildProcess {
    return spawn(findCommand('runc') ?? 'runc', [...this.#global(), 'exec', this.id, ...args], { stdio })
  }

  async kill(signal: string): Promise<void> {
    await runOk('runc', [...this.#global(), 'kill', this.id, signal])
  }

  async start(): Promise<void> {
    await runOk('runc', [...this.#global(), 'start', this.id])
  }

  async delete(): Promise<void> {
    await runOk('runc', [...this.#global(), 'delete', '--force', this.id])
  }

  /** Ends the container whatever its state; removes its state, cgroups and bundle. */
  async remove(): Promise<void> {
    await run('runc', [...this.#global(), 'delete', '--force', this.id])
    await removeCgroup(this.cgroupPath)
    removeDir(this.bundle)
  }

  #global(): string[] {
    return this.root === undefined ? [] : ['--root', this.root]
  }
}

/** Starts a container and returns once its init runs (`runc run --detach`). */
export async function runcRun(options: RuncOptions): Promise<RuncContainer> {
  return launch(options, 'run')
}

/** `runc create`: the container waits in phase setup until start(). */
export async function runcCreate(options: RuncOptions): Promise<RuncContainer> {
  return launch(options, 'create')
}

/** Runs a container to its end and removes it. */
export async function runcRunToEnd(options: RuncOptions, timeoutMs = 60_000): Promise<RunResult> {
  const container = prepare(options)
  const args = options.root === undefined ? [] : ['--root', options.root]
  try {
    return await run('runc', [...args, 'run', '--bundle', container.bundle, container.id], { timeoutMs })
  } finally {
    await container.remove()
  }
}

async function launch(options: RuncOptions, verb: 'run' | 'create'): Promise<RuncContainer> {
  const container = prepare(options)
  const args = options.root === undefined ? [] : ['--root', options.root]
  args.push(verb, ...(verb === 'run' ? ['--detach'] : []), '--bundle', container.bundle)
  args.push('--pid-file', join(container.bundle, 'pid'), container.id)
  // The container keeps runc's stdio: files, since a pipe would hold the caller until the container ends.
  const files = ['stdout', 'stderr'].map((name) => openSync(join(container.bundle, name), 'a'))
  try {
    await new Promise<void>((resolve, reject) => {
      const child = spawn(findCommand('runc') ?? 'runc', args, {
        stdio: ['ignore', files[0], files[1]],
        timeout: 180_000,
      })
      child.on('error', reject)
      child.on('exit', (code, signal) => {
        if (code === 0) resolve()
        else reject(new Error(`runc ${args.join(' ')}: ${signal ?? `exit status ${code}`}\n${container.stderr}`))
      })
    })
  } catch (error) {
    await container.remove()
    throw error
  } finally {
    for (const file of files) closeSync(file)
  }
  return container
}

function prepare(options: RuncOptions): RuncContainer {
  const id = options.id ?? uniqueName('hullguard-test')
  const cgroupPath = options.cgroupsPath ?? testCgroupPath(id)
  const bundle = makeTempDir('hullguard-test-bundle')
  if (options.root !== undefined) mkdirSync(options.root, { recursive: true })
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec(options, cgroupPath), undefined, 1))
  return new RuncContainer(id, bundle, cgroupPath, options.rootfs, options.root)
}

function spec(options: RuncOptions, cgroupsPath: string): object {
  const capabilities = options.capabilities ?? DEFAULT_CAPABILITIES
  const namespaces = ['ipc', 'uts', 'mount']
  if (options.pidNamespace !== false) namespaces.push('pid')
  if (options.network !== 'host') namespaces.push('network')
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: options.uid ?? 0, gid: options.gid ?? 0 },
      args: options.args,
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', ...(options.env ?? [])],
      cwd: options.cwd ?? '/',
      // No rlimits: raising a hard limit needs CAP_SYS_RESOURCE, which a test machine may lack.
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: options.noNewPrivileges ?? true,
    },
    root: { path: options.rootfs, readonly: false },
    hostname: 'hullguard-test',
    annotations: options.annotations ?? {},
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777'] },
      ...(options.mounts ?? []).map((mount) => ({
        destination: mount.destination,
        type: 'bind',
        source: mount.source,
        options: mount.readonly === true ? ['rbind', 'ro'] : ['rbind'],
      })),
    ],
    linux: {
      cgroupsPath,
      namespaces: namespaces.map((type) => ({ type })),
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        ...(options.memoryLimitBytes === undefined ? {} : { memory: { limit: options.memoryLimitBytes } }),
        ...(options.pidsLimitCount === undefined ? {} : { pids: { limit: options.pidsLimitCount } }),
      },
      maskedPaths: ['/proc/kcore', '/proc/keys'],
      readonlyPaths: ['/proc/sys', '/proc/sysrq-trigger'],
    },
  }
}
