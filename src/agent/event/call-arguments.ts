/**
 * Arguments of calls as text: flags by name, modes in octal, requests by name. By name and not by number, since that is how a
 * person and a rule speak of them; what has no name here stays a hexadecimal number.
 */
import { capabilityName } from '../../policy/capabilities.js'
import { ABI_32_BITS, ABI_NAMES } from '../../policy/syscalls.js'
import type { CallKind } from '../../record/call-model.js'
import { IA32_IPC } from '../../sensor/call-recipes.js'
import { Act, type EvCall } from '../../sensor/generated/abi.js'
import { signalName } from './signals.js'

type FlagTable = readonly (readonly [name: string, value: number])[]

const table = (text: string): FlagTable =>
  text.split(' ').map((entry) => {
    const [name = '', value = '0'] = entry.split('=')
    return [name, Number(value)]
  })

/** arch/arm64/include/uapi/asm/fcntl.h, and for x86 include/uapi/asm-generic/fcntl.h. 32-bit programs have those of their machine. */
const [O_DIRECT, O_LARGEFILE, O_DIRECTORY, O_NOFOLLOW] =
  process.arch === 'arm64' ? [0x10000, 0x20000, 0x4000, 0x8000] : [0x4000, 0x8000, 0x10000, 0x20000]
const OPEN_FLAGS = table(
  `O_TMPFILE=${0x400000 | O_DIRECTORY} O_SYNC=0x101000 O_CREAT=0x40 O_EXCL=0x80 O_NOCTTY=0x100 O_TRUNC=0x200 O_APPEND=0x400 O_NONBLOCK=0x800 O_DSYNC=0x1000 O_ASYNC=0x2000 O_DIRECT=${O_DIRECT} O_LARGEFILE=${O_LARGEFILE} O_DIRECTORY=${O_DIRECTORY} O_NOFOLLOW=${O_NOFOLLOW} O_NOATIME=0x40000 O_CLOEXEC=0x80000 O_PATH=0x200000`,
)
const OPEN_ACCESS = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE'] as const
const RESOLVE_FLAGS = table(
  'RESOLVE_NO_XDEV=1 RESOLVE_NO_MAGICLINKS=2 RESOLVE_NO_SYMLINKS=4 RESOLVE_BENEATH=8 RESOLVE_IN_ROOT=0x10 RESOLVE_CACHED=0x20',
)
const AT_FLAGS = table(
  'AT_SYMLINK_NOFOLLOW=0x100 AT_REMOVEDIR=0x200 AT_SYMLINK_FOLLOW=0x400 AT_NO_AUTOMOUNT=0x800 AT_EMPTY_PATH=0x1000',
)
const RENAME_FLAGS = table('RENAME_NOREPLACE=1 RENAME_EXCHANGE=2 RENAME_WHITEOUT=4')
const CLONE_FLAGS = table(
  'CLONE_NEWTIME=0x80 CLONE_VM=0x100 CLONE_FS=0x200 CLONE_FILES=0x400 CLONE_SIGHAND=0x800 CLONE_THREAD=0x10000 CLONE_NEWNS=0x20000 CLONE_SYSVSEM=0x40000 CLONE_NEWCGROUP=0x2000000 CLONE_NEWUTS=0x4000000 CLONE_NEWIPC=0x8000000 CLONE_NEWUSER=0x10000000 CLONE_NEWPID=0x20000000 CLONE_NEWNET=0x40000000',
)
const MOUNT_FLAGS = table(
  'MS_RDONLY=1 MS_NOSUID=2 MS_NODEV=4 MS_NOEXEC=8 MS_SYNCHRONOUS=0x10 MS_REMOUNT=0x20 MS_MANDLOCK=0x40 MS_DIRSYNC=0x80 MS_NOSYMFOLLOW=0x100 MS_NOATIME=0x400 MS_NODIRATIME=0x800 MS_BIND=0x1000 MS_MOVE=0x2000 MS_REC=0x4000 MS_SILENT=0x8000 MS_UNBINDABLE=0x20000 MS_PRIVATE=0x40000 MS_SLAVE=0x80000 MS_SHARED=0x100000 MS_RELATIME=0x200000 MS_STRICTATIME=0x1000000 MS_LAZYTIME=0x2000000',
)
const UMOUNT_FLAGS = table('MNT_FORCE=1 MNT_DETACH=2 MNT_EXPIRE=4 UMOUNT_NOFOLLOW=8')
const PROT_FLAGS = table('PROT_READ=1 PROT_WRITE=2 PROT_EXEC=4 PROT_GROWSDOWN=0x1000000 PROT_GROWSUP=0x2000000')
const MAP_FLAGS = table(
  'MAP_SHARED_VALIDATE=3 MAP_SHARED=1 MAP_PRIVATE=2 MAP_FIXED=0x10 MAP_ANONYMOUS=0x20 MAP_32BIT=0x40 MAP_GROWSDOWN=0x100 MAP_LOCKED=0x2000 MAP_NORESERVE=0x4000 MAP_POPULATE=0x8000 MAP_NONBLOCK=0x10000 MAP_STACK=0x20000 MAP_HUGETLB=0x40000 MAP_FIXED_NOREPLACE=0x100000',
)
const MEMFD_FLAGS = table('MFD_CLOEXEC=1 MFD_ALLOW_SEALING=2 MFD_HUGETLB=4 MFD_NOEXEC_SEAL=8 MFD_EXEC=0x10')
const SOCKET_FLAGS = table('SOCK_NONBLOCK=0x800 SOCK_CLOEXEC=0x80000')
const MODULE_FLAGS = table(
  'MODULE_INIT_IGNORE_MODVERSIONS=1 MODULE_INIT_IGNORE_VERMAGIC=2 MODULE_INIT_COMPRESSED_FILE=4',
)
const MESSAGE_FLAGS = table(
  'MSG_OOB=1 MSG_PEEK=2 MSG_DONTROUTE=4 MSG_CTRUNC=8 MSG_TRUNC=0x20 MSG_DONTWAIT=0x40 MSG_EOR=0x80 MSG_WAITALL=0x100 MSG_CONFIRM=0x800 MSG_ERRQUEUE=0x2000 MSG_NOSIGNAL=0x4000 MSG_MORE=0x8000 MSG_FASTOPEN=0x20000000 MSG_CMSG_CLOEXEC=0x40000000',
)
const USERFAULTFD_FLAGS = table('O_NONBLOCK=0x800 O_CLOEXEC=0x80000 UFFD_USER_MODE_ONLY=1')

/** Of a chmod. */
export const MODE_FLAGS = table(
  'S_IXOTH=1 S_IWOTH=2 S_IROTH=4 S_IXGRP=0x8 S_IWGRP=0x10 S_IRGRP=0x20 S_IXUSR=0x40 S_IWUSR=0x80 S_IRUSR=0x100 S_ISVTX=0x200 S_ISGID=0x400 S_ISUID=0x800',
)

const byNumber = (text: string): ReadonlyMap<number, string> =>
  new Map(table(text).map(([name, value]) => [value, name]))

const DOMAINS = byNumber(
  'AF_UNSPEC=0 AF_UNIX=1 AF_INET=2 AF_AX25=3 AF_X25=9 AF_INET6=10 AF_KEY=15 AF_NETLINK=16 AF_PACKET=17 AF_RDS=21 AF_CAN=29 AF_TIPC=30 AF_BLUETOOTH=31 AF_ALG=38 AF_VSOCK=40 AF_XDP=44',
)
const SOCKET_TYPES = byNumber(
  'SOCK_STREAM=1 SOCK_DGRAM=2 SOCK_RAW=3 SOCK_RDM=4 SOCK_SEQPACKET=5 SOCK_DCCP=6 SOCK_PACKET=10',
)
const PTRACE_REQUESTS = byNumber(
  'PTRACE_TRACEME=0 PTRACE_PEEKTEXT=1 PTRACE_PEEKDATA=2 PTRACE_PEEKUSR=3 PTRACE_POKETEXT=4 PTRACE_POKEDATA=5 PTRACE_POKEUSR=6 PTRACE_CONT=7 PTRACE_KILL=8 PTRACE_SINGLESTEP=9 PTRACE_GETREGS=12 PTRACE_SETREGS=13 PTRACE_GETFPREGS=14 PTRACE_SETFPREGS=15 PTRACE_ATTACH=16 PTRACE_DETACH=17 PTRACE_SYSCALL=24 PTRACE_ARCH_PRCTL=30 PTRACE_SYSEMU=31 PTRACE_SETOPTIONS=0x4200 PTRACE_GETEVENTMSG=0x4201 PTRACE_GETSIGINFO=0x4202 PTRACE_SETSIGINFO=0x4203 PTRACE_GETREGSET=0x4204 PTRACE_SETREGSET=0x4205 PTRACE_SEIZE=0x4206 PTRACE_INTERRUPT=0x4207 PTRACE_LISTEN=0x4208 PTRACE_PEEKSIGINFO=0x4209 PTRACE_GETSIGMASK=0x420a PTRACE_SETSIGMASK=0x420b PTRACE_SECCOMP_GET_FILTER=0x420c PTRACE_SECCOMP_GET_METADATA=0x420d PTRACE_GET_SYSCALL_INFO=0x420e',
)
const PRCTL_OPTIONS = byNumber(
  'PR_SET_DUMPABLE=4 PR_SET_NAME=15 PR_SET_SECCOMP=22 PR_CAPBSET_DROP=24 PR_SET_SECUREBITS=28 PR_SET_MM=35 PR_SET_NO_NEW_PRIVS=38 PR_CAP_AMBIENT=47 PR_SET_PTRACER=0x59616d61',
)
const BPF_COMMANDS =
  'BPF_MAP_CREATE BPF_MAP_LOOKUP_ELEM BPF_MAP_UPDATE_ELEM BPF_MAP_DELETE_ELEM BPF_MAP_GET_NEXT_KEY BPF_PROG_LOAD BPF_OBJ_PIN BPF_OBJ_GET BPF_PROG_ATTACH BPF_PROG_DETACH BPF_PROG_TEST_RUN BPF_PROG_GET_NEXT_ID BPF_MAP_GET_NEXT_ID BPF_PROG_GET_FD_BY_ID BPF_MAP_GET_FD_BY_ID BPF_OBJ_GET_INFO_BY_FD BPF_PROG_QUERY BPF_RAW_TRACEPOINT_OPEN BPF_BTF_LOAD BPF_BTF_GET_FD_BY_ID BPF_TASK_FD_QUERY BPF_MAP_LOOKUP_AND_DELETE_ELEM BPF_MAP_FREEZE BPF_BTF_GET_NEXT_ID BPF_MAP_LOOKUP_BATCH BPF_MAP_LOOKUP_AND_DELETE_BATCH BPF_MAP_UPDATE_BATCH BPF_MAP_DELETE_BATCH BPF_LINK_CREATE BPF_LINK_UPDATE BPF_LINK_GET_FD_BY_ID BPF_LINK_GET_NEXT_ID BPF_ENABLE_STATS BPF_ITER_CREATE BPF_LINK_DETACH BPF_PROG_BIND_MAP BPF_TOKEN_CREATE'.split(
    ' ',
  )

const low32 = (value: bigint): number => Number(value & 0xffff_ffffn)
const signed32 = (value: bigint): number => low32(value) | 0
const octal = (value: number): string => `0${value.toString(8)}`
const hex = (value: bigint): string => `0x${value.toString(16)}`
const named = (names: ReadonlyMap<number, string>, value: number): string =>
  names.get(value) ?? `0x${value.toString(16)}`

/** Names of the bits that are set, joined by `|`; bits without a name as one hexadecimal number; `0` for none. */
export function flagNames(flags: FlagTable, value: number): string {
  let rest = value >>> 0
  const names: string[] = []
  for (const [name, bits] of flags) {
    if ((rest & bits) >>> 0 !== bits) continue
    names.push(name)
    rest = (rest & ~bits) >>> 0
  }
  if (rest !== 0) names.push(`0x${rest.toString(16)}`)
  return names.join('|') || '0'
}

export function openFlagNames(value: number): string {
  const rest = (value & ~3) >>> 0
  const access = OPEN_ACCESS[value & 3] ?? ''
  return rest === 0 ? access : `${access}|${flagNames(OPEN_FLAGS, rest)}`
}

/** A user or group id; -1 leaves it as it is. */
function ownerId(event: EvCall, call: string, value: bigint): string {
  const is16Bits = event.abi === ABI_32_BITS && OWNER_16.has(call)
  const id = is16Bits ? Number(value & 0xffffn) : low32(value)
  return id === (is16Bits ? 0xffff : 0xffff_ffff) ? '-1' : String(id)
}
/** Through a 32-bit ABI these have ids of 16 bits; chown32 and its like have wider ones. */
const OWNER_16: ReadonlySet<string> = new Set(['chown', 'fchown', 'lchown'])

/** truncate64 and ftruncate64 have it in two arguments; of 32-bit ARM the first of a pair has an even place (EABI). */
function truncatedTo(event: EvCall, call: string): bigint {
  if (event.abi !== ABI_32_BITS || !call.endsWith('64')) return event.args(1)
  const low = ABI_NAMES[event.abi] === 'aarch32' ? 2 : 1
  return event.args(low) | (event.args(low + 1) << 32n)
}

/** `MAJOR:MINOR` of new_encode_dev(), include/linux/kdev_t.h. */
function deviceNumbers(dev: number): string {
  return `${(dev >>> 8) & 0xfff}:${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}`
}

type Reader = (event: EvCall, call: string, texts: CallTexts) => Readonly<Record<string, string>>

/** Texts that came with the event. */
export interface CallTexts {
  raw: string
  raw2: string
  tag: string
}

const atFlags = (event: EvCall, index: number) => ({ flags: flagNames(AT_FLAGS, low32(event.args(index))) })
const ids = (event: EvCall, names: readonly string[]) =>
  Object.fromEntries(names.map((name, index) => [name, String(event.facts(index))]))

const READERS: Readonly<Record<CallKind, Reader>> = {
  open: (event, call) => ({
    flags: openFlagNames(low32(event.facts(0))),
    ...((event.access & 4) !== 0 ? { create_mode: octal(low32(event.facts(1))) } : {}),
    ...(call === 'openat2' ? { resolve: flagNames(RESOLVE_FLAGS, low32(event.facts(2))) } : {}),
    ...(event.facts(3) === 0n ? {} : { device: deviceNumbers(low32(event.facts(3))) }),
  }),
  unlink: (event, call) => (call === 'unlinkat' ? atFlags(event, 2) : {}),
  rename: (event, call) => (call === 'renameat2' ? { flags: flagNames(RENAME_FLAGS, low32(event.args(4))) } : {}),
  link: (event, call) => (call === 'linkat' ? atFlags(event, 4) : {}),
  symlink: (_event, _call, { raw2 }) => ({ target_path: raw2 }),
  chmod: (event, call) => ({
    set_mode: octal(low32(event.args(call.startsWith('fchmodat') ? 2 : 1)) & 0xffff),
    ...(call === 'fchmodat2' ? atFlags(event, 3) : {}),
  }),
  chown: (event, call) => {
    const first = call === 'fchownat' ? 2 : 1
    return {
      set_uid: ownerId(event, call, event.args(first)),
      set_gid: ownerId(event, call, event.args(first + 1)),
      ...(call === 'fchownat' ? atFlags(event, 4) : {}),
    }
  },
  mkdir: (event, call) => ({ create_mode: octal(low32(event.args(call === 'mkdirat' ? 2 : 1)) & 0xffff) }),
  rmdir: () => ({}),
  truncate: (event, call) => ({ length: String(truncatedTo(event, call)) }),
  signal: (event, call) => {
    const isToThread = call === 'tgkill' || call === 'rt_tgsigqueueinfo'
    const number = event.targetPid !== 0 ? low32(event.facts(0)) : signed32(event.args(isToThread ? 2 : 1))
    return { signal: signalName(number), number: String(number), to: String(signed32(event.args(0))) }
  },
  setuid: (event) => ids(event, ['uid', 'euid', 'suid', 'fsuid']),
  setgid: (event) => ids(event, ['gid', 'egid', 'sgid', 'fsgid']),
  capset: (event) =>
    Object.fromEntries(
      ['effective', 'permitted', 'inheritable', 'ambient'].map((name, index) => [name, hex(event.facts(index))]),
    ),
  ptrace: (event) => ({
    request: named(PTRACE_REQUESTS, low32(event.args(0))),
    to: String(signed32(event.args(1))),
  }),
  setns: (event) => ({ flags: flagNames(CLONE_FLAGS, low32(event.args(1))) }),
  unshare: (event) => ({ flags: flagNames(CLONE_FLAGS, low32(event.args(0))) }),
  mount: (event, call, { raw2, tag }) => ({
    source: raw2,
    type: tag,
    ...(call === 'mount' ? { flags: flagNames(MOUNT_FLAGS, low32(event.args(3)) & ~0xc0ed0000) } : {}),
  }),
  umount: (event) => ({ flags: flagNames(UMOUNT_FLAGS, low32(event.args(1))) }),
  pivot_root: () => ({}),
  unix_connect: () => ({}),
  capable: (event) => ({ capability: capabilityName(low32(event.facts(0))), user_ns: String(event.facts(1)) }),
  chroot: () => ({}),
  bpf: (event) => ({ cmd: BPF_COMMANDS[low32(event.args(0))] ?? String(low32(event.args(0))) }),
  module: (event, call, { raw }) => ({
    name: call === 'delete_module' ? raw : '',
    flags: call === 'finit_module' ? flagNames(MODULE_FLAGS, low32(event.args(2))) : '0',
  }),
  memfd: (event, call, { raw }) => ({
    name: raw,
    flags: flagNames(
      call === 'memfd_secret' ? OPEN_FLAGS : MEMFD_FLAGS,
      low32(event.args(call === 'memfd_secret' ? 0 : 1)),
    ),
  }),
  mmap: (event) => ({
    address: hex(event.result >= 0n || event.result < -4095n ? BigInt.asUintN(64, event.result) : event.args(0)),
    length: String(event.args(1)),
    prot: flagNames(PROT_FLAGS, low32(event.args(2))),
    flags: flagNames(MAP_FLAGS, low32(event.args(3))),
  }),
  mprotect: (event) => ({
    address: hex(event.args(0)),
    length: String(event.args(1)),
    prot: flagNames(PROT_FLAGS, low32(event.args(2))),
  }),
  prctl: (event, _call, { tag }) => ({
    option: named(PRCTL_OPTIONS, low32(event.args(0))),
    value: hex(event.args(1)),
    ...(tag === '' ? {} : { name: tag }),
  }),
  userfaultfd: (event) => ({ flags: flagNames(USERFAULTFD_FLAGS, low32(event.args(0))) }),
  socket: (event) => {
    const type = low32(event.args(1))
    const flags = flagNames(SOCKET_FLAGS, type & ~0xf)
    return {
      domain: named(DOMAINS, low32(event.args(0))),
      type: `${named(SOCKET_TYPES, type & 0xf)}${flags === '0' ? '' : `|${flags}`}`,
      protocol: String(low32(event.args(2))),
    }
  },
  bind: () => ({}),
  listen: (event) => ({ backlog: String(signed32(event.args(1))) }),
  accept: (event, call) => (call === 'accept4' ? { flags: flagNames(SOCKET_FLAGS, low32(event.args(3))) } : {}),
  send: (event, call) => messageFlags(event, call),
  recv: (event, call) => messageFlags(event, call),
  ipc: (event, call, { raw }) => {
    if (call === 'mq_open') return { name: raw, flags: openFlagNames(low32(event.args(1))) }
    const [first, second, third] = ipcArguments(event, call)
    const flags = { flags: octal(low32(call === 'msgget' ? second : third)) }
    if (call === 'shmat') return { id: String(signed32(first)), ...flags }
    const key = low32(first) === 0 ? 'IPC_PRIVATE' : hex(BigInt(low32(first)))
    return { key, ...(call === 'msgget' ? {} : { size: String(second) }), ...flags }
  },
  dup: (event, call) => ({
    old_fd: String(signed32(event.args(0))),
    ...(call === 'dup3' ? { flags: openFlagNames(low32(event.args(2))) } : {}),
  }),
}

/** In the order of the call of its own, whichever way it was made. */
function ipcArguments(event: EvCall, call: string): [bigint, bigint, bigint] {
  if (!isOldIpc(event)) return [event.args(0), event.args(1), event.args(2)]
  // ipc(SHMAT, id, flags, …); the others have theirs in the order that they have alone
  return call === 'shmat' ? [event.args(1), 0n, event.args(2)] : [event.args(1), event.args(2), event.args(3)]
}

function messageFlags(event: EvCall, call: string): Readonly<Record<string, string>> {
  return { flags: flagNames(MESSAGE_FLAGS, low32(event.args(call.endsWith('msg') ? 2 : 3))) }
}

export function readArguments(
  act: CallKind,
  event: EvCall,
  call: string,
  texts: CallTexts,
): Readonly<Record<string, string>> {
  return READERS[act](event, call, texts)
}

/** Arguments that stand for themselves, by act and name. */
const WORDS: Readonly<Record<string, FlagTable>> = {
  'setns flags': CLONE_FLAGS,
  'unshare flags': CLONE_FLAGS,
  'ptrace request': [...PTRACE_REQUESTS].map(([value, name]) => [name, value] as const),
  'socket domain': [...DOMAINS].map(([value, name]) => [name, value] as const),
}

/** What readArguments() shows as that text: names joined by `|`, or a number. Undefined: there is no such name. */
export function argumentNumber(act: CallKind, name: string, text: string): number | undefined {
  const words = WORDS[`${act} ${name}`]
  let number = 0
  for (const part of text.split('|')) {
    const value =
      words?.find(([word]) => word === part)?.[1] ?? (/^(?:0x[0-9a-f]+|\d+)$/.test(part) ? Number(part) : undefined)
    if (value === undefined) return undefined
    number = (number | value) >>> 0
  }
  return number
}

/** One of several calls in one, which ipcNumber() tells. */
export function isOldIpc(event: EvCall): boolean {
  return ABI_NAMES[event.abi] === 'ia32' && event.nr === IA32_IPC && event.act === Act.IPC
}

/** The upper half is a version. */
export function ipcNumber(event: EvCall): number {
  return low32(event.args(0)) & 0xffff
}

/** `sendto` … for a call of ia32's socketcall, whose own name says nothing. */
export function isSocketCall(event: EvCall): boolean {
  return ABI_NAMES[event.abi] === 'ia32' && event.nr === 102 && event.act >= Act.SOCKET
}
