/** hullguard fields: what conditions and outputs may name, and what of it the probes yield today. Needs neither root nor the addon. */
import { EVENT_TYPES } from '../record/fields/events.js'
import { kindsText } from '../record/fields/kinds-text.js'
import { FIELDS } from '../record/fields/table.js'
import type { FieldSpec } from '../record/fields/types.js'
import type { CommandSpec } from './command.js'
import { alignColumns } from './table.js'

const KINDS_MAX_CHARS = 32

export const fieldsCommand: CommandSpec = {
  name: 'fields',
  summary: 'list the fields and event types of conditions, and which of them are yielded today',
  options: ['json', 'config'],
  async run(settings) {
    if (settings.flag('json')) {
      const eventTypes = EVENT_TYPES.map(({ name, kind, note }) => ({ name, kind: kind ?? null, note }))
      const fields = FIELDS.map(({ carriedBy, kinds, ...spec }) => ({
        ...spec,
        carried_by: carriedBy,
        yielded_with: kinds,
      }))
      process.stdout.write(`${JSON.stringify({ fields, event_types: eventTypes })}\n`)
      return 0
    }
    const rows = FIELDS.map((spec) => [nameOf(spec), spec.type, spec.unit || '-', listed(spec.kinds), spec.source])
    process.stdout.write(alignColumns([['FIELD', 'TYPE', 'UNIT', 'YIELDED WITH', 'SOURCE'], ...rows]))
    const types = EVENT_TYPES.map(({ name, kind, note }) => [name, kind ?? '-', note])
    process.stdout.write(`\n${alignColumns([['EVENT TYPE', 'KIND', 'NOTE'], ...types])}`)
    return 0
  },
}

/** The first words of a long list: `--json` has them all. */
function listed(kinds: FieldSpec['kinds']): string {
  const text = kindsText(kinds)
  return text.length <= KINDS_MAX_CHARS ? text : `${text.slice(0, text.lastIndexOf(', ', KINDS_MAX_CHARS - 2))}, …`
}

function nameOf({ name, argument }: FieldSpec): string {
  return argument === 'none' ? name : argument === 'optional' ? `${name}[…]?` : `${name}[…]`
}
