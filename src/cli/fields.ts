/** hullguard fields: what conditions and outputs may name, and what of it the probes yield today. Needs neither root nor the addon. */
import { EVENT_TYPES } from '../record/fields/events.js'
import { FIELDS } from '../record/fields/table.js'
import type { FieldSpec } from '../record/fields/types.js'
import type { CommandSpec } from './command.js'
import { alignColumns } from './table.js'

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

function listed(kinds: readonly string[]): string {
  return kinds.length === 0 ? '-' : kinds.join(',')
}

function nameOf({ name, argument }: FieldSpec): string {
  return argument === 'none' ? name : argument === 'optional' ? `${name}[…]?` : `${name}[…]`
}
