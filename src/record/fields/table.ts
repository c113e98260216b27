/**
 * The one table of fields: what conditions and outputs may name, of which type, from where, and with which events the probes
 * yield it today. A row without kinds is part of the language all the same: a rule that reads it is refused by its name.
 */
import { CALL_KINDS } from '../call-model.js'
import type { EventKind } from '../model.js'
import type { FieldArgument, FieldCost, FieldSpec, FieldType } from './types.js'

/** Kinds whose records name the process that acted. */
export const KINDS_OF_PROCESSES: readonly EventKind[] = [
  ...(['exec', 'fork', 'exit', 'connect', 'syscall', 'oom', 'dns', 'tls', 'http', ...CALL_KINDS] as const),
]
const ANY = KINDS_OF_PROCESSES
const EXEC: readonly EventKind[] = ['exec']
const CONNECT: readonly EventKind[] = ['connect']
const EXIT: readonly EventKind[] = ['exit']
const SYSCALL: readonly EventKind[] = ['syscall']
const OPEN: readonly EventKind[] = ['open']
const DNS: readonly EventKind[] = ['dns']
const TLS: readonly EventKind[] = ['tls']
const HTTP: readonly EventKind[] = ['http']
/** Kinds with a result. */
const RESULT: readonly EventKind[] = ['exec', 'fork', 'connect', ...CALL_KINDS]
/** Kinds whose call is about a socket. */
const SOCKET_CALLS: readonly EventKind[] = [
  'connect',
  'socket',
  'bind',
  'listen',
  'accept',
  'send',
  'recv',
  'dup',
  'unix_connect',
]
/** … and what is said on one. */
const SOCKET: readonly EventKind[] = [...SOCKET_CALLS, 'dns', 'tls', 'http']
/** Kinds whose call is about a descriptor. */
const DESCRIPTOR_KINDS: readonly EventKind[] = [
  ...SOCKET_CALLS,
  ...(['open', 'chmod', 'chown', 'truncate', 'setns', 'module', 'memfd', 'mmap', 'userfaultfd'] as const),
]
/** Kinds that are about a descriptor, whether or not its number is known. */
const NAMED: readonly EventKind[] = [...DESCRIPTOR_KINDS, 'dns', 'tls', 'http']
/** … and name a path. */
const FILE: readonly EventKind[] = ['open', 'chmod', 'chown', 'truncate', 'setns', 'module', 'memfd', 'mmap', 'dup']
const NONE: readonly EventKind[] = []

type Row = readonly [
  name: string,
  type: FieldType,
  kinds: readonly EventKind[],
  source: string,
  rest?: {
    readonly unit?: string
    readonly argument?: FieldArgument
    readonly carriedBy?: readonly EventKind[]
    readonly cost?: FieldCost
  },
]

const NS = { unit: 'ns' }
const INDEXED = { argument: 'optional' } as const
const KEYED = { argument: 'required' } as const
const OF_FILES = { carriedBy: OPEN } as const
const ANCESTORS = { cost: 'ancestors' } as const
const ANCESTOR = { ...INDEXED, ...ANCESTORS }
const MADE = { cost: 'made' } as const
const OF_SOCKETS = { carriedBy: SOCKET }
const RESOLVED = 'by those names in the rules that the host resolves to it'

const EVENT: readonly Row[] = [
  ['evt.type', 'string', ANY, 'event kind'],
  ['evt.time', 'time', ANY, 'time of the event, UTC; written as `HH:MM:SS.nnnnnnnnn`', { ...NS, ...MADE }],
  ['evt.time.s', 'string', ANY, 'the same without the fraction', MADE],
  ['evt.time.iso8601', 'string', ANY, 'time of the event, ISO 8601 in ns, UTC', MADE],
  ['evt.datetime', 'string', ANY, 'date and time of the event, UTC', MADE],
  ['evt.rawtime', 'time', ANY, 'ns since 1970', { ...NS, ...MADE }],
  ['evt.num', 'uint', ANY, 'a number of the event, from 1, since the agent started'],
  ['evt.cpu', 'int', ANY, 'CPU on which it happened'],
  ['evt.dir', 'string', ANY, '`<`: acts are judged when they are done'],
  ['evt.args', 'string', RESULT, 'all arguments of the call', MADE],
  ['evt.arg', 'string', RESULT, 'an argument of the call, by name', { ...KEYED, ...MADE }],
  ['evt.res', 'string', RESULT, 'result of the call: `SUCCESS` or an errno name; of a connect always `EINPROGRESS`'],
  ['evt.rawres', 'int', RESULT, 'result of the call; of a fork the child as its parent sees it'],
  ['evt.failed', 'bool', RESULT, 'whether the call failed'],
  ['evt.buffer', 'bytes', NONE, 'data read or written', { carriedBy: SOCKET }],
  ['evt.is_open_write', 'bool', OPEN, 'whether the file was opened for writing', OF_FILES],
  ['evt.is_open_read', 'bool', OPEN, 'whether the file was opened for reading', OF_FILES],
  ['evt.is_open_exec', 'bool', OPEN, 'whether it was asked to make the file with a permission to execute', OF_FILES],
  ['evt.is_open_create', 'bool', OPEN, 'whether the open made the file', OF_FILES],
  ['evt.hostname', 'string', ANY, 'name of the host'],
  ['evt.source', 'string', ANY, '`syscall`'],
]

/** Named arguments of calls, `evt.arg.NAME`: those of the public rules and their neighbours. */
const CALL_ARGUMENTS =
  'addr backlog cap_effective cap_permitted cmd cwd dev dir dirfd domain egid env euid exe fd filename flags gid how id linkdirfd linkpath mode name nativeID newdir newdirfd newfd newpath nstype olddir olddirfd oldfd oldpath op path pid proto ptid queuelen rgid request res resolve rgid ruid sig size special suid target tuple type uargs uid vpid'

const ARGUMENTS: readonly Row[] = [...new Set(CALL_ARGUMENTS.split(' '))].map((name) => [
  `evt.arg.${name}`,
  'string',
  RESULT,
  'an argument of the call; absent on calls without it',
  MADE,
])

const PROCESS: readonly Row[] = [
  ['proc.name', 'string', ANY, 'comm of the process: at most 15 bytes'],
  ['proc.exe', 'string', ANY, 'first argument'],
  ['proc.exepath', 'string', ANY, 'resolved executable, from the root of its mount namespace'],
  ['proc.args', 'string', ANY, 'arguments but the first, joined by blanks'],
  ['proc.cmdline', 'string', ANY, 'proc.name and proc.args'],
  ['proc.exeline', 'string', ANY, 'proc.exe and proc.args'],
  ['proc.cmdnargs', 'uint', ANY, 'number of arguments but the first'],
  ['proc.cwd', 'string', ANY, 'working directory at the last exec, ends in a slash'],
  ['proc.pid', 'int', ANY, 'process id, on the host'],
  ['proc.ppid', 'int', ANY, 'process id of the parent, on the host'],
  ['thread.tid', 'int', ANY, 'id of the thread that acted, on the host'],
  ['proc.vpid', 'int', ANY, 'process id in its own pid namespace'],
  ['proc.vpgid', 'int', ANY, 'its process group, in its own pid namespace, at the last exec'],
  ['proc.sid', 'int', ANY, 'its session, in its own pid namespace, at the last exec'],
  ['proc.pname', 'string', ANY, 'proc.name of the parent', ANCESTORS],
  ['proc.pexe', 'string', ANY, 'proc.exe of the parent', ANCESTORS],
  ['proc.pexepath', 'string', ANY, 'proc.exepath of the parent', ANCESTORS],
  ['proc.pcmdline', 'string', ANY, 'proc.cmdline of the parent', ANCESTORS],
  ['proc.aname', 'string', ANY, 'proc.name of an ancestor: `[1]` the parent; without a number, any', ANCESTOR],
  ['proc.aexe', 'string', ANY, 'proc.exe of an ancestor', ANCESTOR],
  ['proc.aexepath', 'string', ANY, 'proc.exepath of an ancestor', ANCESTOR],
  ['proc.acmdline', 'string', ANY, 'proc.cmdline of an ancestor', ANCESTOR],
  ['proc.apid', 'int', ANY, 'process id of an ancestor', ANCESTOR],
  ['proc.duration', 'time', ANY, 'time since the process started', NS],
  ['proc.sname', 'string', ANY, 'proc.name of the session leader, when it is an ancestor', ANCESTORS],
  ['proc.tty', 'uint', ANY, 'controlling terminal at the last exec, 0 for none'],
  ['proc.env', 'string', ANY, 'environment at the last exec, whole or one variable; its first 4 KiB', INDEXED],
  ['proc.is_vpgid_leader', 'bool', ANY, 'whether it led its process group at the last exec'],
  ['proc.is_exe_from_memfd', 'bool', ANY, 'whether the executable lies in memory only'],
  ['proc.is_exe_upper_layer', 'bool', ANY, "whether the executable lies in the container's upper layer"],
  ['proc.is_exe_writable', 'bool', NONE, 'whether the user may write the executable'],
  ['proc.exe_ino', 'uint', ANY, 'inode of the executable'],
  ['proc.exe_ino.mtime', 'time', NONE, 'when the executable was last written', NS],
  ['proc.exe_ino.ctime', 'time', NONE, "when the executable's inode last changed", NS],
  ['proc.exe_ino.ctime_duration_proc_start', 'time', NONE, 'from that change to the start', NS],
  ['thread.cap_permitted', 'string', ANY, 'permitted capabilities at the last exec, joined by blanks'],
  ['thread.cap_effective', 'string', ANY, 'effective capabilities at the last exec, joined by blanks'],
  ['thread.cap_inheritable', 'string', ANY, 'inheritable capabilities at the last exec, joined by blanks'],
  ['user.uid', 'uint', ANY, 'effective user, on the host'],
  ['user.name', 'string', ANY, "name of that user in the host's user database"],
  ['user.loginuid', 'int', ANY, 'user who logged in (audit), at the last exec; -1 for nobody'],
  ['user.loginname', 'string', ANY, 'name of the user who logged in'],
  ['group.gid', 'uint', ANY, 'effective group, on the host'],
  ['group.name', 'string', ANY, "name of that group in the host's database"],
]

const DESCRIPTOR: readonly Row[] = [
  [
    'fd.num',
    'int',
    DESCRIPTOR_KINDS,
    'number of the descriptor; of an open its result',
    { carriedBy: DESCRIPTOR_KINDS },
  ],
  ['fd.name', 'string', NAMED, 'path, or both ends of a connection: `1.2.3.4:5->6.7.8.9:80`', MADE],
  ['fd.nameraw', 'string', FILE, 'path as the call gave it', { carriedBy: FILE }],
  ['fd.filename', 'string', FILE, 'last component of the path', { carriedBy: FILE }],
  ['fd.directory', 'string', FILE, 'directory of the path', { carriedBy: FILE }],
  ['fd.type', 'string', NAMED, 'kind of descriptor: `file`, `directory`, `ipv4`, `ipv6`, `unix`, `pipe`, …'],
  ['fd.typechar', 'string', NAMED, 'the same as one letter: `f`, `d`, `4`, `6`, `u`, `p`, …'],
  ['fd.types', 'list', NAMED, 'kinds of all descriptors of the call'],
  ['fd.sockfamily', 'string', SOCKET, '`ip` or `unix`', OF_SOCKETS],
  ['fd.l4proto', 'string', SOCKET, '`tcp`, `udp` or another', OF_SOCKETS],
  ['fd.ip', 'ip', SOCKET, 'address of either end; of a connect the far one', OF_SOCKETS],
  ['fd.net', 'net', SOCKET, 'address of either end; of a connect the far one', OF_SOCKETS],
  ['fd.port', 'port', SOCKET, 'port of either end; of a connect the far one', OF_SOCKETS],
  ['fd.sip', 'ip', SOCKET, 'address of the server: of a connect, where it goes', OF_SOCKETS],
  ['fd.snet', 'net', SOCKET, 'the same, for its network', OF_SOCKETS],
  ['fd.sport', 'port', SOCKET, 'port of the server', OF_SOCKETS],
  ['fd.rip', 'ip', SOCKET, 'address of the far end', OF_SOCKETS],
  ['fd.rnet', 'net', SOCKET, 'the same, for its network', OF_SOCKETS],
  ['fd.rport', 'port', SOCKET, 'port of the far end', OF_SOCKETS],
  ['fd.cip', 'ip', SOCKET, 'address of the client; not known of a connect', OF_SOCKETS],
  ['fd.cnet', 'net', SOCKET, 'the same, for its network', OF_SOCKETS],
  ['fd.cport', 'port', SOCKET, 'port of the client', OF_SOCKETS],
  ['fd.lip', 'ip', SOCKET, 'address of the near end; not known of a connect', OF_SOCKETS],
  ['fd.lnet', 'net', SOCKET, 'the same, for its network', OF_SOCKETS],
  ['fd.lport', 'port', SOCKET, 'port of the near end', OF_SOCKETS],
  ['fd.sip.name', 'string', SOCKET, `the server, ${RESOLVED}`, OF_SOCKETS],
  ['fd.cip.name', 'string', SOCKET, `the client, ${RESOLVED}`, OF_SOCKETS],
  ['fd.rip.name', 'string', SOCKET, `the far end, ${RESOLVED}`, OF_SOCKETS],
  ['fd.lip.name', 'string', SOCKET, `the near end, ${RESOLVED}`, OF_SOCKETS],
  [
    'fd.connected',
    'bool',
    SOCKET,
    'whether the socket is connected: of a send or receive, whether it needs no address',
    OF_SOCKETS,
  ],
  [
    'fd.name_changed',
    'bool',
    SOCKET,
    "whether the call changed the descriptor's name: a datagram to an address of its own",
    OF_SOCKETS,
  ],
]

const CONTAINER: readonly Row[] = [
  ['container.id', 'string', ANY, 'first 12 characters of the id, or `host`'],
  ['container.full_id', 'string', ANY, 'whole id'],
  ['container.name', 'string', ANY, 'name, or `host`'],
  ['container.image', 'string', ANY, 'image as it was asked for'],
  ['container.image.id', 'string', ANY, 'image id'],
  ['container.image.repository', 'string', ANY, 'image without tag and digest'],
  ['container.image.tag', 'string', ANY, 'tag of the image'],
  ['container.image.digest', 'string', ANY, 'digest of the image, when it was asked for by it'],
  ['container.type', 'string', ANY, 'runtime, or `host`'],
  [
    'container.privileged',
    'bool',
    ANY,
    'whether it runs privileged: as Docker says, or by its capabilities and open paths',
  ],
  ['container.mounts', 'string', ANY, 'mounts: `source:destination:mode:rw:propagation`, by commas'],
  ['container.mount.dest', 'string', ANY, 'destination of a mount, by its number or source (globs)', KEYED],
  ['container.start_ts', 'time', ANY, 'when it was made', NS],
  ['container.duration', 'time', ANY, 'since when it was made', { ...NS, ...MADE }],
  ['k8s.ns.name', 'string', ANY, 'namespace of the pod, from the labels of the kubelet'],
  ['k8s.pod.name', 'string', ANY, 'name of the pod, from the labels of the kubelet'],
  ['k8s.pod.id', 'string', ANY, 'uid of the pod, from the labels of the kubelet'],
  ['k8s.pod.uid', 'string', ANY, 'uid of the pod, from the labels of the kubelet'],
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
  ['syscall.abi', 'string', SYSCALL, '`native`, `ia32` and `x32` (x86-64), `aarch32` (arm64)'],
  ['syscall.reason', 'string', SYSCALL, '`first_use` or `outside_allowed`'],
  ['dns.message', 'string', DNS, '`query` or `answer`'],
  ['dns.id', 'uint', DNS, 'number that a query and its answer share'],
  ['dns.question.name', 'string', DNS, 'name asked for, in lower case, without the last dot'],
  ['dns.question.type', 'string', DNS, '`A`, `AAAA`, …'],
  ['dns.rcode', 'string', DNS, '`NOERROR`, `NXDOMAIN`, …; absent of a query'],
  ['dns.answers', 'list', DNS, 'addresses, and names of CNAME, NS, PTR, MX and SRV; a query has none'],
  ['dns.is_truncated', 'bool', DNS, 'whether the message was cut: answers may be missing'],
  ['tls.sni', 'string', TLS, 'server name of the client hello, in lower case; absent where it has none'],
  ['tls.alpn', 'list', TLS, 'protocols that the client offers'],
  ['tls.has_encrypted_hello', 'bool', TLS, 'whether the hello has that extension: then `tls.sni` is the outer name'],
  ['tls.is_truncated', 'bool', TLS, 'whether the hello is longer than what is kept of it'],
  ['http.method', 'string', HTTP, 'method of the first request of the connection'],
  ['http.host', 'string', HTTP, 'host asked for, in lower case, without a port'],
  ['http.path', 'string', HTTP, 'path asked for, without the query'],
  ['http.is_truncated', 'bool', HTTP, 'whether the request was cut before its host'],
  ['connect.repeats', 'uint', CONNECT, 'sends to the same place that were not reported one by one', { unit: 'count' }],
]

/** The kinds that carry a group's fields where the row does not say (undefined: those that yield it), and what they cost. */
const GROUPS: readonly (readonly [
  rows: readonly Row[],
  carriedBy: readonly EventKind[] | undefined,
  cost: FieldCost,
])[] = [
  [EVENT, ANY, 'event'],
  [ARGUMENTS, RESULT, 'made'],
  [PROCESS, ANY, 'process'],
  [DESCRIPTOR, NAMED, 'event'],
  [CONTAINER, ANY, 'container'],
  [OWN, undefined, 'event'],
]

export const FIELDS: readonly FieldSpec[] = GROUPS.flatMap(([rows, carriedBy, cost]) =>
  rows.map(([name, type, kinds, source, rest]) => ({
    name,
    type,
    unit: rest?.unit ?? '',
    argument: rest?.argument ?? 'none',
    source,
    cost: rest?.cost ?? cost,
    carriedBy: rest?.carriedBy ?? carriedBy ?? kinds,
    kinds,
  })),
)

const byName: ReadonlyMap<string, FieldSpec> = new Map(FIELDS.map((spec) => [spec.name, spec]))

export function findField(name: string): FieldSpec | undefined {
  return byName.get(name)
}
