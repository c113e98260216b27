/** The tests beside policies: what the runner makes of them, the text of `hullguard policy test`, and its exit codes. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runPolicyTests, type TestOutcome } from '../../src/agent/policy-tests/run-tests.js'
import { outcomesToText, outcomeToJson } from '../../src/cli/policy-outcomes.js'
import { loadPolicies } from '../../src/policy/load.js'
import { loadPolicyPaths } from '../../src/policy/read-files.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { hullguard } from '../support/hullguard.js'
import { makeTempDir, removeDir } from '../support/process.js'

const RULES = `policy: web
containers: all
rules:
  - rule: no shells
    exec: { deny: [sh] }
  - rule: inside only
    connect: { allow: ["10.0.0.0/8:443"] }
  - rule: no ptrace
    syscall: { deny: [ptrace] }
  - rule: root shells
    condition: evt.type = execve and user.name = root and proc.pname = init
`

function outcomesOf(text: string): TestOutcome[] {
  const loaded = loadPolicies([{ file: 'web.yaml', bytes: new TextEncoder().encode(text) }])
  assert.equal(renderDiagnostics(loaded), '')
  return runPolicyTests(loaded.policies)
}

const withTests = (tests: string) => outcomesOf(`${RULES}tests:\n${tests}`)

test('the standard set passes its own tests', async () => {
  const { policies } = await loadPolicyPaths([join(findPackageRoot(), 'policies/standard')])
  const outcomes = runPolicyTests(policies)
  assert.equal(
    outcomesToText(
      outcomes.filter(({ passed }) => !passed),
      true,
    ),
    '',
  )
  assert.equal(
    outcomes.length,
    policies.reduce((sum, { tests }) => sum + tests.length, 0),
  )
})

test('a test passes when exactly the rules that it expects hit', () => {
  const outcomes = withTests(`
  - { test: both, event: { exec: { path: /bin/sh }, process: { parent.exe: /sbin/init } }, expect: [no shells, root shells] }
  - { test: one of both, event: { exec: { path: /bin/sh } }, expect: [no shells] }
  - { test: one too many, event: { exec: { path: /bin/ls }, process: { uid: 7 } }, expect: [no shells] }
  - { test: a name is not ours, event: { exec: { path: /bin/ls }, process: { uid: 7 } }, expect: none }
  - { test: outside, event: { connect: { ip: 192.0.2.1, port: 443 } }, expect: [inside only] }
  - { test: inside, event: { connect: { ip: 10.0.0.1, port: 443 } }, expect: none }
  - { test: mapped, event: { connect: { ip: "::ffff:10.0.0.1", port: 443, proto: udp } }, expect: none }
  - { test: call, event: { syscall: { name: ptrace } }, expect: [no ptrace] }
  - { test: other call, event: { syscall: { name: read } }, expect: none }
  - { test: while it is set up, event: { exec: { path: /bin/sh }, setup: true }, expect: none }
`)
  assert.deepEqual(
    outcomes.filter(({ passed }) => !passed).map((each) => [each.test.name, each.hits]),
    [
      ['one of both', ['no shells', 'root shells']],
      ['one too many', []],
    ],
  )
})

test('what the policy selects is made up; what the test names of the container is taken instead', () => {
  const selected = (containers: string, event: string, expect: string) =>
    outcomesOf(
      `policy: p\ncontainers: ${containers}\nrules: [{ rule: r, exec: { deny: [sh] } }]\ntests:\n  - { event: { exec: { path: /bin/sh }${event} }, expect: ${expect} }\n`,
    )
  const passes = (containers: string, event: string, expect: string) => {
    const [outcome] = selected(containers, event, expect)
    assert.deepEqual([outcome?.fault, outcome?.passed], ['', true], `${containers} ${event}`)
  }
  for (const containers of [
    '{ image: "registry.example/shop/*:1.?" }',
    '{ name: "web-*", labels: { tier: [web, edge] } }',
    '{ k8s: { ns: shop, pod: "front-*" } }',
    '{ swarm: { service: front } }',
    '{ ecs: { cluster: main }, runtime: containerd }',
    '{ nomad: { job: batch } }',
    '{ privileged: true, user: root }',
    '{ state: unknown }',
    'all',
  ])
    passes(containers, '', 'r')
  passes('{ privileged: false, user: "!root" }', ', container: { user: app }', 'r')
  passes('{ privileged: true }', ', container: { privileged: false }', 'none')
  passes('{ user: root }', ', container: { user: "1000:1000" }', 'none')
  passes('{ labels: { tier: web } }', ', container: { labels: { tier: db } }', 'none')
  passes('{ k8s: { namespace: shop } }', ', container: { labels: { io.kubernetes.pod.namespace: bank } }', 'none')
  passes('{ image: "shop/*" }', ', container: { image: "bank/x" }', 'none')
  const [unselected] = selected('{ name: "!*" }', '', 'r')
  assert.match(unselected?.fault ?? '', /no container could be made up/)
})

test('a test that cannot be run has failed, and says what is wrong with it', () => {
  const fault = (event: string) => withTests(`  - { event: ${event}, expect: none }\n`)[0]
  const faults = (event: string) => {
    const outcome = fault(event)
    assert.equal(outcome?.passed, false, event)
    return outcome?.fault
  }
  assert.match(faults('{ exec: { pth: /bin/sh } }') ?? '', /`exec` has no `pth` that a test can give: known are args/)
  assert.match(faults('{ exec: { path: 1 }, process: { uid: x } }') ?? '', /expected a whole number for `process.uid`/)
  assert.match(faults('{ connect: { ip: here, port: 1 } }') ?? '', /expected an IP address for `ip`, received `here`/)
  assert.match(faults('{ connect: { ip: 10.0.0.1, proto: icmp } }') ?? '', /`proto` is tcp, udp or other/)
  assert.match(faults('{ syscall: { name: nosuch } }') ?? '', /there is no syscall `nosuch`/)
  assert.match(
    faults('{ exec: {}, container: { state: gone } }') ?? '',
    /`container.state` is host, container, unknown/,
  )
  assert.match(faults('{ exec: {}, container: { privileged: 1 } }') ?? '', /expected `true` or `false`/)
  assert.match(faults('{ tls: {} }') ?? '', /an event of kind `tls` cannot be made up yet/)
})

test('a capability rule is about what an exec, a fork, unshare or setns lets a process gain', () => {
  const outcomes = outcomesOf(`policy: gains
containers: all
rules: [{ rule: low ports only, capability: { allow: [NET_BIND_SERVICE] } }]
tests:
  - { test: file, event: { exec: { path: /bin/ping, gains: [net_raw, CAP_NET_BIND_SERVICE] } }, expect: low ports only }
  - { test: allowed, event: { exec: { path: /bin/server, gains: NET_BIND_SERVICE } }, expect: none }
  - { test: nothing, event: { exec: { path: /bin/ls } }, expect: none }
  - { test: high, event: { exec: { path: /bin/x, gains: BPF } }, expect: low ports only }
  - { test: child, event: { fork: { gains: [SYS_ADMIN] } }, expect: low ports only }
  - { test: namespace, event: { unshare: { flags: CLONE_NEWUSER, gains: [SYS_ADMIN] } }, expect: low ports only }
  - { test: entered, event: { setns: { gains: [SYS_ADMIN] } }, expect: low ports only }
  - { test: failed, event: { setns: { result: -1 } }, expect: none }
  - { test: setup, event: { exec: { path: /bin/ping, gains: net_raw }, setup: true }, expect: none }
  - { test: misspelt, event: { exec: { gains: [net_rew] } }, expect: none }
`)
  assert.deepEqual(
    outcomes.filter(({ passed }) => !passed).map((each) => [each.test.name, each.fault]),
    [['misspelt', 'there is no capability `net_rew`']],
  )
})

test('a process has the name, the terminal and the environment that a test gives it', () => {
  const loaded = loadPolicies([
    {
      file: 'web.yaml',
      bytes: new TextEncoder().encode(`policy: web
containers: all
rules:
  - rule: named
    condition: evt.type = execve and proc.name = worker
  - rule: at a terminal
    condition: evt.type = execve and proc.tty != 0
  - rule: preloaded
    condition: evt.type = execve and proc.env[LD_PRELOAD] startswith /tmp/
tests:
  - { test: by path, event: { exec: { path: /opt/bin/worker } }, expect: named }
  - { test: by comm, event: { exec: { path: /x }, process: { comm: worker } }, expect: named }
  - { test: cut at 15 bytes, event: { exec: { path: /opt/worker-of-the-shop } }, expect: none }
  - { test: terminal, event: { exec: { path: /x }, process: { tty: 34816 } }, expect: at a terminal }
  - { test: preload, event: { exec: { path: /x }, process: { env: { LD_PRELOAD: /tmp/x.so, A: b } } }, expect: preloaded }
  - { test: other variable, event: { exec: { path: /x }, process: { env: { A: /tmp/x.so } } }, expect: none }
`),
    },
  ])
  assert.equal(renderDiagnostics(loaded), '')
  for (const { test, passed, hits, fault } of runPolicyTests(loaded.policies))
    assert.ok(passed, `${test.name}: ${hits.join(', ')} ${fault}`)
})

test('what is printed of failures', () => {
  const outcomes = withTests(`
  - test: a shell is fine
    event: { exec: { path: /bin/sh }, process: { user: app, uid: 7 } }
    expect: none
  - test: another rule
    event: { connect: { ip: 192.0.2.1, port: 443 }, container: { name: "web\\e[31m" } }
    expect: [no ptrace]
  - event: { exec: { pid: 7 }, setup: true }
    expect: [no shells, root shells]
  - { test: good, event: { fork: {} }, expect: none }
`)
  assert.equal(
    outcomesToText(outcomes, false),
    `FAILED web: a shell is fine
  at       web.yaml:14:11
  event    exec {"path":"/bin/sh"}, process {"user":"app","uid":7}
  expected none
  got      no shells
  too many no shells
FAILED web: another rule
  at       web.yaml:17:11
  event    connect {"ip":"192.0.2.1","port":443}, container {"name":"web\\u001b[31m"}
  expected no ptrace
  got      inside only
  missing  no ptrace
  too many inside only
FAILED web: a test without a name
  at       web.yaml:20:5
  event    exec {"pid":7}, setup
  expected no shells, root shells
  not run  \`exec\` has no \`pid\` that a test can give: known are args, comm, file, foreign_root, gains, memfd, multicall, path, script, upper_layer
4 tests of 1 policy: 1 passed, 3 failed
`,
  )
  const [first] = outcomes
  assert.ok(first !== undefined)
  assert.deepEqual(outcomeToJson(first), {
    ...{ policy: 'web', test: 'a shell is fine', file: 'web.yaml', line: 14, column: 11 },
    ...{ passed: false, expected: [], got: ['no shells'], fault: null },
  })
})

let folder = ''
before(() => {
  folder = makeTempDir('policy-tests')
})
after(() => removeDir(folder))

test('`policy test` ends with 1 when a test fails, and 0 when all pass', async () => {
  const good = join(folder, 'good.yaml')
  writeFileSync(good, `${RULES}tests: [{ test: a, event: { fork: {} }, expect: none }]\n`)
  const passed = await hullguard(['policy', 'test', good])
  assert.deepEqual([passed.code, passed.stdout, passed.stderr], [0, '1 test of 1 policy: all passed\n', ''])
  const bad = join(folder, 'bad.yaml')
  writeFileSync(bad, `${RULES}tests: [{ test: a, event: { fork: {} }, expect: [no shells] }]\n`)
  const failed = await hullguard(['policy', 'test', bad])
  assert.equal(failed.code, 1)
  assert.match(failed.stdout, /^FAILED web: a\n/)
  const json = await hullguard(['policy', 'test', bad, '--json'])
  assert.equal(json.code, 1)
  const { tests, rules }: { tests: { passed: boolean }[]; rules: unknown[] } = JSON.parse(json.stdout)
  assert.deepEqual([tests.map(({ passed }) => passed), rules], [[false], []])
})

test('`policy test --events` runs both: the tests, and the trial on the capture', async () => {
  const both = join(folder, 'both.yaml')
  writeFileSync(both, `${RULES}tests: [{ test: a, event: { fork: {} }, expect: [no shells] }]\n`)
  const capture = join(findPackageRoot(), 'bench/data/containers.hgcap')
  const run = await hullguard(['policy', 'test', both, '--events', capture])
  assert.equal(run.code, 1)
  assert.match(
    run.stdout,
    /^web: no shells\n {2}\d+ hits?\n[\s\S]*FAILED web: a\n[\s\S]*1 test of 1 policy: 0 passed, 1 failed\n$/,
  )
})

test('what a process uses is another thing than what it gains', () => {
  const outcomes = outcomesOf(`policy: uses
containers: all
rules:
  - rule: not gained
    capability: { deny: [SYS_ADMIN] }
  - rule: not used
    capability: { deny: [SYS_ADMIN, SYS_CHROOT], when: use }
  - rule: asked
    condition: evt.type = capable and evt.res = EPERM
tests:
  - { test: used, event: { capable: { capability: SYS_ADMIN } }, expect: not used }
  - { test: gained, event: { exec: { path: /bin/su, gains: [SYS_ADMIN] } }, expect: not gained }
  - { test: another, event: { capable: { capability: CHOWN, call: chown } }, expect: none }
  - { test: not granted, event: { capable: { capability: SYS_CHROOT, result: -1 } }, expect: asked }
  - { test: misspelt, event: { capable: { capability: SYS_ROOT } }, expect: none }
`)
  assert.deepEqual(
    outcomes.map(({ test: { name }, passed, hits }) => [name, passed, hits]),
    [
      ['used', true, ['not used']],
      ['gained', true, ['not gained']],
      ['another', true, []],
      ['not granted', true, ['asked']],
      ['misspelt', false, []],
    ],
  )
})
