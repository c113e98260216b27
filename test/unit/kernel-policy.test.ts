/** src/respond/kernel-policy.ts: in which order a profile's entries come into the kernel and leave it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileProgram } from '../../src/match/program.js'
import { loadPolicies } from '../../src/policy/load.js'
import { HOST } from '../../src/record/model.js'
import { BREAKER_DEFAULTS, CircuitBreaker } from '../../src/respond/breaker.js'
import { type ActFilter, KernelPolicy } from '../../src/respond/kernel-policy.js'
import type { Accounts } from '../../src/respond/lower-said.js'
import {
  ABIS,
  AtEnd,
  decodeMapCallsAtEnd,
  decodeMapFilter,
  decodeMapProfile,
  decodeMapSyscallsIgnored,
  FILTERS,
  type MapFilter,
} from '../../src/sensor/generated/abi.js'
import { ALL_REFUSALS } from '../../src/sensor/refusals.js'
import type { Sensor } from '../../src/sensor/sensor.js'

const POLICY = `policy: p
mode: block
containers: all
rules:
  - { rule: execs, exec: { allow: ["/bin/**", sh, /sbin/init] }, action: kill }
  - { rule: files, file: { deny: ["/etc/**", /etc/shadow] }, action: deny }
  - { rule: connects, connect: { deny: ["10.0.0.0/8"] }, action: deny }
  - { rule: mounts, mount: { deny: [{ target: /host }] }, action: deny }
  - { rule: gains, capability: { deny: [sys_admin] }, action: deny }
  - { rule: calls, syscall: { deny: [ptrace] }, action: kill }
`
/** Without an entry in these a hook that has found the profile takes an act for one that nobody wants. */
const FILTER_MAPS = ['place_prefixes', 'end_nodes']

/** They hold no entries of a profile's own. */
const OF_ALL_PROFILES = ['budgets', 'calls_at_end', 'filters']

const FILTER: ActFilter = {
  places: { classes: 1, prefixes: ['/etc', '/etc/'].map((path) => ({ path: Buffer.from(path), classes: 1 })) },
  ends: {
    byEnd: 1n,
    internet: 0n,
    nodes: [{ address: new Uint8Array(16), prefixBits: 0, ranges: [] }],
  },
  users: [],
}

/** A sensor of which nothing waits, and a kernel that has not acted. */
const AT_REST = { lookup: () => true, position: 0, hasWaiting: false, isHandled: () => true }

interface KernelOptions {
  /** The map that is full. */
  refuses: string
  policy: string
  accounts: Accounts
}

/** What the kernel is told, in order: `map` and the key. */
function makeKernel({ refuses = '', policy = POLICY, accounts }: Partial<KernelOptions> = {}) {
  const entries = new Set<string>()
  const removed: string[] = []
  const nameOf = (map: string, key: Uint8Array) => `${map} ${Buffer.from(key).toString('hex')}`
  const sensor = {
    ...AT_REST,
    refusals: ALL_REFUSALS,
    update(map: string, key: Uint8Array) {
      if (map === refuses) throw new Error('full')
      if (!OF_ALL_PROFILES.includes(map)) entries.add(nameOf(map, key))
    },
    delete(map: string, key: Uint8Array) {
      removed.push(map)
      return entries.delete(nameOf(map, key))
    },
  } as unknown as Sensor
  const breaker = new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => 0 }, () => {})
  const { policies } = loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(policy) }])
  const program = compileProgram(policies)
  const profile = program.profileFor({ ...HOST, state: 'container', id: 'c' })
  const kernel = new KernelPolicy(sensor, breaker, accounts)
  return { kernel, entries, removed, program, profile, install: () => kernel.install(program, profile, FILTER) }
}

test('a profile that is given up goes before its tables, and these go later, the filters last', () => {
  const { kernel, entries, removed, profile, install } = makeKernel()
  install()
  const maps = new Set([...entries].map((entry) => entry.split(' ')[0] ?? ''))
  for (const map of [
    'profiles',
    'exec_exact',
    'exec_prefix',
    'file_prefix',
    'connect_nodes',
    'said_rules',
    ...FILTER_MAPS,
  ])
    assert.ok(maps.has(map), map)
  const tablesCount = entries.size - 1

  kernel.retire(profile.id)
  assert.deepEqual(removed.splice(0), ['profiles'])
  assert.equal(entries.size, tablesCount)
  assert.deepEqual(kernel.hooksOf(profile.id), [])
  kernel.retire(profile.id)
  assert.deepEqual(removed, [])

  kernel.sweep(profile.id)
  assert.deepEqual([...entries], [])
  assert.equal(removed.length, tablesCount)
  const firstFilter = removed.findIndex((map) => FILTER_MAPS.includes(map))
  assert.ok(firstFilter > 0)
  for (const map of removed.slice(firstFilter)) assert.ok(FILTER_MAPS.includes(map), map)
  kernel.sweep(profile.id)
  assert.equal(removed.length, tablesCount)
})

test('what most acts are asked about first stands in its place while the profile is in force, and where that is taken in the profile alone', () => {
  const { program, profile } = makeKernel()
  const places = new Map<number, MapFilter>()
  const own = new Map<number, MapFilter>()
  const sensor = {
    ...AT_REST,
    refusals: ALL_REFUSALS,
    update(map: string, key: Uint8Array, value: Uint8Array) {
      const id = new DataView(key.buffer, key.byteOffset).getUint32(0, true)
      if (map === 'filters') places.set(id, decodeMapFilter(value))
      if (map === 'profiles') own.set(id, decodeMapProfile(value).filter)
    },
    delete: () => true,
  } as unknown as Sensor
  const kernel = new KernelPolicy(sensor, new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => 0 }, () => {}))
  const [place, id, other] = [profile.id % FILTERS, profile.id, profile.id + FILTERS]
  kernel.install(program, profile, FILTER)
  assert.equal(places.get(place)?.profile, id)
  assert.deepEqual(places.get(place), own.get(id))
  assert.deepEqual([own.get(id)?.placePrefixesCount, own.get(id)?.placeClasses], [2, 1])
  kernel.install(program, { ...profile, id: other }, FILTER)
  assert.equal(places.get(place)?.profile, id, 'it is taken')
  assert.equal(own.get(other)?.profile, other)
  kernel.retire(other)
  assert.equal(places.get(place)?.profile, id, "another one's")
  kernel.retire(id)
  assert.equal(places.get(place)?.profile, 0)
  kernel.install(program, { ...profile, id: other + FILTERS }, FILTER)
  assert.equal(places.get(place)?.profile, other + FILTERS)
})

test('system calls that rules of installed profiles are about are looked at, and others ignored when nobody asks for first uses', () => {
  const [PTRACE, MOUNT] = [101, 165] // of x86-64
  const rules = (name: string, call: string) =>
    `policy: ${name}\ncontainers: { name: "${name}" }\nrules: [{ rule: r, syscall: { deny: [${call}] } }]\n`
  const { policies } = loadPolicies([
    { file: 'p.yaml', bytes: new TextEncoder().encode(`${rules('a', 'ptrace')}---\n${rules('b', 'mount')}`) },
  ])
  const program = compileProgram(policies)
  const [a, b] = ['a', 'b'].map((name) => program.profileFor({ ...HOST, state: 'container', id: name, name }))
  assert.ok(a !== undefined && b !== undefined)
  let ignored: readonly bigint[] = []
  let ended: readonly bigint[] = []
  let rulesCount = 0
  const sensor = {
    ...AT_REST,
    refusals: ALL_REFUSALS,
    update(map: string, key: Uint8Array, value: Uint8Array) {
      if (map === 'syscall_rules') {
        rulesCount++
        const call = rulesCount > ABIS && rulesCount <= 2 * ABIS ? MOUNT : PTRACE
        assert.ok(!isIgnored(call) && isEnded(call), 'looked at before its rule is there')
      }
      if (map === 'syscalls_ignored') ignored = decodeMapSyscallsIgnored(value).calls
      if (map === 'calls_at_end' && key[0] === AtEnd.RULES_OF) ended = decodeMapCallsAtEnd(value).calls
    },
    delete: () => true,
  } as unknown as Sensor
  const isIn = (words: readonly bigint[], nr: number) => ((words[nr >> 6] ?? 0n) & (1n << BigInt(nr & 63))) !== 0n
  const isIgnored = (nr: number) => isIn(ignored, nr)
  const isEnded = (nr: number) => isIn(ended, nr)
  const told = () => {
    const calls = [PTRACE, MOUNT, 0].map((nr) => isEnded(nr))
    assert.deepEqual(
      calls,
      [PTRACE, MOUNT, 0].map((nr) => !isIgnored(nr)),
    )
    return calls
  }
  const kernel = new KernelPolicy(sensor, new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => 0 }, () => {}))
  kernel.ignoresCalls = true
  kernel.install(program, a, FILTER)
  assert.deepEqual(told(), [true, false, false])
  kernel.install(program, b, FILTER)
  assert.deepEqual(told(), [true, true, false])
  kernel.retire(a.id)
  assert.deepEqual(told(), [true, true, false], 'a hook may still find its tables')
  kernel.sweep(a.id)
  assert.deepEqual(told(), [false, true, false])

  const asked = new KernelPolicy(sensor, new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => 0 }, () => {}))
  ignored = []
  asked.install(program, a, FILTER)
  assert.deepEqual(ignored, [], 'first uses are asked for: nothing is ignored')
})

test('what a full map refuses is taken back whole', () => {
  for (const map of ['exec_prefix', 'syscall_rules', 'profiles']) {
    const { entries, install } = makeKernel({ refuses: map })
    assert.throws(install, { errorName: 'kernel_tables_full' }, map)
    assert.deepEqual([...entries], [], map)
  }
})

test('rules that refuse signals by names are outdated when a name they asked for stands for others, is gone or is new', () => {
  const users = new Map([['ops', [1000, 1001]]])
  const groups = new Map<string, number[]>()
  const accounts: Accounts = { uidsOf: (name) => users.get(name) ?? [], gidsOf: (name) => groups.get(name) ?? [] }
  const signalPolicy = (action: string, entry: string) =>
    `policy: p\nmode: block\ncontainers: all\nrules: [{ rule: r, signal: { allow: [${entry}] }, action: ${action} }]\n`
  const installed = (policy: string) => {
    const { kernel, profile, install } = makeKernel({ policy, accounts })
    let outdatedCount = 0
    kernel.onOutdated = () => outdatedCount++
    install()
    return (change: () => void) => {
      const before = outdatedCount
      change()
      kernel.followAccounts()
      assert.equal(kernel.isOutdated(profile.id), outdatedCount > before)
      return outdatedCount > before
    }
  }
  const byUser = installed(signalPolicy('deny', '{ user: ops }'))
  const byGroup = installed(signalPolicy('kill', '{ user: 7 }, { group: wheel }'))
  const byNumber = installed(signalPolicy('kill', '{ user: 7 }'))
  const telling = installed(signalPolicy('alert', '{ user: ops }'))
  const all = [byUser, byGroup, byNumber, telling]
  const outdated = (change: () => void) => all.map((one) => one(change))
  assert.deepEqual(
    outdated(() => users.set('ops', [1001, 1000])),
    [false, false, false, false],
  )
  assert.deepEqual(
    outdated(() => users.set('ops', [1000])),
    [true, false, false, false],
  )
  assert.deepEqual(
    outdated(() => users.delete('ops')),
    [true, false, false, false],
  )
  assert.deepEqual(
    outdated(() => users.set('ops', [1000, 1001])),
    [false, false, false, false],
  )
  assert.deepEqual(
    outdated(() => groups.set('wheel', [10])),
    [false, true, false, false],
  )
})
