/** One YAML document -> one policy: its name, its container selector, its mode, its rules and its tests. */
import { PolicyConditions } from './conditions.js'
import type { DefinitionLoader, Scope } from './definitions.js'
import { keysOf, MODES } from './keys.js'
import type { Policy, Rule, SourceSpan } from './model.js'
import { didYouMean } from './nearest.js'
import type { Field, Node, NodeReader } from './node-reader.js'
import type { ExceptionContext } from './parse-exceptions.js'
import { type PendingRule, readName, readRule } from './parse-rule.js'
import { readSelector } from './parse-selector.js'
import { readTests } from './parse-tests.js'
import { quoted } from './visible-text.js'
import { lacking, type Yields } from './yielded.js'

export interface PolicyContext {
  readonly definitions: DefinitionLoader
  /** What the documents before it in its file define. */
  readonly outer: Scope
  readonly yields: Yields
  readonly nowMs: number
}

/** Undefined when it cannot be used; the diagnostics say why. */
export function readPolicy(reader: NodeReader, context: PolicyContext): Policy | undefined {
  reader.place = {}
  const node = reader.document.contents
  const fields = reader.map(node, 'a policy', 'a file of Falco rules is given with `--rules`')
  if (fields === undefined) return undefined
  const nameField = fields.get('policy')
  const start = nameField?.keySpan ?? startOf(node, reader)
  if (nameField === undefined) reader.error('policy_missing_key', start, 'the document has no `policy` (its name)')
  const name = nameField === undefined ? undefined : readName(nameField, reader)
  if (name !== undefined) reader.place = { policy: name }
  const known = keysOf('policy')
  for (const field of fields.values()) if (!known.includes(field.key)) reader.unknownKey(field, 'a policy', known)
  const descriptionField = fields.get('description')
  const description = descriptionField === undefined ? '' : reader.text(descriptionField.value, '`description`')?.text
  const scope = context.definitions.read(fields, reader, context.outer)
  const containers = readSelector(fields.get('containers'), start, reader)
  const mode = readMode(fields.get('mode'), reader)
  const conditions = new PolicyConditions(scope, reader)
  const ruleContext = { reader, scope, conditions, nowMs: context.nowMs }
  const rules = readRules(fields.get('rules'), start, name ?? '', ruleContext, context.yields)
  if (containers?.state?.includes('host') === true)
    for (const rule of rules ?? [])
      if (rule.kind !== 'condition')
        reader.sink.error(
          'policy_unsupported',
          rule.span,
          `a rule of kind \`${rule.kind}\` for the host itself is not supported yet`,
          'for the host, write a condition',
          { ...reader.place, rule: rule.name },
        )
  const tests = readTests(
    fields.get('tests'),
    (rules ?? []).map((rule) => rule.name),
    reader,
  )
  if (name === undefined || description === undefined || containers === undefined) return undefined
  if (mode === undefined || rules === undefined || nameField === undefined) return undefined
  return { name, description, mode, containers, rules, tests, span: nameField.span }
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
  context: ExceptionContext,
  yields: Yields,
): Rule[] | undefined {
  const { reader } = context
  if (field === undefined) {
    reader.error('policy_missing_key', start, 'the policy has no `rules`')
    return undefined
  }
  const nodes = reader.list(field.value, '`rules`')
  if (nodes === undefined) return undefined
  if (nodes.length === 0) reader.error('policy_empty', field.keySpan, 'the policy has no rules')
  const place = reader.place
  const pending: PendingRule[] = []
  const named = new Map<string, SourceSpan>()
  for (const node of nodes) {
    const rule = readRule(node, policy, named, context)
    if (rule !== undefined) pending.push(rule)
    reader.place = place
  }
  const linked = context.conditions.link()
  const rules = pending.flatMap((make) => make(linked) ?? [])
  for (const rule of rules) checkYielded(rule, reader, yields)
  return rules
}

function checkYielded(rule: Rule, reader: NodeReader, yields: Yields): void {
  const missing = lacking(rule, yields)
  if (missing === undefined) return
  reader.sink.error('policy_not_yielded', rule.span, `the probes do not yield ${missing} yet`, undefined, {
    ...reader.place,
    rule: rule.name,
  })
}
