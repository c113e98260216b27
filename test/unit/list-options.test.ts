/** Options that take lists take what stands behind them: where that was meant as an argument, the command says so. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { hullguard } from '../support/hullguard.js'

const CAPTURE = join(findPackageRoot(), 'bench/data/busy.hgcap')
const folder = mkdtempSync(join(tmpdir(), 'hullguard-lists-'))
const rules = join(folder, 'rules.yaml')
const policy = join(folder, 'policy.yaml')
writeFileSync(
  rules,
  '- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: evt.type = execve and proc.name = sh\n',
)
writeFileSync(policy, 'policy: p\ncontainers: all\nrules:\n  - rule: r\n    exec: { deny: nc }\n')
after(() => rmSync(folder, { recursive: true, force: true }))

const ADVICE =
  /every word behind a list \((?:--[a-z-]+(?:, )?)+\) is taken into it: arguments stand in front, or behind `--`/

test('replay: a capture behind --rules is missed with advice, and the advice works', async () => {
  const taken = await hullguard(['replay', '--rules', rules, CAPTURE])
  assert.equal(taken.code, 2)
  assert.match(taken.stderr, /missing required argument 'file'/)
  assert.match(taken.stderr, ADVICE)
  for (const args of [
    [CAPTURE, '--rules', rules],
    ['--rules', rules, '--', CAPTURE],
    ['--rules', rules, '--json', CAPTURE],
  ]) {
    const done = await hullguard(['replay', ...args])
    assert.equal(done.code, 0, done.stderr)
    assert.match(done.stderr, /: 1 alerts/)
  }
})

test('policy test, diff and events say it where an argument is missing, and only there', async () => {
  for (const args of [
    ['policy', 'test', '--rules', rules, policy],
    ['policy', 'diff', policy, '--events', CAPTURE, '--new-rules', rules, policy],
    ['events', '--collector', '127.0.0.1:1', 'alert'],
  ]) {
    const done = await hullguard(args)
    assert.equal(done.code, 2, done.stderr)
    assert.match(done.stderr, ADVICE)
  }
  const whole = await hullguard(['policy', 'diff', policy, policy, '--new-rules', rules])
  assert.equal(whole.code, 2)
  assert.match(whole.stderr, /--events is needed/)
  assert.doesNotMatch(whole.stderr, ADVICE)
})

test('a native policy behind --rules is told where it belongs, and --strict refuses it', async () => {
  for (const args of [
    ['check', '--rules', rules, policy],
    ['diff', '--strict', '--events', CAPTURE, '--old-rules', rules, '--new-rules', rules, policy],
  ]) {
    const done = await hullguard(['policy', ...args])
    assert.equal(done.code, 1, done.stderr)
    assert.match(`${done.stdout}${done.stderr}`, /HG3007: a rules file is a mapping, expected a list/)
    assert.match(`${done.stdout}${done.stderr}`, /a native policy is named with `--policies`, or in front of `--rules`/)
  }
})
