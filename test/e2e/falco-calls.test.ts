/** Falco's stable rules about calls - files, descriptors, sockets, tracing - unchanged, over a real container: each fires on its act. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { CallActs, sys } from '../support/call-acts.js'
import { type Feed, type Host, policyFile, scratchDir, startRun } from '../support/hullguard.js'
import { LANE_END_POLICY, reachEnd, toldOf } from '../support/lane-end.js'
import { requires, uniqueName } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'
import { compileAct } from '../support/sensor-acts.js'
import { sharedFile } from '../support/shared-data.js'

const stable = sharedFile('falco-rules/falco_rules.yaml')
const tools = requires({ root: true, commands: ['runc', 'busybox', 'gcc'] })
const skip = stable.skip === false ? tools : stable.skip

/** A server that has run for longer than a process is new to the rules, and then reads what it has no business with. */
const SERVER = '#!/bin/sh\nsleep 6\nread line < /etc/shadow\nexit 0\n'

const AF_INET = 2
const AF_PACKET = 17
const SOCK_STREAM = 1
const SOCK_RAW = 3
const PTRACE_TRACEME = 0
const PTRACE_SEIZE = 0x4206

interface Case {
  rule: string
  command: readonly (string | number)[]
  output: RegExp
}

describe("Falco's stable rules about calls", { skip }, () => {
  const root = scratchDir()
  const dir = scratchDir()
  const name = uniqueName('falco-calls')
  let host: Host
  let feed: Feed
  let container: RuncContainer

  before(async () => {
    await CallActs.compile(dir)
    const program = await compileAct(dir)
    const rootfs = await makeRootfs(join(dir, 'root'), {
      files: { 'usr/sbin/nginx': SERVER, 'etc/shadow': 'root:*::0:99999:7:::\n', 'var/log/syslog': 'line\n' },
      copies: { 'bin/calls': join(dir, 'calls'), 'bin/ssh': program },
    })
    host = await startRun({ runcRoot: root, policies: [policyFile(LANE_END_POLICY)], args: ['--rules', stable.path] })
    feed = host.feed()
    container = await runcRun({
      args: ['/bin/sh', '-c', 'while :; do sleep 1; done'],
      rootfs,
      id: name,
      root,
      capabilities: ['CAP_DAC_OVERRIDE', 'CAP_NET_RAW', 'CAP_SYS_ADMIN', 'CAP_SYS_MODULE'],
    })
  })
  after(async () => {
    await container?.remove()
    await feed?.close()
    await host?.stop()
  })

  const calls = (...words: readonly (readonly (string | number)[])[]) => ['/bin/calls', ...words.flat()]
  const cases: readonly Case[] = [
    {
      rule: 'Read sensitive file untrusted',
      command: ['/bin/cat', '/etc/shadow'],
      output: /file=\/etc\/shadow .*evt_type=open(at)? .*process=cat .*command=cat \/etc\/shadow /,
    },
    {
      rule: 'Directory traversal monitored file read',
      command: ['/bin/cat', '/etc/../bin/../etc/shadow'],
      output:
        /^Read monitored file via directory traversal \| file=\/etc\/shadow fileraw=\/etc\/\.\.\/bin\/\.\.\/etc\/shadow /,
    },
    {
      rule: 'Read sensitive file trusted after startup',
      command: ['/usr/sbin/nginx'],
      output: /file=\/etc\/shadow .*process=nginx /,
    },
    {
      rule: 'Clear Log Activities',
      command: ['/bin/sh', '-c', ': > /var/log/syslog'],
      output: /^Log files were tampered \| file=\/var\/log\/syslog .*command=sh -c : > \/var\/log\/syslog /,
    },
    {
      rule: 'Create Symlink Over Sensitive Files',
      command: ['/bin/ln', '-s', '/etc/shadow', '/tmp/soft'],
      output: /^Symlinks created over sensitive files \| target=\/etc\/shadow linkpath=\/tmp\/soft evt_type=symlink/,
    },
    {
      rule: 'Create Hardlink Over Sensitive Files',
      command: ['/bin/ln', '/etc/shadow', '/tmp/hard'],
      output: /^Hardlinks created over sensitive files \| target=\/etc\/shadow linkpath=\/tmp\/hard evt_type=link/,
    },
    {
      rule: 'Packet socket created in container',
      command: calls(sys('socket', AF_PACKET, SOCK_RAW, 0)),
      output: /^Packet socket was created in a container \| socket_info=.*domain=AF_PACKET .*evt_type=socket /,
    },
    {
      rule: 'Redirect STDOUT/STDIN to Network Connection in Container',
      command: calls(sys('socket', AF_INET, SOCK_STREAM, 0), sys('dup2', '$0', 0)),
      output: /^Redirect stdout\/stdin to network connection \| .*fd_type=ipv4 fd_proto=tcp evt_type=dup2 /,
    },
    {
      rule: 'Detect release_agent File Container Escapes',
      command: ['/bin/sh', '-c', 'echo /cmd > /tmp/release_agent'],
      output: /file=\/tmp\/release_agent cap_effective=\S*.*CAP_SYS_ADMIN/,
    },
    {
      rule: 'Linux Kernel Module Injection Detected',
      command: calls(sys('init_module', 0, 0, 's:')),
      output: /^Linux Kernel Module injection from container \| .*res=E\w+ evt_type=init_module /,
    },
    {
      rule: 'PTRACE attached to process',
      command: calls(sys('ptrace', PTRACE_SEIZE, 1, 0, 0)),
      output: /^Detected ptrace PTRACE_ATTACH attempt \| .*evt_type=ptrace /,
    },
    {
      rule: 'PTRACE anti-debug attempt',
      command: calls(sys('ptrace', PTRACE_TRACEME, 0, 0, 0)),
      output: /^Detected potential PTRACE_TRACEME anti-debug attempt \| .*evt_type=ptrace .*process=calls /,
    },
    {
      rule: 'Disallowed SSH Connection Non Standard Port',
      command: ['/bin/ssh', 'connect', '203.0.113.5', 443],
      output:
        /^Disallowed SSH Connection \| connection=->203\.0\.113\.5:443 .*fd_type=ipv4 fd_proto=tcp evt_type=connect /,
    },
  ]
  for (const { rule, command, output } of cases)
    test(rule, async () => {
      await container.exec(command.map(String))
      const { alert } = await feed.find(
        `an alert of ${rule}`,
        ({ alert: seen, container: { name: where } }) => seen?.rule === rule && where === name,
      )
      assert.match(alert?.output ?? '', output)
      assert.match(alert?.output ?? '', new RegExp(` container_name=${name} `))
    })

  test('what a web page or a log line needs fires nothing more', async () => {
    await reachEnd(feed, 'alert', container) // of what the acts above came to beside their rule
    const { told } = await toldOf(feed, container, () =>
      container.exec(['/bin/sh', '-c', 'cat /etc/passwd; echo more >> /var/log/syslog; ln -s a /tmp/b; : > /tmp/c']),
    )
    assert.deepEqual(
      told.map(({ alert }) => `${alert?.rule}: ${alert?.output}`),
      [],
    )
  })
})
