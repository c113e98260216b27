/** src/respond/guard.ts: what is never acted on, with the reason; everything else may be. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Identity, refOf } from '../../src/container/identity.js'
import { reasonToSpare, type Target } from '../../src/respond/guard.js'

const CONFIRMED: Identity = {
  ref: refOf({ id: 'c1', name: 'web', image: 'demo/web', imageId: '', runtime: 'runc', labels: {} }, []),
  confirmed: true,
  rootCgroupId: 7n,
  rootLevel: 2,
  cgroupPath: '/test/c1',
  initPid: undefined,
  initStartTicks: undefined,
  sharesHostPids: undefined,
  privileged: undefined,
  mounts: [],
  createdMs: undefined,
  ownerUid: undefined,
}

const target = (change: Partial<Target> = {}): Target => ({
  identity: CONFIRMED,
  pid: 4242,
  startNs: 1n,
  exe: '/usr/bin/nc',
  phase: 'run',
  ...change,
})

describe('guard rails', () => {
  test('a process of a confirmed container may be acted on', () => {
    assert.equal(reasonToSpare(target(), false), undefined)
    assert.equal(reasonToSpare(target(), true), undefined)
  })

  test("the host's pid 1, and what is no pid, is spared", () => {
    for (const pid of [1, 0, -1]) assert.match(reasonToSpare(target({ pid }), true) ?? '', /pid 1/)
  })

  test('the agent and its parent are spared', () => {
    for (const pid of [process.pid, process.ppid]) assert.match(reasonToSpare(target({ pid }), true) ?? '', /agent/)
  })

  for (const state of ['host', 'pending', 'unknown'] as const)
    test(`what is ${state} is spared, and the reason says so`, () => {
      const ref = { ...CONFIRMED.ref, state }
      const reason = reasonToSpare(target({ identity: { ...CONFIRMED, ref } }), true)
      assert.equal(reason, `only confirmed containers are acted on (this is ${state})`)
    })

  test('a container that no runtime confirmed is spared', () => {
    const reason = reasonToSpare(target({ identity: { ...CONFIRMED, confirmed: false } }), true)
    assert.match(reason ?? '', /only confirmed containers/)
  })

  test('phase setup is spared unless the rule judges it, and a runtime is spared even then', () => {
    assert.match(reasonToSpare(target({ phase: 'setup' }), false) ?? '', /setting the container up/)
    assert.equal(reasonToSpare(target({ phase: 'setup' }), true), undefined)
    for (const exe of ['/usr/sbin/runc', '/usr/bin/crun', '/usr/bin/containerd-shim-runc-v2', 'runc', '/opt/x/conmon'])
      assert.match(reasonToSpare(target({ phase: 'setup', exe }), true) ?? '', /runtime/, exe)
  })

  test("a container's own program of a runtime's name is no runtime once it runs", () => {
    assert.equal(reasonToSpare(target({ exe: '/usr/bin/runc' }), false), undefined)
    assert.equal(reasonToSpare(target({ phase: 'setup', exe: '/usr/bin/runc-not' }), true), undefined)
  })
})
