/** No act on a socket that a rule holds for is filtered out in the kernel. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endsOf } from '../../src/match/conditions/ends.js'
import { SOCKET_ACTS, type SocketAct } from '../../src/match/end-wants.js'
import { compileProgram } from '../../src/match/program.js'
import { formatIp } from '../../src/record/ip-text.js'
import { type EndFilter, lowerEnds } from '../../src/respond/lower-end.js'
import { actBit, actNumber } from '../../src/sensor/call-recipes.js'
import { Act } from '../../src/sensor/generated/abi.js'
import { conditionOf } from '../support/condition-rule.js'
import { conditionTrees, type MadeCondition } from '../support/condition-trees.js'
import { seedOf } from '../support/seed.js'
import * as generate from './generators.js'

const [TCP, UDP] = [6, 17]
const NO_SOURCES = { macro: () => undefined, list: () => undefined }

interface End {
  address: Uint8Array
  port: number
}
interface Event {
  act: SocketAct
  isInternet: boolean
  proto: number
  local: End
  remote: End
}

/** As connect__is_act_wanted() of bpf/lib/connect.bpf.h. */
function passes({ byEnd, internet, nodes }: EndFilter, { act, isInternet, proto, local, remote }: Event): boolean {
  if (!isInternet) return (internet & actBit(act)) === 0n
  if ((byEnd & actBit(act)) === 0n) return true
  const shift = BigInt(2 * (actNumber(act) - Act.SOCKET))
  const isAt = (end: End, bit: bigint) => {
    const bits = bitsOf(end.address)
    const node = nodes
      .filter(({ address, prefixBits }) => bits.startsWith(bitsOf(address).slice(0, prefixBits)))
      .sort((a, b) => b.prefixBits - a.prefixBits)[0]
    const range = node?.ranges.find(({ from, to }) => from <= end.port && end.port <= to)
    const masks =
      (proto === UDP && act !== 'listen' ? 0n : (range?.violatedTcp ?? 0n)) |
      (proto === TCP ? 0n : (range?.violatedUdp ?? 0n))
    return ((masks >> (shift + bit)) & 1n) === 1n
  }
  return isAt(local, 0n) || isAt(remote, 1n)
}

function bitsOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
}

const end: fc.Arbitrary<End> = fc.record({ address: generate.address, port: generate.port })

test('listen rules', () => {
  let violatedCount = 0
  let filteredCount = 0
  fc.assert(
    fc.property(
      generate.policiesOf(generate.refusableRule, 6),
      generate.container,
      fc.array(fc.tuple(end, generate.proto), { minLength: 20, maxLength: 20 }),
      (policies, container, events) => {
        const program = compileProgram(policies, generate.NOW_MS)
        const profile = program.profileFor(container)
        const rules = [...profile.rules].flatMap((id) => program.rules[id] ?? [])
        const listen = rules.filter((rule) => rule.kind === 'listen')
        if (listen.length === 0) return
        const filter = lowerEnds({ listen, conditions: [] })
        const hits = { rules: new Uint32Array(program.rules.length), count: 0 }
        for (const [local, proto] of events) {
          program.matchListen(profile, local.address, 0, local.port, false, hits)
          const remote = { address: new Uint8Array(16), port: 0 }
          const isReported = passes(filter, { act: 'listen', isInternet: true, proto, local, remote })
          if (!isReported) filteredCount++
          if (hits.count === 0) continue
          violatedCount++
          assert.ok(isReported, `${formatIp(local.address, false)} ${local.port}`)
        }
      },
    ),
    seedOf(400),
  )
  assert.ok(violatedCount > 100 && filteredCount > 100, `${violatedCount} violated, ${filteredCount} filtered`)
})

type Made = MadeCondition<Event>

const NETWORKS = ['10.1.0.0/16', '10.1.2.2/31', '8.8.8.8', '2001:db8::/32', '0.0.0.0/0', '::/0']
const MAPPED = `${'0'.repeat(80)}${'1'.repeat(16)}`
const isMapped = (address: Uint8Array) => bitsOf(address).startsWith(MAPPED)
function isIn(address: Uint8Array, network: string): boolean {
  if (network === '::/0') return true
  if (network === '2001:db8::/32') return bitsOf(address).startsWith(bitsOf(Uint8Array.of(0x20, 1, 0x0d, 0xb8)))
  const [host = '', length = '32'] = network.split('/')
  const bits = bitsOf(Uint8Array.from(host.split('.').map(Number)))
  return (
    isMapped(address) &&
    bitsOf(address)
      .slice(96)
      .startsWith(bits.slice(0, Number(length)))
  )
}

/** Which ends a field can be about, at the most. */
const ENDS: Readonly<Record<string, (event: Event) => End[]>> = {
  l: ({ local }) => [local],
  r: ({ remote }) => [remote],
  s: ({ local, remote }) => [local, remote],
  c: ({ local, remote }) => [local, remote],
  '': ({ local, remote }) => [local, remote],
}
const which = fc.constantFrom(...Object.keys(ENDS))
const endsFor = (name: string, event: Event) => (event.isInternet ? (ENDS[name]?.(event) ?? []) : [])
const COMPARED: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '!=': (a, b) => a !== b,
}
const socketAct = fc.constantFrom(...SOCKET_ACTS)
const TYPES: Readonly<Record<SocketAct, string>> = {
  ...{
    socket: 'socket',
    bind: 'bind',
    listen: 'listen',
    accept: 'accept4',
    send: 'sendto',
    recv: 'recvfrom',
    dup: 'dup2',
  },
}
const leaf: fc.Arbitrary<Made> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(which, fc.constantFrom('ip', 'net'), fc.constantFrom(...NETWORKS))
      .map(([name, field, network]) => {
        const isHost = !network.includes('/')
        const kind = isHost ? field : 'net'
        return {
          text: `fd.${name}${kind} = "${network}"`,
          holds: (event: Event) => endsFor(name, event).some(({ address }) => isIn(address, network)),
        }
      }),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(which, fc.constantFrom(...Object.keys(COMPARED)), generate.port)
      .map(([name, operator, port]) => ({
        text: `fd.${name}port ${operator} ${port}`,
        holds: (event: Event) => endsFor(name, event).some((each) => COMPARED[operator]?.(each.port, port)),
      })),
  },
  fc.tuple(which, generate.port, generate.port).map(([name, a, b]) => ({
    text: `fd.${name}port in (${a}, ${b})`,
    holds: (event: Event) => endsFor(name, event).some(({ port }) => port === a || port === b),
  })),
  fc.constantFrom('tcp', 'udp', 'icmp').map((proto) => ({
    text: `fd.l4proto = ${proto}`,
    holds: (event: Event) => event.isInternet && event.proto === { tcp: TCP, udp: UDP, icmp: 1 }[proto],
  })),
  fc.constantFrom('fd.typechar in ("4", "6")', 'fd.type in (ipv4, ipv6)', 'fd.sockfamily = ip').map((text) => ({
    text,
    holds: ({ isInternet }: Event) => isInternet,
  })),
  fc.constantFrom('fd.typechar = u', 'fd.type in (file, unix)').map((text) => ({
    text,
    holds: ({ isInternet }: Event) => !isInternet,
  })),
  fc.subarray([...SOCKET_ACTS], { minLength: 1 }).map((acts) => ({
    text: `evt.type in (${acts.map((act) => TYPES[act]).join(', ')})`,
    holds: ({ act }: Event) => acts.includes(act),
  })),
  fc.constant({ text: 'proc.name = x', holds: () => true }),
)
const tree = conditionTrees(leaf)
const done: fc.Arbitrary<Event> = fc.record({
  act: socketAct,
  isInternet: fc.integer({ min: 0, max: 4 }).map((value) => value > 0),
  proto: generate.proto,
  local: end,
  remote: end,
})

test('conditions', () => {
  let heldCount = 0
  let filteredCount = 0
  fc.assert(
    fc.property(tree, fc.array(done, { minLength: 20, maxLength: 20 }), ({ text, holds }, events) => {
      const { condition, eventTypes } = conditionOf(Object.values(TYPES), text)
      const filter = lowerEnds({ listen: [], conditions: endsOf(condition, NO_SOURCES, eventTypes) })
      for (const each of events) {
        const isReported = passes(filter, each)
        if (!isReported) filteredCount++
        if (!eventTypes.includes(TYPES[each.act]) || !holds(each)) continue
        heldCount++
        assert.ok(isReported, `${text} holds for ${JSON.stringify(each)}`)
      }
    }),
    seedOf(1000),
  )
  assert.ok(heldCount > 100 && filteredCount > 100, `${heldCount} held, ${filteredCount} filtered`)
})
