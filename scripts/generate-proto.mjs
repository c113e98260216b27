// proto/hullguard/v1/*.proto -> src/record/generated/wire.ts: one interface, one encoder and one decoder a message, over
// protobufjs's Writer and Reader, in strict TypeScript with 64-bit values as bigint. `--check` fails when the file differs.
//
// Own generator because pbjs emits JavaScript with Long objects that tsc neither checks nor copies, and keeps the bytes of
// unknown fields, which would undo BatchIndex. Only what these files use is supported; anything else is refused here.
import { readdirSync } from 'node:fs'
import protobuf from 'protobufjs'
import { putGenerated } from './generated-file.mjs'

const root = new URL('../', import.meta.url)
const protoDir = new URL('proto/', root)
const files = readdirSync(new URL('hullguard/v1/', protoDir))
  .filter((name) => name.endsWith('.proto'))
  .sort()
const schema = new protobuf.Root()
schema.resolvePath = (_origin, target) => new URL(target, protoDir).pathname
schema.loadSync(files.map((name) => `hullguard/v1/${name}`))
schema.resolveAll()

const SCALARS = {
  string: { type: 'string', zero: `''`, wire: 2, write: (v) => `w.string(${v})`, read: 'r.string()' },
  bytes: { type: 'Uint8Array', zero: 'EMPTY', wire: 2, write: (v) => `w.bytes(${v})`, read: 'r.bytes()' },
  bool: { type: 'boolean', zero: 'false', wire: 0, write: (v) => `w.bool(${v})`, read: 'r.bool()' },
  uint32: { type: 'number', zero: '0', wire: 0, write: (v) => `w.uint32(${v})`, read: 'r.uint32()' },
  uint64: { type: 'bigint', zero: '0n', wire: 0, write: (v) => `writeUint64(w, ${v})`, read: 'readUint64(r)' },
  sint64: { type: 'bigint', zero: '0n', wire: 0, write: (v) => `writeSint64(w, ${v})`, read: 'readSint64(r)' },
}

/** How a field is typed, written and read. Enums are open: an unknown number passes through. */
function shape(field) {
  if (field.resolvedType instanceof protobuf.Enum) return { ...SCALARS.uint32, packed: true }
  if (field.resolvedType instanceof protobuf.Type) {
    const name = field.resolvedType.name
    return {
      type: name,
      wire: 2,
      message: true,
      write: (v) => `encode${name}(${v}, w.fork()).ldelim()`,
      read: `decode${name}(r, r.uint32() + r.pos)`,
    }
  }
  const scalar = SCALARS[field.type]
  if (scalar === undefined || field.map) throw new Error(`${field.fullName}: type ${field.type} is not supported`)
  return { ...scalar, packed: scalar.wire === 0 }
}

/** One batch is written list by list, as its records come (batch-lists.ts): these are the tags of its entries. */
const WRITTEN_BY_LIST = 'RecordBatch'

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase())

function generateEnum(entry) {
  const prefix = `${entry.name.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()}_`
  const rows = Object.entries(entry.values).map(([name, number]) => `  ${name.replace(prefix, '')}: ${number},`)
  return `export const ${entry.name} = {\n${rows.join('\n')}\n} as const\n`
}

function fieldLines(field) {
  const name = camel(field.name)
  const kind = shape(field)
  const tag = (field.id << 3) | (field.repeated && kind.packed ? 2 : kind.wire)
  const optional = !field.repeated && (kind.message || field.options?.proto3_optional === true)
  const lines = { name, id: field.id, tag, repeated: field.repeated }
  if (field.repeated) {
    lines.declare = `  ${name}: ${kind.type}[]`
    lines.init = `${name}: []`
    const item = kind.write('item')
    if (kind.packed) {
      const body =
        kind.type === 'number'
          ? `w.uint32(${tag}).uint32s(m.${name})`
          : `w.uint32(${tag}).fork()\n    for (const item of m.${name}) ${item}\n    w.ldelim()`
      lines.encode = `  if (m.${name}.length > 0) {\n    ${body}\n  }`
      const one = `m.${name}.push(${kind.read})`
      const many =
        kind.type === 'number' ? `r.uint32s(m.${name})` : `for (const stop = packedEnd(r); r.pos < stop; ) ${one}`
      lines.decode = `        if (wire === 2) ${many}\n        else if (wire === 0) ${one}\n        else r.skipType(wire)`
    } else {
      const head = `w.uint32(${tag})`
      const write = kind.message ? `${head}\n    ${item}` : item.replace('w.', `${head}.`)
      lines.encode = `  for (const item of m.${name}) {\n    ${write}\n  }`
      lines.decode = `        if (wire === ${kind.wire}) m.${name}.push(${kind.read})\n        else r.skipType(wire)`
    }
    return lines
  }
  lines.declare = `  ${name}${optional ? '?' : ''}: ${kind.type}`
  lines.init = optional ? undefined : `${name}: ${kind.zero}`
  const present = optional
    ? `m.${name} !== undefined`
    : kind.type === 'bytes' || kind.zero === 'EMPTY'
      ? `m.${name}.length > 0`
      : kind.type === 'boolean'
        ? `m.${name}`
        : `m.${name} !== ${kind.zero}`
  lines.encode = `  if (${present}) {\n    w.uint32(${tag})\n    ${kind.write(`m.${name}`)}\n  }`
  lines.decode = `        if (wire === ${kind.wire}) m.${name} = ${kind.read}\n        else r.skipType(wire)`
  return lines
}

function generateMessage(entry) {
  const fields = entry.fieldsArray.map((field) => fieldLines(field.resolve())).sort((a, b) => a.id - b.id)
  const name = entry.name
  const m = fields.length === 0 ? '_m' : 'm'
  const lists = fields.filter((f) => f.repeated).map((f) => `  ${f.name}: ${f.tag},`)
  const tags = `export const RECORD_BATCH_TAGS = {\n${lists.join('\n')}\n} as const\n\n`
  return `${name === WRITTEN_BY_LIST ? tags : ''}export interface ${name} {
${fields.map((f) => f.declare).join('\n')}
}

export function encode${name}(${m}: ${name}, w: Writer = protobuf.Writer.create()): Writer {
${fields.map((f) => f.encode).join('\n')}
  return w
}

export function decode${name}(r: Reader, end: number = r.len): ${name} {
  checkEnd(r, end)
  const m: ${name} = { ${fields
    .map((f) => f.init)
    .filter((init) => init !== undefined)
    .join(', ')} }
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    switch (tag >>> 3) {
${fields.map((f) => `      case ${f.id}:\n${f.decode}\n        break`).join('\n')}
      default:
        r.skipType(wire)
    }
  }
  checkStop(r, end)
  return m
}
`
}

const namespace = schema.lookup('hullguard.v1')
const entries = namespace.nestedArray
const text = `// Generated from proto/hullguard/v1/*.proto by scripts/generate-proto.mjs. Do not edit.
import protobuf from 'protobufjs/minimal.js'
import { checkEnd, checkStop, EMPTY, packedEnd, readSint64, readUint64, writeSint64, writeUint64 } from '../wire-primitives.js'

type Writer = protobuf.Writer
type Reader = protobuf.Reader

${entries
  .filter((entry) => entry instanceof protobuf.Enum)
  .map(generateEnum)
  .join('\n')}
${entries
  .filter((entry) => entry instanceof protobuf.Type)
  .map(generateMessage)
  .join('\n')}`

putGenerated('src/record/generated/wire.ts', text, 'proto/')
