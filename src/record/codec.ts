/**
 * Reads batches: the whole of one as records, or only what a store indexes. The bytes come from another host: every
 * index and length is checked, and what does not hold together is refused as `wire_invalid`, never half read.
 */
import protobuf from 'protobufjs/minimal.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { BatchBuilder, BODY } from './batch-builder.js'
import { callFromWire } from './call-codec.js'
import { type BatchIndex, decodeBatchIndex, decodeRecordBatch, type RecordBatch } from './generated/wire.js'
import type { ContainerRef, HullguardRecord, InMaking, Lane, ProcessRef, RecordBodies } from './model.js'
import {
  ABIS,
  ACTIONS,
  AGENT_CHANGES,
  CONTAINER_CHANGES,
  GAP_SOURCES,
  kindName,
  laneName,
  OUTCOMES,
  PRIORITY_NAMES,
  SYSCALL_REASONS,
  stateName,
} from './names.js'
import { connectFromWire, readNetwork } from './network-codec.js'

export { BatchBuilder }

const BODIES_COUNT = Object.keys(BODY).length

/** Key of a record without its lane's records around it. */
export interface RecordPlace {
  agent: string
  epoch: number
  lane: Lane
  seq: bigint
}

export interface DecodedBatch {
  records: HullguardRecord[]
  /** Records of a kind that this version does not know. */
  unknownCount: number
}

export function invalid(reason: string): HullguardError {
  return new HullguardError('wire_invalid', `not a valid batch of records: ${reason}`)
}

/** The columns that a store indexes. Checked: their lengths, and that containers and rules exist. */
export function decodeIndex(bytes: Uint8Array): BatchIndex {
  let index: BatchIndex
  try {
    index = decodeBatchIndex(protobuf.Reader.create(bytes))
  } catch (error) {
    throw invalid(messageOf(error))
  }
  checkColumns(index.count, [
    index.kinds,
    index.bootNsDeltas,
    index.utcOffsetNsDeltas,
    index.containerIndexes,
    index.ruleIndexes,
  ])
  checkReferences(index.containerIndexes, index.containers.length, 'container')
  checkReferences(index.ruleIndexes, index.rules.length, 'rule')
  return index
}

export function decodeMessage(bytes: Uint8Array): RecordBatch {
  try {
    return decodeRecordBatch(protobuf.Reader.create(bytes))
  } catch (error) {
    throw invalid(messageOf(error))
  }
}

/** The records at the positions that `wanted` accepts (all, without it), in order. */
export function decodeBatch(bytes: Uint8Array, wanted?: (position: number) => boolean): DecodedBatch {
  const batch = decodeMessage(bytes)
  const lane = laneName(batch.lane)
  if (lane === undefined) throw invalid(`lane ${batch.lane}`)
  const { agent, epoch, firstSeq } = batch
  return recordsOf(batch, (position) => ({ agent, epoch, lane, seq: firstSeq + BigInt(position) }), wanted)
}

export function recordsOf(
  batch: RecordBatch,
  placeOf: (position: number) => RecordPlace,
  wanted?: (position: number) => boolean,
): DecodedBatch {
  checkColumns(batch.count, [
    batch.kinds,
    batch.bootNsDeltas,
    batch.utcOffsetNsDeltas,
    batch.containerIndexes,
    batch.processIndexes,
    batch.ruleIndexes,
    batch.bodyMasks,
  ])
  const reader = new BodyReader(batch)
  const containers = batch.containers.map(containerOf)
  const processes = new Array<ProcessRef | undefined>(batch.processes.length)
  const records: HullguardRecord[] = []
  let unknownCount = 0
  let bootNs = 0n
  let utcOffsetNs = 0n
  for (let position = 0; position < batch.count; position++) {
    // Differences wrap at 64 bits, sums with them: every value comes back whatever lay before it.
    bootNs = BigInt.asIntN(64, bootNs + (batch.bootNsDeltas[position] ?? 0n))
    utcOffsetNs += batch.utcOffsetNsDeltas[position] ?? 0n
    const mask = batch.bodyMasks[position] ?? 0
    if (wanted !== undefined && !wanted(position)) {
      reader.skip(mask)
      continue
    }
    const kind = kindName(batch.kinds[position] ?? 0)
    if (kind === undefined) {
      unknownCount++
      reader.skip(mask)
      continue
    }
    const container = containers[batch.containerIndexes[position] ?? 0]
    if (container === undefined) throw invalid('a container index is out of range')
    const place = placeOf(position)
    const processIndex = batch.processIndexes[position] ?? 0
    const record: HullguardRecord = {
      kind,
      lane: place.lane,
      bootNs,
      timeNs: BigInt.asIntN(64, bootNs + utcOffsetNs),
      container,
      agent: place.agent,
      epoch: place.epoch,
      seq: place.seq,
    }
    if (processIndex > 0) {
      let process = processes[processIndex - 1]
      if (process === undefined) {
        process = reader.process(processIndex - 1)
        processes[processIndex - 1] = process
      }
      record.process = process
    }
    reader.read(mask, batch.ruleIndexes[position] ?? 0, record)
    records.push(record)
  }
  return { records, unknownCount }
}

function checkColumns(count: number, columns: readonly (readonly unknown[])[]): void {
  for (const column of columns) {
    if (column.length !== count) throw invalid(`a column has ${column.length} entries for ${count} records`)
  }
}

function checkReferences(references: readonly number[], limit: number, what: string): void {
  for (const reference of references) {
    if (reference >= limit) throw invalid(`a ${what} index is out of range`)
  }
}

function containerOf(wire: RecordBatch['containers'][number]): ContainerRef {
  const labels: Record<string, string> = {}
  for (const { key, value } of wire.labels) {
    // defineProperty: a label named `__proto__` is a label, not a prototype.
    Object.defineProperty(labels, key, { value, enumerable: true, configurable: true, writable: true })
  }
  const { id, name, image, imageId, runtime, outerIds } = wire
  return { state: stateName(wire.state), id, name, image, imageId, runtime, labels, outerIds }
}

/** Walks the body lists beside the columns. */
class BodyReader {
  readonly #batch: RecordBatch
  /** Next entry of each list, by bit number of the body mask. */
  readonly #next = new Uint32Array(BODIES_COUNT)

  readonly #from = {
    take: <T>(list: readonly T[], bit: number) => this.#take(list, bit),
    text: (ref: number) => this.#text(ref),
    pick,
  }

  constructor(batch: RecordBatch) {
    this.#batch = batch
  }

  skip(mask: number): void {
    for (let bit = 0; bit < BODIES_COUNT; bit++) {
      if ((mask & (1 << bit)) !== 0) this.#next[bit] = (this.#next[bit] ?? 0) + 1
    }
  }

  process(index: number): ProcessRef {
    const wire = this.#batch.processes[index]
    if (wire === undefined) throw invalid('a process index is out of range')
    const process: InMaking<ProcessRef> = {
      pid: wire.pid,
      tid: wire.tid,
      startNs: wire.startNs,
      exe: this.#text(wire.exeRef),
      invoked: this.#text(wire.invokedRef),
      args: wire.argRefs.map((ref) => this.#text(ref)),
      cwd: this.#text(wire.cwdRef),
      uid: wire.uid,
      gid: wire.gid,
      user: this.#text(wire.userRef),
      phase: wire.setup ? 'setup' : 'run',
    }
    if (wire.hasParent) {
      process.parent = { pid: wire.parentPid, startNs: wire.parentStartNs, exe: this.#text(wire.parentExeRef) }
    }
    return process
  }

  read(mask: number, ruleIndex: number, into: RecordBodies): void {
    const batch = this.#batch
    if ((mask & BODY.exec) !== 0) {
      const { pathRef, fileRef, scriptRef, ...rest } = this.#take(batch.execs, 0)
      into.exec = { path: this.#text(pathRef), file: this.#text(fileRef), script: this.#text(scriptRef), ...rest }
    }
    if ((mask & BODY.fork) !== 0) into.fork = this.#take(batch.forks, 1)
    if ((mask & BODY.exit) !== 0) {
      const { signalNameRef, ...rest } = this.#take(batch.exits, 2)
      into.exit = { signalName: this.#text(signalNameRef), ...rest }
    }
    if ((mask & BODY.connect) !== 0) into.connect = connectFromWire(this.#take(batch.connects, 3), this.#from)
    if ((mask & BODY.syscall) !== 0) {
      const { nameRef, nr, abi, reason, result } = this.#take(batch.syscalls, 4)
      into.syscall = { name: this.#text(nameRef), nr, abi: pick(ABIS, abi), reason: pick(SYSCALL_REASONS, reason) }
      if (result !== undefined) into.syscall.result = result
    }
    if ((mask & BODY.sample) !== 0) into.sample = this.#take(batch.samples, 5)
    if ((mask & BODY.oom) !== 0) {
      const { victimPid, victimCommRef } = this.#take(batch.ooms, 6)
      into.oom = { victimPid, victimComm: this.#text(victimCommRef) }
    }
    if ((mask & BODY.call) !== 0) {
      const call = callFromWire(this.#take(batch.calls, 11), (ref) => this.#text(ref))
      if (call === undefined) throw invalid('a call has a value without a name in this version')
      into.call = call
    }
    readNetwork(mask, batch, this.#from, into)
    this.#readOwn(mask, ruleIndex, into)
  }

  #readOwn(mask: number, ruleIndex: number, into: RecordBodies): void {
    const batch = this.#batch
    if ((mask & BODY.containerChange) !== 0) {
      const { change, cgroupRef } = this.#take(batch.containerChanges, 7)
      into.containerChange = { change: pick(CONTAINER_CHANGES, change), cgroup: this.#text(cgroupRef) }
    }
    if ((mask & BODY.agentChange) !== 0) {
      const { change, messageRef } = this.#take(batch.agentChanges, 8)
      into.agentChange = { change: pick(AGENT_CHANGES, change), message: this.#text(messageRef) }
    }
    if ((mask & BODY.gap) !== 0) {
      const { source, causeRef, ...rest } = this.#take(batch.gaps, 9)
      into.gap = { source: pick(GAP_SOURCES, source), cause: this.#text(causeRef), ...rest }
    }
    if ((mask & BODY.alert) !== 0) {
      const wire = this.#take(batch.alerts, 10)
      const causeKind = kindName(wire.causeKind)
      const causeLane = laneName(wire.causeLane)
      const rule = batch.rules[ruleIndex]
      if (rule === undefined || causeLane === undefined) throw invalid('an alert without its rule or cause')
      if (!isCauseKind(causeKind)) throw invalid(`an alert caused by kind ${wire.causeKind}`)
      into.alert = {
        rule,
        policy: this.#text(wire.policyRef),
        priority: pick(PRIORITY_NAMES, wire.priority),
        tags: wire.tagRefs.map((ref) => this.#text(ref)),
        output: this.#text(wire.outputRef),
        actionTaken: pick(ACTIONS, wire.actionTaken),
        outcome: pick(OUTCOMES, wire.outcome),
        reason: this.#text(wire.reasonRef),
        hook: this.#text(wire.hookRef),
        cause: {
          kind: causeKind,
          lane: causeLane,
          ...(wire.causeSeq === undefined ? {} : { seq: wire.causeSeq }),
        },
      }
    }
  }

  #text(ref: number): string {
    const text = this.#batch.strings[ref]
    if (text === undefined) throw invalid('a string index is out of range')
    return text
  }

  #take<T>(list: readonly T[], bit: number): T {
    const next = this.#next[bit] ?? 0
    const body = list[next]
    if (body === undefined) throw invalid('a record without its body')
    this.#next[bit] = next + 1
    return body
  }
}

type CauseKind = NonNullable<RecordBodies['alert']>['cause']['kind']

function isCauseKind(kind: string | undefined): kind is CauseKind {
  return (
    kind !== undefined &&
    kind !== 'container' &&
    kind !== 'agent' &&
    kind !== 'gap' &&
    kind !== 'alert' &&
    kind !== 'action'
  )
}

/** The name with that number; a number from a newer version has none, and the record that uses it is refused. */
function pick<T>(names: readonly T[], number: number): T {
  const name = names[number]
  if (name === undefined) throw invalid(`value ${number} has no name in this version`)
  return name
}
