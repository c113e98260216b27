/** What `policy explain --here` promises is what the host that is meant can do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rulesToText } from '../../src/cli/policy-explain.js'
import { loadPolicies } from '../../src/policy/load.js'
import { ALL_REFUSALS, NO_REFUSALS, type Refusals, refusalsOf } from '../../src/sensor/refusals.js'

/** The first line of what is said of one rule, in a policy that blocks. */
function promise(rule: string, action: string, refuses?: Refusals): string {
  const text = `policy: p\ncontainers: all\nmode: block\nrules:\n  - rule: r\n    ${rule}\n    action: ${action}\n`
  const { policies, errorCount } = loadPolicies([{ file: 'test.yaml', bytes: new TextEncoder().encode(text) }])
  assert.equal(errorCount, 0)
  return rulesToText({ policies } as Parameters<typeof rulesToText>[0], refuses)
    .split('\n')
    .slice(1, 3)
    .join('\n')
}

test('a connect rule is promised nothing where the hooks have no unified hierarchy to stand at', () => {
  const withoutCgroups = refusalsOf((program) => !/^on_(connect|sendmsg|bind)/.test(program))
  assert.equal(withoutCgroups.connect, false)
  assert.equal(refusalsOf(() => true).connect, true)
  for (const action of ['alert', 'deny', 'kill']) {
    const said = promise('connect: { deny: ["*:80"] }', action, withoutCgroups)
    assert.match(said, /answered in user space; nothing: it is not seen\n.* no unified cgroup hierarchy/)
  }
  assert.match(
    promise('connect: { deny: ["*:80"] }', 'deny', NO_REFUSALS),
    /the kernel at cgroup\/connect; the connect is refused/,
  )
})

test('an exec that is refused is refused at the hook of the LSM, one that is killed or only told of at the exec', () => {
  const rule = 'exec: { deny: nc }'
  assert.match(promise(rule, 'deny', ALL_REFUSALS), /at lsm\/bprm_check_security; the exec is refused/)
  assert.match(promise(rule, 'deny', NO_REFUSALS), /at sched_process_exec; alerts only/)
  assert.match(promise(rule, 'kill', ALL_REFUSALS), /at sched_process_exec; kills before/)
})

test('a listen rule says what is refused, and where nothing is, what happens instead', () => {
  const rule = 'listen: { deny: [8080] }'
  assert.match(promise(rule, 'deny', { ...NO_REFUSALS, listen: 'bind' }), /the bind to a TCP port .* is refused/)
  assert.match(promise(rule, 'deny', NO_REFUSALS), /; alerts only: no hook can refuse it/)
  assert.match(promise(rule, 'kill', NO_REFUSALS), /at sys_exit; kills before the process is back from the call/)
})
