/** Native rules about files, listening sockets, mounts and signals, over a real container: what each is about, and what not. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord } from '../../src/record/model.js'
import { type Feed, type Host, policyFile, scratchDir, startRun } from '../support/hullguard.js'
import { LANE_END_POLICY, toldOf } from '../support/lane-end.js'
import { requires, runOk, uniqueName } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox'] })

const POLICY = `policy: calls
containers: { name: "calls-*" }
rules:
  - rule: only-tmp
    file:
      deny: [{ path: /etc/**, access: [write, create, delete, rename, link, chmod, chown] }]
      allow:
        - { path: /etc/motd, access: write }
        - { path: /tmp/**, access: [write, create, delete, rename, link, chmod, chown] }
  - rule: no-secrets
    file: { deny: [{ path: /run/secret, access: read }] }
  - rule: only-web
    listen: { allow: [8080] }
  - rule: no-tmpfs
    mount: { deny: [{ fstype: tmpfs }] }
  - rule: only-nobody
    signal: { allow: [{ user: 65534 }] }
`

describe('native rules about calls', { skip }, () => {
  const root = scratchDir()
  const dir = scratchDir()
  const name = uniqueName('calls')
  let host: Host
  let feed: Feed
  let container: RuncContainer

  before(async () => {
    const rootfs = await makeRootfs(join(dir, 'root'), {
      files: { 'etc/motd': 'hello\n', 'etc/hosts': 'x\n', 'run/secret': 's\n' },
    })
    host = await startRun({ runcRoot: root, policies: [policyFile(POLICY), policyFile(LANE_END_POLICY)] })
    feed = host.feed()
    container = await runcRun({
      args: ['/bin/sh', '-c', 'while :; do sleep 1; done'],
      rootfs,
      id: name,
      root,
      capabilities: ['CAP_DAC_OVERRIDE', 'CAP_CHOWN', 'CAP_FOWNER', 'CAP_KILL', 'CAP_SYS_ADMIN'],
    })
  })
  after(async () => {
    await container?.remove()
    await feed?.close()
    await host?.stop()
  })

  /** The alerts of what the shell does. */
  async function alertsOf(script: string): Promise<HullguardRecord[]> {
    return (await toldOf(feed, container, () => container.exec(['/bin/sh', '-c', script]))).told
  }
  const rulesOf = (alerts: readonly HullguardRecord[]) => alerts.map(({ alert }) => alert?.rule)

  const files: readonly [what: string, script: string][] = [
    ['a write', 'echo x >> /etc/hosts'],
    ['a file made', 'set -C; : > /etc/new'],
    ['a mode changed', 'chmod 600 /etc/hosts'],
    ['an owner changed', 'chown 1 /etc/hosts'],
    ['a link made', 'ln /etc/hosts /tmp/hosts'],
    ['a file moved away', 'mv /etc/new /tmp/new'],
    ['a file moved in', 'mv /tmp/new /etc/in'],
    ['a file removed', 'rm /etc/in'],
    ['a folder made', 'mkdir /etc/folder'],
    ['a folder removed', 'rmdir /etc/folder'],
    ['by another way to it', 'ln -s /etc /tmp/way; echo x >> /tmp/way/../etc/hosts; rm /tmp/way'],
  ]
  for (const [what, script] of files)
    test(`file: ${what}`, async () => {
      const rules = rulesOf(await alertsOf(script))
      assert.ok(rules.length > 0, 'no alert')
      assert.deepEqual([...new Set(rules)], ['only-tmp'])
    })

  test('file: what is allowed, what is read, what fails and what is elsewhere is silent', async () => {
    const script = 'echo x >> /etc/motd; cat /etc/hosts; cat /etc/none; rm /etc/none; echo x > /tmp/x; rm /tmp/x'
    const alerts = await alertsOf(script)
    assert.deepEqual(
      alerts.map(({ alert, call, process }) => [alert?.rule, call?.path, call?.access, process?.args]),
      [],
    )
  })

  test('file: the alert names the access, the file and the process', async () => {
    const [first] = await alertsOf('cat /run/secret')
    assert.deepEqual([first?.alert?.rule, first?.alert?.cause.kind], ['no-secrets', 'open'])
    assert.equal(first?.call?.path, '/run/secret')
    assert.deepEqual(first?.call?.access, ['read'])
    assert.equal(first?.process?.args.join(' '), 'cat /run/secret')
  })

  test('listen: a port that is not allowed', async () => {
    assert.deepEqual(rulesOf(await alertsOf('nc -l -p 4711 -w 1 < /dev/null')), ['only-web'])
    assert.deepEqual(rulesOf(await alertsOf('nc -l -p 8080 -w 1 < /dev/null')), [])
  })

  test('mount: a type that is denied', async () => {
    assert.deepEqual(rulesOf(await alertsOf('mount -t tmpfs none /tmp && umount /tmp')), ['no-tmpfs'])
    assert.deepEqual(rulesOf(await alertsOf('mount -t proc proc /tmp && umount /tmp')), [])
  })

  test('signal: one that ends a process, by whom no entry allows', async () => {
    assert.deepEqual(rulesOf(await alertsOf('sleep 99 & kill -TERM $!; wait')), ['only-nobody'])
    assert.deepEqual(rulesOf(await alertsOf('sleep 0.2 & kill -CONT $!; kill -0 $!; wait')), [])
  })

  test('signal: from the host, as the rule of its target', async () => {
    const sleeper = container.execSpawn(['/bin/sleep', '98'])
    const { process: seen } = await feed.find('the sleeper', ({ process }) => process?.args[1] === '98')
    await runOk('kill', ['-TERM', String(seen?.pid)])
    const { alert, process } = await feed.find(
      'the alert',
      ({ alert: found, process: who }) => found?.rule === 'only-nobody' && who?.args[0] !== 'sh',
    )
    assert.equal(alert?.cause.kind, 'signal')
    assert.notEqual(process?.pid, seen?.pid)
    sleeper.kill()
  })
})
