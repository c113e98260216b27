/**
 * From an event and who acted to a record without its place. Copies what it keeps: the event's slab goes back to the reader.
 */

import { ABI_NAMES, syscallName } from '../policy/syscalls.js'
import { errorName } from '../record/errno.js'
import { formatIp } from '../record/ip-text.js'
import type { ContainerRef, EventKind, ProcessRef, RecordBodies, RecordDraft } from '../record/model.js'
import type { PeerRef, SocketRole as SocketRoleName } from '../record/network.js'
import {
  type EvCall,
  type EvConnect,
  type EvExec,
  type EvExit,
  type EvFork,
  type EvHeader,
  type EvOom,
  type EvSocket,
  type EvSyscall,
  ExecFlag,
  ExitFlag,
  Kind,
  SocketFlag,
  SocketRole,
  SyscallFlag,
} from '../sensor/generated/abi.js'
import { type FoundName, NAME_KINDS } from '../sensor/names/streams.js'
import { decodeText } from '../sensor/sensor.js'
import { callBody, callKind } from './call-drafts.js'
import type { ProcessEntry } from './process-table.js'
import { type ProcessTracker, phaseOf } from './process-tracker.js'
import { signalName } from './signals.js'
import type { NameSource } from './users.js'

const IPPROTO_TCP = 6
const IPPROTO_UDP = 17

const ROLES: Readonly<Record<number, SocketRoleName>> = {
  [SocketRole.LISTENER]: 'listen',
  [SocketRole.OUT]: 'connect',
  [SocketRole.IN]: 'accept',
}

export interface Draft extends RecordDraft {
  kind: EventKind
  process: ProcessRef
}

const isOfNetworkHook = (kind: EventKind) => kind === 'connect' || NAME_KINDS.some((name) => name === kind)

export class Drafts {
  readonly #tracker: ProcessTracker
  readonly #users: NameSource
  readonly #utcNs: (bootNs: bigint) => bigint

  constructor(tracker: ProcessTracker, users: NameSource, utcNs: (bootNs: bigint) => bigint) {
    this.#tracker = tracker
    this.#users = users
    this.#utcNs = utcNs
  }

  /** `entry` is what the exec makes of the process; `actor` who it is: the same, unless the exec was refused. */
  exec(event: EvExec, container: ContainerRef, entry: ProcessEntry, actor: ProcessEntry): Draft {
    const { flags } = event
    const { invoked, exe: file } = entry
    return this.#draft('exec', event, container, actor, {
      exec: {
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
      },
    })
  }

  fork(event: EvFork, container: ContainerRef, parent: ProcessEntry): Draft {
    return this.#draft('fork', event, container, parent, {
      fork: { childPid: event.childPid, childStartNs: event.childStartNs },
    })
  }

  exit(event: EvExit, container: ContainerRef, entry: ProcessEntry): Draft {
    const { signal } = event
    return this.#draft('exit', event, container, entry, {
      exit: {
        code: signal === 0 ? event.code : 0,
        signal,
        signalName: signalName(signal),
        coreDumped: (event.flags & ExitFlag.CORE) !== 0,
        runtimeNs: event.bootNs - event.startNs,
      },
    })
  }

  connect(event: EvConnect, container: ContainerRef, entry: ProcessEntry): Draft {
    const { address, proto } = event
    return this.#draft('connect', event, container, entry, {
      connect: {
        ip: formatIp(address, event.family === 4),
        port: event.port,
        proto: proto === IPPROTO_TCP ? 'tcp' : proto === IPPROTO_UDP ? 'udp' : 'other',
        family: event.family === 4 ? 'ipv4' : 'ipv6',
        repeatsCount: event.repeatsCount,
        ...(proto === IPPROTO_TCP ? { result: 'unknown' } : {}),
        ...(event.cookie === 0n ? {} : { socketId: event.cookie }),
      },
    })
  }

  /** listen, accept and close; what came of a connect whose record is out already is a close too. */
  socket(event: EvSocket, container: ContainerRef, entry: ProcessEntry, peer: PeerRef | undefined): Draft {
    const family = event.family === 4 ? 'ipv4' : 'ipv6'
    const local = formatIp(event.localAddress, event.family === 4)
    const socketId = event.cookie
    if (event.kind === Kind.LISTEN)
      return this.#draft('listen', event, container, entry, {
        listen: { ip: local, port: event.localPort, family, backlogCount: event.backlog, socketId },
      })
    const ends = {
      ip: formatIp(event.remoteAddress, event.family === 4),
      port: event.remotePort,
      ...({ localIp: local, localPort: event.localPort, family, socketId } as const),
      repeatsCount: event.repeatsCount,
      ...(peer === undefined ? {} : { peer }),
    }
    if (event.kind === Kind.ACCEPT) return this.#draft('accept', event, container, entry, { accept: ends })
    return this.#draft('close', event, container, entry, {
      close: {
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
      },
    })
  }

  name(event: EvHeader, container: ContainerRef, entry: ProcessEntry, found: FoundName): Draft {
    const { far } = found
    const end = { ip: formatIp(far.address, far.isIpv4), port: far.port }
    if (found.kind === 'dns') {
      const { isAnswer, isTruncated, ttlsS, id, query, qtype, rcode, answers } = found.dns
      return this.#draft('dns', event, container, entry, {
        dns: {
          ...{ message: isAnswer ? 'answer' : 'query', query, qtype, rcode, answers, answerTtlsS: ttlsS, ...end, id },
          ...{ proto: far.proto === IPPROTO_TCP ? 'tcp' : 'udp', truncated: isTruncated },
        },
      })
    }
    if (found.kind === 'tls') {
      const { sni, alpn, hasEncryptedHello, isTruncated } = found.tls
      return this.#draft('tls', event, container, entry, {
        tls: { sni, alpn, ...end, encryptedHello: hasEncryptedHello, truncated: isTruncated, socketId: far.cookie },
      })
    }
    const { method, host, path, isTruncated } = found.http
    return this.#draft('http', event, container, entry, {
      http: { method, host, path, ...end, truncated: isTruncated, socketId: far.cookie },
    })
  }

  syscall(event: EvSyscall, container: ContainerRef, entry: ProcessEntry): Draft {
    const abi = ABI_NAMES[event.abi] ?? 'native'
    return this.#draft('syscall', event, container, entry, {
      syscall: {
        name: syscallName(event.nr, event.abi),
        nr: event.nr,
        abi,
        reason: event.flags & SyscallFlag.OUTSIDE ? 'outside_allowed' : 'first_use',
      },
    })
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
    return this.#draft(kind, event, container, entry, { call })
  }

  oom(event: EvOom, container: ContainerRef, entry: ProcessEntry): Draft {
    const comm = decodeText(event.comm, 0, event.comm.length).replace(/\0.*$/s, '')
    return this.#draft('oom', event, container, entry, {
      oom: { victimPid: event.pid, victimComm: comm },
    })
  }

  #draft(kind: EventKind, event: EvHeader, container: ContainerRef, entry: ProcessEntry, bodies: RecordBodies): Draft {
    const { bootNs, uid } = event
    const parent = this.#tracker.parentOf(entry)
    const process: ProcessRef = {
      pid: entry.pid,
      tid: event.tid,
      startNs: entry.startNs,
      exe: entry.exe,
      invoked: entry.invoked,
      args: entry.args,
      cwd: entry.cwd,
      uid,
      gid: event.gid,
      user: this.#users.nameOf(uid),
      // The network hooks cannot read a task's phase: it is that of its last exec or fork.
      phase: isOfNetworkHook(kind) ? entry.phase : phaseOf(event),
    }
    if (entry.parentPid !== 0)
      process.parent = { pid: entry.parentPid, startNs: entry.parentStartNs, exe: parent?.exe ?? '' }
    return { kind, lane: 'activity', bootNs, timeNs: this.#utcNs(bootNs), container, process, ...bodies }
  }
}
