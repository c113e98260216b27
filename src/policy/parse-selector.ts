/** `containers:` of a policy: a word, or a mapping whose fields must all hold. */
import { keysOf, type MappingName, STATES } from './keys.js'
import type { ContainerSelector, FactPatterns, SelectorState, SourceSpan } from './model.js'
import { didYouMean } from './nearest.js'
import type { Field, NodeReader, TextAt } from './node-reader.js'
import { notYet } from './parse-thresholds.js'
import { quoted } from './visible-text.js'

const LISTS = ['id', 'name', 'image', 'runtime', 'user'] as const
const FACTS = ['k8s', 'swarm', 'ecs', 'nomad'] as const
/** Short names of facts. */
const ALIASES: Readonly<Record<string, string>> = { ns: 'namespace' }
/** Facts of pods that no container runtime holds. */
const LATER = ['labels', 'annotations', 'service_account', 'sa', 'deployment', 'node']
const HELP = 'add `containers`, such as `containers: { image: "shop/*" }`, or `containers: all`'

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** Undefined after a diagnostic. */
export function readSelector(
  field: Field | undefined,
  start: SourceSpan,
  reader: NodeReader,
): ContainerSelector | undefined {
  if (field === undefined) {
    reader.error('policy_no_selector', start, 'the policy does not say to which containers it applies', HELP)
    return undefined
  }
  const word = reader.written(field.value)
  if (word !== undefined) {
    if (word.text === 'all') return {}
    if (word.text === 'host') return { state: ['host'] }
    reader.error('policy_bad_value', word.span, `${quoted(word.text)} selects nothing`, HELP)
    return undefined
  }
  const fields = reader.map(field.value, '`containers`')
  if (fields === undefined) return undefined
  if (fields.size === 0) {
    reader.error('policy_no_selector', field.keySpan, '`containers` names nothing', HELP)
    return undefined
  }
  return readFields(fields, reader)
}

function readFields(fields: ReadonlyMap<string, Field>, reader: NodeReader): ContainerSelector {
  const selector: Mutable<ContainerSelector> = {}
  const facts = new Map<(typeof FACTS)[number], Map<string, readonly string[]>>()
  const known = keysOf('containers')
  for (const field of fields.values()) {
    const group = FACTS.find((name) => field.key === name || field.key.startsWith(`${name}.`))
    if (group !== undefined) {
      const into = facts.get(group) ?? new Map<string, readonly string[]>()
      facts.set(group, into)
      if (field.key === group) readFacts(field, group, into, reader)
      else readFact({ ...field, key: field.key.slice(group.length + 1) }, group, into, reader)
    } else if (!known.includes(field.key)) reader.unknownKey(field, '`containers`', known)
  }
  for (const key of LISTS) {
    const patterns = patternsOf(fields.get(key), reader)
    if (patterns !== undefined) selector[key] = patterns
  }
  const labelsField = fields.get('labels')
  const labels = labelsField && readLabels(labelsField, reader)
  if (labels !== undefined) selector.labels = labels
  const state = readState(fields.get('state'), reader)
  if (state !== undefined) selector.state = state
  const privilegedField = fields.get('privileged')
  const privileged = privilegedField && reader.boolean(privilegedField.value, '`privileged`')
  if (privileged !== undefined) selector.privileged = privileged
  for (const [group, patterns] of facts) selector[group] = Object.fromEntries(patterns)
  return selector
}

function readState(field: Field | undefined, reader: NodeReader): SelectorState[] | undefined {
  if (field === undefined) return undefined
  const texts = reader.texts(field.value, '`state`')
  if (texts === undefined) return undefined
  if (texts.length === 0) reader.error('policy_empty', field.keySpan, '`state` has no entry: nothing would match')
  return texts.flatMap(({ text, span }) => {
    const found = STATES.find((state) => state === text)
    if (found === undefined)
      reader.error(
        'policy_bad_value',
        span,
        `${quoted(text)} is not a state`,
        didYouMean(text, STATES) ?? 'one of `host`, `container`, `unknown`',
      )
    return found === undefined ? [] : [found]
  })
}

function readFacts(field: Field, group: MappingName, into: Map<string, readonly string[]>, reader: NodeReader): void {
  const fields = reader.map(field.value, `\`${group}\``)
  if (fields === undefined) return
  if (fields.size === 0) reader.error('policy_empty', field.keySpan, `\`${group}\` names nothing`)
  for (const fact of fields.values()) readFact(fact, group, into, reader)
}

function readFact(field: Field, group: MappingName, into: Map<string, readonly string[]>, reader: NodeReader): void {
  const define = (name: string, key: Field, patterns: readonly string[]) => {
    if (into.has(name))
      reader.error('policy_duplicate_key', key.keySpan, `${quoted(name)} of \`${group}\` stands twice`)
    into.set(name, patterns)
  }
  const known = keysOf(group)
  if (!known.includes(field.key)) {
    if (group === 'k8s' && LATER.some((name) => field.key === name || field.key.startsWith(`${name}.`)))
      notYet(reader, field.keySpan, `the selector ${quoted(`k8s.${field.key}`)}, which only the cluster knows,`)
    else reader.unknownKey(field, `\`${group}\``, known)
    return
  }
  const name = ALIASES[field.key] ?? field.key
  define(name, field, patternsOf(field, reader) ?? [])
}

function patternsOf(field: Field | undefined, reader: NodeReader): string[] | undefined {
  return field && readPatterns(field, `\`${field.key}\``, reader)
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

function readLabels(field: Field, reader: NodeReader): FactPatterns | undefined {
  const fields = reader.map(field.value, '`labels`')
  if (fields === undefined) return undefined
  if (fields.size === 0) reader.error('policy_empty', field.keySpan, '`labels` names no label')
  const entries = [...fields.values()].map((label) => {
    if (label.key === '') reader.error('policy_bad_value', label.keySpan, 'the name of a label is empty')
    return [label.key, readPatterns(label, `the label ${quoted(label.key)}`, reader) ?? []] as const
  })
  return Object.fromEntries(entries)
}
