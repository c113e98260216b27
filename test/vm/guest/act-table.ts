/**
 * The acts of docs/kernels.md, one row an act: the guests of the vm tier and the machine's own kernel (bpf tier) run the same.
 * A row says how its event is known among those seen, by which hook it came and what came of the act. To add an act, make the
 * script do it and add a row; acts that are system calls stand in call-acts.ts and are done by a static program.
 */
import { Action, Kind } from '../../../src/sensor/generated/abi.js'
import { CALL_ROWS } from './call-acts.js'

export interface Seen {
  kind: string
  text: string
  action: number
  code: number
  signal: number
  isRefused: boolean
  /** Done by an io_uring. */
  isRing: boolean
  /** Of the process that does this row of call-acts.ts; -1: of another. */
  row: number
}

export interface ActRow {
  event: string
  act: string
  hook: string
  /** A row that stands in for the hook where it refused. */
  upperHook?: string
  isEvent(seen: Seen): boolean
  /** Not where no unified cgroup hierarchy is. */
  needsNetworkHooks?: boolean
}

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
  'exit 7',
].join('; ')

const exec = { event: 'exec', hook: 'tp_btf/sched_process_exec', upperHook: 'lsm/bprm_check_security' }
const connect = { event: 'connect', hook: 'cgroup/connect4', needsNetworkHooks: true }
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
    isEvent: ({ kind }) => kind === 'syscall',
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
  return event?.isRefused === true && row.upperHook !== undefined ? row.upperHook : row.hook
}
