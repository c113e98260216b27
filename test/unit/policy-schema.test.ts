/** The JSON Schema of policies: what ships, what the documentation shows and what the loader takes is valid, the rest is not. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { FSTYPE_MAX_BYTES, keysOf, MAPPINGS } from '../../src/policy/keys.js'
import { loadPolicies } from '../../src/policy/load.js'
import { policySchema } from '../../src/policy/schema.js'
import { COMM_BYTES } from '../../src/sensor/generated/abi.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { hullguard } from '../support/hullguard.js'
import { schemaFaults } from '../support/json-schema.js'

const root = findPackageRoot()
const schema = policySchema()

function faultsOf(text: string): string[] {
  return parseAllDocuments(text, { schema: 'core' }).flatMap((document) => {
    const value: unknown = document.toJS()
    return value === null ? [] : schemaFaults(schema, value)
  })
}

function yamlFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(root, folder, name))
}

test('every policy that ships is valid', () => {
  const files = yamlFiles('policies')
  assert.ok(files.length >= 8)
  for (const file of files) assert.deepEqual(faultsOf(readFileSync(file, 'utf8')), [], file)
})

test('every policy of the documentation is valid', () => {
  const text = readFileSync(join(root, 'docs/policy-language.md'), 'utf8')
  const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, example]) => example ?? '')
  assert.ok(examples.length > 0)
  for (const example of examples) {
    const rules = example.replace(/^(?=.)/gm, '  ')
    const whole = example.startsWith('- rule:') ? `policy: p\ncontainers: all\nrules:\n${rules}` : example
    assert.deepEqual(faultsOf(whole), [], example)
  }
})

test('every policy that the conformance cases load is valid', () => {
  let count = 0
  for (const file of yamlFiles('test/conformance/policy')) {
    const { policy, diagnostics }: { policy: string; diagnostics?: string } = parse(readFileSync(file, 'utf8'))
    if (diagnostics !== undefined) continue
    assert.deepEqual(faultsOf(policy), [], file)
    count++
  }
  assert.ok(count >= 15, `${count} cases`)
})

const rule = (text: string) => `policy: p\ncontainers: all\nrules: [{ rule: r, ${text} }]\n`
const GOOD = rule('exec: { deny: [nc] }')

const BAD: Record<string, string> = {
  'an unknown key': `${GOOD}contianers: all\n`,
  'no selector': 'policy: p\nrules: [{ rule: r, exec: { deny: [nc] } }]\n',
  'no rules': 'policy: p\ncontainers: all\n',
  'an empty list of rules': 'policy: p\ncontainers: all\nrules: []\n',
  'a word that selects nothing': GOOD.replace('all', 'every'),
  'an empty selector': GOOD.replace('all', '{}'),
  'an unknown fact of an orchestrator': GOOD.replace('all', '{ k8s: { names: x } }'),
  'a mode that is none': `${GOOD}mode: enforce\n`,
  'a rule without a name': GOOD.replace('rule: r, ', ''),
  'a rule without a kind': 'policy: p\ncontainers: all\nrules: [{ rule: r }]\n',
  'a rule of two kinds': rule('exec: { deny: [nc] }, syscall: { deny: [ptrace] }'),
  'neither allow nor deny': rule('exec: {}'),
  'a number for a program': rule('exec: { deny: [7] }'),
  'an unknown action': rule('exec: { deny: [nc] }, action: explode'),
  'an unknown priority': rule('exec: { deny: [nc] }, priority: high'),
  'text for a switch': rule('exec: { deny: [nc] }, enabled: "false"'),
  'a size without a unit': rule('memory: { max: "512" }'),
  'a bound without a bound': rule('memory: { for: 10s }'),
  'a duration in weeks': rule('runtime: { max: 2w }'),
  'a count that is text': rule('pids: { max: many }'),
  'an unknown access': rule('file: { deny: [{ path: /etc/**, access: [look] }] }'),
  'a file entry without a path': rule('file: { deny: [{ access: read }] }'),
  'a connect entry without an address': rule('connect: { deny: [{ port: 80 }] }'),
  'an unknown protocol': rule('connect: { deny: [{ to: "*", protocol: icmp }] }'),
  'an empty listen entry': rule('listen: { deny: [{}] }'),
  'a sender that is text': rule('signal: { deny: [root] }'),
  'a mount entry with an unknown key': rule('mount: { deny: [{ path: /mnt }] }'),
  'a type of file system that is longer than the kernel side reads': rule(
    `mount: { deny: [{ fstype: ${'x'.repeat(FSTYPE_MAX_BYTES + 1)} }] }`,
  ),
  'a mount from a source without a name': rule('mount: { deny: [{ source: "" }] }'),
  'an exception without a reason': rule('exec: { deny: [nc] }, exceptions: [{ name: e, match: [nc] }]'),
  'an exception from nothing': rule('exec: { deny: [nc] }, exceptions: [{ name: e, reason: x }]'),
  'an exception with a day that is none': rule(
    'exec: { deny: [nc] }, exceptions: [{ name: e, reason: x, until: soon, match: [nc] }]',
  ),
  'a test without an event': `${GOOD}tests: [{ test: t, expect: none }]\n`,
  'a test of two events': `${GOOD}tests: [{ event: { exec: {}, fork: {} }, expect: none }]\n`,
  'a test of nothing': `${GOOD}tests: [{ event: {}, expect: none }]\n`,
  'shared definitions with a mode': 'lists: { a: [x] }\nmode: block\n',
  'a list': '- rule: r\n',
  text: 'policy\n',
}

test('what is no policy is not valid, for the schema and for the loader', () => {
  assert.deepEqual(faultsOf(GOOD), [])
  for (const [what, text] of Object.entries(BAD)) {
    assert.notDeepEqual(faultsOf(text), [], what)
    const { errorCount } = loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(text) }])
    assert.notEqual(errorCount, 0, what)
  }
})

test('the longest type of file system that the kernel side reads is valid, for the schema and for the loader', () => {
  assert.equal(FSTYPE_MAX_BYTES, COMM_BYTES - 1) // the kernel's copy ends in NUL
  const text = rule(`mount: { deny: [{ fstype: ${'x'.repeat(FSTYPE_MAX_BYTES)} }] }`)
  assert.deepEqual(faultsOf(text), [])
  assert.equal(loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(text) }]).errorCount, 0)
})

test('every key of the language is in the schema, with the sentence that editors show', () => {
  const { definitions }: { definitions?: Record<string, { properties: Record<string, { description?: string }> }> } =
    JSON.parse(JSON.stringify(schema))
  for (const [name, keys] of Object.entries(MAPPINGS))
    for (const [key, { note }] of Object.entries(keys))
      assert.equal(definitions?.[name]?.properties[key]?.description, note, `${name}.${key}`)
  assert.ok(keysOf('rule').includes('condition'))
})

test('`policy schema` prints the committed schema', async () => {
  const { code, stdout } = await hullguard(['policy', 'schema'])
  assert.equal(code, 0)
  assert.equal(stdout, readFileSync(join(root, 'policies/hullguard-policy.schema.json'), 'utf8'))
})
