/** scripts/test-reporter.mjs: what the count at the end of `npm test` is made of. A wrong count here would hide failures. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const dir = mkdtempSync(join(tmpdir(), 'hullguard-reporter-'))
const reporter = fileURLToPath(new URL('../../../scripts/test-reporter.mjs', import.meta.url))

after(() => rmSync(dir, { recursive: true, force: true }))

interface Row {
  type: string
  name: string
  reason?: string
}

/** Runs one test file under the reporter; returns its rows as `type name` (and `: reason` of a skip), and the text. */
function report(text: string, grep?: string): { rows: string[]; output: string } {
  const file = join(dir, 'subject.test.js')
  const log = join(dir, 'log.ndjson')
  rmSync(log, { force: true })
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}')
  writeFileSync(file, `import { describe, it, test } from 'node:test'\n${text}`)
  const { NODE_TEST_CONTEXT: _, ...env } = process.env // this test's own run must not be mistaken for the parent of that one
  const args = ['--test', `--test-reporter=${reporter}`, '--test-reporter-destination=stdout']
  if (grep !== undefined) args.push(`--test-name-pattern=${grep}`)
  const done = spawnSync(process.execPath, [...args, file], {
    encoding: 'utf8',
    env: { ...env, HULLGUARD_TEST_LOG: log, HULLGUARD_TEST_GREP: grep ?? '' },
  })
  const rows = readFileSync(log, 'utf8').trimEnd().split('\n')
  const shown = rows.map((line) => JSON.parse(line) as Row).filter(({ type }) => type !== 'done')
  return {
    rows: shown.map(({ type, name, reason }) => `${type} ${name}${type === 'skip' ? `: ${reason}` : ''}`),
    output: done.stdout,
  }
}

test('counts tests, not suites, and gives each skip its reason', () => {
  const { rows, output } = report(`
    test('passes', () => {})
    test('fails', () => { throw new Error('boom') })
    test('is skipped', { skip: 'no root' }, () => {})
    test('skips itself', (t) => t.skip('no kernel'))
    test('gives no reason', { skip: true }, () => {})
    describe('a suite', () => { it('has a member', () => {}) })`)
  assert.deepEqual(rows, [
    'pass passes',
    'fail fails',
    'skip is skipped: no root',
    'skip skips itself: no kernel',
    'skip gives no reason: ',
    'pass has a member',
  ])
  assert.match(output, /boom/)
  assert.match(output, /2 passed, 1 FAILED, 3 skipped/)
})

test('a failing subtest is one failure, not two', () => {
  const { rows } = report(`test('parent', async (t) => { await t.test('child', () => { throw new Error('no') }) })`)
  assert.deepEqual(rows, ['fail child'])
})

test('a file that crashes, and a file without a test, are failures', () => {
  const crash = report(`throw new Error('cannot load')`)
  assert.deepEqual(crash.rows, ['fail runs to its end'])
  assert.match(crash.output, /cannot load/)
  assert.deepEqual(report('').rows, ['fail holds a test'])
})

test('what a name pattern leaves out is neither passed nor skipped', () => {
  const { rows } = report(`test('wanted', () => {})\ntest('other', () => {})`, 'wanted')
  assert.deepEqual(rows, ['pass wanted'])
  assert.deepEqual(report(`test('other', () => {})`, 'wanted').rows, [])
})
