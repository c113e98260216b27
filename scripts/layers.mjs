// The import direction (docs/architecture.md): a folder of src/ imports its own files and those of lower levels only, and no
// sibling of its level. This table is the one place where it stands; the overrides in biome.json are generated from it:
// `node scripts/layers.mjs` writes them, `--check` fails when they differ. test/unit/layers.test.ts proves that they bite.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// From the top down.
export const levels = [
  ['cli'],
  ['agent', 'collector'],
  ['export', 'respond', 'behavior', 'compliance'],
  ['container', 'sensor', 'match'],
  ['policy'],
  ['record'],
  ['telemetry'],
]

// Beyond the levels: the collector runs without root and without the addon.
export const alsoForbidden = { collector: ['sensor'] }

/** The folders (and `main`) that files of `folder` must not import. */
export function forbiddenFor(folder) {
  const level = levels.findIndex((folders) => folders.includes(folder))
  const above = levels.slice(0, level + 1).flat()
  return [...above.filter((other) => other !== folder), ...(alsoForbidden[folder] ?? []), 'main']
}

const overrideFor = (folder) => ({
  includes: [`src/${folder}/**`],
  linter: {
    rules: {
      style: {
        noRestrictedImports: {
          level: 'error',
          options: {
            patterns: [
              {
                group: forbiddenFor(folder).map((other) => (other === 'main' ? '**/main.js' : `**/${other}/**`)),
                message: `src/${folder} imports only lower levels (scripts/layers.mjs, docs/architecture.md)`,
              },
            ],
          },
        },
      },
    },
  },
})

const isLayerOverride = (entry) => entry.includes.length === 1 && /^src\/[a-z]+\/\*\*$/.test(entry.includes[0])

function main() {
  const root = fileURLToPath(new URL('../', import.meta.url))
  const text = readFileSync(`${root}biome.json`, 'utf8')
  const config = JSON.parse(text)
  const others = (config.overrides ?? []).filter((entry) => !isLayerOverride(entry))
  config.overrides = [...others, ...levels.flat().map(overrideFor)]
  if (!process.argv.includes('--check')) {
    writeFileSync(`${root}biome.json`, `${JSON.stringify(config, null, 2)}\n`)
    execFileSync('node_modules/.bin/biome', ['format', '--write', 'biome.json'], { cwd: root, stdio: 'inherit' })
  } else if (JSON.stringify(JSON.parse(text)) !== JSON.stringify(config)) {
    console.error('biome.json: the layer overrides differ from scripts/layers.mjs; run `node scripts/layers.mjs`')
    process.exit(1)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
