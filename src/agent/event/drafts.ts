/**
 * From an event and who acted to a record without its place. Copies what it keeps: the event's slab goes back to the reader.
 */

import { ABI_NAMES, syscallName } from '../../policy/syscalls.js'
import { errorName } from '../../record/errno.js'
import { formatIp, ipTextAt } from '../../record/ip-text.js'
import type {
  CallBody,
  ConnectBody,
  ContainerRef,
  EventKind,
  ExecBody,
  ExitBody,
  ForkBody,
  InMaking,
  OomBody,
  Phase,
  ProcessRef,
  RecordDraft,
  SyscallBody,
} from '../../record/model.js'
import { KIND_NUMBERS } from '../../record/names.js'
import type {
  AcceptBody,
  CloseBody,
  DnsBody,
  HttpBody,
  ListenBody,
  PeerRef,
  SocketRole as SocketRoleName,
  TlsBody,
} from '../../record/network.js'
import {
  type EvCall,
  EvConnect,
  type EvExec,
  type EvExit,
  type EvFork,
  type EvHeader,
  type EvOom,
  EvSocket,
  type EvSyscall,
  ExecFlag,
  ExitFlag,
  Kind,
  SocketFlag,
  SocketRole,
  SyscallFlag,
} from '../../sensor/generated/abi.js'
import { type FoundName, NAME_KINDS } from '../../sensor/names/streams.js'
import { decodeText } from '../../sensor/text.js'
import type { NameSource } from '../host/users.js'
import type { ProcessEntry } from '../process/process-table.js'
import { type ProcessTracker, phaseOf } from '../process/process-tracker.js'
import { callBody, callKind } from './call-drafts.js'
import { signalName } from './signals.js'

const IPPROTO_TCP = 6
const IPPROTO_UDP = 17

const ROLES: Readonly<Record<number, SocketRoleName>> = {
  [SocketRole.LISTENER]: 'listen',
  [SocketRole.OUT]: 'connect',
  [SocketRole.IN]: 'accept',
}

/** A record of an event. One class for all kinds: what reads drafts then sees few shapes of objects, and V8 makes room for a body. */
export class Draft implements RecordDraft {
  readonly lane = 'activity'
  declare exec?: ExecBody
  declare fork?: ForkBody
  declare exit?: ExitBody
  declare connect?: ConnectBody
  declare syscall?: SyscallBody
  declare oom?: OomBody
  declare call?: CallBody
  declare listen?: ListenBody
  declare accept?: AcceptBody
  declare close?: CloseBody
  declare dns?: DnsBody
  declare tls?: TlsBody
  declare http?: HttpBody

  constructor(
    readonly kind: EventKind,
    readonly bootNs: bigint,
    readonly timeNs: bigint,
    readonly container: ContainerRef,
    readonly process: ProcessRef,
  ) {}
}

const OF_NETWORK_HOOKS: ReadonlySet<EventKind> = new Set(['connect', ...NAME_KINDS])

export class Drafts {
  readonly #tracker: ProcessTracker
  readonly #users: NameSource
  readonly #utcNs: (bootNs: bigint) => bigint
  /** The last of each kind of record: V8 keeps the code for it while one is alive (KEPT_ALIVE, record/wire-primitives.ts). */
  readonly #keptAlive: Draft[] = []

  constructor(tracker: ProcessTracker, users: NameSource, utcNs: (bootNs: bigint) => bigint) {
    this.#tracker = tracker
    this.#users = users
    this.#utcNs = utcNs
  }

  /** `entry` is what the exec makes of the process; `actor` who it is: the same, unless the exec was refused. */
  exec(event: EvExec, container: ContainerRef, entry: ProcessEntry, actor: ProcessEntry): Draft {
    const { flags } = event
    const { invoked, exe: file } = entry
    const draft = this.#draft('exec', event, container, actor)
    draft.exec = {
      path: invoked,
      file,
      script: flags & ExecFlag.SCRIPT ? invoked : '',
      dev: event.dev,
      inode: event.inode,
      argsTruncated: (flags & ExecFlag.ARGS_TRUNCATED) !== 0,
      pathTruncated: (flags & ExecFlag.PATH_TRUNCATED) !== 0,
      memfd: (flags & ExecFlag.MEMFD) !== 0,
      foreignRoot: (flags & ExecFlag.FOREIGN_ROOT) !== 0,
      multicall: (flags & ExecFlag.MULTICALL) !== 0,
      upperLayer: (flags & ExecFlag.UPPER_LAYER) !== 0,
      refused: (flags & ExecFlag.REFUSED) !== 0,
      deleted: (flags & ExecFlag.DELETED) !== 0,
    }
    return draft
  }

  fork(event: EvFork, container: ContainerRef, parent: ProcessEntry): Draft {
    const draft = this.#draft('fork', event, container, parent)
    draft.fork = { childPid: event.childPid, childStartNs: event.childStartNs }
    return draft
  }

  exit(event: EvExit, container: ContainerRef, entry: ProcessEntry): Draft {
    const { signal } = event
    const draft = this.#draft('exit', event, container, entry)
    draft.exit = {
      code: signal === 0 ? event.code : 0,
      signal,
      signalName: signalName(signal),
      coreDumped: (event.flags & ExitFlag.CORE) !== 0,
      runtimeNs: draft.bootNs - event.startNs,
    }
    return draft
  }

  connect(event: EvConnect, container: ContainerRef, entry: ProcessEntry): Draft {
    const { proto, cookie } = event
    const isIpv4 = event.family === 4
    const draft = this.#draft('connect', event, container, entry)
    const connect: ConnectBody = {
      ip: ipTextAt(event.bytes, event.at + EvConnect.ADDRESS_OFFSET, isIpv4),
      port: event.port,
      proto: proto === IPPROTO_TCP ? 'tcp' : proto === IPPROTO_UDP ? 'udp' : 'other',
      family: isIpv4 ? 'ipv4' : 'ipv6',
      repeatsCount: event.repeatsCount,
    }
    if (proto === IPPROTO_TCP) connect.result = 'unknown'
    if (cookie !== 0n) connect.socketId = cookie
    draft.connect = connect
    return draft
  }

  /** listen, accept and close; what came of a connect whose record is out already is a close too. */
  socket(event: EvSocket, container: ContainerRef, entry: ProcessEntry, peer: PeerRef | undefined): Draft {
    const isIpv4 = event.family === 4
    const family = isIpv4 ? 'ipv4' : 'ipv6'
    const local = ipTextAt(event.bytes, event.at + EvSocket.LOCAL_ADDRESS_OFFSET, isIpv4)
    const socketId = event.cookie
    if (event.kind === Kind.LISTEN) {
      const draft = this.#draft('listen', event, container, entry)
      draft.listen = { ip: local, port: event.localPort, family, backlogCount: event.backlog, socketId }
      return draft
    }
    const ends: AcceptBody = {
      ip: ipTextAt(event.bytes, event.at + EvSocket.REMOTE_ADDRESS_OFFSET, isIpv4),
      port: event.remotePort,
      localIp: local,
      localPort: event.localPort,
      family,
      socketId,
      repeatsCount: event.repeatsCount,
    }
    if (peer !== undefined) ends.peer = peer
    if (event.kind === Kind.ACCEPT) {
      const draft = this.#draft('accept', event, container, entry)
      draft.accept = ends
      return draft
    }
    const draft = this.#draft('close', event, container, entry)
    draft.close = {
      ...ends,
      role: ROLES[event.role] ?? 'unknown',
      closedBy:
        event.flags & SocketFlag.CLOSED_HERE ? 'local' : event.flags & SocketFlag.CLOSED_THERE ? 'remote' : 'error',
      error: errorName(event.error),
      sentBytes: event.sentBytes,
      receivedBytes: event.receivedBytes,
      durationNs: event.durationNs,
      repeatsSentBytes: event.repeatsSentBytes,
      repeatsReceivedBytes: event.repeatsReceivedBytes,
    }
    return draft
  }

  name(event: EvHeader, container: ContainerRef, entry: ProcessEntry, found: FoundName): Draft {
    const { far } = found
    const end = { ip: formatIp(far.address, far.isIpv4), port: far.port }
    const draft = this.#draft(found.kind, event, container, entry)
    if (found.kind === 'dns') {
      const { isAnswer, isTruncated, ttlsS, id, query, qtype, rcode, answers } = found.dns
      draft.dns = {
        ...{ message: isAnswer ? 'answer' : 'query', query, qtype, rcode, answers, answerTtlsS: ttlsS, ...end, id },
        ...{ proto: far.proto === IPPROTO_TCP ? 'tcp' : 'udp', truncated: isTruncated },
      }
    } else if (found.kind === 'tls') {
      const { sni, alpn, hasEncryptedHello, isTruncated } = found.tls
      draft.tls = { sni, alpn, ...end, encryptedHello: hasEncryptedHello, truncated: isTruncated, socketId: far.cookie }
    } else {
      const { method, host, path, isTruncated } = found.http
      draft.http = { method, host, path, ...end, truncated: isTruncated, socketId: far.cookie }
    }
    return draft
  }

  syscall(event: EvSyscall, container: ContainerRef, entry: ProcessEntry): Draft {
    const draft = this.#draft('syscall', event, container, entry)
    draft.syscall = {
      name: syscallName(event.nr, event.abi),
      nr: event.nr,
      abi: ABI_NAMES[event.abi] ?? 'native',
      reason: event.flags & SyscallFlag.OUTSIDE ? 'outside_allowed' : 'first_use',
      ...(event.flags & SyscallFlag.RETURNED ? { result: event.result } : {}),
    }
    return draft
  }

  /** undefined: an act that this version does not know. */
  call(
    event: EvCall,
    container: ContainerRef,
    entry: ProcessEntry,
    containerOf: (cgroupId: bigint) => ContainerRef | undefined,
  ): Draft | undefined {
    const kind = callKind(event)
    if (kind === undefined) return undefined
    const call = callBody(event, kind)
    const { targetPid, targetCgroupId } = event
    if (targetPid !== 0 || targetCgroupId !== 0n) {
      const target = containerOf(targetCgroupId)
      const startNs = event.targetStartNs
      call.target = {
        pid: targetPid,
        startNs,
        exe: this.#tracker.find(targetPid, startNs)?.exe ?? '',
        containerId: target?.id ?? '',
        containerName: target?.name ?? '',
      }
    }
    const draft = this.#draft(kind, event, container, entry)
    draft.call = call
    return draft
  }

  oom(event: EvOom, container: ContainerRef, entry: ProcessEntry): Draft {
    const victimComm = decodeText(event.comm, 0, event.comm.length).replace(/\0.*$/s, '')
    const draft = this.#draft('oom', event, container, entry)
    draft.oom = { victimPid: event.pid, victimComm }
    return draft
  }

  #draft(kind: EventKind, event: EvHeader, container: ContainerRef, entry: ProcessEntry): Draft {
    const { bootNs } = event
    // The network hooks cannot read a task's phase: it is that of its last exec or fork.
    const phase = OF_NETWORK_HOOKS.has(kind) ? entry.phase : phaseOf(event)
    const draft = new Draft(kind, bootNs, this.#utcNs(bootNs), container, this.#processRef(event, entry, phase))
    this.#keptAlive[KIND_NUMBERS[kind]] = draft
    return draft
  }

  /** The one of the process's last record, while all that it says still holds. */
  #processRef(event: EvHeader, entry: ProcessEntry, phase: Phase): ProcessRef {
    const { tid, uid, gid } = event
    const { ref, parentPid } = entry
    const user = this.#users.nameOf(uid)
    const parentExe = parentPid === 0 ? undefined : (this.#tracker.parentOf(entry)?.exe ?? '')
    if (
      ref !== undefined &&
      ref.tid === tid &&
      ref.uid === uid &&
      ref.gid === gid &&
      ref.phase === phase &&
      ref.user === user &&
      ref.parent?.exe === parentExe
    )
      return ref
    const { pid, startNs, exe, invoked, args, cwd } = entry
    const made: InMaking<ProcessRef> = { pid, tid, startNs, exe, invoked, args, cwd, uid, gid, user, phase }
    if (parentExe !== undefined) made.parent = { pid: parentPid, startNs: entry.parentStartNs, exe: parentExe }
    entry.ref = made
    return made
  }
}
