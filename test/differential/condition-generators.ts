/** fast-check arbitraries of conditions as text, of lists and macros, and of events: few values, so that they meet often. */
import fc from 'fast-check'
import type { FieldType } from '../../src/record/fields/types.js'
import type { TestEvent } from '../support/condition-events.js'

export const EVENT_TYPES = ['execve', 'openat', 'connect'] as const

/** Name with its argument -> type and whether an event may have several values. */
export const FIELDS: Readonly<Record<string, { type: FieldType; isSeveral?: true }>> = {
  'proc.name': { type: 'string' },
  'proc.cmdline': { type: 'string' },
  'fd.name': { type: 'string' },
  'proc.aname': { type: 'string', isSeveral: true },
  'proc.aname[2]': { type: 'string' },
  'user.uid': { type: 'uint' },
  'evt.rawres': { type: 'int' },
  'fd.sport': { type: 'port' },
  'proc.duration': { type: 'time' },
  'proc.is_exe_upper_layer': { type: 'bool' },
  'evt.buffer': { type: 'bytes' },
  'fd.sip': { type: 'ip' },
  'fd.snet': { type: 'net' },
  'fd.ip': { type: 'ip', isSeveral: true },
  'fd.net': { type: 'net', isSeveral: true },
  'fd.port': { type: 'port', isSeveral: true },
  'fd.types': { type: 'list', isSeveral: true },
}

const NAMES = Object.keys(FIELDS)
const TEXTS = [
  '',
  '/',
  'a',
  'b',
  'A',
  'ab',
  'aB',
  'abc',
  'bc',
  '/a',
  '/a/b',
  '/a/b/',
  '//a//b',
  '/a.b',
  './a',
  '/a/./b',
  'é',
  '-a b',
  'a-',
  'YWI=',
  '1',
  '10',
]
const PATTERNS = [
  '*',
  '?',
  'a*',
  '*b',
  '/a/*',
  '/*/b',
  '[ab]',
  '[!a]*',
  '*a*b*',
  '[a-b]c',
  '/a?b',
  '[[:alpha:]]*',
  '[',
  '\\\\*',
  '*.b',
  '[]a]*',
]
const REGEXES = [
  'a',
  'a+b?',
  '.*',
  '(a|b)*c?',
  '/a(/.*)?',
  '[^a]*',
  '[[:alpha:]]+',
  'a{1,2}b*',
  '^a.*',
  '.*c$',
  'é|a',
  '..',
  '(a|ab)(c|bc)?',
  '',
  '[^a-z]+',
]
const NUMBERS = ['0', '1', '2', '80', '443', '4294967295', '4294967296', '9007199254740993', '18446744073709551615']
const SIGNED = [
  '0',
  '-1',
  '1',
  '-2147483649',
  '9223372036854775807',
  '-9223372036854775808',
  '9007199254740992',
  '9007199254740993',
]
const PORTS = ['0', '80', '443', '65535']
const ADDRESSES = ['10.0.0.1', '10.1.2.3', '192.0.2.1', '2001:db8::1', '::1', '::']
const NETWORKS = [...ADDRESSES, '10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0', '2001:db8::/32', '::/0', '10.1.2.3/9']

const quoted = (text: string) => `"${text.replaceAll('\\\\', '\\x5c').replaceAll('"', '\\"')}"`

function valuesOf(type: FieldType, operator: string): readonly string[] {
  if (operator === 'bcontains' || operator === 'bstartswith') return ['61', '6162', '2f', 'ff']
  if (operator === 'regex') return REGEXES
  if (operator === 'glob' || operator === 'iglob') return [...PATTERNS, ...TEXTS]
  if (operator === 'pmatch') return [...TEXTS, '/*', '/a/*', '/*/b', '/[ab]', 'a/b', '/a*/?']
  switch (type) {
    case 'string':
    case 'bytes':
    case 'list':
      return TEXTS
    case 'int':
      return SIGNED
    case 'uint':
    case 'time':
      return NUMBERS
    case 'port':
      return [...PORTS, 'http']
    case 'bool':
      return ['true', 'false']
    case 'ip':
      return ADDRESSES
    default:
      return NETWORKS
  }
}

const ANYWHERE = ['=', '==', '!=', 'in', 'intersects', 'exists']
const ORDERED = [...ANYWHERE, '<', '<=', '>', '>=']
const TEXTUAL = [...ORDERED, 'contains', 'icontains', 'startswith', 'endswith', 'glob', 'iglob', 'pmatch', 'regex']
const OPERATORS: Readonly<Record<FieldType, readonly string[]>> = {
  string: TEXTUAL,
  int: ORDERED,
  uint: ORDERED,
  port: ORDERED,
  time: ORDERED,
  bool: ANYWHERE,
  bytes: [...ANYWHERE, 'contains', 'startswith', 'endswith', 'bcontains', 'bstartswith'],
  ip: ANYWHERE,
  net: ANYWHERE,
  list: ['in', 'intersects', 'exists'],
}

const left: fc.Arbitrary<{ text: string; type: FieldType }> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...NAMES).map((text) => ({ text, type: FIELDS[text]?.type ?? 'string' })) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      { text: 'tolower(proc.name)', type: 'string' as const },
      { text: 'toupper(proc.aname)', type: 'string' as const },
      { text: 'basename(fd.name)', type: 'string' as const },
      { text: 'b64(proc.cmdline)', type: 'string' as const },
      { text: 'b64(evt.buffer)', type: 'bytes' as const },
      { text: 'len(fd.name)', type: 'uint' as const },
      { text: 'len(fd.types)', type: 'uint' as const },
      { text: 'join("/", (proc.name, "b", fd.types))', type: 'string' as const },
      { text: 'concat(proc.name, "-", tolower(fd.name))', type: 'string' as const },
      { text: 'getopt(proc.cmdline, "ab:c")', type: 'list' as const },
      { text: 'getopt(proc.cmdline, "ab:c")[b]', type: 'string' as const },
      { text: 'tolower(basename(proc.name))', type: 'string' as const },
      { text: 'tolower(evt.type)', type: 'string' as const },
    ),
  },
)

const LIST_NAMES = ['texts', 'none', 'numbers'] as const
export const LISTS: Readonly<Record<string, readonly string[]>> = {
  texts: ['a', 'ab', '/a', 'b'],
  none: [],
  numbers: ['0', '1', '80'],
}

function list(type: FieldType, operator: string): fc.Arbitrary<string> {
  const values = fc
    .array(fc.constantFrom(...valuesOf(type, operator)), { maxLength: 6 })
    .map((items) => `(${items.map(quoted).join(', ')})`)
  const isNumber = type === 'int' || type === 'uint' || type === 'port' || type === 'time'
  const names =
    type === 'string' || type === 'list' ? LIST_NAMES : isNumber ? (['numbers', 'none'] as const) : (['none'] as const)
  const named = fc.constantFrom(...names)
  return fc.oneof(
    { weight: 4, arbitrary: values },
    { weight: 1, arbitrary: named },
    { weight: 1, arbitrary: named.map((each) => `(${each})`) },
  )
}

const leaf: fc.Arbitrary<string> = fc.oneof(
  { weight: 20, arbitrary: left.chain(({ text, type }) => comparison(text, type)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'evt.type = execve',
      'evt.type in (openat, connect)',
      'evt.type != connect',
      'evt.type startswith open',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'proc.name = val(proc.cmdline)',
      'fd.name startswith val(proc.name)',
      'fd.name contains val(proc.name)',
      'proc.aname != val(proc.name)',
      'fd.sip = val(fd.snet)',
      'user.uid >= len(fd.name)',
      'fd.ip != val(fd.sip)',
      'fd.port = val(fd.sport)',
      'fd.types in val(fd.types)',
      'proc.name in val(fd.types)',
      'proc.name glob val(fd.name)',
      'proc.cmdline icontains tolower(proc.name)',
      'fd.name pmatch val(proc.name)',
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('m0', 'm1') },
)

function comparison(text: string, type: FieldType): fc.Arbitrary<string> {
  return fc.constantFrom(...OPERATORS[type]).chain((operator) => {
    if (operator === 'exists') return fc.constant(`${text} exists`)
    if (operator === 'in' || operator === 'intersects' || operator === 'pmatch')
      return list(type, operator).map((right) => `${text} ${operator} ${right}`)
    // orders take numbers only, of text too
    const single = isOrder(operator)
      ? fc.constantFrom(...orderValues(type)).map((value) => `${text} ${operator} ${value}`)
      : fc.constantFrom(...valuesOf(type, operator)).map((value) => `${text} ${operator} ${quoted(value)}`)
    const isModifiable = type === 'string' || ((type === 'ip' || type === 'net') && /^(?:=|==|!=)$/.test(operator))
    if (!isModifiable || isOrder(operator)) return single
    const modified = fc
      .tuple(fc.constantFrom('oneof', 'anyof', 'allof'), list(type, operator))
      .map(([modifier, right]) => `${text} ${operator} ${modifier} ${right}`)
    return fc.oneof({ weight: 3, arbitrary: single }, { weight: 1, arbitrary: modified })
  })
}

function orderValues(type: FieldType): readonly string[] {
  return type === 'string' ? ['0', '1', '10', '2', '-1'] : valuesOf(type, '<').filter((value) => value !== 'http')
}

function isOrder(operator: string): boolean {
  return /^[<>]/.test(operator)
}

const { tree } = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('tree'), { minLength: 2, maxLength: 3 }).map((parts) => `(${parts.join(' and ')})`),
    fc.array(tie('tree'), { minLength: 2, maxLength: 3 }).map((parts) => `(${parts.join(' or ')})`),
    tie('tree').map((part) => `not (${part})`),
  ),
}))

export const conditionText = tree
/** What rules are mostly made of: many that only rule out. */
export const negationText = fc
  .array(leaf, { minLength: 1, maxLength: 4 })
  .map((parts) => parts.map((part) => `not (${part})`).join(' and '))

const denied: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: left.filter(({ type }) => type !== 'list').chain(({ text, type }) => difference(text, type)),
  },
  { weight: 2, arbitrary: fc.constantFrom(...NAMES).map((name) => `${name} exists`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'proc.name != val(proc.cmdline)',
      'fd.ip != val(fd.sip)',
      'proc.aname != val(proc.name)',
    ),
  },
)

/** `!=` of one value or of several. */
function difference(text: string, type: FieldType): fc.Arbitrary<string> {
  const single = fc.constantFrom(...valuesOf(type, '!=')).map((value) => `${text} != ${quoted(value)}`)
  if (type !== 'string' && type !== 'ip' && type !== 'net') return single
  const several = fc
    .tuple(fc.constantFrom('oneof', 'anyof', 'allof'), list(type, '!='))
    .map(([modifier, right]) => `${text} != ${modifier} ${right}`)
  return fc.oneof({ weight: 3, arbitrary: single }, { weight: 1, arbitrary: several })
}

/** What only a value, or that there is none, makes true: the negation of a difference, of several, of a macro. */
export const doubleNegationText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: denied.map((each) => `not ${each}`) },
  { weight: 1, arbitrary: denied.map((each) => `not (not (not (${each})))`) },
  { weight: 2, arbitrary: fc.tuple(denied, denied).map(([a, b]) => `not (${a} and ${b})`) },
  { weight: 2, arbitrary: fc.tuple(denied, leaf).map(([a, b]) => `not (${a} or ${b})`) },
  { weight: 1, arbitrary: fc.constantFrom('not m0', 'not m1', 'not (m0 or m1)') },
)

/** Rules that share what must hold, so that it is asked once for all of them; each with a part of its own. */
export const sharingTexts: fc.Arbitrary<string[]> = fc
  .tuple(
    fc.array(fc.oneof(doubleNegationText, denied, leaf, tree), { minLength: 1, maxLength: 3 }),
    fc.array(
      fc.oneof(
        doubleNegationText,
        denied,
        leaf,
        leaf.map((each) => `not ${each}`),
      ),
      { minLength: 8, maxLength: 30 },
    ),
  )
  .map(([shared, own]) =>
    own.map((each, at) =>
      [...shared.filter((_, part) => (at + part) % 5 !== 0), each].map((part) => `(${part})`).join(' and '),
    ),
  )

const text: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom(...TEXTS).map((each) => Uint8Array.from(Buffer.from(each))) },
  {
    weight: 4,
    arbitrary: fc
      .array(fc.constantFrom('a', 'b', 'c', '/', '.', 'A', ' ', '-', '\n', 'é'), { maxLength: 12 })
      .map((each) => Uint8Array.from(Buffer.from(each.join('')))),
  },
  {
    weight: 2,
    arbitrary: fc.uint8Array({ maxLength: 6 }).map((bytes) => bytes.map((byte) => (byte === 0 ? 0xff : byte))),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...['a', '/a', 'ab/'].map((unit) => Uint8Array.from(Buffer.from(unit.repeat(4096).slice(0, 4096)))),
    ),
  },
)

function value(type: FieldType): fc.Arbitrary<Uint8Array> {
  if (type === 'string' || type === 'bytes' || type === 'list') return text
  const values = type === 'net' ? ADDRESSES : valuesOf(type, '=').filter((each) => each !== 'http')
  const more = type === 'ip' || type === 'net' ? ['::ffff:10.1.2.3', '::ffff:192.0.2.9', '10.1.255.255'] : []
  return fc.constantFrom(...values, ...more).map((each) => Uint8Array.from(Buffer.from(each)))
}

export const event: fc.Arbitrary<TestEvent> = fc
  .tuple(
    fc.constantFrom(...EVENT_TYPES),
    fc.record(
      Object.fromEntries(
        Object.entries(FIELDS).map(([name, { type, isSeveral }]) => [
          name,
          fc.array(value(type), { minLength: type === 'list' ? 0 : 1, maxLength: isSeveral ? 3 : 1 }),
        ]),
      ),
      { requiredKeys: [] },
    ),
  )
  .map(([type, fields]) => ({ type, fields: { ...fields } }))
