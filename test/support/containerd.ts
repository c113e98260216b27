/**
 * A containerd of the test's own (own root, state and socket). Its shims keep runc's state in the fixed directory
 * /run/containerd/runc/<namespace>, so the namespace is the test's own too. stop() ends what it started.
 */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { removeCgroup } from './cgroup.js'
import { unmountBelow } from './dockerd.js'
import {
  endProcess,
  endWithUs,
  findCommand,
  makeTempDir,
  pidsWithCommandLine,
  type RunOptions,
  removeDir,
  run,
  runOk,
  uniqueName,
  waitFor,
} from './process.js'

export interface ContainerdOptions {
  /** true: with the CRI plugin (it needs a pause image). */
  cri?: boolean
}

export class Containerd {
  readonly socket: string

  constructor(
    readonly dir: string,
    readonly pid: number,
    readonly namespace: string,
    private readonly release: () => void,
  ) {
    this.socket = join(dir, 'c.sock')
  }

  /** The ctr command line against this daemon, in the test's namespace. */
  ctr(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return runOk('ctr', ['--address', this.socket, '--namespace', this.namespace, ...args], options)
  }

  async stop(): Promise<void> {
    const list = await run('ctr', ['--address', this.socket, '--namespace', this.namespace, 'tasks', 'ls', '-q'])
    for (const id of list.stdout.split('\n').filter(Boolean)) {
      await run('ctr', ['--address', this.socket, '--namespace', this.namespace, 'tasks', 'rm', '--force', id])
    }
    await endProcess(this.pid)
    for (const pid of pidsWithCommandLine(`${this.dir}/`)) await endProcess(pid, 5_000)
    await unmountBelow(this.dir)
    await removeCgroup(`/${this.namespace}`) // ctr's containers live in /NAMESPACE/ID
    try {
      rmdirSync(join('/run/containerd/runc', this.namespace))
    } catch {} // there is none when no container ran
    this.release()
    removeDir(this.dir)
  }
}

export async function startContainerd(
  dir = makeTempDir('hullguard-ctrd'),
  options: ContainerdOptions = {},
): Promise<Containerd> {
  mkdirSync(dir, { recursive: true })
  const config = join(dir, 'config.toml')
  writeFileSync(
    config,
    `version = 2\n${options.cri === true ? '' : 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'}`,
  )
  const log = openSync(join(dir, 'log'), 'a')
  const args = [
    '--config',
    config,
    '--root',
    join(dir, 'root'),
    '--state',
    join(dir, 'state'),
    '--address',
    join(dir, 'c.sock'),
  ]
  const child = spawn(findCommand('containerd') ?? 'containerd', args, { stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  child.on('error', () => {}) // seen below as a daemon that does not run
  const daemon = new Containerd(dir, child.pid ?? 0, uniqueName('hullguard-test'), endWithUs(child))
  try {
    await waitFor(
      'containerd to answer',
      async () => {
        if (child.pid === undefined || child.exitCode !== null) throw new Error('containerd ended')
        return (await run('ctr', ['--address', daemon.socket, 'version'], { timeoutMs: 10_000 })).code === 0
      },
      60_000,
    )
  } catch (error) {
    const text = readFileSync(join(dir, 'log'), 'utf8').slice(-2000)
    if (child.pid !== undefined) await daemon.stop()
    throw new Error(`containerd did not start: ${error instanceof Error ? error.message : error}\n${text}`)
  }
  return daemon
}
