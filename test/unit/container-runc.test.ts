import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { readBounded } from '../../src/container/bounded-file.js'
import type { Hierarchy } from '../../src/container/cgroup-fs.js'
import { RUNC_ROOTS, RuncState } from '../../src/container/runc.js'
import { Counters } from '../../src/telemetry/counters.js'
import { makeTempDir, removeDir } from '../support/process.js'

const HYBRID: Hierarchy = {
  kind: 'hybrid',
  root: '/sys/fs/cgroup/unified',
  hostRoots: ['/sys/fs/cgroup/unified'],
  controller: '',
}
const ID = '188329f95b930c32eeeffd34658ed2538960947e166743fa3743f5ce3d739b40'

let dir = ''
let counters = new Counters()
beforeEach(() => {
  dir = makeTempDir()
  counters = new Counters()
})
afterEach(() => removeDir(dir))

function runc(hierarchy: Hierarchy = HYBRID): RuncState {
  return new RuncState({ roots: RUNC_ROOTS, hostRoot: dir, procRoot: '/proc', hierarchy, counters })
}

/** In the shape that runc 1.1 writes; `labels` are what it makes of the annotations. */
function writeState(place: string, id: string, cgroupPath: string, labels: string[] = []): string {
  const at = join(dir, place, id)
  mkdirSync(at, { recursive: true })
  const state = {
    id,
    init_process_pid: 14327,
    init_process_start: 164085,
    created: '2026-11-23T06:37:36.82229669Z',
    config: {
      rootfs: '/b/rootfs',
      labels: ['bundle=/b', ...labels],
      cgroups: { path: cgroupPath },
      capabilities: { Bounding: ['CAP_CHOWN'] },
      mask_paths: ['/proc/kcore'],
      mounts: [
        { source: 'proc', destination: '/proc', device: 'proc', flags: 0 },
        { source: '/srv', destination: '/data', device: 'bind', flags: 20481 },
      ],
    },
    cgroup_paths: {
      '': `/sys/fs/cgroup/unified${cgroupPath}`,
      memory: `/sys/fs/cgroup/memory/process_api${cgroupPath}`,
      'name=systemd': `/sys/fs/cgroup/systemd${cgroupPath}`,
    },
  }
  writeFileSync(join(at, 'state.json'), JSON.stringify(state))
  return join(at, 'state.json')
}

test('a plain container has its id as its name, no image, and its annotations as labels', () => {
  writeState('run/runc', 'plain1', '/mine/plain1', ['tier=web', 'empty=', 'formula=a=b'])
  const state = runc()
  assert.equal(state.scan().length, 1)
  const claim = state.claimFor('/mine/plain1')
  assert.equal(claim?.isDocker, false)
  assert.deepEqual(
    { ...claim?.facts, labels: { ...claim?.facts.labels } },
    {
      id: 'plain1',
      name: 'plain1',
      image: '',
      imageId: '',
      runtime: 'runc',
      labels: { tier: 'web', empty: '', formula: 'a=b' },
      privileged: false,
      mounts: [{ source: '/srv', destination: '/data', mode: '', isWritable: false, propagation: '' }],
      initPid: 14327,
      initStartTicks: 164085n,
      createdMs: Date.parse('2026-11-23T06:37:36.822Z'),
      ownerUid: undefined,
    },
  )
  assert.deepEqual(state.scan(), [], 'an unchanged file is no news')
})

test('on cgroup v1 the memory path counts', () => {
  writeState('run/runc', 'plain1', '/mine/plain1')
  const v1: Hierarchy = { kind: 'v1', root: '/cg/memory', hostRoots: ['/sys/fs/cgroup/memory'], controller: 'memory' }
  const state = runc(v1)
  state.scan()
  assert.equal(state.claimFor('/process_api/mine/plain1')?.facts.id, 'plain1')
  assert.equal(state.claimFor('/mine/plain1'), undefined)
})

test('namespaces of dockerd and containerd are looked into, and CRI names are taken from the annotations', () => {
  writeState('run/docker/runtime-runc/moby', ID, `/docker/${ID}`)
  writeState('run/containerd/runc/k8s.io', ID, `/kubepods/x/${ID}`, [
    'io.kubernetes.cri.container-name=nginx',
    'io.kubernetes.cri.image-name=docker.io/library/nginx:1.27',
    'io.kubernetes.cri.sandbox-name=web-0',
  ])
  writeState('run/containerd/runc/default', 't1', '/default/t1')
  writeState('run/runc', ID, `/machine.slice/libpod-${ID}.scope`)
  const state = runc()
  assert.equal(state.scan().length, 4)
  const docker = state.claimFor(`/docker/${ID}`)
  assert.deepEqual([docker?.isDocker, docker?.facts.runtime, docker?.facts.id], [true, 'docker', ID])
  const cri = state.claimFor(`/kubepods/x/${ID}`)?.facts
  assert.deepEqual([cri?.runtime, cri?.name, cri?.image], ['containerd', 'nginx', 'docker.io/library/nginx:1.27'])
  assert.equal(state.claimFor('/default/t1')?.facts.runtime, 'containerd')
  assert.equal(state.claimFor(`/machine.slice/libpod-${ID}.scope`)?.facts.runtime, 'podman')
})

test('a changed file is read again, and a removed container is no claim any more', () => {
  const path = writeState('run/runc', 'c', '/a/c')
  const state = runc()
  state.scan()
  writeState('run/runc', 'c', '/other/c')
  assert.equal(state.scan().length, 1)
  assert.equal(state.claimFor('/a/c'), undefined)
  assert.equal(state.claimFor('/other/c')?.facts.id, 'c')
  removeDir(join(path, '..'))
  assert.deepEqual(state.scan(), [])
  assert.equal(state.claimFor('/other/c'), undefined)
})

test('state that cannot be used is no claim, and is counted', () => {
  const broken: [string, string][] = [
    ['junk', '\u0000\u0001{'],
    ['array', '[]'],
    ['other-id', JSON.stringify({ id: 'x', cgroup_paths: { '': '/sys/fs/cgroup/unified/a' } })],
    ['root', JSON.stringify({ id: 'root', cgroup_paths: { '': '/sys/fs/cgroup/unified' } })],
    ['types', JSON.stringify({ id: 'types', cgroup_paths: 7, config: 'x', init_process_pid: 'y' })],
    ['huge', ' '.repeat(5 * 1024 * 1024)],
  ]
  for (const [id, text] of broken) {
    mkdirSync(join(dir, 'run/runc', id), { recursive: true })
    writeFileSync(join(dir, 'run/runc', id, 'state.json'), text)
  }
  assert.deepEqual(runc().scan(), [])
  assert.equal(counters.get('container_state_unreadable_total'), broken.length)
})

test('a user’s rootless state is believed only in that user’s own subtree, and only when the user owns it', () => {
  const uid = process.getuid?.() ?? 0
  const mine = `/user.slice/user-${uid}.slice/user@${uid}.service/user.slice/docker-${ID}.scope`
  writeState(`run/user/${uid}/docker/runtime-runc/moby`, ID, mine)
  writeState(`run/user/${uid}/runc`, 'stolen', '/system.slice/other.scope')
  writeState(`run/user/${uid + 1}/runc`, 'notmine', `/user.slice/user-${uid + 1}.slice/user@${uid + 1}.service/x.scope`)
  const state = runc()
  assert.deepEqual(state.scan(), [], 'nobody asked for these users yet')
  state.includeUser(uid)
  state.includeUser(uid + 1)
  assert.deepEqual(
    state.scan().map((claim) => [claim.cgroupPath, claim.facts.ownerUid]),
    [[mine, uid]],
  )
})

test('labels are bounded, and what is left out is counted', () => {
  writeState('run/runc', 'c', '/a/c', [`big=${'x'.repeat(20_000)}`, '__proto__=own', 'k=v'])
  const state = runc()
  state.scan()
  const labels = state.claimFor('/a/c')?.facts.labels
  assert.equal(labels?.k, 'v')
  assert.equal(labels?.big, undefined)
  assert.equal(Object.hasOwn(labels ?? {}, '__proto__'), true)
  assert.equal(counters.get('container_labels_dropped_total'), 1)
})

test('only a regular file of bounded size is read: no link, no FIFO, no directory', () => {
  const file = join(dir, 'f')
  writeFileSync(file, 'abc')
  assert.deepEqual(readBounded(file), { text: 'abc' })
  assert.deepEqual(readBounded(file, 3), { text: 'abc' })
  assert.equal(readBounded(file, 2), 'unreadable')
  assert.equal(readBounded(file, 100, (process.getuid?.() ?? 0) + 1), 'unreadable')
  symlinkSync(file, join(dir, 'link'))
  assert.equal(readBounded(join(dir, 'link')), 'unreadable')
  execFileSync('mkfifo', [join(dir, 'fifo')])
  assert.equal(readBounded(join(dir, 'fifo')), 'unreadable')
  assert.equal(readBounded(dir), 'unreadable')
  assert.equal(readBounded(join(dir, 'none')), 'absent')
  assert.equal(readBounded(join(file, 'below')), 'absent')
  const proc = readBounded('/proc/self/status')
  assert.ok(typeof proc === 'object' && proc.text.includes('Pid:'), 'files of procfs say size 0 and are read whole')
  const large = join(dir, 'large')
  writeFileSync(large, 'y'.repeat(300_000))
  chmodSync(large, 0o600)
  const whole = readBounded(large)
  assert.ok(typeof whole === 'object' && whole.text.length === 300_000)
})
