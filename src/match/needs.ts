/** Which kinds of events a rule judges: what a capture must hold for the rule's silence to mean anything. */
import { FILE_ACCESS, FILE_ACCESSES, type Rule } from '../policy/model.js'
import { findEventType } from '../record/fields/events.js'
import { ACTS_OF_ACCESS, OPEN_ACCESSES } from './file-acts.js'
import { accessesOf } from './file-rules.js'

/** In no order of importance. */
export function kindsNeeded(rule: Rule): readonly string[] {
  switch (rule.kind) {
    case 'file':
      return kindsOfAccess(accessesOf(rule))
    case 'capability':
      if (rule.when === 'use') return ['capable']
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
  const named = FILE_ACCESSES.filter((name) => (access & FILE_ACCESS[name]) !== 0)
  return [
    ...new Set(named.flatMap((name) => [...(OPEN_ACCESSES.includes(name) ? ['open'] : []), ...ACTS_OF_ACCESS[name]])),
  ]
}
