/**
 * Which syscalls are which act, and where their arguments stand: the one table of it. The kernel side gets it by number, for
 * each ABI, and only for the acts that somebody wants. Arguments count from 1.
 */
import { type Abi, HOST_SYSCALLS, type Syscalls } from '../policy/syscalls.js'
import { CALL_KINDS, type CallKind } from '../record/call-model.js'
import {
  ABIS,
  decodeMapRecipe,
  encodeMapRecipe,
  type MapRecipe,
  RECIPES_MAX,
  RecipeFlag,
  RingOpcode,
  SYSCALL_WORDS,
  SYSCALLS_MAX,
} from './generated/abi.js'

const { RESULT_FD, RAW, RAW2, ARGS_POINTER, EMPTY_PATH, MESSAGE, OPEN_HOW, BY_FUNCTION } = RecipeFlag

type Recipe = Partial<Omit<MapRecipe, 'act'>>

const fd1: Recipe = { fdArg: 1 }
const path1: Recipe = { pathArg: 1 }
const path2: Recipe = { dirfdArg: 1, pathArg: 2 }
const none: Recipe = {}

/** By act, then by name. `address` of an open is where its flags stand. */
const RECIPES: Readonly<Record<CallKind, Readonly<Record<string, Recipe>>>> = {
  open: {
    open: { ...path1, flags: RESULT_FD, addressArg: 2 },
    openat: { ...path2, flags: RESULT_FD, addressArg: 3 },
    openat2: { ...path2, flags: RESULT_FD | OPEN_HOW },
    creat: { ...path1, flags: RESULT_FD },
    open_by_handle_at: { flags: RESULT_FD, addressArg: 3 },
  },
  unlink: { unlink: path1, unlinkat: path2 },
  rename: {
    rename: { ...path1, path2Arg: 2 },
    renameat: { ...path2, dirfd2Arg: 3, path2Arg: 4 },
    renameat2: { ...path2, dirfd2Arg: 3, path2Arg: 4 },
  },
  link: {
    link: { ...path1, path2Arg: 2 },
    linkat: { ...path2, dirfd2Arg: 3, path2Arg: 4, flags: EMPTY_PATH },
  },
  symlink: {
    symlink: { pathArg: 2, path2Arg: 1, flags: RAW2 },
    symlinkat: { dirfdArg: 2, pathArg: 3, path2Arg: 1, flags: RAW2 },
  },
  chmod: {
    chmod: path1,
    fchmod: fd1,
    fchmodat: path2,
    fchmodat2: { ...path2, flags: EMPTY_PATH },
  },
  chown: {
    chown: path1,
    chown32: path1,
    lchown: path1,
    lchown32: path1,
    fchown: fd1,
    fchown32: fd1,
    fchownat: { ...path2, flags: EMPTY_PATH },
  },
  mkdir: { mkdir: path1, mkdirat: path2 },
  rmdir: { rmdir: path1 },
  truncate: { truncate: path1, truncate64: path1, ftruncate: fd1, ftruncate64: fd1 },
  signal: {
    kill: none,
    tkill: none,
    tgkill: none,
    rt_sigqueueinfo: none,
    rt_tgsigqueueinfo: none,
    pidfd_send_signal: none,
  },
  setuid: byNames('setuid setuid32 setreuid setreuid32 setresuid setresuid32 setfsuid setfsuid32', none),
  setgid: byNames(
    'setgid setgid32 setregid setregid32 setresgid setresgid32 setfsgid setfsgid32 setgroups setgroups32',
    none,
  ),
  capset: { capset: none },
  ptrace: { ptrace: none },
  setns: { setns: fd1 },
  unshare: { unshare: none },
  mount: {
    mount: { path2Arg: 1, pathArg: 2, flags: RAW2 },
    move_mount: { dirfdArg: 3, pathArg: 4, path2Arg: 2, flags: RAW2 },
    fsmount: none,
    open_tree: path2,
  },
  umount: { umount: path1, umount2: path1 },
  pivot_root: { pivot_root: { ...path1, path2Arg: 2 } },
  chroot: { chroot: path1 },
  bpf: { bpf: none },
  module: {
    init_module: { pathArg: 3, flags: RAW },
    finit_module: { fdArg: 1, path2Arg: 2, flags: RAW2 },
    delete_module: { pathArg: 1, flags: RAW },
  },
  memfd: { memfd_create: { pathArg: 1, flags: RAW | RESULT_FD }, memfd_secret: { flags: RESULT_FD } },
  mmap: { mmap: { fdArg: 5 }, mmap2: { fdArg: 5 } },
  mprotect: { mprotect: none, pkey_mprotect: none },
  prctl: { prctl: none },
  userfaultfd: { userfaultfd: { flags: RESULT_FD } },
  socket: { socket: { flags: RESULT_FD } },
  bind: { bind: { fdArg: 1, addressArg: 2 } },
  listen: { listen: fd1 },
  accept: { accept: { flags: RESULT_FD, fdArg: 1 }, accept4: { flags: RESULT_FD, fdArg: 1 } },
  send: { sendto: { fdArg: 1, addressArg: 5 }, sendmsg: { fdArg: 1, addressArg: 2, flags: MESSAGE } },
  recv: { recvfrom: { fdArg: 1, addressArg: 5 }, recvmsg: { fdArg: 1, addressArg: 2, flags: MESSAGE } },
  // other sockets' connects are seen by their own hooks
  unix_connect: { connect: fd1 },
  // no call: whatever needs a capability asks for it
  capable: {},
  dup: {
    dup: { flags: RESULT_FD, fdArg: 1 },
    dup2: { flags: RESULT_FD, fdArg: 1 },
    dup3: { flags: RESULT_FD, fdArg: 1 },
  },
  ipc: { shmget: none, shmat: none, msgget: none, semget: none, mq_open: { pathArg: 1, flags: RAW | RESULT_FD } },
}

/** Calls of ia32's socketcall by their number there (include/uapi/linux/net.h); `-`: no act here. */
export const SOCKETCALLS =
  '- socket bind connect listen accept - - - - - sendto recvfrom - - - sendmsg recvmsg accept4 - sendmmsg'.split(' ')

/** ia32's ipc(2) is several of these calls, by its first argument (include/uapi/linux/ipc.h). */
export const IA32_IPC = 117
/** Its call for all that is done with sockets. */
const IA32_SOCKETCALL = 102
export const IPC_CALLS: Readonly<Record<number, string>> = { 2: 'semget', 13: 'msgget', 21: 'shmat', 23: 'shmget' }

/** Only ia32 has it; its arguments stand in memory. */
const IA32_OLD_MMAP = 90

function byNames(names: string, recipe: Recipe): Readonly<Record<string, Recipe>> {
  return Object.fromEntries(names.split(' ').map((name) => [name, recipe]))
}

interface Row {
  act: number
  recipe: Recipe
}

const rowByName: ReadonlyMap<string, Row> = new Map(
  CALL_KINDS.flatMap((kind, index) =>
    Object.entries(RECIPES[kind]).map(([name, recipe]): [string, Row] => [name, { act: index + 1, recipe }]),
  ),
)

/** Names of the syscalls that do an act. */
export function callNames(act: CallKind): readonly string[] {
  return Object.keys(RECIPES[act])
}

/** The act that a syscall is. */
export function actOfCall(name: string): CallKind | undefined {
  const act = rowByName.get(name)?.act
  return act === undefined ? undefined : CALL_KINDS[act - 1]
}

/** As the kernel side has it: enum hg_act. */
export function actNumber(act: CallKind): number {
  return CALL_KINDS.indexOf(act) + 1
}

/** Bit of an act in the masks. */
export function actBit(act: CallKind): bigint {
  return 1n << BigInt(actNumber(act))
}

const EMPTY = encodeMapRecipe({
  act: 0,
  flags: 0,
  pathArg: 0,
  dirfdArg: 0,
  path2Arg: 0,
  dirfd2Arg: 0,
  fdArg: 0,
  addressArg: 0,
})

function encode({ act, recipe }: Row, extraFlags: number): Uint8Array {
  const { flags = 0, pathArg = 0, dirfdArg = 0, path2Arg = 0, dirfd2Arg = 0, fdArg = 0, addressArg = 0 } = recipe
  return encodeMapRecipe({
    act,
    flags: flags | extraFlags,
    pathArg,
    dirfdArg,
    path2Arg,
    dirfd2Arg,
    fdArg,
    addressArg,
  })
}

/** Every entry of the `recipes` map that is ever in use, with what it should hold while these acts are wanted. */
export function* recipeEntries(
  acts: bigint,
  { calls = HOST_SYSCALLS, areOpensByFunction = false }: { calls?: Syscalls; areOpensByFunction?: boolean } = {},
): Generator<[index: number, value: Uint8Array]> {
  const valueFor = (row: Row, extraFlags = 0) => {
    const hookFlag = areOpensByFunction && CALL_KINDS[row.act - 1] === 'open' ? BY_FUNCTION : 0
    return acts & (1n << BigInt(row.act)) ? encode(row, extraFlags | hookFlag) : EMPTY
  }
  for (const [abi, abiName] of calls.abiNames.entries()) {
    for (const [nr, name] of calls.table(abi as Abi).entries()) {
      const row = rowByName.get(name)
      if (row === undefined || nr >= SYSCALLS_MAX) continue
      yield [abi * SYSCALLS_MAX + nr, valueFor(row, abiName === 'ia32' && nr === IA32_OLD_MMAP ? ARGS_POINTER : 0)]
    }
  }
  if (!calls.abiNames.includes('ia32')) return
  const shared = rowByName.get('shmget')
  if (shared !== undefined) yield [calls.abiNames.indexOf('ia32') * SYSCALLS_MAX + IA32_IPC, valueFor(shared)]
  for (const [number, name] of SOCKETCALLS.entries()) {
    const row = rowByName.get(name)
    const index = calls.abiNames.length * SYSCALLS_MAX + number
    if (row !== undefined && index < RECIPES_MAX) yield [index, valueFor(row, ARGS_POINTER)]
  }
}

/** Numbers of the calls, of whichever ABI, that these entries want to be looked at when they end: a bit each. */
export function callsAtEnd(entries: Iterable<[index: number, value: Uint8Array]>): bigint[] {
  const calls = Array.from({ length: SYSCALL_WORDS }, () => 0n)
  for (const [index, value] of entries) {
    const { act, flags } = decodeMapRecipe(value)
    if (act === 0 || (flags & BY_FUNCTION) !== 0) continue
    const nr = index < ABIS * SYSCALLS_MAX ? index % SYSCALLS_MAX : IA32_SOCKETCALL
    calls[nr >> 6] = (calls[nr >> 6] ?? 0n) | (1n << BigInt(nr & 63))
  }
  return calls
}

export const ALL_ACTS: bigint = CALL_KINDS.reduce((mask, act) => mask | actBit(act), 0n)

/** What an io_uring can do too (bpf/lib/ring.bpf.h): its opcode as the syscall that it stands for. */
export const RING_CALLS: ReadonlyMap<number, string> = new Map([
  [RingOpcode.OPENAT, 'openat'],
  [RingOpcode.OPENAT2, 'openat2'],
  [RingOpcode.UNLINKAT, 'unlinkat'],
  [RingOpcode.RENAMEAT, 'renameat2'],
  [RingOpcode.LINKAT, 'linkat'],
  [RingOpcode.SYMLINKAT, 'symlinkat'],
  [RingOpcode.MKDIRAT, 'mkdirat'],
  [RingOpcode.FTRUNCATE, 'ftruncate'],
  [RingOpcode.SOCKET, 'socket'],
  [RingOpcode.BIND, 'bind'],
  [RingOpcode.LISTEN, 'listen'],
  [RingOpcode.ACCEPT, 'accept4'],
  [RingOpcode.SEND, 'sendto'],
  [RingOpcode.SEND_ZC, 'sendto'],
  [RingOpcode.SENDMSG, 'sendmsg'],
  [RingOpcode.SENDMSG_ZC, 'sendmsg'],
  [RingOpcode.RECV, 'recvfrom'],
  [RingOpcode.RECVMSG, 'recvmsg'],
])

/** Acts that an io_uring can do. */
export const RING_ACTS: readonly CallKind[] = [
  ...new Set([...RING_CALLS.values()].flatMap((call) => actOfCall(call) ?? [])),
]
const RING_MASK = RING_ACTS.reduce((mask, act) => mask | actBit(act), 0n)

/** Together they tell of every open; a kernel has them and comes to them with each call, or not (src/sensor/ladder.ts tries). */
const OPEN_FUNCTIONS: readonly string[] = ['on_open_result', 'on_open_by_handle']

/** Are opens told by the functions that carry them out, and not at the end of every call of the host? `has`: the program is loaded. */
export function areOpensByFunction(has: (program: string) => boolean): boolean {
  return OPEN_FUNCTIONS.every(has)
}

/** The programs that show acts: attached only while somebody wants one, since the tracepoint costs every syscall of the host. */
const OTHER_PROGRAMS: readonly { program: string; acts: bigint }[] = [
  { program: 'on_capability_used', acts: actBit('capable') },
  { program: 'on_capability_asked', acts: actBit('capable') },
  { program: 'on_signal', acts: actBit('signal') },
  ...['on_ring_submit_req', 'on_ring_submit_sqe', 'on_ring_complete', 'on_ring_overflow'].map((program) => ({
    program,
    acts: RING_MASK,
  })),
]

/** The programs that have to be attached for a mask of acts. */
export function hooksOfActs(acts: bigint, has: (program: string) => boolean): string[] {
  const atFunctions = areOpensByFunction(has) ? actBit('open') : 0n
  return [
    ...((acts & ~atFunctions & ~actBit('capable')) === 0n ? [] : ['on_sys_exit']),
    ...((acts & atFunctions) === 0n ? [] : OPEN_FUNCTIONS),
    ...OTHER_PROGRAMS.flatMap(({ program, acts: shown }) => ((acts & shown) === 0n ? [] : [program])),
  ]
}
