/** The loader on anything: it never throws, stays within its bounds, prints nothing raw. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileProgram } from '../../src/match/program.js'
import { DIAGNOSTICS_MAX_COUNT } from '../../src/policy/diagnostics.js'
import { loadPolicies } from '../../src/policy/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { seedOf } from '../support/seed.js'

const GOOD = `policy: web-tier
description: "a description"
containers: { image: [demo/*, "!*-debug"], name: w?b, labels: { tier: web } }
mode: block
rules:
  - rule: one
    exec: { allow: [/usr/sbin/nginx, "/lib/*.so", /opt/**], deny: [nc, "/bin/[a-c]?"] }
    priority: critical
    tags: [a, b]
    action: kill
  - rule: two
    connect: { deny: ["*:80", "[2001:db8::/32]:443/udp", { to: 10.0.0.0/8, port: 1-9 }], allow: ["10.0.0.0/8"] }
  - rule: three
    syscall: { allow: [read, write], deny: ptrace }
    setup: true
  - rule: four
    memory: { max: 512MiB, for: 10s }
    enabled: false
---
policy: other
containers: all
rules: &r
  - rule: r
    exec: { deny: nc }
`
const CHARS = [
  ...'{}[]:,-#&*!|>%@`"\'?/\\ \t\n\r.0a',
  '\u202e',
  '\x1b',
  '\0',
  '漢',
  '---\n',
  '...\n',
  '&a ',
  '*a ',
  '!x ',
  '**',
]

/** What holds for every input. */
function check(bytes: Uint8Array): void {
  const result = loadPolicies([{ file: 'fuzz.yaml', bytes }])
  assert.ok(result.diagnostics.length <= DIAGNOSTICS_MAX_COUNT)
  assert.equal(result.refusedFiles.length, result.errorCount > 0 ? 1 : 0)
  if (result.errorCount > 0) assert.equal(result.policies.length, 0)
  const text = renderDiagnostics(result)
  assert.doesNotMatch(text, /[^\n\P{C}]|[\p{Zl}\p{Zp}]/u)
  for (const { span, message } of result.diagnostics) {
    assert.ok(span.line >= 1 && span.column >= 1 && span.lengthCount >= 1)
    assert.ok(message.length < 1000)
  }
  compileProgram(result.policies)
}

test('random bytes', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), check), seedOf(300))
})

test('random text of YAML’s own characters', () => {
  const text = fc.array(fc.constantFrom(...CHARS), { maxLength: 300 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, (each) => check(new TextEncoder().encode(each))),
    seedOf(1500),
  )
})

test('a good policy with pieces cut out, doubled, moved and overwritten', () => {
  const edit = fc.tuple(
    fc.integer({ min: 0, max: GOOD.length }),
    fc.integer({ min: 0, max: 30 }),
    fc.oneof(
      fc.constant(''),
      fc.constantFrom(...CHARS),
      fc.integer({ min: 0, max: GOOD.length - 40 }).map((at) => GOOD.slice(at, at + 40)),
      fc.string({ maxLength: 10, unit: 'binary' }),
    ),
  )
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let text = GOOD
      for (const [at, cut, piece] of edits) text = text.slice(0, at) + piece + text.slice(at + cut)
      check(new TextEncoder().encode(text))
    }),
    seedOf(1500),
  )
})

test('any YAML value in the place of any value', () => {
  const keys = [
    'policy',
    'containers',
    'mode',
    'rules',
    'rule',
    'exec',
    'connect',
    'syscall',
    'memory',
    'allow',
    'deny',
    'max',
    'to',
    'x',
  ]
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.oneof(
        fc.string({ maxLength: 8 }),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.constantFrom('all', 'nc', '*:80', '512MiB'),
      ),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...keys), tie('value'), { maxKeys: 6 }),
    ),
  }))
  fc.assert(
    fc.property(value, (each) => check(new TextEncoder().encode(JSON.stringify(each)))),
    seedOf(1500),
  )
})
