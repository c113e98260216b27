/**
 * Rules -> the indexes a program matches with: one path trie for all exec rules, one address trie for all connect rules,
 * one table by number for all syscall rules.
 */

import { CAPABILITIES_MAX } from '../policy/capabilities.js'
import type { NetPattern, PathPattern, Policy, Rule } from '../policy/model.js'
import { PORT_MAX } from '../policy/net-pattern.js'
import { type ParsedPath, pathOf } from '../policy/path-pattern.js'
import { SYSCALL_NUMBERS_MAX } from '../policy/syscalls.js'
import { type Entry, type EntryLists, flattenLists } from './entry-lists.js'
import { withLiveExceptions } from './exceptions.js'
import { fileDefaults } from './file-rules.js'
import { IpTrie } from './ip-trie.js'
import type { PathTrie } from './path-trie.js'
import { PathTrieBuilder } from './path-trie-builder.js'
import { PortIndex } from './port-index.js'
import { codeOf, EXEMPT, EXEMPT_NET, isCatchAll, netRank, pathRank, places } from './specificity.js'
import type { Steps } from './steps.js'

export interface ExecIndex {
  readonly trie: PathTrie
  /** By terminal of the trie. */
  readonly lists: EntryLists
  /** Code of the entries of exceptions; -1: there are none. */
  readonly exemptCode: number
}

export interface ConnectIndex {
  readonly trie: IpTrie
  /** By network of the trie. */
  readonly ports: PortIndex
}

export interface SyscallIndex {
  /** By native number: the rules that deny the call. */
  readonly denied: EntryLists
  /** By rule: its allow list as bits, SYSCALL_WORDS words a rule; empty for other rules. */
  readonly allowed: Uint32Array
}

export interface CapabilityIndex {
  /** By capability: the rules that deny it. */
  readonly denied: EntryLists
  /** By rule: its allow list as bits, two words a rule; empty for other rules. */
  readonly allowed: Uint32Array
}

export const SYSCALL_WORDS = SYSCALL_NUMBERS_MAX / 32

const IPPROTO_TCP = 6
const IPPROTO_UDP = 17
const PROTOS: Record<NetPattern['proto'], number> = { any: 0, tcp: IPPROTO_TCP, udp: IPPROTO_UDP }

/** Rules that name acts one by one, in lists that allow and deny. */
export type ListRule = Extract<Rule, { deny: unknown }>

export function isListRule(rule: Rule): rule is ListRule {
  return 'deny' in rule
}

/** What becomes of an act that no other entry of the rule names: true when that violates the rule. Rules without entries: never. */
export function hitsByDefault(rule: Rule): boolean {
  if (!isListRule(rule)) return false
  if (rule.kind === 'file') return fileDefaults(rule) !== 0
  if (rule.kind !== 'exec' && rule.kind !== 'connect' && rule.kind !== 'listen') return rule.allow !== undefined
  const namesAll =
    rule.kind === 'exec'
      ? { allowed: rule.allow?.some(isAnyPath) === true, denied: rule.deny.some(isAnyPath) }
      : { allowed: rule.allow?.some(isAnyNet) === true, denied: rule.deny.some(isAnyNet) }
  return namesAll.denied || (rule.allow !== undefined && !namesAll.allowed)
}

/**
 * An entry that covers everything is the least specific there is, so it is not in the index: it sets what holds where no
 * other entry matches. A rule that begins with such an entry then costs nothing on events it does not otherwise name.
 */
function isAnyPath({ text }: PathPattern): boolean {
  return isCatchAll(pathOf(text))
}

function isAnyNet(net: NetPattern): boolean {
  return net.prefixBits === 0 && !net.ipv6Only && net.portFrom === 0 && net.portTo === PORT_MAX && net.proto === 'any'
}

/** All rules of all policies, in the order given: RuleId is the place. Of exceptions only those that count at that time. */
export function rulesOf(policies: readonly Policy[], nowMs: number): Rule[] {
  return policies.flatMap(({ rules }) => rules.map((rule) => withLiveExceptions(rule, nowMs)))
}

export function* compileExec(rules: readonly Rule[]): Steps<ExecIndex> {
  const entries: { rule: number; path: ParsedPath; deny: boolean; rank: string }[] = []
  const add = (rule: number, text: string, deny: boolean) => {
    const path = pathOf(text)
    if (!isCatchAll(path)) entries.push({ rule, path, deny, rank: pathRank(path) })
  }
  for (const [id, rule] of rules.entries()) {
    if (rule.kind !== 'exec') continue
    for (const { text } of rule.allow ?? []) add(id, text, false)
    for (const { text } of rule.deny) add(id, text, true)
    for (const { match } of rule.exceptions)
      for (const { text } of match) entries.push({ rule: id, path: pathOf(text), deny: false, rank: EXEMPT })
    yield
  }
  const placeOf = places(entries.map(({ rank }) => rank))
  const builder = new PathTrieBuilder()
  const lists: Entry[][] = []
  for (const { rule, path, deny, rank } of entries) {
    const entry = { rule, code: codeOf(placeOf.get(rank) ?? 0, deny), proto: 0 }
    const terminal = builder.add(path)
    const list = lists[terminal]
    if (list === undefined) lists[terminal] = [entry]
    else list.push(entry)
    yield
  }
  const exempt = placeOf.get(EXEMPT)
  return {
    trie: yield* builder.build(),
    lists: flattenLists(lists),
    exemptCode: exempt === undefined ? -1 : codeOf(exempt, false),
  }
}

/** Of one of the two kinds whose entries are addresses and ports. */
export function* compileNet(rules: readonly Rule[], kind: 'connect' | 'listen'): Steps<ConnectIndex> {
  const entries: { rule: number; net: NetPattern; deny: boolean; rank: number }[] = []
  for (const [id, rule] of rules.entries()) {
    if (rule.kind !== kind) continue
    const add = (net: NetPattern, deny: boolean) => {
      if (!isAnyNet(net)) entries.push({ rule: id, net, deny, rank: netRank(net) })
    }
    for (const net of rule.allow ?? []) add(net, false)
    for (const net of rule.deny) add(net, true)
    for (const { match } of rule.exceptions)
      for (const net of match) entries.push({ rule: id, net, deny: false, rank: EXEMPT_NET })
    yield
  }
  const placeOf = places(entries.map(({ rank }) => rank))
  const networks = new Map<string, { net: NetPattern; list: (Entry & { portFrom: number; portTo: number })[] }>()
  for (const { rule, net, deny, rank } of entries) {
    const key = `${net.network.join('.')}/${net.prefixBits}/${net.ipv6Only}`
    const network = networks.get(key) ?? { net, list: [] }
    networks.set(key, network)
    const code = codeOf(placeOf.get(rank) ?? 0, deny)
    network.list.push({ rule, code, proto: PROTOS[net.proto], portFrom: net.portFrom, portTo: net.portTo })
    yield
  }
  const all = [...networks.values()]
  const trie = new IpTrie(all.map(({ net }) => net))
  yield
  return { trie, ports: new PortIndex(all.map(({ list }) => list)) }
}

/** A number (of a call, a capability) -> the rules that deny it, and per rule what it allows. Exceptions are in the sets already. */
export function compileCapability(rules: readonly Rule[]): CapabilityIndex {
  const denied: Entry[][] = Array.from({ length: CAPABILITIES_MAX }, () => [])
  const allowed = new Uint32Array(rules.some(({ kind }) => kind === 'capability') ? rules.length * 2 : 0)
  for (const [id, rule] of rules.entries()) {
    if (rule.kind !== 'capability') continue
    for (const number of rule.deny) denied[number]?.push({ rule: id, code: 1, proto: 0 })
    for (const number of rule.allow ?? []) {
      const word = id * 2 + (number >>> 5)
      allowed[word] = (allowed[word] ?? 0) | (1 << (number & 31))
    }
  }
  return { denied: flattenLists(denied), allowed }
}

export function compileSyscall(rules: readonly Rule[]): SyscallIndex {
  const denied: Entry[][] = Array.from({ length: SYSCALL_NUMBERS_MAX }, () => [])
  const allowed = new Uint32Array(rules.some(({ kind }) => kind === 'syscall') ? rules.length * SYSCALL_WORDS : 0)
  for (const [id, rule] of rules.entries()) {
    if (rule.kind !== 'syscall') continue
    for (const nr of rule.deny) denied[nr]?.push({ rule: id, code: 1, proto: 0 })
    for (const nr of rule.allow ?? []) {
      const word = id * SYSCALL_WORDS + (nr >>> 5)
      allowed[word] = (allowed[word] ?? 0) | (1 << (nr & 31))
    }
  }
  return { denied: flattenLists(denied), allowed }
}
