// dist/src/policy/schema.js (made of the table of keys) -> policies/hullguard-policy.schema.json. `--check` fails when the
// committed file differs.
import { readFileSync, writeFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)
const { policySchema } = await import(new URL('dist/src/policy/schema.js', root).href)
const outputFile = new URL('policies/hullguard-policy.schema.json', root)
const text = `${JSON.stringify(policySchema(), undefined, 2)}\n`

if (process.argv.includes('--check')) {
  let committed = ''
  try {
    committed = readFileSync(outputFile, 'utf8')
  } catch {
    // reported below
  }
  if (committed !== text) {
    console.error(
      'policies/hullguard-policy.schema.json differs from src/policy/keys.ts: node scripts/generate-policy-schema.mjs',
    )
    process.exit(1)
  }
} else writeFileSync(outputFile, text)
