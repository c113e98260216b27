/** The condition parser and printer on trees and on anything. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LIST_OPERATORS, MODIFIERS, STRING_OPERATORS } from '../../src/policy/condition/ast.js'
import { quoteBytes, unescapeBody } from '../../src/policy/condition/escape.js'
import { DEPTH_MAX_COUNT, parseCondition } from '../../src/policy/condition/parser.js'
import { printExpression } from '../../src/policy/condition/printer.js'
import { regexFault } from '../../src/policy/condition/regex.js'
import { parsed, stripSpans, textSource } from '../support/condition-text.js'
import { seedOf } from '../support/seed.js'

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc.string({ maxLength: 8 }).map((text) => Buffer.from(text)),
)
const value = fc.oneof(
  bytes.map(quoteBytes),
  fc.constantFrom('a', 'not', 'oneof', 'b64', 'and', '/bin/*', '[x]', '-1', '0x10', 'a.b', 'in'),
)
const field = fc.constantFrom('proc.name', 'a.b', 'proc.aname[2]', 'evt.arg[flags]', 'x.y["q \\" z"]')
const { operand } = fc.letrec<{ operand: string }>((tie) => ({
  operand: fc.oneof(
    { maxDepth: 3 },
    field,
    tie('operand').map((inner) => `tolower(${inner})`),
    fc
      .tuple(
        tie('operand'),
        value.filter((text) => text.startsWith('"')),
      )
      .map(([a, b]) => `concat(${a}, ${b}, 12)`),
    tie('operand').map((inner) => `join("-", (${inner}, 'x'))`),
    field.map((inner) => `getopt(${inner}, "ab:")[b]`),
  ),
}))
const list = fc.array(value, { maxLength: 3 }).map((items) => `(${items.join(', ')})`)
const check = fc.oneof(
  operand.map((left) => `${left} exists`),
  fc.tuple(operand, fc.constantFrom(...STRING_OPERATORS), value).map((parts) => parts.join(' ')),
  fc.tuple(operand, fc.constantFrom(...STRING_OPERATORS), field).map(([a, b, c]) => `${a} ${b} val(${c})`),
  fc.tuple(operand, fc.constantFrom('<', '>='), fc.constantFrom('1', '-2.5', '0xff')).map((parts) => parts.join(' ')),
  fc
    .tuple(operand, fc.constantFrom(...LIST_OPERATORS), fc.oneof(list, fc.constant('some_list')))
    .map((parts) => parts.join(' ')),
  fc
    .tuple(operand, fc.constantFrom(...STRING_OPERATORS), fc.constantFrom(...MODIFIERS), list)
    .map((parts) => parts.join(' ')),
)
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 5 },
    check,
    fc.constantFrom('macro', 'not_macro', 'order'),
    tie('expression').map((inner) => `not (${inner})`),
    fc.tuple(tie('expression'), fc.constantFrom(' and ', ' or '), tie('expression')).map((parts) => parts.join('')),
    fc.tuple(tie('expression'), fc.constantFrom('and', 'or'), tie('expression')).map(([a, b, c]) => `(${a})${b}(${c})`),
  ),
}))

test('what is printed reads back as the same tree', () => {
  fc.assert(
    fc.property(expression, (text) => {
      const first = parsed(text)
      assert.ok(first.ok, text)
      const printed = printExpression(first.expression)
      const again = parsed(printed)
      assert.ok(again.ok, printed)
      assert.deepEqual(stripSpans(again.expression), stripSpans(first.expression), printed)
    }),
    seedOf(500),
  )
})

test('bytes in quotes read back as the same bytes', () => {
  fc.assert(
    fc.property(bytes, (given) => {
      const read = parsed(`a.b = ${quoteBytes(given)}`)
      assert.ok(read.ok && read.expression.kind === 'check' && read.expression.right?.kind === 'value')
      assert.deepEqual(Buffer.from(read.expression.right.bytes), Buffer.from(given))
    }),
    seedOf(1000),
  )
})

test('the parser answers any text with a tree or a place within it', () => {
  const pieces = fc.constantFrom(
    ...' ()[]"\'\\,=<>!.%\t\n',
    'and ',
    'or(',
    'not ',
    'a.b',
    ' in ',
    ' = ',
    'tolower(',
    'val(',
    'oneof ',
    '\u{1f980}',
    '\0',
  )
  const texts = fc.oneof(
    fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(texts, (text) => {
      const read = parseCondition(textSource(text))
      if (read.ok) return
      const { start, end } = read.fault.span
      assert.ok(start >= 0 && start <= end && start <= text.length)
      assert.doesNotMatch(read.fault.message, /\p{Cc}/u)
    }),
    seedOf(3000),
  )
})

test('a million brackets, negations or transformers are one diagnostic or one tree', () => {
  const deep = parsed('('.repeat(1 << 20))
  assert.ok(!deep.ok)
  assert.equal(deep.fault.message, `the condition nests deeper than ${DEPTH_MAX_COUNT} levels`)
  assert.equal(deep.fault.span.start, DEPTH_MAX_COUNT)
  assert.ok(!parsed('tolower('.repeat(1 << 17)).ok)
  const even = parsed(`${'not '.repeat(1 << 18)}a`)
  assert.ok(even.ok && even.expression.kind === 'macro')
  const long = parsed(`a${' or a'.repeat(1 << 17)}`)
  assert.ok(long.ok && long.expression.kind === 'or' && long.expression.operands.length === (1 << 17) + 1)
  const within = parsed(`${'('.repeat(DEPTH_MAX_COUNT)}a${')'.repeat(DEPTH_MAX_COUNT)}`)
  assert.ok(within.ok)
})

test('and binds stronger than or, not stronger than and', () => {
  const read = parsed('a or not b and c or d')
  assert.ok(read.ok && read.expression.kind === 'or')
  assert.deepEqual(read.expression.operands.map(printExpression), ['a', 'not b and c', 'd'])
})

const FAULTS: readonly [text: string, column: number, message: string, help?: string][] = [
  ['proc.name contians x', 11, 'expected an operator, found `contians`', 'did you mean `contains`?'],
  ['(a or b', 8, 'expected `)`, found the end', 'for the `(` in line 1, column 1'],
  ['a.b = "x', 7, 'the quote is never closed', 'a quote behind a backslash does not close a value'],
  ['a.b = "\\q"', 8, 'there is no such escape in a quoted value'],
  ['a.b = "\\x4"', 8, '`\\x` needs two hexadecimal digits'],
  ['a.b in (x,)', 11, 'expected a value, found `)`'],
  ['a andb', 3, 'expected `and`, `or` or the end, found `andb`', 'a blank or `(` must follow `and` and `or`'],
  ['a.b < x', 7, 'expected a number, found `x`', 'text is compared with `=` and the word operators'],
  ['and a', 1, 'expected `(`, a field or the name of a macro, found `and`'],
]
test('a mistake is told with its place, reason and help', () => {
  for (const [text, column, message, help] of FAULTS) {
    const read = parsed(text)
    assert.ok(!read.ok, text)
    assert.equal(read.fault.message, message)
    assert.equal(read.fault.span.start + 1, column, text)
    if (help !== undefined) assert.equal(read.fault.help, help)
  }
})

test('escapes: both quotes, the old backslash and blank, the wrong quote refused', () => {
  const read = (body: string, quote: string) => {
    const result = unescapeBody(body, quote)
    return result.ok ? Buffer.from(result.bytes).toString() : result.message
  }
  assert.equal(read('a\\"\\n\\/\\\\', '"'), 'a"\n/\\')
  assert.equal(read('a\\ b', '"'), 'a\\b')
  assert.match(read("\\'", '"'), /no such escape/)
})

test('expressions that RE2 would refuse in POSIX mode are refused', () => {
  for (const good of ['a|b', '(x+)*y{2,3}', '[[:alpha:]_]+', '[]a]', '\\.', 'a{', '^x$'])
    assert.equal(regexFault(good), undefined, good)
  for (const bad of ['(', ')', '[a', '*a', 'a**', '(?i)x', '\\1', '\\d', 'x{2,1}', 'x{1001}', 'a\\'])
    assert.notEqual(regexFault(bad), undefined, bad)
})
