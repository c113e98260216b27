import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Identity } from '../../src/container/identity.js'
import { ContainerTable } from '../../src/container/table.js'
import { HOST } from '../../src/record/model.js'
import { Counters } from '../../src/telemetry/counters.js'
import { HullguardError } from '../../src/telemetry/errors.js'
import { makeTempDir, removeDir, waitFor } from '../support/process.js'

const ID = '7f6a314ef338678fb38235f54a816a685de96d6fcb79af0a67f87df7959e30df'
const OTHER = '188329f95b930c32eeeffd34658ed2538960947e166743fa3743f5ce3d739b40'
/** Far above the ids of this machine's own cgroups. */
const FIRST_ID = 1n << 40n

let dir = ''
let counters = new Counters()
let table: ContainerTable
let nextId = FIRST_ID
const resolved: Identity[] = []

beforeEach(async () => {
  dir = makeTempDir()
  counters = new Counters()
  nextId = FIRST_ID
  resolved.length = 0
  // The machine's hierarchy is only read. The runtimes' state is below `dir`, where there is no /proc and no daemon.
  table = new ContainerTable({ counters, cgroupRoot: '/sys/fs/cgroup', hostRoot: dir })
  await table.start()
  table.on('resolved', (identity) => resolved.push(identity))
})
afterEach(async () => {
  await table.stop()
  removeDir(dir)
})

function create(path: string): { id: bigint; identity: Identity | undefined } {
  const parent = path === '/' ? 0n : (ids.get(dirname(path)) ?? 0n)
  const id = nextId
  nextId += 1n
  ids.set(path, id)
  return { id, identity: table.onCgroupCreated(id, parent, path.split('/').length - 1, path) }
}
const ids = new Map<string, bigint>()

function stateOf(id: bigint): string | undefined {
  return table.lookup(id)?.ref.state
}

function dockerKnows(id: string, name: string, hostConfig: object = {}): void {
  const at = join(dir, 'var/lib/docker/containers', id)
  mkdirSync(at, { recursive: true })
  const config = { ID: id, Name: `/${name}`, Config: { Image: 'demo/x:1', Labels: {} }, Image: 'sha256:1', State: {} }
  writeFileSync(join(at, 'config.v2.json'), JSON.stringify(config))
  writeFileSync(join(at, 'hostconfig.json'), JSON.stringify(hostConfig))
}

function runcKnows(id: string, path: string, more: object = {}): void {
  const at = join(dir, 'run/runc', id)
  mkdirSync(at, { recursive: true })
  const [mount, key] = [table.hierarchy.hostRoots.at(-1) ?? '', table.hierarchy.controller]
  writeFileSync(join(at, 'state.json'), JSON.stringify({ id, cgroup_paths: { [key]: mount + path }, ...more }))
}

/** A process of the made-up host, in the host's PID namespace or another. */
function makeProcess(pid: number, isInHostNamespace: boolean): void {
  const at = join(dir, 'proc', String(pid), 'ns')
  mkdirSync(at, { recursive: true })
  symlinkSync(isInHostNamespace ? 'pid:[4026531836]' : 'pid:[4026532999]', join(at, 'pid'))
}

describe('the table', () => {
  test('a Docker container is known at the moment its cgroup is made', () => {
    dockerKnows(ID, 'web')
    const { id, identity } = create(`/docker/${ID}`)
    assert.equal(identity?.ref.name, 'web')
    assert.equal(identity?.confirmed, true)
    assert.equal(table.lookup(id), identity)
    assert.equal(table.lookup32(Number(id & 0xffff_ffffn), Number(id >> 32n)), identity)
    assert.ok(Object.isFrozen(identity?.ref))
    assert.deepEqual(resolved, [identity])
  })

  test('an id that was never seen has no identity', () => {
    assert.equal(table.lookup(FIRST_ID - 1n), undefined)
    assert.equal(table.lookup32(5, 0xffff), undefined)
    assert.equal(table.lookup(0xffff_ffff_ffff_ffffn), undefined)
  })

  test('what looks like a container is pending and then unknown, never confirmed, and so is what lies below it', async () => {
    const { id } = create(`/system.slice/docker-${OTHER}.scope`)
    const below = create(`/system.slice/docker-${OTHER}.scope/init.scope`)
    assert.equal(stateOf(id), 'pending')
    await waitFor('the decision', () => stateOf(id) === 'unknown')
    assert.equal(table.lookup(id)?.confirmed, false)
    await waitFor('the decision below', () => stateOf(below.id) === 'unknown')
    assert.equal(stateOf(create(`/system.slice/docker-${OTHER}.scope/later`).id), 'unknown')
    assert.equal(counters.get('container_unresolved_total'), 1)
  })

  test('a known id in a subtree that a user may write is not that container', async () => {
    dockerKnows(ID, 'web')
    const { id } = create(`/user.slice/user-1000.slice/user@1000.service/docker-${ID}.scope`)
    await waitFor('the decision', () => stateOf(id) === 'unknown')
    assert.equal(table.lookup(id)?.confirmed, false)
  })

  test('a second cgroup for one container, or one inside another container, is not believed', () => {
    dockerKnows(ID, 'web')
    dockerKnows(OTHER, 'db')
    create(`/docker/${ID}`)
    assert.equal(stateOf(create(`/elsewhere/${ID}`).id), 'pending')
    assert.equal(table.lookup(create(`/docker/${ID}/docker-${OTHER}.scope`).id)?.ref.name, 'web')
  })

  test('the parent that Docker was told to use is the only place', () => {
    dockerKnows(ID, 'web', { CgroupParent: '/jobs' })
    assert.equal(stateOf(create(`/docker/${ID}`).id), 'pending')
    assert.equal(stateOf(create(`/jobs/${ID}`).id), 'container')
  })

  test('a unit of the host is decided at once, an unnamed cgroup after its time', async () => {
    assert.equal(stateOf(create('/system.slice/cron.service').id), 'host')
    const { id } = create('/somebody')
    assert.equal(stateOf(id), 'pending')
    await waitFor('the decision', () => stateOf(id) === 'host')
    assert.equal(table.lookup(id)?.ref, HOST)
    assert.equal(table.lookup(id)?.confirmed, false)
  })

  test('a plain runc container is pending until runc’s state names its cgroup; what was made below it meanwhile follows', async () => {
    const { id } = create('/mine/c1')
    const below = create('/mine/c1/sub')
    assert.equal(stateOf(id), 'pending')
    runcKnows('c1', '/mine/c1')
    await waitFor('the state to be seen', () => stateOf(id) === 'container')
    const identity = table.lookup(id)
    assert.deepEqual([identity?.ref.name, identity?.ref.image, identity?.ref.runtime], ['c1', '', 'runc'])
    assert.equal(table.lookup(below.id), identity)
    assert.deepEqual(identity === undefined ? [] : table.cgroupsOf(identity), [id, below.id])
  })

  test('whether a container shares the host’s PID namespace is told of one that was known before its init, and of no other', async () => {
    const told: [string, boolean | undefined][] = []
    table.on('namespaceKnown', ({ ref, sharesHostPids }) => told.push([ref.name, sharesHostPids]))
    makeProcess(4711, true)
    makeProcess(4712, false)
    dockerKnows(ID, 'web')
    const { identity } = create(`/docker/${ID}`)
    assert.deepEqual([identity?.confirmed, identity?.sharesHostPids], [true, undefined])
    runcKnows(ID, `/docker/${ID}`, { init_process_pid: 4711, init_process_start: 7 })
    await waitFor('the init', () => identity?.initPid === 4711)
    assert.equal(identity?.sharesHostPids, true)
    const { id } = create('/mine/own')
    runcKnows('own', '/mine/own', { init_process_pid: 4712, init_process_start: 7 })
    await waitFor('the other container', () => stateOf(id) === 'container')
    assert.equal(table.lookup(id)?.sharesHostPids, false)
    assert.deepEqual(told, [['web', true]])
  })

  test('a claim that comes after the decision still makes it a container, and is counted', async () => {
    const { id } = create('/slow')
    await waitFor('the decision', () => stateOf(id) === 'host')
    runcKnows('slow', '/slow')
    await waitFor('the change in the state directory to be seen', () => stateOf(id) === 'container')
    assert.equal(table.lookup(id)?.confirmed, true)
    assert.equal(counters.get('container_late_total'), 1)
    assert.deepEqual(
      resolved.map((identity) => identity.ref.state),
      ['container', 'container'],
      'told twice, of one and the same identity, which is a container by now',
    )
  })

  test('a container inside a container keeps the ids around it, also when the outer one is found later', async () => {
    const outer = create('/outer')
    const inner = create('/outer/x/inner')
    runcKnows('inner', '/outer/x/inner')
    await waitFor('the inner one', () => stateOf(inner.id) === 'container')
    assert.deepEqual(table.lookup(inner.id)?.ref.outerIds, [])
    runcKnows('outer', '/outer')
    await waitFor('the outer one', () => stateOf(outer.id) === 'container')
    assert.deepEqual(table.lookup(inner.id)?.ref.outerIds, ['outer'])
    assert.equal(table.lookup(inner.id)?.ref.id, 'inner')
    assert.equal(table.lookup(create('/outer/x/inner/sub').id)?.ref.id, 'inner')
    assert.equal(table.lookup(create('/outer/y').id)?.ref.id, 'outer')
  })

  test('a removed container keeps its name for late events; a new cgroup at its path is another', () => {
    dockerKnows(ID, 'web')
    const removed: Identity[] = []
    table.on('removed', (identity) => removed.push(identity))
    const first = create(`/docker/${ID}`)
    table.onCgroupRemoved(first.id)
    table.onCgroupRemoved(first.id)
    assert.deepEqual(removed, [first.identity])
    assert.equal(table.lookup(first.id)?.ref.name, 'web')
    assert.deepEqual(table.containers(), [])
    const second = create(`/docker/${ID}`)
    assert.notEqual(second.identity, first.identity)
    assert.equal(second.identity?.confirmed, true)
    table.exportCounters()
    assert.equal(counters.get('container_late_lookups_total'), 1)
  })

  test('the same event twice changes nothing; a cgroup without its parent’s event still finds what is around it', () => {
    dockerKnows(ID, 'web')
    const { id, identity } = create(`/docker/${ID}`)
    assert.equal(table.onCgroupCreated(id, 0n, 2, `/docker/${ID}`), identity)
    assert.equal(table.onCgroupCreated(1n << 41n, 12345n, 4, `/docker/${ID}/a/b`), identity)
    assert.equal(resolved.length, 1)
  })

  test('nothing outside a confirmed container is confirmed for an action', () => {
    dockerKnows(ID, 'web')
    const { identity } = create(`/docker/${ID}`)
    assert.ok(identity !== undefined)
    assert.equal(table.confirmProcess(identity, process.pid), false)
    for (const pid of [0, -1, 1.5, Number.NaN]) assert.equal(table.confirmProcess(identity, pid), false)
  })
})

test('a place without a cgroup hierarchy is refused by its code', () => {
  const empty = makeTempDir()
  try {
    assert.throws(
      () => new ContainerTable({ counters: new Counters(), cgroupRoot: empty }),
      (error) => error instanceof HullguardError && error.code === 'HG5001',
    )
  } finally {
    removeDir(empty)
  }
})
