/** src/agent/placement.ts: what the kernel is told of cgroups, what happens when it has no room, and what is left after the stop. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { HeldEvents } from '../../src/agent/event/held-events.js'
import { Placement, type PlacementOptions } from '../../src/agent/placement.js'
import { ProcessTable } from '../../src/agent/process/process-table.js'
import { IdentityCell, PENDING, UNKNOWN } from '../../src/container/identity.js'
import { type ContainerRef, HOST } from '../../src/record/model.js'
import { Counters } from '../../src/telemetry/counters.js'

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
afterEach(() => mock.timers.reset())

const WEB: ContainerRef = { ...HOST, state: 'container', id: 'a1', name: 'web' }

function cell(ref: ContainerRef): IdentityCell {
  const made = new IdentityCell(ref, 7n, 1, '/x')
  made.confirmed = ref.state === 'container'
  return made
}

/** A placement with a log of all that it does; `faults`: calls that the kernel has no room for. */
function begin(faults: readonly string[] = []) {
  const log: string[] = []
  const identities = new Map<bigint, IdentityCell>()
  const counters = new Counters()
  const held = new HeldEvents(counters)
  const note = (what: string) => {
    log.push(what)
    if (faults.includes(what)) throw new Error('no room')
  }
  const parts = {
    sensor: {
      removeCgroup: (id: bigint) => note(`remove ${id}`),
      readTasks: () => {
        note('read tasks')
        return []
      },
      adoptSockets: () => note('adopt sockets'),
    },
    table: { cgroupsOf: () => [7n, 8n], lookup: (id: bigint) => identities.get(id) },
    policies: {
      isHostWanted: false,
      apply: () => {
        note('apply')
        return true
      },
      withdraw: () => note('withdraw'),
    },
    clock: { nowBootNs: () => 0n },
    records: { degraded: (message: string) => log.push(message) },
  }
  const placement = new Placement({
    ...(parts as unknown as PlacementOptions),
    ...{ processes: new ProcessTable(counters), held, counters },
    resolved: (id, { ref }) => log.push(`resolved ${id} ${ref.state}`),
    isStarted: () => true,
  })
  return { placement, log, identities, held, counters }
}

test('the host is taken out, a container put in, and one that nobody vouches for withdrawn', () => {
  const { placement, log } = begin()
  placement.placeAll(cell(HOST))
  placement.place(cell(WEB), [7n])
  placement.place(cell(UNKNOWN), [7n])
  assert.deepEqual(log, ['remove 7', 'remove 8', 'apply', 'withdraw'])
})

test('processes of containers that were there before the probes are read once for several, and not after the stop', () => {
  const { placement, log } = begin()
  for (let container = 0; container < 3; container++) placement.place(cell(WEB), [7n])
  mock.timers.tick(1_000)
  assert.deepEqual(log, ['apply', 'apply', 'apply', 'read tasks', 'adopt sockets'])
  placement.place(cell(WEB), [7n])
  placement.stop()
  placement.place(cell(WEB), [7n]) // identified while the ring is drained; the sensor is closed soon
  mock.timers.tick(1_000)
  assert.deepEqual(log.slice(5), ['apply', 'apply'])
})

test('processes that cannot be read are read later: said once, counted each time', () => {
  const faults = ['read tasks']
  const { placement, log, counters } = begin(faults)
  placement.followTasks()
  const said = 'processes that were there before are not known until they can be read: no room'
  assert.deepEqual(log, ['read tasks', said])
  mock.timers.tick(1_000)
  assert.deepEqual(log.slice(2), ['read tasks'])
  assert.equal(counters.get('processes_unread_total'), 2)
  faults.length = 0
  mock.timers.tick(1_000)
  mock.timers.tick(10_000)
  assert.deepEqual(log.slice(3), ['read tasks', 'adopt sockets'])
})

test('what the kernel has no room for is observed only, or not watched at all, and that is said and counted', () => {
  for (const [faults, watched] of [
    [['apply'], 'it is observed only'],
    [['apply', 'withdraw'], 'it is not watched'],
  ] as const) {
    const { placement, log, counters } = begin(faults)
    placement.placeAll(cell(WEB))
    assert.deepEqual(log, ['apply', 'withdraw', `the kernel has no room for container web, ${watched}: no room`])
    assert.equal(counters.get('containers_unplaced_total'), 1)
  }
})

test('held events go on when their cgroup is decided; the others after a while, and all of them at the end', () => {
  const { placement, log, identities, held } = begin()
  for (const id of [1n, 2n, 3n]) held.hold(id, new Uint8Array(8), 0, 8)
  identities.set(1n, cell(WEB)).set(2n, cell(PENDING)) // nobody has seen the third
  placement.releaseDecided()
  assert.deepEqual(log, ['resolved 1 container'])
  placement.releaseOverdue()
  assert.equal(log.length, 1)
  placement.releaseAll()
  assert.deepEqual(log.slice(1), ['resolved 1 container', 'resolved 2 pending'])
})
