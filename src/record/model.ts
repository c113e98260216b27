/**
 * The record: what the agent stores and exports for one event or sample, identity added. Policy, export, store and
 * reports all speak of these types. Pure data, no I/O.
 *
 * Text in a record (paths, arguments) comes from hostile processes: it is decoded from bytes with replacement of invalid
 * UTF-8 and is never trusted; only the renderers (json.ts, the CLI's text form) may put it in front of a terminal.
 */
import type { AbiName, CallBody, CallKind } from './call-model.js'

export type { CallBody, CallKind } from './call-model.js'

import type {
  AcceptBody,
  CloseBody,
  ConnectResult,
  DnsBody,
  HttpBody,
  ListenBody,
  NetworkKind,
  PeerRef,
  TlsBody,
} from './network.js'

export type Lane = 'alert' | 'activity'

/** How sure the identity is. `pending`: observed before a runtime confirmed it; `host`: not in any container. */
export type ContainerState = 'host' | 'container' | 'pending' | 'unknown'

/** One object for all records that say the same, never changed once a record names it: what differs is another object. */
export interface ContainerRef {
  readonly state: ContainerState
  /** The runtime's full id (64 hex for Docker, free-form for runc); empty for host and unknown. */
  readonly id: string
  readonly name: string
  readonly image: string
  readonly imageId: string
  readonly runtime: string
  readonly labels: Readonly<Record<string, string>>
  /** How the runtime says it was configured; undefined: it has not said. For policies; not part of records. */
  readonly privileged?: boolean
  /** The user it is configured to run as, as the runtime writes it. For policies; not part of records. */
  readonly user?: string
  /** Enclosing containers, outermost first, when containers nest; the record's own container is not in it. */
  readonly outerIds: readonly string[]
}

/** `setup`: the runtime's own acts inside the new container, before the first exec after joining it. */
export type Phase = 'run' | 'setup'

/** One that nobody has seen yet. */
export type InMaking<T> = { -readonly [Name in keyof T]: T[Name] }

export interface ParentRef {
  readonly pid: number
  readonly startNs: bigint
  readonly exe: string
}

/** As ContainerRef: never changed once a record names it. */
export interface ProcessRef {
  readonly pid: number
  /** Thread that acted. */
  readonly tid: number
  /** Start of the process, CLOCK_BOOTTIME ns: (pid, startNs) identifies a process, pid alone does not. */
  readonly startNs: bigint
  /** Resolved executable, as seen from the root of its mount namespace. */
  readonly exe: string
  /** The name as invoked, made absolute; differs from exe for symlinks (busybox) and scripts. */
  readonly invoked: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly uid: number
  readonly gid: number
  readonly user: string
  readonly phase: Phase
  readonly parent?: ParentRef
}

export interface ExecBody {
  /** As invoked, absolute. */
  path: string
  /** What the kernel runs: for a script, its interpreter. */
  file: string
  /** The script when the exec was of one, else empty. */
  script: string
  dev: number
  inode: bigint
  argsTruncated: boolean
  pathTruncated: boolean
  memfd: boolean
  /** The task's root or mount namespace is not the container's own: its paths name other files. */
  foreignRoot: boolean
  /** The program does what argv[0] names (busybox): `path` ends in the applet that runs. */
  multicall: boolean
  /** The executable lies in the container's upper layer: it does not come from the image. */
  upperLayer: boolean
  /** The attempt was refused: this program did not run, and the record's process is the one that tried. */
  refused: boolean
  /** The file has no name left; `file` is the one that it had. */
  deleted: boolean
}

export interface ForkBody {
  childPid: number
  childStartNs: bigint
}

export interface ExitBody {
  /** Exit status 0..255; 0 when a signal ended it. */
  code: number
  /** Signal number that ended it, 0 for none. */
  signal: number
  /** Signal name (`SIGKILL`) or empty. */
  signalName: string
  coreDumped: boolean
  runtimeNs: bigint
}

export interface ConnectBody {
  ip: string
  port: number
  proto: 'tcp' | 'udp' | 'other'
  family: 'ipv4' | 'ipv6'
  /** UDP sends to this destination by this process since the last record of one, not recorded one by one. */
  repeatsCount: number
  /** TCP: what came of it when the record was made; absent for UDP. */
  result?: ConnectResult
  /** errno name (`ECONNREFUSED`); absent: none. */
  error?: string
  localIp?: string
  localPort?: number
  /** As in the accept, close, tls and http of the same connection. */
  socketId?: bigint
  peer?: PeerRef
}

export interface SyscallBody {
  name: string
  nr: number
  /** `native`, or the compatibility ABI it came through. */
  abi: AbiName
  /** First use in this container, or a use outside the allowed set. */
  reason: 'first_use' | 'outside_allowed'
  /** What it returned; left out: told before its end, or it has none. */
  result?: bigint
}

/** Readings of one container's cgroup; a limit of undefined means none is set. */
export interface SampleBody {
  memoryCurrentBytes: bigint
  memoryPeakBytes: bigint
  memoryLimitBytes?: bigint
  /** Inactive page cache within memoryCurrentBytes: memory rules compare current less this. */
  memoryInactiveFileBytes: bigint
}

export interface OomBody {
  victimPid: number
  victimComm: string
}

export interface ContainerBody {
  change: 'start' | 'stop' | 'update'
  cgroup: string
}

/** What the agent itself did or became: start, stop, mode, policy, breaker. */
export interface AgentBody {
  change: 'start' | 'stop' | 'mode' | 'policy' | 'breaker' | 'degraded' | 'recovered'
  message: string
}

/** A hole: events or records that are missing, exactly counted, in the place where they are missing. */
export interface GapBody {
  /** kernel: ring events of one CPU; spool: whole records that went when the spool was full; collector: a hole in a sequence. */
  source: 'kernel' | 'spool' | 'collector'
  cause: string
  cpu?: number
  firstSeq: bigint
  lastSeq: bigint
  count: bigint
  /** SHA-256 (hex) of what went, when it was known. */
  hash?: string
}

export type Priority = 'emergency' | 'alert' | 'critical' | 'error' | 'warning' | 'notice' | 'informational' | 'debug'
export const PRIORITIES: readonly Priority[] = [
  'emergency',
  'alert',
  'critical',
  'error',
  'warning',
  'notice',
  'informational',
  'debug',
]

export type Action = 'alert' | 'deny' | 'kill' | 'kill-container' | 'pause' | 'isolate'

/** What an action came to. `none`: nothing but the alert was asked (or the mode is observe). */
export type Outcome =
  | 'none'
  | 'denied'
  | 'killed_before_effect'
  | 'killed_after_effect'
  | 'killed_effect_unknown'
  | 'failed'
  | 'spared'

export interface Cause {
  kind: EventKind | 'sample'
  lane: Lane
  /** Sequence of the record that caused this, in that lane; undefined when that event got no record of its own. */
  seq?: bigint
}

/** On alert and action records. An action comes as an intent and then a result when user space has to carry it out. */
export interface AlertBody {
  rule: string
  policy: string
  priority: Priority
  tags: readonly string[]
  output: string
  /** The action in force after agent, policy and rule mode were combined. */
  actionTaken: Action
  outcome: Outcome
  /** Why an action was spared or failed; which hook acted. Empty when there is nothing to say. */
  reason: string
  /** `sched_process_exec`, `cgroup/connect4`, `pidfd`, … or empty when nothing acted. */
  hook: string
  cause: Cause
}

export type EventKind = 'exec' | 'fork' | 'exit' | 'connect' | 'syscall' | 'oom' | CallKind | NetworkKind
export type RecordKind = EventKind | 'sample' | 'container' | 'agent' | 'gap' | 'alert' | 'action'

export interface RecordBodies {
  exec?: ExecBody
  fork?: ForkBody
  exit?: ExitBody
  connect?: ConnectBody
  syscall?: SyscallBody
  sample?: SampleBody
  oom?: OomBody
  containerChange?: ContainerBody
  agentChange?: AgentBody
  gap?: GapBody
  alert?: AlertBody
  /** Of every kind in CallKind; in JSON it is the object named after the kind. */
  call?: CallBody
  /** Of the kinds listen and accept when the kernel's socket told, not the call. */
  listen?: ListenBody
  accept?: AcceptBody
  close?: CloseBody
  dns?: DnsBody
  tls?: TlsBody
  http?: HttpBody
}

/** A record before it has its place in a lane. An alert or action embeds its cause's process, container and body. */
export interface RecordDraft extends RecordBodies {
  kind: RecordKind
  lane: Lane
  /** CLOCK_BOOTTIME ns of the event. */
  bootNs: bigint
  /** UTC ns since the epoch. */
  timeNs: bigint
  container: ContainerRef
  process?: ProcessRef
}

/** A record in its place: the key (agent, epoch, lane, seq) is unique for ever. */
export interface HullguardRecord extends RecordDraft {
  agent: string
  /** Counts agent starts; made durable before the first record of that start. */
  epoch: number
  /** 1, 2, 3, … within (agent, epoch, lane). */
  seq: bigint
}

export const HOST: ContainerRef = {
  state: 'host',
  id: '',
  name: '',
  image: '',
  imageId: '',
  runtime: '',
  labels: {},
  outerIds: [],
}
