/**
 * Which acts on sockets a condition can hold for: the kernel need not report the others. Always as many as those for which it does
 * hold, or more: what is not understood here is taken to hold for every act.
 */
import type { Check, Expression } from '../../policy/condition/ast.js'
import { PORT_MAX, parseHost } from '../../policy/net-pattern.js'
import { findEventType } from '../../record/fields/events.js'
import { type EndWant, isSocketAct, type Reach, SOCKET_ACTS_ALL, socketActBit } from '../end-wants.js'
import { type BoundSources, both, boundOf, isEquality, textsOf } from './bounds.js'

const ALL = { acts: SOCKET_ACTS_ALL, isInternet: true, isOther: true }
const EVERY: readonly EndWant[] = [ALL]
/** A field of an end is there only with a socket of IPv4 or IPv6. */
const INTERNET = { ...ALL, isOther: false }
const OTHER = { ...ALL, isInternet: false }
const ANYWHERE: Reach = {
  ...{ network: new Uint8Array(16), prefixBits: 0, ipv6Only: false },
  ...{ portFrom: 0, portTo: PORT_MAX, proto: 'any' },
}
/** The server is the near end of some acts and the lower port of others, the client the one that is left: either. */
const END_FIELD = /^fd\.(l|r|s|c|)(ip|net|port)$/
const INTERNET_NAMES: ReadonlySet<string> = new Set(['4', '6', 'ipv4', 'ipv6', 'ip'])

/** `eventTypes`: those that the condition is asked about. */
export function endsOf(
  expression: Expression,
  sources: BoundSources,
  eventTypes: readonly string[],
): readonly EndWant[] {
  const bound = {
    every: EVERY,
    meet,
    merged,
    ofCheck: (check: Check) => endsOfCheck(check, sources),
    besideCheck: () => EVERY,
  }
  return both(boundOf(expression, sources, bound), endsOfTypes(eventTypes), bound)
}

function endsOfTypes(names: readonly string[]): readonly EndWant[] {
  const acts = names.reduce((mask, name) => {
    const kind = findEventType(name)?.kind
    return kind !== undefined && isSocketAct(kind) ? mask | socketActBit(kind) : mask
  }, 0)
  return acts === 0 ? [] : [{ ...ALL, acts }]
}

function endsOfCheck(check: Check, sources: BoundSources): readonly EndWant[] {
  const { left, right, operator, modifier } = check
  if (left.kind !== 'field' || left.argument !== undefined || modifier !== undefined || right === undefined)
    return EVERY
  const values = right.kind === 'number' ? [right.text] : textsOf(right, sources)
  if (values === undefined) return EVERY
  const end = END_FIELD.exec(left.name)
  if (end !== null)
    return ofEnd(end[1] ?? '', end[2] === 'port' ? portsOf(operator, values) : hostsOf(operator, values))
  if (!isEquality(operator)) return EVERY
  switch (left.name) {
    case 'evt.type':
      return endsOfTypes(values)
    case 'fd.type':
    case 'fd.typechar':
    case 'fd.sockfamily':
      return merged(values.map((value) => (INTERNET_NAMES.has(value) ? INTERNET : OTHER)))
    case 'fd.l4proto': {
      const protos = values.flatMap((value) => (value === 'tcp' || value === 'udp' ? ([value] as const) : []))
      // what is neither has no ports of its own to look up
      if (protos.length !== values.length) return [INTERNET]
      return protos.map((proto): EndWant => ({ ...INTERNET, local: { ...ANYWHERE, proto } }))
    }
    default:
      return EVERY
  }
}

function ofEnd(which: string, reaches: readonly Reach[] | undefined): readonly EndWant[] {
  if (reaches === undefined) return EVERY
  return reaches.flatMap((reach) => [
    ...(which === 'r' ? [] : [{ ...INTERNET, local: reach }]),
    ...(which === 'l' ? [] : [{ ...INTERNET, remote: reach }]),
  ])
}

/** Undefined: not known. */
function portsOf(operator: string, values: readonly string[]): readonly Reach[] | undefined {
  const reaches = values.map((value) => {
    if (!/^\d{1,5}$/.test(value)) return undefined
    const port = Number(value)
    const range = isEqualTo(operator)
      ? [port, port]
      : { '<': [0, port - 1], '<=': [0, port], '>': [port + 1, PORT_MAX], '>=': [port, PORT_MAX] }[operator]
    if (range === undefined) return undefined
    const [portFrom = 0, portTo = PORT_MAX] = range
    return { ...ANYWHERE, portFrom, portTo: Math.min(portTo, PORT_MAX) }
  })
  if (!reaches.every((reach) => reach !== undefined)) return undefined
  return reaches.filter(({ portFrom, portTo }) => portFrom <= portTo)
}

const isEqualTo = (operator: string) => operator === '=' || operator === '==' || operator === 'in'

function hostsOf(operator: string, values: readonly string[]): readonly Reach[] | undefined {
  if (!isEqualTo(operator)) return undefined
  const reaches = values.map((value) => {
    const host = parseHost(value)
    return host.ok ? { ...ANYWHERE, ...host.net, ipv6Only: false } : undefined
  })
  return reaches.every((reach) => reach !== undefined) ? reaches : undefined
}

function meet(a: EndWant, b: EndWant): readonly EndWant[] {
  const acts = a.acts & b.acts
  const isInternet = a.isInternet && b.isInternet
  const isOther = a.isOther && b.isOther
  const local = meetReach(a.local, b.local)
  const remote = meetReach(a.remote, b.remote)
  if (acts === 0 || !(isInternet || isOther) || local === null || remote === null) return []
  return [{ acts, isInternet, isOther, ...(local && { local }), ...(remote && { remote }) }]
}

/** Null: nothing is in both. */
function meetReach(a: Reach | undefined, b: Reach | undefined): Reach | undefined | null {
  if (a === undefined || b === undefined) return a ?? b
  const [wide, narrow] = a.prefixBits <= b.prefixBits ? [a, b] : [b, a]
  const portFrom = Math.max(a.portFrom, b.portFrom)
  const portTo = Math.min(a.portTo, b.portTo)
  const isApart = a.proto !== 'any' && b.proto !== 'any' && a.proto !== b.proto
  if (portFrom > portTo || isApart || !contains(wide, narrow)) return null
  return { ...narrow, portFrom, portTo, proto: a.proto === 'any' ? b.proto : a.proto }
}

function contains(wide: Reach, narrow: Reach): boolean {
  const whole = wide.prefixBits >>> 3
  for (let at = 0; at < whole; at++) if (wide.network[at] !== narrow.network[at]) return false
  const rest = wide.prefixBits & 7
  return rest === 0 || ((wide.network[whole] ?? 0) ^ (narrow.network[whole] ?? 0)) >>> (8 - rest) === 0
}

function merged(wants: readonly EndWant[]): readonly EndWant[] {
  const known = new Map<string, EndWant>()
  for (const want of wants) {
    const key = [keyOf(want.local), keyOf(want.remote), want.isInternet, want.isOther].join(' ')
    known.set(key, { ...want, acts: (known.get(key)?.acts ?? 0) | want.acts })
  }
  return [...known.values()]
}

function keyOf(reach: Reach | undefined): string {
  if (reach === undefined) return ''
  const { network, prefixBits, portFrom, portTo, proto } = reach
  return `${network.join('.')}/${prefixBits}:${portFrom}-${portTo}/${proto}`
}
