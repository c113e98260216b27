// tables/errors.json -> src/telemetry/generated/errors.ts and docs/errors.md. `--check` fails when they differ from the table.
import { readFileSync } from 'node:fs'
import { putGenerated } from './generated-file.mjs'

const root = new URL('../', import.meta.url)
const table = JSON.parse(readFileSync(new URL('tables/errors.json', root), 'utf8'))
const seen = new Set()
for (const { code, name } of table) {
  if (seen.has(code) || seen.has(name)) throw new Error(`tables/errors.json: ${code} ${name} stands twice`)
  seen.add(code).add(name)
}
const typescript = `// Generated from tables/errors.json by scripts/generate-errors.mjs. Do not edit.

export const ERRORS = {
${table.map((row) => `  ${row.name}: { code: '${row.code}', exitCode: ${row.exit}, meaning: ${JSON.stringify(row.meaning)}, action: ${JSON.stringify(row.action)} },`).join('\n')}
} as const

export type ErrorName = keyof typeof ERRORS
export type ErrorCode = (typeof ERRORS)[ErrorName]['code']
`
const markdown = `# Errors

Generated from tables/errors.json by \`node scripts/generate-errors.mjs\`. Match on the code: messages may change, codes do not.
1xxx: command line and files of the host; 2xxx: kernel and addon; 3xxx: policies; 4xxx: delivery and collector; 5xxx: containers; 6xxx: actions.

| code | name | exit code | meaning | what to do |
|---|---|---|---|---|
${table.map((row) => `| ${row.code} | ${row.name} | ${row.exit} | ${row.meaning} | ${row.action} |`).join('\n')}
`
const outputs = [
  ['src/telemetry/generated/errors.ts', typescript],
  ['docs/errors.md', markdown],
]
for (const [path, text] of outputs) putGenerated(path, text, 'tables/errors.json')
