/** One YAML document -> one policy: its name, its container selector, its mode and its rules. */
import type { ContainerSelector, Policy, Rule, SourceSpan } from './model.js'
import { didYouMean } from './nearest.js'
import type { Field, Node, NodeReader, TextAt } from './node-reader.js'
import { notYet } from './parse-entries.js'
import { readName, readRule } from './parse-rule.js'
import { quoted } from './visible-text.js'

const POLICY_KEYS = ['policy', 'description', 'containers', 'mode', 'rules']
const SELECTOR_LISTS = ['id', 'name', 'image', 'runtime'] as const
const SELECTOR_KEYS = [...SELECTOR_LISTS, 'labels']
const LATER_SELECTORS = ['k8s', 'swarm', 'ecs', 'nomad', 'mesos', 'user']
const MODES = ['observe', 'block'] as const

/** Undefined when it cannot be used; the diagnostics say why. */
export function readPolicy(reader: NodeReader): Policy | undefined {
  reader.place = {}
  const node = reader.document.contents
  const fields = reader.map(node, 'a policy')
  if (fields === undefined) return undefined
  const nameField = fields.get('policy')
  const start = nameField?.keySpan ?? startOf(node, reader)
  if (nameField === undefined) reader.error('policy_missing_key', start, 'the document has no `policy` (its name)')
  const name = nameField === undefined ? undefined : readName(nameField, reader)
  if (name !== undefined) reader.place = { policy: name }
  for (const field of fields.values())
    if (!POLICY_KEYS.includes(field.key)) reader.unknownKey(field, 'a policy', POLICY_KEYS)
  const descriptionField = fields.get('description')
  const description = descriptionField === undefined ? '' : reader.text(descriptionField.value, '`description`')?.text
  const containers = readSelector(fields.get('containers'), start, reader)
  const mode = readMode(fields.get('mode'), reader)
  const rules = readRules(fields.get('rules'), start, name ?? '', reader)
  if (name === undefined || description === undefined || containers === undefined) return undefined
  if (mode === undefined || rules === undefined || nameField === undefined) return undefined
  return { name, description, mode, containers, rules, tests: [], span: nameField.span }
}

function startOf(node: Node, reader: NodeReader): SourceSpan {
  const offset = node?.range?.[0] ?? 0
  return reader.source.span(offset, offset)
}

function readMode(field: Field | undefined, reader: NodeReader): Policy['mode'] | undefined {
  if (field === undefined) return 'observe'
  const text = reader.text(field.value, '`mode`')
  if (text === undefined) return undefined
  const found = MODES.find((mode) => mode === text.text)
  if (found === undefined)
    reader.error(
      'policy_bad_value',
      text.span,
      `${quoted(text.text)} is not a mode`,
      didYouMean(text.text, MODES) ?? '`observe` or `block`',
    )
  return found
}

function readRules(
  field: Field | undefined,
  start: SourceSpan,
  policy: string,
  reader: NodeReader,
): Rule[] | undefined {
  if (field === undefined) {
    reader.error('policy_missing_key', start, 'the policy has no `rules`')
    return undefined
  }
  const nodes = reader.list(field.value, '`rules`')
  if (nodes === undefined) return undefined
  if (nodes.length === 0) reader.error('policy_empty', field.keySpan, 'the policy has no rules')
  const place = reader.place
  const rules: Rule[] = []
  const named = new Map<string, SourceSpan>()
  for (const node of nodes) {
    const rule = readRule(node, policy, named, reader)
    if (rule !== undefined) rules.push(rule)
    reader.place = place
  }
  return rules
}

function readSelector(field: Field | undefined, start: SourceSpan, reader: NodeReader): ContainerSelector | undefined {
  const help = 'add `containers`, such as `containers: { image: "shop/*" }`, or `containers: all`'
  if (field === undefined) {
    reader.error('policy_no_selector', start, 'the policy does not say to which containers it applies', help)
    return undefined
  }
  const word = reader.written(field.value)
  if (word !== undefined) {
    if (word.text === 'all') return {}
    if (word.text === 'host') notYet(reader, word.span, 'a policy for the host itself')
    else reader.error('policy_bad_value', word.span, `${quoted(word.text)} selects nothing`, help)
    return undefined
  }
  const fields = reader.map(field.value, '`containers`')
  if (fields === undefined) return undefined
  if (fields.size === 0) {
    reader.error('policy_no_selector', field.keySpan, '`containers` names nothing', help)
    return undefined
  }
  for (const other of fields.values()) checkSelectorKey(other, reader)
  const selector: { -readonly [Key in keyof ContainerSelector]: ContainerSelector[Key] } = {}
  for (const key of SELECTOR_LISTS) {
    const listField = fields.get(key)
    const patterns = listField === undefined ? undefined : readPatterns(listField, `\`${key}\``, reader)
    if (patterns !== undefined) selector[key] = patterns
  }
  const labelsField = fields.get('labels')
  const labels = labelsField === undefined ? undefined : readLabels(labelsField, reader)
  if (labels !== undefined) selector.labels = labels
  return selector
}

function checkSelectorKey(field: Field, reader: NodeReader): void {
  if (SELECTOR_KEYS.includes(field.key)) return
  if (LATER_SELECTORS.includes(field.key.split('.')[0] ?? ''))
    notYet(reader, field.keySpan, `the selector ${quoted(field.key)}`)
  else reader.unknownKey(field, '`containers`', SELECTOR_KEYS)
}

function readPatterns(field: Field, what: string, reader: NodeReader): string[] | undefined {
  const texts = reader.texts(field.value, what)
  if (texts === undefined) return undefined
  if (texts.length === 0 && reader.isList(field.value) && reader.list(field.value, what)?.length === 0)
    reader.error('policy_empty', field.keySpan, `${what} has no entry: no container would match`)
  return texts.map((entry) => checkedPattern(entry, reader))
}

function checkedPattern({ text, span }: TextAt, reader: NodeReader): string {
  if (text === '' || text === '!') reader.error('policy_bad_value', span, 'the pattern is empty')
  return text
}

function readLabels(field: Field, reader: NodeReader): Record<string, string[]> | undefined {
  const fields = reader.map(field.value, '`labels`')
  if (fields === undefined) return undefined
  if (fields.size === 0) reader.error('policy_empty', field.keySpan, '`labels` names no label')
  const entries = [...fields.values()].map((label) => {
    if (label.key === '') reader.error('policy_bad_value', label.keySpan, 'the name of a label is empty')
    return [label.key, readPatterns(label, `the label ${quoted(label.key)}`, reader) ?? []] as const
  })
  return Object.fromEntries(entries)
}
