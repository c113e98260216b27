/**
 * The acts of docs/kernels.md, one row an act: the guests of the vm tier and the machine's own kernel (bpf tier) run the same.
 * A row says how its event is known among those seen, by which hook it came and what came of the act. To add an act, make the
 * script do it and add a row; acts that are system calls stand in call-acts.ts and are done by a static program.
 */
import type { CallKind } from '../../../src/record/model.js'
import { Act, Action, Kind, Rung } from '../../../src/sensor/generated/abi.js'
import { CALL_ROWS, OPEN_HOOK } from './call-acts.js'

export interface Seen {
  kind: string
  text: string
  /** Of a call: its path, or the local end of its socket. */
  object: string
  action: number
  code: number
  signal: number
  isRefused: boolean
  /** Capabilities; bit n: capability n. */
  gained: bigint
  rung: number
  /** Done by an io_uring. */
  isRing: boolean
  isCreate: boolean
  /** Of the process that does this row of call-acts.ts; -1: of another. */
  row: number
}

export interface ActRow {
  event: string
  act: string
  hook: string
  /** A row that stands in for the hook where it refused. */
  upperHook?: string
  /** What stands in for the hook where the kernel takes programs at its functions. */
  functionHook?: string
  isEvent(seen: Seen): boolean
  /** Not where no unified cgroup hierarchy is. */
  needsNetworkHooks?: boolean
  /** Not where uses of capabilities are not seen. */
  needsUses?: boolean
}

/** Done in a folder in which a rule refuses everything: each leaves the folder as it was where the kernel can refuse. */
export const DENIED_ACTS: readonly { kind: CallKind; act: string; command: string; name: string; hook: string }[] = [
  { kind: 'open', act: 'deny an open', command: '/bin/cat', name: 'read', hook: 'lsm/file_open' },
  { kind: 'open', act: 'deny a new file', command: '/bin/touch', name: 'new', hook: 'lsm/path_mknod' },
  { kind: 'unlink', act: 'deny an unlink', command: '/bin/rm', name: 'unlinked', hook: 'lsm/path_unlink' },
  { kind: 'rename', act: 'deny a rename', command: '/bin/mv /tmp/free', name: 'free', hook: 'lsm/path_rename' },
  { kind: 'link', act: 'deny a link', command: '/bin/ln /tmp/linked', name: 'linked', hook: 'lsm/path_link' },
  { kind: 'symlink', act: 'deny a symbolic link', command: '/bin/ln -s x', name: 'pointer', hook: 'lsm/path_symlink' },
  { kind: 'mkdir', act: 'deny a directory', command: '/bin/mkdir', name: 'folder', hook: 'lsm/path_mkdir' },
  { kind: 'rmdir', act: 'deny an rmdir', command: '/bin/rmdir', name: 'removed', hook: 'lsm/path_rmdir' },
  { kind: 'chmod', act: 'deny a chmod', command: '/bin/chmod 777', name: 'chmodded', hook: 'lsm/path_chmod' },
  { kind: 'chown', act: 'deny a chown', command: '/bin/chown 7:7', name: 'chowned', hook: 'lsm/path_chown' },
]
/** What is in the folder before and after. */
export const KEPT_FILES = ['read', 'unlinked', 'chmodded', 'chowned']
export const KEPT_FOLDERS = ['removed']

/** In a network namespace of its own, with its loopback up. */
export const ACT_SCRIPT = [
  'ip link set lo up',
  '/bin/nc 127.0.0.1 99; echo "nc $?"',
  '/bin/id; echo "id $?"',
  'httpd -p 90 -h /tmp',
  'wget -q -O - http://127.0.0.1:81/',
  'wget -q -O - http://127.0.0.1:82/',
  'wget -q -O - http://127.0.0.1:90/missing',
  'nslookup name.example 127.0.0.1',
  '/bin/true',
  ...DENIED_ACTS.map(({ command, name }) => `${command} /tmp/kept/${name}; echo "${name} $?"`),
  'httpd -p 127.0.0.1:91 -h /tmp; echo "listen $?"',
  '/bin/cat /tmp/fatal/file; echo "fatal $?"',
  '/bin/cat /tmp/spent/file; echo "spent $?"',
  '(echo 0 > /proc/self/oom_score_adj)',
  'ionice -c 3 true',
  `unshare -pf sh -c "[ \\$\\$ = 1 ] && reboot -f"`, // of a PID namespace
  'exit 7',
].join('; ')

const exec = { event: 'exec', hook: 'tp_btf/sched_process_exec', upperHook: 'lsm/bprm_check_security' }
const connect = { event: 'connect', hook: 'cgroup/connect4', needsNetworkHooks: true }
const call = { hook: 'tp_btf/sys_exit' }
const SOCKET_STATE = 'tp_btf/inet_sock_set_state'

export const ACTS: readonly ActRow[] = [
  {
    event: 'container start',
    act: 'make a cgroup',
    hook: 'tp_btf/cgroup_mkdir',
    isEvent: ({ kind, code }) => kind === 'cgroup' && code === Kind.CGROUP_MKDIR,
  },
  {
    event: 'exec-into',
    act: 'join a cgroup',
    hook: 'tp_btf/cgroup_attach_task',
    isEvent: ({ kind, code }) => kind === 'cgroup' && code === Kind.CGROUP_JOIN,
  },
  { ...exec, act: 'run a program', isEvent: ({ kind, text }) => kind === 'exec' && text.endsWith('/true') },
  { ...exec, act: 'deny a program', isEvent: ({ kind, text }) => kind === 'exec' && text.endsWith('/id') },
  { ...exec, act: 'kill a program', isEvent: ({ kind, text }) => kind === 'exec' && text.endsWith('/nc') },
  { event: 'fork', act: 'fork', hook: 'tp_btf/sched_process_fork', isEvent: ({ kind }) => kind === 'fork' },
  {
    event: 'exit',
    act: 'exit with code 7',
    hook: 'tp_btf/sched_process_exit',
    isEvent: ({ kind, code }) => kind === 'exit' && code === 7,
  },
  {
    event: 'syscall',
    act: 'first use of a syscall',
    hook: 'tp_btf/sys_enter',
    isEvent: ({ kind, text }) => kind === 'syscall' && text === 'first',
  },
  {
    ...call,
    event: 'syscall',
    act: 'a syscall that a rule is about',
    isEvent: ({ kind, text }) => kind === 'syscall' && text === 'returned',
  },
  {
    event: 'syscall',
    act: 'a reboot that ends its caller',
    hook: 'tp_btf/sched_process_exit',
    isEvent: ({ kind, text }) => kind === 'syscall' && text === 'ended',
  },
  ...DENIED_ACTS.map(
    ({ kind, act, name, hook }): ActRow => ({
      ...call,
      event: kind,
      act,
      upperHook: hook,
      ...(kind === 'open' ? { functionHook: OPEN_HOOK } : {}),
      isEvent: (seen) => seen.kind === 'call' && seen.object.endsWith(`/tmp/kept/${name}`),
    }),
  ),
  {
    ...call,
    event: 'open',
    act: 'kill an open',
    upperHook: 'lsm/file_open',
    functionHook: OPEN_HOOK,
    isEvent: ({ kind, object }) => kind === 'call' && object.endsWith('/tmp/fatal/file'),
  },
  {
    ...call,
    event: 'mount',
    act: 'deny a mount',
    upperHook: 'lsm/sb_mount',
    isEvent: ({ kind, object }) => kind === 'call' && object.endsWith('/tmp/mounts/bare/one'),
  },
  {
    ...exec,
    act: 'deny a set-user-id program',
    upperHook: 'lsm/bprm_creds_from_file',
    isEvent: ({ kind, text }) => kind === 'exec' && text.endsWith('/tmp/mounts/suid'),
  },
  {
    ...call,
    event: 'unshare',
    act: 'deny a user namespace',
    upperHook: 'lsm/userns_create',
    isEvent: ({ kind, code, row }) => kind === 'call' && code === Act.UNSHARE && row >= CALL_ROWS.length,
  },
  {
    event: 'signal',
    act: 'deny a signal',
    hook: 'tp_btf/signal_generate',
    upperHook: 'lsm/task_kill',
    isEvent: ({ kind, code, row }) => kind === 'call' && code === Act.SIGNAL && row >= CALL_ROWS.length,
  },
  {
    event: 'capable',
    act: 'deny a use of a capability',
    hook: 'tp_btf/cap_capable',
    upperHook: 'lsm/capable',
    functionHook: 'fexit/security_capable',
    needsUses: true,
    isEvent: ({ kind, code, row, text }) =>
      kind === 'call' && code === Act.CAPABLE && row >= CALL_ROWS.length && text.endsWith(' chroot'),
  },
  { ...connect, act: 'connect', isEvent: ({ kind, text }) => kind === 'connect' && text.endsWith(':82') },
  { ...connect, act: 'deny a connect', isEvent: ({ kind, text }) => kind === 'connect' && text.endsWith(':81') },
  {
    event: 'listen',
    act: 'listen (TCP)',
    hook: SOCKET_STATE,
    isEvent: ({ kind, text }) => kind === 'socket' && text.startsWith(`${Kind.LISTEN} 90 `),
  },
  {
    event: 'listen',
    act: 'deny a listen (TCP)',
    hook: 'cgroup/bind4',
    upperHook: 'lsm/socket_listen',
    needsNetworkHooks: true,
    isEvent: ({ kind, object }) => kind === 'call' && object === '127.0.0.1:91',
  },
  {
    event: 'accept',
    act: 'accept (TCP)',
    hook: SOCKET_STATE,
    isEvent: ({ kind, text }) => kind === 'socket' && text.startsWith(`${Kind.ACCEPT} 90 `),
  },
  {
    event: 'close',
    act: 'close (TCP)',
    hook: SOCKET_STATE,
    isEvent: ({ kind, text }) => kind === 'socket' && text.startsWith(`${Kind.CLOSE} `),
  },
  {
    event: 'dns',
    act: 'ask a resolver (UDP)',
    hook: 'cgroup_skb/egress',
    needsNetworkHooks: true,
    isEvent: ({ kind, text }) =>
      kind === 'packet' && text.startsWith('0 53 ') && text.includes('\x04name\x07example\0'),
  },
  {
    event: 'http',
    act: 'ask a web server',
    hook: 'cgroup_skb/egress',
    needsNetworkHooks: true,
    isEvent: ({ kind, text }) => kind === 'packet' && text.startsWith('0 90 GET /missing HTTP/1.'),
  },
  ...CALL_ROWS,
]

export function outcomeOf(event: Seen | undefined): string {
  switch (event?.action) {
    case undefined:
      return 'not seen'
    case Action.DENIED:
      return 'refused'
    case Action.KILLED:
      return event.isRefused ? 'refused and killed' : 'killed before its first instruction'
    case Action.NONE:
      return 'seen'
    default:
      return `action ${event?.action}`
  }
}

export function hookOf(row: ActRow, event: Seen | undefined): string {
  if (event?.rung === Rung.FUNCTION && row.functionHook !== undefined) return row.functionHook
  return event?.isRefused === true && row.upperHook !== undefined ? row.upperHook : row.hook
}
