/** Falco's stable rules, unchanged, over real containers: what fires, with which text, and what stays quiet. And the ways to load rules. */
import assert from 'node:assert/strict'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord } from '../../src/record/model.js'
import { makeCgroup, removeCgroup, testCgroupPath } from '../support/cgroup.js'
import { type Feed, type Host, hullguard, policyFile, scratchDir, startRun } from '../support/hullguard.js'
import { isTold, LANE_END_POLICY, reachEnd } from '../support/lane-end.js'
import { OverlayRoot } from '../support/overlay.js'
import { requires, runOk, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'
import { act, compileAct } from '../support/sensor-acts.js'
import { sharedFile } from '../support/shared-data.js'

const stable = sharedFile('falco-rules/falco_rules.yaml')
const tools = requires({ root: true, commands: ['runc', 'busybox', 'gcc', 'script', 'mount'] })
const skip = stable.skip === false ? tools : stable.skip

/** Forks a shell, as a web server that was taken over would. */
const SERVER = '#!/bin/sh\n/bin/sh -c "exit 0"\nexit 0\n'

describe("Falco's stable rules in force", { skip }, () => {
  const root = scratchDir()
  const dir = scratchDir()
  const [name, quietName] = [uniqueName('falco'), uniqueName('quiet')]
  let host: Host
  let feed: Feed
  let overlay: OverlayRoot
  let container: RuncContainer
  let quiet: RuncContainer

  before(async () => {
    const program = await compileAct(dir)
    const image = await makeRootfs(join(dir, 'image'), {
      files: { 'usr/sbin/nginx': SERVER },
      copies: { 'bin/act': program, 'bin/shred-data': program },
    })
    overlay = await OverlayRoot.mount(image, join(dir, 'layers'))
    host = await startRun({ runcRoot: root, policies: [policyFile(LANE_END_POLICY)], args: ['--rules', stable.path] })
    feed = host.feed()
    const args = ['/bin/sh', '-c', 'while :; do sleep 1; done']
    container = await runcRun({ args, rootfs: overlay.path, id: name, root })
    quiet = await runcRun({ args, rootfs: image, id: quietName, root })
  })
  after(async () => {
    await container?.remove()
    await quiet?.remove()
    await feed?.close()
    await host?.stop()
    await overlay?.unmount()
  })

  const alertOf = (rule: string) =>
    feed.find(`an alert of ${rule}`, ({ alert, container: { name: where } }) => alert?.rule === rule && where === name)

  async function fires(rule: string, command: readonly string[]): Promise<HullguardRecord> {
    await container.exec(command)
    return alertOf(rule)
  }

  test('the start says what is in force and what is refused', () => {
    assert.match(host.stderr, /^Falco rules: \d+ go into force, \d+ (is|are) refused/m)
  })

  test('Netcat Remote Code Execution in Container: the whole alert', async () => {
    const record = await fires('Netcat Remote Code Execution in Container', [
      '/bin/nc',
      '-e',
      '/bin/sh',
      '127.0.0.1',
      '9',
    ])
    const { alert, exec, process } = record
    assert.ok(alert)
    assert.deepEqual(
      [alert.policy, alert.priority, alert.actionTaken, alert.outcome, alert.cause.kind],
      ['falco', 'warning', 'alert', 'none', 'exec'],
    )
    assert.deepEqual(alert.tags, ['maturity_stable', 'container', 'network', 'process', 'mitre_execution', 'T1059'])
    assert.equal(exec?.path, '/bin/nc')
    assert.equal(process?.args.join(' '), '/bin/nc -e /bin/sh 127.0.0.1 9')
    // runc's own process, of the host: known when it forked in the container's cgroup, else not
    assert.equal(
      alert.output.replace(/ parent=(runc|<NA>) /, ' parent=RUNTIME '),
      'Netcat runs inside container that allows remote code execution | evt_type=execve user=root user_uid=0 user_loginuid=-1 process=nc proc_exepath=/bin/busybox parent=RUNTIME command=nc -e /bin/sh 127.0.0.1 9 terminal=0 exe_flags= ' +
        `container_id=${name.slice(0, 12)} container_name=${name} container_image_repository=<NA> container_image_tag=<NA> k8s_pod_name=<NA> k8s_ns_name=<NA>`,
    )
  })

  test('Terminal shell in container: with a terminal only', async () => {
    await container.exec(['/bin/sh', '-c', 'exit 0'])
    await runOk('script', ['-qec', `runc --root ${root} exec -t ${name} /bin/sh -c 'exit 0'`, '/dev/null'])
    const { alert } = await alertOf('Terminal shell in container')
    assert.match(
      alert?.output ?? '',
      /^A shell was spawned in a container with an attached terminal \| evt_type=execve user=root user_uid=0 user_loginuid=-1 process=sh proc_exepath=\/bin\/busybox parent=\S+ command=sh -c exit 0 terminal=[1-9]\d* /,
    )
    await reachEnd(feed, 'alert', container)
    const isOne = ({ alert: seen, container: { name: where } }: HullguardRecord) =>
      seen?.rule === 'Terminal shell in container' && where === name
    assert.equal(feed.all(isOne).length, 1)
  })

  const cases: readonly { rule: string; command: readonly string[]; output: RegExp }[] = [
    {
      rule: 'Run shell untrusted',
      command: ['/usr/sbin/nginx'],
      output: /process=sh .*parent=nginx command=sh -c exit 0 /,
    },
    {
      rule: 'Search Private Keys or Passwords',
      command: ['/bin/find', '/root', '-name', 'id_rsa'],
      output: /^Grep private keys or passwords activities found \| .*command=find \/root -name id_rsa /,
    },
    {
      rule: 'Find AWS Credentials',
      command: ['/bin/find', '/', '-path', '*.aws/credentials'],
      output: /proc_cwd=\/ group_gid=0 group_name=root .*command=find \/ -path \*\.aws\/credentials /,
    },
    {
      rule: 'Remove Bulk Data from Disk',
      command: ['/bin/shred', '-u', '/tmp/none'],
      output: /^Bulk data has been removed from disk \| file=<NA> .*process=shred /,
    },
    {
      rule: 'Execution from /dev/shm',
      command: ['/bin/sh', '-c', '/dev/shm/none; exit 0'],
      output: /^File execution detected from \/dev\/shm \| evt_res=SUCCESS /,
    },
    {
      rule: 'Drop and execute new binary in container',
      command: ['/bin/sh', '-c', 'cp /bin/act /tmp/dropped; /tmp/dropped exit 0; exit 0'],
      output:
        /^Executing binary not part of base image \| proc_exe=\/tmp\/dropped .*proc_exepath=\S*\/tmp\/dropped .*exe_flags=EXE_UPPER_LAYER /,
    },
    {
      rule: 'Fileless execution via memfd_create',
      command: ['/bin/act', 'memfd-exec', '/bin/act', 'innocent', 'exit', '0'],
      output: /^Fileless execution via memfd_create \| .*exe_flags=\S*EXE_FROM_MEMFD /,
    },
  ]
  for (const { rule, command, output } of cases)
    test(rule, async () => {
      const { alert } = await fires(rule, command)
      assert.match(alert?.output ?? '', output)
      assert.match(alert?.output ?? '', new RegExp(` container_name=${name} `))
    })

  test('System user interactive', async () => {
    await runOk('runc', [
      '--root',
      root,
      'exec',
      '--user',
      '1:1',
      name,
      '/bin/sh',
      '-c',
      '/bin/login nobody </dev/null; exit 0',
    ])
    const { alert } = await alertOf('System user interactive')
    assert.match(
      alert?.output ?? '',
      /^System user ran an interactive command \| .*user=daemon user_uid=1 .*process=login /,
    )
  })

  test('ordinary acts fire nothing', async () => {
    const ordinary = [
      'ls -la /',
      'cat /etc/passwd',
      'date; id; ps',
      'find /tmp -name x',
      'mkdir -p /tmp/a; touch /tmp/a/b',
      'wget -q http://127.0.0.1:9/',
    ]
    for (const command of ordinary) await quiet.exec(['/bin/sh', '-c', `${command}; exit 0`])
    await reachEnd(feed, 'alert', quiet)
    const alerts = feed.all((record) => isTold(record) && record.container.name === quietName)
    assert.deepEqual(
      alerts.map(({ alert }) => `${alert?.rule}: ${alert?.output}`),
      [],
    )
  })
})

describe('loading rules', { skip: tools }, () => {
  const root = scratchDir()
  const dir = scratchDir()
  const name = uniqueName('rules')
  const own = `hg${process.pid}`.slice(0, 15)
  const rules = join(dir, 'rules.yaml')
  const ruleOf = (rule: string, condition: string, output = 'seen %proc.name in %container.id') =>
    `- rule: ${rule}\n  desc: d\n  condition: evt.type = execve and ${condition}\n  output: "${output}"\n  priority: NOTICE\n`
  let program: string
  let rootfs: string

  before(async () => {
    program = await compileAct(dir)
    copyFileSync(program, join(dir, own))
    rootfs = await makeRootfs(join(dir, 'root'))
    hostCgroupDir = makeCgroup(hostCgroup)
  })
  after(() => removeCgroup(hostCgroup))

  /** There before any agent, so that it is the host's at once. */
  const hostCgroup = testCgroupPath()
  let hostCgroupDir: string

  /** A process of the host, in a cgroup of the test's own. */
  async function actOnHost(): Promise<void> {
    await act(program, 'join', hostCgroupDir, 'exec', join(dir, own), own, 'exit', 0)
  }

  test('host scope: the host is watched by rules, and only what they hold for is recorded', async () => {
    writeFileSync(rules, ruleOf('own', `proc.name = ${own}`))
    const host = await startRun({ runcRoot: root, args: ['--rules', rules, '--rules-scope', 'host'] })
    const feed = host.feed()
    try {
      await actOnHost()
      const { alert, container } = await feed.find('the alert', ({ alert: seen }) => seen?.rule === 'own')
      assert.equal(container.state, 'host')
      assert.match(alert?.output ?? '', new RegExp(`^seen ${own} in host$`))
      await feed.find('what happened', ({ kind, container: { state } }) => kind === 'exec' && state === 'host')
      const hosts = feed.all(
        ({ kind, container: { state }, process: who }) => state === 'host' && kind === 'exec' && who !== undefined,
      )
      assert.deepEqual(
        hosts.map(({ process: who }) => who?.args[0]),
        [own],
      )
    } finally {
      await feed.close()
      await host.stop()
    }
  })

  test('container scope, first match, native conditions, and a reload that is all or nothing', async () => {
    const isOwn = `(proc.name = ${own} or proc.name = date)`
    writeFileSync(rules, ruleOf('first', isOwn) + ruleOf('second', isOwn))
    const policy = join(dir, 'policy.yaml')
    writeFileSync(
      policy,
      'policy: own\ncontainers: { name: "*" }\nrules:\n  - rule: native\n    condition: evt.type = execve and proc.name = date\n    output: "native saw %proc.cmdline in %container.name"\n',
    )
    const args = ['--rules', rules, '--rule-matching', 'first']
    const host = await startRun({ runcRoot: root, policies: [policy], args })
    const feed = host.feed()
    const container = await runcRun({ args: ['/bin/sleep', '600'], rootfs, id: name, root })
    // Other containers of this host may ask for the date; the host is none of these rules' business.
    const isOf = (rule: string) => (record: HullguardRecord) =>
      record.alert?.rule === rule && (record.container.name === name || record.container.state === 'host')
    const count = (rule: string) => feed.all(isOf(rule)).length
    try {
      await actOnHost()
      await container.exec(['/bin/date'])
      const native = await feed.find('the native alert', isOf('native'))
      assert.deepEqual([native.alert?.policy, native.alert?.output], ['own', `native saw date in ${name}`])
      await feed.find('the first', isOf('first'))
      assert.deepEqual([count('first'), count('second')], [1, 0])

      writeFileSync(
        rules,
        `${ruleOf('third', 'proc.name = date')}- rule: broken\n  desc: d\n  condition: evt.type = execve and proc.nmae = x\n  output: o\n  priority: INFO\n`,
      )
      host.signal('SIGHUP')
      await host.waitForLog('reload refused')
      assert.match(host.stderr, /HG3302/)
      await container.exec(['/bin/date'])
      await waitFor('the old rule', () => count('first') === 2)
      assert.equal(count('third'), 0)

      writeFileSync(rules, ruleOf('third', 'proc.name = date'))
      host.signal('SIGHUP')
      await host.waitForLog('policies reloaded')
      await container.exec(['/bin/date'])
      await feed.find('the new rule', isOf('third'))
      assert.equal(count('first'), 2)
    } finally {
      await container.remove()
      await feed.close()
      await host.stop()
    }
  })

  test('a file of which a rule is refused starts, and does not with --strict; an unreadable one never', async () => {
    writeFileSync(rules, ruleOf('good', 'proc.name = a') + ruleOf('lacking', 'proc.is_exe_writable = true'))
    const data = scratchDir()
    const base = ['run', '--data-dir', data, '--host-lock', join(data, 'lock')]
    const strict = await hullguard([...base, '--rules', rules, '--strict'])
    assert.equal(strict.code, 1)
    assert.match(
      strict.stderr,
      /HG3305[\s\S]*Falco rules: 1 go into force, 1 is refused[\s\S]*nothing was put in force/,
    )
    const absent = await hullguard([...base, '--rules', join(dir, 'none.yaml')])
    assert.equal(absent.code, 1)
    assert.match(absent.stderr, /none\.yaml[\s\S]*nothing was put in force/)
  })
})
