/** What a builder keeps of a batch beside the lists that are written: its empty form, and rows that the next record may share. */
import type { RecordBatch, Container as WireContainer, Process as WireProcess } from './generated/wire.js'
import type { ContainerRef, Lane, ProcessRef } from './model.js'
import { laneNumber, stateNumber } from './names.js'

export interface SeenContainer {
  ref: ContainerRef
  /** Captured, since a caller may change its object between two records. */
  wire: WireContainer
  index: number
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

export function sameContainer({ ref: seen, wire }: SeenContainer, ref: ContainerRef): boolean {
  return (
    wire.state === stateNumber(ref.state) &&
    wire.id === ref.id &&
    wire.name === ref.name &&
    wire.image === ref.image &&
    wire.imageId === ref.imageId &&
    wire.runtime === ref.runtime &&
    (seen.labels === ref.labels || sameLabels(wire.labels, ref.labels)) &&
    sameTexts(wire.outerIds, ref.outerIds)
  )
}

function sameLabels(seen: WireContainer['labels'], labels: ContainerRef['labels']): boolean {
  const names = Object.keys(labels)
  return (
    names.length === seen.length && seen.every(({ key, value }) => Object.hasOwn(labels, key) && labels[key] === value)
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
