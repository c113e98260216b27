/**
 * Walks the events of a slab. One view per kind moves over the bytes: a handler reads what it needs during its call and
 * copies what it keeps, because the slab goes back to the reader afterwards.
 */
import {
  EvCall,
  EvCgroup,
  EvConnect,
  EvExec,
  EvExit,
  EvFork,
  EvHeader,
  EvMemory,
  EvOom,
  EvPacket,
  EvSocket,
  EvSyscall,
  EvTask,
  Kind,
} from './generated/abi.js'

/** Of a record in the ring: u32 length, u32 page offset (kernel/bpf/ringbuf.c, struct bpf_ringbuf_hdr). */
export const RING_HEADER_BYTES = 8
const LENGTH_MASK = 0x3fffffff // without the busy and discard bits

/** `header` is the head of the same event: one class for all kinds, which is read several times faster than one of many. */
export interface EventHandler {
  exec(event: EvExec, header: EvHeader): void
  fork(event: EvFork, header: EvHeader): void
  exit(event: EvExit, header: EvHeader): void
  connect(event: EvConnect, header: EvHeader): void
  /** listen, accept, what came of a connect, close: by `kind`. */
  socket(event: EvSocket, header: EvHeader): void
  packet(event: EvPacket, header: EvHeader): void
  syscall(event: EvSyscall, header: EvHeader): void
  call(event: EvCall, header: EvHeader): void
  oom(event: EvOom, header: EvHeader): void
  cgroup(event: EvCgroup, header: EvHeader): void
  /** An event that does not decode: a kind this build does not know, or lengths that contradict each other. */
  undecodable(event: EvHeader, reason: string): void
  /** Before each event's own method. */
  sequence(event: EvHeader): void
}

/** Views over one buffer, reused for every batch. */
export class BatchWalker {
  readonly header: EvHeader
  readonly exec: EvExec
  readonly fork: EvFork
  readonly exit: EvExit
  readonly connect: EvConnect
  readonly socket: EvSocket
  readonly packet: EvPacket
  readonly syscall: EvSyscall
  readonly call: EvCall
  readonly oom: EvOom
  readonly cgroup: EvCgroup
  readonly task: EvTask
  readonly memory: EvMemory
  readonly #view: DataView

  constructor(buffer: ArrayBufferLike) {
    const view = new DataView(buffer)
    const bytes = new Uint8Array(buffer)
    this.#view = view
    this.header = new EvHeader(view, bytes)
    this.exec = new EvExec(view, bytes)
    this.fork = new EvFork(view, bytes)
    this.exit = new EvExit(view, bytes)
    this.connect = new EvConnect(view, bytes)
    this.socket = new EvSocket(view, bytes)
    this.packet = new EvPacket(view, bytes)
    this.syscall = new EvSyscall(view, bytes)
    this.call = new EvCall(view, bytes)
    this.oom = new EvOom(view, bytes)
    this.cgroup = new EvCgroup(view, bytes)
    this.task = new EvTask(view, bytes)
    this.memory = new EvMemory(view, bytes)
  }

  /** Ring records in [start, start + sizeBytes). Returns how many events there were. */
  walkRing(start: number, sizeBytes: number, handler: EventHandler): number {
    const end = start + sizeBytes
    let at = start
    let count = 0
    while (at + RING_HEADER_BYTES <= end) {
      const lengthBytes = this.#view.getUint32(at, true) & LENGTH_MASK
      if (lengthBytes < EvHeader.SIZE_BYTES || at + RING_HEADER_BYTES + lengthBytes > end) {
        this.header.at = at + RING_HEADER_BYTES
        handler.undecodable(this.header, `ring record of ${lengthBytes} bytes`)
        return count
      }
      this.dispatch(at + RING_HEADER_BYTES, lengthBytes, handler)
      count++
      at += (RING_HEADER_BYTES + lengthBytes + 7) & ~7
    }
    return count
  }

  /** One event at `at` of `sizeBytes`. */
  dispatch(at: number, sizeBytes: number, handler: EventHandler): void {
    const { header } = this
    header.at = at
    handler.sequence(header)
    this.dispatchUnnumbered(at, sizeBytes, handler)
  }

  /** The same without looking at its number again: an event that was held back. */
  dispatchUnnumbered(at: number, sizeBytes: number, handler: EventHandler): void {
    const { header } = this
    header.at = at
    if (header.sizeBytes > sizeBytes) {
      handler.undecodable(header, `event says ${header.sizeBytes} bytes of ${sizeBytes}`)
      return
    }
    switch (header.kind) {
      case Kind.EXEC:
        this.exec.at = at
        if (stringsFit(this.exec, sizeBytes)) handler.exec(this.exec, header)
        else handler.undecodable(header, 'strings longer than the event')
        return
      case Kind.FORK:
        this.fork.at = at
        handler.fork(this.fork, header)
        return
      case Kind.EXIT:
        this.exit.at = at
        handler.exit(this.exit, header)
        return
      case Kind.CONNECT:
        this.connect.at = at
        handler.connect(this.connect, header)
        return
      case Kind.LISTEN:
      case Kind.ACCEPT:
      case Kind.CONNECTED:
      case Kind.CLOSE:
        this.socket.at = at
        if (sizeBytes >= EvSocket.SIZE_BYTES) handler.socket(this.socket, header)
        else handler.undecodable(header, `event of ${sizeBytes} bytes`)
        return
      case Kind.PACKET:
        this.packet.at = at
        if (EvPacket.SIZE_BYTES <= sizeBytes && EvPacket.SIZE_BYTES + this.packet.dataBytes <= sizeBytes)
          handler.packet(this.packet, header)
        else handler.undecodable(header, 'bytes longer than the event')
        return
      case Kind.SYSCALL:
        this.syscall.at = at
        handler.syscall(this.syscall, header)
        return
      case Kind.CALL:
        this.call.at = at
        if (callStringsFit(this.call, sizeBytes)) handler.call(this.call, header)
        else handler.undecodable(header, 'strings longer than the event')
        return
      case Kind.OOM:
        this.oom.at = at
        handler.oom(this.oom, header)
        return
      case Kind.CGROUP_MKDIR:
      case Kind.CGROUP_RMDIR:
      case Kind.CGROUP_JOIN:
        this.cgroup.at = at
        handler.cgroup(this.cgroup, header)
        return
      default:
        handler.undecodable(header, `unknown kind ${header.kind}`)
    }
  }
}

function stringsFit(event: EvExec, sizeBytes: number): boolean {
  const { invokedBytes, fileBytes, cwdBytes, argsBytes, envBytes } = event
  return EvExec.SIZE_BYTES + invokedBytes + fileBytes + cwdBytes + argsBytes + envBytes <= sizeBytes
}

function callStringsFit(event: EvCall, sizeBytes: number): boolean {
  return EvCall.SIZE_BYTES + event.pathBytes + event.path2Bytes + event.rawBytes + event.raw2Bytes <= sizeBytes
}

/** Byte ranges of a call's strings, in `event.bytes`; each starts where the one before it ends. */
export interface CallRanges {
  pathStart: number
  path2Start: number
  rawStart: number
  raw2Start: number
  raw2End: number
}

export function callRanges(event: EvCall): CallRanges {
  const pathStart = event.at + EvCall.SIZE_BYTES
  const path2Start = pathStart + event.pathBytes
  const rawStart = path2Start + event.path2Bytes
  const raw2Start = rawStart + event.rawBytes
  return { pathStart, path2Start, rawStart, raw2Start, raw2End: raw2Start + event.raw2Bytes }
}
