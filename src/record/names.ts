/**
 * The names that records use and their numbers on the wire. A name's number is its place in its list (kinds and lanes
 * have numbers of their own): lists only ever grow at the end.
 */

import { ABIS, CALL_KINDS, type CallKind } from './call-model.js'
import { Kind, Lane as WireLane, ContainerState as WireState } from './generated/wire.js'
import {
  type Action,
  type AgentBody,
  type ConnectBody,
  type ContainerBody,
  type ContainerState,
  type GapBody,
  type Lane,
  type Outcome,
  PRIORITIES,
  type Priority,
  type RecordKind,
  type SyscallBody,
} from './model.js'

export { ABIS }

export const LANES: readonly Lane[] = ['alert', 'activity']

/** The first acts stand in a row on the wire; those that came later have numbers of their own. */
const ROW_COUNT = Kind.DUP - Kind.OPEN + 1
const LATER_CALL_KINDS: Readonly<Partial<Record<CallKind, number>>> = {
  ipc: Kind.IPC,
  unix_connect: Kind.UNIX_CONNECT,
  capable: Kind.CAPABLE,
}
export const CALL_KIND_NUMBERS = Object.fromEntries(
  CALL_KINDS.map((name, index) => [name, index < ROW_COUNT ? Kind.OPEN + index : laterNumber(name)]),
) as Readonly<Record<CallKind, number>>

function laterNumber(name: CallKind): number {
  const number = LATER_CALL_KINDS[name]
  if (number === undefined) throw new Error(`the act ${name} has no number on the wire`)
  return number
}

export const KIND_NUMBERS: Readonly<Record<RecordKind, number>> = {
  ...CALL_KIND_NUMBERS,
  exec: Kind.EXEC,
  fork: Kind.FORK,
  exit: Kind.EXIT,
  connect: Kind.CONNECT,
  syscall: Kind.SYSCALL,
  oom: Kind.OOM,
  sample: Kind.SAMPLE,
  container: Kind.CONTAINER,
  agent: Kind.AGENT,
  gap: Kind.GAP,
  alert: Kind.ALERT,
  action: Kind.ACTION,
  listen: Kind.LISTEN,
  accept: Kind.ACCEPT,
  close: Kind.CLOSE,
  dns: Kind.DNS,
  tls: Kind.TLS,
  http: Kind.HTTP,
}

const KIND_NAMES = new Map<number, RecordKind>()
for (const [name, number] of Object.entries(KIND_NUMBERS)) KIND_NAMES.set(number, name as RecordKind)

export function kindName(number: number): RecordKind | undefined {
  return KIND_NAMES.get(number)
}

export function isRecordKind(name: string): name is RecordKind {
  return Object.hasOwn(KIND_NUMBERS, name)
}

export const RECORD_KINDS = Object.keys(KIND_NUMBERS) as readonly RecordKind[]

export function laneNumber(lane: Lane): number {
  return lane === 'alert' ? WireLane.ALERT : WireLane.ACTIVITY
}

export function laneName(number: number): Lane | undefined {
  return number === WireLane.ALERT ? 'alert' : number === WireLane.ACTIVITY ? 'activity' : undefined
}

const STATES: readonly [ContainerState, number][] = [
  ['host', WireState.HOST],
  ['container', WireState.CONTAINER],
  ['pending', WireState.PENDING],
  ['unknown', WireState.UNKNOWN],
]

export function stateNumber(state: ContainerState): number {
  return STATES.find(([name]) => name === state)?.[1] ?? WireState.UNKNOWN
}

export function stateName(number: number): ContainerState {
  return STATES.find(([, value]) => value === number)?.[0] ?? 'unknown'
}

export const PROTOS: readonly ConnectBody['proto'][] = ['tcp', 'udp', 'other']
export const FAMILIES: readonly ConnectBody['family'][] = ['ipv4', 'ipv6']
export const SYSCALL_REASONS: readonly SyscallBody['reason'][] = ['first_use', 'outside_allowed']
export const CONTAINER_CHANGES: readonly ContainerBody['change'][] = ['start', 'stop', 'update']
export const AGENT_CHANGES: readonly AgentBody['change'][] = [
  'start',
  'stop',
  'mode',
  'policy',
  'breaker',
  'degraded',
  'recovered',
]
export const GAP_SOURCES: readonly GapBody['source'][] = ['kernel', 'spool', 'collector']
export const PRIORITY_NAMES: readonly Priority[] = PRIORITIES
export const ACTIONS: readonly Action[] = ['alert', 'deny', 'kill', 'kill-container', 'pause', 'isolate']
export const OUTCOMES: readonly Outcome[] = [
  'none',
  'denied',
  'killed_before_effect',
  'killed_after_effect',
  'killed_effect_unknown',
  'failed',
  'spared',
]
