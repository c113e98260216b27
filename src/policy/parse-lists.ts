/** `allow` and `deny` of a rule, and `match` of its exceptions: one entry, a list, or names of lists (`$name`). */
import { expandItems, type Item, type Scope } from './definitions.js'
import type { SourceSpan } from './model.js'
import type { Field, Node, NodeReader } from './node-reader.js'

/** What rules are read with. */
export interface RuleContext {
  readonly reader: NodeReader
  readonly scope: Scope
}

export interface Keyed {
  readonly span: SourceSpan
  /** Entries with equal keys are the same entry. */
  readonly key: string
}

export interface Lists<Entry> {
  allow?: readonly Entry[]
  deny: readonly Entry[]
}

/** `what` names the place in messages. Undefined after a diagnostic. */
export type ReadEntry<Entry> = (item: Item, what: string) => Entry | undefined

const LIST_KEYS = ['allow', 'deny']

/** Undefined when the part cannot be used; every mistake in it has been reported by then. */
export function readLists<Entry extends Keyed>(
  field: Field,
  context: RuleContext,
  read: ReadEntry<Entry>,
  otherKeys: readonly string[] = [],
): Lists<Entry> | undefined {
  const { reader } = context
  const keys = [...LIST_KEYS, ...otherKeys]
  const kind = `\`${field.key}\``
  const fields = reader.map(field.value, kind)
  if (fields === undefined) return undefined
  for (const other of fields.values()) if (!keys.includes(other.key)) reader.unknownKey(other, kind, keys)
  const allowField = fields.get('allow')
  const denyField = fields.get('deny')
  if (allowField === undefined && denyField === undefined) {
    reader.error('policy_missing_key', field.keySpan, `${kind} has neither \`allow\` nor \`deny\``)
    return undefined
  }
  const allow = allowField && readEntries(allowField.value, `\`allow\` of ${kind}`, context, read)
  const deny = denyField === undefined ? [] : readEntries(denyField.value, `\`deny\` of ${kind}`, context, read)
  if (deny === undefined || (allow === undefined && allowField !== undefined)) return undefined
  if (allow === undefined && denyField !== undefined && isEmptyList(denyField, reader))
    reader.error('policy_empty', denyField.keySpan, `${kind} with an empty \`deny\` and no \`allow\` never hits`)
  warnOfDoubles(allow ?? [], deny, reader)
  return allow === undefined ? { deny } : { allow, deny }
}

/** Entries of a wrong type are reported and left out. */
export function readEntries<Entry>(
  node: Node,
  what: string,
  context: RuleContext,
  read: ReadEntry<Entry>,
): Entry[] | undefined {
  const { reader, scope } = context
  const isList = reader.isList(node)
  if (!isList && !reader.isMap(node) && reader.written(node) === undefined) {
    reader.texts(node, what)
    return undefined
  }
  const nodes = isList ? (reader.list(node, what) ?? []) : [node]
  return expandItems(nodes, reader, scope).flatMap((item) => {
    const entry = read(item, isList ? `an entry of ${what}` : what)
    return entry === undefined ? [] : [entry]
  })
}

function isEmptyList(field: Field, reader: NodeReader): boolean {
  return reader.isList(field.value) && reader.list(field.value, '')?.length === 0
}

function warnOfDoubles(allow: readonly Keyed[], deny: readonly Keyed[], reader: NodeReader): void {
  const denied = new Map<string, Keyed>()
  for (const entry of deny) {
    const first = denied.get(entry.key)
    if (first === undefined) denied.set(entry.key, entry)
    else reader.warning('policy_doubtful', entry.span, `the same entry stands in line ${first.span.line}`)
  }
  const allowed = new Map<string, Keyed>()
  for (const entry of allow) {
    const contrary = denied.get(entry.key)
    const first = allowed.get(entry.key)
    allowed.set(entry.key, first ?? entry)
    if (contrary !== undefined)
      reader.warning('policy_doubtful', entry.span, `the same entry is denied in line ${contrary.span.line}: deny wins`)
    else if (first !== undefined)
      reader.warning('policy_doubtful', entry.span, `the same entry stands in line ${first.span.line}`)
  }
}
