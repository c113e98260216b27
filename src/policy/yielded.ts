/**
 * Which rules can be judged at all: the events that each kind of rule is about, against those that the probes yield and the
 * agent judges. A rule that nothing would ever judge is refused by name instead of being silent.
 */
import { findEventType } from '../record/fields/events.js'
import { FILE_ACCESS, FILE_ACCESSES, type FileAccess, type Rule, type RuleKind } from './model.js'

/** An event type by any of the names that its calls have. */
export type Yields = (eventTypes: readonly string[], kind: RuleKind) => boolean

const FILE_EVENTS: Readonly<Record<FileAccess, readonly string[]>> = {
  read: ['openat', 'open'],
  write: ['openat', 'open'],
  create: ['openat', 'open'],
  delete: ['unlinkat', 'unlink'],
  rename: ['renameat2', 'rename'],
  link: ['linkat', 'link'],
  chmod: ['fchmodat', 'chmod'],
  chown: ['fchownat', 'chown'],
}

const EVENTS: Partial<Record<RuleKind, readonly string[]>> = {
  exec: ['execve'],
  connect: ['connect'],
  listen: ['listen'],
  signal: ['kill'],
  syscall: ['syscall'],
  mount: ['mount'],
  capability: ['execve'],
}

/** Kinds that the agent judges on events or readings. */
const JUDGED: ReadonlySet<RuleKind> = new Set([
  'exec',
  'file',
  'connect',
  'listen',
  'signal',
  'mount',
  'syscall',
  'capability',
  'memory',
  'cpu',
  'pids',
  'runtime',
  'condition',
])

export function yieldsToday(eventTypes: readonly string[], kind: RuleKind): boolean {
  if (!JUDGED.has(kind)) return false
  return eventTypes.length === 0 || eventTypes.some((name) => findEventType(name)?.kind !== undefined)
}

/** What the rule would need and nothing yields; undefined: it can be judged. */
export function lacking(rule: Rule, yields: Yields): string | undefined {
  if (rule.kind === 'file') {
    const wanted = accessesOf(rule)
    const missing = FILE_ACCESSES.filter((access) => (wanted & FILE_ACCESS[access]) !== 0).filter(
      (access) => !yields(FILE_EVENTS[access], 'file'),
    )
    return missing.length === 0 ? undefined : `${missing.map((access) => `\`${access}\``).join(', ')} of files`
  }
  return yields(EVENTS[rule.kind] ?? [], rule.kind) ? undefined : `what a rule of kind \`${rule.kind}\` is about`
}

function accessesOf({ allow, deny }: Extract<Rule, { kind: 'file' }>): number {
  return [...(allow ?? []), ...deny].reduce((mask, { access }) => mask | access, 0)
}
