/** Keeps the process table by what events tell, and says for each event who acted. Copies what it keeps. */
import { type EvExec, type EvFork, type EvHeader, ExecFlag, Phase } from '../../sensor/generated/abi.js'
import { ExecNameCache } from './exec-names.js'
import type { ProcessEntry, ProcessFacts, ProcessTable } from './process-table.js'

const NO_ARGS: readonly string[] = []

export class ProcessTracker {
  readonly #processes: ProcessTable
  readonly #names = new ExecNameCache()
  /** Of the last exec: those of a shell's children are mostly the same. */
  #lastFacts: ProcessFacts | undefined

  constructor(processes: ProcessTable) {
    this.#processes = processes
  }

  /** What the exec makes of the process; a refused one makes nothing of it, and is only told. */
  exec(event: EvExec): ProcessEntry {
    const { invoked, exe, cwd, args, image } = this.#names.of(event)
    const entry: ProcessEntry = {
      pid: event.pid,
      startNs: event.startNs,
      parentPid: event.parentPid,
      parentStartNs: event.parentStartNs,
      exe,
      invoked,
      args,
      cwd,
      uid: event.uid,
      gid: event.gid,
      phase: phaseOf(event),
      vpid: event.vpid,
      facts: this.#factsOf(event),
      image,
      ref: undefined,
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
    const known = this.#processes.findActor(event)
    if (known !== undefined) return known
    return {
      pid: event.pid,
      startNs: event.startNs,
      parentPid: 0,
      parentStartNs: 0n,
      exe: '',
      invoked: '',
      args: NO_ARGS,
      cwd: '',
      uid: event.uid,
      gid: event.gid,
      phase: phaseOf(event),
      vpid: undefined,
      facts: undefined,
      image: undefined,
      ref: undefined,
    }
  }

  /** One that is known by these numbers. */
  find(pid: number, startNs: bigint): ProcessEntry | undefined {
    return this.#processes.find(pid, startNs)
  }

  parentOf(entry: ProcessEntry): ProcessEntry | undefined {
    return this.#processes.parentOf(entry)
  }

  #factsOf(event: EvExec): ProcessFacts {
    if (this.#lastFacts !== undefined && isFactsOf(this.#lastFacts, event)) return this.#lastFacts
    const { flags, inode, capPermitted, capEffective, capInheritable, loginuid, tty, vpgid, sid } = event
    this.#lastFacts = { flags, inode, capPermitted, capEffective, capInheritable, loginuid, tty, vpgid, sid }
    return this.#lastFacts
  }
}

export function phaseOf(event: EvHeader): 'run' | 'setup' {
  return event.phase === Phase.SETUP ? 'setup' : 'run'
}

function isFactsOf(facts: ProcessFacts, event: EvExec): boolean {
  return (
    facts.flags === event.flags &&
    facts.vpgid === event.vpgid &&
    facts.sid === event.sid &&
    facts.tty === event.tty &&
    facts.loginuid === event.loginuid &&
    facts.inode === event.inode &&
    facts.capPermitted === event.capPermitted &&
    facts.capEffective === event.capEffective &&
    facts.capInheritable === event.capInheritable
  )
}
