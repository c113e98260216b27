/** The public vectors of the condition language (HULLGUARD_SHARED_DATA/falco-conformance), every one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unescapeBody } from '../../src/policy/condition/escape.js'
import { printExpression } from '../../src/policy/condition/printer.js'
import { matchesComponents, oracle } from '../support/condition-oracle.js'
import { parsed, stripSpans } from '../support/condition-text.js'
import { sharedJson } from '../support/shared-data.js'

const BAD_ESCAPE_END = 'bad escape \\ " '

interface ParserVector {
  input: string
  accept: boolean
}
const parser = sharedJson<ParserVector[]>('falco-conformance/parser.json')
test('the parser accepts and refuses as the 530 vectors say, blanks varied', { skip: parser.skip }, () => {
  assert.equal(parser.value.length, 530)
  for (const { input, accept } of parser.value) {
    const forms = [input]
    // an escaped blank is a blank: as a tab it would be no escape
    if (accept && !input.includes(BAD_ESCAPE_END.trimEnd()))
      forms.push(` ${input} `, `\t${input}\n`, input.replaceAll(' ', '\t'), input.replaceAll(' ', '\n'))
    for (const form of forms) assert.equal(parsed(form).ok, accept, JSON.stringify(form))
  }
})

test('what the vectors accept prints as text that reads back as the same tree', { skip: parser.skip }, () => {
  for (const { input, accept } of parser.value) {
    const first = parsed(input)
    if (!accept || !first.ok) continue
    const again = parsed(printExpression(first.expression))
    assert.ok(again.ok, input)
    assert.deepEqual(stripSpans(again.expression), stripSpans(first.expression), input)
  }
})

interface BooleanVector {
  filter: string
  result: boolean
}
const boolean = sharedJson<BooleanVector[]>('falco-conformance/boolean.json')
test('and, or, not and quotes evaluate as the 40 vectors say', { skip: boolean.skip }, () => {
  assert.equal(boolean.value.length, 40)
  const fields: Readonly<Record<string, string>> = {
    'c.true': '1',
    'c.false': '0',
    'c.singlequote': "hello 'quoted'",
    'c.doublequote': 'hello "quoted"',
  }
  const environment = {
    typeOf: () => 'string' as const,
    valuesOf: ({ name }: { name: string }) => (fields[name] === undefined ? undefined : [Buffer.from(fields[name])]),
    macro: () => undefined,
    list: () => undefined,
  }
  for (const { filter, result } of boolean.value) {
    const read = parsed(filter)
    assert.ok(read.ok, filter)
    assert.equal(oracle(read.expression, environment), result, filter)
  }
})

interface EscapeVector {
  body: string
  expect_expr?: string
  throws?: boolean
}
const escaping = sharedJson<EscapeVector[]>('falco-conformance/escaping.json')
test('escapes become bytes as the 19 vectors say', { skip: escaping.skip }, () => {
  assert.equal(escaping.value.length, 19)
  for (const { body, expect_expr: expected, throws } of escaping.value) {
    const read = unescapeBody(body, '"')
    assert.equal(read.ok, throws !== true, body)
    if (read.ok) assert.deepEqual(Buffer.from(read.bytes), expectedBytes(expected ?? ''), body)
  }
})

/** The vectors hold the C++ expressions of their source. */
function expectedBytes(expression: string): Buffer {
  if (expression === 'ff_fe') return Buffer.from([0xff, 0xfe])
  if (expression === 'a_ff_b') return Buffer.from([0x61, 0xff, 0x62])
  const byte = /static_cast<char>\(0x([0-9a-f]+)\)/.exec(expression)?.[1]
  if (byte !== undefined) return Buffer.from(byte, 'hex')
  const text = /["'](.*)["']/.exec(expression)?.[1]
  assert.ok(text !== undefined, expression)
  return Buffer.from(text.replaceAll('\\0', '\0'))
}

interface PrefixVector {
  paths: string[]
  path: string
  match: boolean
}
const prefixes = sharedJson<PrefixVector[]>('falco-conformance/prefix_search.json')
test('pmatch matches components as the 15 vectors say', { skip: prefixes.skip }, () => {
  assert.equal(prefixes.value.length, 15)
  for (const { paths, path, match } of prefixes.value)
    assert.equal(
      paths.some((prefix) => matchesComponents(Buffer.from(prefix), Buffer.from(path))),
      match,
      `${path} in ${paths}`,
    )
})
