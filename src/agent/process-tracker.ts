/** Keeps the process table by what events tell, and says for each event who acted. Copies what it keeps. */
import { EvExec, type EvFork, type EvHeader, ExecFlag, Phase } from '../sensor/generated/abi.js'
import { decodeText } from '../sensor/sensor.js'
import { ProcessImage } from './fields/image.js'
import type { ProcessEntry, ProcessFacts, ProcessTable } from './process-table.js'

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

export class ProcessTracker {
  readonly #processes: ProcessTable

  constructor(processes: ProcessTable) {
    this.#processes = processes
  }

  /** What the exec makes of the process; a refused one makes nothing of it, and is only told. */
  exec(event: EvExec): ProcessEntry {
    const { bytes } = event
    const ranges = execRanges(event)
    const entry: ProcessEntry = {
      pid: event.pid,
      startNs: event.startNs,
      parentPid: event.parentPid,
      parentStartNs: event.parentStartNs,
      exe: decodeText(bytes, ranges.fileStart, ranges.cwdStart),
      invoked: decodeText(bytes, ranges.invokedStart, ranges.fileStart),
      args: splitArguments(bytes, ranges.argsStart, ranges.argsEnd),
      cwd: decodeText(bytes, ranges.cwdStart, ranges.argsStart),
      uid: event.uid,
      gid: event.gid,
      phase: phaseOf(event),
      vpid: event.vpid,
      facts: factsOf(event),
      image: ProcessImage.ofExec(event),
    }
    if ((event.flags & ExecFlag.REFUSED) === 0) this.#processes.set(entry)
    return entry
  }

  /** The parent, which acted; its child is known from now on. */
  fork(event: EvFork): ProcessEntry {
    const parent = this.of(event)
    this.#processes.fork(parent, event.childPid, event.childStartNs, parent, event.childVpid)
    return parent
  }

  /** The process that acted; one that was never seen is known by its numbers only. */
  of(event: EvHeader): ProcessEntry {
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

  /** One that is known by these numbers. */
  find(pid: number, startNs: bigint): ProcessEntry | undefined {
    return this.#processes.find(pid, startNs)
  }

  parentOf(entry: ProcessEntry): ProcessEntry | undefined {
    return entry.parentPid === 0 ? undefined : this.#processes.find(entry.parentPid, entry.parentStartNs)
  }
}

export function phaseOf(event: EvHeader): 'run' | 'setup' {
  return event.phase === Phase.SETUP ? 'setup' : 'run'
}

function factsOf(event: EvExec): ProcessFacts {
  const { flags, inode, capPermitted, capEffective, capInheritable, loginuid, tty, vpgid, sid } = event
  return { flags, inode, capPermitted, capEffective, capInheritable, loginuid, tty, vpgid, sid }
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
