/** Identity against a real dockerd, a real containerd and a real runc. The kernel's cgroup events are stood in for by walks. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { cgroupPathOfProcess, type Hierarchy, processesIn } from '../../src/container/cgroup-fs.js'
import type { Identity } from '../../src/container/identity.js'
import { ContainerTable, type ContainerTableOptions } from '../../src/container/table.js'
import { Counters } from '../../src/telemetry/counters.js'
import { cgroupId, cgroupMounts, makeCgroup, moveToCgroup, removeCgroup, testCgroupPath } from '../support/cgroup.js'
import { type Containerd, startContainerd } from '../support/containerd.js'
import { type Dockerd, startDockerd } from '../support/dockerd.js'
import { makeTempDir, removeDir, requires, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['dockerd', 'docker', 'containerd', 'ctr', 'runc', 'busybox'] })
const SLEEP = ['/bin/sleep', '600']
/** Longer than a start waits. */
const LATE_MS = 1_500

interface Watched {
  table: ContainerTable
  counters: Counters
  told: { event: 'resolved' | 'changed' | 'removed'; identity: Identity; name: string }[]
  stop(): Promise<void>
}

async function watch(options: Partial<ContainerTableOptions> = {}): Promise<Watched> {
  const counters = new Counters()
  const table = new ContainerTable({ counters, ...options })
  const told: Watched['told'] = []
  for (const event of ['resolved', 'changed', 'removed'] as const) {
    table.on(event, (identity) => told.push({ event, identity, name: identity.ref.name }))
  }
  await table.start()
  const timer = setInterval(() => table.rescan(), 20)
  return {
    table,
    counters,
    told,
    stop: async () => {
      clearInterval(timer)
      await table.stop()
    },
  }
}

function identityAt(table: ContainerTable, path: string): Identity | undefined {
  return existsSync(join(table.hierarchy.root, path)) ? table.lookup(cgroupId(path)) : undefined
}

function decided(table: ContainerTable, path: string): Promise<Identity> {
  return waitFor(`${path} to be decided`, () => {
    const identity = identityAt(table, path)
    return identity !== undefined && identity.ref.state !== 'pending' ? identity : undefined
  })
}

/** cgroupfs or systemd driver: wherever this dockerd puts a container. */
function pathOf(hierarchy: Hierarchy, id: string): string {
  const paths = [`/docker/${id}`, `/system.slice/docker-${id}.scope`]
  const path = paths.find((candidate) => existsSync(join(hierarchy.root, candidate)))
  assert.ok(path !== undefined, `the cgroup of ${id} exists`)
  return path
}

describe('identity of Docker containers', { skip }, () => {
  let docker: Dockerd
  let imageId = ''
  before(async () => {
    docker = await startDockerd()
    imageId = await docker.import('demo/web:1')
  })
  after(() => docker.stop())

  test('containers that run already are named at start, from the data root that only the socket tells', async () => {
    const name = uniqueName('web')
    const id = await docker.start(['--name', name, '--label', 'tier=web', 'demo/web:1', ...SLEEP])
    const watched = await watch({ dockerSocket: docker.socket })
    try {
      const identity = identityAt(watched.table, pathOf(watched.table.hierarchy, id))
      assert.ok(identity !== undefined)
      assert.deepEqual(
        { ...identity.ref, labels: { ...identity.ref.labels } },
        {
          state: 'container',
          id,
          name,
          image: 'demo/web:1',
          imageId,
          runtime: 'docker',
          labels: { tier: 'web' },
          outerIds: [],
          privileged: false,
          user: '',
        },
      )
      assert.equal(identity.confirmed, true)
      assert.equal(identity.privileged, false)
      const pid = Number(await docker.docker(['inspect', '--format', '{{.State.Pid}}', id]))
      assert.equal(identity.initPid, pid)
      assert.ok(identity.initStartTicks !== undefined && identity.initStartTicks > 0n)
      assert.equal(watched.table.confirmProcess(identity, pid), true)
      assert.equal(watched.table.confirmProcess(identity, process.pid), false)
    } finally {
      await watched.stop()
    }
  })

  test('of a Docker that answers late: what ran before is not taken for what has started', async () => {
    const id = await docker.start(['--name', uniqueName('before'), 'demo/web:1', ...SLEEP])
    const late = createServer((client) => {
      setTimeout(() => {
        const daemon = connect(docker.socket)
        for (const [one, other] of [
          [client, daemon],
          [daemon, client],
        ] as const)
          one.on('error', () => other.destroy()).pipe(other)
      }, LATE_MS)
    })
    const dir = makeTempDir()
    const dockerSocket = join(dir, 'late.sock')
    late.listen(dockerSocket)
    await once(late, 'listening')
    const watched = await watch({ dockerSocket })
    try {
      const earlier = await decided(watched.table, pathOf(watched.table.hierarchy, id))
      assert.ok(watched.told.some(({ event, identity }) => event === 'resolved' && identity === earlier))
      assert.equal(watched.table.wasFoundLate(earlier), true)
      const newId = await docker.start(['--name', uniqueName('after'), 'demo/web:1', ...SLEEP])
      const started = await decided(watched.table, pathOf(watched.table.hierarchy, newId))
      assert.deepEqual([started.ref.id, watched.table.wasFoundLate(started)], [newId, false])
    } finally {
      await watched.stop()
      late.close()
      removeDir(dir)
    }
  })

  test('a container started later is named, its rename is followed, and it keeps its name when it is gone', async () => {
    const watched = await watch({ dockerSocket: docker.socket })
    try {
      const [name, newName] = [uniqueName('late'), uniqueName('renamed')]
      const id = await docker.start(['--name', name, 'demo/web:1', ...SLEEP])
      const path = pathOf(watched.table.hierarchy, id)
      const identity = await decided(watched.table, path)
      assert.equal(identity.ref.name, name)
      const cgroup = cgroupId(path)
      const before = identity.ref
      await docker.docker(['rename', name, newName])
      await waitFor('the rename', () => watched.table.lookup(cgroup)?.ref.name === newName)
      assert.equal(watched.table.lookup(cgroup), identity, 'the identity stays, its record is a new one')
      assert.equal(before.name, name, 'a record that was taken before keeps the old name')
      await waitFor('the init', () => identity.initPid !== undefined)

      await docker.docker(['rm', '--force', newName])
      await waitFor('the removal', () =>
        watched.told.some((one) => one.event === 'removed' && one.identity === identity),
      )
      assert.equal(watched.table.lookup(cgroup)?.ref.name, newName)
      assert.ok(!watched.table.containers().includes(identity))
    } finally {
      await watched.stop()
    }
  })

  test('where the state directory cannot be seen, the API answers', async () => {
    const empty = makeTempDir()
    const watched = await watch({ dockerSocket: docker.socket, hostRoot: empty, cgroupRoot: '/sys/fs/cgroup' })
    try {
      const name = uniqueName('api')
      const id = await docker.start(['--name', name, '--label', 'a=b', 'demo/web:1', ...SLEEP])
      const identity = await decided(watched.table, pathOf(watched.table.hierarchy, id))
      assert.deepEqual([identity.ref.name, identity.ref.imageId, identity.confirmed], [name, imageId, true])
      const newName = uniqueName('api-renamed')
      await docker.docker(['rename', name, newName])
      await waitFor('the rename', () => identity.ref.name === newName)
    } finally {
      await watched.stop()
      removeDir(empty)
    }
  })

  test('a cgroup that only carries a container’s name is never confirmed, even with a real container’s id', async () => {
    const watched = await watch({ dockerSocket: docker.socket })
    const unresolvedBefore = watched.counters.get('container_unresolved_total')
    const parent = testCgroupPath('fake')
    try {
      const id = await docker.start(['--name', uniqueName('real'), 'demo/web:1', ...SLEEP])
      const real = await decided(watched.table, pathOf(watched.table.hierarchy, id))
      const invented = `${parent}/docker-${'ab'.repeat(32)}.scope`
      const copied = `${parent}/docker-${id}.scope`
      makeCgroup(invented)
      makeCgroup(copied)
      const forged: Identity[] = []
      for (const path of [invented, copied]) {
        const identity = await decided(watched.table, path)
        forged.push(identity)
        assert.equal(identity.ref.state, 'unknown')
        assert.equal(identity.confirmed, false)
        assert.equal(identity.ref.id, '')
      }
      assert.equal(real.confirmed, true)
      const unresolved = watched.told.filter(
        ({ event, identity: { ref } }) => event === 'resolved' && ref.state === 'unknown',
      )
      for (const identity of forged) assert.ok(unresolved.some((one) => one.identity === identity))
      // Containers of other tests come and go meanwhile, of a Docker that this table does not ask.
      assert.equal(watched.counters.get('container_unresolved_total') - unresolvedBefore, unresolved.length)
    } finally {
      await watched.stop()
      await removeCgroup(parent)
    }
  })

  test('a forged cgroup of a container that has not started loses its confirmation when the container starts', async () => {
    const watched = await watch({ dockerSocket: docker.socket })
    const parent = testCgroupPath('early')
    try {
      const id = (await docker.docker(['create', '--name', uniqueName('created'), 'demo/web:1', ...SLEEP])).trim()
      makeCgroup(`${parent}/docker-${id}.scope`)
      const forged = await decided(watched.table, `${parent}/docker-${id}.scope`)
      await docker.docker(['start', id])
      const real = await decided(watched.table, pathOf(watched.table.hierarchy, id))
      await waitFor('the forged one to lose it', () => !forged.confirmed && forged.ref.state === 'unknown')
      assert.equal(real.ref.id, id)
      assert.equal(real.confirmed, true)
    } finally {
      await watched.stop()
      await removeCgroup(parent)
    }
  })
})

describe('identity of runc containers', { skip }, () => {
  let rootfs = ''
  before(async () => {
    rootfs = await makeRootfs(makeTempDir())
  })
  after(() => removeDir(rootfs))

  test('running and new ones are named by their id; a cgroup below one inherits; when it is gone it keeps its name', async () => {
    const running = await runcRun({ rootfs, args: SLEEP, annotations: { tier: 'db' } })
    const watched = await watch()
    const fresh = await runcRun({ rootfs, args: SLEEP })
    try {
      const known = identityAt(watched.table, running.cgroupPath)
      assert.deepEqual(
        [
          known?.ref.state,
          known?.ref.id,
          known?.ref.name,
          known?.ref.image,
          known?.ref.runtime,
          known?.ref.labels.tier,
        ],
        ['container', running.id, running.id, '', 'runc', 'db'],
      )
      assert.equal(known?.initPid, running.pid)
      const identity = await decided(watched.table, fresh.cgroupPath)
      assert.equal(identity.ref.id, fresh.id)
      assert.equal(identity.confirmed, true)

      makeCgroup(`${fresh.cgroupPath}/inner/most`)
      const inner = await decided(watched.table, `${fresh.cgroupPath}/inner/most`)
      assert.equal(inner, identity)
      const cgroup = cgroupId(fresh.cgroupPath)
      await fresh.remove()
      await waitFor('the removal', () =>
        watched.told.some((one) => one.event === 'removed' && one.identity === identity),
      )
      assert.equal(watched.table.lookup(cgroup)?.ref.name, fresh.id)
    } finally {
      await watched.stop()
      await running.remove()
      await fresh.remove()
    }
  })

  test('a container inside another one is itself, with the outer id; a process is confirmed for its innermost only', async () => {
    const watched = await watch()
    const outer = await runcRun({ rootfs, args: SLEEP })
    const inner = await runcRun({ rootfs, args: SLEEP, cgroupsPath: `${outer.cgroupPath}/deep/inner` })
    try {
      const outerIdentity = await decided(watched.table, outer.cgroupPath)
      const identity = await waitFor('the inner container', () => {
        const found = identityAt(watched.table, inner.cgroupPath)
        return found?.ref.id === inner.id ? found : undefined
      })
      assert.deepEqual(identity.ref.outerIds, [outer.id])
      assert.equal(watched.table.confirmProcess(identity, inner.pid), true)
      assert.equal(watched.table.confirmProcess(outerIdentity, inner.pid), false)
      assert.equal(watched.table.confirmProcess(outerIdentity, outer.pid), true)
    } finally {
      await watched.stop()
      await inner.remove()
      await outer.remove()
    }
  })

  test('a process that left the container’s cgroup is not confirmed, nor is any when the cgroup is another by now', async () => {
    const container = await runcRun({ rootfs, args: SLEEP })
    const watched = await watch()
    const elsewhere = testCgroupPath('elsewhere')
    const child = spawn('/bin/sleep', ['600'])
    let next: RuncContainer | undefined
    try {
      const identity = await decided(watched.table, container.cgroupPath)
      makeCgroup(elsewhere)
      assert.ok(child.pid !== undefined)
      moveToCgroup(container.cgroupPath, child.pid)
      assert.equal(watched.table.confirmProcess(identity, child.pid), true)
      moveToCgroup(elsewhere, child.pid)
      assert.equal(watched.table.confirmProcess(identity, child.pid), false)
      assert.deepEqual(processesIn(watched.table.hierarchy, elsewhere), [child.pid])
      // The same path again, and the table has not heard of it yet.
      await watched.stop()
      await container.remove()
      next = await runcRun({ rootfs, args: SLEEP, cgroupsPath: container.cgroupPath })
      assert.equal(watched.table.confirmProcess(identity, next.pid), false)
    } finally {
      child.kill('SIGKILL')
      await watched.stop()
      await removeCgroup(elsewhere)
      await next?.remove()
      await container.remove()
    }
  })

  test('twenty running containers are all named when start returns', async () => {
    const containers = []
    try {
      for (let count = 0; count < 20; count += 1) containers.push(await runcRun({ rootfs, args: SLEEP }))
      const watched = await watch()
      await watched.stop()
      for (const { id, cgroupPath } of containers) assert.equal(identityAt(watched.table, cgroupPath)?.ref.id, id)
    } finally {
      for (const container of containers) await container.remove()
    }
  })
})

describe('identity of containerd containers', { skip }, () => {
  let containerd: Containerd
  let rootfs = ''
  before(async () => {
    containerd = await startContainerd()
    rootfs = await makeRootfs(makeTempDir())
  })
  after(async () => {
    await containerd.stop()
    removeDir(rootfs)
  })

  test('a container of a containerd namespace is found through its shim’s runc state', async () => {
    const watched = await watch()
    try {
      await containerd.ctr(['run', '--detach', '--rootfs', rootfs, 'ctr1', ...SLEEP])
      const identity = await decided(watched.table, `/${containerd.namespace}/ctr1`)
      assert.deepEqual([identity.ref.state, identity.ref.id, identity.ref.runtime], ['container', 'ctr1', 'containerd'])
    } finally {
      await watched.stop()
    }
  })
})

describe('identity on this machine', { skip }, () => {
  test('a leaf of 32 hex digits is the host’s, on whichever hierarchy', {
    skip: cgroupMounts().kind === 'v2',
  }, async () => {
    const parent = testCgroupPath('hex')
    const leaf = `${parent}/${'0123456789abcdef'.repeat(2)}`
    makeCgroup(leaf)
    const unified = await watch()
    const memory = await watch({ cgroupRoot: cgroupMounts().memory })
    try {
      assert.equal(identityAt(unified.table, leaf)?.ref.state, 'host')
      // The cgroup that this test itself runs in, whatever the machine calls it.
      const path = cgroupPathOfProcess(memory.table.hierarchy, '/proc', process.pid) ?? ''
      const own = memory.table.lookup(statSync(join(memory.table.hierarchy.root, path), { bigint: true }).ino)
      assert.equal(memory.table.hierarchy.kind, 'v1')
      assert.equal(own?.cgroupPath, path)
      assert.equal(own?.ref.state, 'host')
    } finally {
      await unified.stop()
      await memory.stop()
      await removeCgroup(parent)
    }
  })
})
