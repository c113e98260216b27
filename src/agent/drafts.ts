/**
 * From an event's bytes to a record without its place. Copies what it keeps: the event's slab goes back to the reader.
 */

import { ABI_NAMES, syscallName } from '../policy/syscalls.js'
import type { ContainerRef, EventKind, ProcessRef, RecordBodies, RecordDraft } from '../record/model.js'
import {
  type EvConnect,
  EvExec,
  type EvExit,
  type EvFork,
  type EvHeader,
  type EvOom,
  type EvSyscall,
  ExecFlag,
  ExitFlag,
  Phase,
  SyscallFlag,
} from '../sensor/generated/abi.js'
import { decodeText } from '../sensor/sensor.js'
import { formatIp } from './ip-text.js'
import type { ProcessEntry, ProcessTable } from './process-table.js'
import { signalName } from './signals.js'
import type { NameSource } from './users.js'

const IPPROTO_TCP = 6
const IPPROTO_UDP = 17

export interface Draft extends RecordDraft {
  kind: EventKind
  process: ProcessRef
}

/** Byte ranges of an exec's names, in `event.bytes`. */
export interface ExecRanges {
  invokedStart: number
  fileStart: number
  cwdStart: number
  argsStart: number
  argsEnd: number
}

export function execRanges(event: EvExec): ExecRanges {
  const invokedStart = event.at + EvExec.SIZE_BYTES
  const fileStart = invokedStart + event.invokedBytes
  const cwdStart = fileStart + event.fileBytes
  const argsStart = cwdStart + event.cwdBytes
  return { invokedStart, fileStart, cwdStart, argsStart, argsEnd: argsStart + event.argsBytes }
}

export class Drafts {
  readonly #processes: ProcessTable
  readonly #users: NameSource
  readonly #utcNs: (bootNs: bigint) => bigint

  constructor(processes: ProcessTable, users: NameSource, utcNs: (bootNs: bigint) => bigint) {
    this.#processes = processes
    this.#users = users
    this.#utcNs = utcNs
  }

  exec(event: EvExec, container: ContainerRef): Draft {
    const { bytes, flags } = event
    const ranges = execRanges(event)
    const invoked = decodeText(bytes, ranges.invokedStart, ranges.fileStart)
    const file = decodeText(bytes, ranges.fileStart, ranges.cwdStart)
    const entry: ProcessEntry = {
      pid: event.pid,
      startNs: event.startNs,
      parentPid: event.parentPid,
      parentStartNs: event.parentStartNs,
      exe: file,
      invoked,
      args: splitArguments(bytes, ranges.argsStart, ranges.argsEnd),
      cwd: decodeText(bytes, ranges.cwdStart, ranges.argsStart),
      uid: event.uid,
      gid: event.gid,
      phase: phaseOf(event),
    }
    const isRefused = (flags & ExecFlag.REFUSED) !== 0
    if (!isRefused) this.#processes.set(entry)
    return this.#draft('exec', event, container, isRefused ? this.#entryOf(event) : entry, {
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
        refused: isRefused,
      },
    })
  }

  fork(event: EvFork, container: ContainerRef): Draft {
    const parent = this.#entryOf(event)
    this.#processes.fork(parent, event.childPid, event.childStartNs, parent)
    return this.#draft('fork', event, container, parent, {
      fork: { childPid: event.childPid, childStartNs: event.childStartNs },
    })
  }

  exit(event: EvExit, container: ContainerRef): Draft {
    const { signal } = event
    return this.#draft('exit', event, container, this.#entryOf(event), {
      exit: {
        code: signal === 0 ? event.code : 0,
        signal,
        signalName: signalName(signal),
        coreDumped: (event.flags & ExitFlag.CORE) !== 0,
        runtimeNs: event.bootNs - event.startNs,
      },
    })
  }

  connect(event: EvConnect, container: ContainerRef): Draft {
    const { address, proto } = event
    return this.#draft('connect', event, container, this.#entryOf(event), {
      connect: {
        ip: formatIp(address, event.family === 4),
        port: event.port,
        proto: proto === IPPROTO_TCP ? 'tcp' : proto === IPPROTO_UDP ? 'udp' : 'other',
        family: event.family === 4 ? 'ipv4' : 'ipv6',
        repeatsCount: event.repeatsCount,
      },
    })
  }

  syscall(event: EvSyscall, container: ContainerRef): Draft {
    const abi = ABI_NAMES[event.abi] ?? 'native'
    return this.#draft('syscall', event, container, this.#entryOf(event), {
      syscall: {
        name: syscallName(event.nr, event.abi),
        nr: event.nr,
        abi,
        reason: event.flags & SyscallFlag.OUTSIDE ? 'outside_allowed' : 'first_use',
      },
    })
  }

  oom(event: EvOom, container: ContainerRef): Draft {
    const comm = decodeText(event.comm, 0, event.comm.length).replace(/\0.*$/s, '')
    return this.#draft('oom', event, container, this.#entryOf(event), {
      oom: { victimPid: event.pid, victimComm: comm },
    })
  }

  /** The process that acted; one that was never seen is known by its numbers only. */
  #entryOf(event: EvHeader): ProcessEntry {
    const known = this.#processes.find(event.pid, event.startNs)
    if (known !== undefined) return known
    return {
      pid: event.pid,
      startNs: event.startNs,
      parentPid: 0,
      parentStartNs: 0n,
      exe: '',
      invoked: '',
      args: [],
      cwd: '',
      uid: event.uid,
      gid: event.gid,
      phase: phaseOf(event),
    }
  }

  #draft(kind: EventKind, event: EvHeader, container: ContainerRef, entry: ProcessEntry, bodies: RecordBodies): Draft {
    const { bootNs, uid } = event
    const parent = this.#processes.find(entry.parentPid, entry.parentStartNs)
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
      phase: kind === 'connect' ? entry.phase : phaseOf(event),
    }
    if (entry.parentPid !== 0)
      process.parent = { pid: entry.parentPid, startNs: entry.parentStartNs, exe: parent?.exe ?? '' }
    return { kind, lane: 'activity', bootNs, timeNs: this.#utcNs(bootNs), container, process, ...bodies }
  }
}

function phaseOf(event: EvHeader): 'run' | 'setup' {
  return event.phase === Phase.SETUP ? 'setup' : 'run'
}

/** Arguments end in NUL each; empty ones are kept. The last may lack its NUL when it was cut. */
function splitArguments(bytes: Uint8Array, start: number, end: number): string[] {
  const args: string[] = []
  let from = start
  while (from < end) {
    let to = bytes.indexOf(0, from)
    if (to === -1 || to > end) to = end
    args.push(decodeText(bytes, from, to))
    from = to + 1
  }
  return args
}
