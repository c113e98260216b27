/** Entries that say several things at once: senders of signals and mounts. All that an entry gives must hold. */
import type { Item } from './definitions.js'
import { FSTYPE_MAX_BYTES, MOUNT_SOURCE_MAX_BYTES } from './keys.js'
import type { AccountName, MountPattern, SenderPattern } from './model.js'
import type { Field, NodeReader } from './node-reader.js'
import { entryFields, readPath } from './parse-entries.js'
import type { Keyed } from './parse-lists.js'
import { isHostile, quoted } from './visible-text.js'

/** LOGIN_NAME_MAX of limits.h. */
const ACCOUNT_MAX_COUNT = 255
const UID_MAX = 0xffff_ffff

/** `{ user: root, group: ops, exe: /usr/bin/sv }` */
export function readSender(item: Item): (SenderPattern & Keyed) | undefined {
  const { node, reader } = item
  const what = 'an entry of `signal`'
  const fields = entryFields(item, 'signal entry', what)
  if (fields === undefined) return undefined
  const before = reader.sink.errorCount
  const user = readAccount(fields.get('user'), reader)
  const group = readAccount(fields.get('group'), reader)
  const exeField = fields.get('exe')
  const exe = exeField && readPath({ node: exeField.value, reader }, '`exe`')
  if (reader.sink.errorCount > before) return undefined
  const text = [user && `user ${nameOf(user)}`, group && `group ${nameOf(group)}`, exe && `exe ${exe.text}`]
    .filter((part) => part !== undefined)
    .join(', ')
  if (text === '') {
    reader.error('policy_empty', reader.span(node), `${what} names nobody`, 'give `user`, `group` or `exe`')
    return undefined
  }
  return {
    text,
    ...(user && { user }),
    ...(group && { group }),
    ...(exe && { exe: { text: exe.text, span: exe.span } }),
    span: reader.span(node),
    key: text,
  }
}

function nameOf(account: AccountName): string {
  return 'name' in account ? account.name : String(account.id)
}

function readAccount(field: Field | undefined, reader: NodeReader): AccountName | undefined {
  if (field === undefined) return undefined
  const what = `\`${field.key}\``
  const written = reader.written(field.value)
  if (written === undefined) {
    reader.text(field.value, what)
    return undefined
  }
  const { text, span } = written
  if (/^\d+$/.test(text)) {
    const id = Number(text)
    if (id <= UID_MAX) return { id }
    reader.error('policy_bad_value', span, `${what} is not a number from 0 to ${UID_MAX}`)
  } else if (text === '' || text.startsWith('-') || isHostile(text) || text.length > ACCOUNT_MAX_COUNT)
    reader.error('policy_bad_value', span, `${quoted(text)} cannot be the name of an account`)
  else return { name: text }
  return undefined
}

/** A target path, or `{ source: tmpfs, target: /mnt/**, fstype: nfs* }`. */
export function readMount(item: Item, what: string): (MountPattern & Keyed) | undefined {
  const { node, reader } = item
  if (!reader.isMap(node)) {
    const target = readPath(item, what)
    if (target === undefined) return undefined
    const { text, span } = target
    return { text: `target ${text}`, target: { text, span }, span, key: `target ${text}` }
  }
  const entry = 'an entry of `mount`'
  const fields = entryFields(item, 'mount entry', entry)
  if (fields === undefined) return undefined
  const before = reader.sink.errorCount
  const source = readWord(fields.get('source'), reader, MOUNT_SOURCE_MAX_BYTES)
  const fstype = readWord(fields.get('fstype'), reader, FSTYPE_MAX_BYTES)
  const targetField = fields.get('target')
  const target = targetField && readPath({ node: targetField.value, reader }, '`target`')
  if (reader.sink.errorCount > before) return undefined
  const text = [source && `source ${source}`, target && `target ${target.text}`, fstype && `fstype ${fstype}`]
    .filter((part) => part !== undefined)
    .join(', ')
  if (text === '') {
    reader.error('policy_empty', reader.span(node), `${entry} names nothing`, 'give `source`, `target` or `fstype`')
    return undefined
  }
  return {
    text,
    ...(source && { source }),
    ...(target && { target: { text: target.text, span: target.span } }),
    ...(fstype && { fstype }),
    span: reader.span(node),
    key: text,
  }
}

function readWord(field: Field | undefined, reader: NodeReader, maxBytes: number): string | undefined {
  if (field === undefined) return undefined
  const text = reader.text(field.value, `\`${field.key}\``)
  if (text === undefined) return undefined
  const fault = whyNoWord(text.text, maxBytes)
  if (fault === undefined) return text.text
  reader.error('policy_bad_value', text.span, `\`${field.key}\` ${fault}`)
  return undefined
}

function whyNoWord(text: string, maxBytes: number): string | undefined {
  if (text === '') return 'is empty'
  if (text.includes('\0')) return 'holds a NUL'
  const sizeBytes = Buffer.byteLength(text)
  return sizeBytes > maxBytes ? `has ${sizeBytes} bytes, more than ${maxBytes}` : undefined
}
