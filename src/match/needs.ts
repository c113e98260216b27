/** Which kinds of events a rule judges: what a capture must hold for the rule's silence to mean anything. */
import { FILE_ACCESS, type Rule } from '../policy/model.js'
import { findEventType } from '../record/fields/events.js'
import { accessesOf } from './file-rules.js'

/** By FILE_ACCESS bit. */
const KINDS_OF_ACCESS: Readonly<Record<keyof typeof FILE_ACCESS, readonly string[]>> = {
  read: ['open'],
  write: ['open', 'truncate'],
  create: ['open', 'mkdir', 'symlink'],
  delete: ['unlink', 'rmdir'],
  rename: ['rename'],
  link: ['link'],
  chmod: ['chmod'],
  chown: ['chown'],
}

/** In no order of importance. */
export function kindsNeeded(rule: Rule): readonly string[] {
  switch (rule.kind) {
    case 'file':
      return kindsOfAccess(accessesOf(rule))
    case 'capability':
      // more is held by exec, clone, setns and unshare; what was held before is known where the acts that lessen it are seen
      return ['exec', 'fork', 'setns', 'unshare', 'setuid', 'capset']
    case 'memory':
    case 'cpu':
    case 'pids':
    case 'runtime':
      return ['sample']
    case 'condition':
      return kindsOfTypes(rule.eventTypes)
    default:
      return [rule.kind]
  }
}

/** As kindsNeeded, for a rule of a Falco file. */
export function kindsOfTypes(eventTypes: readonly string[]): readonly string[] {
  return [...new Set(eventTypes.map((name) => findEventType(name)?.kind ?? name))]
}

/** What does these to a file (FILE_ACCESS bits). */
export function kindsOfAccess(access: number): readonly string[] {
  const names = Object.keys(FILE_ACCESS) as (keyof typeof FILE_ACCESS)[]
  return [...new Set(names.flatMap((name) => ((access & FILE_ACCESS[name]) === 0 ? [] : KINDS_OF_ACCESS[name])))]
}
