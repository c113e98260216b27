// dist/src/policy/schema.js (made of the table of keys) -> policies/hullguard-policy.schema.json. `--check` fails when the
// committed file differs.
import { putGenerated } from './generated-file.mjs'

const root = new URL('../', import.meta.url)
const { policySchema } = await import(new URL('dist/src/policy/schema.js', root).href)
const text = `${JSON.stringify(policySchema(), undefined, 2)}\n`

putGenerated('policies/hullguard-policy.schema.json', text, 'src/policy/keys.ts')
