/**
 * Native rules for the benchmarks, from a seed. Kinds come in the proportion of the standard set (policies/standard): exec,
 * file, system calls, connect, listen; entries as public rule sets have them: mostly names and paths by equality, then prefixes, then
 * lists, then globs. Rules name things that events do not use, except a few (record-capture.ts), so that the number of hits an
 * event stays the same at every size.
 */
import {
  type ConnectRule,
  type ExecRule,
  FILE_ACCESS,
  FILE_ACCESS_ALL,
  type FilePattern,
  type FileRule,
  type ListenRule,
  type Policy,
  type Rule,
  type SyscallRule,
} from '../../src/policy/model.js'
import { parseNetEntry } from '../../src/policy/net-pattern.js'
import { parsePathPattern } from '../../src/policy/path-pattern.js'

/** mulberry32 (public domain, T. Ettinger): small, seeded, good enough to spread rules. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const SPAN = { file: 'generated', line: 1, column: 1, lengthCount: 1 }

const path = (text: string) => {
  const parsed = parsePathPattern(text)
  if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`)
  return { text: parsed.text, span: SPAN }
}

const net = (text: string) => {
  const parsed = parseNetEntry(text)
  if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`)
  return { ...parsed.net, text, span: SPAN }
}

const base = (index: number) => ({
  name: `rule ${index}`,
  policy: 'generated',
  description: '',
  exceptions: [],
  priority: 'warning' as const,
  tags: [],
  action: 'alert' as const,
  setup: false,
  enabled: true,
  span: SPAN,
})

/** Rule 0 and its like (every tenth up to 50) name what a few events do. */
function execRule(index: number, random: () => number): ExecRule {
  const number = Math.floor(random() * 1e6)
  const forms = [
    () => [`tool-${index}`, `ncat-${number}`],
    () => [`/usr/bin/agent-${index}`, `/usr/local/bin/agent-${number}`, `/opt/agent-${index}/run`],
    () => [`/opt/vendor-${index}/**`],
    () => [`/srv/app-${index}/bin/*`, `/srv/app-${number}/**/*.sh`],
    () => [`miner-${index}*`, `*-stratum-${index}`],
  ]
  const weights = [0.35, 0.7, 0.85, 0.95, 1]
  const deny = index < 50 && index % 10 === 0 ? [`tool-${index}`] : (forms[pick(weights, random)]?.() ?? [])
  const withException = random() < 0.15
  const rule = { ...base(index), kind: 'exec' as const, deny: deny.map(path) }
  return withException ? { ...rule, allow: ['/**', `/opt/vendor-${index}/safe/**`].map(path) } : rule
}

function connectRule(index: number, random: () => number): ConnectRule {
  const octet = () => 1 + Math.floor(random() * 254)
  const forms = [
    () => [`*:${10_000 + (index % 20_000)}`],
    () => [`198.${18 + (index & 1)}.${octet()}.${octet()}:443`, `203.0.113.${octet()}`],
    () => [`100.${64 + (index % 64)}.${octet()}.0/24`],
    () => [`[2001:db8:${(index % 65_535).toString(16)}::/48]:${30_000 + (index % 30_000)}`],
    () => [`*:${31_000 + (index % 900)}-${32_000 + (index % 700)}/udp`],
  ]
  const deny = forms[pick([0.3, 0.6, 0.8, 0.9, 1], random)]?.() ?? []
  const rule = { ...base(index), kind: 'connect' as const, deny: deny.map(net) }
  return random() < 0.15 ? { ...rule, allow: ['*', `198.18.${octet()}.0/24`].map(net) } : rule
}

function fileRule(index: number, random: () => number): FileRule {
  const number = Math.floor(random() * 1e6)
  const { write, create, rename, link, delete: remove } = FILE_ACCESS
  const changes = { access: write | create | rename | link, namedCount: 4 }
  const removals = { access: remove, namedCount: 1 }
  const any = { access: FILE_ACCESS_ALL, namedCount: 0 }
  const of = (text: string, access: Pick<FilePattern, 'access' | 'namedCount'>) => ({ ...path(text), ...access })
  const forms = [
    () => [of(`/etc/cron.d/job-${index}`, changes), of(`/etc/secret-${number}`, any)],
    () => [of(`/etc/service-${index}/**`, changes), of(`/opt/app-${index}/**`, changes)],
    () => [of(`**/.history-${index}`, removals), of(`**/.credentials-${number}`, any)],
    () => [of(`/home/*/.keys-${index}/id*`, changes), of(`/root/.keys-${number}/id*`, changes)],
  ]
  const deny = forms[pick([0.45, 0.75, 0.9, 1], random)]?.() ?? []
  const rule = { ...base(index), kind: 'file' as const, deny }
  return random() < 0.15 ? { ...rule, allow: [of('/**', any), of(`/etc/service-${index}/run/**`, any)] } : rule
}

function listenRule(index: number): ListenRule {
  return { ...base(index), kind: 'listen', deny: [net(`*:${10_000 + (index % 50_000)}`)] }
}

/** Calls that the events do not make. */
const RARE_CALLS = [101, 134, 153, 166, 167, 168, 169, 175, 176, 246, 248, 250, 272, 298, 304, 308, 310, 313, 320, 321]

function syscallRule(index: number, random: () => number): SyscallRule {
  const deny = new Set(Array.from({ length: 3 }, () => RARE_CALLS[Math.floor(random() * RARE_CALLS.length)] ?? 101))
  return { ...base(index), kind: 'syscall', deny }
}

function pick(weights: readonly number[], random: () => number): number {
  const value = random()
  return weights.findIndex((weight) => value < weight)
}

export function mixedRules(count: number, seed: number): Rule[] {
  const random = randomFrom(seed)
  return Array.from({ length: count }, (_, index) => {
    if (index < 50 && index % 10 === 0) return execRule(index, random)
    const kind = random()
    if (kind < 0.57) return execRule(index, random)
    if (kind < 0.8) return fileRule(index, random)
    if (kind < 0.9) return syscallRule(index, random)
    return kind < 0.97 ? connectRule(index, random) : listenRule(index)
  })
}

/**
 * The worst that rules can ask for: allow lists only, one kind of event, so that every rule has to be asked. `isViolated`: no list
 * covers anything that happens.
 */
export function hostileRules(count: number, isViolated = false): Rule[] {
  const shared = isViolated ? [] : ['/usr/**', '/bin/**', '/etc/**', '/srv/**', '/proc/**']
  return Array.from({ length: count }, (_, index) => ({
    ...base(index),
    kind: 'exec' as const,
    deny: [],
    allow: [...shared, `/opt/vendor-${index}/run`].map(path),
  }))
}

export function policyOf(rules: readonly Rule[]): Policy {
  return { name: 'generated', description: '', mode: 'observe', containers: {}, rules, tests: [], span: SPAN }
}
