import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import {
  delegatedUidOf,
  isHostUnit,
  leafCandidate,
  levelOf,
  type PathCandidate,
  parseCgroupPath,
} from '../../src/container/cgroup-path.js'

const ID = '188329f95b930c32eeeffd34658ed2538960947e166743fa3743f5ce3d739b40'
const OTHER = '7951fb549ab99e0722a949b6c121634e1f3a36b5bacbe5392991e3b12251e6b8'
const POD = 'eb052b63-ea96-4728-ab4a-64ab3babccd7'

function innermost(path: string): Partial<PathCandidate> | undefined {
  const last = parseCgroupPath(path).at(-1)
  return last === undefined ? undefined : { runtime: last.runtime, id: last.id }
}

function corpusPath(): string | undefined {
  const given = process.env.HULLGUARD_CGROUP_PATHS
  if (given !== undefined) return given
  // From dist/test/unit: the repository's root is three levels up.
  const beside = fileURLToPath(new URL('../../../../shared/data/cgroup-paths.tsv', import.meta.url))
  return existsSync(beside) ? beside : undefined
}

const corpus = corpusPath()
const skip = corpus === undefined ? 'HULLGUARD_CGROUP_PATHS names no corpus of cgroup paths' : false
if (skip !== false) console.log(`# SKIP: ${skip}`)

test('every path of the corpus gives the container that the corpus says, or none', { skip }, () => {
  const rows = readFileSync(corpus ?? '', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  assert.ok(rows.length > 50, 'the corpus has rows')
  const wrong: string[] = []
  for (const row of rows) {
    const [path = '', runtime, id, podUid] = row.split('\t')
    const last = parseCgroupPath(path).at(-1)
    const found = [last?.runtime ?? 'none', last?.id || '-', last?.podUid ?? '-'].join(' ')
    const wanted = [runtime, id, podUid].join(' ')
    if (found !== wanted) wrong.push(`${path}\n  wanted ${wanted}\n  found  ${found}`)
  }
  assert.deepEqual(wrong, [])
})

describe('parseCgroupPath', () => {
  const cases: [string, string, Partial<PathCandidate> | undefined][] = [
    ['Docker with the cgroupfs driver', `/docker/${ID}`, { runtime: 'docker', id: ID }],
    ['Docker with the systemd driver', `/system.slice/docker-${ID}.scope`, { runtime: 'docker', id: ID }],
    ['any --cgroup-parent', `/actions_job/${ID}`, { runtime: 'docker', id: ID }],
    ['a cgroup below the container', `/docker/${ID}/init.scope`, { runtime: 'docker', id: ID }],
    [
      'a CRI container in one segment',
      `/kubepods-pod${POD}.slice:cri-containerd:${ID}`,
      { runtime: 'containerd', id: ID },
    ],
    ['runc with the systemd driver', `/system.slice/runc-${ID}.scope`, { runtime: 'runc', id: ID }],
    ['an LXC payload', '/lxc.payload.web/init.scope', { runtime: 'lxc', id: 'web' }],
    ['old LXC', '/lxc/web', { runtime: 'lxc', id: 'web' }],
    ['nspawn', '/machine.slice/systemd-nspawn@deb\\x2d12.service/payload', { runtime: 'systemd-nspawn', id: 'deb-12' }],
    ['the supervisor of nspawn', '/machine.slice/systemd-nspawn@deb.service/supervisor', undefined],
    [
      'libvirt with a domain id',
      '/machine.slice/machine-lxc\\x2d2293906\\x2dweb\\x2d1.scope/libvirt',
      { runtime: 'libvirt-lxc', id: 'web-1' },
    ],
    ['conmon of CRI-O', `/system.slice/crio-conmon-${ID}.scope`, undefined],
    ['conmon of Podman', `/machine.slice/libpod-conmon-${ID}.scope`, undefined],
    ['a mount unit that carries an id', `/system.slice/run-docker-${ID}.mount`, undefined],
    ['65 digits', `/docker/${ID}0`, undefined],
    ['63 digits', `/docker/${ID.slice(1)}`, undefined],
    ['capital digits', `/docker/${ID.toUpperCase()}`, undefined],
    ['a v1 leaf of 32 hex digits that is no container', `/process_api/${ID.slice(32)}`, undefined],
    ['a systemd transient unit', `/system.slice/run-r${ID.slice(32)}.scope`, undefined],
    ['a terminal’s scope', `/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-${POD}.scope`, undefined],
    ['the shim’s own pod level', `/kubepods/pod${POD}/kata_overhead`, undefined],
    ['the root', '/', undefined],
    ['nothing', '', undefined],
  ]
  for (const [name, path, wanted] of cases) {
    test(name, () => assert.deepEqual(innermost(path), wanted))
  }

  test('a nested container keeps the chain, outermost first, and the pod belongs to its own container only', () => {
    const path = `/docker/${ID}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${POD.replaceAll('-', '_')}.slice/cri-containerd-${OTHER}.scope`
    assert.deepEqual(parseCgroupPath(path), [
      { runtime: 'docker', id: ID, level: 2 },
      { runtime: 'containerd', id: OTHER, podUid: POD, level: 6 },
    ])
  })

  test('a monitor inside an outer container is part of the outer container', () => {
    const path = `/docker/${ID}/kubepods/pod${POD}/crio-conmon-${OTHER}`
    assert.deepEqual(innermost(path), { runtime: 'docker', id: ID })
  })

  test('the id of a Podman pod is never taken for a container', () => {
    const chain = parseCgroupPath(`/machine.slice/machine-libpod_pod_${ID}.slice/libpod-${OTHER}.scope/container`)
    assert.deepEqual(chain, [{ runtime: 'podman', id: OTHER, podUid: ID, level: 3 }])
    assert.equal(innermost(`/libpod_parent/${ID}`), undefined)
  })

  test('a name in a subtree that a user may write carries that user', () => {
    const path = `/user.slice/user-1000.slice/user@1000.service/user.slice/docker-${ID}.scope`
    assert.equal(parseCgroupPath(path).at(-1)?.delegatedUid, 1000)
    assert.equal(delegatedUidOf(path), 1000)
    assert.equal(delegatedUidOf(`/system.slice/user@1000.service/docker-${ID}.scope`), undefined)
    assert.equal(delegatedUidOf('/user.slice/user-1000.slice/session-3.scope'), undefined)
  })

  test('only the container’s own cgroup is its leaf', () => {
    assert.equal(leafCandidate(`/docker/${ID}`)?.id, ID)
    assert.equal(leafCandidate(`/docker/${ID}/sub`), undefined)
    assert.equal(leafCandidate(`/kubepods/pod${POD}`), undefined)
  })

  test('unit names that cannot be a container’s own cgroup', () => {
    for (const path of [
      '/system.slice/cron.service',
      '/system.slice',
      '/init.scope',
      '/user.slice/user-0.slice/session-3.scope',
    ]) {
      assert.ok(isHostUnit(path), path)
    }
    for (const path of [`/system.slice/docker-${ID}.scope`, '/machine.slice/web.scope', '/mine'])
      assert.ok(!isHostUnit(path), path)
  })

  test('level counts the components', () => {
    for (const [path, level] of [
      ['/', 0],
      ['', 0],
      ['/a', 1],
      ['/a/b', 2],
      ['/a//b/', 2],
    ] as const)
      assert.equal(levelOf(path), level)
  })
})

const segment = fc.oneof(
  fc.constantFrom(
    'docker',
    'user.slice',
    'user@1000.service',
    'libpod_parent',
    'kubepods',
    `pod${POD}`,
    `docker-${ID}.scope`,
    ID,
  ),
  fc.constantFrom(
    '..',
    '',
    ':',
    '::',
    'ecs',
    'lxc',
    'mesos',
    `kubepods-pod${POD}.slice:cri-containerd:${OTHER}`,
    'lxc.payload.',
    '.scope',
  ),
  fc.string({ unit: 'binary', maxLength: 80 }),
)

test('any text at all is parsed without an exception, and levels rise along the chain', () => {
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 40 }), (segments) => {
      const path = `/${segments.join('/')}`
      const chain = parseCgroupPath(path)
      let above = 0
      for (const { level } of chain) {
        assert.ok(level > above && level <= levelOf(path))
        above = level
      }
      for (const outer of chain.slice(0, -1)) assert.notEqual(outer.id, '')
    }),
    { numRuns: 2000 },
  )
})

test('the work grows linearly: hostile megabytes are parsed at once', { timeout: 60_000 }, () => {
  for (const unit of [
    'a',
    '-',
    'a-',
    'a.',
    '/',
    '/a',
    '0',
    ':',
    'pod',
    `/docker/${ID}`,
    '\\x2d',
    'lxc.payload.',
    '/lxc.payload.a',
  ]) {
    const path = `/default/${unit.repeat(Math.ceil(1_000_000 / unit.length))}`
    assert.ok(Array.isArray(parseCgroupPath(path)))
    assert.equal(typeof isHostUnit(path), 'boolean')
    assert.ok(levelOf(path) >= 1)
  }
})
