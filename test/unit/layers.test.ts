/**
 * The import direction of src/ (docs/architecture.md): the rule that scripts/layers.mjs writes into biome.json refuses what it
 * should and nothing else, for every folder; and by no chain of imports does the collector come to the sensor or the agent.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const repo = fileURLToPath(new URL('../../../', import.meta.url))
const LEVELS = [
  ['cli'],
  ['agent', 'collector'],
  ['export', 'respond', 'behavior', 'compliance'],
  ['container', 'sensor', 'match'],
  ['policy'],
  ['record'],
  ['telemetry'],
]
const folders = LEVELS.flat()
const levelOf = (folder: string): number => LEVELS.findIndex((level) => level.includes(folder))

const isAllowed = (from: string, to: string): boolean =>
  from === to || (levelOf(to) > levelOf(from) && !(from === 'collector' && to === 'sensor'))

/** Lints the given files (path -> text) with the repository's rules; returns rule and path of each diagnostic, sorted. */
function lint(files: ReadonlyMap<string, string>): string[] {
  const tree = mkdtempSync(join(tmpdir(), 'hullguard-layers-'))
  try {
    const config: { vcs: unknown } = JSON.parse(readFileSync(join(repo, 'biome.json'), 'utf8'))
    config.vcs = { enabled: false } // the tree is no git checkout
    writeFileSync(join(tree, 'biome.json'), JSON.stringify(config))
    for (const [path, text] of files) {
      mkdirSync(dirname(join(tree, path)), { recursive: true })
      writeFileSync(join(tree, path), text)
    }
    const args = ['lint', '--reporter=github', '--max-diagnostics=none', '.']
    const done = spawnSync(join(repo, 'node_modules/.bin/biome'), args, { cwd: tree, encoding: 'utf8' })
    assert.ok(done.status === 0 || done.status === 1, `biome: ${done.error?.message ?? done.stderr}`)
    const found = done.stdout.matchAll(/title=([a-zA-Z/]+),file=([^,]+)/g)
    return [...found].map(([, rule, file]) => `${rule} ${(file ?? '').replace(`${tree}/`, '')}`).sort()
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}

describe('the import direction', () => {
  test('refuses every import that goes up or sideways, and no import that goes down', () => {
    const files = new Map<string, string>()
    const wanted: string[] = []
    for (const from of folders) {
      for (const to of [...folders, 'main']) {
        const path = `src/${from}/to-${to}.ts`
        const target = to === from ? './other.js' : to === 'main' ? '../main.js' : `../${to}/thing.js`
        files.set(path, `import { thing } from '${target}'\n\nexport const copy = thing\n`)
        if (to === 'main' || !isAllowed(from, to)) wanted.push(`lint/style/noRestrictedImports ${path}`)
      }
    }
    assert.deepEqual(lint(files), wanted.sort())
  })

  test('is not got round with a deeper path or a type-only import', () => {
    const found = lint(
      new Map([
        [
          'src/policy/parse/deep.ts',
          `import { thing } from '../../match/inner/thing.js'\n\nexport const copy = thing\n`,
        ],
        ['src/policy/typed.ts', `import type { Thing } from '../match/thing.js'\n\nexport type Copy = Thing\n`],
      ]),
    )
    assert.deepEqual(found, [
      'lint/style/noRestrictedImports src/policy/parse/deep.ts',
      'lint/style/noRestrictedImports src/policy/typed.ts',
    ])
  })

  test('every folder of src has a level', () => {
    const present = readdirSync(join(repo, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    assert.deepEqual(
      present.map((entry) => entry.name).filter((name) => !folders.includes(name)),
      [],
    )
  })

  test('the folders of src/agent import one way too: each only those after it, and none the files beside them', () => {
    const order = 'policy-tests capture pipeline resource rules conditions fields event process host'.split(' ')
    const agent = join(repo, 'src/agent')
    const names = readdirSync(agent, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
    const within = (file: string): string => file.slice(agent.length + 1).split('/')[0] ?? ''
    const wrong: string[] = []
    for (const name of names.filter((name) => name.includes('/'))) {
      const file = join(agent, name)
      const level = order.indexOf(within(file))
      assert.notEqual(level, -1, `src/agent/${name} lies in a folder without a level`)
      for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(/\bfrom '(\.[^']+)\.js'/g)) {
        const imported = resolve(dirname(file), target)
        if (imported.startsWith(`${agent}/`) && order.indexOf(within(imported)) < level)
          wrong.push(`${name}: ${target}`)
      }
    }
    assert.deepEqual(wrong, [])
  })

  test('the collector reaches neither the agent nor the sensor, so it runs without root and addon', () => {
    const source = join(repo, 'src')
    const reached = new Set<string>()
    const queue = readdirSync(join(source, 'collector'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(source, 'collector', name))
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      if (reached.has(file)) continue
      reached.add(file)
      const text = readFileSync(file, 'utf8').replace(/^(import|export) type .*$/gm, '') // types are gone at run time
      for (const [, target] of text.matchAll(/\b(?:from|import\(|import)\s*'(\.[^']+)\.js'/g))
        queue.push(`${resolve(dirname(file), target ?? '')}.ts`)
    }
    const wrong = [...reached].filter((file) => /src\/(agent|sensor|cli)\//.test(file) || file.endsWith('src/main.ts'))
    assert.deepEqual(wrong, [])
  })
})

describe('the lint rules', () => {
  test('refuse a promise that nobody waits for', () => {
    const text = `async function work(): Promise<void> {}\n\nexport function start(): void {\n  work()\n}\n`
    assert.deepEqual(lint(new Map([['src/policy/floating.ts', text]])), [
      'lint/nursery/noFloatingPromises src/policy/floating.ts',
    ])
  })

  test('refuse any, a non-null assertion, and code made from text', () => {
    const found = lint(
      new Map([
        ['src/policy/any.ts', `export const value: any = 1\n`],
        ['src/policy/assertion.ts', `export const first = (list: string[]): string => list[0]!\n`],
        ['src/policy/made.ts', `export const run = (text: string): unknown => eval(text)\n`],
      ]),
    )
    assert.deepEqual(found, [
      'lint/security/noGlobalEval src/policy/made.ts',
      'lint/style/noNonNullAssertion src/policy/assertion.ts',
      'lint/suspicious/noExplicitAny src/policy/any.ts',
    ])
  })
})
