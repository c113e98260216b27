/**
 * A record as one line for people (`hullguard events`): time, container, kind, what happened. Every text in it comes from
 * hostile processes and is made visible first (visible.ts); a line is bounded in length. The JSON form has the exact text.
 */
import { callSummary, quoted } from './call-text.js'
import { resultName } from './errno.js'
import type { AlertBody, HullguardRecord, ProcessRef, RecordBodies, SampleBody } from './model.js'
import { connectText, networkText } from './network-text.js'
import { visible } from './visible.js'

export type Role = 'time' | 'container' | 'kind' | 'alert' | 'action' | 'gap' | 'detail'
/** Colours a part of the line; the CLI passes one that does nothing when the output is no terminal. */
export type Style = (role: Role, text: string) => string

export interface TextOptions {
  style?: Style
  /** UTC instead of local time. */
  utc?: boolean
  /** Of what happened; longer is cut, and says so. Default 400. */
  maxChars?: number
}

const CONTAINER_CHARS = 24
const KIND_CHARS = 9

export function recordToText(record: HullguardRecord, options: TextOptions = {}): string {
  const style = options.style ?? ((_role, text) => text)
  const { kind } = record
  const role: Role = kind === 'alert' ? 'alert' : kind === 'action' ? 'action' : kind === 'gap' ? 'gap' : 'kind'
  const maxChars = options.maxChars ?? 400
  return [
    style('time', clock(record.timeNs, options.utc === true)),
    style('container', cut(visible(containerName(record)), CONTAINER_CHARS).padEnd(CONTAINER_CHARS)),
    style(role, kind.padEnd(KIND_CHARS)),
    cut(summary(record), maxChars) + style('detail', cut(visible(who(record)), 120)),
  ].join(' ')
}

/** What happened, without time, container and process. */
function summary(record: HullguardRecord): string {
  const { alert, gap, agentChange, containerChange } = record
  if (alert !== undefined) return alertSummary(alert, record)
  if (gap !== undefined) {
    const cpu = gap.cpu === undefined ? '' : ` on CPU ${gap.cpu}`
    return visible(`${gap.count} missing (${gap.source}${cpu}: ${gap.cause}), ${gap.firstSeq} to ${gap.lastSeq}`)
  }
  if (agentChange !== undefined) return visible(`${agentChange.change}: ${agentChange.message}`)
  if (containerChange !== undefined) {
    const { image, runtime } = record.container
    return visible(`${containerChange.change} ${image}${runtime === '' ? '' : ` (${runtime})`}`)
  }
  return eventSummary(record, record.process)
}

function alertSummary(alert: AlertBody, record: HullguardRecord): string {
  const outcome = alert.outcome === 'none' ? '' : `${alert.outcome.replaceAll('_', ' ')}${via(alert)}`
  const said = outcome === '' && alert.actionTaken !== 'alert' ? alert.reason : outcome
  const act = said === '' ? '' : ` [${alert.actionTaken}: ${said}]`
  const what = alert.output === '' ? eventSummary(record, record.process) : visible(alert.output)
  return `${alert.priority} ${quoted(alert.rule)}${visible(act)} ${what}`
}

function via({ hook, reason }: AlertBody): string {
  return `${hook === '' ? '' : ` by ${hook}`}${reason === '' ? '' : `, ${reason}`}`
}

function eventSummary(bodies: RecordBodies, process: ProcessRef | undefined): string {
  const { exec, fork, exit, connect, syscall, sample, oom, call } = bodies
  if (call !== undefined) return callSummary(call)
  if (exec !== undefined) {
    const script = exec.script === '' ? '' : ` (run by ${quoted(exec.file)})`
    const more = exec.argsTruncated ? ' … (arguments cut)' : ''
    const resolved = exec.script === '' && exec.file !== exec.path ? ` (${quoted(exec.file)})` : ''
    const args = (process?.args ?? []).slice(1).map(quoted)
    if (exec.refused) return `${quoted(exec.path)}${resolved} (refused)`
    return [quoted(exec.path) + resolved, ...args].join(' ') + more + script
  }
  if (fork !== undefined) return `pid ${fork.childPid}`
  if (exit !== undefined) {
    const how = exit.signal === 0 ? `code ${exit.code}` : `${exit.signalName || `signal ${exit.signal}`}`
    return visible(`${how}${exit.coreDumped ? ', core dumped' : ''}, after ${seconds(exit.runtimeNs)}`)
  }
  if (connect !== undefined) return visible(connectText(connect))
  const network = networkText(bodies)
  if (network !== undefined) return visible(network)
  if (syscall !== undefined) {
    const { name, reason, abi, result } = syscall
    const failed = result !== undefined && result < 0n ? `, failed: ${resultName(result)}` : ''
    return visible(`${name} (${reason.replace('_', ' ')}${abi === 'native' ? '' : `, ${abi}`}${failed})`)
  }
  if (sample !== undefined) return memory(sample)
  if (oom !== undefined) return `killed pid ${oom.victimPid} ${quoted(oom.victimComm)}`
  return ''
}

function memory({ memoryCurrentBytes, memoryPeakBytes, memoryLimitBytes }: SampleBody): string {
  const limit = memoryLimitBytes === undefined ? 'no limit' : `limit ${bytes(memoryLimitBytes)}`
  return `memory ${bytes(memoryCurrentBytes)}, peak ${bytes(memoryPeakBytes)}, ${limit}`
}

function who({ process, kind }: HullguardRecord): string {
  if (process === undefined) return ''
  const exe = kind === 'exec' ? '' : ` ${process.exe}`
  const setup = process.phase === 'setup' ? ', container setup' : ''
  return `  (${process.user === '' ? `uid ${process.uid}` : process.user}, pid ${process.pid}${exe}${setup})`
}

function containerName({ container }: HullguardRecord): string {
  if (container.state === 'host') return 'host'
  const name = container.name !== '' ? container.name : container.id.slice(0, 12)
  return container.state === 'container' ? name : `${name === '' ? '?' : name} (${container.state})`
}

function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text
  const end = maxChars - 1
  // Not in the middle of a character.
  const last = text.charCodeAt(end - 1)
  return `${text.slice(0, last >= 0xd800 && last <= 0xdbff ? end - 1 : end)}…`
}

function clock(timeNs: bigint, utc: boolean): string {
  const date = new Date(Number(timeNs / 1_000_000n))
  if (utc) return date.toISOString().replace('T', ' ').slice(0, -1)
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000)
  return local.toISOString().replace('T', ' ').slice(0, -1)
}

function seconds(ns: bigint): string {
  const value = Number(ns) / 1e9
  return value < 1 ? `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms` : `${value.toFixed(value < 10 ? 1 : 0)} s`
}

function bytes(count: bigint): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = Number(count)
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`
}
