/** docs/policy-language.md: its examples load and their tests pass, and it lists every key and every code of the loader. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { runPolicyTests } from '../../src/agent/policy-tests/run-tests.js'
import { outcomesToText } from '../../src/cli/policy-outcomes.js'
import { formatPolicyFile } from '../../src/policy/format.js'
import { keysOf, RULE_KINDS } from '../../src/policy/keys.js'
import { loadPolicies } from '../../src/policy/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { ERRORS } from '../../src/telemetry/generated/errors.js'

const text = readFileSync(new URL('../../../docs/policy-language.md', import.meta.url), 'utf8')

/** Whole files. A block of rules alone is put into a policy; one that begins with a file's name in a comment is that file. */
const blocks = [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, block]) => block ?? '')
const examples = blocks.map((block, index) =>
  block.startsWith('- rule:')
    ? `policy: example ${index}\ncontainers: all\nrules:\n${block.replace(/^(?=.)/gm, '  ')}`
    : block,
)
const files = new Map(
  blocks.flatMap((block) => (/^# (\S+\.yaml)\n/.exec(block) ?? []).slice(1).map((name) => [name, block])),
)

function load(example: string) {
  return loadPolicies([{ file: 'example.yaml', bytes: new TextEncoder().encode(example) }], [], {
    yields: () => true,
    include: (_, file) => {
      const found = files.get(file)
      return found === undefined ? 'there is no such file' : { file, bytes: new TextEncoder().encode(found) }
    },
  })
}

test('the full example of the documentation loads without a diagnostic', () => {
  const result = load(examples[0] ?? '')
  assert.equal(renderDiagnostics(result), '')
  assert.deepEqual(
    result.policies.map(({ name, rules }) => [name, rules.length]),
    [
      ['web-tier', 5],
      ['everywhere', 1],
    ],
  )
})

test('every example of the documentation loads without a diagnostic', () => {
  assert.ok(examples.length >= 16, `${examples.length} examples`)
  for (const example of examples)
    if (![...files.values()].includes(example)) {
      const result = load(example)
      assert.equal(renderDiagnostics(result), '', example)
      assert.ok(result.policies.length > 0, example)
    }
})

test('the policy of the readme loads and is told no fault', () => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
  const shown = [...readme.matchAll(/^```yaml\n(policy:[\s\S]*?)^```/gm)].map(([, block]) => block ?? '')
  assert.ok(shown.length > 0)
  for (const example of shown) assert.equal(renderDiagnostics(load(example)), '')
})

test('the tests in examples pass', () => {
  const outcomes = examples.flatMap((example) => runPolicyTests(load(example).policies))
  assert.match(outcomesToText(outcomes, false), /^[1-9]\d* tests of 1 policy: all passed\n$/)
})

test('every example can be formatted', () => {
  for (const example of examples) {
    const result = formatPolicyFile({ file: 'example.yaml', bytes: new TextEncoder().encode(example) })
    assert.equal(renderDiagnostics(result), '', example)
  }
})

test('there is an example of every kind of rule, and a chapter of it', () => {
  const shown = new Set(
    examples.flatMap((example) => load(example).policies.flatMap(({ rules }) => rules)).map(({ kind }) => kind),
  )
  const chapters = [...text.matchAll(/^## (.*)$/gm)].flatMap(([, title]) => title?.split(', ') ?? [])
  for (const kind of RULE_KINDS) assert.deepEqual([kind, shown.has(kind), chapters.includes(kind)], [kind, true, true])
})

test('every key of policies, selectors and rules is documented', () => {
  for (const mapping of ['policy', 'containers', 'k8s', 'swarm', 'ecs', 'nomad', 'rule', 'exception'] as const)
    for (const key of keysOf(mapping)) assert.ok(new RegExp(`\`${key}\`|\\b${key}:`).test(text), `${mapping}.${key}`)
})

test('the documentation lists every diagnostic code, and no other', () => {
  const listed = [...text.matchAll(/^\| (HG3\d\d\d) \|/gm)].map(([, code]) => code)
  const codes = Object.entries(ERRORS).flatMap(([name, { code }]) => (name.startsWith('policy_') ? [code] : []))
  assert.deepEqual(listed, codes)
})
