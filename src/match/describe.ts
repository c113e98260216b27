/**
 * The indexes of a program as text, read back from the arrays that matching walks: what stands in them, not what the policies
 * say. Stable for equal input. Every entry shows its rank: of the entries of a rule that match, the highest decides, and on a tie deny.
 */
import { FILE_ACCESS, FILE_ACCESS_ALL, FILE_ACCESSES, type Rule } from '../policy/model.js'
import { visible } from '../policy/visible-text.js'
import type { CapabilityIndex, ConnectIndex, SyscallIndex } from './compile.js'
import type { EntryLists } from './entry-lists.js'
import type { IpNetwork } from './ip-trie.js'
import { type PathTrie, ROOTED, TOP } from './path-trie.js'

const STEP = '  '
const PROTO_NAMES: Readonly<Record<number, string>> = { 0: '', 6: '/tcp', 17: '/udp' }
/** Names of a list that are shown on a line; the rest is counted. */
const NAMES_SHOWN_COUNT = 12

export type RuleText = (rule: number) => string

export function ruleTextOf(rules: readonly Rule[]): RuleText {
  const isOne = new Set(rules.map(({ policy }) => policy)).size === 1
  return (id) => {
    const { policy = '', name = '' } = rules[id] ?? {}
    return visible(isOne ? name : `${policy}: ${name}`)
  }
}

/** `more` says what an entry is limited to. */
export function describeList(
  lists: EntryLists,
  list: number,
  ruleText: RuleText,
  more: (proto: number) => string = () => '',
): string[] {
  const from = lists.from[list] ?? 0
  const to = lists.from[list + 1] ?? from
  return Array.from({ length: to - from }, (_, index) => {
    const at = from + index
    return entryText(lists.codes[at] ?? 0, ruleText(lists.rules[at] ?? 0), more(lists.protos[at] ?? 0))
  })
}

export function entryText(code: number, rule: string, more = ''): string {
  return `${(code & 1) === 1 ? 'deny' : 'allow'}${more} (rank ${code >> 1}) ${rule}`
}

/** One line a node where something branches or ends; a chain without branches is one line. */
export function describePaths(trie: PathTrie, entriesOf: (terminal: number) => string[]): string[] {
  const lines: string[] = []
  const edges = edgesOf(trie)
  const visit = (node: number, text: string, depth: number) => {
    const below = edges(node)
    const terminal = trie.flat.terminal[node] ?? -1
    const [only] = below
    if (terminal === -1 && below.length === 1 && only !== undefined && node !== TOP) {
      visit(only.child, join(text, only.text), depth)
      return
    }
    const entries = terminal === -1 ? [] : entriesOf(terminal)
    lines.push(`${STEP.repeat(depth)}${text}${entries.length === 0 ? '' : `: ${entries.join('; ')}`}`)
    for (const edge of below) visit(edge.child, edge.text, depth + 1)
  }
  if (edges(ROOTED).length > 0 || (trie.flat.terminal[ROOTED] ?? -1) !== -1) visit(ROOTED, '/', 0)
  for (const { text, child } of edges(TOP)) visit(child, text, 0)
  return lines
}

function join(text: string, next: string): string {
  return text.endsWith('/') ? text + next : `${text}/${next}`
}

interface Edge {
  readonly text: string
  readonly child: number
}

/** Literals, then globs, then `*`, then `**`: from the more specific on. */
function edgesOf({ flat }: PathTrie): (node: number) => Edge[] {
  const literals = new Map<number, Edge[]>()
  for (const [slot, node] of flat.slotNode.entries()) {
    if (node === -1) continue
    const offset = flat.slotOffset[slot] ?? 0
    const bytes = flat.pool.subarray(offset, offset + (flat.slotLength[slot] ?? 0))
    push(literals, node, { text: visible(new TextDecoder().decode(bytes)), child: flat.slotChild[slot] ?? -1 })
  }
  const groups = new Map<number, Edge[]>()
  for (const [slot, group] of flat.bucketGroup.entries())
    for (let at = flat.bucketFrom[slot] ?? 0; group !== -1 && at < (flat.bucketTo[slot] ?? 0); at++) {
      const glob = flat.candidateGlob[at] ?? 0
      push(groups, group, { text: flat.globs.textOf(glob), child: flat.candidateChild[at] ?? -1 })
    }
  const sorted = (edges: readonly Edge[]) => [...edges].sort((a, b) => (a.text < b.text ? -1 : 1))
  return (node) => {
    const [from = 0, to = 0] = flat.groupFrom.subarray(node, node + 2)
    const globs = Array.from({ length: to - from }, (_, index) => groups.get(from + index) ?? []).flat()
    const [star = -1, deep = -1] = [flat.star[node], flat.deep[node]]
    return [
      ...sorted(literals.get(node) ?? []),
      ...sorted(globs),
      ...(star === -1 ? [] : [{ text: '*', child: star }]),
      ...(deep === -1 ? [] : [{ text: '**', child: deep }]),
    ]
  }
}

function push(into: Map<number, Edge[]>, key: number, edge: Edge): void {
  const list = into.get(key)
  if (list === undefined) into.set(key, [edge])
  else list.push(edge)
}

/** Below each network those that it contains; its entries by port. */
export function describeNetworks({ trie, ports }: ConnectIndex, ruleText: RuleText): string[] {
  return trie.networks().flatMap((network) => {
    const indent = STEP.repeat(network.depth)
    const rows = ports.intervals(network.id).map(({ from, to, lists }) => {
      const entries = lists.flatMap((list) =>
        describeList(ports.lists, list, ruleText, (proto) => PROTO_NAMES[proto] ?? `/${proto}`),
      )
      return { ports: portText(from, to), entries: entries.sort().join('; ') }
    })
    const told = rows.filter(({ entries }) => entries !== '')
    return [`${indent}${networkText(network)}`, ...told.map((row) => `${indent}${STEP}${row.ports}: ${row.entries}`)]
  })
}

function portText(from: number, to: number): string {
  if (from === 0 && to === 0xffff) return 'every port'
  return from === to ? `port ${from}` : `ports ${from}-${to}`
}

function networkText({ words, bits, ipv6Only }: IpNetwork): string {
  if (bits === 0) return ipv6Only ? '::/0' : '*'
  const octets = words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255])
  if (bits >= 96 && words[0] === 0 && words[1] === 0 && words[2] === 0xffff)
    return `${octets.slice(12).join('.')}/${bits - 96}`
  const groups = Array.from({ length: 8 }, (_, at) => ((octets[at * 2] ?? 0) << 8) | (octets[at * 2 + 1] ?? 0))
  return `${ipv6Text(groups)}/${bits}`
}

/** The longest run of zeros, of two and more, is left out (RFC 5952). */
function ipv6Text(groups: readonly number[]): string {
  let [best, length] = [-1, 1]
  for (const from of groups.keys()) {
    let to = from
    while (to < groups.length && groups[to] === 0) to++
    if (to - from > length) [best, length] = [from, to - from]
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':')
  return best === -1 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + length))}`
}

/** Numbers that rules allow or deny by name. */
export function describeNumbers(
  { denied, allowed }: SyscallIndex | CapabilityIndex,
  nameOf: (number: number) => string,
  count: number,
  ruleText: RuleText,
): string[] {
  const lines: string[] = []
  for (let number = 0; number < count; number++) {
    const entries = describeList(denied, number, (rule) => ruleText(rule)).map((entry) =>
      entry.replace(' (rank 0)', ''),
    )
    if (entries.length > 0) lines.push(`${nameOf(number)}: ${entries.join('; ')}`)
  }
  const words = count / 32
  for (let rule = 0; rule * words < allowed.length; rule++) {
    const names: string[] = []
    for (let number = 0; number < count; number++)
      if ((((allowed[rule * words + (number >>> 5)] ?? 0) >>> (number & 31)) & 1) === 1) names.push(nameOf(number))
    if (names.length > 0) lines.push(`${shortened(names)}: allow ${ruleText(rule)}`)
  }
  return lines
}

function shortened(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN_COUNT).join(', ')
  return names.length > NAMES_SHOWN_COUNT ? `${shown} and ${names.length - NAMES_SHOWN_COUNT} more` : shown
}

/** Accesses of a file entry; all: nothing is said. */
export function accessText(mask: number): string {
  if (mask === FILE_ACCESS_ALL) return ''
  return ` ${FILE_ACCESSES.filter((access) => (mask & FILE_ACCESS[access]) !== 0).join('+')}`
}

/** Rules that compare readings; conditions are a program of their own. */
export function describeBounds(rules: readonly Rule[], ruleText: RuleText): string[] {
  return rules.flatMap((rule, id) => {
    const bound = boundText(rule)
    return bound === undefined ? [] : [`${bound}: ${ruleText(id)}`]
  })
}

function boundText(rule: Rule): string | undefined {
  const held = (forMs: number) => (forMs === 0 ? '' : ` for ${forMs / 1000} s`)
  switch (rule.kind) {
    case 'memory':
      return `memory above ${rule.maxBytes} bytes${held(rule.forMs)}`
    case 'cpu':
      return `cpu above ${rule.maxMillicores / 1000} cores${held(rule.forMs)}`
    case 'pids':
      return `more than ${rule.maxCount} processes and threads${held(rule.forMs)}`
    case 'runtime':
      return `runs longer than ${rule.maxMs / 1000} s`
    default:
      return undefined
  }
}

/** Those that have lines, each below its title. */
export function sections(all: readonly (readonly [title: string, lines: readonly string[]])[]): string {
  return all
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => `${title}\n${lines.map((line) => `${STEP}${line}\n`).join('')}`)
    .join('')
}
