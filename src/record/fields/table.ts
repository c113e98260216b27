/**
 * The one table of fields: what conditions and outputs may name, of which type, from where, and with which events the probes
 * yield it today. A row without kinds is part of the language all the same: a rule that reads it is refused by its name.
 */
import type { EventKind } from '../model.js'
import type { FieldArgument, FieldSpec, FieldType } from './types.js'

/** Kinds whose records name the process that acted. */
const ANY: readonly EventKind[] = ['exec', 'fork', 'exit', 'connect', 'syscall', 'oom']
const EXEC: readonly EventKind[] = ['exec']
const CONNECT: readonly EventKind[] = ['connect']
const EXIT: readonly EventKind[] = ['exit']
const SYSCALL: readonly EventKind[] = ['syscall']
const NONE: readonly EventKind[] = []

type Row = readonly [
  name: string,
  type: FieldType,
  kinds: readonly EventKind[],
  source: string,
  rest?: { readonly unit?: string; readonly argument?: FieldArgument; readonly carriedBy?: readonly EventKind[] },
]

const NS = { unit: 'ns' }
const INDEXED = { argument: 'optional' } as const
const KEYED = { argument: 'required' } as const
const OF_FILES = { carriedBy: NONE } as const

const EVENT: readonly Row[] = [
  ['evt.type', 'string', ANY, 'event kind'],
  ['evt.time', 'time', ANY, 'time of the event, UTC', NS],
  ['evt.num', 'uint', NONE, 'a number of the event, from 1'],
  ['evt.args', 'string', NONE, 'all arguments of the call'],
  ['evt.arg', 'string', NONE, 'an argument of the call, by number or name', KEYED],
  ['evt.res', 'string', NONE, 'result of the call: `SUCCESS` or an errno name'],
  ['evt.rawres', 'int', NONE, 'result of the call'],
  ['evt.buffer', 'bytes', NONE, 'data read or written', OF_FILES],
  ['evt.is_open_write', 'bool', NONE, 'open flags', OF_FILES],
  ['evt.is_open_read', 'bool', NONE, 'open flags', OF_FILES],
  ['evt.is_open_exec', 'bool', NONE, 'open flags', OF_FILES],
  ['evt.is_open_create', 'bool', NONE, 'open flags', OF_FILES],
  ['evt.hostname', 'string', NONE, 'name of the host'],
  ['evt.source', 'string', NONE, 'event source'],
]

/** Named arguments of calls, `evt.arg.NAME`: those of the public rules and their neighbours. */
const CALL_ARGUMENTS =
  'addr backlog cap_effective cap_permitted cmd cwd dev dir dirfd domain egid env euid exe fd filename flags gid how id linkdirfd linkpath mode name nativeID newdir newdirfd newfd newpath nstype olddir olddirfd oldfd oldpath op path pid proto ptid queuelen rgid request res resolve rgid ruid sig size special suid target tuple type uargs uid vpid'

const CALL: readonly Row[] = [...new Set(CALL_ARGUMENTS.split(' '))].map((name) => [
  `evt.arg.${name}`,
  'string',
  NONE,
  'an argument of the call',
])

const PROCESS: readonly Row[] = [
  ['proc.name', 'string', ANY, 'comm of the process: at most 15 bytes'],
  ['proc.exe', 'string', ANY, 'first argument'],
  ['proc.exepath', 'string', ANY, 'resolved executable, from the root of its mount namespace'],
  ['proc.args', 'string', ANY, 'arguments but the first, joined by blanks'],
  ['proc.cmdline', 'string', ANY, 'proc.name and proc.args'],
  ['proc.exeline', 'string', ANY, 'proc.exe and proc.args'],
  ['proc.cmdnargs', 'uint', ANY, 'number of arguments but the first'],
  ['proc.cwd', 'string', ANY, 'working directory at the last exec'],
  ['proc.pid', 'int', ANY, 'process id, on the host'],
  ['proc.ppid', 'int', ANY, 'process id of the parent, on the host'],
  ['thread.tid', 'int', ANY, 'id of the thread that acted, on the host'],
  ['proc.vpid', 'int', NONE, 'process id in its own namespace'],
  ['proc.pname', 'string', ANY, 'proc.name of the parent'],
  ['proc.pexe', 'string', ANY, 'proc.exe of the parent'],
  ['proc.pexepath', 'string', ANY, 'proc.exepath of the parent'],
  ['proc.pcmdline', 'string', ANY, 'proc.cmdline of the parent'],
  ['proc.aname', 'string', ANY, 'proc.name of an ancestor: `[1]` the parent; without a number, any', INDEXED],
  ['proc.aexe', 'string', ANY, 'proc.exe of an ancestor', INDEXED],
  ['proc.aexepath', 'string', ANY, 'proc.exepath of an ancestor', INDEXED],
  ['proc.acmdline', 'string', ANY, 'proc.cmdline of an ancestor', INDEXED],
  ['proc.apid', 'int', ANY, 'process id of an ancestor', INDEXED],
  ['proc.duration', 'time', ANY, 'time since the process started', NS],
  ['proc.sname', 'string', NONE, 'proc.name of the session leader'],
  ['proc.tty', 'uint', NONE, 'controlling terminal, 0 for none'],
  ['proc.env', 'string', NONE, 'environment, whole or one variable', INDEXED],
  ['proc.is_vpgid_leader', 'bool', NONE, 'whether it leads its process group'],
  ['proc.is_exe_from_memfd', 'bool', EXEC, 'whether the executable lies in memory only'],
  ['proc.is_exe_upper_layer', 'bool', NONE, "whether the executable lies in the container's upper layer"],
  ['proc.is_exe_writable', 'bool', NONE, 'whether the user may write the executable'],
  ['proc.exe_ino', 'uint', EXEC, 'inode of the executable'],
  ['proc.exe_ino.mtime', 'time', NONE, 'when the executable was last written', NS],
  ['proc.exe_ino.ctime', 'time', NONE, "when the executable's inode last changed", NS],
  ['proc.exe_ino.ctime_duration_proc_start', 'time', NONE, 'from that change to the start', NS],
  ['thread.cap_permitted', 'string', NONE, 'permitted capabilities'],
  ['thread.cap_effective', 'string', NONE, 'effective capabilities'],
  ['thread.cap_inheritable', 'string', NONE, 'inheritable capabilities'],
  ['user.uid', 'uint', ANY, 'effective user, on the host'],
  ['user.name', 'string', ANY, "name of that user in the host's user database"],
  ['user.loginuid', 'int', NONE, 'user who logged in (audit)'],
  ['user.loginname', 'string', NONE, 'name of the user who logged in'],
  ['group.gid', 'uint', ANY, 'effective group, on the host'],
  ['group.name', 'string', NONE, 'name of that group'],
]

const DESCRIPTOR: readonly Row[] = [
  ['fd.num', 'int', NONE, 'number of the descriptor'],
  ['fd.name', 'string', NONE, 'path, or both ends of a connection'],
  ['fd.nameraw', 'string', NONE, 'path as the call gave it'],
  ['fd.filename', 'string', NONE, 'last component of the path'],
  ['fd.directory', 'string', NONE, 'directory of the path'],
  ['fd.type', 'string', CONNECT, 'kind of descriptor: `ipv4`, `ipv6` for connects'],
  ['fd.typechar', 'string', CONNECT, 'the same as one letter: `4`, `6` for connects'],
  ['fd.types', 'list', NONE, 'kinds of all descriptors of the call'],
  ['fd.sockfamily', 'string', CONNECT, '`ip` or `unix`'],
  ['fd.l4proto', 'string', CONNECT, '`tcp`, `udp` or another'],
  ['fd.ip', 'ip', NONE, 'address of either end'],
  ['fd.net', 'net', NONE, 'address of either end'],
  ['fd.port', 'port', NONE, 'port of either end'],
  ['fd.sip', 'ip', CONNECT, 'address of the server: of a connect, where it goes'],
  ['fd.snet', 'net', CONNECT, 'the same, for its network'],
  ['fd.sport', 'port', CONNECT, 'port of the server'],
  ['fd.rip', 'ip', CONNECT, 'address of the far end'],
  ['fd.rnet', 'net', CONNECT, 'the same, for its network'],
  ['fd.rport', 'port', CONNECT, 'port of the far end'],
  ['fd.cip', 'ip', NONE, 'address of the client'],
  ['fd.cnet', 'net', NONE, 'the same, for its network'],
  ['fd.cport', 'port', NONE, 'port of the client'],
  ['fd.lip', 'ip', NONE, 'address of the near end'],
  ['fd.lnet', 'net', NONE, 'the same, for its network'],
  ['fd.lport', 'port', NONE, 'port of the near end'],
  ['fd.sip.name', 'string', NONE, 'names of the server, from DNS'],
  ['fd.cip.name', 'string', NONE, 'names of the client, from DNS'],
  ['fd.rip.name', 'string', NONE, 'names of the far end, from DNS'],
  ['fd.lip.name', 'string', NONE, 'names of the near end, from DNS'],
  ['fd.connected', 'bool', NONE, 'whether the socket is connected'],
  ['fd.name_changed', 'bool', NONE, "whether the call changed the descriptor's name"],
]

const CONTAINER: readonly Row[] = [
  ['container.id', 'string', ANY, 'first 12 characters of the id, or `host`'],
  ['container.full_id', 'string', ANY, 'whole id'],
  ['container.name', 'string', ANY, 'name'],
  ['container.image', 'string', ANY, 'image as it was asked for'],
  ['container.image.id', 'string', ANY, 'image id'],
  ['container.image.repository', 'string', ANY, 'image without tag and digest'],
  ['container.image.tag', 'string', ANY, 'tag of the image'],
  ['container.type', 'string', ANY, 'runtime'],
  ['container.privileged', 'bool', NONE, 'whether it runs privileged: Docker says so, the records do not carry it yet'],
  ['container.mounts', 'string', NONE, 'mounts'],
  ['container.mount.dest', 'string', NONE, 'destination of a mount, by source path', KEYED],
  ['container.start_ts', 'time', NONE, 'when it started', NS],
  ['k8s.ns.name', 'string', NONE, 'namespace of the pod'],
  ['k8s.pod.name', 'string', NONE, 'name of the pod'],
]

/** This system's own names. */
const OWN: readonly Row[] = [
  ['container.state', 'string', ANY, '`host`, `container`, `pending` or `unknown`'],
  ['container.label', 'string', ANY, 'a label, by its key', KEYED],
  ['proc.phase', 'string', ANY, "`setup` for the runtime's own acts in a new container, else `run`"],
  ['proc.gid', 'uint', ANY, 'effective group, on the host'],
  ['exec.path', 'string', EXEC, 'program as invoked, absolute'],
  ['exec.file', 'string', EXEC, 'file that the kernel runs; of a script, its interpreter'],
  ['exec.script', 'string', EXEC, 'the script; absent for other programs'],
  ['exec.is_multicall', 'bool', EXEC, 'whether the program does what its first argument names (busybox)'],
  ['exec.is_refused', 'bool', EXEC, 'whether the attempt was refused, so that the program did not run'],
  ['exec.is_foreign_root', 'bool', EXEC, "whether its root is not the container's"],
  ['exec.is_args_truncated', 'bool', EXEC, 'whether arguments were cut'],
  ['exec.is_path_truncated', 'bool', EXEC, 'whether a path was cut'],
  ['exit.code', 'uint', EXIT, 'exit status; 0 when a signal ended it'],
  ['exit.signal', 'uint', EXIT, 'signal that ended it; 0 for none'],
  ['exit.is_core_dumped', 'bool', EXIT, 'whether it left a core dump'],
  ['syscall.name', 'string', SYSCALL, 'name of the call'],
  ['syscall.nr', 'uint', SYSCALL, 'number of the call in its own table'],
  ['syscall.abi', 'string', SYSCALL, '`native`, `ia32` or `x32`'],
  ['syscall.reason', 'string', SYSCALL, '`first_use` or `outside_allowed`'],
  ['connect.repeats', 'uint', CONNECT, 'sends to the same place that were not reported one by one', { unit: 'count' }],
]

/** The kinds that carry a group's fields where the row does not say; undefined: those that yield it. */
const GROUPS: readonly (readonly [rows: readonly Row[], carriedBy: readonly EventKind[] | undefined])[] = [
  [EVENT, ANY],
  [CALL, ANY],
  [PROCESS, ANY],
  [DESCRIPTOR, CONNECT],
  [CONTAINER, ANY],
  [OWN, undefined],
]

export const FIELDS: readonly FieldSpec[] = GROUPS.flatMap(([rows, carriedBy]) =>
  rows.map(([name, type, kinds, source, rest]) => ({
    name,
    type,
    unit: rest?.unit ?? '',
    argument: rest?.argument ?? 'none',
    source,
    carriedBy: rest?.carriedBy ?? carriedBy ?? kinds,
    kinds,
  })),
)

const byName: ReadonlyMap<string, FieldSpec> = new Map(FIELDS.map((spec) => [spec.name, spec]))

export function findField(name: string): FieldSpec | undefined {
  return byName.get(name)
}
