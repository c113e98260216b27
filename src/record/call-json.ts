/**
 * The object of a call in a record's JSON: flat, with exactly the members that its act has (CALL_SHAPES), and back. `res`, `ip`
 * and `port` are said for convenience; they follow from the others and are not read back.
 */
import {
  ABIS,
  CALL_MARKS,
  CALL_SHAPES,
  type CallBody,
  type CallKind,
  type CallMarks,
  type CallSocket,
  type CallTarget,
  FD_KINDS,
  FILE_ACCESSES,
  SOCKET_FAMILIES,
} from './call-model.js'
import { resultName } from './errno.js'
import type { Fields } from './json-fields.js'

type Value = string | number | boolean | string[] | { [key: string]: string | number }
export type CallJson = { [key: string]: Value }

const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** Marks that an act can have, by its parts. */
export function marksOf(act: CallKind): readonly (keyof CallMarks)[] {
  const { parts } = CALL_SHAPES[act]
  return CALL_MARKS.filter((mark) => {
    if (mark === 'created') return parts.includes('access')
    if (mark === 'upperLayer' || mark === 'memfd' || mark === 'deleted') return parts.includes('file')
    if (mark === 'pathTruncated' || mark === 'pathUnresolved') return parts.includes('path')
    return true
  })
}

/** Acts whose `ip` and `port` are the near end's. */
const NEAR_END: ReadonlySet<CallKind> = new Set(['bind', 'listen'])

export function callToJson(body: CallBody): CallJson {
  const { parts, args } = CALL_SHAPES[body.act]
  const json: CallJson = { call: body.call, abi: body.abi }
  if (body.result !== undefined) {
    json.result = body.result.toString()
    json.res = resultName(body.result)
  }
  if (parts.includes('path')) {
    json.path = body.path
    json.raw_path = body.rawPath
  }
  if (parts.includes('new_path')) {
    json.new_path = body.newPath
    json.raw_new_path = body.rawNewPath
  }
  for (const name of args) {
    const text = body.args[name]
    if (text !== undefined) json[name] = text
  }
  if (parts.includes('access')) json.access = [...body.access]
  if (parts.includes('file')) {
    const { fd, fdKind, inode, dev, mode } = body
    Object.assign(json, { fd, fd_kind: fdKind, inode: inode.toString(), dev, mode })
  }
  const { socket, target } = body
  if (socket !== undefined) {
    const isNear = NEAR_END.has(body.act)
    Object.assign(json, {
      family: socket.family,
      socket_type: socket.type,
      proto: socket.proto,
      ip: isNear ? socket.localIp : socket.remoteIp,
      port: isNear ? socket.localPort : socket.remotePort,
      local_ip: socket.localIp,
      local_port: socket.localPort,
      remote_ip: socket.remoteIp,
      remote_port: socket.remotePort,
    })
  }
  if (target !== undefined) {
    const { pid, startNs, exe, containerId, containerName } = target
    json.target = {
      pid,
      start_ns: startNs.toString(),
      exe,
      container_id: containerId,
      container_name: containerName,
    }
  }
  for (const mark of marksOf(body.act)) json[snakeCase(mark)] = body[mark]
  json.repeats_count = body.repeatsCount
  return json
}

/** Throws wire_invalid for what is missing or of the wrong type. */
export function callFromJson(act: CallKind, json: Fields): CallBody {
  const { parts, args } = CALL_SHAPES[act]
  const hasPath = parts.includes('path')
  const hasNewPath = parts.includes('new_path')
  const hasFile = parts.includes('file')
  const known = new Set(marksOf(act))
  const marks = Object.fromEntries(CALL_MARKS.map((mark) => [mark, known.has(mark) && json.flag(snakeCase(mark))]))
  const body: CallBody = {
    ...(marks as unknown as CallMarks),
    act,
    call: json.text('call'),
    abi: json.oneOf('abi', ABIS),
    args: Object.fromEntries(args.flatMap((name) => (json.has(name) ? [[name, json.text(name)]] : []))),
    access: parts.includes('access') ? accessOf(json) : [],
    path: hasPath ? json.text('path') : '',
    rawPath: hasPath ? json.text('raw_path') : '',
    newPath: hasNewPath ? json.text('new_path') : '',
    rawNewPath: hasNewPath ? json.text('raw_new_path') : '',
    fd: hasFile ? json.count('fd') : -1,
    fdKind: hasFile ? json.oneOf('fd_kind', FD_KINDS) : '',
    inode: hasFile ? json.big('inode') : 0n,
    dev: hasFile ? json.count('dev') : 0,
    mode: hasFile ? json.count('mode') : 0,
    repeatsCount: json.count('repeats_count'),
  }
  if (json.has('result')) body.result = json.big('result')
  if (json.has('family')) body.socket = socketOf(json)
  const target = json.optionalObject('target')
  if (target !== undefined) body.target = targetOf(target)
  return body
}

function accessOf(json: Fields): CallBody['access'] {
  const given = json.texts('access')
  const access = FILE_ACCESSES.filter((name) => given.includes(name))
  if (access.length !== given.length) throw json.wrong('access', `a list of ${FILE_ACCESSES.join(', ')}`)
  return access
}

function socketOf(json: Fields): CallSocket {
  return {
    family: json.oneOf('family', SOCKET_FAMILIES),
    type: json.text('socket_type'),
    proto: json.text('proto'),
    localIp: json.text('local_ip'),
    localPort: json.count('local_port'),
    remoteIp: json.text('remote_ip'),
    remotePort: json.count('remote_port'),
  }
}

function targetOf(json: Fields): CallTarget {
  return {
    pid: json.count('pid'),
    startNs: json.big('start_ns'),
    exe: json.text('exe'),
    containerId: json.text('container_id'),
    containerName: json.text('container_name'),
  }
}
