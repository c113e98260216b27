/**
 * A test's event as the kernel would have reported it: bytes of the ring, so that everything behind it is the real thing.
 * What a test does not say gets what a plain act has: it succeeded, through the usual call.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { capabilityNumber } from '../../policy/capabilities.js'
import type { TestEvent } from '../../policy/model.js'
import { parseHost } from '../../policy/net-pattern.js'
import { syscallNumber } from '../../policy/syscalls.js'
import { CALL_KINDS, type CallKind } from '../../record/call-model.js'
import { buildEvent, enumNumber, type FieldInput } from '../../sensor/event-builder.js'
import { argumentNumber } from '../event/call-arguments.js'
import { TestFault, TestValues } from './test-values.js'

/** Who acts in a test: the event's header, and the process table's entry of it. */
export interface Actor {
  pid: number
  startNs: bigint
  parentPid: number
  parentStartNs: bigint
  exe: string
  invoked: string
  args: readonly string[]
  cwd: string
  uid: number
  gid: number
  comm: string
  /** `NAME=value` each. */
  env: readonly string[]
  /** Of the terminal; 0: none. */
  tty: number
}

const text = (value: string) => Buffer.from(value, 'utf8')
const BOOT_NS = 1_000_000_000n
/** Without the NUL behind it. */
const COMM_BYTES_MAX = 15

/** Throws TestFault when the event cannot be made up. */
export function eventBytes({ kind, body, setup }: TestEvent, actor: Actor, cgroupId: bigint): Uint8Array<ArrayBuffer> {
  const values = new TestValues(body, kind)
  const header: Record<string, FieldInput> = {
    boot_ns: BOOT_NS,
    cgroup_id: cgroupId,
    pid: actor.pid,
    tid: actor.pid,
    start_ns: actor.startNs,
    uid: actor.uid,
    gid: actor.gid,
    phase: setup ? enumNumber('hg_phase', 'HG_PHASE_SETUP') : enumNumber('hg_phase', 'HG_PHASE_RUN'),
    program_version: 1,
  }
  const made = make(kind, values, header, actor)
  values.done()
  return made
}

function make(
  kind: string,
  values: TestValues,
  header: Record<string, FieldInput>,
  actor: Actor,
): Uint8Array<ArrayBuffer> {
  if (kind === 'exec') return execEvent(values, header, actor)
  if (kind === 'connect') return connectEvent(values, header)
  if (kind === 'syscall') return syscallEvent(values, header)
  if (kind === 'fork')
    return buildEvent('ev_fork', {
      ...withKind(header, 'FORK'),
      child_pid: values.number('child_pid', actor.pid + 1),
      child_start_ns: actor.startNs + 1n,
      cap_gained: gainsOf(values),
    })
  if (kind === 'exit')
    return buildEvent('ev_exit', {
      ...withKind(header, 'EXIT'),
      code: values.number('code', 0),
      signal: values.number('signal', 0),
    })
  if (kind === 'oom') return buildEvent('ev_oom', withKind(header, 'OOM'))
  const act = CALL_KINDS.find((name) => name === kind)
  if (act !== undefined) return callEvent(act, values, header)
  throw new TestFault(`an event of kind \`${kind}\` cannot be made up yet`)
}

function withKind(header: Record<string, FieldInput>, kind: string): Record<string, FieldInput> {
  return { ...header, kind: enumNumber('hg_kind', `HG_KIND_${kind}`) }
}

const terminated = (words: readonly string[]) => words.map((word) => `${word}\0`).join('')

/** The name that the kernel gives a process of this program. */
const commOf = (path: string) => text(path.slice(path.lastIndexOf('/') + 1)).subarray(0, COMM_BYTES_MAX)

function execEvent(values: TestValues, header: Record<string, FieldInput>, actor: Actor): Uint8Array<ArrayBuffer> {
  const script = values.text('script', '')
  const path = values.text('path', script === '' ? actor.exe : script)
  const file = values.text('file', path)
  const args = values.texts('args', actor.args)
  const flag = (name: string, isSet: boolean) => (isSet ? enumNumber('hg_exec_flag', `HG_EXEC_${name}`) : 0)
  const strings = [path, file, actor.cwd, terminated(args), terminated(actor.env)].map(text)
  const [invoked, resolved, cwd, argument, environment] = strings.map(({ length }) => length)
  return buildEvent(
    'ev_exec',
    {
      ...withKind(header, 'EXEC'),
      flags:
        flag('SCRIPT', script !== '') |
        flag('MEMFD', values.flag('memfd', false)) |
        flag('FOREIGN_ROOT', values.flag('foreign_root', false)) |
        flag('MULTICALL', values.flag('multicall', false)) |
        flag('UPPER_LAYER', values.flag('upper_layer', false)),
      parent_pid: actor.parentPid,
      parent_start_ns: actor.parentStartNs,
      real_uid: actor.uid,
      real_gid: actor.gid,
      invoked_bytes: invoked ?? 0,
      file_bytes: resolved ?? 0,
      cwd_bytes: cwd ?? 0,
      args_bytes: argument ?? 0,
      env_bytes: environment ?? 0,
      comm: commOf(values.text('comm', actor.comm === '' ? path : actor.comm)),
      tty: actor.tty,
      cap_gained: gainsOf(values),
    },
    strings,
  )
}

/** Names of capabilities that the process comes to hold. */
function gainsOf(values: TestValues): bigint {
  return values.texts('gains', []).reduce((set, name) => set | (1n << BigInt(numberOfCapability(name))), 0n)
}

function numberOfCapability(name: string): number {
  const number = capabilityNumber(name)
  if (number === undefined) throw new TestFault(`there is no capability \`${name}\``)
  return number
}

const PROTOS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, other: 132 }

function connectEvent(values: TestValues, header: Record<string, FieldInput>): Uint8Array<ArrayBuffer> {
  const ip = values.text('ip', '')
  return buildEvent('ev_connect', {
    ...withKind(header, 'CONNECT'),
    address: addressOf(ip),
    port: values.number('port', 0),
    proto: protoOf(values),
    family: isIPv4(ip) ? 4 : 6,
    repeats_count: values.number('repeats_count', 0),
  })
}

function syscallEvent(values: TestValues, header: Record<string, FieldInput>): Uint8Array<ArrayBuffer> {
  const name = values.text('name', '')
  const nr = syscallNumber(name)
  if (nr === undefined) throw new TestFault(`there is no syscall \`${name}\``)
  const flags = enumNumber('hg_syscall_flag', 'HG_SYSCALL_FIRST')
  return buildEvent('ev_syscall', { ...withKind(header, 'SYSCALL'), nr, abi: 0, flags })
}

function protoOf(values: TestValues): number {
  const name = values.text('proto', 'tcp')
  const proto = PROTOS[name]
  if (proto === undefined) throw new TestFault(`\`proto\` is tcp, udp or other, not \`${name}\``)
  return proto
}

/** 16 bytes, IPv4 mapped. */
function addressOf(ip: string): Uint8Array {
  const host = isIPv4(ip) || isIPv6(ip) ? parseHost(ip) : undefined
  if (host?.ok !== true) throw new TestFault(`expected an IP address for \`ip\`, received \`${ip}\``)
  return host.net.network
}

/** The usual call of each act. */
const CALLS: Readonly<Record<CallKind, string>> = {
  open: 'openat',
  unlink: 'unlinkat',
  rename: 'renameat2',
  link: 'linkat',
  symlink: 'symlinkat',
  chmod: 'fchmodat',
  chown: 'fchownat',
  mkdir: 'mkdirat',
  rmdir: 'rmdir',
  truncate: 'truncate',
  signal: 'kill',
  setuid: 'setuid',
  setgid: 'setgid',
  capset: 'capset',
  ptrace: 'ptrace',
  setns: 'setns',
  unshare: 'unshare',
  mount: 'mount',
  umount: 'umount2',
  pivot_root: 'pivot_root',
  chroot: 'chroot',
  bpf: 'bpf',
  module: 'finit_module',
  memfd: 'memfd_create',
  mmap: 'mmap',
  mprotect: 'mprotect',
  prctl: 'prctl',
  userfaultfd: 'userfaultfd',
  socket: 'socket',
  bind: 'bind',
  listen: 'listen',
  accept: 'accept4',
  send: 'sendto',
  recv: 'recvfrom',
  ipc: 'shmget',
  dup: 'dup3',
  unix_connect: 'connect',
  capable: 'mount',
}

/** Descriptor that an open returns in a test: the first after the standard ones. */
const OPENED_FD = 3
const OPENS: ReadonlySet<CallKind> = new Set(['open', 'memfd', 'userfaultfd', 'socket', 'accept', 'dup'])
const SOCKETS: ReadonlySet<CallKind> = new Set(['socket', 'bind', 'listen', 'accept', 'send', 'recv'])
const NEAR_END: ReadonlySet<CallKind> = new Set(['bind', 'listen'])
const FD_SOCKET = enumNumber('hg_fd_kind', 'HG_FD_SOCKET')
const O_CREAT = 0o100
const SOCK_STREAM = 1
const SOCK_DGRAM = 2

function callEvent(act: CallKind, values: TestValues, header: Record<string, FieldInput>): Uint8Array<ArrayBuffer> {
  const call = values.text('call', CALLS[act])
  const nr = syscallNumber(call)
  if (nr === undefined) throw new TestFault(`there is no syscall \`${call}\``)
  const path = values.text('path', '')
  const path2 = values.text('new_path', '')
  const raw = values.text('raw_path', path)
  const raw2 = act === 'mount' ? values.text('source', '') : values.text('raw_new_path', path2)
  const strings = [path, path2, raw, raw2].map(text)
  const [pathBytes, path2Bytes, rawBytes, raw2Bytes] = strings.map(({ length }) => length)
  const flag = (name: string, isSet: boolean) => (isSet ? enumNumber('hg_call_flag', `HG_CALL_${name}`) : 0)
  const fields: Record<string, FieldInput> = {
    ...withKind(header, 'CALL'),
    ...(SOCKETS.has(act) || (act === 'dup' && values.has('remote_ip')) ? socketOf(act, values) : {}),
    ...argumentsOf(act, values),
    act: enumNumber('hg_act', `HG_ACT_${act.toUpperCase()}`),
    nr,
    flags:
      flag('HAS_RESULT', true) |
      flag('UPPER_LAYER', values.flag('upper_layer', false)) |
      flag('MEMFD', values.flag('memfd', false)) |
      flag('CREATED', values.flag('created', false)),
    result: BigInt(values.number('result', OPENS.has(act) ? OPENED_FD : 0)),
    fd: BigInt(values.number('fd', OPENS.has(act) ? OPENED_FD : -1)),
    path_bytes: pathBytes ?? 0,
    path2_bytes: path2Bytes ?? 0,
    raw_bytes: rawBytes ?? 0,
    raw2_bytes: raw2Bytes ?? 0,
  }
  return buildEvent('ev_call', fields, strings)
}

/** What an act's arguments say, where rules ask for it. */
function argumentsOf(act: CallKind, values: TestValues): Record<string, FieldInput> {
  switch (act) {
    case 'open':
      return accessOf(values.texts('access', ['read']))
    case 'chmod':
      return { args: [0n, 0n, octalOf(values, 'set_mode', '0644')] }
    case 'chown':
      return { args: [0n, 0n, BigInt(values.number('set_uid', 0)), BigInt(values.number('set_gid', 0))] }
    case 'signal':
      return signalOf(values)
    case 'setuid':
    case 'setgid': {
      const id = BigInt(values.number(act === 'setuid' ? 'uid' : 'gid', 0))
      return { args: [id], facts: [id, id, id, id] }
    }
    case 'capset':
      return {
        facts: ['effective', 'permitted', 'inheritable', 'ambient'].map((name) => BigInt(values.text(name, '0'))),
      }
    case 'setns':
      return { args: [0n, flagsOf(act, values, '0')], cap_gained: gainsOf(values) }
    case 'unshare':
      return { args: [flagsOf(act, values, '0')], cap_gained: gainsOf(values) }
    case 'ptrace':
      return { args: [wordOf(act, 'request', values, 'PTRACE_ATTACH')] }
    case 'socket':
      return domainOf(values)
    case 'capable':
      return { facts: [BigInt(numberOfCapability(values.text('capability', '')))] }
    case 'mount':
      return { tag: text(values.text('type', '')) }
    default:
      return {}
  }
}

/** Octal digits, as chmod takes them. */
function octalOf(values: TestValues, key: string, preset: string): bigint {
  const digits = values.text(key, preset)
  if (!/^[0-7]{1,5}$/.test(digits)) throw new TestFault(`expected octal digits for \`${key}\`, received \`${digits}\``)
  return BigInt(`0o${digits}`)
}

function wordOf(act: CallKind, key: string, values: TestValues, preset: string): bigint {
  const text = values.text(key, preset)
  const number = argumentNumber(act, key, text)
  if (number === undefined) throw new TestFault(`there is no \`${key}\` \`${text}\` of \`${act}\``)
  return BigInt(number)
}

const flagsOf = (act: CallKind, values: TestValues, preset: string) => wordOf(act, 'flags', values, preset)

function domainOf(values: TestValues): Record<string, FieldInput> {
  const domain = wordOf('socket', 'domain', values, 'AF_INET')
  return { args: [domain], family: domain }
}

function accessOf(names: readonly string[]): Record<string, FieldInput> {
  const access = names.reduce((bits, name) => bits | enumNumber('hg_access', accessName(name)), 0)
  const [read, write, create] = ['READ', 'WRITE', 'CREATE'].map(
    (name) => (access & enumNumber('hg_access', `HG_ACCESS_${name}`)) !== 0,
  )
  const flags = (read && write ? 2 : write ? 1 : 0) | (create ? O_CREAT : 0)
  return {
    fd_kind: enumNumber('hg_fd_kind', 'HG_FD_FILE'),
    access,
    facts: [BigInt(flags), create ? 0o644n : 0n],
    args: [0n, 0n, BigInt(flags)],
  }
}

function accessName(name: string): string {
  if (!['read', 'write', 'create'].includes(name))
    throw new TestFault(`\`access\` is read, write or create, not \`${name}\``)
  return `HG_ACCESS_${name.toUpperCase()}`
}

function signalOf(values: TestValues): Record<string, FieldInput> {
  const number = BigInt(values.number('number', 15))
  const targetPid = values.number('target.pid', TARGET_PID)
  return { args: [BigInt(targetPid), number], facts: [number], target_pid: targetPid, target_start_ns: 1n }
}

/** Another process of the same container. */
export const TARGET_PID = 4_000_000

function socketOf(act: CallKind, values: TestValues): Record<string, FieldInput> {
  const proto = protoOf(values)
  const near = NEAR_END.has(act)
  const side = (name: 'local' | 'remote') => {
    const isNamed = near === (name === 'local')
    const ip = values.text(`${name}_ip`, isNamed ? values.text('ip', '0.0.0.0') : '0.0.0.0')
    return { ip, port: values.number(`${name}_port`, isNamed ? values.number('port', 0) : 0) }
  }
  const [local, remote] = [side('local'), side('remote')]
  return {
    fd_kind: FD_SOCKET,
    family: isIPv6(local.ip) || isIPv6(remote.ip) ? 10 : 2,
    proto,
    socket_type: proto === PROTOS.udp ? SOCK_DGRAM : SOCK_STREAM,
    local: addressOf(local.ip),
    local_port: local.port,
    remote: addressOf(remote.ip),
    remote_port: remote.port,
  }
}
