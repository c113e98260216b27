// Generated from the BTF of dist/bpf/hullguard.bpf.o (bpf/abi.h) by scripts/generate-abi.mjs. Do not edit.

/** Changes with every layout or number below: captures carry it. */
export const ABI_HASH = '3214a7f9dfa78767'
export const ABI_VERSION = 1
export const PATH_MAX_BYTES = 4096
export const ARGS_MAX_BYTES = 32768
export const ENV_MAX_BYTES = 4096
export const KEY_PATH_BYTES = 240
export const COMM_BYTES = 16
export const SYSCALLS_MAX = 512
export const SYSCALL_WORDS = 8
export const ABIS = 3
export const CONNECT_RANGES = 32
export const RULES_PER_PROFILE = 64
export const TOP_BYTES = 4
export const TOP_FACTOR = 1640531527
export const TOP_WORDS = 4
export const FILTERS = 256
export const POLICIES_MAX = 1024
export const PACKET_SMALL_BYTES = 512
export const PACKET_MEDIUM_BYTES = 2048
export const PACKET_MAX_BYTES = 4096
export const FILE_ACCESSES = 8
export const CAPABILITIES_MAX = 64
export const USER_RANGES = 16
export const SAID_MAX = 64
export const RECIPES_MAX = 2048

export const Access = {
  READ: 1,
  WRITE: 2,
  CREATE: 4,
} as const
export type Access = (typeof Access)[keyof typeof Access]

export const Act = {
  NONE: 0,
  OPEN: 1,
  UNLINK: 2,
  RENAME: 3,
  LINK: 4,
  SYMLINK: 5,
  CHMOD: 6,
  CHOWN: 7,
  MKDIR: 8,
  RMDIR: 9,
  TRUNCATE: 10,
  SIGNAL: 11,
  SETUID: 12,
  SETGID: 13,
  CAPSET: 14,
  PTRACE: 15,
  SETNS: 16,
  UNSHARE: 17,
  MOUNT: 18,
  UMOUNT: 19,
  PIVOT_ROOT: 20,
  CHROOT: 21,
  BPF: 22,
  MODULE: 23,
  MEMFD: 24,
  MMAP: 25,
  MPROTECT: 26,
  PRCTL: 27,
  USERFAULTFD: 28,
  SOCKET: 29,
  BIND: 30,
  LISTEN: 31,
  ACCEPT: 32,
  SEND: 33,
  RECV: 34,
  DUP: 35,
  IPC: 36,
  UNIX_CONNECT: 37,
  CAPABLE: 38,
  MAX: 39,
} as const
export type Act = (typeof Act)[keyof typeof Act]

export const Action = {
  NONE: 0,
  DENIED: 1,
  KILLED: 2,
  FAILED: 3,
  SPARED: 4,
  DENIED_KILL_PENDING: 5,
} as const
export type Action = (typeof Action)[keyof typeof Action]

export const AtEnd = {
  ACTS: 0,
  RULES: 1,
  RULES_OF: 2,
} as const
export type AtEnd = (typeof AtEnd)[keyof typeof AtEnd]

export const CallFlag = {
  HAS_RESULT: 1,
  UPPER_LAYER: 2,
  MEMFD: 4,
  PATH_TRUNCATED: 8,
  PATH_UNRESOLVED: 16,
  IO_URING: 32,
  DECISION: 64,
  CREATED: 128,
  USER_MEMORY: 256,
  DELETED: 512,
} as const
export type CallFlag = (typeof CallFlag)[keyof typeof CallFlag]

export const CgroupState = {
  PENDING: 0,
  CONTAINER: 1,
} as const
export type CgroupState = (typeof CgroupState)[keyof typeof CgroupState]

export const Direction = {
  OUT: 0,
  IN: 1,
} as const
export type Direction = (typeof Direction)[keyof typeof Direction]

export const Drop = {
  RING_FULL: 0,
  SCRATCH: 1,
  TASKS_FULL: 2,
  CGROUPS_FULL: 3,
  HELPER: 4,
  SYSCALLS_FULL: 5,
  UNREPORTED_ACTION: 6,
  REPEAT: 7,
  SOCKETS_FULL: 8,
  TRUNCATED: 9,
  CONTAINERS_FULL: 10,
  MOVED_FULL: 11,
  MAX: 12,
} as const
export type Drop = (typeof Drop)[keyof typeof Drop]

export const ExecFlag = {
  SCRIPT: 1,
  ARGS_TRUNCATED: 2,
  PATH_TRUNCATED: 4,
  MEMFD: 8,
  FOREIGN_ROOT: 16,
  KERNEL_UNDECIDED: 32,
  MULTICALL: 64,
  UPPER_LAYER: 128,
  ENV_TRUNCATED: 256,
  REFUSED: 512,
  DELETED: 1024,
} as const
export type ExecFlag = (typeof ExecFlag)[keyof typeof ExecFlag]

export const ExitFlag = {
  CORE: 1,
} as const
export type ExitFlag = (typeof ExitFlag)[keyof typeof ExitFlag]

export const FdKind = {
  NONE: 0,
  FILE: 1,
  DIRECTORY: 2,
  FIFO: 3,
  CHAR_DEVICE: 4,
  BLOCK_DEVICE: 5,
  SOCKET: 6,
  SYMLINK: 7,
  ANON: 8,
  NAMESPACE: 9,
  MAX: 10,
} as const
export type FdKind = (typeof FdKind)[keyof typeof FdKind]

export const FileAccess = {
  READ: 1,
  WRITE: 2,
  CREATE: 4,
  DELETE: 8,
  RENAME: 16,
  LINK: 32,
  CHMOD: 64,
  CHOWN: 128,
} as const
export type FileAccess = (typeof FileAccess)[keyof typeof FileAccess]

export const Kind = {
  NONE: 0,
  EXEC: 1,
  FORK: 2,
  EXIT: 3,
  CONNECT: 4,
  SYSCALL: 5,
  OOM: 6,
  CGROUP_MKDIR: 7,
  CGROUP_RMDIR: 8,
  CGROUP_JOIN: 9,
  TASK: 10,
  MEMORY: 11,
  CALL: 12,
  LISTEN: 13,
  ACCEPT: 14,
  CONNECTED: 15,
  CLOSE: 16,
  PACKET: 17,
  MAX: 18,
} as const
export type Kind = (typeof Kind)[keyof typeof Kind]

export const OpenKind = {
  READ: 0,
  WRITE: 1,
  READ_WRITE: 2,
  NEITHER: 3,
  FAILED: 4,
  KINDS: 5,
} as const
export type OpenKind = (typeof OpenKind)[keyof typeof OpenKind]

export const OpenTrait = {
  DOTDOT: 1,
  CREATE: 2,
} as const
export type OpenTrait = (typeof OpenTrait)[keyof typeof OpenTrait]

export const PacketFlag = {
  LAST: 1,
} as const
export type PacketFlag = (typeof PacketFlag)[keyof typeof PacketFlag]

export const Phase = {
  RUN: 0,
  SETUP: 1,
} as const
export type Phase = (typeof Phase)[keyof typeof Phase]

export const PlaceClass = {
  DONE: 20,
  FAILED: 29,
  CLASSES: 30,
} as const
export type PlaceClass = (typeof PlaceClass)[keyof typeof PlaceClass]

export const RecipeFlag = {
  RESULT_FD: 1,
  RAW2: 2,
  RAW: 4,
  ARGS_POINTER: 8,
  EMPTY_PATH: 16,
  MESSAGE: 32,
  OPEN_HOW: 64,
  BY_FUNCTION: 128,
} as const
export type RecipeFlag = (typeof RecipeFlag)[keyof typeof RecipeFlag]

export const RingOpcode = {
  SENDMSG: 9,
  RECVMSG: 10,
  ACCEPT: 13,
  OPENAT: 18,
  SEND: 26,
  RECV: 27,
  OPENAT2: 28,
  RENAMEAT: 35,
  UNLINKAT: 36,
  MKDIRAT: 37,
  SYMLINKAT: 38,
  LINKAT: 39,
  SOCKET: 45,
  SEND_ZC: 47,
  SENDMSG_ZC: 48,
  FTRUNCATE: 55,
  BIND: 56,
  LISTEN: 57,
} as const
export type RingOpcode = (typeof RingOpcode)[keyof typeof RingOpcode]

export const Rung = {
  TRACEPOINT: 0,
  LSM: 1,
  CGROUP: 2,
  SYSCALL: 3,
  FUNCTION: 4,
} as const
export type Rung = (typeof Rung)[keyof typeof Rung]

export const SaidKind = {
  MOUNT: 0,
  SIGNAL: 1,
} as const
export type SaidKind = (typeof SaidKind)[keyof typeof SaidKind]

export const SaidWhat = {
  TARGET: 0,
  SOURCE: 1,
  FSTYPE: 2,
  EXE: 3,
  USER: 4,
  GROUP: 5,
  WHATS: 8,
} as const
export type SaidWhat = (typeof SaidWhat)[keyof typeof SaidWhat]

export const SocketFlag = {
  ESTABLISHED: 1,
  CLOSED_HERE: 2,
  CLOSED_THERE: 4,
} as const
export type SocketFlag = (typeof SocketFlag)[keyof typeof SocketFlag]

export const SocketRole = {
  NONE: 0,
  LISTENER: 1,
  OUT: 2,
  IN: 3,
  DATAGRAM: 4,
  OTHER: 5,
} as const
export type SocketRole = (typeof SocketRole)[keyof typeof SocketRole]

export const SyscallFlag = {
  FIRST: 1,
  OUTSIDE: 2,
  RETURNED: 4,
  ENDED_THREAD: 8,
} as const
export type SyscallFlag = (typeof SyscallFlag)[keyof typeof SyscallFlag]

export const Want = {
  PROCESS: 1,
  CONNECT: 2,
  SYSCALL_FIRST: 4,
  SYSCALL_RULES: 8,
  ENV: 256,
  NAMES: 512,
  SYSCALLS_AT_ENTRY: 1024,
} as const
export type Want = (typeof Want)[keyof typeof Want]

export class EvHeader {
  static readonly SIZE_BYTES: number = 88
  /** Where the event starts in `view`; moved by the batch walker. */
  at = 0

  constructor(readonly view: DataView, readonly bytes: Uint8Array) {}

  get sizeBytes(): number {
    return this.view.getUint32(this.at + 0, true)
  }

  get kind(): number {
    return this.view.getUint16(this.at + 4, true)
  }

  get phase(): number {
    return this.view.getUint8(this.at + 6)
  }

  get action(): number {
    return this.view.getUint8(this.at + 7)
  }

  get cpu(): number {
    return this.view.getUint32(this.at + 8, true)
  }

  get programVersion(): number {
    return this.view.getUint32(this.at + 12, true)
  }

  get cpuSeq(): bigint {
    return this.view.getBigUint64(this.at + 16, true)
  }

  get cpuSeqLow(): number {
    return this.view.getUint32(this.at + 16, true)
  }

  get cpuSeqHigh(): number {
    return this.view.getUint32(this.at + 20, true)
  }

  get bootNs(): bigint {
    return this.view.getBigUint64(this.at + 24, true)
  }

  get bootNsLow(): number {
    return this.view.getUint32(this.at + 24, true)
  }

  get bootNsHigh(): number {
    return this.view.getUint32(this.at + 28, true)
  }

  get cgroupId(): bigint {
    return this.view.getBigUint64(this.at + 32, true)
  }

  get cgroupIdLow(): number {
    return this.view.getUint32(this.at + 32, true)
  }

  get cgroupIdHigh(): number {
    return this.view.getUint32(this.at + 36, true)
  }

  get startNs(): bigint {
    return this.view.getBigUint64(this.at + 40, true)
  }

  get startNsLow(): number {
    return this.view.getUint32(this.at + 40, true)
  }

  get startNsHigh(): number {
    return this.view.getUint32(this.at + 44, true)
  }

  get pid(): number {
    return this.view.getUint32(this.at + 48, true)
  }

  get tid(): number {
    return this.view.getUint32(this.at + 52, true)
  }

  get uid(): number {
    return this.view.getUint32(this.at + 56, true)
  }

  get gid(): number {
    return this.view.getUint32(this.at + 60, true)
  }

  get profile(): number {
    return this.view.getUint32(this.at + 64, true)
  }

  get rung(): number {
    return this.view.getUint32(this.at + 68, true)
  }

  get decided(): bigint {
    return this.view.getBigUint64(this.at + 72, true)
  }

  get decidedLow(): number {
    return this.view.getUint32(this.at + 72, true)
  }

  get decidedHigh(): number {
    return this.view.getUint32(this.at + 76, true)
  }

  get violated(): bigint {
    return this.view.getBigUint64(this.at + 80, true)
  }

  get violatedLow(): number {
    return this.view.getUint32(this.at + 80, true)
  }

  get violatedHigh(): number {
    return this.view.getUint32(this.at + 84, true)
  }
}

export class EvCall extends EvHeader {
  static override readonly SIZE_BYTES: number = 312

  get result(): bigint {
    return this.view.getBigInt64(this.at + 88, true)
  }

  get resultLow(): number {
    return this.view.getUint32(this.at + 88, true)
  }

  get resultHigh(): number {
    return this.view.getUint32(this.at + 92, true)
  }

  args(index: number): bigint {
    return this.view.getBigUint64(this.at + 96 + index * 8, true)
  }

  facts(index: number): bigint {
    return this.view.getBigUint64(this.at + 144 + index * 8, true)
  }

  get inode(): bigint {
    return this.view.getBigUint64(this.at + 176, true)
  }

  get inodeLow(): number {
    return this.view.getUint32(this.at + 176, true)
  }

  get inodeHigh(): number {
    return this.view.getUint32(this.at + 180, true)
  }

  get targetStartNs(): bigint {
    return this.view.getBigUint64(this.at + 184, true)
  }

  get targetStartNsLow(): number {
    return this.view.getUint32(this.at + 184, true)
  }

  get targetStartNsHigh(): number {
    return this.view.getUint32(this.at + 188, true)
  }

  get targetCgroupId(): bigint {
    return this.view.getBigUint64(this.at + 192, true)
  }

  get targetCgroupIdLow(): number {
    return this.view.getUint32(this.at + 192, true)
  }

  get targetCgroupIdHigh(): number {
    return this.view.getUint32(this.at + 196, true)
  }

  get targetPid(): number {
    return this.view.getUint32(this.at + 200, true)
  }

  get nr(): number {
    return this.view.getUint32(this.at + 204, true)
  }

  get abi(): number {
    return this.view.getUint16(this.at + 208, true)
  }

  get act(): number {
    return this.view.getUint16(this.at + 210, true)
  }

  get flags(): number {
    return this.view.getUint32(this.at + 212, true)
  }

  get fd(): number {
    return this.view.getInt32(this.at + 216, true)
  }

  get dev(): number {
    return this.view.getUint32(this.at + 220, true)
  }

  get mode(): number {
    return this.view.getUint16(this.at + 224, true)
  }

  get fdKind(): number {
    return this.view.getUint8(this.at + 226)
  }

  get access(): number {
    return this.view.getUint8(this.at + 227)
  }

  get family(): number {
    return this.view.getUint8(this.at + 228)
  }

  get proto(): number {
    return this.view.getUint8(this.at + 229)
  }

  get socketType(): number {
    return this.view.getUint16(this.at + 230, true)
  }

  get localPort(): number {
    return this.view.getUint16(this.at + 232, true)
  }

  get remotePort(): number {
    return this.view.getUint16(this.at + 234, true)
  }

  static readonly LOCAL_OFFSET = 236
  get local(): Uint8Array {
    return this.bytes.subarray(this.at + 236, this.at + 252)
  }

  static readonly REMOTE_OFFSET = 252
  get remote(): Uint8Array {
    return this.bytes.subarray(this.at + 252, this.at + 268)
  }

  static readonly TAG_OFFSET = 268
  get tag(): Uint8Array {
    return this.bytes.subarray(this.at + 268, this.at + 284)
  }

  get repeatsCount(): number {
    return this.view.getUint32(this.at + 284, true)
  }

  get pathBytes(): number {
    return this.view.getUint32(this.at + 288, true)
  }

  get path2Bytes(): number {
    return this.view.getUint32(this.at + 292, true)
  }

  get rawBytes(): number {
    return this.view.getUint32(this.at + 296, true)
  }

  get raw2Bytes(): number {
    return this.view.getUint32(this.at + 300, true)
  }

  get capGained(): bigint {
    return this.view.getBigUint64(this.at + 304, true)
  }

  get capGainedLow(): number {
    return this.view.getUint32(this.at + 304, true)
  }

  get capGainedHigh(): number {
    return this.view.getUint32(this.at + 308, true)
  }
}

export class EvCgroup extends EvHeader {
  static override readonly SIZE_BYTES: number = 112

  get id(): bigint {
    return this.view.getBigUint64(this.at + 88, true)
  }

  get idLow(): number {
    return this.view.getUint32(this.at + 88, true)
  }

  get idHigh(): number {
    return this.view.getUint32(this.at + 92, true)
  }

  get parentId(): bigint {
    return this.view.getBigUint64(this.at + 96, true)
  }

  get parentIdLow(): number {
    return this.view.getUint32(this.at + 96, true)
  }

  get parentIdHigh(): number {
    return this.view.getUint32(this.at + 100, true)
  }

  get level(): number {
    return this.view.getUint32(this.at + 104, true)
  }

  get pathBytes(): number {
    return this.view.getUint32(this.at + 108, true)
  }
}

export class EvConnect extends EvHeader {
  static override readonly SIZE_BYTES: number = 120

  static readonly ADDRESS_OFFSET = 88
  get address(): Uint8Array {
    return this.bytes.subarray(this.at + 88, this.at + 104)
  }

  get port(): number {
    return this.view.getUint16(this.at + 104, true)
  }

  get proto(): number {
    return this.view.getUint8(this.at + 106)
  }

  get family(): number {
    return this.view.getUint8(this.at + 107)
  }

  get repeatsCount(): number {
    return this.view.getUint32(this.at + 108, true)
  }

  get cookie(): bigint {
    return this.view.getBigUint64(this.at + 112, true)
  }

  get cookieLow(): number {
    return this.view.getUint32(this.at + 112, true)
  }

  get cookieHigh(): number {
    return this.view.getUint32(this.at + 116, true)
  }
}

export class EvExec extends EvHeader {
  static override readonly SIZE_BYTES: number = 224

  get inode(): bigint {
    return this.view.getBigUint64(this.at + 88, true)
  }

  get inodeLow(): number {
    return this.view.getUint32(this.at + 88, true)
  }

  get inodeHigh(): number {
    return this.view.getUint32(this.at + 92, true)
  }

  get parentStartNs(): bigint {
    return this.view.getBigUint64(this.at + 96, true)
  }

  get parentStartNsLow(): number {
    return this.view.getUint32(this.at + 96, true)
  }

  get parentStartNsHigh(): number {
    return this.view.getUint32(this.at + 100, true)
  }

  get parentPid(): number {
    return this.view.getUint32(this.at + 104, true)
  }

  get dev(): number {
    return this.view.getUint32(this.at + 108, true)
  }

  get mntNs(): number {
    return this.view.getUint32(this.at + 112, true)
  }

  get flags(): number {
    return this.view.getUint32(this.at + 116, true)
  }

  get invokedBytes(): number {
    return this.view.getUint32(this.at + 120, true)
  }

  get fileBytes(): number {
    return this.view.getUint32(this.at + 124, true)
  }

  get cwdBytes(): number {
    return this.view.getUint32(this.at + 128, true)
  }

  get argsBytes(): number {
    return this.view.getUint32(this.at + 132, true)
  }

  get realUid(): number {
    return this.view.getUint32(this.at + 136, true)
  }

  get realGid(): number {
    return this.view.getUint32(this.at + 140, true)
  }

  get envBytes(): number {
    return this.view.getUint32(this.at + 144, true)
  }

  get capPermitted(): bigint {
    return this.view.getBigUint64(this.at + 152, true)
  }

  get capPermittedLow(): number {
    return this.view.getUint32(this.at + 152, true)
  }

  get capPermittedHigh(): number {
    return this.view.getUint32(this.at + 156, true)
  }

  get capEffective(): bigint {
    return this.view.getBigUint64(this.at + 160, true)
  }

  get capEffectiveLow(): number {
    return this.view.getUint32(this.at + 160, true)
  }

  get capEffectiveHigh(): number {
    return this.view.getUint32(this.at + 164, true)
  }

  get capInheritable(): bigint {
    return this.view.getBigUint64(this.at + 168, true)
  }

  get capInheritableLow(): number {
    return this.view.getUint32(this.at + 168, true)
  }

  get capInheritableHigh(): number {
    return this.view.getUint32(this.at + 172, true)
  }

  get loginuid(): number {
    return this.view.getUint32(this.at + 176, true)
  }

  get tty(): number {
    return this.view.getUint32(this.at + 180, true)
  }

  get vpid(): number {
    return this.view.getUint32(this.at + 184, true)
  }

  get vpgid(): number {
    return this.view.getUint32(this.at + 188, true)
  }

  get sid(): number {
    return this.view.getUint32(this.at + 192, true)
  }

  static readonly COMM_OFFSET = 200
  get comm(): Uint8Array {
    return this.bytes.subarray(this.at + 200, this.at + 216)
  }

  get capGained(): bigint {
    return this.view.getBigUint64(this.at + 216, true)
  }

  get capGainedLow(): number {
    return this.view.getUint32(this.at + 216, true)
  }

  get capGainedHigh(): number {
    return this.view.getUint32(this.at + 220, true)
  }
}

export class EvExit extends EvHeader {
  static override readonly SIZE_BYTES: number = 104

  get code(): number {
    return this.view.getUint32(this.at + 88, true)
  }

  get signal(): number {
    return this.view.getUint32(this.at + 92, true)
  }

  get flags(): number {
    return this.view.getUint32(this.at + 96, true)
  }
}

export class EvFork extends EvHeader {
  static override readonly SIZE_BYTES: number = 112

  get childStartNs(): bigint {
    return this.view.getBigUint64(this.at + 88, true)
  }

  get childStartNsLow(): number {
    return this.view.getUint32(this.at + 88, true)
  }

  get childStartNsHigh(): number {
    return this.view.getUint32(this.at + 92, true)
  }

  get childPid(): number {
    return this.view.getUint32(this.at + 96, true)
  }

  get childVpid(): number {
    return this.view.getUint32(this.at + 100, true)
  }

  get capGained(): bigint {
    return this.view.getBigUint64(this.at + 104, true)
  }

  get capGainedLow(): number {
    return this.view.getUint32(this.at + 104, true)
  }

  get capGainedHigh(): number {
    return this.view.getUint32(this.at + 108, true)
  }
}

export class EvMemory extends EvHeader {
  static override readonly SIZE_BYTES: number = 120

  get currentBytes(): bigint {
    return this.view.getBigUint64(this.at + 88, true)
  }

  get currentBytesLow(): number {
    return this.view.getUint32(this.at + 88, true)
  }

  get currentBytesHigh(): number {
    return this.view.getUint32(this.at + 92, true)
  }

  get peakBytes(): bigint {
    return this.view.getBigUint64(this.at + 96, true)
  }

  get peakBytesLow(): number {
    return this.view.getUint32(this.at + 96, true)
  }

  get peakBytesHigh(): number {
    return this.view.getUint32(this.at + 100, true)
  }

  get limitBytes(): bigint {
    return this.view.getBigUint64(this.at + 104, true)
  }

  get limitBytesLow(): number {
    return this.view.getUint32(this.at + 104, true)
  }

  get limitBytesHigh(): number {
    return this.view.getUint32(this.at + 108, true)
  }

  get inactiveFileBytes(): bigint {
    return this.view.getBigUint64(this.at + 112, true)
  }

  get inactiveFileBytesLow(): number {
    return this.view.getUint32(this.at + 112, true)
  }

  get inactiveFileBytesHigh(): number {
    return this.view.getUint32(this.at + 116, true)
  }
}

export class EvOom extends EvHeader {
  static override readonly SIZE_BYTES: number = 104

  static readonly COMM_OFFSET = 88
  get comm(): Uint8Array {
    return this.bytes.subarray(this.at + 88, this.at + 104)
  }
}

export class EvPacket extends EvHeader {
  static override readonly SIZE_BYTES: number = 136

  static readonly REMOTE_ADDRESS_OFFSET = 88
  get remoteAddress(): Uint8Array {
    return this.bytes.subarray(this.at + 88, this.at + 104)
  }

  get cookie(): bigint {
    return this.view.getBigUint64(this.at + 104, true)
  }

  get cookieLow(): number {
    return this.view.getUint32(this.at + 104, true)
  }

  get cookieHigh(): number {
    return this.view.getUint32(this.at + 108, true)
  }

  get offsetBytes(): number {
    return this.view.getUint32(this.at + 112, true)
  }

  get payloadBytes(): number {
    return this.view.getUint32(this.at + 116, true)
  }

  get dataBytes(): number {
    return this.view.getUint32(this.at + 120, true)
  }

  get localPort(): number {
    return this.view.getUint16(this.at + 124, true)
  }

  get remotePort(): number {
    return this.view.getUint16(this.at + 126, true)
  }

  get proto(): number {
    return this.view.getUint8(this.at + 128)
  }

  get family(): number {
    return this.view.getUint8(this.at + 129)
  }

  get direction(): number {
    return this.view.getUint8(this.at + 130)
  }

  get flags(): number {
    return this.view.getUint8(this.at + 131)
  }
}

export class EvSocket extends EvHeader {
  static override readonly SIZE_BYTES: number = 192

  static readonly LOCAL_ADDRESS_OFFSET = 88
  get localAddress(): Uint8Array {
    return this.bytes.subarray(this.at + 88, this.at + 104)
  }

  static readonly REMOTE_ADDRESS_OFFSET = 104
  get remoteAddress(): Uint8Array {
    return this.bytes.subarray(this.at + 104, this.at + 120)
  }

  get cookie(): bigint {
    return this.view.getBigUint64(this.at + 120, true)
  }

  get cookieLow(): number {
    return this.view.getUint32(this.at + 120, true)
  }

  get cookieHigh(): number {
    return this.view.getUint32(this.at + 124, true)
  }

  get durationNs(): bigint {
    return this.view.getBigUint64(this.at + 128, true)
  }

  get durationNsLow(): number {
    return this.view.getUint32(this.at + 128, true)
  }

  get durationNsHigh(): number {
    return this.view.getUint32(this.at + 132, true)
  }

  get sentBytes(): bigint {
    return this.view.getBigUint64(this.at + 136, true)
  }

  get sentBytesLow(): number {
    return this.view.getUint32(this.at + 136, true)
  }

  get sentBytesHigh(): number {
    return this.view.getUint32(this.at + 140, true)
  }

  get receivedBytes(): bigint {
    return this.view.getBigUint64(this.at + 144, true)
  }

  get receivedBytesLow(): number {
    return this.view.getUint32(this.at + 144, true)
  }

  get receivedBytesHigh(): number {
    return this.view.getUint32(this.at + 148, true)
  }

  get repeatsSentBytes(): bigint {
    return this.view.getBigUint64(this.at + 152, true)
  }

  get repeatsSentBytesLow(): number {
    return this.view.getUint32(this.at + 152, true)
  }

  get repeatsSentBytesHigh(): number {
    return this.view.getUint32(this.at + 156, true)
  }

  get repeatsReceivedBytes(): bigint {
    return this.view.getBigUint64(this.at + 160, true)
  }

  get repeatsReceivedBytesLow(): number {
    return this.view.getUint32(this.at + 160, true)
  }

  get repeatsReceivedBytesHigh(): number {
    return this.view.getUint32(this.at + 164, true)
  }

  get netns(): number {
    return this.view.getUint32(this.at + 168, true)
  }

  get repeatsCount(): number {
    return this.view.getUint32(this.at + 172, true)
  }

  get localPort(): number {
    return this.view.getUint16(this.at + 176, true)
  }

  get remotePort(): number {
    return this.view.getUint16(this.at + 178, true)
  }

  get error(): number {
    return this.view.getUint16(this.at + 180, true)
  }

  get family(): number {
    return this.view.getUint8(this.at + 182)
  }

  get role(): number {
    return this.view.getUint8(this.at + 183)
  }

  get backlog(): number {
    return this.view.getUint32(this.at + 184, true)
  }

  get flags(): number {
    return this.view.getUint32(this.at + 188, true)
  }
}

export class EvSyscall extends EvHeader {
  static override readonly SIZE_BYTES: number = 104

  get result(): bigint {
    return this.view.getBigInt64(this.at + 88, true)
  }

  get resultLow(): number {
    return this.view.getUint32(this.at + 88, true)
  }

  get resultHigh(): number {
    return this.view.getUint32(this.at + 92, true)
  }

  get nr(): number {
    return this.view.getUint32(this.at + 96, true)
  }

  get abi(): number {
    return this.view.getUint16(this.at + 100, true)
  }

  get flags(): number {
    return this.view.getUint16(this.at + 102, true)
  }
}

export class EvTask extends EvHeader {
  static override readonly SIZE_BYTES: number = 184

  get parentStartNs(): bigint {
    return this.view.getBigUint64(this.at + 88, true)
  }

  get parentStartNsLow(): number {
    return this.view.getUint32(this.at + 88, true)
  }

  get parentStartNsHigh(): number {
    return this.view.getUint32(this.at + 92, true)
  }

  get parentPid(): number {
    return this.view.getUint32(this.at + 96, true)
  }

  get fileBytes(): number {
    return this.view.getUint32(this.at + 100, true)
  }

  get inode(): bigint {
    return this.view.getBigUint64(this.at + 104, true)
  }

  get inodeLow(): number {
    return this.view.getUint32(this.at + 104, true)
  }

  get inodeHigh(): number {
    return this.view.getUint32(this.at + 108, true)
  }

  get flags(): number {
    return this.view.getUint32(this.at + 112, true)
  }

  get capPermitted(): bigint {
    return this.view.getBigUint64(this.at + 120, true)
  }

  get capPermittedLow(): number {
    return this.view.getUint32(this.at + 120, true)
  }

  get capPermittedHigh(): number {
    return this.view.getUint32(this.at + 124, true)
  }

  get capEffective(): bigint {
    return this.view.getBigUint64(this.at + 128, true)
  }

  get capEffectiveLow(): number {
    return this.view.getUint32(this.at + 128, true)
  }

  get capEffectiveHigh(): number {
    return this.view.getUint32(this.at + 132, true)
  }

  get capInheritable(): bigint {
    return this.view.getBigUint64(this.at + 136, true)
  }

  get capInheritableLow(): number {
    return this.view.getUint32(this.at + 136, true)
  }

  get capInheritableHigh(): number {
    return this.view.getUint32(this.at + 140, true)
  }

  get loginuid(): number {
    return this.view.getUint32(this.at + 144, true)
  }

  get tty(): number {
    return this.view.getUint32(this.at + 148, true)
  }

  get vpid(): number {
    return this.view.getUint32(this.at + 152, true)
  }

  get vpgid(): number {
    return this.view.getUint32(this.at + 156, true)
  }

  get sid(): number {
    return this.view.getUint32(this.at + 160, true)
  }

  static readonly COMM_OFFSET = 168
  get comm(): Uint8Array {
    return this.bytes.subarray(this.at + 168, this.at + 184)
  }
}

function writeBytes(view: DataView, at: number, value: Uint8Array, countBytes: number): void {
  new Uint8Array(view.buffer, view.byteOffset + at, countBytes).set(value.subarray(0, countBytes))
}

export interface MapCallsAtEnd {
  calls: readonly bigint[]
}

export const MAP_CALLS_AT_END_BYTES = 64

function writeMapCallsAtEnd(view: DataView, at: number, value: MapCallsAtEnd): void {
  value.calls.slice(0, 8).forEach((entry, index) => {
    view.setBigUint64(at + 0 + index * 8, entry, true)
  })
}

export function encodeMapCallsAtEnd(value: MapCallsAtEnd): Uint8Array {
  const bytes = new Uint8Array(64)
  writeMapCallsAtEnd(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapCallsAtEnd(view: DataView, at: number): MapCallsAtEnd {
  return {
    calls: Array.from({ length: 8 }, (_, index) => view.getBigUint64(at + 0 + index * 8, true)),
  }
}

export function decodeMapCallsAtEnd(bytes: Uint8Array): MapCallsAtEnd {
  return readMapCallsAtEnd(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapCapabilityRules {
  gain: bigint
  use: bigint
  violated: readonly bigint[]
}

export const MAP_CAPABILITY_RULES_BYTES = 528

function writeMapCapabilityRules(view: DataView, at: number, value: MapCapabilityRules): void {
  view.setBigUint64(at + 0, value.gain, true)
  view.setBigUint64(at + 8, value.use, true)
  value.violated.slice(0, 64).forEach((entry, index) => {
    view.setBigUint64(at + 16 + index * 8, entry, true)
  })
}

export function encodeMapCapabilityRules(value: MapCapabilityRules): Uint8Array {
  const bytes = new Uint8Array(528)
  writeMapCapabilityRules(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapCapabilityRules(view: DataView, at: number): MapCapabilityRules {
  return {
    gain: view.getBigUint64(at + 0, true),
    use: view.getBigUint64(at + 8, true),
    violated: Array.from({ length: 64 }, (_, index) => view.getBigUint64(at + 16 + index * 8, true)),
  }
}

export function decodeMapCapabilityRules(bytes: Uint8Array): MapCapabilityRules {
  return readMapCapabilityRules(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapCgroup {
  rootId: bigint
  profile: readonly number[]
  rootLevel: number
  state: number
  want: number
  acts: bigint
  actsAggregated: bigint
}

export const MAP_CGROUP_BYTES = 48

function writeMapCgroup(view: DataView, at: number, value: MapCgroup): void {
  view.setBigUint64(at + 0, value.rootId, true)
  value.profile.slice(0, 2).forEach((entry, index) => {
    view.setUint32(at + 8 + index * 4, entry, true)
  })
  view.setUint32(at + 16, value.rootLevel, true)
  view.setUint32(at + 20, value.state, true)
  view.setUint32(at + 24, value.want, true)
  view.setBigUint64(at + 32, value.acts, true)
  view.setBigUint64(at + 40, value.actsAggregated, true)
}

export function encodeMapCgroup(value: MapCgroup): Uint8Array {
  const bytes = new Uint8Array(48)
  writeMapCgroup(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapCgroup(view: DataView, at: number): MapCgroup {
  return {
    rootId: view.getBigUint64(at + 0, true),
    profile: Array.from({ length: 2 }, (_, index) => view.getUint32(at + 8 + index * 4, true)),
    rootLevel: view.getUint32(at + 16, true),
    state: view.getUint32(at + 20, true),
    want: view.getUint32(at + 24, true),
    acts: view.getBigUint64(at + 32, true),
    actsAggregated: view.getBigUint64(at + 40, true),
  }
}

export function decodeMapCgroup(bytes: Uint8Array): MapCgroup {
  return readMapCgroup(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapConnectKey {
  prefixBits: number
  profile: number
  address: Uint8Array
}

export const MAP_CONNECT_KEY_BYTES = 24

function writeMapConnectKey(view: DataView, at: number, value: MapConnectKey): void {
  view.setUint32(at + 0, value.prefixBits, true)
  view.setUint32(at + 4, value.profile, true)
  writeBytes(view, at + 8, value.address, 16)
}

export function encodeMapConnectKey(value: MapConnectKey): Uint8Array {
  const bytes = new Uint8Array(24)
  writeMapConnectKey(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapConnectKey(view: DataView, at: number): MapConnectKey {
  return {
    prefixBits: view.getUint32(at + 0, true),
    profile: view.getUint32(at + 4, true),
    address: new Uint8Array(view.buffer, view.byteOffset + at + 8, 16).slice(),
  }
}

export function decodeMapConnectKey(bytes: Uint8Array): MapConnectKey {
  return readMapConnectKey(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapConnectNode {
  rangesCount: number
  ranges: readonly MapConnectRange[]
}

export const MAP_CONNECT_NODE_BYTES = 776

function writeMapConnectNode(view: DataView, at: number, value: MapConnectNode): void {
  view.setUint32(at + 0, value.rangesCount, true)
  value.ranges.slice(0, 32).forEach((entry, index) => {
    writeMapConnectRange(view, at + 8 + index * 24, entry)
  })
}

export function encodeMapConnectNode(value: MapConnectNode): Uint8Array {
  const bytes = new Uint8Array(776)
  writeMapConnectNode(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapConnectNode(view: DataView, at: number): MapConnectNode {
  return {
    rangesCount: view.getUint32(at + 0, true),
    ranges: Array.from({ length: 32 }, (_, index) => readMapConnectRange(view, at + 8 + index * 24)),
  }
}

export function decodeMapConnectNode(bytes: Uint8Array): MapConnectNode {
  return readMapConnectNode(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapConnectRange {
  portFrom: number
  portTo: number
  violatedTcp: bigint
  violatedUdp: bigint
}

export const MAP_CONNECT_RANGE_BYTES = 24

function writeMapConnectRange(view: DataView, at: number, value: MapConnectRange): void {
  view.setUint16(at + 0, value.portFrom, true)
  view.setUint16(at + 2, value.portTo, true)
  view.setBigUint64(at + 8, value.violatedTcp, true)
  view.setBigUint64(at + 16, value.violatedUdp, true)
}

export function encodeMapConnectRange(value: MapConnectRange): Uint8Array {
  const bytes = new Uint8Array(24)
  writeMapConnectRange(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapConnectRange(view: DataView, at: number): MapConnectRange {
  return {
    portFrom: view.getUint16(at + 0, true),
    portTo: view.getUint16(at + 2, true),
    violatedTcp: view.getBigUint64(at + 8, true),
    violatedUdp: view.getBigUint64(at + 16, true),
  }
}

export function decodeMapConnectRange(bytes: Uint8Array): MapConnectRange {
  return readMapConnectRange(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapContainer {
  acted: bigint
  rootDentry: bigint
  mntNs: number
  profile: number
}

export const MAP_CONTAINER_BYTES = 24

function writeMapContainer(view: DataView, at: number, value: MapContainer): void {
  view.setBigUint64(at + 0, value.acted, true)
  view.setBigUint64(at + 8, value.rootDentry, true)
  view.setUint32(at + 16, value.mntNs, true)
  view.setUint32(at + 20, value.profile, true)
}

export function encodeMapContainer(value: MapContainer): Uint8Array {
  const bytes = new Uint8Array(24)
  writeMapContainer(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapContainer(view: DataView, at: number): MapContainer {
  return {
    acted: view.getBigUint64(at + 0, true),
    rootDentry: view.getBigUint64(at + 8, true),
    mntNs: view.getUint32(at + 16, true),
    profile: view.getUint32(at + 20, true),
  }
}

export function decodeMapContainer(bytes: Uint8Array): MapContainer {
  return readMapContainer(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapControl {
  version: number
  wantHost: number
  agentPid: number
  blocking: number
  round: number
  wantPending: number
  actsHost: bigint
  actsHostAggregated: bigint
  actsPending: bigint
}

export const MAP_CONTROL_BYTES = 48

function writeMapControl(view: DataView, at: number, value: MapControl): void {
  view.setUint32(at + 0, value.version, true)
  view.setUint32(at + 4, value.wantHost, true)
  view.setUint32(at + 8, value.agentPid, true)
  view.setUint32(at + 12, value.blocking, true)
  view.setUint32(at + 16, value.round, true)
  view.setUint32(at + 20, value.wantPending, true)
  view.setBigUint64(at + 24, value.actsHost, true)
  view.setBigUint64(at + 32, value.actsHostAggregated, true)
  view.setBigUint64(at + 40, value.actsPending, true)
}

export function encodeMapControl(value: MapControl): Uint8Array {
  const bytes = new Uint8Array(48)
  writeMapControl(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapControl(view: DataView, at: number): MapControl {
  return {
    version: view.getUint32(at + 0, true),
    wantHost: view.getUint32(at + 4, true),
    agentPid: view.getUint32(at + 8, true),
    blocking: view.getUint32(at + 12, true),
    round: view.getUint32(at + 16, true),
    wantPending: view.getUint32(at + 20, true),
    actsHost: view.getBigUint64(at + 24, true),
    actsHostAggregated: view.getBigUint64(at + 32, true),
    actsPending: view.getBigUint64(at + 40, true),
  }
}

export function decodeMapControl(bytes: Uint8Array): MapControl {
  return readMapControl(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapExecKey {
  profile: number
  lengthBytes: number
  path: Uint8Array
}

export const MAP_EXEC_KEY_BYTES = 248

function writeMapExecKey(view: DataView, at: number, value: MapExecKey): void {
  view.setUint32(at + 0, value.profile, true)
  view.setUint32(at + 4, value.lengthBytes, true)
  writeBytes(view, at + 8, value.path, 240)
}

export function encodeMapExecKey(value: MapExecKey): Uint8Array {
  const bytes = new Uint8Array(248)
  writeMapExecKey(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapExecKey(view: DataView, at: number): MapExecKey {
  return {
    profile: view.getUint32(at + 0, true),
    lengthBytes: view.getUint32(at + 4, true),
    path: new Uint8Array(view.buffer, view.byteOffset + at + 8, 240).slice(),
  }
}

export function decodeMapExecKey(bytes: Uint8Array): MapExecKey {
  return readMapExecKey(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapExecPrefixKey {
  prefixBits: number
  profile: number
  path: Uint8Array
}

export const MAP_EXEC_PREFIX_KEY_BYTES = 248

function writeMapExecPrefixKey(view: DataView, at: number, value: MapExecPrefixKey): void {
  view.setUint32(at + 0, value.prefixBits, true)
  view.setUint32(at + 4, value.profile, true)
  writeBytes(view, at + 8, value.path, 240)
}

export function encodeMapExecPrefixKey(value: MapExecPrefixKey): Uint8Array {
  const bytes = new Uint8Array(248)
  writeMapExecPrefixKey(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapExecPrefixKey(view: DataView, at: number): MapExecPrefixKey {
  return {
    prefixBits: view.getUint32(at + 0, true),
    profile: view.getUint32(at + 4, true),
    path: new Uint8Array(view.buffer, view.byteOffset + at + 8, 240).slice(),
  }
}

export function decodeMapExecPrefixKey(bytes: Uint8Array): MapExecPrefixKey {
  return readMapExecPrefixKey(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapExecResult {
  decided: bigint
  violated: bigint
}

export const MAP_EXEC_RESULT_BYTES = 16

function writeMapExecResult(view: DataView, at: number, value: MapExecResult): void {
  view.setBigUint64(at + 0, value.decided, true)
  view.setBigUint64(at + 8, value.violated, true)
}

export function encodeMapExecResult(value: MapExecResult): Uint8Array {
  const bytes = new Uint8Array(16)
  writeMapExecResult(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapExecResult(view: DataView, at: number): MapExecResult {
  return {
    decided: view.getBigUint64(at + 0, true),
    violated: view.getBigUint64(at + 8, true),
  }
}

export function decodeMapExecResult(bytes: Uint8Array): MapExecResult {
  return readMapExecResult(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapFileResult {
  decided: readonly bigint[]
  violated: readonly bigint[]
}

export const MAP_FILE_RESULT_BYTES = 128

function writeMapFileResult(view: DataView, at: number, value: MapFileResult): void {
  value.decided.slice(0, 8).forEach((entry, index) => {
    view.setBigUint64(at + 0 + index * 8, entry, true)
  })
  value.violated.slice(0, 8).forEach((entry, index) => {
    view.setBigUint64(at + 64 + index * 8, entry, true)
  })
}

export function encodeMapFileResult(value: MapFileResult): Uint8Array {
  const bytes = new Uint8Array(128)
  writeMapFileResult(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapFileResult(view: DataView, at: number): MapFileResult {
  return {
    decided: Array.from({ length: 8 }, (_, index) => view.getBigUint64(at + 0 + index * 8, true)),
    violated: Array.from({ length: 8 }, (_, index) => view.getBigUint64(at + 64 + index * 8, true)),
  }
}

export function decodeMapFileResult(bytes: Uint8Array): MapFileResult {
  return readMapFileResult(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapFilter {
  actsByUser: bigint
  placeClasses: number
  placePrefixesCount: number
  placeElsewhere: number
  profile: number
  placeTops: readonly bigint[]
}

export const MAP_FILTER_BYTES = 56

function writeMapFilter(view: DataView, at: number, value: MapFilter): void {
  view.setBigUint64(at + 0, value.actsByUser, true)
  view.setUint32(at + 8, value.placeClasses, true)
  view.setUint32(at + 12, value.placePrefixesCount, true)
  view.setUint32(at + 16, value.placeElsewhere, true)
  view.setUint32(at + 20, value.profile, true)
  value.placeTops.slice(0, 4).forEach((entry, index) => {
    view.setBigUint64(at + 24 + index * 8, entry, true)
  })
}

export function encodeMapFilter(value: MapFilter): Uint8Array {
  const bytes = new Uint8Array(56)
  writeMapFilter(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapFilter(view: DataView, at: number): MapFilter {
  return {
    actsByUser: view.getBigUint64(at + 0, true),
    placeClasses: view.getUint32(at + 8, true),
    placePrefixesCount: view.getUint32(at + 12, true),
    placeElsewhere: view.getUint32(at + 16, true),
    profile: view.getUint32(at + 20, true),
    placeTops: Array.from({ length: 4 }, (_, index) => view.getBigUint64(at + 24 + index * 8, true)),
  }
}

export function decodeMapFilter(bytes: Uint8Array): MapFilter {
  return readMapFilter(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapLossKey {
  cgroupId: bigint
  profile: number
  cause: number
  kind: number
}

export const MAP_LOSS_KEY_BYTES = 16

function writeMapLossKey(view: DataView, at: number, value: MapLossKey): void {
  view.setBigUint64(at + 0, value.cgroupId, true)
  view.setUint32(at + 8, value.profile, true)
  view.setUint16(at + 12, value.cause, true)
  view.setUint16(at + 14, value.kind, true)
}

export function encodeMapLossKey(value: MapLossKey): Uint8Array {
  const bytes = new Uint8Array(16)
  writeMapLossKey(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapLossKey(view: DataView, at: number): MapLossKey {
  return {
    cgroupId: view.getBigUint64(at + 0, true),
    profile: view.getUint32(at + 8, true),
    cause: view.getUint16(at + 12, true),
    kind: view.getUint16(at + 14, true),
  }
}

export function decodeMapLossKey(bytes: Uint8Array): MapLossKey {
  return readMapLossKey(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapPlacePrefixKey {
  prefixBits: number
  profile: number
  path: Uint8Array
}

export const MAP_PLACE_PREFIX_KEY_BYTES = 248

function writeMapPlacePrefixKey(view: DataView, at: number, value: MapPlacePrefixKey): void {
  view.setUint32(at + 0, value.prefixBits, true)
  view.setUint32(at + 4, value.profile, true)
  writeBytes(view, at + 8, value.path, 240)
}

export function encodeMapPlacePrefixKey(value: MapPlacePrefixKey): Uint8Array {
  const bytes = new Uint8Array(248)
  writeMapPlacePrefixKey(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapPlacePrefixKey(view: DataView, at: number): MapPlacePrefixKey {
  return {
    prefixBits: view.getUint32(at + 0, true),
    profile: view.getUint32(at + 4, true),
    path: new Uint8Array(view.buffer, view.byteOffset + at + 8, 240).slice(),
  }
}

export function decodeMapPlacePrefixKey(bytes: Uint8Array): MapPlacePrefixKey {
  return readMapPlacePrefixKey(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapProfile {
  filter: MapFilter
  execRules: bigint
  execAllow: bigint
  connectRules: bigint
  syscallRules: bigint
  deny: bigint
  kill: bigint
  setup: bigint
  policy: readonly number[]
  urgent: number
  usersCount: number
  actsUrgent: bigint
  fileRules: bigint
  listenRules: bigint
  fileDefault: readonly bigint[]
  fileAccess: number
  fileBasesCount: number
  actsByEnd: bigint
  actsInternet: bigint
  users: readonly MapUserRange[]
}

export const MAP_PROFILE_BYTES = 744

function writeMapProfile(view: DataView, at: number, value: MapProfile): void {
  writeMapFilter(view, at + 0, value.filter)
  view.setBigUint64(at + 56, value.execRules, true)
  view.setBigUint64(at + 64, value.execAllow, true)
  view.setBigUint64(at + 72, value.connectRules, true)
  view.setBigUint64(at + 80, value.syscallRules, true)
  view.setBigUint64(at + 88, value.deny, true)
  view.setBigUint64(at + 96, value.kill, true)
  view.setBigUint64(at + 104, value.setup, true)
  value.policy.slice(0, 64).forEach((entry, index) => {
    view.setUint32(at + 112 + index * 4, entry, true)
  })
  view.setUint32(at + 368, value.urgent, true)
  view.setUint32(at + 372, value.usersCount, true)
  view.setBigUint64(at + 376, value.actsUrgent, true)
  view.setBigUint64(at + 384, value.fileRules, true)
  view.setBigUint64(at + 392, value.listenRules, true)
  value.fileDefault.slice(0, 8).forEach((entry, index) => {
    view.setBigUint64(at + 400 + index * 8, entry, true)
  })
  view.setUint32(at + 464, value.fileAccess, true)
  view.setUint32(at + 468, value.fileBasesCount, true)
  view.setBigUint64(at + 472, value.actsByEnd, true)
  view.setBigUint64(at + 480, value.actsInternet, true)
  value.users.slice(0, 16).forEach((entry, index) => {
    writeMapUserRange(view, at + 488 + index * 16, entry)
  })
}

export function encodeMapProfile(value: MapProfile): Uint8Array {
  const bytes = new Uint8Array(744)
  writeMapProfile(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapProfile(view: DataView, at: number): MapProfile {
  return {
    filter: readMapFilter(view, at + 0),
    execRules: view.getBigUint64(at + 56, true),
    execAllow: view.getBigUint64(at + 64, true),
    connectRules: view.getBigUint64(at + 72, true),
    syscallRules: view.getBigUint64(at + 80, true),
    deny: view.getBigUint64(at + 88, true),
    kill: view.getBigUint64(at + 96, true),
    setup: view.getBigUint64(at + 104, true),
    policy: Array.from({ length: 64 }, (_, index) => view.getUint32(at + 112 + index * 4, true)),
    urgent: view.getUint32(at + 368, true),
    usersCount: view.getUint32(at + 372, true),
    actsUrgent: view.getBigUint64(at + 376, true),
    fileRules: view.getBigUint64(at + 384, true),
    listenRules: view.getBigUint64(at + 392, true),
    fileDefault: Array.from({ length: 8 }, (_, index) => view.getBigUint64(at + 400 + index * 8, true)),
    fileAccess: view.getUint32(at + 464, true),
    fileBasesCount: view.getUint32(at + 468, true),
    actsByEnd: view.getBigUint64(at + 472, true),
    actsInternet: view.getBigUint64(at + 480, true),
    users: Array.from({ length: 16 }, (_, index) => readMapUserRange(view, at + 488 + index * 16)),
  }
}

export function decodeMapProfile(bytes: Uint8Array): MapProfile {
  return readMapProfile(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapRecipe {
  act: number
  flags: number
  pathArg: number
  dirfdArg: number
  path2Arg: number
  dirfd2Arg: number
  fdArg: number
  addressArg: number
}

export const MAP_RECIPE_BYTES = 8

function writeMapRecipe(view: DataView, at: number, value: MapRecipe): void {
  view.setUint8(at + 0, value.act)
  view.setUint8(at + 1, value.flags)
  view.setUint8(at + 2, value.pathArg)
  view.setUint8(at + 3, value.dirfdArg)
  view.setUint8(at + 4, value.path2Arg)
  view.setUint8(at + 5, value.dirfd2Arg)
  view.setUint8(at + 6, value.fdArg)
  view.setUint8(at + 7, value.addressArg)
}

export function encodeMapRecipe(value: MapRecipe): Uint8Array {
  const bytes = new Uint8Array(8)
  writeMapRecipe(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapRecipe(view: DataView, at: number): MapRecipe {
  return {
    act: view.getUint8(at + 0),
    flags: view.getUint8(at + 1),
    pathArg: view.getUint8(at + 2),
    dirfdArg: view.getUint8(at + 3),
    path2Arg: view.getUint8(at + 4),
    dirfd2Arg: view.getUint8(at + 5),
    fdArg: view.getUint8(at + 6),
    addressArg: view.getUint8(at + 7),
  }
}

export function decodeMapRecipe(bytes: Uint8Array): MapRecipe {
  return readMapRecipe(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapSaidEntry {
  needed: bigint
  rule: bigint
  violated: bigint
}

export const MAP_SAID_ENTRY_BYTES = 24

function writeMapSaidEntry(view: DataView, at: number, value: MapSaidEntry): void {
  view.setBigUint64(at + 0, value.needed, true)
  view.setBigUint64(at + 8, value.rule, true)
  view.setBigUint64(at + 16, value.violated, true)
}

export function encodeMapSaidEntry(value: MapSaidEntry): Uint8Array {
  const bytes = new Uint8Array(24)
  writeMapSaidEntry(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapSaidEntry(view: DataView, at: number): MapSaidEntry {
  return {
    needed: view.getBigUint64(at + 0, true),
    rule: view.getBigUint64(at + 8, true),
    violated: view.getBigUint64(at + 16, true),
  }
}

export function decodeMapSaidEntry(bytes: Uint8Array): MapSaidEntry {
  return readMapSaidEntry(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapSaidKey {
  profile: number
  kind: number
}

export const MAP_SAID_KEY_BYTES = 8

function writeMapSaidKey(view: DataView, at: number, value: MapSaidKey): void {
  view.setUint32(at + 0, value.profile, true)
  view.setUint32(at + 4, value.kind, true)
}

export function encodeMapSaidKey(value: MapSaidKey): Uint8Array {
  const bytes = new Uint8Array(8)
  writeMapSaidKey(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapSaidKey(view: DataView, at: number): MapSaidKey {
  return {
    profile: view.getUint32(at + 0, true),
    kind: view.getUint32(at + 4, true),
  }
}

export function decodeMapSaidKey(bytes: Uint8Array): MapSaidKey {
  return readMapSaidKey(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapSaidNumber {
  owner: number
  number: number
}

export const MAP_SAID_NUMBER_BYTES = 8

function writeMapSaidNumber(view: DataView, at: number, value: MapSaidNumber): void {
  view.setUint32(at + 0, value.owner, true)
  view.setUint32(at + 4, value.number, true)
}

export function encodeMapSaidNumber(value: MapSaidNumber): Uint8Array {
  const bytes = new Uint8Array(8)
  writeMapSaidNumber(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapSaidNumber(view: DataView, at: number): MapSaidNumber {
  return {
    owner: view.getUint32(at + 0, true),
    number: view.getUint32(at + 4, true),
  }
}

export function decodeMapSaidNumber(bytes: Uint8Array): MapSaidNumber {
  return readMapSaidNumber(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapSaidRules {
  rules: bigint
  byDefault: bigint
  byTarget: bigint
  entriesCount: number
  entries: readonly MapSaidEntry[]
}

export const MAP_SAID_RULES_BYTES = 1568

function writeMapSaidRules(view: DataView, at: number, value: MapSaidRules): void {
  view.setBigUint64(at + 0, value.rules, true)
  view.setBigUint64(at + 8, value.byDefault, true)
  view.setBigUint64(at + 16, value.byTarget, true)
  view.setUint32(at + 24, value.entriesCount, true)
  value.entries.slice(0, 64).forEach((entry, index) => {
    writeMapSaidEntry(view, at + 32 + index * 24, entry)
  })
}

export function encodeMapSaidRules(value: MapSaidRules): Uint8Array {
  const bytes = new Uint8Array(1568)
  writeMapSaidRules(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapSaidRules(view: DataView, at: number): MapSaidRules {
  return {
    rules: view.getBigUint64(at + 0, true),
    byDefault: view.getBigUint64(at + 8, true),
    byTarget: view.getBigUint64(at + 16, true),
    entriesCount: view.getUint32(at + 24, true),
    entries: Array.from({ length: 64 }, (_, index) => readMapSaidEntry(view, at + 32 + index * 24)),
  }
}

export function decodeMapSaidRules(bytes: Uint8Array): MapSaidRules {
  return readMapSaidRules(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapSyscallKey {
  profile: number
  abi: number
}

export const MAP_SYSCALL_KEY_BYTES = 8

function writeMapSyscallKey(view: DataView, at: number, value: MapSyscallKey): void {
  view.setUint32(at + 0, value.profile, true)
  view.setUint32(at + 4, value.abi, true)
}

export function encodeMapSyscallKey(value: MapSyscallKey): Uint8Array {
  const bytes = new Uint8Array(8)
  writeMapSyscallKey(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapSyscallKey(view: DataView, at: number): MapSyscallKey {
  return {
    profile: view.getUint32(at + 0, true),
    abi: view.getUint32(at + 4, true),
  }
}

export function decodeMapSyscallKey(bytes: Uint8Array): MapSyscallKey {
  return readMapSyscallKey(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapSyscallRules {
  outside: readonly bigint[]
  killMask: readonly bigint[]
  atEnd: readonly bigint[]
}

export const MAP_SYSCALL_RULES_BYTES = 192

function writeMapSyscallRules(view: DataView, at: number, value: MapSyscallRules): void {
  value.outside.slice(0, 8).forEach((entry, index) => {
    view.setBigUint64(at + 0 + index * 8, entry, true)
  })
  value.killMask.slice(0, 8).forEach((entry, index) => {
    view.setBigUint64(at + 64 + index * 8, entry, true)
  })
  value.atEnd.slice(0, 8).forEach((entry, index) => {
    view.setBigUint64(at + 128 + index * 8, entry, true)
  })
}

export function encodeMapSyscallRules(value: MapSyscallRules): Uint8Array {
  const bytes = new Uint8Array(192)
  writeMapSyscallRules(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapSyscallRules(view: DataView, at: number): MapSyscallRules {
  return {
    outside: Array.from({ length: 8 }, (_, index) => view.getBigUint64(at + 0 + index * 8, true)),
    killMask: Array.from({ length: 8 }, (_, index) => view.getBigUint64(at + 64 + index * 8, true)),
    atEnd: Array.from({ length: 8 }, (_, index) => view.getBigUint64(at + 128 + index * 8, true)),
  }
}

export function decodeMapSyscallRules(bytes: Uint8Array): MapSyscallRules {
  return readMapSyscallRules(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapSyscallsIgnored {
  calls: readonly bigint[]
}

export const MAP_SYSCALLS_IGNORED_BYTES = 192

function writeMapSyscallsIgnored(view: DataView, at: number, value: MapSyscallsIgnored): void {
  value.calls.slice(0, 24).forEach((entry, index) => {
    view.setBigUint64(at + 0 + index * 8, entry, true)
  })
}

export function encodeMapSyscallsIgnored(value: MapSyscallsIgnored): Uint8Array {
  const bytes = new Uint8Array(192)
  writeMapSyscallsIgnored(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapSyscallsIgnored(view: DataView, at: number): MapSyscallsIgnored {
  return {
    calls: Array.from({ length: 24 }, (_, index) => view.getBigUint64(at + 0 + index * 8, true)),
  }
}

export function decodeMapSyscallsIgnored(bytes: Uint8Array): MapSyscallsIgnored {
  return readMapSyscallsIgnored(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapSyscallsSeen {
  seen: readonly bigint[]
}

export const MAP_SYSCALLS_SEEN_BYTES = 192

function writeMapSyscallsSeen(view: DataView, at: number, value: MapSyscallsSeen): void {
  value.seen.slice(0, 24).forEach((entry, index) => {
    view.setBigUint64(at + 0 + index * 8, entry, true)
  })
}

export function encodeMapSyscallsSeen(value: MapSyscallsSeen): Uint8Array {
  const bytes = new Uint8Array(192)
  writeMapSyscallsSeen(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapSyscallsSeen(view: DataView, at: number): MapSyscallsSeen {
  return {
    seen: Array.from({ length: 24 }, (_, index) => view.getBigUint64(at + 0 + index * 8, true)),
  }
}

export function decodeMapSyscallsSeen(bytes: Uint8Array): MapSyscallsSeen {
  return readMapSyscallsSeen(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

export interface MapUserRange {
  acts: bigint
  from: number
}

export const MAP_USER_RANGE_BYTES = 16

function writeMapUserRange(view: DataView, at: number, value: MapUserRange): void {
  view.setBigUint64(at + 0, value.acts, true)
  view.setUint32(at + 8, value.from, true)
}

export function encodeMapUserRange(value: MapUserRange): Uint8Array {
  const bytes = new Uint8Array(16)
  writeMapUserRange(new DataView(bytes.buffer), 0, value)
  return bytes
}

function readMapUserRange(view: DataView, at: number): MapUserRange {
  return {
    acts: view.getBigUint64(at + 0, true),
    from: view.getUint32(at + 8, true),
  }
}

export function decodeMapUserRange(bytes: Uint8Array): MapUserRange {
  return readMapUserRange(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

/** Of each event: its size, and each field as name@offset+bytes; of each enumeration: its names and values. */
export const EVENT_LAYOUT: Readonly<Record<string, string>> = {
  ev_header: '88 size_bytes@0+4 kind@4+2 phase@6+1 action@7+1 cpu@8+4 program_version@12+4 cpu_seq@16+8 boot_ns@24+8 cgroup_id@32+8 start_ns@40+8 pid@48+4 tid@52+4 uid@56+4 gid@60+4 profile@64+4 rung@68+4 decided@72+8 violated@80+8',
  ev_call: '312 result@88+8 args@96+48 facts@144+32 inode@176+8 target_start_ns@184+8 target_cgroup_id@192+8 target_pid@200+4 nr@204+4 abi@208+2 act@210+2 flags@212+4 fd@216+4 dev@220+4 mode@224+2 fd_kind@226+1 access@227+1 family@228+1 proto@229+1 socket_type@230+2 local_port@232+2 remote_port@234+2 local@236+16 remote@252+16 tag@268+16 repeats_count@284+4 path_bytes@288+4 path2_bytes@292+4 raw_bytes@296+4 raw2_bytes@300+4 cap_gained@304+8',
  ev_cgroup: '112 id@88+8 parent_id@96+8 level@104+4 path_bytes@108+4',
  ev_connect: '120 address@88+16 port@104+2 proto@106+1 family@107+1 repeats_count@108+4 cookie@112+8',
  ev_exec: '224 inode@88+8 parent_start_ns@96+8 parent_pid@104+4 dev@108+4 mnt_ns@112+4 flags@116+4 invoked_bytes@120+4 file_bytes@124+4 cwd_bytes@128+4 args_bytes@132+4 real_uid@136+4 real_gid@140+4 env_bytes@144+4 cap_permitted@152+8 cap_effective@160+8 cap_inheritable@168+8 loginuid@176+4 tty@180+4 vpid@184+4 vpgid@188+4 sid@192+4 comm@200+16 cap_gained@216+8',
  ev_exit: '104 code@88+4 signal@92+4 flags@96+4',
  ev_fork: '112 child_start_ns@88+8 child_pid@96+4 child_vpid@100+4 cap_gained@104+8',
  ev_memory: '120 current_bytes@88+8 peak_bytes@96+8 limit_bytes@104+8 inactive_file_bytes@112+8',
  ev_oom: '104 comm@88+16',
  ev_packet: '136 remote_address@88+16 cookie@104+8 offset_bytes@112+4 payload_bytes@116+4 data_bytes@120+4 local_port@124+2 remote_port@126+2 proto@128+1 family@129+1 direction@130+1 flags@131+1',
  ev_socket: '192 local_address@88+16 remote_address@104+16 cookie@120+8 duration_ns@128+8 sent_bytes@136+8 received_bytes@144+8 repeats_sent_bytes@152+8 repeats_received_bytes@160+8 netns@168+4 repeats_count@172+4 local_port@176+2 remote_port@178+2 error@180+2 family@182+1 role@183+1 backlog@184+4 flags@188+4',
  ev_syscall: '104 result@88+8 nr@96+4 abi@100+2 flags@102+2',
  ev_task: '184 parent_start_ns@88+8 parent_pid@96+4 file_bytes@100+4 inode@104+8 flags@112+4 cap_permitted@120+8 cap_effective@128+8 cap_inheritable@136+8 loginuid@144+4 tty@148+4 vpid@152+4 vpgid@156+4 sid@160+4 comm@168+16',
  hg_access: 'HG_ACCESS_READ=1 HG_ACCESS_WRITE=2 HG_ACCESS_CREATE=4',
  hg_act: 'HG_ACT_NONE=0 HG_ACT_OPEN=1 HG_ACT_UNLINK=2 HG_ACT_RENAME=3 HG_ACT_LINK=4 HG_ACT_SYMLINK=5 HG_ACT_CHMOD=6 HG_ACT_CHOWN=7 HG_ACT_MKDIR=8 HG_ACT_RMDIR=9 HG_ACT_TRUNCATE=10 HG_ACT_SIGNAL=11 HG_ACT_SETUID=12 HG_ACT_SETGID=13 HG_ACT_CAPSET=14 HG_ACT_PTRACE=15 HG_ACT_SETNS=16 HG_ACT_UNSHARE=17 HG_ACT_MOUNT=18 HG_ACT_UMOUNT=19 HG_ACT_PIVOT_ROOT=20 HG_ACT_CHROOT=21 HG_ACT_BPF=22 HG_ACT_MODULE=23 HG_ACT_MEMFD=24 HG_ACT_MMAP=25 HG_ACT_MPROTECT=26 HG_ACT_PRCTL=27 HG_ACT_USERFAULTFD=28 HG_ACT_SOCKET=29 HG_ACT_BIND=30 HG_ACT_LISTEN=31 HG_ACT_ACCEPT=32 HG_ACT_SEND=33 HG_ACT_RECV=34 HG_ACT_DUP=35 HG_ACT_IPC=36 HG_ACT_UNIX_CONNECT=37 HG_ACT_CAPABLE=38 HG_ACT_MAX=39',
  hg_action: 'HG_ACTION_NONE=0 HG_ACTION_DENIED=1 HG_ACTION_KILLED=2 HG_ACTION_FAILED=3 HG_ACTION_SPARED=4 HG_ACTION_DENIED_KILL_PENDING=5',
  hg_at_end: 'HG_AT_END_ACTS=0 HG_AT_END_RULES=1 HG_AT_END_RULES_OF=2',
  hg_call_flag: 'HG_CALL_HAS_RESULT=1 HG_CALL_UPPER_LAYER=2 HG_CALL_MEMFD=4 HG_CALL_PATH_TRUNCATED=8 HG_CALL_PATH_UNRESOLVED=16 HG_CALL_IO_URING=32 HG_CALL_DECISION=64 HG_CALL_CREATED=128 HG_CALL_USER_MEMORY=256 HG_CALL_DELETED=512',
  hg_cgroup_state: 'HG_CGROUP_PENDING=0 HG_CGROUP_CONTAINER=1',
  hg_direction: 'HG_DIRECTION_OUT=0 HG_DIRECTION_IN=1',
  hg_drop: 'HG_DROP_RING_FULL=0 HG_DROP_SCRATCH=1 HG_DROP_TASKS_FULL=2 HG_DROP_CGROUPS_FULL=3 HG_DROP_HELPER=4 HG_DROP_SYSCALLS_FULL=5 HG_DROP_UNREPORTED_ACTION=6 HG_DROP_REPEAT=7 HG_DROP_SOCKETS_FULL=8 HG_DROP_TRUNCATED=9 HG_DROP_CONTAINERS_FULL=10 HG_DROP_MOVED_FULL=11 HG_DROP_MAX=12',
  hg_exec_flag: 'HG_EXEC_SCRIPT=1 HG_EXEC_ARGS_TRUNCATED=2 HG_EXEC_PATH_TRUNCATED=4 HG_EXEC_MEMFD=8 HG_EXEC_FOREIGN_ROOT=16 HG_EXEC_KERNEL_UNDECIDED=32 HG_EXEC_MULTICALL=64 HG_EXEC_UPPER_LAYER=128 HG_EXEC_ENV_TRUNCATED=256 HG_EXEC_REFUSED=512 HG_EXEC_DELETED=1024',
  hg_exit_flag: 'HG_EXIT_CORE=1',
  hg_fd_kind: 'HG_FD_NONE=0 HG_FD_FILE=1 HG_FD_DIRECTORY=2 HG_FD_FIFO=3 HG_FD_CHAR_DEVICE=4 HG_FD_BLOCK_DEVICE=5 HG_FD_SOCKET=6 HG_FD_SYMLINK=7 HG_FD_ANON=8 HG_FD_NAMESPACE=9 HG_FD_MAX=10',
  hg_file_access: 'HG_FILE_READ=1 HG_FILE_WRITE=2 HG_FILE_CREATE=4 HG_FILE_DELETE=8 HG_FILE_RENAME=16 HG_FILE_LINK=32 HG_FILE_CHMOD=64 HG_FILE_CHOWN=128',
  hg_kind: 'HG_KIND_NONE=0 HG_KIND_EXEC=1 HG_KIND_FORK=2 HG_KIND_EXIT=3 HG_KIND_CONNECT=4 HG_KIND_SYSCALL=5 HG_KIND_OOM=6 HG_KIND_CGROUP_MKDIR=7 HG_KIND_CGROUP_RMDIR=8 HG_KIND_CGROUP_JOIN=9 HG_KIND_TASK=10 HG_KIND_MEMORY=11 HG_KIND_CALL=12 HG_KIND_LISTEN=13 HG_KIND_ACCEPT=14 HG_KIND_CONNECTED=15 HG_KIND_CLOSE=16 HG_KIND_PACKET=17 HG_KIND_MAX=18',
  hg_open_kind: 'HG_OPEN_READ=0 HG_OPEN_WRITE=1 HG_OPEN_READ_WRITE=2 HG_OPEN_NEITHER=3 HG_OPEN_FAILED=4 HG_OPEN_KINDS=5',
  hg_open_trait: 'HG_OPEN_DOTDOT=1 HG_OPEN_CREATE=2',
  hg_packet_flag: 'HG_PACKET_LAST=1',
  hg_phase: 'HG_PHASE_RUN=0 HG_PHASE_SETUP=1',
  hg_place_class: 'HG_PLACE_DONE=20 HG_PLACE_FAILED=29 HG_PLACE_CLASSES=30',
  hg_recipe_flag: 'HG_RECIPE_RESULT_FD=1 HG_RECIPE_RAW2=2 HG_RECIPE_RAW=4 HG_RECIPE_ARGS_POINTER=8 HG_RECIPE_EMPTY_PATH=16 HG_RECIPE_MESSAGE=32 HG_RECIPE_OPEN_HOW=64 HG_RECIPE_BY_FUNCTION=128',
  hg_ring_opcode: 'HG_RING_SENDMSG=9 HG_RING_RECVMSG=10 HG_RING_ACCEPT=13 HG_RING_OPENAT=18 HG_RING_SEND=26 HG_RING_RECV=27 HG_RING_OPENAT2=28 HG_RING_RENAMEAT=35 HG_RING_UNLINKAT=36 HG_RING_MKDIRAT=37 HG_RING_SYMLINKAT=38 HG_RING_LINKAT=39 HG_RING_SOCKET=45 HG_RING_SEND_ZC=47 HG_RING_SENDMSG_ZC=48 HG_RING_FTRUNCATE=55 HG_RING_BIND=56 HG_RING_LISTEN=57',
  hg_rung: 'HG_RUNG_TRACEPOINT=0 HG_RUNG_LSM=1 HG_RUNG_CGROUP=2 HG_RUNG_SYSCALL=3 HG_RUNG_FUNCTION=4',
  hg_said_kind: 'HG_SAID_MOUNT=0 HG_SAID_SIGNAL=1',
  hg_said_what: 'HG_SAID_TARGET=0 HG_SAID_SOURCE=1 HG_SAID_FSTYPE=2 HG_SAID_EXE=3 HG_SAID_USER=4 HG_SAID_GROUP=5 HG_SAID_WHATS=8',
  hg_socket_flag: 'HG_SOCKET_ESTABLISHED=1 HG_SOCKET_CLOSED_HERE=2 HG_SOCKET_CLOSED_THERE=4',
  hg_socket_role: 'HG_SOCKET_NONE=0 HG_SOCKET_LISTENER=1 HG_SOCKET_OUT=2 HG_SOCKET_IN=3 HG_SOCKET_DATAGRAM=4 HG_SOCKET_OTHER=5',
  hg_syscall_flag: 'HG_SYSCALL_FIRST=1 HG_SYSCALL_OUTSIDE=2 HG_SYSCALL_RETURNED=4 HG_SYSCALL_ENDED_THREAD=8',
  hg_want: 'HG_WANT_PROCESS=1 HG_WANT_CONNECT=2 HG_WANT_SYSCALL_FIRST=4 HG_WANT_SYSCALL_RULES=8 HG_WANT_ENV=256 HG_WANT_NAMES=512 HG_WANT_SYSCALLS_AT_ENTRY=1024',
}
