/**
 * A policy after parsing and checking: what match/ compiles and respond/ lowers. Everything in it is valid by construction
 * (the loader refused the rest with diagnostics), so later stages have no error path for user input.
 */
import type { Action, Priority } from '../record/model.js'

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

interface RuleBase {
  name: string
  policy: string
  priority: Priority
  tags: readonly string[]
  /** What the rule asks for; the agent's and the policy's mode are the ceiling at run time. */
  action: Action
  /** true: also judged while a task is in phase `setup`. */
  setup: boolean
  enabled: boolean
  span: SourceSpan
}

/** allow undefined: no allow list, what no entry covers is fine. allow []: nothing is allowed. */
export interface ExecRule extends RuleBase {
  kind: 'exec'
  allow?: readonly PathPattern[]
  deny: readonly PathPattern[]
}

export interface ConnectRule extends RuleBase {
  kind: 'connect'
  allow?: readonly NetPattern[]
  deny: readonly NetPattern[]
}

/** Native (64-bit) syscall numbers. A call through another ABI is outside every allow set, and denied when the same-named native call is. */
export interface SyscallRule extends RuleBase {
  kind: 'syscall'
  allow?: ReadonlySet<number>
  deny: ReadonlySet<number>
}

export interface MemoryRule extends RuleBase {
  kind: 'memory'
  maxBytes: number
  /** How long usage must stay above before the rule hits; 0: at the first sample above. */
  forMs: number
}

export type Rule = ExecRule | ConnectRule | SyscallRule | MemoryRule
export type RuleKind = Rule['kind']

/**
 * All given fields must hold; no field given: every container. A list holds when any of its plain entries matches (or it
 * has none) and none of its `!` entries does. Globs: `*` any run (also `/`), `?` one character.
 */
export interface ContainerSelector {
  id?: readonly string[]
  name?: readonly string[]
  image?: readonly string[]
  runtime?: readonly string[]
  /** Label key -> patterns of its value. */
  labels?: Readonly<Record<string, readonly string[]>>
}

export interface Policy {
  name: string
  description: string
  /** observe: its rules only alert. */
  mode: 'observe' | 'block'
  containers: ContainerSelector
  rules: readonly Rule[]
  span: SourceSpan
}
