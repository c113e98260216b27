/** What policy says to stop is stopped, nothing else is, and the record says how: kernel kill, kernel denial, pidfd, rails. */
import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord } from '../../src/record/model.js'
import { makeCgroup, removeCgroup, testCgroupPath } from '../support/cgroup.js'
import { type Dockerd, startDockerd } from '../support/dockerd.js'
import { type Feed, type Host, scratchDir, startRun } from '../support/hullguard.js'
import { LANE_END_POLICY, reachEnd } from '../support/lane-end.js'
import { findCommand, requires, run, runOk, uniqueName, waitFor } from '../support/process.js'
import { CONNECT_AND_WAIT, compileStatic } from '../support/static-program.js'

const skip = requires({ root: true, commands: ['dockerd', 'docker', 'runc', 'busybox', 'ip', 'cc'] })

const NETCAT = `policy: no-netcat
containers: { image: "demo/*" }
mode: block
rules:
  - rule: no netcat
    exec: { deny: [nc] }
    priority: critical
    tags: [shell]
    action: kill
`
const DEMO = 'demo/tools:1'
const KILLED = 'code 137'
const NC = 'nc -w 1 127.0.0.1 9; echo code $?'

/** Threads of a process with a nice below 0: field 19 of /proc/PID/task/TID/stat. */
function raisedThreads(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .filter((tid) => {
      const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]) < 0
    })
}

describe('blocking', { skip }, () => {
  const policies = scratchDir()
  const tag = uniqueName('b')
  const box = `${tag}-box`
  let docker: Dockerd
  let host: Host
  let feed: Feed
  let gateway: string

  const put = (name: string, text: string) => writeFileSync(join(policies, `${name}.yaml`), text)
  const inBox = async (command: string) => (await docker.docker(['exec', box, 'sh', '-c', command])).trim()
  const inNew = async (name: string, command: string, ...options: readonly string[]) =>
    (await docker.docker(['run', '--rm', '--name', name, ...options, DEMO, 'sh', '-c', command])).trim()
  const ofRule = (rule: string, kind: 'alert' | 'action') => (record: HullguardRecord) =>
    record.kind === kind && record.alert?.rule === rule
  const count = (rule: string, kind: 'alert' | 'action') => feed.all(ofRule(rule, kind)).length
  /** Every alert and action of what has been done so far is in the feed. */
  const allTold = () => reachEnd(feed, 'alert', { exec: (args) => docker.docker(['exec', box, ...args]) })
  /** The record of the rule that comes next. */
  const next = async (rule: string, kind: 'alert' | 'action', from: number) => {
    await feed.find(`${kind} ${from + 1} of ${rule}`, () => count(rule, kind) > from)
    return feed.all(ofRule(rule, kind))[from]
  }

  before(async () => {
    docker = await startDockerd(undefined, { bridge: true })
    await docker.import(DEMO, {
      files: { 'bin/hgtest-tool': '#!/bin/sh\necho ran\n' },
      copies: { 'bin/connect-and-wait': await compileStatic(scratchDir(), 'connect-and-wait', CONNECT_AND_WAIT) },
    })
    await docker.docker(['tag', DEMO, 'other/tools:1'])
    gateway = /inet ([\d.]+)/.exec(await runOk('ip', ['-4', 'addr', 'show', docker.bridge ?? '']))?.[1] ?? ''
    put('netcat', NETCAT)
    put('ends', LANE_END_POLICY)
    put(
      'network',
      `policy: network
containers: { name: ${box} }
mode: block
rules:
  - rule: refused port
    connect: { deny: ["${gateway}:7"] }
    action: deny
  - rule: deadly port
    connect: { deny: ["${gateway}:8"] }
    action: kill
`,
    )
    put(
      'calls',
      `policy: calls
containers: { name: "${tag}-calls*" }
mode: block
rules:
  - rule: no new roots
    syscall: { deny: [pivot_root] }
    action: kill
`,
    )
    put(
      'memory',
      `policy: memory
containers: { name: "${tag}-memory" }
mode: block
rules:
  - rule: at most 32 MiB
    memory: { max: 32MiB }
    action: kill
`,
    )
    put(
      'six',
      `policy: six
containers: { name: "${tag}-six-*" }
mode: block
rules:
  - rule: no telnet
    exec: { deny: [telnet] }
    action: kill
`,
    )
    put(
      'everyone',
      `policy: everyone
containers: all
mode: block
rules:
  - rule: no test tool
    exec: { deny: [hgtest-tool] }
    action: kill
`,
    )
    host = await startRun({ dockerSocket: docker.socket, policies: [policies] })
    feed = host.feed()
    await docker.start(['--name', box, DEMO, 'sleep', '3600'])
  })
  after(async () => {
    await feed?.close()
    await host?.stop().finally(() => docker?.stop())
  })

  test('in observe mode a forbidden program runs and is alerted', async () => {
    assert.equal(await inBox(NC), 'code 1')
    const alert = await next('no netcat', 'alert', 0)
    assert.equal(alert?.lane, 'alert')
    assert.equal(alert.container.name, box)
    assert.equal(alert.exec?.path, '/bin/nc')
    assert.deepEqual(alert.process?.args, ['nc', '-w', '1', '127.0.0.1', '9'])
    const { policy, priority, tags, actionTaken, outcome, hook, cause, output } = alert.alert ?? {}
    assert.deepEqual(
      { policy, priority, tags, actionTaken, outcome, hook },
      { policy: 'no-netcat', priority: 'critical', tags: ['shell'], actionTaken: 'alert', outcome: 'none', hook: '' },
    )
    assert.match(output ?? '', /nc -w 1 127\.0\.0\.1 9/)
    const exec = await feed.find('its cause', ({ lane, seq }) => lane === cause?.lane && seq === cause.seq)
    assert.equal(exec.kind, 'exec')
    assert.equal(exec.process?.pid, alert.process?.pid)
    await allTold()
    assert.equal(count('no netcat', 'action'), 0)
  })

  test('`mode block` turns blocking on, and is on record', async () => {
    assert.equal((await host.mode('block')).code, 0)
    await feed.find('the change', ({ agentChange }) => agentChange?.message === 'mode is now block')
  })

  test('in block mode the two threads that kill come first, and nothing else of the agent does', () => {
    assert.equal(raisedThreads(host.pid).length, 2)
    assert.ok(raisedThreads(host.pid).includes(host.pid))
    assert.deepEqual(raisedThreads(host.collectorPid), [])
  })

  test('in block mode it is killed in the kernel, before its first instruction', async () => {
    const alerts = count('no netcat', 'alert')
    assert.equal(await inBox(NC), KILLED)
    const action = await next('no netcat', 'action', 0)
    const { actionTaken, outcome, hook, reason } = action?.alert ?? {}
    assert.deepEqual(
      { actionTaken, outcome, hook, reason },
      { actionTaken: 'kill', outcome: 'killed_before_effect', hook: 'sched_process_exec', reason: '' },
    )
    const alert = await next('no netcat', 'alert', alerts)
    assert.equal(alert?.alert?.outcome, 'killed_before_effect')
    const pid = action?.process?.pid
    const exit = await feed.find('its end', ({ kind, process }) => kind === 'exit' && process?.pid === pid)
    assert.equal(exit.exit?.signalName, 'SIGKILL')
    const connects = feed.all(({ kind, process }) => kind === 'connect' && process?.pid === pid)
    assert.deepEqual(connects, [], 'it never came to connect')
  })

  test('a program that docker exec itself starts is no less forbidden', async () => {
    const actions = count('no netcat', 'action')
    const result = await docker.tryDocker(['exec', box, 'nc', '-w', '1', '127.0.0.1', '9'])
    assert.equal(result.code, 137, result.stderr)
    assert.equal((await next('no netcat', 'action', actions))?.alert?.outcome, 'killed_before_effect')
  })

  test('the first program of a container is killed too', async () => {
    const actions = count('no netcat', 'action')
    const result = await docker.tryDocker([
      'run',
      '--rm',
      '--name',
      `${tag}-first`,
      'demo/tools:1',
      'nc',
      '127.0.0.1',
      '9',
    ])
    assert.equal(result.code, 137, result.stderr)
    assert.equal((await next('no netcat', 'action', actions))?.alert?.outcome, 'killed_before_effect')
  })

  test('a host process of that name and another image are not touched', async () => {
    const [alerts, actions] = [count('no netcat', 'alert'), count('no netcat', 'action')]
    const nc = join(scratchDir(), 'nc')
    copyFileSync(findCommand('busybox') ?? '', nc)
    chmodSync(nc, 0o755)
    const onHost = await run(nc, ['-w', '1', '127.0.0.1', '9'])
    assert.deepEqual([onHost.code, onHost.signal], [1, undefined])
    assert.equal(
      (await docker.docker(['run', '--name', `${tag}-other`, 'other/tools:1', 'sh', '-c', NC])).trim(),
      'code 1',
    )
    await feed.find(
      'its exec',
      ({ kind, container, process }) =>
        kind === 'exec' && container.name === `${tag}-other` && process?.args[0] === 'nc',
    )
    await allTold()
    assert.deepEqual([count('no netcat', 'alert'), count('no netcat', 'action')], [alerts, actions])
    assert.deepEqual(
      feed.all(({ process }) => process?.exe === nc),
      [],
    )
  })

  test('a denied connect fails with EPERM for its caller', async () => {
    assert.match(await inBox(`telnet ${gateway} 7 2>&1; echo code $?`), /Operation not permitted\ncode 1/)
    const action = await next('refused port', 'action', 0)
    const { actionTaken, outcome, hook } = action?.alert ?? {}
    assert.deepEqual([actionTaken, outcome, hook], ['deny', 'denied', 'cgroup/connect4'])
    const { socketId, ...refused } = action?.connect ?? {}
    assert.deepEqual(refused, {
      ...{ ip: gateway, port: 7, proto: 'tcp', family: 'ipv4', repeatsCount: 0 },
      // The program that decides is not told what the connect came to.
      result: 'unknown',
    })
    assert.ok(socketId !== undefined && socketId > 0n)
    assert.match(await inBox(`telnet ${gateway} 9 2>&1; echo code $?`), /Connection refused\ncode 1/)
    await allTold()
    assert.equal(count('refused port', 'alert'), 1)
  })

  test('a connect that kills: the kernel refuses it, and the process is dead a moment later', async () => {
    const said = await inBox(`connect-and-wait ${gateway} 8 2>&1; echo code $?`)
    assert.match(said, /^(connect: Operation not permitted\n)?Killed\ncode 137$/)
    const killed = await feed.find(
      'the result',
      (record) => ofRule('deadly port', 'action')(record) && record.alert?.outcome === 'killed_before_effect',
    )
    const steps = feed.all(ofRule('deadly port', 'action'))
    assert.deepEqual(
      steps.map(({ alert }) => [alert?.outcome, alert?.hook, alert?.reason]),
      [
        ['denied', 'cgroup/connect4', ''],
        ['none', 'cgroup/connect4, pidfd', 'intent'],
        ['killed_before_effect', 'cgroup/connect4, pidfd', ''],
      ],
    )
    assert.equal(killed.connect?.port, 8)
    assert.equal(killed.process?.args[0], 'connect-and-wait')
  })

  test('a syscall that kills: the record admits that the call may have taken effect', async () => {
    const name = `${tag}-calls`
    const unconfined = ['--security-opt', 'seccomp=unconfined'] // a call that seccomp refuses is never entered
    assert.equal(await inNew(name, 'pivot_root /tmp /tmp 2>/dev/null; echo code $?', ...unconfined), KILLED)
    const action = await next('no new roots', 'action', 0)
    const { outcome, hook } = action?.alert ?? {}
    assert.deepEqual([outcome, hook], ['killed_after_effect', 'sys_enter'])
    assert.equal(action?.syscall?.name, 'pivot_root')
    assert.equal(action.container.name, name)
  })

  test("the runtime's own pivot_root while it sets the container up is spared", async () => {
    const before = count('no new roots', 'action')
    assert.equal(await inNew(`${tag}-calls-setup`, 'echo fine'), 'fine')
    await feed.find(
      'its end',
      ({ container, containerChange }) => container.name === `${tag}-calls-setup` && containerChange?.change === 'stop',
    )
    await allTold()
    assert.equal(count('no new roots', 'action'), before)
  })

  test('a memory rule ends the largest process of the container, not its neighbours', async () => {
    const name = `${tag}-memory`
    const hog = '/bin/busybox dd if=/dev/zero of=/dev/null bs=64M 2>/dev/null'
    await docker.start(['--name', name, DEMO, 'sh', '-c', `sleep 3600 & sleep 1; ${hog}; echo code $?; wait`])
    const action = await feed.find(
      'the kill',
      (record) => ofRule('at most 32 MiB', 'action')(record) && record.alert?.outcome !== 'none',
    )
    const { outcome, hook, reason } = action.alert ?? {}
    assert.deepEqual([outcome, hook, reason], ['killed_after_effect', 'pidfd', ''])
    assert.equal(action.process?.args[1], 'dd')
    assert.ok((action.sample?.memoryCurrentBytes ?? 0n) > 32n * 1024n * 1024n)
    await waitFor('the shell to go on', async () => (await docker.docker(['logs', name])).includes(KILLED))
    assert.match(await docker.docker(['top', name]), /sleep 3600/)
    const intent = feed.all(ofRule('at most 32 MiB', 'action'))[0]
    assert.equal(intent?.alert?.reason, 'intent')
    assert.ok(intent.seq < action.seq)
  })

  test('a cgroup that only looks like a container is never acted on', async () => {
    const path = testCgroupPath(`docker-${'a1'.repeat(32)}.scope`)
    const tool = join(scratchDir(), 'hgtest-tool')
    writeFileSync(tool, '#!/bin/sh\necho ran\n', { mode: 0o755 })
    const dir = makeCgroup(path)
    try {
      const command = `echo $$ > "$0/cgroup.procs"; sleep 0.3; ${tool}; sleep 3; ${tool}; sleep 0.3`
      const { stdout } = await run('sh', ['-c', command, dir])
      assert.equal(stdout, 'ran\nran\n')
    } finally {
      await removeCgroup(path)
    }
    await feed.find(
      'what was seen there',
      ({ container, process }) => container.state === 'unknown' && process?.invoked === tool,
    )
    await allTold()
    assert.equal(count('no test tool', 'action'), 0)
    assert.equal(await inBox('hgtest-tool; echo code $?'), KILLED, 'the same rule acts in a container')
    const action = await next('no test tool', 'action', 0)
    assert.deepEqual([action?.exec?.script, action?.exec?.file], ['/bin/hgtest-tool', '/bin/busybox'])
  })

  test('a good reload comes into force whole; a broken one leaves the old in force', async () => {
    put('netcat', NETCAT.replace('[nc]', '[nc, tail]'))
    host.signal('SIGHUP')
    await host.waitForLog('policies reloaded')
    await feed.find('its record', ({ agentChange }) => agentChange?.change === 'policy')
    assert.equal(await inBox('tail -n 1 /etc/group >/dev/null; echo code $?'), KILLED)
    put('netcat', NETCAT.replace('exec:', 'exce:'))
    host.signal('SIGHUP')
    await host.waitForLog('reload refused')
    assert.match(host.stderr, /netcat\.yaml:6:5.*\n|unknown key `exce`/)
    assert.equal(await inBox('tail -n 1 /etc/group >/dev/null; echo code $?'), KILLED)
    assert.equal(await inBox(NC), KILLED)
  })

  test('the circuit breaker: the sixth container is spared, all is said, `mode block` re-arms', async () => {
    const telnet = ['sh', '-c', 'telnet 127.0.0.1 9 2>/dev/null; echo code $?']
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8]
    for (const number of numbers) await docker.start(['--name', `${tag}-six-${number}`, DEMO, 'sleep', '3600'])
    const inOne = async (number: number) => (await docker.docker(['exec', `${tag}-six-${number}`, ...telnet])).trim()
    // At once: what a minute ago was acted on counts no more.
    assert.deepEqual(await Promise.all(numbers.slice(0, 5).map(inOne)), Array(5).fill(KILLED))
    assert.equal(await inOne(6), 'code 1')
    const tripped = await feed.find('the breaker', ({ agentChange }) => agentChange?.change === 'breaker')
    assert.match(tripped.agentChange?.message ?? '', /policy six acted on more than 5 containers/)
    const spared = await feed.find(
      'the spared act',
      (record) => ofRule('no telnet', 'action')(record) && record.container.name === `${tag}-six-6`,
    )
    assert.equal(spared.alert?.outcome, 'spared')
    assert.match(spared.alert.reason, /circuit breaker/)
    assert.equal(await inOne(7), 'code 1', 'the policy observes from now on')
    assert.equal(await inBox(NC), KILLED, 'another policy still acts')
    assert.equal((await host.mode('block')).code, 0)
    assert.equal(await inOne(8), KILLED)
  })

  test('`mode observe` stops all blocking at once, also when the collector does not answer', async () => {
    process.kill(host.collectorPid, 'SIGSTOP')
    try {
      assert.equal(await inBox(NC), KILLED)
      assert.equal((await host.mode('observe')).code, 0)
      assert.equal(await inBox(NC), 'code 1')
      assert.match(await inBox(`telnet ${gateway} 7 2>&1; echo code $?`), /Connection refused\ncode 1/)
    } finally {
      process.kill(host.collectorPid, 'SIGCONT')
    }
    await feed.find('the change', ({ agentChange }) => agentChange?.message === 'mode is now observe')
    assert.deepEqual(raisedThreads(host.pid), [])
  })
})
