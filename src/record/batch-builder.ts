/**
 * Builds one batch: records of a lane with consecutive sequence numbers, encoded list by list as they are added
 * (proto/hullguard/v1/records.proto). Strings, containers and processes that recur are stored once. Synchronous, no I/O;
 * a draft's bodies are copied when added, so that the caller may change them afterwards.
 *
 * 64-bit values keep all their bits. Text must be well-formed UTF-16 (it comes from a UTF-8 decoder).
 */
import { BatchLists } from './batch-lists.js'
import { emptyBatch, type SeenContainer, sameContainer, sameProcess } from './batch-rows.js'
import { callToWire } from './call-codec.js'
import {
  encodeAgentChange,
  encodeAlert,
  encodeCall,
  encodeConnect,
  encodeContainerChange,
  encodeExec,
  encodeExit,
  encodeFork,
  encodeGap,
  encodeOom,
  encodeRecordBatch,
  encodeSample,
  encodeSyscall,
  type RecordBatch,
  type Container as WireContainer,
  type Process as WireProcess,
} from './generated/wire.js'
import { type ContainerRef, HOST, type Lane, type ProcessRef, type RecordBodies, type RecordDraft } from './model.js'
import {
  ABIS,
  ACTIONS,
  AGENT_CHANGES,
  CONTAINER_CHANGES,
  GAP_SOURCES,
  KIND_NUMBERS,
  laneNumber,
  OUTCOMES,
  PRIORITY_NAMES,
  SYSCALL_REASONS,
  stateNumber,
} from './names.js'
import { connectToWire, NETWORK_BODY, putNetwork } from './network-codec.js'
import { DifferenceColumn } from './wire-primitives.js'

/** The bits of RecordBatch.body_masks. */
export const BODY = {
  exec: 1 << 0,
  fork: 1 << 1,
  exit: 1 << 2,
  connect: 1 << 3,
  syscall: 1 << 4,
  sample: 1 << 5,
  oom: 1 << 6,
  containerChange: 1 << 7,
  agentChange: 1 << 8,
  gap: 1 << 9,
  alert: 1 << 10,
  call: 1 << 11,
  ...NETWORK_BODY,
} as const

/** So many processes, by a few bits of their pids, are known by the object that names them: mostly that of the record before. */
const RECENT_COUNT = 16

/** What a record's columns take before compression, about; strings are counted apart. */
const COLUMNS_BYTES = 40

export class BatchBuilder {
  /** What is not written list by list. */
  readonly #batch: RecordBatch
  readonly #lists = new BatchLists()
  readonly #strings = new Map<string, number>()
  /** As the batch has them; strings[0] is the empty one. */
  readonly #texts: string[] = []
  readonly #rules = new Map<string, number>([['', 0]])
  readonly #containers = new Map<string, SeenContainer>()
  #lastContainer: SeenContainer | undefined
  /** By pid and tid: the newest row of that task. */
  readonly #processes = new Map<number, number>()
  readonly #recentProcesses = new Array<ProcessRef | undefined>(RECENT_COUNT).fill(undefined)
  /** Their rows. */
  readonly #recentRows = new Uint32Array(RECENT_COUNT)
  readonly #intern = (text: string) => this.#string(text)
  readonly #bootNs = new DifferenceColumn()
  readonly #utcOffsetNs = new DifferenceColumn()
  #approxBytes = 0

  constructor(agent: string, epoch: number, lane: Lane | undefined, firstSeq: bigint) {
    this.#batch = emptyBatch(agent, epoch, lane, firstSeq)
    this.#addString('')
  }

  get count(): number {
    return this.#batch.count
  }

  get firstSeq(): bigint {
    return this.#batch.firstSeq
  }

  /** Before compression, about. */
  get approxBytes(): number {
    return this.#approxBytes
  }

  add(draft: RecordDraft): void {
    const batch = this.#batch
    batch.kinds.push(KIND_NUMBERS[draft.kind])
    this.#bootNs.put(this.#lists.bootNsDeltas.packed(), draft.bootNs, 0n)
    this.#utcOffsetNs.put(this.#lists.utcOffsetNsDeltas.packed(), draft.timeNs, draft.bootNs)
    batch.containerIndexes.push(this.#container(draft.container))
    batch.processIndexes.push(draft.process === undefined ? 0 : this.#process(draft.process) + 1)
    const isAlert = draft.kind === 'alert' || draft.kind === 'action'
    batch.ruleIndexes.push(isAlert && draft.alert !== undefined ? this.#rule(draft.alert.rule) : 0)
    batch.bodyMasks.push(this.#bodies(draft))
    batch.count++
    this.#approxBytes += COLUMNS_BYTES
  }

  /** The batch as a RecordBatch message. The builder must not be used afterwards. */
  finish(): Uint8Array {
    const writer = encodeRecordBatch(this.#batch)
    this.#lists.appendTo(writer)
    return writer.finish()
  }

  #string(text: string): number {
    return text === '' ? 0 : (this.#strings.get(text) ?? this.#addString(text))
  }

  #addString(text: string): number {
    const index = this.#texts.length
    this.#texts.push(text)
    this.#strings.set(text, index)
    this.#lists.strings.next().string(text)
    this.#approxBytes += text.length + 2
    return index
  }

  #rule(text: string): number {
    const known = this.#rules.get(text)
    if (known !== undefined) return known
    const index = this.#batch.rules.length
    this.#batch.rules.push(text)
    this.#rules.set(text, index)
    this.#approxBytes += text.length + 2
    return index
  }

  /** The same object is the same container, since none is changed: only another one has to be compared. */
  #container(ref: ContainerRef): number {
    if (this.#lastContainer?.ref !== ref) this.#lastContainer = this.#containerRow(ref)
    return this.#lastContainer.index
  }

  #containerRow(ref: ContainerRef): SeenContainer {
    const key = ref.id === '' ? ref.state : ref.id
    const seen = this.#containers.get(key)
    if (seen !== undefined && sameContainer(seen.ref, ref)) return { ref, index: seen.index }
    const wire: WireContainer = {
      state: stateNumber(ref.state),
      id: ref.id,
      name: ref.name,
      image: ref.image,
      imageId: ref.imageId,
      runtime: ref.runtime,
      labels: Object.entries(ref.labels).map(([name, value]) => ({ key: name, value })),
      outerIds: [...ref.outerIds],
    }
    const index = this.#batch.containers.length
    this.#batch.containers.push(wire)
    const made: SeenContainer = { ref, index }
    this.#containers.set(key, made)
    this.#approxBytes += 32 + ref.id.length + ref.name.length + ref.image.length + ref.imageId.length
    for (const { key: name, value } of wire.labels) this.#approxBytes += name.length + value.length + 4
    return made
  }

  /** As with containers. */
  #process(ref: ProcessRef): number {
    const slot = ref.pid & (RECENT_COUNT - 1)
    if (this.#recentProcesses[slot] !== ref) {
      this.#recentRows[slot] = this.#processRow(ref)
      this.#recentProcesses[slot] = ref
    }
    return this.#recentRows[slot] ?? 0
  }

  #processRow(ref: ProcessRef): number {
    // Both are below 2^22 (PID_MAX_LIMIT, linux/threads.h): the key is exact. A larger number only costs a second row.
    const key = ref.pid * 4194304 + ref.tid
    const strings = this.#texts
    const known = this.#processes.get(key)
    if (known !== undefined) {
      const row = this.#batch.processes[known]
      if (row !== undefined && sameProcess(row, ref, strings)) return known
    }
    const row: WireProcess = {
      pid: ref.pid,
      tid: ref.tid,
      startNs: ref.startNs,
      exeRef: this.#string(ref.exe),
      invokedRef: this.#string(ref.invoked),
      argRefs: ref.args.map((text) => this.#string(text)),
      cwdRef: this.#string(ref.cwd),
      uid: ref.uid,
      gid: ref.gid,
      userRef: this.#string(ref.user),
      setup: ref.phase === 'setup',
      hasParent: ref.parent !== undefined,
      parentPid: ref.parent?.pid ?? 0,
      parentStartNs: ref.parent?.startNs ?? 0n,
      parentExeRef: ref.parent === undefined ? 0 : this.#string(ref.parent.exe),
    }
    const index = this.#batch.processes.length
    this.#batch.processes.push(row)
    this.#processes.set(key, index)
    this.#approxBytes += 40 + 2 * row.argRefs.length
    return index
  }

  /**
   * The body named after the kind; an alert or action has its event's too, and there all are looked for. (Looking for
   * twelve absent properties on objects of many shapes would cost more than all the rest.)
   */
  #bodies(draft: RecordDraft): number {
    switch (draft.kind) {
      case 'exec':
        return this.#exec(draft)
      case 'fork':
        return this.#fork(draft)
      case 'exit':
        return this.#exit(draft)
      case 'connect':
        return this.#connect(draft)
      case 'syscall':
        return this.#syscall(draft)
      case 'sample':
        return this.#sample(draft)
      case 'oom':
        return this.#oom(draft)
      case 'container':
        return this.#containerChange(draft)
      case 'agent':
        return this.#agentChange(draft)
      case 'gap':
        return this.#gap(draft)
      case 'listen':
      case 'accept':
        return this.#call(draft) | putNetwork(draft, this.#lists, this.#intern)
      case 'close':
      case 'dns':
      case 'tls':
      case 'http':
        return putNetwork(draft, this.#lists, this.#intern)
      case 'alert':
      case 'action':
        return (
          this.#exec(draft) |
          this.#fork(draft) |
          this.#exit(draft) |
          this.#connect(draft) |
          this.#syscall(draft) |
          this.#sample(draft) |
          this.#oom(draft) |
          this.#call(draft) |
          putNetwork(draft, this.#lists, this.#intern) |
          this.#alert(draft)
        )
      default:
        return this.#call(draft)
    }
  }

  #exec({ exec }: RecordBodies): number {
    if (exec === undefined) return 0
    encodeExec(
      {
        pathRef: this.#string(exec.path),
        fileRef: this.#string(exec.file),
        scriptRef: this.#string(exec.script),
        dev: exec.dev,
        inode: exec.inode,
        argsTruncated: exec.argsTruncated,
        pathTruncated: exec.pathTruncated,
        memfd: exec.memfd,
        foreignRoot: exec.foreignRoot,
        multicall: exec.multicall,
        upperLayer: exec.upperLayer,
        refused: exec.refused,
        deleted: exec.deleted,
      },
      this.#lists.execs.open(),
    ).ldelim()
    return BODY.exec
  }

  #fork({ fork }: RecordBodies): number {
    if (fork === undefined) return 0
    encodeFork({ childPid: fork.childPid, childStartNs: fork.childStartNs }, this.#lists.forks.open()).ldelim()
    return BODY.fork
  }

  #exit({ exit }: RecordBodies): number {
    if (exit === undefined) return 0
    encodeExit(
      {
        code: exit.code,
        signal: exit.signal,
        signalNameRef: this.#string(exit.signalName),
        coreDumped: exit.coreDumped,
        runtimeNs: exit.runtimeNs,
      },
      this.#lists.exits.open(),
    ).ldelim()
    return BODY.exit
  }

  #connect({ connect }: RecordBodies): number {
    if (connect === undefined) return 0
    encodeConnect(connectToWire(connect, this.#intern), this.#lists.connects.open()).ldelim()
    return BODY.connect
  }

  #syscall({ syscall }: RecordBodies): number {
    if (syscall === undefined) return 0
    encodeSyscall(
      {
        nameRef: this.#string(syscall.name),
        nr: syscall.nr,
        abi: ABIS.indexOf(syscall.abi),
        reason: SYSCALL_REASONS.indexOf(syscall.reason),
        ...(syscall.result === undefined ? {} : { result: syscall.result }),
      },
      this.#lists.syscalls.open(),
    ).ldelim()
    return BODY.syscall
  }

  #sample({ sample }: RecordBodies): number {
    if (sample === undefined) return 0
    encodeSample({ ...sample }, this.#lists.samples.open()).ldelim()
    return BODY.sample
  }

  #oom({ oom }: RecordBodies): number {
    if (oom === undefined) return 0
    encodeOom(
      { victimPid: oom.victimPid, victimCommRef: this.#string(oom.victimComm) },
      this.#lists.ooms.open(),
    ).ldelim()
    return BODY.oom
  }

  #containerChange({ containerChange: body }: RecordBodies): number {
    if (body === undefined) return 0
    const change = CONTAINER_CHANGES.indexOf(body.change)
    encodeContainerChange(
      { change, cgroupRef: this.#string(body.cgroup) },
      this.#lists.containerChanges.open(),
    ).ldelim()
    return BODY.containerChange
  }

  #agentChange({ agentChange: body }: RecordBodies): number {
    if (body === undefined) return 0
    const change = AGENT_CHANGES.indexOf(body.change)
    encodeAgentChange({ change, messageRef: this.#string(body.message) }, this.#lists.agentChanges.open()).ldelim()
    return BODY.agentChange
  }

  #gap({ gap }: RecordBodies): number {
    if (gap === undefined) return 0
    const { source, cause, ...rest } = gap
    encodeGap(
      { source: GAP_SOURCES.indexOf(source), causeRef: this.#string(cause), ...rest },
      this.#lists.gaps.open(),
    ).ldelim()
    return BODY.gap
  }

  #call({ call }: RecordBodies): number {
    if (call === undefined) return 0
    encodeCall(
      callToWire(call, (text) => this.#string(text)),
      this.#lists.calls.open(),
    ).ldelim()
    return BODY.call
  }

  #alert({ alert }: RecordBodies): number {
    if (alert === undefined) return 0
    encodeAlert(
      {
        policyRef: this.#string(alert.policy),
        priority: PRIORITY_NAMES.indexOf(alert.priority),
        tagRefs: alert.tags.map((tag) => this.#string(tag)),
        outputRef: this.#string(alert.output),
        actionTaken: ACTIONS.indexOf(alert.actionTaken),
        outcome: OUTCOMES.indexOf(alert.outcome),
        reasonRef: this.#string(alert.reason),
        hookRef: this.#string(alert.hook),
        causeKind: KIND_NUMBERS[alert.cause.kind],
        causeLane: laneNumber(alert.cause.lane),
        ...(alert.cause.seq === undefined ? {} : { causeSeq: alert.cause.seq }),
      },
      this.#lists.alerts.open(),
    ).ldelim()
    return BODY.alert
  }
}

/** What batches are built with (why: KEPT_ALIVE of the wire primitives); its numbers beyond small integers, as real times are. */
export const BUILDER_KEPT_ALIVE = new BatchBuilder('', 0, undefined, 0n)
BUILDER_KEPT_ALIVE.add({ kind: 'agent', lane: 'alert', bootNs: -1n, timeNs: 1n << 62n, container: HOST })
