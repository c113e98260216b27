/**
 * Connect rules, and listen rules by themselves -> one node per network for the kernel's LPM trie. The trie returns only the longest network, so a node
 * is resolved for all rules, entries of the networks around it included: sorted, disjoint port ranges that cover
 * 0..65535, each with the rules it violates over TCP and over UDP.
 */
import type { NetLists as NetRule } from '../match/end-wants.js'
import { EXEMPT_NET, netRank } from '../match/specificity.js'
import type { RuleId } from '../match/types.js'
import type { NetPattern } from '../policy/model.js'

/** HG_CONNECT_RANGES of bpf/abi.h. */
export const RANGES_MAX_COUNT = 32
/** Each network is a node of 784 bytes per profile; a longer list is cheaper in user space's trie. */
const ENTRIES_MAX_COUNT = 1024
const PORTS = 65536
const MAPPED = { network: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]), prefixBits: 96 }
const EVERYWHERE = { network: new Uint8Array(16), prefixBits: 0 }

export interface ConnectRange {
  /** Inclusive. */
  readonly from: number
  readonly to: number
  readonly violatedTcp: bigint
  readonly violatedUdp: bigint
}

export interface ConnectNode {
  /** 16 bytes, IPv4 mapped. */
  readonly address: Uint8Array
  readonly prefixBits: number
  readonly ranges: readonly ConnectRange[]
}

export interface LoweredConnect {
  readonly dropped: readonly { id: RuleId; reason: string }[]
  nodesFor(bitOf: (id: RuleId) => bigint): ConnectNode[]
}

interface Lowerable {
  readonly id: RuleId
  readonly rule: NetRule
}

type Network = Pick<NetPattern, 'network' | 'prefixBits'>

interface Segment {
  readonly from: number
  readonly tcp: boolean
  readonly udp: boolean
}

interface RankedEntry {
  readonly net: NetPattern
  readonly deny: boolean
  readonly rank: number
}

interface ResolvedNode {
  readonly network: Network
  readonly segments: readonly { id: RuleId; list: readonly Segment[] }[]
}

export function whyNotConnect(rule: NetRule): string | undefined {
  if (rule.exceptions.some(({ condition }) => condition !== undefined)) return 'an exception of it is a condition'
  return entriesOf(rule).length > ENTRIES_MAX_COUNT ? `it has more than ${ENTRIES_MAX_COUNT} entries` : undefined
}

/** Drops the rule with the most port ranges until every node has room for its ranges. */
export function lowerConnect(rules: readonly Lowerable[]): LoweredConnect {
  const kept = [...rules]
  const dropped: { id: RuleId; reason: string }[] = []
  for (;;) {
    const resolved = resolveNodes(kept)
    if (!('overfull' in resolved)) return { dropped, nodesFor: (bitOf) => resolved.map((node) => toNode(node, bitOf)) }
    const at = kept.findIndex(({ id }) => id === resolved.overfull)
    kept.splice(at, 1)
    dropped.push({ id: resolved.overfull, reason: `a network would have more than ${RANGES_MAX_COUNT} port ranges` })
  }
}

function resolveNodes(rules: readonly Lowerable[]): ResolvedNode[] | { overfull: RuleId } {
  const nodes: ResolvedNode[] = []
  for (const network of networksOf(rules)) {
    const segments = rules.map(({ id, rule }) => ({ id, list: segmentsOf(rule, network) }))
    if (boundaries(segments).length > RANGES_MAX_COUNT) {
      const widest = segments.reduce((most, next) => (next.list.length > most.list.length ? next : most))
      return { overfull: widest.id }
    }
    nodes.push({ network, segments })
  }
  return nodes
}

/** Every network that an entry names; the one of all addresses; and IPv4's, where an IPv6 entry reaches around it. */
function networksOf(rules: readonly Lowerable[]): Network[] {
  if (rules.length === 0) return []
  const entries = rules.flatMap(({ rule }) => entriesOf(rule))
  const around = entries.some(({ net }) => net.ipv6Only) ? [MAPPED] : []
  const byKey = new Map<string, Network>()
  for (const network of [EVERYWHERE, ...around, ...entries.map(({ net }) => net)])
    byKey.set(`${network.network.join('.')}/${network.prefixBits}`, network)
  return [...byKey.values()]
}

/** Exceptions rank above what the rule says itself. */
function entriesOf({ allow, deny, exceptions }: NetRule): RankedEntry[] {
  return [
    ...(allow ?? []).map((net) => ({ net, deny: false, rank: netRank(net) })),
    ...deny.map((net) => ({ net, deny: true, rank: netRank(net) })),
    ...exceptions.flatMap(({ match }) => match).map((net) => ({ net, deny: false, rank: EXEMPT_NET })),
  ]
}

/** What the rule says of each port at an address whose longest network is `node`; neighbours that say the same are one. */
function segmentsOf(rule: NetRule, node: Network): Segment[] {
  const byDefault = rule.allow !== undefined
  const entries = entriesOf(rule)
    .filter(({ net }) => covers(net, node))
    .sort((a, b) => b.rank - a.rank || Number(b.deny) - Number(a.deny))
  const starts = new Set([0])
  for (const { net } of entries) {
    starts.add(net.portFrom)
    if (net.portTo + 1 < PORTS) starts.add(net.portTo + 1)
  }
  const ordered = [...starts].sort((a, b) => a - b)
  const tcp = verdictsOf('tcp', entries, ordered)
  const udp = verdictsOf('udp', entries, ordered)
  const segments: Segment[] = []
  for (const [at, from] of ordered.entries()) {
    const segment = { from, tcp: tcp[at] ?? byDefault, udp: udp[at] ?? byDefault }
    const last = segments.at(-1)
    if (last === undefined || last.tcp !== segment.tcp || last.udp !== segment.udp) segments.push(segment)
  }
  return segments
}

/** By start of a segment what the first entry says that covers it; undefined: none does. Each segment is visited once. */
function verdictsOf(
  proto: 'tcp' | 'udp',
  entries: readonly RankedEntry[],
  starts: readonly number[],
): readonly (boolean | undefined)[] {
  const placeOf = new Map(starts.map((start, at) => [start, at]))
  const verdicts = new Array<boolean | undefined>(starts.length)
  /** At or after each segment the next without a verdict, as far as is known. */
  const next = Array.from({ length: starts.length + 1 }, (_, at) => at)
  const open = (at: number): number => {
    let found = at
    while (next[found] !== found) found = next[found] as number
    for (let step = at; step !== found; ) {
      const follows = next[step] as number
      next[step] = found
      step = follows
    }
    return found
  }
  for (const { net, deny } of entries) {
    if (net.proto !== 'any' && net.proto !== proto) continue
    const end = placeOf.get(net.portTo + 1) ?? starts.length
    for (let at = open(placeOf.get(net.portFrom) ?? 0); at < end; at = open(at)) {
      verdicts[at] = deny
      next[at] = at + 1
    }
  }
  return verdicts
}

function covers(net: NetPattern, node: Network): boolean {
  if (net.prefixBits > node.prefixBits || (net.ipv6Only && isPrefixOf(MAPPED, node))) return false
  return isPrefixOf(net, node)
}

function isPrefixOf(outer: Network, inner: Network): boolean {
  if (outer.prefixBits > inner.prefixBits) return false
  const whole = outer.prefixBits >>> 3
  for (let at = 0; at < whole; at++) if (outer.network[at] !== inner.network[at]) return false
  const rest = outer.prefixBits & 7
  return rest === 0 || ((outer.network[whole] ?? 0) ^ (inner.network[whole] ?? 0)) >>> (8 - rest) === 0
}

function boundaries(segments: ResolvedNode['segments']): number[] {
  const starts = new Set(segments.flatMap(({ list }) => list.map(({ from }) => from)))
  return [...starts].sort((a, b) => a - b)
}

function toNode({ network, segments }: ResolvedNode, bitOf: (id: RuleId) => bigint): ConnectNode {
  const starts = boundaries(segments)
  const ranges = starts.map((from, at) => {
    let violatedTcp = 0n
    let violatedUdp = 0n
    for (const { id, list } of segments) {
      const segment = list.findLast((candidate) => candidate.from <= from)
      if (segment?.tcp === true) violatedTcp |= bitOf(id)
      if (segment?.udp === true) violatedUdp |= bitOf(id)
    }
    return { from, to: (starts[at + 1] ?? PORTS) - 1, violatedTcp, violatedUdp }
  })
  return { address: network.network, prefixBits: network.prefixBits, ranges }
}
