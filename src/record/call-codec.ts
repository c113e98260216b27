/** A call's body to and from the wire. Strings go through the batch's table. */
import {
  ABIS,
  CALL_KINDS,
  CALL_MARKS,
  type CallBody,
  type CallKind,
  type CallMarks,
  type CallSocket,
  type CallTarget,
  FD_KINDS,
  FILE_ACCESSES,
  SOCKET_FAMILIES,
} from './call-model.js'
import type { Call as WireCall } from './generated/wire.js'
import { CALL_KIND_NUMBERS } from './names.js'

const KIND_OF_NUMBER: ReadonlyMap<number, CallKind> = new Map(CALL_KINDS.map((kind) => [CALL_KIND_NUMBERS[kind], kind]))

export function callKindOf(kindNumber: number): CallKind | undefined {
  return KIND_OF_NUMBER.get(kindNumber)
}

export function callToWire(body: CallBody, ref: (text: string) => number): WireCall {
  let access = 0
  FILE_ACCESSES.forEach((name, bit) => {
    if (body.access.includes(name)) access |= 1 << bit
  })
  let marks = 0
  CALL_MARKS.forEach((name, bit) => {
    if (body[name]) marks |= 1 << bit
  })
  const { socket, target } = body
  return {
    act: CALL_KIND_NUMBERS[body.act],
    callRef: ref(body.call),
    abi: ABIS.indexOf(body.abi),
    ...(body.result === undefined ? {} : { result: body.result }),
    argRefs: Object.entries(body.args).flatMap(([name, text]) => [ref(name), ref(text)]),
    access,
    pathRef: ref(body.path),
    newPathRef: ref(body.newPath),
    rawPathRef: ref(body.rawPath),
    rawNewPathRef: ref(body.rawNewPath),
    fdPlusOne: body.fd + 1,
    fdKind: FD_KINDS.indexOf(body.fdKind),
    inode: body.inode,
    dev: body.dev,
    mode: body.mode,
    marks,
    ...(socket === undefined ? {} : { socket: socketToWire(socket, ref) }),
    ...(target === undefined ? {} : { target: targetToWire(target, ref) }),
    repeatsCount: body.repeatsCount,
  }
}

function socketToWire(socket: CallSocket, ref: (text: string) => number): NonNullable<WireCall['socket']> {
  return {
    family: SOCKET_FAMILIES.indexOf(socket.family),
    typeRef: ref(socket.type),
    protoRef: ref(socket.proto),
    localIpRef: ref(socket.localIp),
    localPort: socket.localPort,
    remoteIpRef: ref(socket.remoteIp),
    remotePort: socket.remotePort,
  }
}

function targetToWire(target: CallTarget, ref: (text: string) => number): NonNullable<WireCall['target']> {
  const { pid, startNs, exe, containerId, containerName } = target
  return { pid, startNs, exeRef: ref(exe), containerIdRef: ref(containerId), containerNameRef: ref(containerName) }
}

/** undefined: a value has no name in this version. `text` throws for a reference out of range. */
export function callFromWire(wire: WireCall, text: (ref: number) => string): CallBody | undefined {
  const act = callKindOf(wire.act)
  const abi = ABIS[wire.abi]
  const fdKind = FD_KINDS[wire.fdKind]
  if (act === undefined || abi === undefined || fdKind === undefined) return undefined
  const family = SOCKET_FAMILIES[wire.socket?.family ?? 0]
  if (family === undefined) return undefined
  const args: Record<string, string> = {}
  for (let index = 0; index < wire.argRefs.length; index += 2) {
    const value = text(wire.argRefs[index + 1] ?? 0)
    // defineProperty: the names come from another host.
    Object.defineProperty(args, text(wire.argRefs[index] ?? 0), {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  const marks = Object.fromEntries(CALL_MARKS.map((name, bit) => [name, (wire.marks & (1 << bit)) !== 0]))
  const body: CallBody = {
    ...(marks as unknown as CallMarks),
    act,
    call: text(wire.callRef),
    abi,
    args,
    access: FILE_ACCESSES.filter((_name, bit) => (wire.access & (1 << bit)) !== 0),
    path: text(wire.pathRef),
    newPath: text(wire.newPathRef),
    rawPath: text(wire.rawPathRef),
    rawNewPath: text(wire.rawNewPathRef),
    fd: wire.fdPlusOne - 1,
    fdKind,
    inode: wire.inode,
    dev: wire.dev,
    mode: wire.mode,
    repeatsCount: wire.repeatsCount,
  }
  if (wire.result !== undefined) body.result = wire.result
  if (wire.socket !== undefined) body.socket = socketFromWire(wire.socket, family, text)
  if (wire.target !== undefined) {
    const { pid, startNs, exeRef, containerIdRef, containerNameRef } = wire.target
    body.target = {
      pid,
      startNs,
      exe: text(exeRef),
      containerId: text(containerIdRef),
      containerName: text(containerNameRef),
    }
  }
  return body
}

function socketFromWire(
  wire: NonNullable<WireCall['socket']>,
  family: CallSocket['family'],
  text: (ref: number) => string,
): CallSocket {
  return {
    family,
    type: text(wire.typeRef),
    proto: text(wire.protoRef),
    localIp: text(wire.localIpRef),
    localPort: wire.localPort,
    remoteIp: text(wire.remoteIpRef),
    remotePort: wire.remotePort,
  }
}
