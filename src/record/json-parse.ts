/** The bodies of a record from its JSON form: each object by its name, an alert's own fields from the top. */
import { callFromJson } from './call-json.js'
import { CALL_KINDS } from './call-model.js'
import type { Fields } from './json-fields.js'
import type { AlertBody, RecordBodies } from './model.js'
import {
  ABIS,
  ACTIONS,
  AGENT_CHANGES,
  CONTAINER_CHANGES,
  GAP_SOURCES,
  LANES,
  OUTCOMES,
  PRIORITY_NAMES,
  SYSCALL_REASONS,
} from './names.js'
import { parseConnect, parseNetwork } from './network-json.js'

export function parseBodies(fields: Fields, into: RecordBodies): void {
  const exec = fields.optionalObject('exec')
  if (exec !== undefined) {
    into.exec = {
      path: exec.text('path'),
      file: exec.text('file'),
      script: exec.text('script'),
      dev: exec.count('dev'),
      inode: exec.big('inode'),
      argsTruncated: exec.flag('args_truncated'),
      pathTruncated: exec.flag('path_truncated'),
      memfd: exec.flag('memfd'),
      foreignRoot: exec.flag('foreign_root'),
      multicall: exec.flag('multicall'),
      upperLayer: exec.flag('upper_layer'),
      refused: exec.flag('refused'),
      deleted: exec.flag('deleted'),
    }
  }
  const fork = fields.optionalObject('fork')
  if (fork !== undefined) into.fork = { childPid: fork.count('child_pid'), childStartNs: fork.big('child_start_ns') }
  const exit = fields.optionalObject('exit')
  if (exit !== undefined) {
    into.exit = {
      code: exit.count('code'),
      signal: exit.count('signal'),
      signalName: exit.text('signal_name'),
      coreDumped: exit.flag('core_dumped'),
      runtimeNs: exit.big('runtime_ns'),
    }
  }
  const connect = fields.optionalObject('connect')
  if (connect !== undefined) into.connect = parseConnect(connect)
  const syscall = fields.optionalObject('syscall')
  if (syscall !== undefined) {
    into.syscall = {
      name: syscall.text('name'),
      nr: syscall.count('nr'),
      abi: syscall.oneOf('abi', ABIS),
      reason: syscall.oneOf('reason', SYSCALL_REASONS),
      ...(syscall.has('result') ? { result: syscall.big('result') } : {}),
    }
  }
  for (const act of CALL_KINDS) {
    const call = fields.optionalObject(act)
    if (call?.has('call') === true) into.call = callFromJson(act, call)
  }
  parseNetwork(fields, into)
  parseReadings(fields, into)
  parseOwn(fields, into)
}

function parseReadings(fields: Fields, into: RecordBodies): void {
  const sample = fields.optionalObject('sample')
  if (sample !== undefined) {
    into.sample = {
      memoryCurrentBytes: sample.big('memory_current_bytes'),
      memoryPeakBytes: sample.big('memory_peak_bytes'),
      memoryInactiveFileBytes: sample.big('memory_inactive_file_bytes'),
      ...(sample.has('memory_limit_bytes') ? { memoryLimitBytes: sample.big('memory_limit_bytes') } : {}),
    }
  }
  const oom = fields.optionalObject('oom')
  if (oom !== undefined) into.oom = { victimPid: oom.count('victim_pid'), victimComm: oom.text('victim_comm') }
}

function parseOwn(fields: Fields, into: RecordBodies): void {
  const container = fields.optionalObject('container_change')
  if (container !== undefined) {
    into.containerChange = { change: container.oneOf('change', CONTAINER_CHANGES), cgroup: container.text('cgroup') }
  }
  const agent = fields.optionalObject('agent_change')
  if (agent !== undefined) {
    into.agentChange = { change: agent.oneOf('change', AGENT_CHANGES), message: agent.text('message') }
  }
  const gap = fields.optionalObject('gap')
  if (gap !== undefined) {
    into.gap = {
      source: gap.oneOf('source', GAP_SOURCES),
      cause: gap.text('cause'),
      firstSeq: gap.big('first_seq'),
      lastSeq: gap.big('last_seq'),
      count: gap.big('count'),
      ...(gap.has('cpu') ? { cpu: gap.count('cpu') } : {}),
      ...(gap.has('hash') ? { hash: gap.text('hash') } : {}),
    }
  }
  if (fields.has('rule')) into.alert = parseAlert(fields)
}

const CAUSES: readonly AlertBody['cause']['kind'][] = [
  'exec',
  'fork',
  'exit',
  'connect',
  'syscall',
  'oom',
  'sample',
  ...CALL_KINDS,
  'close',
  'dns',
  'tls',
  'http',
]

function parseAlert(fields: Fields): AlertBody {
  const cause = fields.object('cause')
  return {
    rule: fields.text('rule'),
    policy: fields.text('policy'),
    priority: fields.oneOf('priority', PRIORITY_NAMES),
    tags: fields.texts('tags'),
    output: fields.text('output'),
    actionTaken: fields.oneOf('action_taken', ACTIONS),
    outcome: fields.oneOf('outcome', OUTCOMES),
    reason: fields.text('reason'),
    hook: fields.text('hook'),
    cause: {
      kind: cause.oneOf('kind', CAUSES),
      lane: cause.oneOf('lane', LANES),
      ...(cause.has('seq') ? { seq: cause.big('seq') } : {}),
    },
  }
}
