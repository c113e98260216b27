// dist/src/record/fields (the field registry) -> docs/fields.md. `--check` fails when the committed file differs.
import { putGenerated } from './generated-file.mjs'

const root = new URL('../', import.meta.url)
const { EVENT_TYPES } = await import(new URL('dist/src/record/fields/events.js', root).href)
const { kindsText } = await import(new URL('dist/src/record/fields/kinds-text.js', root).href)
const { FIELDS } = await import(new URL('dist/src/record/fields/table.js', root).href)

const cell = (text) => text.replaceAll('|', '\\|')
const row = (...cells) => `| ${cells.map(cell).join(' | ')} |`
const isArgument = ({ name }) => name.startsWith('evt.arg.')
const named = ({ name, argument }) =>
  `\`${argument === 'none' ? name : argument === 'optional' ? `${name}[…]?` : `${name}[…]`}\``
const text = `<!-- Generated from src/record/fields by scripts/generate-fields.mjs. Do not edit. -->
# Fields

What conditions and outputs may name. \`hullguard fields\` prints the same. *Read from* says which kinds of records yield the
field (\`all\`: every act of a process; \`calls\`: every act that is a system call); \`-\`: it is part of the language, and a rule that reads it is refused. *Cost* is that of
reading it for an event: \`event\`, a look into the event; \`process\` and \`container\`, kept with them; \`ancestors\`, a walk up the
processes; \`made\`, put together each time.

| field | type | unit | read from | cost | what |
|---|---|---|---|---|---|
${FIELDS.filter((field) => !isArgument(field))
  .map((field) => row(named(field), field.type, field.unit || '-', kindsText(field.kinds), field.cost, field.source))
  .join('\n')}

Arguments of calls, \`evt.arg.NAME\`, are strings; a call without the argument does not have the field. NAME is one of:
${FIELDS.filter(isArgument)
  .map(({ name }) => `\`${name.slice('evt.arg.'.length)}\``)
  .join(', ')}.

## Event types

| \`evt.type\` | record kind | note |
|---|---|---|
${EVENT_TYPES.map(({ name, kind, note }) => row(`\`${name}\``, kind ?? '-', note)).join('\n')}
`

putGenerated('docs/fields.md', text, 'the field registry')
