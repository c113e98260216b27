/**
 * Every hook that an event can come from, best first: what it can do, what it costs, and which fields it yields. The one table
 * that loading, lowering, `doctor` and docs/kernels.md read; a rule is put on a rung only if that rung yields all fields it reads.
 */

export type RungFamily = 'lsm' | 'fentry' | 'fexit' | 'tp_btf' | 'raw_tp' | 'cgroup' | 'cgroup_skb'

/** `decision`: runs before the act and can refuse it, knows no result. `result`: sees what came of it. Joined into one event. */
export type RungRole = 'decision' | 'result'

/** What a task pays that nobody watches. */
export type CostClass =
  | 'none when unwatched'
  | 'one lookup'
  | 'every request of a ring'
  | 'every packet'
  | 'every syscall'

export interface RungRow {
  program: string
  /** As in SEC(): family and kernel name. */
  hook: string
  family: RungFamily
  role: RungRole
  /** As doctor shows it; one event can have several rows. */
  event: string
  /** The kinds of records that it tells of, where those are not all that `event` names. */
  kinds?: readonly string[]
  deny: boolean
  kill: boolean
  cost: CostClass
  /** Not needed to start: left out where the kernel refuses it, attached only while a rule asks. */
  isOptional: boolean
  /** Adds to what another hook shows: where the kernel lacks it, the others stand alone. */
  isAddition: boolean
  /** The program that does the same on other kernels. */
  alternative?: string
  /** It tells of the event only where one of these is not to be had. */
  insteadOf?: readonly string[]
  /** Fields of the event that this rung does not yield (src/record/fields names). */
  lacks: readonly string[]
  note: string
}

const ON_DEMAND = 'attached only while a rule asks'
const TO_REFUSE = `${ON_DEMAND} to refuse it`
const BY_PIDFD = 'kill: refused here, then ended through a pidfd'

function row(
  program: string,
  hook: string,
  event: string,
  rest: Partial<Omit<RungRow, 'program' | 'hook' | 'event' | 'family'>> = {},
): RungRow {
  const family = hook.slice(0, hook.indexOf('/')) as RungFamily
  return {
    program,
    hook,
    family,
    event,
    role: 'result',
    deny: false,
    kill: false,
    cost: 'none when unwatched',
    isOptional: false,
    isAddition: false,
    lacks: [],
    note: '',
    ...rest,
  }
}

/** A decision of the LSM about an act on files: the call's result and its own words are not there yet. */
function fileRow(program: string, hook: string, event: string, kind: string): RungRow {
  return row(program, hook, event, {
    kinds: [kind],
    role: 'decision',
    deny: true,
    kill: true,
    isOptional: true,
    lacks: ['evt.res', 'evt.rawres', 'fd.num', 'fd.nameraw'],
    note: TO_REFUSE,
  })
}

/** A decision of the LSM about another call. */
function decisionRow(program: string, hook: string, event: string, kind: string, note = TO_REFUSE): RungRow {
  return row(program, hook, event, {
    kinds: [kind],
    ...{ role: 'decision', deny: true, kill: true, isOptional: true },
    lacks: ['evt.res', 'evt.rawres'],
    note,
  })
}

const CONNECT_LACKS = ['evt.res', 'evt.rawres', 'fd.num', 'fd.lport', 'fd.lip'] as const
const names = {
  cost: 'every packet',
  isOptional: true,
  note: `${ON_DEMAND}, or --activity names`,
} as const
const OPEN_NOTE = `${ON_DEMAND}; a call that seccomp or a tracer turned away, or an openat2 with a malformed how, is not told`
/** Told like the syscalls of the same names, where the kernel has these tracepoints. */
const RING_EVENT = 'acts of an io_uring'
const ring = { cost: 'every request of a ring', isOptional: true, isAddition: true, note: ON_DEMAND } as const
const use = { ...ring, kinds: ['capable'], cost: 'one lookup' } as const
const bind = {
  role: 'decision',
  deny: true,
  kill: true,
  cost: 'one lookup',
  isOptional: true,
  kinds: ['bind'],
  lacks: ['evt.res', 'evt.rawres', 'fd.num'],
  note: `${TO_REFUSE} and there is no lsm/socket_listen: TCP ports that the call names, killed through a pidfd`,
} as const
const network = { role: 'decision', deny: true, kill: true, cost: 'one lookup', note: BY_PIDFD } as const

export const RUNGS: readonly RungRow[] = [
  row('on_cgroup_mkdir', 'tp_btf/cgroup_mkdir', 'container start'),
  row('on_cgroup_rmdir', 'tp_btf/cgroup_rmdir', 'container stop'),
  row('on_cgroup_attach', 'tp_btf/cgroup_attach_task', 'exec-into'),
  row('on_fork', 'tp_btf/sched_process_fork', 'fork'),
  row('on_bprm_check', 'lsm/bprm_check_security', 'exec', {
    role: 'decision',
    deny: true,
    kill: true,
    isOptional: true,
    // The new program's arguments lie in a memory that is not yet anyone's.
    lacks: ['proc.args', 'proc.cmdline', 'proc.env', 'proc.name'],
    note: TO_REFUSE,
  }),
  row('on_exec', 'tp_btf/sched_process_exec', 'exec', { kill: true, note: 'kill: before its first instruction' }),
  row('on_exit', 'tp_btf/sched_process_exit', 'exit'),
  row('on_oom', 'raw_tp/mark_victim', 'oom'),
  row('on_socket_state', 'tp_btf/inet_sock_set_state', 'TCP listen, accept, close', { cost: 'one lookup' }),
  row('on_connect4', 'cgroup/connect4', 'connect (IPv4)', { ...network, lacks: CONNECT_LACKS }),
  row('on_connect6', 'cgroup/connect6', 'connect (IPv6)', { ...network, lacks: CONNECT_LACKS }),
  row('on_sendmsg4', 'cgroup/sendmsg4', 'UDP send (IPv4)', { ...network, lacks: CONNECT_LACKS }),
  row('on_sendmsg6', 'cgroup/sendmsg6', 'UDP send (IPv6)', { ...network, lacks: CONNECT_LACKS }),
  row('on_sys_enter', 'tp_btf/sys_enter', 'syscall', {
    kill: true,
    cost: 'every syscall',
    lacks: ['evt.res', 'evt.rawres'],
    note: `${ON_DEMAND}; kill: the call still happens`,
  }),
  row('on_sys_exit', 'tp_btf/sys_exit', 'syscall', {
    cost: 'every syscall',
    lacks: ['evt.res', 'evt.rawres'],
    note: ON_DEMAND,
  }),
  row('on_sys_exit', 'tp_btf/sys_exit', 'calls (file, privilege, …)', {
    cost: 'every syscall',
    note: `${ON_DEMAND}; a name that is gone, or was never there, is told as the call gave it`,
  }),
  row('on_open_result', 'fexit/do_sys_openat2', 'open', { isOptional: true, note: OPEN_NOTE }),
  row('on_open_by_handle', 'fexit/do_handle_open', 'open', { isOptional: true, note: OPEN_NOTE }),
  row('on_sys_exit', 'tp_btf/sys_exit', 'open', {
    cost: 'every syscall',
    insteadOf: ['on_open_result', 'on_open_by_handle'],
    note: ON_DEMAND,
  }),
  row('on_signal', 'tp_btf/signal_generate', 'signal', { note: ON_DEMAND }),
  row('on_packet_out', 'cgroup_skb/egress', 'dns, tls, http', names),
  row('on_packet_in', 'cgroup_skb/ingress', 'dns, tls, http', names),
  row('on_ring_submit_req', 'tp_btf/io_uring_submit_req', RING_EVENT, { ...ring, alternative: 'on_ring_submit_sqe' }),
  row('on_ring_submit_sqe', 'tp_btf/io_uring_submit_sqe', RING_EVENT, { ...ring, alternative: 'on_ring_submit_req' }),
  row('on_ring_complete', 'tp_btf/io_uring_complete', RING_EVENT, ring),
  row('on_ring_overflow', 'tp_btf/io_uring_cqe_overflow', RING_EVENT, ring),
  row('on_socket_listen', 'lsm/socket_listen', 'listen, bind (refuse)', {
    kinds: ['listen'],
    role: 'decision',
    deny: true,
    kill: true,
    isOptional: true,
    lacks: ['evt.res', 'evt.rawres', 'fd.num'],
    note: TO_REFUSE,
  }),
  row('on_bind4', 'cgroup/bind4', 'listen, bind (refuse)', bind),
  row('on_bind6', 'cgroup/bind6', 'listen, bind (refuse)', bind),
  fileRow('on_file_open', 'lsm/file_open', 'open (refuse)', 'open'),
  fileRow('on_path_truncate', 'lsm/path_truncate', 'truncate (refuse)', 'truncate'),
  fileRow('on_file_truncate', 'lsm/file_truncate', 'truncate (refuse)', 'truncate'),
  fileRow('on_path_mknod', 'lsm/path_mknod', 'open (refuse to create)', 'open'),
  // tells, and ends the process for, what path_mknod refused before the name was looked up
  row('on_open_end', 'fexit/do_filp_open', 'open (refuse to create)', {
    kill: true,
    isOptional: true,
    note: TO_REFUSE,
  }),
  fileRow('on_path_mkdir', 'lsm/path_mkdir', 'mkdir, symlink (refuse)', 'mkdir'),
  fileRow('on_path_symlink', 'lsm/path_symlink', 'mkdir, symlink (refuse)', 'symlink'),
  fileRow('on_path_unlink', 'lsm/path_unlink', 'unlink, rmdir (refuse)', 'unlink'),
  fileRow('on_path_rmdir', 'lsm/path_rmdir', 'unlink, rmdir (refuse)', 'rmdir'),
  fileRow('on_path_rename', 'lsm/path_rename', 'rename, link (refuse)', 'rename'),
  fileRow('on_path_link', 'lsm/path_link', 'rename, link (refuse)', 'link'),
  fileRow('on_path_chmod', 'lsm/path_chmod', 'chmod, chown (refuse)', 'chmod'),
  fileRow('on_path_chown', 'lsm/path_chown', 'chmod, chown (refuse)', 'chown'),
  decisionRow('on_bprm_creds', 'lsm/bprm_creds_from_file', 'capability gained (refuse)', 'exec'),
  decisionRow('on_userns_create', 'lsm/userns_create', 'capability gained (refuse)', 'unshare'),
  row('on_capability_used', 'fexit/security_capable', 'capability used', {
    ...{ ...use, alternative: 'on_capability_asked' },
  }),
  row('on_capability_asked', 'tp_btf/cap_capable', 'capability used', {
    ...{ ...use, alternative: 'on_capability_used' },
    note: `${ON_DEMAND}; SYS_ADMIN in calls that ask for memory is left out`,
  }),
  // asked behind the capability LSM: what a process has not is refused without it
  decisionRow('on_capable', 'lsm/capable', 'capability used (refuse)', 'capable'),
  decisionRow('on_sb_mount', 'lsm/sb_mount', 'mount (refuse)', 'mount'),
  decisionRow(
    'on_move_mount',
    'lsm/move_mount',
    'mount (refuse)',
    'mount',
    `${TO_REFUSE}; move_mount: by its target alone`,
  ),
  decisionRow('on_task_kill', 'lsm/task_kill', 'signal (refuse)', 'signal'),
]

/** They show whom a process asks for by name, both or neither. */
export const NAME_PROGRAMS: readonly string[] = ['on_packet_out', 'on_packet_in']

/** They load always, or where they are optional, and attach on demand. */
const LOADED_ON_DEMAND: readonly string[] = ['on_sys_enter', 'on_sys_exit', 'on_signal']

/** Hooks that must all attach, or nothing starts. */
export const BASE_RUNGS = RUNGS.filter(({ isOptional, program }) => !isOptional && !LOADED_ON_DEMAND.includes(program))

/** Programs that a kernel may refuse without the agent refusing to start. */
export const OPTIONAL_PROGRAMS: readonly { program: string; family: RungFamily }[] = RUNGS.filter(
  ({ isOptional }) => isOptional,
)

/** Attached to a directory of the unified hierarchy. */
export function isNetworkHook(hook: string): boolean {
  return hook.startsWith('cgroup/') || hook.startsWith('cgroup_skb/')
}

export function hookOf(program: string): string {
  return RUNGS.find((rung) => rung.program === program)?.hook ?? program
}

/** May this program be left out of a set where it is missing? */
export function isAddition(program: string): boolean {
  return RUNGS.some((rung) => rung.program === program && rung.isAddition)
}

/** Does this rung yield all of `fields`? */
export function yieldsAll({ lacks }: RungRow, fields: Iterable<string>): boolean {
  for (const field of fields) if (lacks.includes(field)) return false
  return true
}
