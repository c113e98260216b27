/** docs/policy-language.md: its example loads, and it lists every code of the loader. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { loadPolicies } from '../../src/policy/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { ERRORS } from '../../src/telemetry/generated/errors.js'

const text = readFileSync(new URL('../../../docs/policy-language.md', import.meta.url), 'utf8')

test('the full example of the documentation loads without a diagnostic', () => {
  const example = /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? ''
  const result = loadPolicies([{ file: 'example.yaml', bytes: new TextEncoder().encode(example) }])
  assert.equal(renderDiagnostics(result), '')
  assert.deepEqual(
    result.policies.map(({ name, rules }) => [name, rules.length]),
    [
      ['web-tier', 5],
      ['everywhere', 1],
    ],
  )
})

test('the documentation lists every diagnostic code, and no other', () => {
  const listed = [...text.matchAll(/^\| (HG3\d\d\d) \|/gm)].map(([, code]) => code)
  const codes = Object.entries(ERRORS).flatMap(([name, { code }]) => (name.startsWith('policy_') ? [code] : []))
  assert.deepEqual(listed, codes)
})
