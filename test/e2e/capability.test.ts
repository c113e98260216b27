/** Capability rules over real containers: what a process gains there, what the runtime gives, and what ends a process. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { sensorHierarchy } from '../../src/agent/host/sensor-hierarchy.js'
import { findHierarchy } from '../../src/container/cgroup-fs.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { hostRefusals } from '../../src/sensor/capability.js'
import { type Feed, type Host, policyFile, scratchDir, startRun } from '../support/hullguard.js'
import { LANE_END_POLICY, toldOf } from '../support/lane-end.js'
import { requires, runOk, uniqueName } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'
import { compileAct } from '../support/sensor-acts.js'

/** What this host can of uses. */
function tryRefusals() {
  const { use: refusals, areUsesUnseen } = hostRefusals(sensorHierarchy(findHierarchy()))
  return { refusals, areUsesUnseen }
}

const skip = requires({ root: true, commands: ['runc', 'busybox', 'gcc', 'setcap'] })

const POLICY = `policy: gains
mode: block
containers: { name: "gains-*" }
rules:
  - rule: low ports only
    capability: { allow: [NET_BIND_SERVICE] }
  - rule: raw sockets
    capability: { deny: [NET_RAW] }
    action: kill
  - rule: nothing is given away
    capability: { deny: [CHOWN], when: use }
    action: deny
`
/** Steps of acts/act.c: a user without capabilities, after an exec of its own. */
const AS_APP = ['/bin/act', 'setuid', '4711', 'exec', '/bin/act', 'app'] as const

describe('capability rules', { skip }, () => {
  const dir = scratchDir()
  let host: Host
  let feed: Feed
  let container: RuncContainer

  before(async () => {
    const act = await compileAct(dir)
    const programs = ['act', 'become', 'pinger', 'server'].map((name) => [`bin/${name}`, act])
    const rootfs = await makeRootfs(join(dir, 'root'), { copies: Object.fromEntries(programs) })
    chownSync(join(rootfs, 'bin/become'), 0, 0)
    chmodSync(join(rootfs, 'bin/become'), 0o4755)
    await runOk('setcap', ['cap_net_raw+ep', join(rootfs, 'bin/pinger')])
    await runOk('setcap', ['cap_net_bind_service+ep', join(rootfs, 'bin/server')])
    const policies = [policyFile(POLICY), policyFile(LANE_END_POLICY)]
    host = await startRun({ runcRoot: join(dir, 'state'), policies, mode: 'block' })
    feed = host.feed()
    container = await runcRun({
      args: ['/bin/sh', '-c', 'while :; do sleep 1; done'],
      rootfs,
      id: uniqueName('gains'),
      root: join(dir, 'state'),
      noNewPrivileges: false,
    })
    await feed.find('the first exec', ({ kind, container: { id } }) => kind === 'exec' && id === container.id)
  })
  after(async () => {
    await container?.remove()
    await feed?.close()
    await host?.stop()
  })

  /** Runs it in the container: its exit status, and what of alerts and actions it came to. */
  async function toldAfter(args: readonly string[]) {
    const { result, told } = await toldOf(feed, container, () => container.exec(args))
    return { code: result.code, told }
  }
  const rulesOf = (records: readonly HullguardRecord[]) =>
    records.flatMap(({ kind, alert }) => (kind === 'alert' ? [alert?.rule] : []))

  test('what the runtime gives is no gain: neither to the first process nor to one that is executed into it', async () => {
    assert.deepEqual((await toldAfter(['/bin/true'])).told, [])
    assert.deepEqual((await toldAfter(AS_APP)).told, [])
  })

  test('a set-user-id program of root: the alert names what was gained, and by whom', async () => {
    const { told } = await toldAfter([...AS_APP, 'exec', '/bin/become', 'become', 'exit', '0'])
    const alert = told.find(({ kind, alert: { rule } = {} }) => kind === 'alert' && rule === 'low ports only')
    assert.match(
      alert?.alert?.output ?? '',
      /^low ports only: \/bin\/become \(pid \d+\) gained CAP_CHOWN, .*CAP_SETUID.* by executing \/bin\/become as root in container gains-/,
    )
    assert.equal(alert?.exec?.path, '/bin/become')
  })

  test('a use is refused where the kernel can, and told once whatever the host can', async (t) => {
    const { refusals, areUsesUnseen } = tryRefusals()
    if (areUsesUnseen && !refusals) return t.skip('no hook of this kernel tells of uses')
    const { code, told } = await toldAfter(['/bin/sh', '-c', 'cd /tmp && : > one && : > two && chown 7:7 one two'])
    assert.equal(code, refusals ? 1 : 0)
    assert.deepEqual(rulesOf(told), ['nothing is given away'])
    const { alert, call } = told.find(({ kind }) => kind === 'action') ?? {}
    assert.deepEqual([alert?.actionTaken, alert?.outcome], ['deny', refusals ? 'denied' : 'failed'])
    assert.match(alert?.output ?? '', /used CAP_CHOWN in (f|l)?chown/)
    assert.deepEqual([call?.act, call?.args.capability], ['capable', 'CAP_CHOWN'])
  })

  test('a file with a capability that is allowed is silent', async () => {
    assert.deepEqual((await toldAfter([...AS_APP, 'exec', '/bin/server', 'server', 'exit', '0'])).told, [])
  })

  test('kill ends the process that gained it, and says so', async () => {
    const { code, told } = await toldAfter([
      ...AS_APP,
      'exec',
      '/bin/pinger',
      'pinger',
      'exec',
      '/bin/sleep',
      'sleep',
      '30',
    ])
    assert.equal(code, 128 + 9)
    assert.deepEqual(rulesOf(told).sort(), ['low ports only', 'raw sockets'])
    const action = told.filter(({ kind }) => kind === 'action').at(-1)?.alert
    assert.deepEqual([action?.rule, action?.outcome, action?.hook], ['raw sockets', 'killed_after_effect', 'pidfd'])
  })

  test('a user namespace: the call is what gains', async () => {
    const { told } = await toldAfter([...AS_APP, 'userns'])
    const alert = told.find(({ kind, alert: { rule } = {} }) => kind === 'alert' && rule === 'low ports only')?.alert
    assert.match(alert?.output ?? '', /gained every capability by unshare as 4711 in/)
  })

  test('a child in a user namespace of its own: the parent is who acted', async () => {
    const { told } = await toldAfter([...AS_APP, 'clone-userns', '0'])
    const alert = told.find(({ kind, alert: { rule } = {} }) => kind === 'alert' && rule === 'low ports only')?.alert
    assert.match(
      alert?.output ?? '',
      /\(pid \d+\) made process \d+ with every capability, in a user namespace of its own/,
    )
  })
})
