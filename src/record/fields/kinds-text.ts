/** Kinds of events as people read them: `all`, `calls` for every act that is a system call, and the rest by name. */
import { CALL_KINDS } from '../call-model.js'
import type { EventKind } from '../model.js'
import { KINDS_OF_PROCESSES } from './table.js'

export function kindsText(kinds: readonly EventKind[]): string {
  if (kinds.length === 0) return '-'
  if (kinds.length === KINDS_OF_PROCESSES.length) return 'all'
  const areAllCalls = CALL_KINDS.every((kind) => kinds.includes(kind))
  const rest = areAllCalls ? kinds.filter((kind) => !CALL_KINDS.some((call) => call === kind)) : kinds
  return [...rest, ...(areAllCalls ? ['calls'] : [])].join(', ')
}
