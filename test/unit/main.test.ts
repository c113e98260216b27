/** src/main.ts: a command loads what it needs and no more, and help still knows them all. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hullguard } from '../support/hullguard.js'

/** Files of src/ that a run of the command line loaded, as V8 itself counted them. */
async function loadedBy(...args: string[]): Promise<Set<string>> {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-loaded-'))
  try {
    await hullguard(args, { env: { ...process.env, NODE_V8_COVERAGE: dir } })
    const [name = ''] = readdirSync(dir)
    const { result }: { result: { url: string }[] } = JSON.parse(readFileSync(join(dir, name), 'utf8'))
    return new Set(result.flatMap(({ url }) => /dist\/src\/(.+)\.js$/.exec(url)?.[1] ?? []))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

const AGENT = ['agent/agent', 'match/program', 'policy/load', 'respond/kernel-policy', 'sensor/addon']
const COLLECTOR = ['collector/server', 'collector/store']

test('a command that only asks the agent loads neither it nor the collector; the collector loads no agent', async () => {
  const asks = await loadedBy('metrics', '--help')
  assert.ok(asks.has('cli/metrics'))
  for (const file of [...AGENT, ...COLLECTOR]) assert.ok(!asks.has(file), file)
  const stores = await loadedBy('collector', '--help')
  for (const file of COLLECTOR) assert.ok(stores.has(file), file)
  for (const file of AGENT) assert.ok(!stores.has(file), file)
  const works = new Set([...(await loadedBy('record', '--help')), ...(await loadedBy('policy', '--help'))])
  for (const file of AGENT) assert.ok(works.has(file), file) // so that the names above are those of files
  const helps = await loadedBy('run', '--help')
  for (const file of [...AGENT, ...COLLECTOR]) assert.ok(!helps.has(file), file)
})

test('help lists every command, and a wrong word is told what it may have meant', async () => {
  const { code, stdout } = await hullguard(['--help'])
  assert.equal(code, 0)
  const listed = [...stdout.slice(stdout.indexOf('Commands:')).matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name)
  const names =
    'run agent collector events containers agents mode fields metrics record replay doctor policy help'.split(' ')
  assert.deepEqual(listed.slice(0, names.length), names)
  const wrong = await hullguard(['evnts'])
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /unknown command 'evnts'\n\(Did you mean events\?\)/)
})
