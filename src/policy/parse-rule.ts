/** One rule: its name, its one kind, and what it asks for when it hits. */
import { type Action, PRIORITIES, type Priority } from '../record/model.js'
import type { Rule, RuleKind, SourceSpan } from './model.js'
import { didYouMean } from './nearest.js'
import type { Field, Node, NodeReader } from './node-reader.js'
import { notYet, readConnect, readExec, readMemory, readSyscall } from './parse-entries.js'
import { isHostile, quoted } from './visible-text.js'

const KINDS: readonly RuleKind[] = ['exec', 'connect', 'syscall', 'memory']
const LATER_KINDS = ['listen', 'file', 'signal', 'runtime', 'condition', 'cpu', 'pids', 'mount', 'capability']
const ACTIONS: readonly Action[] = ['alert', 'deny', 'kill']
const LATER_ACTIONS = ['kill-container', 'pause', 'isolate']
const RULE_KEYS = ['rule', ...KINDS, 'priority', 'tags', 'action', 'setup', 'enabled']

const PRIORITY_DEFAULT: Priority = 'warning'
/** Names are index columns of the store and labels of counters. */
const NAME_MAX_COUNT = 128
const TAGS_MAX_COUNT = 64

/** A name of a policy or rule: one readable line. */
export function readName(field: Field, reader: NodeReader): string | undefined {
  const text = reader.text(field.value, `\`${field.key}\``)
  if (text === undefined) return undefined
  const problem =
    text.text.trim() === ''
      ? 'the name is empty'
      : text.text !== text.text.trim()
        ? 'the name begins or ends with a blank'
        : isHostile(text.text)
          ? 'the name holds a control or invisible character'
          : [...text.text].length > NAME_MAX_COUNT
            ? `the name is longer than ${NAME_MAX_COUNT} characters`
            : undefined
  if (problem === undefined) return text.text
  reader.error('policy_bad_value', text.span, problem)
  return undefined
}

/** Undefined when it cannot be used; the diagnostics say why. `named`: rules of the policy so far, this one is added. */
export function readRule(
  node: Node,
  policy: string,
  named: Map<string, SourceSpan>,
  reader: NodeReader,
): Rule | undefined {
  const fields = reader.map(node, 'a rule')
  if (fields === undefined) return undefined
  const nameField = fields.get('rule')
  if (nameField === undefined)
    reader.error('policy_missing_key', firstSpan(fields, node, reader), 'a rule has no `rule` (its name)')
  const name = nameField === undefined ? undefined : readName(nameField, reader)
  if (name !== undefined && nameField !== undefined) {
    reader.place = { ...reader.place, rule: name }
    checkTwice(name, nameField.span, named, reader)
  }
  const kind = readKind(fields, node, reader)
  const action = readAction(fields.get('action'), reader)
  const priority = readPriority(fields.get('priority'), reader)
  const tags = readTags(fields.get('tags'), reader)
  const setup = readSwitch(fields.get('setup'), false, reader)
  const enabled = readSwitch(fields.get('enabled'), true, reader)
  const part = kind === undefined ? undefined : readPart(kind, reader)
  if (kind !== undefined && action === 'deny') checkDeny(kind.key as RuleKind, fields.get('action'), reader)
  if (name === undefined || part === undefined || nameField === undefined) return undefined
  if (action === undefined || priority === undefined || tags === undefined) return undefined
  if (setup === undefined || enabled === undefined) return undefined
  return {
    ...part,
    name,
    policy,
    description: '',
    priority,
    tags,
    action,
    setup,
    enabled,
    exceptions: [],
    span: nameField.span,
  }
}

function checkTwice(name: string, span: SourceSpan, named: Map<string, SourceSpan>, reader: NodeReader): void {
  const first = named.get(name)
  if (first === undefined) named.set(name, span)
  else
    reader.error(
      'policy_duplicate_name',
      span,
      `the policy has two rules named ${quoted(name)}`,
      `first in line ${first.line}`,
    )
}

type Part =
  | Pick<Extract<Rule, { kind: 'exec' }>, 'kind' | 'allow' | 'deny'>
  | Pick<Extract<Rule, { kind: 'connect' }>, 'kind' | 'allow' | 'deny'>
  | Pick<Extract<Rule, { kind: 'syscall' }>, 'kind' | 'allow' | 'deny'>
  | Pick<Extract<Rule, { kind: 'memory' }>, 'kind' | 'maxBytes' | 'forMs'>

function readPart(field: Field, reader: NodeReader): Part | undefined {
  if (field.key === 'exec') return withKind('exec', readExec(field, reader))
  if (field.key === 'connect') return withKind('connect', readConnect(field, reader))
  if (field.key === 'syscall') return withKind('syscall', readSyscall(field, reader))
  return withKind('memory', readMemory(field, reader))
}

function withKind<Kind extends RuleKind, Fields extends object>(
  kind: Kind,
  fields: Fields | undefined,
): (Fields & { kind: Kind }) | undefined {
  return fields === undefined ? undefined : { ...fields, kind }
}

/** The field of the rule's one kind. Unknown keys and kinds to come are reported here too. */
function readKind(fields: Map<string, Field>, node: Node, reader: NodeReader): Field | undefined {
  const kinds: Field[] = []
  let later = false
  for (const field of fields.values()) {
    if ((KINDS as readonly string[]).includes(field.key)) kinds.push(field)
    else if (LATER_KINDS.includes(field.key)) {
      notYet(reader, field.keySpan, `a rule of kind \`${field.key}\``)
      later = true
    } else if (field.key === 'output') notYet(reader, field.keySpan, '`output`')
    else if (!RULE_KEYS.includes(field.key)) reader.unknownKey(field, 'a rule', RULE_KEYS)
  }
  const [first, second] = kinds
  if (second !== undefined && first !== undefined) {
    const help = 'make it two rules'
    reader.error(
      'policy_rule_kind',
      second.keySpan,
      `a rule is either \`${first.key}\` or \`${second.key}\`, not both`,
      help,
    )
    return undefined
  }
  const misspelt = [...fields.keys()].some((key) => !RULE_KEYS.includes(key) && didYouMean(key, KINDS) !== undefined)
  if (first === undefined && !later && !misspelt)
    reader.error(
      'policy_rule_kind',
      firstSpan(fields, node, reader),
      'a rule says nothing of what it watches',
      `give it one of ${KINDS.map((kind) => `\`${kind}\``).join(', ')}`,
    )
  return first
}

function readAction(field: Field | undefined, reader: NodeReader): Action | undefined {
  if (field === undefined) return 'alert'
  const text = reader.text(field.value, '`action`')
  if (text === undefined) return undefined
  const found = ACTIONS.find((action) => action === text.text)
  if (found !== undefined) return found
  if (LATER_ACTIONS.includes(text.text)) notYet(reader, text.span, `the action \`${text.text}\``)
  else
    reader.error(
      'policy_bad_value',
      text.span,
      `${quoted(text.text)} is not an action`,
      didYouMean(text.text, ACTIONS) ?? 'one of `alert`, `deny`, `kill`',
    )
  return undefined
}

/** What a refusal of the call can mean for each kind. */
function checkDeny(kind: RuleKind, field: Field | undefined, reader: NodeReader): void {
  if (field === undefined || kind === 'connect') return
  if (kind === 'exec')
    reader.warning(
      'policy_doubtful',
      field.span,
      '`deny` of an exec needs a kernel with the BPF LSM; on others the rule only alerts',
      '`action: kill` ends the program before its first instruction on every kernel',
    )
  else if (kind === 'memory')
    reader.error('policy_bad_value', field.span, 'there is no call that a memory rule could deny', '`alert` or `kill`')
  else notYet(reader, field.span, '`deny` of a system call')
}

function readPriority(field: Field | undefined, reader: NodeReader): Priority | undefined {
  if (field === undefined) return PRIORITY_DEFAULT
  const text = reader.text(field.value, '`priority`')
  if (text === undefined) return undefined
  const found = PRIORITIES.find((priority) => priority === text.text)
  if (found === undefined)
    reader.error(
      'policy_bad_value',
      text.span,
      `${quoted(text.text)} is not a priority`,
      didYouMean(text.text, PRIORITIES) ?? `one of ${PRIORITIES.map((name) => `\`${name}\``).join(', ')}`,
    )
  return found
}

function readTags(field: Field | undefined, reader: NodeReader): string[] | undefined {
  if (field === undefined) return []
  const tags = reader.texts(field.value, '`tags`')
  if (tags === undefined) return undefined
  if (tags.length > TAGS_MAX_COUNT)
    reader.error('policy_limit', field.span, `a rule has more than ${TAGS_MAX_COUNT} tags`)
  for (const { text, span } of tags)
    if (text === '' || isHostile(text) || text.length > NAME_MAX_COUNT)
      reader.error('policy_bad_value', span, `${quoted(text)} cannot be a tag`)
  return [...new Set(tags.map(({ text }) => text))]
}

function readSwitch(field: Field | undefined, whenAbsent: boolean, reader: NodeReader): boolean | undefined {
  return field === undefined ? whenAbsent : reader.boolean(field.value, `\`${field.key}\``)
}

function firstSpan(fields: Map<string, Field>, node: Node, reader: NodeReader) {
  for (const field of fields.values()) return field.keySpan
  return reader.span(node)
}
