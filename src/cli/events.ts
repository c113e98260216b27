/** hullguard events: records of a local data directory or of a remote collector, newest last. */
import { styleText } from 'node:util'
import { openLocal } from '../collector/local-source.js'
import { openRemote } from '../collector/remote-source.js'
import type { EventPage, EventQuery, EventSource } from '../collector/types.js'
import { recordToJsonLine } from '../record/json.js'
import type { HullguardRecord, RecordKind } from '../record/model.js'
import { isRecordKind, RECORD_KINDS } from '../record/names.js'
import { type Role, recordToText, type Style } from '../record/text.js'
import { HullguardError } from '../telemetry/errors.js'
import type { CommandSpec } from './command.js'
import type { Settings } from './options.js'
import { stopAbortSignal } from './signals.js'
import { parseTime } from './time.js'

export const eventsCommand: CommandSpec = {
  name: 'events',
  summary: 'show what was recorded',
  options: ['data-dir', 'collector', 'json', 'config'],
  own: [
    { flags: '-f, --follow', help: 'go on with what comes' },
    { flags: '--since <TIME>', help: 'from then on: 5m, 2h, 3d ago, or an RFC 3339 time' },
    { flags: '--until <TIME>', help: 'up to then' },
    { flags: '--container <NAME|ID>', help: 'of this container (an id may be shortened)' },
    { flags: '--rule <NAME>', help: 'alerts and actions of this rule' },
    { flags: '--limit <N>', help: 'the newest N (default 1000 without --follow and --since)' },
  ],
  arguments: [{ name: '[kinds...]', help: `only these kinds: ${RECORD_KINDS.join(', ')}` }],
  async run(settings, { args, own }) {
    const query = queryOf(args, own)
    const kind = settings.list('collector').find(isRecordKind)
    if (kind !== undefined) throw new HullguardError('usage', `--collector: expected HOST:PORT, received \`${kind}\``)
    const source = openSource(settings)
    const print = printer(settings.flag('json'))
    try {
      if (own.follow === true) await printPages(source.follow(query, stopAbortSignal()), print)
      else await printPages(source.events(query), print)
    } finally {
      source.close()
    }
    return 0
  },
}

export function openSource(settings: Settings): EventSource {
  const [collector] = settings.list('collector')
  return collector === undefined ? openLocal(settings.required('data-dir')) : openRemote(collector)
}

const DEFAULT_LIMIT = 1000

function queryOf(kinds: readonly string[], own: Readonly<Record<string, unknown>>): EventQuery {
  const query: EventQuery = {}
  const text = (name: string) => (typeof own[name] === 'string' ? own[name] : undefined)
  const since = text('since')
  const until = text('until')
  const container = text('container')
  const rule = text('rule')
  if (since !== undefined) query.sinceNs = parseTime(since, '--since')
  if (until !== undefined) query.untilNs = parseTime(until, '--until')
  if (container !== undefined) query.container = container
  if (rule !== undefined) query.rule = rule
  const limit = text('limit')
  if (limit !== undefined && !/^[1-9]\d{0,8}$/.test(limit))
    throw new HullguardError('usage', `--limit: expected a whole number above 0, received \`${limit}\``)
  if (limit !== undefined) query.limit = Number(limit)
  else if (since === undefined && own.follow !== true) query.limit = DEFAULT_LIMIT
  const unknown = kinds.find((kind) => !isRecordKind(kind))
  if (unknown !== undefined)
    throw new HullguardError('usage', `no record kind \`${unknown}\`: expected any of ${RECORD_KINDS.join(', ')}`)
  if (kinds.length > 0) query.kinds = kinds as readonly RecordKind[]
  return query
}

async function printPages(pages: AsyncIterable<EventPage>, print: (record: HullguardRecord) => string): Promise<void> {
  for await (const page of pages) {
    if (page.records.length === 0) continue
    const text = page.records.map(print).join('')
    // A reader that is slow (a pager, a pipe) slows the query, not this process's memory.
    if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once('drain', resolve))
  }
}

function printer(isJson: boolean): (record: HullguardRecord) => string {
  if (isJson) return (record) => `${recordToJsonLine(record).trimEnd()}\n`
  const style = process.stdout.isTTY ? colour : undefined
  return (record) => `${recordToText(record, style === undefined ? {} : { style })}\n`
}

const COLOURS = {
  time: 'gray',
  container: 'cyan',
  kind: 'blue',
  alert: 'yellow',
  action: 'red',
  gap: 'magenta',
  detail: 'gray',
} as const satisfies Record<Role, Parameters<typeof styleText>[0]>

export const colour: Style = (role, text) => styleText(COLOURS[role], text)
