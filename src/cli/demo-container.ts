/**
 * The demo's disposable container: a busybox root file system under Docker when a daemon answers, else under runc. Its one
 * program acts on words from its standard input and says how each went. It has no network but its own loopback and a memory
 * limit, so that it does no harm even when nothing stops it. Everything made here is gone after remove().
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, chmodSync, constants, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { HullguardError } from '../telemetry/errors.js'

export interface Experience {
  /** Exit status as the container's shell saw it: 137 is SIGKILL. */
  status: number
  /** First line of what the command printed. */
  said: string
}

export interface DemoContainer {
  readonly name: string
  readonly engine: 'docker' | 'runc'
  readonly image: string
  /** Lets the container's program carry out one word of PROGRAM. */
  act(word: string): Promise<Experience>
  remove(): Promise<void>
}

export interface DemoContainerOptions {
  name: string
  /** Bundle, root file system and runc's state go here; the caller removes it. */
  dir: string
  dockerSocket: string
}

/** 4 times what the policy allows: above the rule, and still nothing to a host. */
const MEMORY_LIMIT_BYTES = 256 * 1024 * 1024
/** Making an image takes a second; a loaded host gets a minute. */
const COMMAND_MS = 60_000
const DOCKER_ANSWER_MS = 5_000
const END_MS = 10_000
/** Each command in PROGRAM ends by itself within 15 s. */
const ACT_MS = 30_000
const SIGKILL_STATUS = 137
const APPLETS = ['sh', 'httpd', 'wget', 'nc', 'dmesg', 'dd', 'timeout', 'head']
/** Debian keeps runc in sbin, which a login's PATH may lack. */
const SEARCH_DIRS = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

const PROGRAM = `#!/bin/sh
# Reads one word a line and answers \`WORD STATUS FIRST-LINE\`.
while read -r word; do
  case $word in
    serve) said=$(httpd -p 127.0.0.1:8080 -h /srv 2>&1) ;;
    fetch) said=$(timeout 5 wget -q -O - http://127.0.0.1:8080/ 2>&1) ;;
    look) said=$(dmesg 2>&1 | head -n 1) ;;
    tool) said=$(nc -w 5 127.0.0.1 8080 </etc/passwd 2>&1) ;;
    call) said=$(timeout 5 wget -q -O - http://169.254.169.254/ 2>&1) ;;
    grow) said=$(timeout 15 dd if=/dev/zero of=/dev/null bs=128M 2>&1) ;;
    *) said=unknown; false ;;
  esac
  status=$?
  printf '%s %s %s\\n' "$word" "$status" "\${said%%
*}"
done
`

export function findProgram(name: string): string | undefined {
  for (const dir of SEARCH_DIRS) {
    const path = join(dir, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {} // looked for elsewhere
  }
  return undefined
}

export async function isDockerThere(socket: string): Promise<boolean> {
  if (findProgram('docker') === undefined) return false
  try {
    await runCommand(
      'docker',
      ['-H', `unix://${socket}`, 'version', '--format', '{{.Server.Version}}'],
      DOCKER_ANSWER_MS,
    )
    return true
  } catch {
    return false
  }
}

export async function startContainer(options: DemoContainerOptions): Promise<DemoContainer> {
  const rootfs = makeRootfs(join(options.dir, 'rootfs'))
  return (await isDockerThere(options.dockerSocket)) ? startDocker(options, rootfs) : startRunc(options, rootfs)
}

function makeRootfs(dir: string): string {
  const busybox = findProgram('busybox')
  if (busybox === undefined) throw new HullguardError('demo_needs', 'busybox is not installed')
  for (const name of ['bin', 'dev', 'etc', 'proc', 'srv', 'sys', 'tmp']) mkdirSync(join(dir, name), { recursive: true })
  copyFileSync(busybox, join(dir, 'bin/busybox'))
  chmodSync(join(dir, 'bin/busybox'), 0o755)
  for (const applet of APPLETS) symlinkSync('busybox', join(dir, 'bin', applet))
  writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  writeFileSync(join(dir, 'srv/index.html'), 'hello\n')
  writeFileSync(join(dir, 'program'), PROGRAM)
  chmodSync(join(dir, 'program'), 0o755)
  return dir
}

async function startDocker({ name, dir, dockerSocket }: DemoContainerOptions, rootfs: string): Promise<DemoContainer> {
  const docker = (...args: string[]) => runCommand('docker', ['-H', `unix://${dockerSocket}`, ...args], COMMAND_MS)
  const image = `${name}:latest`
  const removeImage = () => docker('image', 'rm', '--force', image).catch(() => {})
  try {
    const archive = join(dir, 'image.tar')
    await runCommand('tar', ['-C', rootfs, '-cf', archive, '.'], COMMAND_MS)
    await docker('import', archive, image)
  } catch (error) {
    await removeImage()
    throw error
  }
  const limit = String(MEMORY_LIMIT_BYTES)
  const args = ['run', '--interactive', '--name', name, '--network', 'none', '--memory', limit, image, '/program']
  const child = spawnEngine('docker', ['-H', `unix://${dockerSocket}`, ...args])
  return withProgram({ name, engine: 'docker', image }, child, async () => {
    await docker('rm', '--force', '--volumes', name).catch(() => {})
    await removeImage()
  })
}

async function startRunc({ name, dir }: DemoContainerOptions, rootfs: string): Promise<DemoContainer> {
  const root = runcRoot(dir)
  const bundle = join(dir, 'bundle')
  mkdirSync(bundle)
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(runcSpec(name, rootfs)))
  const child = spawnEngine('runc', ['--root', root, 'run', '--bundle', bundle, name])
  return withProgram({ name, engine: 'runc', image: 'busybox' }, child, async () => {
    await runCommand('runc', ['--root', root, 'delete', '--force', name], COMMAND_MS).catch(() => {})
  })
}

/** Own state directory: an agent that really watches this host takes no notice of the demo. */
export function runcRoot(dir: string): string {
  return join(dir, 'runc')
}

function runcSpec(name: string, rootfs: string): object {
  const capabilities = ['CAP_NET_BIND_SERVICE', 'CAP_KILL']
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ['/program'],
      env: ['PATH=/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    root: { path: rootfs, readonly: true },
    hostname: 'demo',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
    ],
    linux: {
      cgroupsPath: `/${name}`,
      namespaces: ['ipc', 'uts', 'mount', 'pid', 'network'].map((type) => ({ type })),
      resources: { devices: [{ allow: false, access: 'rwm' }], memory: { limit: MEMORY_LIMIT_BYTES } },
    },
  }
}

/** In a process group of its own: Ctrl-C at the terminal reaches the demo only, which cleans up in order. */
function spawnEngine(command: string, args: readonly string[]): ChildProcess {
  return spawn(findProgram(command) ?? command, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
}

function withProgram(
  facts: Pick<DemoContainer, 'name' | 'engine' | 'image'>,
  child: ChildProcess,
  removeFromEngine: () => Promise<void>,
): DemoContainer {
  let complaint = ''
  let waiting: { word: string; resolve(experience: Experience): void; reject(error: Error): void } | undefined
  let isEnded = false
  const ended = new Promise<void>((resolve) => {
    const end = (how: string) => {
      isEnded = true
      waiting?.reject(new HullguardError('demo_container', `the container ended (${how}): ${complaint.trim()}`))
      resolve()
    }
    child.once('error', (error) => end(error.message))
    child.once('close', (code, signal) => end(signal ?? `exit code ${code}`))
  })
  child.stdin?.on('error', () => {}) // seen as its end
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk.toString()}`.slice(-2000)
  })
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on('line', (line) => {
      const match = /^(\w+) (\d+) (.*)$/.exec(line)
      if (waiting === undefined || match?.[1] !== waiting.word) return
      waiting.resolve({ status: Number(match[2]), said: match[3] ?? '' })
    })
  return {
    ...facts,
    async act(word) {
      if (isEnded) throw new HullguardError('demo_container', `the container has ended: ${complaint.trim()}`)
      let timer: NodeJS.Timeout | undefined
      try {
        return await new Promise<Experience>((resolve, reject) => {
          waiting = { word, resolve, reject }
          timer = setTimeout(() => reject(new HullguardError('demo_container', `no answer to \`${word}\``)), ACT_MS)
          child.stdin?.write(`${word}\n`)
        })
      } finally {
        clearTimeout(timer)
        waiting = undefined
      }
    },
    async remove() {
      await removeFromEngine()
      const timer = setTimeout(() => child.kill('SIGKILL'), END_MS)
      if (!isEnded) await ended
      clearTimeout(timer)
    },
  }
}

export function wasKilled({ status }: Experience): boolean {
  return status === SIGKILL_STATUS
}

function runCommand(command: string, args: readonly string[], timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(findProgram(command) ?? command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(-2000)
    })
    const fail = (how: string) =>
      reject(new HullguardError('demo_container', `${command} ${args.join(' ')}: ${how} ${said.trim()}`))
    child.once('error', (error) => fail(error.message))
    child.once('close', (code, signal) => (code === 0 ? resolve() : fail(signal ?? `exit code ${code}:`)))
  })
}
