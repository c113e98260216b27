/** What every rule of the standard set owes its readers; that its tests hold is run by `hullguard policy test`. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { Policy } from '../../src/policy/model.js'
import { loadPolicyPaths } from '../../src/policy/read-files.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { hullguard } from '../support/hullguard.js'

const TECHNIQUE = /^T\d{4}(\.\d{3})?$/
const CONTROL = /^(pci-dss|glba|hipaa|soc2|nist-800-53|nist-800-190):\S+$/

let policies: readonly Policy[] = []
before(async () => {
  const loaded = await loadPolicyPaths([join(findPackageRoot(), 'policies/standard')])
  assert.equal(renderDiagnostics(loaded), '')
  policies = loaded.policies
})

test('it has at least 40 rules, each with a name of its own in all policies', () => {
  const names = policies.flatMap(({ rules }) => rules.map(({ name }) => name))
  assert.ok(names.length >= 40, `${names.length} rules`)
  assert.equal(new Set(names).size, names.length)
})

test('every rule says what it is for, its technique and the controls it is evidence for', () => {
  for (const { name, description, tags } of policies.flatMap(({ rules }) => rules)) {
    assert.match(description, /^[A-Z].{30,}\.$/s, name)
    assert.ok(
      tags.some((tag) => TECHNIQUE.test(tag)),
      `${name} has a technique`,
    )
    assert.ok(
      tags.some((tag) => CONTROL.test(tag)),
      `${name} has controls`,
    )
    const other = tags.filter((tag) => !TECHNIQUE.test(tag) && !CONTROL.test(tag))
    assert.deepEqual(other, [], name)
  }
})

test('no rule acts, and none is switched off', () => {
  for (const policy of policies) {
    assert.equal(policy.mode, 'observe')
    for (const rule of policy.rules) assert.deepEqual([rule.action, rule.enabled, rule.setup], ['alert', true, false])
  }
})

test('every rule has a test that fires it and one that must not; every test is of one rule', () => {
  for (const { rules, tests } of policies) {
    for (const { name } of rules) {
      const own = tests.filter((each) => each.name.startsWith(`${name}: `))
      assert.ok(
        own.some(({ expect }) => expect.includes(name)),
        `${name} has a test that fires it`,
      )
      assert.ok(
        own.some(({ expect }) => !expect.includes(name)),
        `${name} has a test that must not fire it`,
      )
    }
    for (const { name } of tests)
      assert.ok(
        rules.some((rule) => name.startsWith(`${rule.name}: `)),
        name,
      )
  }
})

test('its tests hold', async () => {
  const result = await hullguard(['policy', 'test', '--policies', 'standard'])
  assert.equal(result.code, 0, result.stdout + result.stderr)
  const count = policies.reduce((sum, { tests }) => sum + tests.length, 0)
  assert.ok(result.stdout.includes(String(count)), `${count} tests were run:\n${result.stdout}`)
})
