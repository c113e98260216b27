/**
 * A dockerd of the test's own: own data root, exec root, socket and pid file, so that it neither sees nor disturbs another.
 * No bridge and no iptables unless asked for, and then a bridge of its own: the machine's network stays as it was.
 * stop() ends the containers, the daemon and its containerd, and unmounts what they left.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import {
  endProcess,
  endWithUs,
  findCommand,
  isAlive,
  makeTempDir,
  pidsWithCommandLine,
  type RunOptions,
  type RunResult,
  removeDir,
  run,
  runOk,
  waitFor,
} from './process.js'
import { makeRootfs, type RootfsOptions } from './rootfs.js'

export interface DockerdOptions {
  /** true: containers get a network of their own bridge, without a way out of the machine. Else they have loopback only. */
  bridge?: boolean
  args?: readonly string[]
}

const START_TIMEOUT_MS = 120_000

export class Dockerd {
  readonly socket: string
  readonly dataRoot: string
  readonly execRoot: string

  constructor(
    readonly dir: string,
    readonly pid: number,
    readonly bridge: string | undefined,
    private readonly release: () => void,
  ) {
    this.socket = join(dir, 'docker.sock')
    this.dataRoot = join(dir, 'data')
    this.execRoot = join(dir, 'exec')
  }

  /** The docker command line against this daemon; rejects when it fails. */
  docker(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return runOk('docker', ['-H', `unix://${this.socket}`, ...args], options)
  }

  /** As docker(), for commands that may fail. */
  tryDocker(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run('docker', ['-H', `unix://${this.socket}`, ...args], options)
  }

  /** Makes an image from a busybox rootfs (no registry is needed); returns the image id (sha256:…). */
  async import(tag: string, options: RootfsOptions & { rootfs?: string } = {}): Promise<string> {
    const dir = options.rootfs ?? (await makeRootfs(makeTempDir('hullguard-test-image'), options))
    const archive = join(this.dir, 'image.tar')
    try {
      await runOk('tar', ['-C', dir, '-cf', archive, '.'])
      return (await this.docker(['import', archive, tag])).trim()
    } finally {
      removeDir(archive)
      if (options.rootfs === undefined) removeDir(dir)
    }
  }

  /** `docker run --detach`; returns the 64-digit id. */
  async start(args: readonly string[]): Promise<string> {
    return (await this.docker(['run', '--detach', ...args])).trim()
  }

  async stop(): Promise<void> {
    if (isAlive(this.pid)) {
      const ids = await this.tryDocker(['ps', '--all', '--quiet'])
      const list = ids.stdout.split('\n').filter(Boolean)
      if (list.length > 0) await this.tryDocker(['rm', '--force', '--volumes', ...list])
    }
    await endProcess(this.pid, 20_000)
    // Shims and containerd outlive a dockerd that had to be killed. Their command lines name this test's directory.
    for (const pid of pidsWithCommandLine(`${this.dir}/`)) await endProcess(pid, 5_000)
    await unmountBelow(this.dir)
    if (this.bridge !== undefined) await run('ip', ['link', 'delete', this.bridge])
    this.release()
    removeDir(this.dir)
  }
}

/** Starts a dockerd and waits until it answers. `dir` must be short (a socket's path ends at 107 bytes) and unused. */
export async function startDockerd(
  dir = makeTempDir('hullguard-dockerd'),
  options: DockerdOptions = {},
): Promise<Dockerd> {
  mkdirSync(dir, { recursive: true })
  const bridge = options.bridge === true ? await makeBridge() : undefined
  const log = openSync(join(dir, 'log'), 'a')
  const args = [
    '--data-root',
    join(dir, 'data'),
    '--exec-root',
    join(dir, 'exec'),
    '-H',
    `unix://${join(dir, 'docker.sock')}`,
  ]
  args.push('--pidfile', join(dir, 'pid'), '--bridge', bridge ?? 'none', '--iptables=false', '--ip6tables=false')
  args.push('--ip-forward=false', '--ip-masq=false', '--userland-proxy=false', ...(options.args ?? []))
  const child = spawn(findCommand('dockerd') ?? 'dockerd', args, { stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  const release = endWithUs(child)
  child.on('error', () => {}) // seen below as a daemon that does not run
  const daemon = new Dockerd(dir, child.pid ?? 0, bridge, release)
  try {
    await waitFor(
      'dockerd to answer',
      () => {
        if (child.pid === undefined || child.exitCode !== null) throw new Error('dockerd ended')
        return answers(daemon.socket)
      },
      START_TIMEOUT_MS,
    )
  } catch (error) {
    const text = existsSync(join(dir, 'log')) ? readFileSync(join(dir, 'log'), 'utf8').slice(-2000) : ''
    if (child.pid !== undefined) await daemon.stop()
    throw new Error(`dockerd did not start: ${error instanceof Error ? error.message : error}\n${text}`)
  }
  return daemon
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ socketPath, path: '/_ping', timeout: 2_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    ping.on('timeout', () => ping.destroy())
    ping.on('error', () => resolve(false))
    ping.end()
  })
}

/** A bridge with an address range that nothing on this machine uses (10.231.0.0/16 is private and rarely taken). */
async function makeBridge(): Promise<string> {
  const taken = await runOk('ip', ['-4', 'addr'])
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const number = (process.pid + attempt) % 250
    if (taken.includes(`10.231.${number}.`)) continue
    const name = `hgtest${number}`
    if ((await run('ip', ['link', 'add', name, 'type', 'bridge'])).code !== 0) continue
    await runOk('ip', ['addr', 'add', `10.231.${number}.1/24`, 'dev', name])
    await runOk('ip', ['link', 'set', name, 'up'])
    return name
  }
  throw new Error('no address range in 10.231.0.0/16 is free for a bridge')
}

/** Unmounts everything below a directory of the test, the deepest first. */
export async function unmountBelow(dir: string): Promise<void> {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${dir}/`))
    .sort((a, b) => b.length - a.length)
  for (const point of points) await run('umount', ['--lazy', point])
}
