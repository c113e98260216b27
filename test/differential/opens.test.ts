/** No open that a rule holds for is filtered out in the kernel. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PolicySet } from '../../src/agent/rules/policies.js'
import { opensOf } from '../../src/match/conditions/opens.js'
import { opensOfFileRule } from '../../src/match/open-wants.js'
import { compileProgram } from '../../src/match/program.js'
import type { Expression } from '../../src/policy/condition/ast.js'
import { loadPolicies } from '../../src/policy/load.js'
import { lowerOpens, type OpenFilter } from '../../src/respond/lower-open.js'
import { Access, KEY_PATH_BYTES, OpenKind, OpenTrait } from '../../src/sensor/generated/abi.js'
import { seedOf } from '../support/seed.js'
import * as generate from './generators.js'

const KIND_OF_ACCESS = [OpenKind.NEITHER, OpenKind.READ, OpenKind.WRITE, OpenKind.READ_WRITE]

/** As open.bpf.h does it. `access`: enum hg_access. */
function passes(
  { classes, prefixes }: OpenFilter,
  path: Uint8Array,
  { access, isFailed = false, raw = '' }: { access: number; isFailed?: boolean; raw?: string },
): boolean {
  const kind = isFailed ? OpenKind.FAILED : (KIND_OF_ACCESS[access & 3] ?? 0)
  const traits = (access & Access.CREATE ? OpenTrait.CREATE : 0) | (raw.includes('..') ? OpenTrait.DOTDOT : 0)
  const own = 1 << (kind * 4 + traits)
  if (classes !== 0 && (classes & own) === 0) return false
  if (prefixes.length === 0) return true
  const key = path.subarray(0, KEY_PATH_BYTES)
  let longest: { path: Uint8Array; classes: number } | undefined
  for (const entry of prefixes)
    if (
      entry.path.length >= (longest?.path.length ?? 0) &&
      Buffer.compare(key.subarray(0, entry.path.length), entry.path) === 0
    )
      longest = entry
  return longest !== undefined && (longest.classes & own) !== 0
}

test('file rules', () => {
  let violatedCount = 0
  let filteredCount = 0
  fc.assert(
    fc.property(
      generate.policiesOf(generate.callRule, 6),
      generate.container,
      fc.array(fc.tuple(generate.fileEvent, fc.integer({ min: 1, max: 7 })), { minLength: 10, maxLength: 10 }),
      (policies, container, events) => {
        const program = compileProgram(policies, generate.NOW_MS)
        const profile = program.profileFor(container)
        const rules = [...profile.rules].flatMap((id) => program.rules[id] ?? [])
        const filter = lowerOpens(rules.flatMap((rule) => (rule.kind === 'file' ? opensOfFileRule(rule) : [])))
        const hits = { rules: new Uint32Array(program.rules.length), count: 0 }
        for (const [{ path }, access] of events) {
          const paths = { bytes: path, start: 0, end: path.length, hasOther: false, otherStart: 0, otherEnd: 0 }
          program.matchFile(profile, paths, access, false, hits)
          const isReported = passes(filter, path, { access })
          if (!isReported) filteredCount++
          if (hits.count === 0) continue
          violatedCount++
          assert.ok(isReported, Buffer.from(path).toString())
        }
      },
    ),
    seedOf(800),
  )
  assert.ok(violatedCount > 100 && filteredCount > 10, `${violatedCount} violated, ${filteredCount} filtered`)
})

interface Open {
  path: string
  /** As the call gave it. */
  raw: string
  access: number
  result: number
}
interface Made {
  text: string
  holds: (open: Open) => boolean
}

const PATHS = [
  '/',
  '/etc',
  '/etc/shadow',
  '/etc/ssh/key',
  '/etcetera',
  '/root/.ssh/id',
  '/proc/1/environ',
  '/a b/c',
  '/é/x',
]
const path = fc.constantFrom(...PATHS)
const quoted = (text: string) => `"${text}"`
const directoryOf = (text: string) => text.slice(0, Math.max(1, text.lastIndexOf('/')))
const isBelow = (text: string, above: string) =>
  above === '/' || text === above || text.startsWith(above.endsWith('/') ? above : `${above}/`)
const leaf: fc.Arbitrary<Made> = fc.oneof(
  path.map((to) => ({ text: `fd.name = ${quoted(to)}`, holds: (open: Open) => open.path === to })),
  path.map((to) => ({ text: `fd.name != ${quoted(to)}`, holds: (open: Open) => open.path !== to })),
  path.map((to) => ({ text: `fd.name startswith ${quoted(to)}`, holds: (open: Open) => open.path.startsWith(to) })),
  path.map((to) => ({ text: `fd.name endswith ${quoted(to)}`, holds: (open: Open) => open.path.endsWith(to) })),
  path.map((to) => ({ text: `fd.directory = ${quoted(to)}`, holds: (open: Open) => directoryOf(open.path) === to })),
  path.map((to) => ({ text: `fd.name pmatch (${quoted(to)})`, holds: (open: Open) => isBelow(open.path, to) })),
  path.map((to) => ({ text: `fd.name glob ${quoted(`${to}*`)}`, holds: (open: Open) => open.path.startsWith(to) })),
  fc.tuple(path, path).map(([a, b]) => ({
    text: `fd.name in (${quoted(a)}, ${quoted(b)})`,
    holds: (open: Open) => open.path === a || open.path === b,
  })),
  fc.boolean().map((is) => ({
    text: `evt.is_open_write = ${is}`,
    holds: ({ access }: Open) => ((access & Access.WRITE) !== 0) === is,
  })),
  fc.boolean().map((is) => ({
    text: `evt.is_open_read = ${is}`,
    holds: ({ access }: Open) => ((access & Access.READ) !== 0) === is,
  })),
  fc.constantFrom('>=', '<').map((operator) => ({
    text: `fd.num ${operator} 0`,
    holds: ({ result }: Open) => result >= 0 === (operator === '>='),
  })),
  fc.boolean().map((is) => ({ text: `evt.failed = ${is}`, holds: ({ result }: Open) => result < 0 === is })),
  fc.constantFrom('../', '..', './').map((part) => ({
    text: `fd.nameraw contains ${quoted(part)}`,
    holds: ({ raw }: Open) => raw.includes(part),
  })),
  fc.constant({ text: 'fd.nameraw glob "*../*../*"', holds: ({ raw }: Open) => /\.\.\/.*\.\.\//.test(raw) }),
  fc.constant({ text: 'evt.type = execve', holds: () => false }),
  fc.constant({ text: 'evt.type in (open, openat)', holds: () => true }),
)
const tree: fc.Arbitrary<Made> = fc.letrec<{ tree: Made }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => ({
      text: `(${a.text} and ${b.text})`,
      holds: (open: Open) => a.holds(open) && b.holds(open),
    })),
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => ({
      text: `(${a.text} or ${b.text})`,
      holds: (open: Open) => a.holds(open) || b.holds(open),
    })),
    tie('tree').map((a) => ({ text: `not (${a.text})`, holds: (open: Open) => !a.holds(open) })),
  ),
})).tree
const open: fc.Arbitrary<Open> = fc.record({
  path,
  raw: fc.constantFrom('x', './x', '../x', 'a/../../x', '..'),
  access: fc.integer({ min: 0, max: 7 }),
  result: fc.constantFrom(-2, 3),
})

function conditionOf(text: string): Expression {
  const yaml = `policy: p\ncontainers: all\nrules:\n  - rule: r\n    condition: ${JSON.stringify(`evt.type = openat and ${text}`)}\n`
  const { policies, errorCount } = loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(yaml) }])
  assert.equal(errorCount, 0, yaml)
  const rule = new PolicySet(1, compileProgram(policies)).program.rules[0]
  assert.ok(rule?.kind === 'condition')
  return rule.condition
}

test('conditions', () => {
  let heldCount = 0
  let filteredCount = 0
  fc.assert(
    fc.property(tree, fc.array(open, { minLength: 12, maxLength: 12 }), ({ text, holds }, opens) => {
      const filter = lowerOpens(opensOf(conditionOf(text), { macro: () => undefined, list: () => undefined }))
      for (const each of opens) {
        const { access, result, raw } = each
        const isReported = passes(filter, Buffer.from(each.path), { access, isFailed: result < 0, raw })
        if (!isReported) filteredCount++
        if (!holds(each)) continue
        heldCount++
        assert.ok(isReported, `${text} holds for ${JSON.stringify(each)}`)
      }
    }),
    seedOf(600),
  )
  assert.ok(heldCount > 100 && filteredCount > 100, `${heldCount} held, ${filteredCount} filtered`)
})
