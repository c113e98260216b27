// dist/bpf/hullguard.bpf.o's BTF -> src/sensor/generated/abi.ts: offsets, views of events, encoders of map contents, enums.
// The compiled object is asked, not the header, so the decoder follows what the compiler laid out. `--check` fails when the
// committed file differs; `--object FILE` asks another object than this machine's: the layout is the same on all architectures.
// Numeric #defines (HG_*) come from the text of bpf/abi/: BTF has none.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { putGenerated } from './generated-file.mjs'

const root = new URL('../', import.meta.url)
const objectAt = process.argv.indexOf('--object')
const objectName = objectAt === -1 ? 'dist/bpf/hullguard.bpf.o' : process.argv[objectAt + 1]
const objectFile = fileURLToPath(new URL(objectName, root))
const dump = JSON.parse(
  execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', objectFile], { encoding: 'utf8', maxBuffer: 1 << 28 }),
)
const types = new Map(dump.types.map((type) => [type.id, type]))

const camel = (name) => name.replace(/_+([a-z0-9])/g, (_, letter) => letter.toUpperCase())
const pascal = (name) => camel(`_${name}`)
const named = (kind, pattern) =>
  dump.types.filter((type) => type.kind === kind && pattern.test(type.name)).sort((a, b) => (a.name < b.name ? -1 : 1))

function resolve(id) {
  let type = types.get(id)
  while (['TYPEDEF', 'CONST', 'VOLATILE'].includes(type.kind)) type = types.get(type.type_id)
  return type
}

/** A member as {kind: 'scalar', bytes} | {kind: 'struct', name} | {kind: 'array', count, of} (nested arrays flattened). */
function shapeOf(id) {
  const type = resolve(id)
  if (type.kind === 'INT' || type.kind === 'ENUM')
    return { kind: 'scalar', bytes: type.size, isSigned: type.encoding === 'SIGNED' && type.size > 1 }
  if (type.kind === 'STRUCT') return { kind: 'struct', name: type.name, bytes: type.size }
  if (type.kind === 'ARRAY') {
    const of = shapeOf(type.type_id)
    return of.kind === 'array'
      ? { ...of, count: of.count * type.nr_elems }
      : { kind: 'array', count: type.nr_elems, of }
  }
  throw new Error(`abi: no TypeScript form for BTF kind ${type.kind} (${type.name})`)
}

const NUMBER = { 1: 'Uint8', 2: 'Uint16', 4: 'Uint32', 8: 'BigUint64' }
const SIGNED = { 2: 'Int16', 4: 'Int32', 8: 'BigInt64' }
const numberOf = ({ bytes, isSigned }) => (isSigned ? SIGNED[bytes] : NUMBER[bytes])
const endian = (bytes) => (bytes === 1 ? '' : ', true')
const isBytes = (shape) => shape.kind === 'array' && shape.of.kind === 'scalar' && shape.of.bytes === 1
const typeOf = (shape) => {
  if (shape.kind === 'scalar') return shape.bytes === 8 ? 'bigint' : 'number'
  if (shape.kind === 'struct') return pascal(shape.name)
  return isBytes(shape) ? 'Uint8Array' : `readonly ${typeOf(shape.of)}[]`
}
const membersOf = (struct) =>
  struct.members.map((member) => ({
    name: member.name,
    offset: member.bits_offset / 8,
    shape: shapeOf(member.type_id),
  }))

/** A struct within an event, other than its header, lends the event its members. */
const flattened = (struct) =>
  membersOf(struct).flatMap((member) => {
    const { name, bytes } = member.shape
    if (member.shape.kind !== 'struct' || name === 'ev_header') return [member]
    const inner = named('STRUCT', new RegExp(`^${name}$`)).find(({ size }) => size === bytes)
    return flattened(inner).map((part) => ({ ...part, offset: part.offset + member.offset }))
  })

function eventView(struct) {
  const members = flattened(struct)
  const inherits = members[0]?.shape.name === 'ev_header'
  const lines = [
    `export class ${pascal(struct.name)} ${inherits ? 'extends EvHeader ' : ''}{`,
    `  static ${inherits ? 'override ' : ''}readonly SIZE_BYTES: number = ${struct.size}`,
  ]
  if (!inherits)
    lines.push(
      '  /** Where the event starts in `view`; moved by the batch walker. */',
      '  at = 0',
      '',
      '  constructor(readonly view: DataView, readonly bytes: Uint8Array) {}',
    )
  for (const { name, offset, shape } of members) {
    if (shape.kind === 'struct' || name === 'reserved') continue
    if (isBytes(shape)) {
      lines.push(
        '',
        `  static readonly ${name.toUpperCase()}_OFFSET = ${offset}`,
        `  get ${camel(name)}(): Uint8Array {`,
        `    return this.bytes.subarray(this.at + ${offset}, this.at + ${offset + shape.count})`,
        '  }',
      )
    } else if (shape.kind === 'array') {
      const { bytes } = shape.of
      lines.push(
        '',
        `  ${camel(name)}(index: number): ${typeOf(shape.of)} {`,
        `    return this.view.get${numberOf(shape.of)}(this.at + ${offset} + index * ${bytes}${endian(bytes)})`,
        '  }',
      )
    } else {
      lines.push(
        '',
        `  get ${camel(name)}(): ${typeOf(shape)} {`,
        `    return this.view.get${numberOf(shape)}(this.at + ${offset}${endian(shape.bytes)})`,
        '  }',
      )
      if (shape.bytes === 8)
        for (const [suffix, extra] of [
          ['Low', 0],
          ['High', 4],
        ])
          lines.push(
            '',
            `  get ${camel(name)}${suffix}(): number {`,
            `    return this.view.getUint32(this.at + ${offset + extra}, true)`,
            '  }',
          )
    }
  }
  return [...lines, '}'].join('\n')
}

function writeMember(target, at, shape, value) {
  if (shape.kind === 'scalar') return `${target}.set${numberOf(shape)}(${at}, ${value}${endian(shape.bytes)})`
  if (shape.kind === 'struct') return `write${pascal(shape.name)}(${target}, ${at}, ${value})`
  if (isBytes(shape)) return `writeBytes(${target}, ${at}, ${value}, ${shape.count})`
  const size = shape.of.bytes
  return `${value}.slice(0, ${shape.count}).forEach((entry, index) => {\n    ${writeMember(target, `${at} + index * ${size}`, shape.of, 'entry')}\n  })`
}

function readMember(source, at, shape) {
  if (shape.kind === 'scalar') return `${source}.get${numberOf(shape)}(${at}${endian(shape.bytes)})`
  if (shape.kind === 'struct') return `read${pascal(shape.name)}(${source}, ${at})`
  if (isBytes(shape)) return `new Uint8Array(${source}.buffer, ${source}.byteOffset + ${at}, ${shape.count}).slice()`
  return `Array.from({ length: ${shape.count} }, (_, index) => ${readMember(source, `${at} + index * ${shape.of.bytes}`, shape.of)})`
}

function mapStruct(struct) {
  const name = pascal(struct.name)
  const members = membersOf(struct).filter((member) => member.name !== 'reserved')
  return `export interface ${name} {
${members.map(({ name: field, shape }) => `  ${camel(field)}: ${typeOf(shape)}`).join('\n')}
}

export const ${struct.name.toUpperCase()}_BYTES = ${struct.size}

function write${name}(view: DataView, at: number, value: ${name}): void {
${members.map(({ name: field, offset, shape }) => `  ${writeMember('view', `at + ${offset}`, shape, `value.${camel(field)}`)}`).join('\n')}
}

export function encode${name}(value: ${name}): Uint8Array {
  const bytes = new Uint8Array(${struct.size})
  write${name}(new DataView(bytes.buffer), 0, value)
  return bytes
}

function read${name}(view: DataView, at: number): ${name} {
  return {
${members.map(({ name: field, offset, shape }) => `    ${camel(field)}: ${readMember('view', `at + ${offset}`, shape)},`).join('\n')}
  }
}

export function decode${name}(bytes: Uint8Array): ${name} {
  return read${name}(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}`
}

function enumeration(type) {
  const prefix = type.values
    .map((value) => value.name)
    .reduce((a, b) => {
      let length = 0
      while (length < a.length && a[length] === b[length]) length++
      return a.slice(0, length)
    })
  const cut =
    type.values.length > 1 ? prefix.lastIndexOf('_') + 1 : `${type.name.toUpperCase().replace(/_FLAG$/, '')}_`.length
  const name = pascal(type.name.replace(/^hg_/, ''))
  const entries = type.values.map((value) => `  ${value.name.slice(cut)}: ${value.val},`).join('\n')
  return `export const ${name} = {\n${entries}\n} as const\nexport type ${name} = (typeof ${name})[keyof typeof ${name}]`
}

const header = ['numbers', 'events', 'maps']
  .map((part) => readFileSync(new URL(`bpf/abi/${part}.h`, root), 'utf8'))
  .join('\n')
const defines = [...header.matchAll(/^#define (HG_[A-Z0-9_]+)[ \t]+(\d+)\b/gm)].map(
  ([, name, value]) => `export const ${name.slice(3)} = ${value}`,
)
const events = named('STRUCT', /^ev_/)
const ordered = [
  events.find((type) => type.name === 'ev_header'),
  ...events.filter((type) => type.name !== 'ev_header'),
]
const body = `${defines.join('\n')}

${named('ENUM', /^hg_/).map(enumeration).join('\n\n')}

${ordered.map(eventView).join('\n\n')}

function writeBytes(view: DataView, at: number, value: Uint8Array, countBytes: number): void {
  new Uint8Array(view.buffer, view.byteOffset + at, countBytes).set(value.subarray(0, countBytes))
}

${named('STRUCT', /^map_/).map(mapStruct).join('\n\n')}
`
// For captures: read by another build, they say which fields differ.
const layout = ordered.map((struct) => {
  const fields = flattened(struct)
    .filter(({ name, shape }) => name !== 'reserved' && shape.kind !== 'struct')
    .map(
      ({ name, offset, shape }) =>
        `${name}@${offset}+${shape.kind === 'array' ? shape.count * shape.of.bytes : shape.bytes}`,
    )
  return `  ${struct.name}: '${[struct.size, ...fields].join(' ')}',`
})
const enums = named('ENUM', /^hg_/).map(
  (type) => `  ${type.name}: '${type.values.map(({ name, val }) => `${name}=${val}`).join(' ')}',`,
)
const layoutText = `
/** Of each event: its size, and each field as name@offset+bytes; of each enumeration: its names and values. */
export const EVENT_LAYOUT: Readonly<Record<string, string>> = {\n${[...layout, ...enums].join('\n')}\n}
`
const hash = createHash('sha256').update(body).digest('hex').slice(0, 16)
const text = `// Generated from the BTF of dist/bpf/hullguard.bpf.o (bpf/abi.h) by scripts/generate-abi.mjs. Do not edit.

/** Changes with every layout or number below: captures carry it. */
export const ABI_HASH = '${hash}'
${body}${layoutText}`

putGenerated('src/sensor/generated/abi.ts', text, 'the compiled BPF object')
