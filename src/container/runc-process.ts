/**
 * The earliest word there is on a container: the runtime process that makes its cgroup. runc and the runtimes that take its
 * command line (`runc [--root R] create|run --bundle B ID`) write their state file only later, about when the
 * container's first exec comes; the process itself, asked while it makes the directory, says id, bundle and cgroup path at once.
 *
 * Believed only when the process is root's, runs in the host's mount namespace from a file named like a runtime, belongs to no
 * container, has made its state directory, and its bundle names exactly this cgroup. Anything else is no claim: the state
 * files are asked as ever. Reads a handful of small files once per cgroup that a runtime makes.
 */
import { readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { readBounded } from './bounded-file.js'
import { objectAt, parseObject, stringAt } from './json-value.js'
import { bundleFacts, type RuncClaim } from './runc.js'

const RUNTIME_NAMES = new Set(['runc', 'crun', 'youki', 'docker-runc', 'nvidia-container-runtime'])
const DEFAULT_ROOTS: Readonly<Record<string, string>> = { runc: '/run/runc', crun: '/run/crun', youki: '/run/youki' }

interface CommandLine {
  id: string
  root: string | undefined
  bundle: string | undefined
}

export interface RuntimeProcessOptions {
  procRoot: string
  hostRoot: string
  /** Whether a process lies in a container, as far as is known. */
  isInContainer: (pid: number) => boolean
}

/** What the process that made `cgroupPath` says of it. */
export function claimOfCreator(pid: number, cgroupPath: string, options: RuntimeProcessOptions): RuncClaim | undefined {
  const { procRoot, hostRoot } = options
  const proc = join(procRoot, String(pid))
  try {
    const program = basename(readlinkSync(join(proc, 'exe')))
    if (!RUNTIME_NAMES.has(program) || options.isInContainer(pid)) return undefined
    if (statSync(proc).uid !== 0) return undefined
    if (readlinkSync(join(proc, 'ns/mnt')) !== hostMountNamespace(procRoot)) return undefined
    const line = parseCommandLine(readFileSync(join(proc, 'cmdline'), 'utf8').split('\0').slice(0, -1))
    if (line === undefined) return undefined
    const cwd = readlinkSync(join(proc, 'cwd'))
    const root = resolve(cwd, line.root ?? DEFAULT_ROOTS[program] ?? '/run/runc')
    const state = statSync(join(hostRoot, root, line.id))
    if (!state.isDirectory() || state.uid !== 0) return undefined
    const bundle = resolve(cwd, line.bundle ?? '.')
    const file = readBounded(join(hostRoot, bundle, 'config.json'), undefined, 0)
    const spec = typeof file === 'string' ? undefined : parseObject(file.text)
    if (spec === undefined || !namesCgroup(stringAt(objectAt(spec, 'linux'), 'cgroupsPath'), line.id, cgroupPath))
      return undefined
    return bundleFacts({ id: line.id, cgroupPath, root, spec })
  } catch {
    return undefined // it has ended, or lies where this process cannot look
  }
}

/** Of the host's init; an agent that may not look there (fewer capabilities than init) takes its own for the host's. */
function hostMountNamespace(procRoot: string): string {
  try {
    return readlinkSync(join(procRoot, '1/ns/mnt'))
  } catch {
    return readlinkSync('/proc/self/ns/mnt')
  }
}

/** Exactly this cgroup, not one on the way to it. A systemd path (`slice:prefix:name`) is made by systemd, never by the runtime. */
function namesCgroup(cgroupsPath: string, id: string, cgroupPath: string): boolean {
  if (cgroupsPath === '') return basename(cgroupPath) === id
  if (cgroupsPath.includes(':')) return false
  const clean = resolve('/', cgroupsPath)
  return isAbsolute(cgroupsPath) ? cgroupPath === clean : cgroupPath.endsWith(clean)
}

/** Options of runc that take a value in the next argument, before and after the command. */
const VALUED = new Set([
  '--root',
  '--log',
  '--log-format',
  '--criu',
  '--rootless',
  '--bundle',
  '-b',
  '--console-socket',
  '--pid-file',
  '--preserve-fds',
])

/** undefined: not a call that makes a container. */
export function parseCommandLine(args: readonly string[]): CommandLine | undefined {
  const values = new Map<string, string>()
  const words: string[] = []
  for (let index = 1; index < args.length; index++) {
    const arg = args[index] ?? ''
    if (!arg.startsWith('-')) {
      words.push(arg)
      continue
    }
    const [flag = '', ...rest] = arg.replace(/^-(?=[a-z-]{2,})-?/, '--').split('=')
    if (rest.length > 0) values.set(flag, rest.join('='))
    else if (VALUED.has(flag)) values.set(flag, args[++index] ?? '')
  }
  const [command, id] = words
  if ((command !== 'create' && command !== 'run') || id === undefined || id === '' || id.includes('/')) return undefined
  return { id, root: values.get('--root'), bundle: values.get('--bundle') ?? values.get('-b') }
}
