/** Blocking rules about files and listening sockets, over a real container: what this host can refuse is, and the records say how. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { findHierarchy } from '../../src/container/cgroup-fs.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { tryRungs } from '../../src/sensor/ladder.js'
import { type Feed, type Host, hullguard, scratchDir, startRun } from '../support/hullguard.js'
import { requires, uniqueName } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip =
  requires({ root: true, commands: ['runc', 'busybox'] }) ||
  (findHierarchy().kind === 'v1' && 'needs a unified cgroup hierarchy: the bind hooks attach there')

const POLICY = `policy: stopped
containers: { name: "stopped-*" }
mode: block
rules:
  - rule: not-4711
    listen: { deny: [4711] }
    action: deny
  - rule: deadly-4712
    listen: { deny: [4712] }
    action: kill
  - rule: kept
    file: { deny: [{ path: /kept/**, access: [write, create, delete] }] }
    action: deny
`

describe('blocking rules about calls', { skip }, () => {
  const hasLsm = requires({ root: true }) === false && !tryRungs().has('lsm')
  const root = scratchDir()
  const dir = scratchDir()
  const policy = join(dir, 'policy.yaml')
  let host: Host
  let feed: Feed
  let container: RuncContainer

  before(async () => {
    writeFileSync(policy, POLICY)
    const rootfs = await makeRootfs(join(dir, 'root'), { files: { 'kept/file': 'kept\n' } })
    host = await startRun({ runcRoot: root, policies: [policy], mode: 'block' })
    feed = host.feed()
    const args = ['/bin/sh', '-c', 'while :; do sleep 1; done']
    container = await runcRun({ args, rootfs, id: uniqueName('stopped'), root })
    await feed.find('the container', ({ kind, container: seen }) => kind === 'exec' && seen?.state === 'container')
  })
  after(async () => {
    await container?.remove()
    await feed?.close()
    await host?.stop()
  })

  const shell = (script: string) => container.exec(['/bin/sh', '-c', script])
  const ofRule = (kind: 'alert' | 'action', rule: string) => (record: HullguardRecord) =>
    record.kind === kind && record.alert?.rule === rule

  test('a denied listen is refused, and said so', async () => {
    const { stdout } = await shell('httpd -p 127.0.0.1:4711 -h /tmp 2>&1; echo code $?')
    assert.match(stdout, /not permitted\ncode 1$/m)
    const { alert, call, process } = await feed.find('the action', ofRule('action', 'not-4711'))
    assert.deepEqual([alert?.actionTaken, alert?.outcome, alert?.reason], ['deny', 'denied', ''])
    assert.equal(alert?.hook, hasLsm ? 'lsm/socket_listen' : 'cgroup/bind4')
    assert.deepEqual([call?.act, call?.socket?.localPort], [hasLsm ? 'listen' : 'bind', 4711])
    assert.equal(process?.args[0], 'httpd')
    const { alert: told } = await feed.find('the alert', ofRule('alert', 'not-4711'))
    assert.equal(told?.outcome, 'denied')
  })

  test('another port is left alone', async () => {
    const { stdout } = await shell('httpd -p 127.0.0.1:4713 -h /tmp 2>&1; echo code $?')
    assert.doesNotMatch(stdout, /not permitted/)
  })

  test('who listens at a port of a kill rule is refused it, and killed', async () => {
    const { stdout } = await shell('httpd -p 127.0.0.1:4712 -h /tmp 2>&1; sleep 0.2; echo over')
    assert.match(stdout, /over/)
    const ended = (record: HullguardRecord) =>
      ofRule('action', 'deadly-4712')(record) && record.alert?.outcome === 'killed_before_effect'
    const isTried = (record: HullguardRecord) => ofRule('action', 'deadly-4712')(record)
    const first = await feed.find('the refusal', isTried)
    assert.equal(first.alert?.outcome, hasLsm ? 'killed_before_effect' : 'denied')
    // httpd ends by itself when it is refused, so the pidfd can come too late: then the record says that
    const gone = (record: HullguardRecord) => isTried(record) && record.alert?.outcome === 'failed'
    const last = await feed.find('what became of it', (record) => ended(record) || gone(record))
    if (gone(last)) assert.match(last.alert?.reason ?? '', /already ended|not in the container's cgroup any more/)
  })

  test('what no hook can refuse happens, and the record says why', {
    skip: hasLsm && 'this kernel refuses it',
  }, async () => {
    await shell('echo more >> /kept/file')
    const { alert, call } = await feed.find('the action', ofRule('action', 'kept'))
    assert.deepEqual([alert?.outcome, alert?.hook], ['failed', ''])
    assert.match(alert?.reason ?? '', /no hook on this host could refuse it/)
    assert.equal(call?.path, '/kept/file')
    assert.equal((await shell('cat /kept/file')).stdout.trim().split('\n').at(-1), 'more')
  })

  test('what only a BPF LSM refuses has no effect', {
    skip: !hasLsm && 'this kernel runs no BPF LSM programs',
  }, async () => {
    const { stdout } = await shell('echo more >> /kept/file; rm /kept/file; : > /kept/new; ls /kept; cat /kept/file')
    assert.match(stdout, /file\nkept$/)
    const { alert } = await feed.find('the action', ofRule('action', 'kept'))
    assert.deepEqual([alert?.outcome, alert?.hook], ['denied', 'lsm/file_open'])
  })

  test('`policy explain --here` says what this host can do, and `policy check` what the action needs', async () => {
    const explained = await hullguard(['policy', 'explain', '--here', '--no-indexes', policy])
    assert.equal(explained.code, 0, explained.stderr)
    const [, , files = ''] = explained.stdout.split(/^stopped: /m).slice(1)
    if (hasLsm) assert.match(files, /the kernel at lsm\/file_open.*the act is refused \(EPERM\)$/m)
    else
      assert.match(
        files,
        /user space; alerts only: no hook can refuse it\n.*no hook that can refuse what is done to files/,
      )
    assert.match(
      explained.stdout,
      hasLsm ? /the listen is refused/ : /the bind to a TCP port that the call names is refused/,
    )
    const checked = await hullguard(['policy', 'check', policy])
    assert.equal(checked.code, 0, checked.stderr)
    assert.match(checked.stdout + checked.stderr, /`deny` of what is done to files needs a kernel with the BPF LSM/)
  })
})
