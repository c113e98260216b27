/** Exceptions over time: what counts at a time, when the next one expires, and conditions less their exceptions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conditionInForce } from '../../src/match/exceptions.js'
import { compileProgram } from '../../src/match/program.js'
import { printExpression } from '../../src/policy/condition/printer.js'
import { loadPolicies } from '../../src/policy/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'

const POLICY = `policy: p
containers: all
lists: { shells: [sh, bash] }
macros: { shell: proc.name in (shells) }
rules:
  - rule: c
    condition: evt.type = execve and shell
    exceptions:
      - { name: cron, reason: it starts them, condition: proc.pname = crond, until: 2026-11-23 }
      - { name: root, reason: it may, condition: not user.name = ann }
  - rule: e
    exec: { deny: nc }
    exceptions: [{ name: a, reason: b, match: /bin/nc, until: 2026-11-30 }]
`
const loaded = loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(POLICY) }])
const BEFORE = Date.parse('2026-11-23T23:59:59.999Z')
const AFTER = BEFORE + 1

test('a condition is less its exceptions, each until the end of its last day; macros and lists are put in', () => {
  assert.equal(loaded.errorCount, 0, renderDiagnostics(loaded))
  const textAt = (nowMs: number) => {
    const [rule] = compileProgram(loaded.policies, nowMs).rules
    assert.ok(rule?.kind === 'condition')
    return printExpression(conditionInForce(rule))
  }
  const own = 'evt.type = "execve" and proc.name in ("sh", "bash")'
  assert.equal(textAt(BEFORE), `(${own}) and not proc.pname = "crond" and user.name = "ann"`)
  assert.equal(textAt(AFTER), `(${own}) and user.name = "ann"`)
})

test('a program says when it is to be compiled anew', () => {
  assert.equal(compileProgram(loaded.policies, BEFORE).validUntilMs, AFTER)
  assert.equal(compileProgram(loaded.policies, AFTER).validUntilMs, Date.parse('2026-12-01T00:00:00Z'))
  assert.equal(compileProgram(loaded.policies, Date.parse('2026-12-01T00:00:00Z')).validUntilMs, undefined)
})
