/** Rule kinds that compare a reading with a bound: memory, cpu, pids, runtime. */
import { keysOf, type MappingName } from './keys.js'
import type { SourceSpan } from './model.js'
import type { Field, NodeReader } from './node-reader.js'
import {
  CPU_HELP,
  DURATION_HELP,
  parseCountText,
  parseDurationMs,
  parseMillicores,
  parseSizeBytes,
  SIZE_HELP,
} from './quantity.js'
import { quoted } from './visible-text.js'

export function readMemory(field: Field, reader: NodeReader): { maxBytes: number; forMs: number } | undefined {
  const read = readThreshold(field, 'memory', reader, parseSizeBytes, 'a size', SIZE_HELP)
  return read && { maxBytes: read.max, forMs: read.forMs }
}

export function readCpu(field: Field, reader: NodeReader): { maxMillicores: number; forMs: number } | undefined {
  const read = readThreshold(field, 'cpu', reader, parseMillicores, 'a share of processor time', CPU_HELP)
  return read && { maxMillicores: read.max, forMs: read.forMs }
}

export function readPids(field: Field, reader: NodeReader): { maxCount: number; forMs: number } | undefined {
  const read = readThreshold(field, 'pids', reader, parseCountText, 'a count', 'write a whole number, such as `100`')
  return read && { maxCount: read.max, forMs: read.forMs }
}

export function readRuntime(field: Field, reader: NodeReader): { maxMs: number } | undefined {
  const read = readThreshold(field, 'runtime', reader, parseDurationMs, 'a duration', DURATION_HELP)
  return read && { maxMs: read.max }
}

function readThreshold(
  field: Field,
  kind: MappingName,
  reader: NodeReader,
  parse: (text: string) => number | undefined,
  noun: string,
  help: string,
): { max: number; forMs: number } | undefined {
  const what = `\`${kind}\``
  const fields = reader.map(field.value, what)
  if (fields === undefined) return undefined
  const known = keysOf(kind)
  for (const other of fields.values()) {
    if (other.key === 'above_normal')
      notYet(reader, other.keySpan, '`above_normal` belongs to learned behaviour, which')
    else if (!known.includes(other.key)) reader.unknownKey(other, what, known)
  }
  const maxField = fields.get('max')
  if (maxField === undefined) {
    if (!fields.has('above_normal')) reader.error('policy_missing_key', field.keySpan, `${what} has no \`max\``)
    return undefined
  }
  const max = readQuantity(maxField, reader, parse, noun, help)
  if (max === 0)
    reader.error(
      'policy_bad_quantity',
      maxField.span,
      kind === 'runtime' ? '`max` is 0: every container runs longer' : '`max` is 0: every container uses more',
    )
  const held = kind === 'runtime' ? undefined : fields.get('for')
  const forMs = held === undefined ? 0 : readQuantity(held, reader, parseDurationMs, 'a duration', DURATION_HELP)
  return max === undefined || forMs === undefined ? undefined : { max, forMs }
}

/** Reports `PART is not supported yet`; `part` ends with the word the sentence goes on from. */
export function notYet(reader: NodeReader, span: SourceSpan, part: string): void {
  reader.error('policy_unsupported', span, `${part} is not supported yet`)
}

function readQuantity(
  field: Field,
  reader: NodeReader,
  parse: (text: string) => number | undefined,
  noun: string,
  help: string,
): number | undefined {
  const written = reader.written(field.value)
  if (written === undefined) {
    reader.text(field.value, `\`${field.key}\``)
    return undefined
  }
  const value = parse(written.text)
  if (value === undefined)
    reader.error('policy_bad_quantity', written.span, `${quoted(written.text)} is not ${noun}`, help)
  return value
}
