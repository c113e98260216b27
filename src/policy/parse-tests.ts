/** `tests:` of a policy: events and the rules that each must hit. Shape only: `hullguard policy test` runs them. */
import { isScalar } from 'yaml'
import { keysOf, TEST_EVENT_KINDS } from './keys.js'
import type { PolicyTest, SourceSpan, TestEvent, TestValue } from './model.js'
import { didYouMean } from './nearest.js'
import type { Field, Node, NodeReader } from './node-reader.js'
import { quoted } from './visible-text.js'

const TESTS_MAX_COUNT = 1000
type Values = Record<string, TestValue>

/** `rules`: names of the policy's rules. Undefined after a diagnostic. */
export function readTests(field: Field | undefined, rules: readonly string[], reader: NodeReader): PolicyTest[] {
  if (field === undefined) return []
  const nodes = reader.list(field.value, '`tests`') ?? []
  if (nodes.length > TESTS_MAX_COUNT)
    reader.error('policy_limit', field.keySpan, `a policy has more than ${TESTS_MAX_COUNT} tests`)
  const known = keysOf('test')
  return nodes.slice(0, TESTS_MAX_COUNT).flatMap((node) => {
    const fields = reader.map(node, 'a test')
    if (fields === undefined) return []
    for (const each of fields.values()) if (!known.includes(each.key)) reader.unknownKey(each, 'a test', known)
    const nameField = fields.get('test')
    const name = nameField === undefined ? '' : reader.text(nameField.value, '`test`')?.text
    const event = readEvent(needed(fields, 'event', node, reader), reader)
    const expect = readExpected(needed(fields, 'expect', node, reader), rules, reader)
    if (name === undefined || event === undefined || expect === undefined) return []
    return [{ name, event, expect, span: nameField?.span ?? reader.span(node) }]
  })
}

function needed(fields: ReadonlyMap<string, Field>, key: string, node: Node, reader: NodeReader): Field | undefined {
  const field = fields.get(key)
  if (field === undefined) reader.error('policy_missing_key', reader.span(node), `a test has no \`${key}\``)
  return field
}

function readExpected(field: Field | undefined, rules: readonly string[], reader: NodeReader): string[] | undefined {
  if (field === undefined) return undefined
  const texts = reader.texts(field.value, '`expect`')
  if (texts === undefined) return undefined
  const [only] = texts
  if (texts.length === 1 && only?.text === 'none' && !rules.includes('none')) return []
  for (const { text, span } of texts)
    if (!rules.includes(text)) {
      const help = didYouMean(text, rules) ?? 'name rules of this policy, or write `none`'
      reader.error('policy_bad_value', span, `the policy has no rule ${quoted(text)}`, help)
    }
  return texts.map(({ text }) => text)
}

function readEvent(field: Field | undefined, reader: NodeReader): TestEvent | undefined {
  const fields = field && reader.map(field.value, '`event`')
  if (field === undefined || fields === undefined) return undefined
  const parts = keysOf('event').filter((key) => !TEST_EVENT_KINDS.includes(key))
  const kinds: Field[] = []
  for (const each of fields.values()) {
    if (TEST_EVENT_KINDS.includes(each.key)) kinds.push(each)
    else if (!parts.includes(each.key)) reader.unknownKey(each, '`event`', [...TEST_EVENT_KINDS, ...parts])
  }
  const [kind, second] = kinds
  if (second !== undefined && kind !== undefined)
    reader.error(
      'policy_bad_value',
      second.keySpan,
      `an event is either \`${kind.key}\` or \`${second.key}\`, not both`,
    )
  if (kind === undefined) {
    reader.error('policy_missing_key', field.keySpan, 'the event says nothing of what happens', kindsHelp())
    return undefined
  }
  const setupField = fields.get('setup')
  const setup = setupField === undefined ? false : reader.boolean(setupField.value, '`setup`')
  const body = readValues(kind, reader)
  const container = readValues(fields.get('container'), reader)
  const process = readValues(fields.get('process'), reader)
  if (setup === undefined || body === undefined || container === undefined || process === undefined) return undefined
  return { kind: kind.key, body, container, process, setup }
}

function kindsHelp(): string {
  return `give it one of ${TEST_EVENT_KINDS.map((kind) => `\`${kind}\``).join(', ')}`
}

/** Mappings in it become keys with a dot: `{ labels: { tier: web } }` is `labels.tier`; one level, which also ends aliases. */
function readValues(field: Field | undefined, reader: NodeReader, prefix = '', into: Values = {}): Values | undefined {
  if (field === undefined) return into
  const fields = reader.map(field.value, quoted(field.key))
  if (fields === undefined) return undefined
  for (const each of fields.values()) {
    const key = prefix === '' ? each.key : `${prefix}.${each.key}`
    if (reader.isMap(each.value) && prefix === '') {
      if (readValues(each, reader, key, into) === undefined) return undefined
      continue
    }
    const value = reader.isList(each.value) ? readScalars(each, reader) : readScalar(each.value, each.span, reader)
    if (value === undefined) return undefined
    into[key] = value
  }
  return into
}

function readScalars(field: Field, reader: NodeReader): (string | number | boolean)[] | undefined {
  const values: (string | number | boolean)[] = []
  for (const node of reader.list(field.value, quoted(field.key)) ?? []) {
    const value = readScalar(node, reader.span(node), reader)
    if (value === undefined) return undefined
    values.push(value)
  }
  return values
}

function readScalar(node: Node, span: SourceSpan, reader: NodeReader): string | number | boolean | undefined {
  const value = isScalar(node) ? node.value : reader.written(node)?.text
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return value
  reader.error('policy_wrong_type', span, 'a value of a test is text, a number, `true` or `false`')
  return undefined
}
