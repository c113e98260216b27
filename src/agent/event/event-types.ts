/** What an event is to conditions (`evt.type`, by its place in TOLD_TYPES), and the hook by which records name where it came from. */
import { TOLD_TYPES } from '../../record/fields/events.js'
import { Act, CallFlag, type EvCall, Rung } from '../../sensor/generated/abi.js'
import type { NameKind } from '../../sensor/names/streams.js'
import { decisionOf } from '../../sensor/refusals.js'
import { RUNGS } from '../../sensor/rungs.js'
import { callName } from './call-drafts.js'

export const EXEC_TYPE = TOLD_TYPES.indexOf('execve')
export const FORK_TYPE = TOLD_TYPES.indexOf('clone')
export const EXIT_TYPE = TOLD_TYPES.indexOf('procexit')
export const CONNECT_TYPE = TOLD_TYPES.indexOf('connect')
export const SYSCALL_TYPE = TOLD_TYPES.indexOf('syscall')
export const OOM_TYPE = TOLD_TYPES.indexOf('oom')
export const NAME_TYPES: Readonly<Record<NameKind, number>> = {
  dns: TOLD_TYPES.indexOf('dns'),
  tls: TOLD_TYPES.indexOf('tls'),
  http: TOLD_TYPES.indexOf('http'),
}
/** A call that no rule can name. */
const UNTOLD_TYPE = -1
/** Acts that are not told by the name of their call. */
const OWN_TYPES: ReadonlyMap<number, string> = new Map([
  [Act.UNIX_CONNECT, 'unix_connect'],
  [Act.CAPABLE, 'capable'],
])
/** By the name of a call. */
const CALL_TYPES: ReadonlyMap<string, number> = new Map(TOLD_TYPES.map((name, index) => [name, index]))

export function callType(event: EvCall): number {
  return CALL_TYPES.get(OWN_TYPES.get(event.act) ?? callName(event)) ?? UNTOLD_TYPE
}

/** Of a program its hook, without the family where that is a tracepoint. */
const HOOK_NAMES: ReadonlyMap<string, string> = new Map(
  RUNGS.map(({ program, hook }) => [program, hook.replace(/^tp_btf\//, '')]),
)

export function hookName(program: string): string {
  return HOOK_NAMES.get(program) ?? program
}

export function callHook(event: EvCall): string {
  if ((event.flags & CallFlag.DECISION) !== 0) return hookName(decisionOf(event))
  if (event.act === Act.CAPABLE)
    return hookName(event.rung === Rung.FUNCTION ? 'on_capability_used' : 'on_capability_asked')
  if (event.rung === Rung.FUNCTION)
    return hookName(callName(event) === 'open_by_handle_at' ? 'on_open_by_handle' : 'on_open_result')
  return event.act === Act.SIGNAL ? 'signal_generate' : 'sys_exit'
}
