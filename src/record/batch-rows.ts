/** What a builder keeps of a batch beside the lists that are written: its empty form, and rows that the next record may share. */
import type { RecordBatch, Process as WireProcess } from './generated/wire.js'
import type { ContainerRef, Lane, ProcessRef } from './model.js'
import { laneNumber } from './names.js'

export interface SeenContainer {
  readonly ref: ContainerRef
  readonly index: number
}

export function emptyBatch(agent: string, epoch: number, lane: Lane | undefined, firstSeq: bigint): RecordBatch {
  return {
    agent,
    epoch,
    lane: lane === undefined ? 0 : laneNumber(lane),
    firstSeq,
    count: 0,
    strings: [],
    containers: [],
    processes: [],
    rules: [''],
    kinds: [],
    bootNsDeltas: [],
    utcOffsetNsDeltas: [],
    containerIndexes: [],
    processIndexes: [],
    ruleIndexes: [],
    bodyMasks: [],
    execs: [],
    forks: [],
    exits: [],
    connects: [],
    syscalls: [],
    samples: [],
    ooms: [],
    containerChanges: [],
    agentChanges: [],
    gaps: [],
    alerts: [],
    calls: [],
    listens: [],
    accepts: [],
    closes: [],
    dnses: [],
    tlses: [],
    https: [],
  }
}

export function sameContainer(seen: ContainerRef, ref: ContainerRef): boolean {
  return (
    seen.state === ref.state &&
    seen.id === ref.id &&
    seen.name === ref.name &&
    seen.image === ref.image &&
    seen.imageId === ref.imageId &&
    seen.runtime === ref.runtime &&
    sameLabels(seen.labels, ref.labels) &&
    sameTexts(seen.outerIds, ref.outerIds)
  )
}

function sameLabels(one: ContainerRef['labels'], other: ContainerRef['labels']): boolean {
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && one[name] === other[name])
  )
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index])
}

export function sameProcess(row: WireProcess, ref: ProcessRef, strings: readonly string[]): boolean {
  const { parent, args } = ref
  if (
    row.startNs !== ref.startNs ||
    row.pid !== ref.pid ||
    row.tid !== ref.tid ||
    row.uid !== ref.uid ||
    row.gid !== ref.gid ||
    row.setup !== (ref.phase === 'setup') ||
    row.argRefs.length !== args.length ||
    strings[row.exeRef] !== ref.exe ||
    strings[row.invokedRef] !== ref.invoked ||
    strings[row.cwdRef] !== ref.cwd ||
    strings[row.userRef] !== ref.user ||
    row.hasParent !== (parent !== undefined)
  ) {
    return false
  }
  if (
    parent !== undefined &&
    (row.parentPid !== parent.pid || row.parentStartNs !== parent.startNs || strings[row.parentExeRef] !== parent.exe)
  ) {
    return false
  }
  for (let index = 0; index < args.length; index++) {
    if (strings[row.argRefs[index] ?? 0] !== args[index]) return false
  }
  return true
}
