/** One rule: its name, its one kind, and what it asks for when it hits. */
import { type Action, PRIORITIES, type Priority } from '../record/model.js'
import { type LinkedCondition, readOutputText } from './conditions.js'
import { ACTIONS, keysOf, RULE_KINDS } from './keys.js'
import {
  CAPABILITY_WHENS,
  type CapabilityWhen,
  type Rule,
  type RuleException,
  type RuleKind,
  type SourceSpan,
} from './model.js'
import { didYouMean } from './nearest.js'
import type { Field, Node, NodeReader } from './node-reader.js'
import * as entries from './parse-entries.js'
import { type ExceptionContext, type PendingException, readExceptions } from './parse-exceptions.js'
import { type Keyed, type ReadEntry, readLists } from './parse-lists.js'
import { readMount, readSender } from './parse-senders.js'
import { notYet, readCpu, readMemory, readPids, readRuntime } from './parse-thresholds.js'
import { isHostile, quoted } from './visible-text.js'

const LATER_ACTIONS = ['kill-container', 'pause', 'isolate']
const RULE_KEYS = keysOf('rule')

const PRIORITY_DEFAULT: Priority = 'warning'
/** Names are index columns of the store and labels of counters. */
const NAME_MAX_COUNT = 128
const TAGS_MAX_COUNT = 64

/** A rule whose conditions are to be put in; undefined when one of them is refused. */
export type PendingRule = (linked: ReadonlyMap<string, LinkedCondition>) => Rule | undefined

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
  context: ExceptionContext,
): PendingRule | undefined {
  const { reader } = context
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
  const common = readCommon(fields, reader)
  if (kind === undefined) return undefined
  if (common?.action !== undefined) checkAction(kind.kind, common.action, fields.get('action'), reader)
  const part = readPart(kind.kind, kind.field, fields.get('exceptions'), name ?? '', context)
  if (name === undefined || part === undefined || nameField === undefined || common === undefined) return undefined
  const base = { ...common, name, policy, span: nameField.span }
  return (linked) => part(base, linked)
}

type Common = Pick<Rule, 'description' | 'priority' | 'tags' | 'action' | 'setup' | 'enabled' | 'output'>
type Base = Common & Pick<Rule, 'name' | 'policy' | 'span'>
type Part = (base: Base, linked: ReadonlyMap<string, LinkedCondition>) => Rule | undefined

/** Undefined when one of them is wrong. */
function readCommon(fields: ReadonlyMap<string, Field>, reader: NodeReader): Common | undefined {
  const descriptionField = fields.get('description')
  const description = descriptionField === undefined ? '' : reader.text(descriptionField.value, '`description`')?.text
  const action = readAction(fields.get('action'), reader)
  const priority = readPriority(fields.get('priority'), reader)
  const tags = readTags(fields.get('tags'), reader)
  const setupField = fields.get('setup')
  const setup = readSwitch(setupField, false, reader)
  if (setup === true && setupField !== undefined && fields.has('condition'))
    notYet(reader, setupField.keySpan, '`setup` of a condition')
  const enabled = readSwitch(fields.get('enabled'), true, reader)
  const outputField = fields.get('output')
  const output = outputField && readOutputText(outputField, reader)
  if (description === undefined || action === undefined || priority === undefined || tags === undefined)
    return undefined
  if (setup === undefined || enabled === undefined || (outputField !== undefined && output === undefined))
    return undefined
  return { description, priority, tags, action, setup, enabled, ...(output === undefined ? {} : { output }) }
}

function readPart(
  kind: RuleKind,
  field: Field,
  exceptionsField: Field | undefined,
  rule: string,
  context: ExceptionContext,
): Part | undefined {
  const { reader } = context
  /** A kind with entries of its own type. */
  const listed = <Entry extends Keyed, Kept>(
    read: ReadEntry<Entry>,
    keep: (entry: Entry) => Kept,
    otherKeys: readonly string[] = [],
  ) => {
    const lists = readLists(field, context, read, otherKeys)
    const exceptions = readExceptions(exceptionsField, kind, rule, context, read)
    if (lists === undefined) return undefined
    const allow = lists.allow?.map(keep)
    return (linked: ReadonlyMap<string, LinkedCondition>) => {
      const live = putInExceptions(exceptions, linked, keep)
      return live && { deny: lists.deny.map(keep), ...(allow === undefined ? {} : { allow }), exceptions: live }
    }
  }
  const withoutEntries = () => readExceptions<never>(exceptionsField, kind, rule, context, undefined)
  switch (kind) {
    case 'exec':
      return finish(listed(entries.readPath, entries.withoutKey), (base, part) => ({ ...base, ...part, kind }))
    case 'file':
      return finish(listed(entries.readFile, entries.withoutKey), (base, part) => ({ ...base, ...part, kind }))
    case 'connect':
      return finish(listed(entries.readConnect, entries.withoutKey), (base, part) => ({ ...base, ...part, kind }))
    case 'listen':
      return finish(listed(entries.readListen, entries.withoutKey), (base, part) => ({ ...base, ...part, kind }))
    case 'signal':
      return finish(listed(readSender, entries.withoutKey), (base, part) => ({ ...base, ...part, kind }))
    case 'mount':
      return finish(listed(readMount, entries.withoutKey), (base, part) => ({ ...base, ...part, kind }))
    case 'syscall':
      return finish(listed(entries.readSyscall, numberOf), (base, part) => ({ ...base, ...inSets(part), kind }))
    case 'capability': {
      const when = readWhen(field, reader)
      if (when === undefined) return undefined
      return finish(listed(entries.readCapability, numberOf, ['when']), (base, part) => ({
        ...base,
        ...inSets(part),
        kind,
        when,
      }))
    }
    case 'memory':
      return threshold(readMemory(field, reader), withoutEntries(), (base, part) => ({ ...base, ...part, kind }))
    case 'cpu':
      return threshold(readCpu(field, reader), withoutEntries(), (base, part) => ({ ...base, ...part, kind }))
    case 'pids':
      return threshold(readPids(field, reader), withoutEntries(), (base, part) => ({ ...base, ...part, kind }))
    case 'runtime':
      return threshold(readRuntime(field, reader), withoutEntries(), (base, part) => ({ ...base, ...part, kind }))
    case 'condition':
      return readConditionPart(field, exceptionsField, rule, context)
  }
}

function finish<Lists>(
  part: ((linked: ReadonlyMap<string, LinkedCondition>) => Lists | undefined) | undefined,
  make: (base: Base, part: Lists) => Rule,
): Part | undefined {
  if (part === undefined) return undefined
  return (base, linked) => {
    const lists = part(linked)
    return lists === undefined ? undefined : make(base, lists)
  }
}

function threshold<Bound>(
  bound: Bound | undefined,
  exceptions: readonly PendingException<never>[],
  make: (base: Base, part: Bound & { exceptions: readonly RuleException<never>[] }) => Rule,
): Part | undefined {
  // none can be: readExceptions has refused them
  return bound && exceptions.length === 0 ? (base) => make(base, { ...bound, exceptions: [] }) : undefined
}

function readConditionPart(
  field: Field,
  exceptionsField: Field | undefined,
  rule: string,
  context: ExceptionContext,
): Part | undefined {
  const key = context.conditions.add(field, rule, false)
  const exceptions = readExceptions<never>(exceptionsField, 'condition', rule, context, undefined)
  if (key === undefined) return undefined
  return (base, linked) => {
    const own = linked.get(key)
    const live = putInExceptions(exceptions, linked, (entry) => entry)
    return own && live && { ...base, ...own, kind: 'condition', exceptions: live }
  }
}

/** Undefined: it is neither. */
function readWhen(field: Field, reader: NodeReader): CapabilityWhen | undefined {
  const node = reader.isMap(field.value) ? reader.map(field.value, '`capability`')?.get('when') : undefined
  if (node === undefined) return 'gain'
  const text = reader.text(node.value, '`when`')
  if (text === undefined) return undefined
  const found = CAPABILITY_WHENS.find((when) => when === text.text)
  if (found !== undefined) return found
  const help = didYouMean(text.text, CAPABILITY_WHENS) ?? 'one of `gain`, `use`'
  reader.error('policy_bad_value', text.span, `${quoted(text.text)} is not what a capability rule can be about`, help)
  return undefined
}

function numberOf({ number }: entries.NumberEntry): number {
  return number
}

function inSets({
  allow,
  deny,
  exceptions,
}: {
  allow?: readonly number[]
  deny: readonly number[]
  exceptions: readonly RuleException<number>[]
}) {
  return { deny: new Set(deny), exceptions, ...(allow === undefined ? {} : { allow: new Set(allow) }) }
}

/** Undefined: a condition of theirs is refused. */
function putInExceptions<Entry, Kept>(
  exceptions: readonly PendingException<Entry>[],
  linked: ReadonlyMap<string, LinkedCondition>,
  keep: (entry: Entry) => Kept,
): RuleException<Kept>[] | undefined {
  const whole: RuleException<Kept>[] = []
  for (const { conditionKey, match, ...rest } of exceptions) {
    const own = conditionKey === undefined ? undefined : linked.get(conditionKey)
    if (conditionKey !== undefined && own === undefined) return undefined
    whole.push({ ...rest, match: match.map(keep), ...(own === undefined ? {} : { condition: own.condition }) })
  }
  return whole
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

/** The rule's one kind. Unknown keys are reported here too. */
function readKind(
  fields: Map<string, Field>,
  node: Node,
  reader: NodeReader,
): { kind: RuleKind; field: Field } | undefined {
  const kinds: { kind: RuleKind; field: Field }[] = []
  for (const field of fields.values()) {
    const kind = RULE_KINDS.find((each) => each === field.key)
    if (kind !== undefined) kinds.push({ kind, field })
    else if (!RULE_KEYS.includes(field.key)) reader.unknownKey(field, 'a rule', RULE_KEYS)
  }
  const [first, second] = kinds
  if (second !== undefined && first !== undefined) {
    const message = `a rule is either \`${first.kind}\` or \`${second.kind}\`, not both`
    reader.error('policy_rule_kind', second.field.keySpan, message, 'make it two rules')
    return undefined
  }
  const misspelt = [...fields.keys()].some(
    (key) => !RULE_KEYS.includes(key) && didYouMean(key, RULE_KINDS) !== undefined,
  )
  if (first === undefined && !misspelt)
    reader.error(
      'policy_rule_kind',
      firstSpan(fields, node, reader),
      'a rule says nothing of what it watches',
      `give it one of ${RULE_KINDS.map((kind) => `\`${kind}\``).join(', ')}`,
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

/** What an action can mean for each kind. */
function checkAction(kind: RuleKind, action: Action, field: Field | undefined, reader: NodeReader): void {
  if (field === undefined || action === 'alert') return
  const refuse = (message: string, help: string) => reader.error('policy_bad_value', field.span, message, help)
  const isReading = kind === 'memory' || kind === 'cpu' || kind === 'pids' || kind === 'runtime'
  if (action === 'kill') {
    if (kind === 'pids') notYet(reader, field.span, '`kill` of a pids rule, for which no single process is at fault,')
  } else if (isReading) refuse(`there is no call that a ${kind} rule could deny`, '`alert` or `kill`')
  else if (kind === 'condition')
    refuse('a condition is judged after the act: there is no call left to deny', '`alert` or `kill`')
  else if (kind === 'syscall') notYet(reader, field.span, '`deny` of a system call')
  else if (DENY_NEEDS[kind] !== undefined)
    reader.warning('policy_doubtful', field.span, DENY_NEEDS[kind].needs, DENY_NEEDS[kind].help)
}

/** What `deny` of a kind needs of the host, where not every one has it. */
const DENY_NEEDS: Partial<Record<RuleKind, { needs: string; help: string }>> = {
  exec: {
    needs: '`deny` of an exec needs a kernel with the BPF LSM; on others the rule only alerts',
    help: '`action: kill` ends the program before its first instruction on every kernel',
  },
  file: {
    needs: '`deny` of what is done to files needs a kernel with the BPF LSM; on others the rule only alerts',
    help: '`hullguard doctor` says what this host can refuse; `action: kill` ends the process after the act',
  },
  capability: {
    needs: '`deny` of capabilities needs a kernel with the BPF LSM; on others the rule only alerts',
    help: '`hullguard doctor` says what this host can refuse; `action: kill` ends the process after the act',
  },
  mount: {
    needs: '`deny` of a mount needs a kernel with the BPF LSM; on others the rule only alerts',
    help: '`hullguard doctor` says what this host can refuse; `action: kill` ends the process after the act',
  },
  signal: {
    needs:
      '`deny` of a signal needs a kernel with the BPF LSM; it also refuses the signals by which a runtime stops the container, unless an entry allows the runtime',
    help: 'allow who may stop it, such as `{ user: root, exe: /usr/bin/runc }`',
  },
  listen: {
    needs:
      'without the BPF LSM `deny` of a listen refuses the bind to a TCP port, and a socket that leaves the choice of its port to the kernel only alerts',
    help: '`action: kill` also ends the process when it listens',
  },
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
