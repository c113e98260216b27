/**
 * Every act that is a system call, and what an io_uring does, as rows of the table of acts: done by the static program calls.c
 * (test/support/acts), one run of it a row. A new act without a row does not compile.
 */
import { ABI_NATIVE, HOST_SYSCALLS, syscallNumber } from '../../../src/policy/syscalls.js'
import { CALL_KINDS, type CallKind } from '../../../src/record/call-model.js'
import type { ActRow, Seen } from './act-table.js'

/** By words of calls.c. `$N` is what call N returned, `@…` what the program knows. */
type Words = readonly (string | number)[]
interface CallRow {
  act: string
  words: Words
}

const sys = (name: string, ...args: Words): Words => {
  const nr = syscallNumber(name)
  if (nr === undefined) throw new Error(`no system call ${name}`)
  return ['sys', nr, ...args]
}
const AT_FDCWD = -100
const DIR = 's:/tmp/'
/** The calls are those that both architectures have. */
const openFile = sys('openat', AT_FDCWD, `${DIR}act-file`, 0o102, 0o600)
/** arm64 has no rmdir(2): unlinkat(2) does it there, and is told as such. */
const HAS_RMDIR = HOST_SYSCALLS.table(ABI_NATIVE).includes('rmdir')
const AT_REMOVEDIR = 0x200
const [INET, STREAM, DGRAM] = [2, 1, 2]
const BYTES = 16
const listening = [...sys('socket', INET, STREAM, 0), ...sys('bind', '$0', 'in:127.0.0.1:91', BYTES)]

const ROWS: Readonly<Record<CallKind, CallRow>> = {
  open: { act: 'open a file', words: openFile },
  unlink: { act: 'remove a name', words: sys('unlinkat', AT_FDCWD, `${DIR}act-none`, 0) },
  rename: {
    act: 'rename',
    words: [...openFile, ...sys('renameat', AT_FDCWD, `${DIR}act-file`, AT_FDCWD, `${DIR}act-new`)],
  },
  link: { act: 'make a second name', words: sys('linkat', AT_FDCWD, `${DIR}act-new`, AT_FDCWD, `${DIR}act-hard`, 0) },
  symlink: { act: 'make a symbolic link', words: sys('symlinkat', `${DIR}act-new`, AT_FDCWD, `${DIR}act-soft`) },
  chmod: { act: 'change permissions', words: sys('fchmodat', AT_FDCWD, `${DIR}act-new`, 0o640) },
  chown: { act: 'change the owner', words: sys('fchownat', AT_FDCWD, `${DIR}act-new`, 1, 1, 0) },
  mkdir: { act: 'make a directory', words: sys('mkdirat', AT_FDCWD, `${DIR}act-folder`, 0o700) },
  rmdir: {
    act: 'remove a directory',
    words: HAS_RMDIR ? sys('rmdir', `${DIR}act-folder`) : sys('unlinkat', AT_FDCWD, `${DIR}act-folder`, AT_REMOVEDIR),
  },
  truncate: { act: 'cut a file', words: sys('truncate', `${DIR}act-new`, 0) },
  signal: { act: 'signal another process', words: ['child', ...sys('kill', '$0', 28)] },
  setuid: { act: 'change the user', words: sys('setuid', 7) },
  setgid: { act: 'change the group', words: sys('setgid', 7) },
  capset: { act: 'set capabilities', words: sys('capset', 'caps', 'args:1:1:0:0:0:0') },
  ptrace: { act: 'trace another process', words: ['child', ...sys('ptrace', 0x4206, '$0', 0, 0)] },
  setns: {
    act: 'enter a namespace',
    words: [...sys('openat', AT_FDCWD, 's:/proc/self/ns/uts', 0), ...sys('setns', '$0', 0)],
  },
  unshare: { act: 'make a namespace', words: sys('unshare', 0x4000000) },
  mount: { act: 'mount', words: sys('mount', 's:none', 's:/run', 's:tmpfs', 0, 0) },
  umount: { act: 'unmount', words: sys('umount2', 's:/none', 0) },
  pivot_root: { act: 'exchange the root', words: sys('pivot_root', 's:/none', 's:/none') },
  chroot: { act: 'chroot', words: sys('chroot', 's:/') },
  bpf: { act: 'call bpf', words: sys('bpf', 99, 0, 0) },
  module: { act: 'load what is no kernel module', words: sys('init_module', 's:nothing', 7, 's:') },
  memfd: { act: 'make a file in memory', words: sys('memfd_create', 's:act', 0) },
  mmap: { act: 'map executable memory', words: sys('mmap', 0, 4096, 7, 0x22, -1, 0) },
  mprotect: {
    act: 'make memory executable',
    words: [...sys('mmap', 0, 4096, 3, 0x22, -1, 0), ...sys('mprotect', '$0', 4096, 5)],
  },
  prctl: { act: 'set an option of the process', words: sys('prctl', 38, 1, 0, 0, 0) },
  userfaultfd: { act: 'ask for page faults', words: sys('userfaultfd', 1) },
  socket: { act: 'make a raw socket', words: sys('socket', INET, 3, 1) },
  bind: { act: 'bind a socket', words: listening },
  listen: { act: 'call listen', words: [...listening, ...sys('listen', '$0', 1)] },
  accept: { act: 'call accept', words: sys('accept', 0, 0, 0) },
  send: {
    act: 'send a datagram',
    words: [...sys('socket', INET, DGRAM, 0), ...sys('sendto', '$0', 'buf:1', 1, 0, 'in:127.0.0.1:92', BYTES)],
  },
  recv: {
    act: 'receive a datagram',
    words: [...sys('socket', INET, DGRAM, 0), ...sys('recvfrom', '$0', 'buf:1', 1, 0x40, 0, 0)],
  },
  dup: { act: 'duplicate a descriptor', words: sys('dup', 1) },
  ipc: { act: 'get shared memory', words: sys('shmget', 0x48474d, 4096, 0o1600) },
  capable: { act: 'use a capability', words: sys('chroot', 's:/') },
  unix_connect: {
    act: 'connect to a unix socket',
    words: [...sys('socket', 1, STREAM, 0), ...sys('connect', '$0', 'un:/tmp/act-none', 110)],
  },
}

/** Opcodes of include/uapi/linux/io_uring.h. */
export const RING_DENIED = 'deny an open by io_uring'
const RING_ROWS: readonly (CallRow & { event: CallKind })[] = [
  { event: 'open', act: 'open a file by io_uring', words: ['ring', 18, AT_FDCWD, `${DIR}act-new`, 0, 0, 2] },
  { event: 'mkdir', act: 'make a directory by io_uring', words: ['ring', 37, AT_FDCWD, `${DIR}act-ring`, 0o700] },
  {
    event: 'rename',
    act: 'rename by io_uring',
    words: ['ring', 35, AT_FDCWD, `${DIR}act-ring`, AT_FDCWD, `${DIR}act-rung`],
  },
  { event: 'unlink', act: 'remove a name by io_uring', words: ['ring', 36, AT_FDCWD, `${DIR}act-none`] },
  { event: 'socket', act: 'make a socket by io_uring', words: ['ring', 45, INET, 0, 0, STREAM] },
  { event: 'open', act: RING_DENIED, words: ['ring', 18, AT_FDCWD, `${DIR}kept/read`, 0, 0, 0] },
]
/** Passes the cgroup hooks, not a syscall's. */
const RING_CONNECT: Words = [...sys('socket', INET, STREAM, 0), 'ring', 16, '$0', 'in:127.0.0.1:83', 0, BYTES]

const SYSCALL_HOOK = 'tp_btf/sys_exit'
export const OPEN_HOOK = 'fexit/do_sys_openat2'
const HOOKS: Readonly<Partial<Record<CallKind, string>>> = {
  signal: 'tp_btf/signal_generate',
  capable: 'tp_btf/cap_capable',
}

const actOf = (kind: CallKind): number => CALL_KINDS.indexOf(kind === 'rmdir' && !HAS_RMDIR ? 'unlink' : kind) + 1

export const CALL_ROWS: readonly (ActRow & { words: Words })[] = [
  ...CALL_KINDS.map((kind, index) => ({
    event: kind,
    ...ROWS[kind],
    hook: HOOKS[kind] ?? SYSCALL_HOOK,
    ...(kind === 'capable' ? { functionHook: 'fexit/security_capable', needsUses: true } : {}),
    ...(kind === 'open' ? { functionHook: OPEN_HOOK } : {}),
    isEvent: ({ kind: of, code, isRing, row }: Seen) =>
      of === 'call' && code === actOf(kind) && !isRing && row === index,
  })),
  ...RING_ROWS.map((one, index) => ({
    ...one,
    hook: 'tp_btf/io_uring_complete',
    ...(one.act === RING_DENIED ? { upperHook: 'lsm/file_open' } : {}),
    isEvent: ({ kind, code, isRing, row }: Seen) =>
      kind === 'call' && code === CALL_KINDS.indexOf(one.event) + 1 && isRing && row === CALL_KINDS.length + index,
  })),
  {
    event: 'connect',
    act: 'connect by io_uring',
    words: RING_CONNECT,
    hook: 'cgroup/connect4',
    needsNetworkHooks: true,
    isEvent: ({ kind, text }) => kind === 'connect' && text.endsWith(':83'),
  },
]

/** For a shell: every row in turn, in `dir` that they may fill. */
export function callScript(program: string): string {
  const quoted = (word: string | number) => (/^[\w./:-]+$/.test(String(word)) ? String(word) : `'${word}'`)
  return [
    'ip link set lo up',
    ...CALL_ROWS.map(({ act, words }) => `${program} ${words.map(quoted).join(' ')} > /dev/null || echo "${act}: $?"`),
  ].join('\n')
}
