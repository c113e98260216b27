/**
 * The oracle of the condition language: walks the tree, compares value by value, remembers nothing. Slow and plain on
 * purpose; what is compiled must agree with it. Works on checked trees.
 */

import type {
  Check,
  Expression,
  FieldRef,
  Operand,
  Operator,
  Right,
  Transformer,
  TransformerArgument,
  Value,
} from '../../src/policy/condition/ast.js'
import { type NetLiteral, readLiteral } from '../../src/policy/condition/literals.js'
import type { FieldType } from '../../src/record/fields/types.js'

/** Bytes as an event has them: text, numbers in decimal, `true`/`false`, addresses as text. */
export type Bytes = Uint8Array

export interface OracleEnvironment {
  typeOf(field: FieldRef): FieldType
  /** Undefined: the event does not have it. Several: list fields, either end, any ancestor. */
  valuesOf(field: FieldRef): readonly Bytes[] | undefined
  macro(name: string): Expression | undefined
  list(name: string): readonly Bytes[] | undefined
}

export function oracle(expression: Expression, environment: OracleEnvironment): boolean {
  switch (expression.kind) {
    case 'and':
      return expression.operands.every((operand) => oracle(operand, environment))
    case 'or':
      return expression.operands.some((operand) => oracle(operand, environment))
    case 'not':
      return !oracle(expression.operand, environment)
    case 'macro': {
      const macro = environment.macro(expression.name)
      if (macro === undefined) throw new Error(`no macro ${expression.name}`)
      return oracle(macro, environment)
    }
    default:
      return compare(expression, environment)
  }
}

interface Typed {
  type: FieldType
  values: readonly Bytes[] | undefined
}

function compare({ left, operator, modifier, right }: Check, environment: OracleEnvironment): boolean {
  const { type, values } = evaluate(left, environment)
  // what is missing compares false, `!=` too
  if (values === undefined) return false
  if (operator === 'exists' || right === undefined) return true
  const wanted = rightValues(right, environment)
  if (wanted === undefined) return false
  if (modifier !== undefined) {
    const [value] = values
    if (value === undefined || wanted.length === 0) return false
    const hits = wanted.filter((each) => holds(type, operator, value, each)).length
    return modifier === 'oneof' ? hits === 1 : modifier === 'anyof' ? hits > 0 : hits === wanted.length
  }
  if (operator === 'in' || operator === 'intersects' || operator === 'pmatch') {
    const single: Operator = operator === 'pmatch' ? 'pmatch' : '='
    const isIn = (value: Bytes) => wanted.some((each) => holds(type, single, value, each))
    return operator === 'in' && type === 'list' ? values.every(isIn) : values.some(isIn)
  }
  const [first] = wanted
  if (first === undefined) return false
  // either end: both must differ
  const isEitherEnd = left.kind === 'field' && /^fd\.(?:ip|net|port)$/.test(left.name)
  if (operator === '!=' && isEitherEnd) return values.every((value) => holds(type, '!=', value, first))
  return values.some((value) => holds(type, operator, value, first))
}

function rightValues(right: Right, environment: OracleEnvironment): readonly Bytes[] | undefined {
  switch (right.kind) {
    case 'value':
      return [right.bytes]
    case 'number':
      return [Buffer.from(right.text)]
    case 'list':
      return right.items.flatMap((item) => listed(item, environment))
    case 'list_name':
      return environment.list(right.name) ?? []
    default:
      return evaluate(right, environment).values
  }
}

function listed(item: Value, environment: OracleEnvironment): readonly Bytes[] {
  const named = item.isQuoted ? undefined : environment.list(textOf(item.bytes))
  return named ?? [item.bytes]
}

function evaluate(operand: Operand, environment: OracleEnvironment): Typed {
  return operand.kind === 'field'
    ? { type: environment.typeOf(operand), values: environment.valuesOf(operand) }
    : transform(operand, environment)
}

function transform({ name, args, index }: Transformer, environment: OracleEnvironment): Typed {
  const of = (argument: TransformerArgument | undefined): Typed => {
    if (argument === undefined) return { type: 'string', values: undefined }
    if (argument.kind === 'value') return { type: 'string', values: [argument.bytes] }
    if (argument.kind === 'number') return { type: 'string', values: [Buffer.from(argument.text)] }
    if (argument.kind !== 'arguments') return evaluate(argument, environment)
    const parts = argument.items.map((item) => of(item).values)
    return { type: 'list', values: parts.includes(undefined) ? undefined : parts.flatMap((part) => part ?? []) }
  }
  const { type, values } = of(args[0])
  const each = (change: (value: Bytes) => Bytes | undefined): Typed => {
    const changed = values?.map(change)
    return { type, values: changed?.includes(undefined) === true ? undefined : (changed as Bytes[] | undefined) }
  }
  switch (name) {
    case 'tolower':
      return each((value) => value.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)))
    case 'toupper':
      return each((value) => value.map((byte) => (byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte)))
    case 'b64':
      return each((value) =>
        /^[A-Za-z0-9+/]*={0,2}$/.test(latin1(value)) ? Buffer.from(latin1(value), 'base64') : undefined,
      )
    case 'basename':
      return each((value) => value.subarray(value.lastIndexOf(0x2f) + 1))
    case 'len': {
      if (values === undefined) return { type: 'uint', values: [Buffer.from('0')] }
      const length = type === 'list' ? values.length : (values[0]?.length ?? 0)
      return { type: 'uint', values: [Buffer.from(String(length))] }
    }
    case 'join': {
      const parts = of(args[1]).values
      const whole = parts
        ?.map((part) => Buffer.from(part).toString('latin1'))
        .join(latin1(values?.[0] ?? new Uint8Array()))
      return { type: 'string', values: whole === undefined ? undefined : [Buffer.from(whole, 'latin1')] }
    }
    case 'concat': {
      const parts = args.map((argument) => of(argument).values)
      return {
        type: 'string',
        values: parts.includes(undefined) ? undefined : [Buffer.concat(parts.flatMap((part) => part ?? []))],
      }
    }
    default: {
      const letters = latin1(of(args[1]).values?.[0] ?? new Uint8Array())
      if (values?.[0] === undefined) return { type: index === undefined ? 'list' : 'string', values: undefined }
      return options(latin1(values[0]), letters, index)
    }
  }
}

function options(text: string, letters: string, index: Value | undefined): Typed {
  const words = text.split(' ').filter(Boolean)
  const found: [string, string][] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (!word.startsWith('-') || word === '-' || word === '--') break
    const letter = word.charAt(1)
    const takesValue = letters.includes(`${letter}:`)
    found.push([letter, takesValue ? word.slice(2) || (words[++at] ?? '') : ''])
  }
  if (index === undefined) return { type: 'list', values: found.map(([letter]) => Buffer.from(letter, 'latin1')) }
  const value = found.find(([letter]) => letter === latin1(index.bytes))?.[1]
  return { type: 'string', values: value === undefined ? undefined : [Buffer.from(value, 'latin1')] }
}

function holds(type: FieldType, operator: Operator, value: Bytes, wanted: Bytes): boolean {
  if (operator === '!=') return !holds(type, '=', value, wanted)
  if (type === 'string' || type === 'bytes' || type === 'list')
    return holdsText(operator, Buffer.from(value), Buffer.from(wanted))
  if (type === 'ip' || type === 'net') return operator === '=' || operator === '==' ? inNetwork(value, wanted) : false
  const order = orderOf(type, value, wanted)
  return byOrder(operator, order)
}

function byOrder(operator: Operator, order: number): boolean {
  switch (operator) {
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
    default:
      return order === 0
  }
}

function orderOf(type: FieldType, value: Bytes, wanted: Bytes): number {
  const [a, b] = [value, wanted].map((bytes) => {
    const read = readLiteral(type, bytes)
    if (!read.ok || read.value instanceof Uint8Array || typeof read.value === 'object')
      throw new Error('not a checked value')
    return BigInt(read.value)
  })
  return (a ?? 0n) < (b ?? 0n) ? -1 : a === b ? 0 : 1
}

function inNetwork(value: Bytes, wanted: Bytes): boolean {
  const [address, network] = [value, wanted].map((bytes) => {
    const read = readLiteral('net', bytes)
    return read.ok ? (read.value as NetLiteral) : undefined
  })
  if (address === undefined || network === undefined) return false
  // mapped addresses are IPv4's, a network around them is not
  const isFour = (text: string) =>
    !text.includes(':') || (/^::ffff:/i.test(text) && Number(text.split('/')[1] ?? '128') >= 96)
  if (isFour(textOf(value)) !== isFour(textOf(wanted))) return false
  for (let bit = 0; bit < network.prefixBits; bit++) {
    const mask = 0x80 >> (bit & 7)
    if (((address.network[bit >> 3] ?? 0) & mask) !== ((network.network[bit >> 3] ?? 0) & mask)) return false
  }
  return true
}

function holdsText(operator: Operator, value: Buffer, wanted: Buffer): boolean {
  const lower = (bytes: Buffer) =>
    Buffer.from(
      bytes.toString('latin1').replace(/[A-Z]/g, (char) => char.toLowerCase()),
      'latin1',
    )
  switch (operator) {
    case 'contains':
      return value.includes(wanted)
    case 'icontains':
      return lower(value).includes(lower(wanted))
    case 'bcontains':
      return value.includes(Buffer.from(wanted.toString(), 'hex'))
    case 'startswith':
      return value.subarray(0, wanted.length).equals(wanted)
    case 'bstartswith':
      return holdsText('startswith', value, Buffer.from(wanted.toString(), 'hex'))
    case 'endswith':
      return value.length >= wanted.length && value.subarray(value.length - wanted.length).equals(wanted)
    case 'glob':
      return matchesGlob(wanted, value)
    case 'iglob':
      return matchesGlob(wanted, value, true)
    case 'pmatch':
      return matchesComponents(wanted, value)
    case 'regex':
      // RE2's POSIX mode: `^` and `$` stand at lines
      return new RegExp(`(?<![\\s\\S])(?:${expressionOf(wanted.toString())})(?![\\s\\S])`).test(value.toString())
    default:
      return byOrder(operator, Buffer.compare(value, wanted))
  }
}

/** As ECMAScript has them: classes of POSIX, `.` without line ends, `^` and `$` at lines that end in a newline. */
function expressionOf(pattern: string): string {
  const classes: Readonly<Record<string, string>> = {
    alpha: 'a-zA-Z',
    digit: '0-9',
    alnum: 'a-zA-Z0-9',
    space: '\\t-\\r ',
    upper: 'A-Z',
    lower: 'a-z',
  }
  const parts = pattern.match(/\\.|\[\^?\]?(?:\[:\w+:\]|[^\]])*\]|[\s\S]/g) ?? []
  const written: Readonly<Record<string, string>> = { '.': '[^\\n]', '^': '(?<![^\\n])', $: '(?![^\\n])' }
  return parts
    .map((part) => written[part] ?? part.replace(/\[:(\w+):\]/g, (_, name: string) => classes[name] ?? ''))
    .join('')
}

const ISO_CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  cntrl: /[^ -~\x80-\xff]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[ \t-\r]/,
  upper: /[A-Z]/,
  xdigit: /[0-9A-Fa-f]/,
}

/** fnmatch(3) without flags: `*` also crosses `/`. By trying every length of every `*`. */
export function matchesGlob(pattern: Buffer, text: Buffer, isFolded = false): boolean {
  const parts = globParts(pattern.toString('latin1'))
  const chars = text.toString('latin1')
  // reached[at]: the parts so far match the first `at` characters
  let reached = Array.from({ length: chars.length + 1 }, (_, at) => at === 0)
  for (const part of parts) {
    const next = reached.map(() => false)
    for (const [at, isReached] of reached.entries()) {
      if (!isReached) continue
      if (part === '*') next.fill(true, at)
      else if (at < chars.length) {
        const char = chars.charAt(at)
        const other = /[a-z]/.test(char) ? char.toUpperCase() : /[A-Z]/.test(char) ? char.toLowerCase() : char
        if (part(char, isFolded ? other : char)) next[at + 1] = true
      }
    }
    reached = next
  }
  return reached[chars.length] === true
}

type GlobPart = '*' | ((char: string, other: string) => boolean)

function globParts(glob: string): GlobPart[] {
  const parts: GlobPart[] = []
  for (let at = 0; at < glob.length; ) {
    const rest = glob.slice(at)
    const found = /^\[[!^]?(?:\[:[a-z]*:\]|\\.|[^\\])(?:\[:[a-z]*:\]|\\.|[^\\\]])*\]/s.exec(rest)?.[0]
    if (rest.startsWith('*')) parts.push('*')
    else if (rest.startsWith('?')) parts.push(() => true)
    else if (found !== undefined) {
      const isNegated = /^[!^]/.test(found.slice(1))
      const body = found.slice(isNegated ? 2 : 1, -1)
      parts.push((char, other) => (inClass(body, char) || inClass(body, other)) !== isNegated)
    } else {
      const wanted = rest.startsWith('\\') ? rest.charAt(1) : rest.charAt(0)
      parts.push((char, other) => wanted !== '' && (char === wanted || other === wanted))
      if (rest.startsWith('\\')) at++
    }
    at += found?.length ?? 1
  }
  return parts
}

function inClass(body: string, char: string): boolean {
  for (let at = 0; at < body.length; ) {
    const [named, name] = /^\[:([a-z]*):\]/.exec(body.slice(at)) ?? []
    if (named !== undefined) {
      if (ISO_CLASSES[name ?? '']?.test(char)) return true
      at += named.length
      continue
    }
    const [range = '', low, high] = /^(?:\\(.)|.)(?:-(?:\\(.)|.))?/s.exec(body.slice(at)) ?? []
    const first = low ?? range.charAt(0)
    const last = high ?? (range.length > (low === undefined ? 1 : 2) ? range.charAt(range.length - 1) : first)
    if (first <= char && char <= last) return true
    at += range.length
  }
  return false
}

/** True when the components of `prefix`, globs within each, are the first of `path`; slashes doubled or last do not count. */
export function matchesComponents(prefix: Buffer, path: Buffer): boolean {
  const [patterns, names] = [prefix, path].map((bytes) => bytes.toString('latin1').split('/').filter(Boolean))
  return (patterns ?? []).every((pattern, index) => {
    const name = names?.[index]
    return name !== undefined && matchesGlob(Buffer.from(pattern, 'latin1'), Buffer.from(name, 'latin1'))
  })
}

function latin1(bytes: Bytes): string {
  return Buffer.from(bytes).toString('latin1')
}

function textOf(bytes: Bytes): string {
  return new TextDecoder().decode(bytes)
}
