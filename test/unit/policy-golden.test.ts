/**
 * What `policy explain`, `policy test --events` and `policy diff` print, word for word (test/unit/golden; UPDATE_GOLDEN=1
 * writes it): on bench/data/containers.hgcap, a recording of three real containers.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { indexesToText, rulesToText } from '../../src/cli/policy-explain.js'
import { loadPolicies } from '../../src/policy/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { hullguard } from '../support/hullguard.js'

const root = findPackageRoot()
const folder = join(root, 'test/unit/golden')
const [policies, old] = [join(folder, 'policies.yaml'), join(folder, 'old.yaml')]
const capture = join(root, 'bench/data/containers.hgcap')

function isGolden(name: string, text: string): void {
  const file = join(folder, name)
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, text)
  assert.equal(text, readFileSync(file, 'utf8'))
}

async function printed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await hullguard(['policy', ...args])
  assert.equal(code, 0, stderr)
  return stdout
}

test('`policy explain`: where each rule is answered, and the indexes', async () => {
  isGolden('explain.txt', await printed('explain', policies))
})

test('`policy explain --no-indexes` prints the rules alone', async () => {
  const [whole, rules] = [await printed('explain', policies), await printed('explain', '--no-indexes', policies)]
  assert.ok(whole.startsWith(rules) && whole.length > rules.length)
})

test('the indexes of every kind of rule', () => {
  const bytes = readFileSync(join(folder, 'later-kinds.yaml'))
  const loaded = loadPolicies([{ file: 'later-kinds.yaml', bytes }], [], { yields: () => true })
  assert.equal(renderDiagnostics(loaded), '')
  const rulebook = { policies: loaded.policies }
  isGolden('explain-kinds.txt', rulesToText(rulebook) + indexesToText(rulebook))
})

test('`policy test --events`: what would have hit, been denied, been killed', async () => {
  isGolden('test.txt', await printed('test', policies, '--events', capture))
})

test('`policy diff`: hits that appear, disappear, act otherwise', async () => {
  isGolden('diff.txt', await printed('diff', old, policies, '--events', capture))
})

test('nothing changes between a policy and itself', async () => {
  const text = await printed('diff', policies, policies, '--events', capture)
  assert.match(text, /^nothing changes on this capture\n[1-9]\d* hits in all stay as they are\n$/)
})
