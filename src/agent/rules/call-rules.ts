/**
 * Calls against the native rules that are about them: files, listening sockets, mounts, signals. A rule is about what came to
 * pass: a call that failed violates none of them.
 */
import type { Identity } from '../../container/identity.js'
import { ACTS_OF_ACCESS } from '../../match/file-acts.js'
import type { FilePaths, Hits } from '../../match/types.js'
import { FILE_ACCESS, FILE_ACCESSES } from '../../policy/model.js'
import { callRanges } from '../../sensor/batch.js'
import { actNumber } from '../../sensor/call-recipes.js'
import { Access, Act, CallFlag, EvCall, Phase } from '../../sensor/generated/abi.js'
import { isTerminating } from '../event/signals.js'
import type { NameSource } from '../host/users.js'
import type { ProcessEntry } from '../process/process-table.js'
import type { PolicySet } from './policies.js'

/** What each act but an open does to the files of its paths, by its number. */
const ACCESS_OF_ACT: ReadonlyMap<number, number> = new Map(
  FILE_ACCESSES.flatMap((access) => ACTS_OF_ACCESS[access].map((act) => [actNumber(act), FILE_ACCESS[access]])),
)
const AF_INET = 2
const AF_INET6 = 10
const encoder = new TextEncoder()

/** A call as its event, with who did it and whom it was done to. */
export interface JudgedCall {
  event: EvCall
  entry: ProcessEntry
  /** Where it was done. */
  identity: Identity
  /** Where the process is that a signal went to. */
  target: Identity | undefined
}

/** The ids of the violated rules go into `hits`. Returns the container whose rules they are. */
export function matchCall(set: PolicySet, call: JudgedCall, users: NameSource, hits: Hits): Identity {
  const { event, identity } = call
  if ((event.flags & CallFlag.HAS_RESULT) !== 0 && event.result < 0n) return identity
  if (event.act === Act.SIGNAL) return matchSignal(set, call, users, hits)
  const isSetup = event.phase === Phase.SETUP
  const profile = set.profileFor(identity.ref)
  if (event.act === Act.LISTEN || isBindRefused(event)) {
    if (event.family === AF_INET || event.family === AF_INET6)
      set.program.matchListen(profile, event.bytes, event.at + EvCall.LOCAL_OFFSET, event.localPort, isSetup, hits)
  } else if (event.act === Act.MOUNT) {
    const { pathStart, path2Start, raw2Start, raw2End } = callRanges(event)
    const fstypeStart = event.at + EvCall.TAG_OFFSET
    const mount = {
      bytes: event.bytes,
      sourceStart: raw2Start,
      sourceEnd: raw2End,
      targetStart: pathStart,
      targetEnd: path2Start,
      fstypeStart,
      fstypeEnd: endOfText(event.bytes, fstypeStart, event.tag.length),
    }
    set.program.matchMount(profile, mount, isSetup, hits)
  } else {
    const access = fileAccessOf(event)
    if (access !== 0) set.program.matchFile(profile, pathsOf(event), access, isSetup, hits)
  }
  return identity
}

/** FILE_ACCESS bits of what was done; 0: it is no act on a file that has a path. */
function fileAccessOf(event: EvCall): number {
  if (event.act !== Act.OPEN) return ACCESS_OF_ACT.get(event.act) ?? 0
  if ((event.flags & CallFlag.MEMFD) !== 0) return 0
  return (
    (event.access & Access.READ ? FILE_ACCESS.read : 0) |
    (event.access & Access.WRITE ? FILE_ACCESS.write : 0) |
    (event.flags & CallFlag.CREATED || isCreateRefused(event) ? FILE_ACCESS.create : 0)
  )
}

/** A listen rule refuses the taking of the port where no hook can refuse the listen. */
function isBindRefused({ act, flags }: EvCall): boolean {
  return act === Act.BIND && (flags & CallFlag.DECISION) !== 0
}

/** Of a decision, `access` is what was decided about. */
function isCreateRefused({ flags, access }: EvCall): boolean {
  return (flags & CallFlag.DECISION) !== 0 && (access & Access.CREATE) !== 0
}

function pathsOf(event: EvCall): FilePaths {
  const { pathStart, path2Start, rawStart } = callRanges(event)
  const hasOther = event.act === Act.RENAME || event.act === Act.LINK
  return {
    bytes: event.bytes,
    start: pathStart,
    end: path2Start,
    hasOther,
    otherStart: path2Start,
    otherEnd: hasOther ? rawStart : path2Start,
  }
}

/** Signals to oneself and those that end nobody are nobody's business. */
function matchSignal(
  set: PolicySet,
  { event, entry, identity, target }: JudgedCall,
  users: NameSource,
  hits: Hits,
): Identity {
  if (target === undefined || event.targetPid === event.pid || !isTerminating(Number(event.facts(0)))) return identity
  const bytes = encoder.encode(entry.exe)
  const sender = {
    uid: event.uid,
    gid: event.gid,
    user: users.nameOf(event.uid),
    group: users.groupNameOf?.(event.gid) ?? '',
    bytes,
    exeStart: 0,
    exeEnd: bytes.length,
  }
  set.program.matchSignal(set.profileFor(target.ref), sender, event.phase === Phase.SETUP, hits)
  return target
}

function endOfText(bytes: Uint8Array, start: number, maxBytes: number): number {
  let at = start
  while (at < start + maxBytes && bytes[at] !== 0) at++
  return at
}
