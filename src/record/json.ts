/**
 * A record as JSON, the same everywhere (DESIGN §13): snake_case, 64-bit values as decimal strings, time as RFC 3339 with
 * ns, one object named after the kind. And back, checked, since such lines also come from files.
 *
 * A line never holds a raw control or bidirectional character: they are `\uXXXX`, so that a terminal is safe and a parser
 * still gets the exact text.
 */
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { callToJson } from './call-json.js'
import { resultName } from './errno.js'
import { type Fields, fieldsOf } from './json-fields.js'
import { parseBodies } from './json-parse.js'
import type { ContainerRef, HullguardRecord, InMaking, ProcessRef } from './model.js'
import { isRecordKind } from './names.js'
import { formatTime, parseTime } from './time.js'
import { visibleJson } from './visible.js'

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

export function recordToJson(record: HullguardRecord): JsonObject {
  const json: JsonObject = {
    time: formatTime(record.timeNs),
    boot_ns: record.bootNs.toString(),
    agent: record.agent,
    epoch: record.epoch,
    lane: record.lane,
    seq: record.seq.toString(),
    kind: record.kind,
    container: containerToJson(record.container),
  }
  if (record.process !== undefined) json.process = snake(record.process)
  const { exec, fork, exit, connect, syscall, sample, oom, containerChange, agentChange, gap, alert, call } = record
  const { listen, accept, close, dns, tls, http } = record
  const bodies = { exec, fork, exit, connect, syscall, sample, oom, containerChange, agentChange, gap }
  Object.assign(json, snake(bodies), snake({ listen, accept, close, dns, tls, http }))
  if (syscall?.result !== undefined) Object.assign(json.syscall as object, { res: resultName(syscall.result) })
  if (call !== undefined) json[call.act] = callToJson(call)
  // An alert's own fields stand at the top, beside the event's object.
  if (alert !== undefined) Object.assign(json, snake(alert))
  return json
}

/** One line, without its end. */
export function recordToJsonLine(record: HullguardRecord): string {
  return visibleJson(JSON.stringify(recordToJson(record)))
}

/** Throws wire_invalid when the text is no record. */
export function parseRecordLine(line: string): HullguardRecord {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new HullguardError('wire_invalid', `not a record: ${messageOf(error)}`)
  }
  return parseRecord(value)
}

/** Throws wire_invalid when the value is no record. */
export function parseRecord(value: unknown): HullguardRecord {
  const fields = fieldsOf(value, 'record')
  const kind = fields.text('kind')
  if (!isRecordKind(kind)) throw fields.wrong('kind', 'a kind of record')
  const timeNs = parseTime(fields.text('time'))
  if (timeNs === undefined) throw fields.wrong('time', 'an RFC 3339 time')
  const record: HullguardRecord = {
    kind,
    lane: fields.oneOf('lane', ['alert', 'activity']),
    bootNs: fields.big('boot_ns'),
    timeNs,
    agent: fields.text('agent'),
    epoch: fields.count('epoch'),
    seq: fields.big('seq'),
    container: parseContainer(fields.object('container')),
  }
  const process = fields.optionalObject('process')
  if (process !== undefined) record.process = parseProcess(process)
  parseBodies(fields, record)
  return record
}

export function containerToJson(ref: ContainerRef): JsonObject {
  const { id, name, image, imageId, runtime, labels, state, outerIds } = ref
  return { id, name, image, image_id: imageId, runtime, labels: { ...labels }, state, outer_ids: [...outerIds] }
}

/** Keys to snake_case, bigints to text; what is undefined is left out. Not for objects whose keys are data. */
function snake(value: object): JsonObject {
  const json: JsonObject = {}
  for (const [key, item] of Object.entries(value) as [string, unknown][]) {
    if (item === undefined) continue
    json[key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = plain(item)
  }
  return json
}

function plain(item: unknown): Json {
  if (typeof item === 'bigint') return item.toString()
  if (typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean') return item
  if (Array.isArray(item)) return item.map(plain)
  return typeof item === 'object' && item !== null ? snake(item) : null
}

export function parseContainer(fields: Fields): ContainerRef {
  return {
    state: fields.oneOf('state', ['host', 'container', 'pending', 'unknown']),
    id: fields.text('id'),
    name: fields.text('name'),
    image: fields.text('image'),
    imageId: fields.text('image_id'),
    runtime: fields.text('runtime'),
    labels: fields.textMap('labels'),
    outerIds: fields.texts('outer_ids'),
  }
}

function parseProcess(fields: Fields): ProcessRef {
  const process: InMaking<ProcessRef> = {
    pid: fields.count('pid'),
    tid: fields.count('tid'),
    startNs: fields.big('start_ns'),
    exe: fields.text('exe'),
    invoked: fields.text('invoked'),
    args: fields.texts('args'),
    cwd: fields.text('cwd'),
    uid: fields.count('uid'),
    gid: fields.count('gid'),
    user: fields.text('user'),
    phase: fields.oneOf('phase', ['run', 'setup']),
  }
  const parent = fields.optionalObject('parent')
  if (parent !== undefined) {
    process.parent = { pid: parent.count('pid'), startNs: parent.big('start_ns'), exe: parent.text('exe') }
  }
  return process
}
