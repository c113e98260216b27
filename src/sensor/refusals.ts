/** What this host can refuse before it happens, from the programs that its kernel has taken. */
import { FILE_ACCESS, FILE_ACCESSES, type FileAccess } from '../policy/model.js'
import { syscallName } from '../policy/syscalls.js'
import { Access, Act, type EvCall } from './generated/abi.js'

export interface Refusals {
  readonly exec: boolean
  /** Where not, connects are not seen at all: the hooks need a unified cgroup hierarchy. */
  readonly connect: boolean
  /** FILE_ACCESS bits. */
  readonly fileAccess: number
  /** `listen`: the call itself; `bind`: only the taking of a TCP port that the call names. */
  readonly listen: 'listen' | 'bind' | 'none'
  readonly mount: boolean
  readonly signal: boolean
  /** The use of a capability. */
  readonly use: boolean
  /** No hook tells of uses. */
  readonly areUsesUnseen: boolean
  /** How a process gains capabilities, of the ways that can be refused. */
  readonly gain: readonly ('exec' | 'namespace')[]
}

/** What each kernel can where a unified cgroup hierarchy is mounted. */
export const NO_REFUSALS: Refusals = {
  exec: false,
  connect: true,
  fileAccess: 0,
  listen: 'none',
  mount: false,
  signal: false,
  use: false,
  areUsesUnseen: false,
  gain: [],
}
/** What a kernel with BPF LSM and fexit programs can. */
export const ALL_REFUSALS: Refusals = {
  exec: true,
  connect: true,
  fileAccess: 0xff,
  listen: 'listen',
  mount: true,
  signal: true,
  use: true,
  areUsesUnseen: false,
  gain: ['exec', 'namespace'],
}

export const EXEC_DECISION = 'on_bprm_check'
const CONNECT_DECISIONS = ['on_connect4', 'on_connect6', 'on_sendmsg4', 'on_sendmsg6']
const LISTEN_DECISION = 'on_socket_listen'
const BIND_DECISIONS = ['on_bind4', 'on_bind6']
export const MOUNT_DECISIONS: readonly string[] = ['on_sb_mount', 'on_move_mount']
export const SIGNAL_DECISION = 'on_task_kill'
export const USE_DECISION = 'on_capable'
const USE_RESULTS = ['on_capability_used', 'on_capability_asked']
export const GAIN_EXEC_DECISION = 'on_bprm_creds'
const GAIN_DECISIONS = { exec: GAIN_EXEC_DECISION, namespace: 'on_userns_create' } as const

/** Programs that refuse an access; without one of `all` of them the access is not refused whole. */
const FILE_DECISIONS: Readonly<Record<FileAccess, { all: readonly string[]; some: readonly string[] }>> = {
  read: { all: ['on_file_open'], some: [] },
  // the second truncates by descriptor from v6.2 on, where there is one
  write: { all: ['on_file_open', 'on_path_truncate'], some: ['on_file_truncate'] },
  create: { all: ['on_path_mknod', 'on_open_end', 'on_path_mkdir', 'on_path_symlink'], some: [] },
  delete: { all: ['on_path_unlink', 'on_path_rmdir'], some: [] },
  rename: { all: ['on_path_rename'], some: [] },
  link: { all: ['on_path_link'], some: [] },
  chmod: { all: ['on_path_chmod'], some: [] },
  chown: { all: ['on_path_chown'], some: [] },
}

/** `has`: the program is loaded and has a place to be attached at. */
export function refusalsOf(has: (program: string) => boolean): Refusals {
  return {
    exec: has(EXEC_DECISION),
    connect: CONNECT_DECISIONS.every(has),
    fileAccess: FILE_ACCESSES.filter((access) => FILE_DECISIONS[access].all.every(has)).reduce(
      (mask, access) => mask | FILE_ACCESS[access],
      0,
    ),
    listen: has(LISTEN_DECISION) ? 'listen' : BIND_DECISIONS.every(has) ? 'bind' : 'none',
    mount: MOUNT_DECISIONS.every(has),
    signal: has(SIGNAL_DECISION),
    use: has(USE_DECISION),
    areUsesUnseen: !USE_RESULTS.some(has),
    gain: (['exec', 'namespace'] as const).filter((way) => has(GAIN_DECISIONS[way])),
  }
}

/** The programs that refuse these accesses (FILE_ACCESS bits), of those that are there. */
export function fileDecisions(access: number, has: (program: string) => boolean): string[] {
  const wanted = FILE_ACCESSES.filter((name) => (access & FILE_ACCESS[name]) !== 0)
  return [...new Set(wanted.flatMap((name) => [...FILE_DECISIONS[name].all, ...FILE_DECISIONS[name].some]))].filter(has)
}

export function gainDecisions({ gain }: Refusals): string[] {
  return gain.map((way) => GAIN_DECISIONS[way])
}

export function listenDecisions({ listen }: Refusals): readonly string[] {
  return listen === 'listen' ? [LISTEN_DECISION] : listen === 'bind' ? BIND_DECISIONS : []
}

const DECISIONS: ReadonlyMap<number, string> = new Map([
  [Act.OPEN, 'on_file_open'],
  [Act.UNLINK, 'on_path_unlink'],
  [Act.RMDIR, 'on_path_rmdir'],
  [Act.RENAME, 'on_path_rename'],
  [Act.LINK, 'on_path_link'],
  [Act.SYMLINK, 'on_path_symlink'],
  [Act.MKDIR, 'on_path_mkdir'],
  [Act.TRUNCATE, 'on_path_truncate'],
  [Act.CHMOD, 'on_path_chmod'],
  [Act.CHOWN, 'on_path_chown'],
  [Act.LISTEN, LISTEN_DECISION],
  [Act.SIGNAL, SIGNAL_DECISION],
  [Act.CAPABLE, USE_DECISION],
  [Act.UNSHARE, GAIN_DECISIONS.namespace],
])
const AF_INET = 2

/** The program that refused an exec; `gained`: what the exec would have given the process. */
export function decisionOfExec(gained: bigint): string {
  return gained === 0n ? EXEC_DECISION : GAIN_EXEC_DECISION
}

/** The program that decided about a call. Of an open `access` says whether that was about the making of the file. */
export function decisionOf({
  act,
  access,
  family,
  nr,
  abi,
}: Pick<EvCall, 'act' | 'access' | 'family' | 'nr' | 'abi'>): string {
  if (act === Act.MOUNT) return MOUNT_DECISIONS[syscallName(nr, abi) === 'move_mount' ? 1 : 0] ?? ''
  if (act === Act.BIND) return family === AF_INET ? 'on_bind4' : 'on_bind6'
  return (access & Access.CREATE) !== 0 ? 'on_path_mknod' : (DECISIONS.get(act) ?? '')
}
