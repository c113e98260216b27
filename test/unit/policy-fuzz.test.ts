/** The loader on anything: it never throws, stays within its bounds, prints nothing raw. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { runPolicyTests } from '../../src/agent/policy-tests/run-tests.js'
import { PolicySet } from '../../src/agent/rules/policies.js'
import { indexesToText, rulesToText } from '../../src/cli/policy-explain.js'
import { compileProgram } from '../../src/match/program.js'
import { DIAGNOSTICS_MAX_COUNT } from '../../src/policy/diagnostics.js'
import { formatPolicyFile } from '../../src/policy/format.js'
import { MAPPINGS, type MappingName, RULE_KINDS, type Shape, TEST_EVENT_KINDS } from '../../src/policy/keys.js'
import { loadPolicies } from '../../src/policy/load.js'
import { FILE_ACCESS_ALL, type Policy, type RuleKind } from '../../src/policy/model.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { type ContainerRef, HOST } from '../../src/record/model.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { seedOf } from '../support/seed.js'

const GOOD = readFileSync(join(findPackageRoot(), 'test/unit/policy-fuzz.yaml'), 'utf8')
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
function check(bytes: Uint8Array): number {
  const input = { file: 'fuzz.yaml', bytes }
  const result = loadPolicies([input], [], { yields: () => true, include: () => 'there is no such file' })
  assert.ok(result.diagnostics.length <= DIAGNOSTICS_MAX_COUNT)
  assert.equal(result.refusedFiles.length, result.errorCount > 0 ? 1 : 0)
  if (result.errorCount > 0) assert.equal(result.policies.length, 0)
  const text = renderDiagnostics(result)
  assert.doesNotMatch(text, /[^\n\P{C}]|[\p{Zl}\p{Zp}]/u)
  for (const { span, message } of result.diagnostics) {
    assert.ok(span.line >= 1 && span.column >= 1 && span.lengthCount >= 1)
    assert.ok(message.length < 1000)
  }
  const { text: formatted } = formatPolicyFile(input)
  if (result.policies.length > 0) {
    use(result.policies)
    if (formatted !== undefined) {
      const again = { file: 'fuzz.yaml', bytes: new TextEncoder().encode(formatted) }
      const { policies } = loadPolicies([again], [], { yields: () => true })
      const count = (all: readonly Policy[]) => all.map(({ name, rules, tests }) => [name, rules.length, tests.length])
      assert.deepEqual(count(policies), count(result.policies))
    }
  }
  return result.policies.length
}

/** What was accepted can be put in force, explained, tried, and matched with any event: nothing of it fails later. */
function use(policies: readonly Policy[]): void {
  const set = new PolicySet(1, compileProgram(policies, 0))
  rulesToText({ policies })
  indexesToText({ policies })
  runPolicyTests(policies)
  const { program } = set
  const hits = { rules: new Uint32Array(program.rules.length), count: 0 }
  for (const ref of REFS) {
    const profile = program.profileFor(ref)
    set.conditions.kindsFor(ref)
    for (const name of NAMES) {
      const bytes = new TextEncoder().encode(name)
      const [start, end] = [0, bytes.length]
      const exec = { bytes, invokedStart: 0, invokedEnd: end, fileStart: 0, fileEnd: end }
      program.matchExec(profile, { ...exec, isScript: true, foreignRoot: false, verified: false }, false, hits)
      program.matchExec(profile, { ...exec, isScript: false, foreignRoot: true, verified: false }, true, hits)
      const paths = { bytes, start, end, otherStart: 0, otherEnd: end, hasOther: true }
      program.matchFile(profile, paths, FILE_ACCESS_ALL, false, hits)
      const sender = { uid: 0, gid: 7, user: name, group: name, bytes, exeStart: 0, exeEnd: end }
      program.matchSignal(profile, sender, false, hits)
      const mount = { bytes, sourceStart: 0, sourceEnd: end, targetStart: 0, targetEnd: end }
      program.matchMount(profile, { ...mount, fstypeStart: 0, fstypeEnd: end }, false, hits)
    }
    for (const address of ADDRESSES)
      for (const port of [0, 80, 65_535]) {
        program.matchConnect(profile, address, 0, port, 6, false, hits)
        program.matchListen(profile, address, 0, port, false, hits)
      }
    for (const number of [0, 101, 511, 100_000]) program.matchSyscall(profile, number, 0, false, hits)
    program.matchCapability(profile, 0xffff_ffff, 0xffff_ffff, false, hits)
    assert.ok(hits.count <= program.rules.length)
  }
}

const REFS: readonly ContainerRef[] = [
  HOST,
  { ...HOST, state: 'unknown' },
  { ...HOST, state: 'container', id: 'c', name: 'web', image: 'demo/web:1', labels: { tier: 'web' }, user: 'app:app' },
  { ...HOST, state: 'container', id: 'd', name: 'a', labels: { 'io.kubernetes.pod.name': 'a' }, privileged: true },
]
const NAMES = ['', '/', 'nc', '/bin/nc', '/etc/a/b', `/${'a/'.repeat(300)}`, '/tmp/\udcff\n*?[']
const ADDRESSES = [
  new Uint8Array(16),
  new Uint8Array(16).fill(255),
  Uint8Array.of(...Array(10).fill(0), 255, 255, 10, 1, 2, 3),
]

test('the policy that the edits begin with is accepted', () => {
  assert.equal(check(new TextEncoder().encode(GOOD)), 3)
})

test('random bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => void check(bytes)),
    seedOf(300),
  )
})

test('random text of YAML’s own characters', () => {
  const text = fc.array(fc.constantFrom(...CHARS), { maxLength: 300 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, (each) => void check(new TextEncoder().encode(each))),
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
    seedOf(300),
  )
})

/** Words that mean something somewhere in the language, so that generated policies are accepted now and then. */
const WORDS = [
  ...[
    'all',
    'host',
    'container',
    'nc',
    '/bin/sh',
    '/etc/**',
    '**',
    'l?b*',
    '[a-c]x',
    '$a',
    '$b',
    '*',
    '!web',
    'tcp',
    'none',
  ],
  ...[
    '10.0.0.0/8',
    '*:80',
    '[2001:db8::/32]:1-9/udp',
    '::1',
    '8080',
    '1-9',
    'read',
    'write',
    'ptrace',
    'mount',
    'chown',
  ],
  ...['512MiB', '10s', '150%', '2027-12-31', 'root', 'kill', 'deny', 'alert', 'block', 'observe', 'error', 'critical'],
  ...[
    'evt.type = execve',
    'proc.name in (a, b)',
    'm',
    'not m and fd.sport > 9',
    'proc.name regex "a.*"',
    '%proc.name',
    'x',
    '',
  ],
]

/** More of those that entries of the kind can be. */
const WORDS_OF: Readonly<Record<RuleKind, readonly string[]>> = {
  exec: ['nc', '/bin/sh', '/opt/**', '$a'],
  file: ['/etc/**', '/root', '$a'],
  connect: ['10.0.0.0/8', '*', '::1', '$b'],
  listen: ['8080', '1-9', '::1', '$b'],
  signal: ['root', '/bin/kill', '7'],
  mount: ['/proc/**', '/mnt', '/dev'],
  syscall: ['ptrace', 'read', 'mount'],
  capability: ['chown', 'CAP_BPF'],
  memory: [],
  cpu: [],
  pids: [],
  runtime: [],
  condition: ['evt.type = execve', 'm', 'm and proc.name in (a, b)'],
}

/** Values of a shape of the table of keys, now and then of another. */
function arbitraryOf(shape: Shape, depth: number, words: readonly string[] = WORDS): fc.Arbitrary<unknown> {
  const wrong = fc.oneof(
    fc.constantFrom(...WORDS),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.constant([]),
    fc.constant({}),
  )
  return fc.oneof({ weight: 24, arbitrary: rightOf(shape, depth, words) }, { weight: 1, arbitrary: wrong })
}

function rightOf(shape: Shape, depth: number, words: readonly string[]): fc.Arbitrary<unknown> {
  const word = fc.constantFrom(...words)
  const list = (of: Shape) => fc.array(arbitraryOf(of, depth + 1, words), { minLength: 1, maxLength: 3 })
  switch (shape.is) {
    case 'name':
      return fc.constantFrom('p', 'q', 'r', 's', 't')
    case 'text':
    case 'word':
      return word
    case 'boolean':
      return fc.boolean()
    case 'one of':
      return fc.constantFrom(...shape.values)
    case 'quantity':
      return fc.stringMatching(new RegExp(shape.pattern.replaceAll('\\d+', '\\d{1,3}')))
    case 'number':
      return fc.integer({ min: 0, max: 70_000 })
    case 'map':
      return mapOf(shape.of, depth, words)
    case 'any keys':
      return fc.dictionary(
        fc.constantFrom('a', 'b', 'm', 'path', 'ip', 'name', 'exe'),
        arbitraryOf(shape.to, depth + 1, words),
        {
          maxKeys: 2,
        },
      )
    case 'list':
      return list(shape.of)
    case 'one or list':
      return fc.oneof(arbitraryOf(shape.of, depth, words), list(shape.of))
    case 'either':
      return fc.oneof(...shape.of.map((each) => rightOf(each, depth, words)))
    case 'anything':
      return fc.oneof(word, fc.array(word, { minLength: 1, maxLength: 3 }))
  }
}

/** What the key asks for, a few of the others; of the kinds of rules and events mostly one. */
function mapOf(name: MappingName, depth: number, words: readonly string[] = WORDS): fc.Arbitrary<unknown> {
  const specs = Object.entries(MAPPINGS[name])
  const kinds: readonly string[] = name === 'rule' ? RULE_KINDS : name === 'event' ? TEST_EVENT_KINDS : []
  const others = specs.filter(([key]) => !kinds.includes(key))
  const needed = others.flatMap(([key, { isRequired }]) => (isRequired === true ? [key] : []))
  const record = fc
    .tuple(
      fc.subarray(
        others.map(([key]) => key),
        { maxLength: Math.min(2, others.length) },
      ),
      fc.constantFrom(...kinds, 'exec'),
    )
    .chain(([some, kind]) => {
      const keys = [...new Set([...needed, ...some, ...(kinds.length > 0 ? [kind] : [])])]
      return fc.record(
        Object.fromEntries(
          keys.map((key) => [key, arbitraryOf(MAPPINGS[name][key]?.shape ?? { is: 'anything' }, depth + 1, words)]),
        ),
      )
    })
  return depth > 8 ? fc.constant({}) : record
}

test('documents made by the table of keys: what is accepted works, in every kind', () => {
  let acceptedCount = 0
  fc.assert(
    fc.property(mapOf('policy', 0), (each) => {
      acceptedCount += check(new TextEncoder().encode(JSON.stringify(each)))
    }),
    seedOf(500),
  )
  assert.ok(acceptedCount > 0, 'some are accepted')
})

test('a rule of each kind, made by the table, alone in a policy', () => {
  for (const kind of RULE_KINDS) {
    let acceptedCount = 0
    const own = WORDS_OF[kind]
    const words = own.length === 0 ? WORDS : [...WORDS.flatMap(() => own), ...WORDS]
    fc.assert(
      fc.property(arbitraryOf(MAPPINGS.rule[kind]?.shape ?? { is: 'anything' }, 2, words), (part) => {
        const lists = { a: ['nc', '/bin/sh'], b: ['10.0.0.0/8', 80] }
        const macros = { m: 'evt.type = execve' }
        const policy = { policy: 'p', containers: 'all', lists, macros, rules: [{ rule: 'r', [kind]: part }] }
        acceptedCount += check(new TextEncoder().encode(JSON.stringify(policy)))
      }),
      seedOf(100),
    )
    assert.ok(acceptedCount > 0, `some rules of kind ${kind} are accepted`)
  }
})

test('any YAML value in the place of any value', () => {
  const keys = [...new Set(Object.values(MAPPINGS).flatMap((keys) => Object.keys(keys))), 'x']
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
    fc.property(value, (each) => void check(new TextEncoder().encode(JSON.stringify(each)))),
    seedOf(1500),
  )
})
