/**
 * The way of one event through the agent: number checked, identity found (or the event held), record made, verdict drawn.
 * Runs on the JavaScript thread inside the batch callback; nothing here blocks on disk or network.
 */

import type { Identity } from '../../container/identity.js'
import type { ExecNames, Hits } from '../../match/types.js'
import { TOLD_TYPES } from '../../record/fields/events.js'
import type { PeerRef } from '../../record/network.js'
import type { EventHandler } from '../../sensor/batch.js'
import { GapTracker, type LostRange } from '../../sensor/gaps.js'
import {
  Act,
  Action,
  CallFlag,
  type EvCall,
  EvCgroup,
  EvConnect,
  type EvExec,
  type EvExit,
  type EvFork,
  type EvHeader,
  type EvOom,
  type EvPacket,
  type EvSocket,
  type EvSyscall,
  ExecFlag,
  Kind,
  Phase,
  Rung,
  SocketFlag,
  SyscallFlag,
} from '../../sensor/generated/abi.js'
import { type FoundName, NameStreams } from '../../sensor/names/streams.js'
import { decisionOfExec } from '../../sensor/refusals.js'
import { decodeText } from '../../sensor/text.js'
import { Connections } from '../event/connections.js'
import type { Draft } from '../event/drafts.js'
import {
  CONNECT_TYPE,
  callHook,
  callType,
  EXEC_TYPE,
  EXIT_TYPE,
  FORK_TYPE,
  hookName,
  NAME_TYPES,
  OOM_TYPE,
  SYSCALL_TYPE,
} from '../event/event-types.js'
import { execRanges } from '../process/exec-names.js'
import type { ProcessEntry } from '../process/process-table.js'
import { matchCall } from '../rules/call-rules.js'
import { GainedRules } from '../rules/gained.js'
import type { PolicySet } from '../rules/policies.js'
import type { Judged } from '../rules/verdicts.js'
import type { EventTap, PipelineOptions } from './options.js'

/** One profile can hold at most this many rules of one kind that hit at once before a larger buffer is made. */
const HITS_FIRST_COUNT = 256
const IPPROTO_TCP = 6
/** Where the kernel ends a process for a system call; at the end of one it only tells. */
const SYSCALL_ACTING_HOOK = 'sys_enter'

export class Pipeline implements EventHandler {
  readonly #options: PipelineOptions
  readonly #gaps = new GapTracker()
  readonly #hits: Hits = { rules: new Uint32Array(HITS_FIRST_COUNT), count: 0 }
  readonly #gained = new GainedRules()
  readonly #connections: Connections
  readonly #names: NameStreams
  /** While held events are handed on they are not held again. */
  #releasing: Identity | undefined
  /** Rules that are conditions and hold for the present event; which they are stands in the set's own hits. */
  #conditionHits = 0
  /** A recording in progress; undefined (the usual): none. */
  tap: EventTap | undefined

  constructor(options: PipelineOptions) {
    this.#options = options
    const { append, onWaiting, counters } = options
    this.#connections = new Connections({ append, onWaiting, counters })
    this.#names = new NameStreams(counters)
    options.counters.define('events_unidentified_total', 'counter', 'Events of a cgroup that was never announced')
    options.counters.define(
      'events_host_discarded_total',
      'counter',
      'Held events of cgroups that turned out to be the host',
    )
  }

  sequence(event: EvHeader): void {
    for (const range of this.#gaps.see(event)) this.#lost(range)
  }

  undecodable(): void {
    this.#options.counters.add('sensor_undecodable_total')
  }

  exec(event: EvExec, header: EvHeader): void {
    const identity = this.#identify(header)
    if (identity === undefined) return
    const { tracker, context, drafts } = this.#options
    const entry = tracker.exec(event)
    const isRefused = (event.flags & ExecFlag.REFUSED) !== 0
    const actor = isRefused ? tracker.of(header) : entry
    const set = this.#begin(header, actor, identity)
    context.exec = event
    // to conditions an exec is one that succeeded
    if (!isRefused) this.#matchConditions(set, identity, EXEC_TYPE)
    if (!this.#isRecorded(identity)) return
    const draft = drafts.exec(event, identity.ref, entry, actor)
    const ranges = execRanges(event)
    const names: ExecNames = {
      bytes: event.bytes,
      invokedStart: ranges.invokedStart,
      invokedEnd: ranges.fileStart,
      fileStart: ranges.fileStart,
      fileEnd: ranges.cwdStart,
      isScript: (event.flags & ExecFlag.SCRIPT) !== 0,
      foreignRoot: (event.flags & ExecFlag.FOREIGN_ROOT) !== 0,
      verified: false,
    }
    const profile = set.profileFor(identity.ref)
    const isSetup = header.phase === Phase.SETUP
    set.program.matchExec(profile, names, isSetup, this.#hits)
    if (this.#hits.count > 0 && names.foreignRoot && this.#isOwnFile(identity, event.pid, draft)) {
      this.#hits.count = 0
      set.program.matchExec(profile, { ...names, verified: true }, isSetup, this.#hits)
    }
    const gained = this.#gained.match(set, identity.ref, event, this.#hits)
    const hook = hookName(event.rung === Rung.LSM ? decisionOfExec(gained) : 'on_exec')
    this.#finish(header, draft, identity, set, hook, EXEC_TYPE, gained)
  }

  fork(event: EvFork, header: EvHeader): void {
    const identity = this.#identify(header)
    if (identity === undefined) return
    const entry = this.#options.tracker.fork(event)
    const set = this.#begin(header, entry, identity)
    this.#options.context.fork = event
    this.#matchConditions(set, identity, FORK_TYPE)
    if (!this.#isRecorded(identity)) return
    const draft = this.#options.drafts.fork(event, identity.ref, entry)
    const gained = this.#gained.match(set, identity.ref, event, this.#hits)
    this.#finish(header, draft, identity, set, 'sched_process_fork', FORK_TYPE, gained)
  }

  exit(event: EvExit, header: EvHeader): void {
    const identity = this.#identify(header)
    if (identity === undefined) return
    this.#connections.exited(event.pid, event.startNs)
    const entry = this.#options.tracker.of(header)
    const set = this.#begin(header, entry, identity)
    this.#options.context.exit = event
    this.#matchConditions(set, identity, EXIT_TYPE)
    if (!this.#isRecorded(identity)) return
    const draft = this.#options.drafts.exit(event, identity.ref, entry)
    this.#finish(header, draft, identity, set, 'sched_process_exit', EXIT_TYPE)
  }

  oom(event: EvOom, header: EvHeader): void {
    const identity = this.#identify(header)
    if (identity === undefined) return
    const entry = this.#options.tracker.of(header)
    const set = this.#begin(header, entry, identity)
    this.#options.context.oom = event
    this.#matchConditions(set, identity, OOM_TYPE)
    if (!this.#isRecorded(identity)) return
    const draft = this.#options.drafts.oom(event, identity.ref, entry)
    this.#finish(header, draft, identity, set, 'mark_victim', OOM_TYPE)
  }

  connect(event: EvConnect, header: EvHeader): void {
    const identity = this.#identify(header)
    if (identity === undefined) return
    const entry = this.#options.tracker.of(header)
    const set = this.#begin(header, entry, identity)
    this.#options.context.connect = event
    this.#matchConditions(set, identity, CONNECT_TYPE)
    if (!this.#isRecorded(identity)) return
    const draft = this.#options.drafts.connect(event, identity.ref, entry)
    set.program.matchConnect(
      set.profileFor(identity.ref),
      event.bytes,
      event.at + EvConnect.ADDRESS_OFFSET,
      event.port,
      event.proto,
      draft.process.phase === 'setup',
      this.#hits,
    )
    const hook = event.family === 4 ? 'cgroup/connect4' : 'cgroup/connect6'
    const isPlain = this.#hits.count === 0 && this.#conditionHits === 0 && header.action === Action.NONE
    if (isPlain && event.proto === IPPROTO_TCP && (event.cookieLow | event.cookieHigh) !== 0)
      this.#connections.hold(event, draft)
    else this.#finish(header, draft, identity, set, hook, CONNECT_TYPE)
  }

  socket(event: EvSocket, header: EvHeader): void {
    const identity = this.#identify(header)
    if (identity === undefined) return
    if (event.kind === Kind.CLOSE)
      for (const found of this.#names.closed(event.cookie)) this.#name(header, identity, found)
    // of the host's sockets only the names are of interest
    if (identity.ref.state === 'host') return
    const { ref } = identity
    let peer: PeerRef | undefined
    if (event.kind === Kind.CONNECTED) {
      if (this.#connections.result(event, ref) || (event.flags & SocketFlag.ESTABLISHED) !== 0) return
    } else if (event.kind === Kind.ACCEPT) peer = this.#connections.accepted(event, ref)
    else if (event.kind === Kind.CLOSE) peer = this.#connections.closed(event)
    this.#options.append(this.#options.drafts.socket(event, ref, this.#options.tracker.of(header), peer))
  }

  packet(event: EvPacket, header: EvHeader): void {
    const identity = this.#identify(header)
    if (identity === undefined) return
    this.#connections.spoke(event)
    for (const found of this.#names.take(event)) this.#name(header, identity, found)
  }

  /** Records that have waited long enough go out as they stand. True: others still wait. */
  expire(nowBootNs: bigint): boolean {
    return this.#connections.expire(nowBootNs)
  }

  /** Nothing more will come: every record that waits goes out, and names that are not whole are given up. */
  flushWaiting(): void {
    this.#connections.flush()
    this.#names.flush()
  }

  syscall(event: EvSyscall, header: EvHeader): void {
    const identity = this.#identify(header)
    if (identity === undefined) return
    const entry = this.#options.tracker.of(header)
    const set = this.#begin(header, entry, identity)
    this.#options.context.syscall = event
    this.#matchConditions(set, identity, SYSCALL_TYPE)
    if (!this.#isRecorded(identity)) return
    const draft = this.#options.drafts.syscall(event, identity.ref, entry)
    if (event.flags & SyscallFlag.OUTSIDE || this.#options.judgesFirstUses)
      set.program.matchSyscall(
        set.profileFor(identity.ref),
        event.nr,
        event.abi,
        header.phase === Phase.SETUP,
        this.#hits,
      )
    this.#finish(header, draft, identity, set, SYSCALL_ACTING_HOOK, SYSCALL_TYPE)
  }

  call(event: EvCall, header: EvHeader): void {
    const identity = this.#identify(header) ?? this.#senderOnHost(event)
    if (identity === undefined) return
    const entry = this.#options.tracker.of(header)
    const set = this.#begin(header, entry, identity)
    const { context } = this.#options
    context.call = event
    const eventType = callType(event)
    // to conditions a call is one that came to its end: a refused one is seen there too
    const isDecision = (event.flags & CallFlag.DECISION) !== 0
    if (!isDecision) this.#matchConditions(set, identity, eventType)
    if (!this.#isRecorded(identity) && this.#senderOnHost(event) === undefined) return
    const target = this.#options.table.lookup(event.targetCgroupId)
    const call = { event, entry, identity, target: target?.ref.state === 'container' ? target : undefined }
    const judgedFor = matchCall(set, call, context.sources.users, this.#hits)
    const gained = this.#gained.match(set, identity.ref, event, this.#hits)
    this.#gained.matchUse(set, identity.ref, event, this.#hits)
    const isHit = this.#hits.count > 0 || this.#conditionHits > 0 || event.action !== Action.NONE
    if (!isHit && !this.#options.isActRecorded(event.act)) return
    const draft = this.#options.drafts.call(event, identity.ref, entry, (id) => this.#options.table.lookup(id)?.ref)
    if (draft === undefined) {
      this.undecodable()
      return
    }
    this.#finish(header, draft, judgedFor, set, callHook(event), eventType, gained)
  }

  cgroup(event: EvCgroup): void {
    const { table } = this.#options
    if (event.kind === Kind.CGROUP_MKDIR) {
      const start = event.at + EvCgroup.SIZE_BYTES
      const id = event.id
      const path = decodeText(event.bytes, start, start + event.pathBytes)
      const identity = table.onCgroupCreated(id, event.parentId, event.level, path, event.pid)
      if (identity !== undefined) this.#options.onCgroup(identity, id)
    } else if (event.kind === Kind.CGROUP_RMDIR) {
      table.onCgroupRemoved(event.id)
    }
  }

  /** The table has decided about a cgroup: its held events go on, or are the host's and nobody's business. */
  resolved(cgroupId: bigint, identity: Identity): void {
    const { held, counters } = this.#options
    if (identity.ref.state === 'host' && !this.#isHostWanted) {
      counters.add('events_host_discarded_total', held.discard(cgroupId))
      return
    }
    this.#release(cgroupId, identity)
  }

  #name(event: EvHeader, identity: Identity, found: FoundName): void {
    const { tracker, context, drafts, areNamesRecorded } = this.#options
    const entry = tracker.of(event)
    const set = this.#begin(event, entry, identity)
    context.name = found
    const eventType = NAME_TYPES[found.kind]
    this.#matchConditions(set, identity, eventType)
    if (!this.#isRecorded(identity) || (!areNamesRecorded && this.#conditionHits === 0)) return
    const isIncoming = found.kind === 'dns' && found.dns.isAnswer
    const draft = drafts.name(event, identity.ref, entry, found)
    this.#finish(event, draft, identity, set, hookName(isIncoming ? 'on_packet_in' : 'on_packet_out'), eventType)
  }

  /** Every event that was in the rings at `nowBootNs` has been taken; undefined: and no other will come. */
  flushGaps(nowBootNs?: bigint): void {
    for (const range of this.#gaps.flush(nowBootNs)) this.#lost(range)
  }

  get hasOpenGaps(): boolean {
    return this.#gaps.hasHoles
  }

  /** Hands events on whose container is known already: those that waited, and those of a capture. */
  handOn(identity: Identity, dispatch: (handler: EventHandler) => void): void {
    this.#releasing = identity
    try {
      dispatch(this)
    } finally {
      this.#releasing = undefined
    }
  }

  #release(cgroupId: bigint, identity: Identity): void {
    this.handOn(identity, (handler) => this.#options.held.release(cgroupId, handler))
  }

  #lost(range: LostRange): void {
    this.tap?.lost(range)
    this.#options.onLost(range)
  }

  #isOwnFile(identity: Identity, pid: number, { exec }: Draft): boolean {
    return exec !== undefined && exec.script === '' && this.#options.isOwnFile(identity, pid, exec.path)
  }

  get #isHostWanted(): boolean {
    return this.#options.policies.isHostWanted
  }

  /** The host's own acts are nobody's business, but for a signal into a container. */
  #senderOnHost(event: EvCall): Identity | undefined {
    const { table } = this.#options
    if (event.act !== Act.SIGNAL || event.targetPid === 0) return undefined
    const sender = table.lookup(event.cgroupId)
    const target = table.lookup(event.targetCgroupId)
    return sender?.ref.state === 'host' && target?.ref.state === 'container' ? sender : undefined
  }

  /** undefined: the event is held, or nobody wants it. */
  #identify(event: EvHeader): Identity | undefined {
    if (this.#releasing !== undefined) return this.#seen(event, this.#releasing)
    const { table, held, counters } = this.#options
    const identity = table.lookup32(event.cgroupIdLow, event.cgroupIdHigh)
    if (identity === undefined) {
      counters.add('events_unidentified_total')
      return undefined
    }
    if (identity.ref.state === 'host') return this.#isHostWanted ? this.#seen(event, identity) : undefined
    if (identity.ref.state !== 'pending') return this.#seen(event, identity)
    const early = held.hold(event.cgroupId, event.bytes, event.at, event.sizeBytes)
    if (early !== undefined) this.#release(early, table.lookup(early) ?? identity)
    return undefined
  }

  #seen(event: EvHeader, identity: Identity): Identity {
    this.tap?.event(event, identity)
    return identity
  }

  /** The set that judges the event; the context stands on it, and nothing has hit yet. */
  #begin(event: EvHeader, entry: ProcessEntry, identity: Identity): PolicySet {
    const { policies, context } = this.#options
    const set = policies.forVersion(event.programVersion)
    this.#hits.count = 0
    this.#conditionHits = 0
    if (this.#hits.rules.length < set.program.rules.length) this.#hits.rules = new Uint32Array(set.program.rules.length)
    context.stand(event, entry, identity)
    return set
  }

  /** Acts of a runtime in a container that it sets up are no rule's business. */
  #matchConditions(set: PolicySet, identity: Identity, eventType: number): void {
    const { conditions } = set
    const { context } = this.#options
    if (conditions.isEmpty || eventType < 0 || context.isSetup) return
    this.#conditionHits = conditions.match(context, identity, eventType)
  }

  /** What containers do is recorded; of what the host does, only what a rule holds for. */
  #isRecorded(identity: Identity): boolean {
    return identity.ref.state !== 'host' || this.#conditionHits > 0
  }

  #finish(
    event: EvHeader,
    draft: Draft,
    identity: Identity,
    set: PolicySet,
    hook: string,
    eventType: number,
    gained = 0n,
  ): void {
    const { append, verdicts } = this.#options
    const { seq } = append(draft)
    if (this.#hits.count === 0 && this.#conditionHits === 0) return
    const judged: Judged = {
      eventType: TOLD_TYPES[eventType] ?? draft.kind,
      draft,
      cause: { kind: draft.kind, lane: 'activity', seq },
      identity,
      set,
      kernelAction: event.action,
      hook,
      pid: event.pid,
      startNs: event.startNs,
      gained,
    }
    const native = [...this.#hits.rules.subarray(0, this.#hits.count)]
    const { hits, sources, isFirstMatch } = set.conditions
    for (let at = 0; at < this.#conditionHits; at++) {
      const source = sources[hits.rules[at] ?? -1]
      if (source?.from === 'policy') native.push(source.id)
    }
    if (native.length > 0) verdicts.judge(judged, native)
    for (let at = 0; at < this.#conditionHits; at++) {
      const source = sources[hits.rules[at] ?? -1]
      if (source?.from !== 'falco') continue
      verdicts.report(judged, source)
      if (isFirstMatch) break
    }
  }
}
