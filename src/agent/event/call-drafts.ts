/** From the bytes of a call's event to the body of its record. */
import { ABI_NAMES, syscallName } from '../../policy/syscalls.js'
import {
  CALL_KINDS,
  type CallBody,
  type CallKind,
  type CallSocket,
  FD_KINDS,
  type SocketFamily,
} from '../../record/call-model.js'
import { formatIp } from '../../record/ip-text.js'
import { callRanges } from '../../sensor/batch.js'
import { IPC_CALLS, RING_CALLS, SOCKETCALLS } from '../../sensor/call-recipes.js'
import { Access, CallFlag, type EvCall } from '../../sensor/generated/abi.js'
import { decodeText } from '../../sensor/text.js'
import { ipcNumber, isOldIpc, isSocketCall, readArguments } from './call-arguments.js'

/** AF_* of include/linux/socket.h. */
const FAMILIES: ReadonlyMap<number, SocketFamily> = new Map([
  [0, ''],
  [1, 'unix'],
  [2, 'ipv4'],
  [10, 'ipv6'],
  [16, 'netlink'],
  [17, 'packet'],
])
const SOCKET_TYPES = ['', 'stream', 'dgram', 'raw', 'rdm', 'seqpacket', 'dccp', '', '', '', 'packet']
const PROTOS: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmpv6'],
  [132, 'sctp'],
  [136, 'udplite'],
  [255, 'raw'],
])
/** undefined: an act that this version does not know. */
export function callKind(event: EvCall): CallKind | undefined {
  return CALL_KINDS[event.act - 1]
}

/** Name of the call that did it. */
export function callName(event: EvCall): string {
  const { nr, abi } = event
  if ((event.flags & CallFlag.IO_URING) !== 0) return RING_CALLS.get(nr) ?? `io_uring_${nr}`
  if (isOldIpc(event)) return IPC_CALLS[ipcNumber(event)] ?? 'ipc'
  if (isSocketCall(event)) return SOCKETCALLS[Number(event.facts(3))] ?? 'socketcall'
  return syscallName(nr, abi)
}

/** The short text that came with it: a type of file system, a new name of a task. */
export function tagOf({ tag }: EvCall): string {
  return decodeText(tag, 0, tag.length).replace(/\0.*$/s, '')
}

/** Without the target's names: those the agent adds. */
export function callBody(event: EvCall, act: CallKind): CallBody {
  const { bytes, flags, family } = event
  const { pathStart, path2Start, rawStart, raw2Start, raw2End } = callRanges(event)
  const call = callName(event)
  const raw = decodeText(bytes, rawStart, raw2Start)
  const raw2 = decodeText(bytes, raw2Start, raw2End)
  const tag = tagOf(event)
  const has = (flag: number) => (flags & flag) !== 0
  const body: CallBody = {
    act,
    call,
    abi: ABI_NAMES[event.abi] ?? 'native',
    args: readArguments(act, event, call, { raw, raw2, tag }),
    access: accessOf(event),
    path: decodeText(bytes, pathStart, path2Start),
    newPath: decodeText(bytes, path2Start, rawStart),
    rawPath: raw,
    rawNewPath: raw2,
    fd: event.fd,
    fdKind: FD_KINDS[event.fdKind] ?? '',
    inode: event.inode,
    dev: event.dev,
    mode: event.mode,
    upperLayer: has(CallFlag.UPPER_LAYER),
    memfd: has(CallFlag.MEMFD),
    deleted: has(CallFlag.DELETED),
    created: has(CallFlag.CREATED),
    pathTruncated: has(CallFlag.PATH_TRUNCATED),
    pathUnresolved: has(CallFlag.PATH_UNRESOLVED),
    userMemory: has(CallFlag.USER_MEMORY),
    ioUring: has(CallFlag.IO_URING),
    repeatsCount: event.repeatsCount,
  }
  if (has(CallFlag.HAS_RESULT)) body.result = event.result
  if (family !== 0) body.socket = socketOf(event)
  return body
}

function accessOf({ access }: EvCall): CallBody['access'] {
  return [
    ...((access & Access.READ) !== 0 ? (['read'] as const) : []),
    ...((access & Access.WRITE) !== 0 ? (['write'] as const) : []),
    ...((access & Access.CREATE) !== 0 ? (['create'] as const) : []),
  ]
}

function socketOf(event: EvCall): CallSocket {
  const { family, proto, socketType, localPort, remotePort } = event
  const isInet = family === 2 || family === 10
  return {
    family: FAMILIES.get(family) ?? 'other',
    type: SOCKET_TYPES[socketType] || String(socketType),
    proto: isInet ? (PROTOS.get(proto) ?? String(proto)) : '',
    localIp: isInet && isSet(event.local, localPort) ? formatIp(event.local, family === 2) : '',
    localPort,
    remoteIp: isInet && isSet(event.remote, remotePort) ? formatIp(event.remote, family === 2) : '',
    remotePort,
  }
}

/** An address that was never written is all zero; `any` with a port is one. */
function isSet(address: Uint8Array, port: number): boolean {
  return (
    port !== 0 || address.subarray(12).some((byte) => byte !== 0) || address.subarray(0, 10).some((byte) => byte !== 0)
  )
}
