/**
 * The body of a record of an act that is a syscall. One shape for all of them, so that events, codec and rules know one thing;
 * CALL_SHAPES says which members an act has, and with them its form as JSON, in text and in docs/events.md.
 */

/** ABIs of syscalls, native or by the name of the compatibility one, in the order of their numbers on the wire: grows only at the end. */
export const ABIS = ['native', 'ia32', 'x32', 'aarch32'] as const
export type AbiName = (typeof ABIS)[number]

/** In the order of the numbers on the wire and of enum hg_act in bpf/abi.h (which starts at 1): grows only at the end. */
export const CALL_KINDS = [
  'open',
  'unlink',
  'rename',
  'link',
  'symlink',
  'chmod',
  'chown',
  'mkdir',
  'rmdir',
  'truncate',
  'signal',
  'setuid',
  'setgid',
  'capset',
  'ptrace',
  'setns',
  'unshare',
  'mount',
  'umount',
  'pivot_root',
  'chroot',
  'bpf',
  'module',
  'memfd',
  'mmap',
  'mprotect',
  'prctl',
  'userfaultfd',
  'socket',
  'bind',
  'listen',
  'accept',
  'send',
  'recv',
  'dup',
  'ipc',
  'unix_connect',
  'capable',
] as const
export type CallKind = (typeof CALL_KINDS)[number]

export type FileAccess = 'read' | 'write' | 'create'
export const FILE_ACCESSES: readonly FileAccess[] = ['read', 'write', 'create']

/** By the number that the kernel side gives (enum hg_fd_kind). */
export const FD_KINDS = [
  '',
  'file',
  'directory',
  'fifo',
  'char_device',
  'block_device',
  'socket',
  'symlink',
  'anon',
  'namespace',
] as const
export type FdKind = (typeof FD_KINDS)[number]

export type SocketFamily = '' | 'unix' | 'ipv4' | 'ipv6' | 'netlink' | 'packet' | 'other'
export const SOCKET_FAMILIES: readonly SocketFamily[] = ['', 'unix', 'ipv4', 'ipv6', 'netlink', 'packet', 'other']

/** Of an ipv4 or ipv6 socket; a side that is not known has an empty address and port 0. */
export interface CallSocket {
  family: SocketFamily
  /** `stream`, `dgram`, `raw`, `seqpacket`, …, or the number. */
  type: string
  /** `tcp`, `udp`, `icmp`, …, or the number. */
  proto: string
  localIp: string
  localPort: number
  remoteIp: string
  remotePort: number
}

/** The process that was acted on; of a unix socket, the container at its other end. */
export interface CallTarget {
  pid: number
  startNs: bigint
  exe: string
  /** Empty: the host, or not known. */
  containerId: string
  containerName: string
}

/** What is to be said of a call by yes or no. */
export interface CallMarks {
  /** The file lies in the container's upper layer: it does not come from the image. */
  upperLayer: boolean
  /** The file lies in memory only. */
  memfd: boolean
  /** The file has no name left. */
  deleted: boolean
  /** The open made the file. */
  created: boolean
  pathTruncated: boolean
  /** The path is what the call named, joined to its directory: symbolic links in it are not followed. */
  pathUnresolved: boolean
  /** An address or a text was read from the process's memory after the call, where it could have changed. */
  userMemory: boolean
  /** Done by an io_uring, not by a syscall. */
  ioUring: boolean
}
/** In the order of their bits on the wire: grows only at the end. */
export const CALL_MARKS: readonly (keyof CallMarks)[] = [
  'upperLayer',
  'memfd',
  'deleted',
  'created',
  'pathTruncated',
  'pathUnresolved',
  'userMemory',
  'ioUring',
]

export interface CallBody extends CallMarks {
  act: CallKind
  /** The syscall's own name (`openat2`); empty when the act was not seen as a syscall. */
  call: string
  abi: AbiName
  /** What it returned; undefined: seen before its end. */
  result?: bigint
  /** Arguments by name, as text (`flags` → `O_RDONLY|O_CLOEXEC`). Names: CALL_SHAPES. */
  args: Readonly<Record<string, string>>
  access: readonly FileAccess[]
  /** Absolute, from the root of the mount namespace; of a unix socket, its address. */
  path: string
  /** Of a rename or link, the new name; of pivot_root, where the old root goes. */
  newPath: string
  /** As the call had them. */
  rawPath: string
  rawNewPath: string
  /** Descriptor; -1: none. */
  fd: number
  fdKind: FdKind
  inode: bigint
  dev: number
  /** Type and permissions of the file, as stat(2) has them. */
  mode: number
  socket?: CallSocket
  target?: CallTarget
  /** The same act on the same object by this process since the last record of one, not recorded one by one. */
  repeatsCount: number
}

/** Groups of members that an act has beside `call`, `abi`, `result`, `res` and `repeats_count`. */
export type CallPart = 'path' | 'new_path' | 'file' | 'access' | 'socket' | 'target'

export interface CallShape {
  readonly what: string
  readonly parts: readonly CallPart[]
  /** Names of the arguments, in order. */
  readonly args: readonly string[]
}

/** A body without facts: what makes one starts from it. */
export const NO_MARKS: Readonly<CallMarks> = {
  upperLayer: false,
  memfd: false,
  deleted: false,
  created: false,
  pathTruncated: false,
  pathUnresolved: false,
  userMemory: false,
  ioUring: false,
}

const NAME: readonly CallPart[] = ['path']
const NAME_OR_FD: readonly CallPart[] = ['path', 'file']
const NAMES: readonly CallPart[] = ['path', 'new_path']
const SOCKET: readonly CallPart[] = ['path', 'file', 'socket', 'target']

export const CALL_SHAPES: Readonly<Record<CallKind, CallShape>> = {
  open: {
    what: 'a file was opened, or could not be',
    parts: ['path', 'file', 'access'],
    args: ['flags', 'create_mode', 'resolve', 'device'],
  },
  unlink: { what: 'a name was removed', parts: NAME, args: ['flags'] },
  rename: { what: 'a name was changed', parts: NAMES, args: ['flags'] },
  link: { what: 'a file got a second name', parts: NAMES, args: ['flags'] },
  symlink: { what: 'a symbolic link was made', parts: NAME, args: ['target_path'] },
  chmod: { what: "a file's permissions were set", parts: NAME_OR_FD, args: ['set_mode', 'flags'] },
  chown: { what: "a file's owner was set", parts: NAME_OR_FD, args: ['set_uid', 'set_gid', 'flags'] },
  mkdir: { what: 'a directory was made', parts: NAME, args: ['create_mode'] },
  rmdir: { what: 'a directory was removed', parts: NAME, args: [] },
  truncate: { what: 'a file was cut or grown to a length', parts: NAME_OR_FD, args: ['length'] },
  signal: { what: 'a process sent a signal to another', parts: ['target'], args: ['signal', 'number', 'to'] },
  setuid: {
    what: 'user ids were set; the arguments are those after it',
    parts: [],
    args: ['uid', 'euid', 'suid', 'fsuid'],
  },
  setgid: {
    what: 'group ids were set; the arguments are those after it',
    parts: [],
    args: ['gid', 'egid', 'sgid', 'fsgid'],
  },
  capset: {
    what: 'capabilities were set; the arguments are those after it',
    parts: [],
    args: ['effective', 'permitted', 'inheritable', 'ambient'],
  },
  ptrace: { what: 'a process was traced or changed by another', parts: ['target'], args: ['request', 'to'] },
  setns: { what: 'another namespace was entered', parts: ['path', 'file'], args: ['flags'] },
  unshare: { what: 'new namespaces were made', parts: [], args: ['flags'] },
  mount: { what: 'a file system was mounted, moved or changed', parts: NAME, args: ['source', 'type', 'flags'] },
  umount: { what: 'a file system was taken off', parts: NAME, args: ['flags'] },
  pivot_root: { what: 'the root file system was exchanged', parts: NAMES, args: [] },
  chroot: { what: 'the root directory was set', parts: NAME, args: [] },
  bpf: { what: 'a call of bpf(2)', parts: [], args: ['cmd'] },
  module: { what: 'a kernel module was loaded or removed', parts: ['path', 'file'], args: ['name', 'flags'] },
  memfd: { what: 'a file in memory was made', parts: ['path', 'file'], args: ['name', 'flags'] },
  mmap: {
    what: 'memory that can be executed, and written or without a file, was mapped',
    parts: ['path', 'file'],
    args: ['address', 'length', 'prot', 'flags'],
  },
  mprotect: { what: 'memory was made executable', parts: [], args: ['address', 'length', 'prot'] },
  prctl: {
    what: 'an option of the process that bears on security was set',
    parts: [],
    args: ['option', 'value', 'name'],
  },
  userfaultfd: { what: 'page faults were asked for', parts: ['file'], args: ['flags'] },
  socket: { what: 'a socket was made', parts: ['file', 'socket'], args: ['domain', 'type', 'protocol'] },
  bind: { what: 'a socket got its address', parts: SOCKET, args: [] },
  listen: { what: 'a socket began to wait for connections', parts: SOCKET, args: ['backlog'] },
  accept: { what: 'a connection was taken', parts: SOCKET, args: ['flags'] },
  send: { what: 'data was sent by sendto or sendmsg', parts: SOCKET, args: ['flags'] },
  recv: { what: 'data was received by recvfrom or recvmsg', parts: SOCKET, args: ['flags'] },
  unix_connect: { what: 'a unix socket was connected, or could not be', parts: SOCKET, args: [] },
  capable: {
    what: 'the kernel asked whether the process has a capability; `result` is its answer',
    parts: [],
    args: ['capability', 'user_ns'],
  },
  dup: { what: 'a descriptor was duplicated', parts: SOCKET, args: ['old_fd', 'flags'] },
  ipc: {
    what: 'memory, a queue or semaphores that processes share were got by their key or name, or attached',
    parts: ['path', 'file'],
    args: ['name', 'key', 'id', 'size', 'flags'],
  },
}
