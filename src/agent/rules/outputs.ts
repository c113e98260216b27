/** The sentence of an alert, when its rule gives none: what was done, by whom, where. */
import { CAPABILITY_NAMES } from '../../policy/capabilities.js'
import type { Rule } from '../../policy/model.js'
import type { RecordDraft } from '../../record/model.js'
import { capabilityNames } from '../fields/capabilities.js'

/** What a record does not hold. */
export interface Found {
  /** What was found, when it was no event. */
  reading?: string
  /** Capabilities that the process came to hold; bit n: capability n. */
  gained?: bigint
}

export function describe(rule: Rule, draft: RecordDraft, { reading, gained = 0n }: Found = {}): string {
  const act = rule.kind === 'capability' && draft.call?.act !== 'capable' ? gainOf(draft, gained) : actOf(draft)
  return `${rule.name}: ${reading ?? act} in ${whereOf(draft)}`
}

function gainOf(draft: RecordDraft, gained: bigint): string {
  const { process, exec, fork, call } = draft
  const gains = capabilityNames(gained)
  const names = gains.length >= CAPABILITY_NAMES.length ? 'every capability' : gains.join(', ')
  const user = process?.user || process?.uid
  if (fork !== undefined)
    return `${whoOf(draft)} made process ${fork.childPid} with ${names}, in a user namespace of its own`
  const by = exec === undefined ? (call?.call ?? 'a call') : `executing ${exec.path}`
  return `${whoOf(draft)} gained ${names} by ${by} as ${user}`
}

function whoOf({ process }: RecordDraft): string {
  return process === undefined ? 'a process' : `${process.invoked || process.exe || 'a process'} (pid ${process.pid})`
}

function actOf(draft: RecordDraft): string {
  const { exec, connect, syscall, sample, call, process } = draft
  const who = whoOf(draft)
  if (exec !== undefined) {
    const via = exec.file === exec.path ? '' : ` (${exec.script === '' ? 'is' : 'run by'} ${exec.file})`
    return `executed ${exec.path}${via} [${process?.args.join(' ') ?? ''}] as ${process?.user || process?.uid}`
  }
  if (connect !== undefined) {
    const host = connect.family === 'ipv6' ? `[${connect.ip}]` : connect.ip
    return `${who} connected to ${host}:${connect.port}/${connect.proto}`
  }
  if (call?.act === 'capable') return `${who} used ${call.args.capability} in ${call.call || 'no call'}`
  if (syscall !== undefined) return `${who} called ${syscall.name}`
  if (sample !== undefined) {
    const usedBytes = sample.memoryCurrentBytes - sample.memoryInactiveFileBytes
    return `memory in use is ${(Number(usedBytes) / (1 << 20)).toFixed(1)} MiB`
  }
  return `${who} acted`
}

function whereOf({ container }: RecordDraft): string {
  return container.state === 'container' ? `container ${container.name}` : container.state
}
