/** The sentence of an alert, when its rule gives none: what was done, by whom, where. */
import type { Rule } from '../policy/model.js'
import type { RecordDraft } from '../record/model.js'

/** `reading`: what was found, when it was no event. */
export function describe(rule: Rule, draft: RecordDraft, reading?: string): string {
  return `${rule.name}: ${reading ?? actOf(draft)} in ${whereOf(draft)}`
}

function actOf({ exec, connect, syscall, sample, process }: RecordDraft): string {
  const who =
    process === undefined ? 'a process' : `${process.invoked || process.exe || 'a process'} (pid ${process.pid})`
  if (exec !== undefined) {
    const via = exec.file === exec.path ? '' : ` (${exec.script === '' ? 'is' : 'run by'} ${exec.file})`
    return `executed ${exec.path}${via} [${process?.args.join(' ') ?? ''}] as ${process?.user || process?.uid}`
  }
  if (connect !== undefined) {
    const host = connect.family === 'ipv6' ? `[${connect.ip}]` : connect.ip
    return `${who} connected to ${host}:${connect.port}/${connect.proto}`
  }
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
