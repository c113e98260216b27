/** From the host's user database to the kernel's tables: rules that refuse signals by names follow whom the names stand for. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { UserNames } from '../../src/agent/host/users.js'
import { Policies } from '../../src/agent/rules/policies.js'
import { RulesInForce } from '../../src/agent/rules-in-force.js'
import type { Identity } from '../../src/container/identity.js'
import type { ContainerTable } from '../../src/container/table.js'
import { loadPolicies } from '../../src/policy/load.js'
import { HOST } from '../../src/record/model.js'
import { BREAKER_DEFAULTS, CircuitBreaker } from '../../src/respond/breaker.js'
import { KernelPolicy } from '../../src/respond/kernel-policy.js'
import { ALL_REFUSALS } from '../../src/sensor/refusals.js'
import type { Sensor } from '../../src/sensor/sensor.js'
import { makeTempDir, removeDir, waitFor } from '../support/process.js'

const POLICY = `policy: p
mode: block
containers: all
rules: [{ rule: who may end, signal: { allow: [{ user: ops }, { group: wheel }] }, action: deny }]
`

const dir = makeTempDir()
after(() => removeDir(dir))

test('rules that refuse by names come into force with the new numbers, with a name that is new, and without one that is gone', async () => {
  mkdirSync(join(dir, 'etc'))
  const write = (file: string, name: string, number: number) =>
    writeFileSync(join(dir, 'etc', file), `root:x:0:\n${name}:x:${number}:\n`)
  write('passwd', 'ops', 1000)
  write('group', 'wheel', 10)
  let nowMs = 0
  const users = new UserNames(dir, () => nowMs)

  /** Numbers in `said_numbers`, by the hexadecimal key of each entry. */
  const numbers = new Map<string, number>()
  let version = 0
  const sensor = {
    ...{ refusals: ALL_REFUSALS, whyNoNames: '', hasHook: () => true, hooksOfActs: () => [] },
    ...{ lookup: () => true, position: 0, hasWaiting: false, isHandled: () => true },
    ...{ setActs() {}, setCgroup() {}, prepareHooks: () => ({ undo() {}, commit() {} }) },
    setControl: (control: { version?: number }) => {
      version = control.version ?? version
    },
    update(map: string, key: Uint8Array) {
      if (map === 'said_numbers')
        numbers.set(Buffer.from(key).toString('hex'), new DataView(key.buffer, key.byteOffset).getUint32(4, true))
    },
    delete: (_: string, key: Uint8Array) => numbers.delete(Buffer.from(key).toString('hex')),
  } as unknown as Sensor
  const container = { ref: { ...HOST, state: 'container', id: 'c' } } as unknown as Identity
  const table = { containers: () => [container], cgroupsOf: () => [] } as unknown as ContainerTable
  const breaker = new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => 0 }, () => {})
  const kernel = new KernelPolicy(sensor, breaker, users)
  users.onChange = () => kernel.followAccounts()
  const policies = new Policies({ sensor, table, kernel, activity: new Set() })
  const said: string[] = []
  const rules = new RulesInForce({
    policies,
    records: { degraded: (message) => said.push(message), report: (_, message) => said.push(message) },
    onActivated: () => {},
    rearm: () => {},
  })
  await rules.set(loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(POLICY) }]))
  const inForce = () => {
    const [id] = policies.current.installed
    return kernel.lowered(id ?? 0)?.saidNumbers.map(({ number }) => number)
  }
  const change = async (file: string, name: string, number: number) => {
    const before = version
    write(file, name, number)
    nowMs += 2_000
    users.refresh()
    await waitFor('the rules with other numbers', () => version > before)
  }
  assert.deepEqual(
    [inForce(), [...numbers.values()]],
    [
      [1000, 10],
      [1000, 10],
    ],
  )

  await change('passwd', 'ops', 2000)
  assert.deepEqual(inForce(), [2000, 10])
  assert.ok([...numbers.values()].includes(2000))
  await change('group', 'wheel', 20)
  assert.deepEqual(inForce(), [2000, 20])
  await change('passwd', 'nobody', 3000) // nobody is `ops`: the rule is user space's
  assert.deepEqual(inForce(), [])
  await change('passwd', 'ops', 4000)
  assert.deepEqual(inForce(), [4000, 20])
  assert.equal(said.filter((one) => one === 'users or groups that rules name have changed').length, 4)

  const last = version
  write('passwd', 'ops', 4000)
  writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:\nops:x:4000:\nmore:x:5000:\n')
  nowMs += 2_000
  users.refresh()
  assert.equal(policies.isOutdated, false)
  policies.stop()
  assert.equal(version, last, 'a user whom no rule names changes nothing')
})
