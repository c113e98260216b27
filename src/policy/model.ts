/**
 * A policy after parsing and checking: what match/ compiles and respond/ lowers. Everything in it is valid by construction
 * (the loader refused the rest with diagnostics), so later stages have no error path for user input.
 */
import type { Action, Priority } from '../record/model.js'
import type { Expression } from './condition/ast.js'

export interface SourceSpan {
  file: string
  /** 1-based. */
  line: number
  /** 1-based, in code points. */
  column: number
  /** Code points underlined by the caret; at least 1. */
  lengthCount: number
}

/**
 * `*` any run of bytes within one component, `?` one byte, `[ab]`/`[!ab]` classes; `**` as a whole component: any number of
 * components (also none); `\` takes a glob character's meaning away. Parsed by path-pattern.ts.
 */
export interface PathPattern {
  /** Starts with `/` or `**`: the loader turned a bare program name into `**` + `/name`. */
  text: string
  span: SourceSpan
}

export interface NetPattern {
  text: string
  /** 16 bytes, IPv4 as ::ffff:a.b.c.d. */
  network: Uint8Array
  /** 0..128 over the 16 bytes (an IPv4 /8 is 104). `*` as a host is 0: every address of both families. */
  prefixBits: number
  /** An IPv6 network whose bits contain the IPv4-mapped range, such as ::/0: it does not cover IPv4 all the same. */
  ipv6Only: boolean
  /** Inclusive; 0..65535 for any. */
  portFrom: number
  portTo: number
  proto: 'tcp' | 'udp' | 'any'
  span: SourceSpan
}

/** What can be done with a file, as bits of a mask. `create` also of folders, devices and symbolic links; `write` also truncates. */
export const FILE_ACCESS = {
  read: 1,
  write: 2,
  create: 4,
  delete: 8,
  rename: 16,
  link: 32,
  chmod: 64,
  chown: 128,
} as const
export type FileAccess = keyof typeof FILE_ACCESS
export const FILE_ACCESSES: readonly FileAccess[] = [
  'read',
  'write',
  'create',
  'delete',
  'rename',
  'link',
  'chmod',
  'chown',
]
export const FILE_ACCESS_ALL = 0xff

export interface FilePattern extends PathPattern {
  /** FILE_ACCESS bits the entry speaks of. */
  access: number
  /** How many of them were written out: 0 for a plain path, which speaks of all. Of equal paths the entry with more is more specific. */
  namedCount: number
}

/** A user or group on the host, by name or number. */
export type AccountName = { name: string } | { id: number }

/** All that is given must hold of the sender; at least one is. */
export interface SenderPattern {
  text: string
  user?: AccountName
  group?: AccountName
  exe?: PathPattern
  span: SourceSpan
}

/** All that is given must hold of the mount; at least one is. */
export interface MountPattern {
  text: string
  /** What is mounted, as the caller named it: a path or a word such as `tmpfs`. `*` any run of characters, `?` one. */
  source?: string
  target?: PathPattern
  /** As `source`. */
  fstype?: string
  span: SourceSpan
}

/**
 * A known way out of a rule: while it counts, an act that one of its entries matches, or for which its condition holds, does
 * not violate the rule, however specific the rule's own entries are.
 */
export interface RuleException<Entry> {
  name: string
  reason: string
  /** UTC ms from which on it no longer counts. */
  untilMs?: number
  match: readonly Entry[]
  /** As of a condition rule. */
  condition?: Expression
  span: SourceSpan
}

interface RuleBase {
  name: string
  policy: string
  description: string
  priority: Priority
  tags: readonly string[]
  /** What the rule asks for; the agent's and the policy's mode are the ceiling at run time. */
  action: Action
  /** true: also judged while a task is in phase `setup`. */
  setup: boolean
  enabled: boolean
  /** The sentence of its alerts, with `%fields`; undefined: one is made of the event. */
  output?: string
  span: SourceSpan
}

/** allow undefined: no allow list, what no entry covers is fine. allow []: nothing is allowed. */
interface ListRule<Entry> extends RuleBase {
  allow?: readonly Entry[]
  deny: readonly Entry[]
  exceptions: readonly RuleException<Entry>[]
}

export interface ExecRule extends ListRule<PathPattern> {
  kind: 'exec'
}

/** Judged access by access; an access that no entry of the rule speaks of is not the rule's business. */
export interface FileRule extends ListRule<FilePattern> {
  kind: 'file'
}

export interface ConnectRule extends ListRule<NetPattern> {
  kind: 'connect'
}

/** Entries are local addresses and ports; proto is `any` or `tcp`. */
export interface ListenRule extends ListRule<NetPattern> {
  kind: 'listen'
}

/** The policy's selector is the target's container; the entries are of the sender. */
export interface SignalRule extends ListRule<SenderPattern> {
  kind: 'signal'
}

export interface MountRule extends ListRule<MountPattern> {
  kind: 'mount'
}

/** Native (64-bit) syscall numbers, those of policy/syscalls.ts. A call through another ABI is outside every allow set, and denied when the same-named native call is. */
export interface SyscallRule extends RuleBase {
  kind: 'syscall'
  allow?: ReadonlySet<number>
  deny: ReadonlySet<number>
  exceptions: readonly RuleException<number>[]
}

/** What of capabilities a rule is about: that a process comes to hold one, or that it uses one. */
export const CAPABILITY_WHENS = ['gain', 'use'] as const
export type CapabilityWhen = (typeof CAPABILITY_WHENS)[number]

/** Capability numbers (CAP_*). */
export interface CapabilityRule extends RuleBase {
  kind: 'capability'
  when: CapabilityWhen
  allow?: ReadonlySet<number>
  deny: ReadonlySet<number>
  exceptions: readonly RuleException<number>[]
}

/** Rules that compare a reading with a bound; `exceptions` can only be conditions. */
interface ThresholdRule extends RuleBase {
  exceptions: readonly RuleException<never>[]
}

export interface MemoryRule extends ThresholdRule {
  kind: 'memory'
  maxBytes: number
  /** How long usage must stay above before the rule hits; 0: at the first sample above. */
  forMs: number
}

export interface CpuRule extends ThresholdRule {
  kind: 'cpu'
  /** 1000: one core. */
  maxMillicores: number
  forMs: number
}

export interface PidsRule extends ThresholdRule {
  kind: 'pids'
  maxCount: number
  forMs: number
}

/** How long a container may run, from its start. */
export interface RuntimeRule extends ThresholdRule {
  kind: 'runtime'
  maxMs: number
}

export interface ConditionRule extends RuleBase {
  kind: 'condition'
  /** Whole in itself: macros and lists are put in, no name refers to another definition. */
  condition: Expression
  /** The event types it can match, of those that the probes yield. */
  eventTypes: readonly string[]
  exceptions: readonly RuleException<never>[]
}

export type Rule =
  | ExecRule
  | FileRule
  | ConnectRule
  | ListenRule
  | SignalRule
  | MountRule
  | SyscallRule
  | CapabilityRule
  | MemoryRule
  | CpuRule
  | PidsRule
  | RuntimeRule
  | ConditionRule
export type RuleKind = Rule['kind']

/** Where an act happens; `unknown`: what looks like a container and no runtime has vouched for. */
export type SelectorState = 'host' | 'container' | 'unknown'

/** Facts of an orchestrator -> patterns of their values; read from the labels that it sets. */
export type FactPatterns = Readonly<Record<string, readonly string[]>>

/**
 * All given fields must hold; no field given: every container. A list holds when any of its plain entries matches (or it
 * has none) and none of its `!` entries does. Globs: `*` any run (also `/`), `?` one character.
 */
export interface ContainerSelector {
  /** Not given: confirmed containers only. The host is never meant unless it is named here. */
  state?: readonly SelectorState[]
  id?: readonly string[]
  name?: readonly string[]
  image?: readonly string[]
  runtime?: readonly string[]
  /** The user that the container is configured to run as. */
  user?: readonly string[]
  privileged?: boolean
  /** Label key -> patterns of its value. */
  labels?: FactPatterns
  /** namespace, pod, uid, container. */
  k8s?: FactPatterns
  /** service, service_id, task, task_id, node_id, stack. */
  swarm?: FactPatterns
  /** cluster, task, family, version, container. */
  ecs?: FactPatterns
  /** job, group, task, namespace, alloc, node. */
  nomad?: FactPatterns
}

/** A value of a test's event, as written. */
export type TestValue = string | number | boolean | readonly (string | number | boolean)[]

/** An act to judge, as a test beside a policy writes it. */
export interface TestEvent {
  /** The record kind: exec, open, connect, … */
  kind: string
  /** The kind's own facts: `path`, `ip`, `port`, … Keys are those of the record's body object. */
  body: Readonly<Record<string, TestValue>>
  /** Keys as in a record's `container`, and `privileged`; `label.KEY` for labels. Nothing given: a container that the policy selects. */
  container: Readonly<Record<string, TestValue>>
  /** Keys as in a record's `process`; `parent.exe`, … */
  process: Readonly<Record<string, TestValue>>
  setup: boolean
}

/** `tests:` of a policy: what an event must come to. */
export interface PolicyTest {
  /** Empty when it has none. */
  name: string
  event: TestEvent
  /** Names of the rules of this policy that must hit, and no others; none: the event must pass. */
  expect: readonly string[]
  span: SourceSpan
}

/** `block`: actions are taken; `observe`: they are only recorded. */
export type Mode = 'observe' | 'block'

export interface Policy {
  name: string
  description: string
  /** observe: its rules only alert. */
  mode: Mode
  containers: ContainerSelector
  rules: readonly Rule[]
  tests: readonly PolicyTest[]
  span: SourceSpan
}
