/**
 * No text may crash or hang what reads conditions and rules files, and what is accepted compiles and matches without throwing.
 * Repeat a failure with FC_SEED=….
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileConditions } from '../../src/match/conditions/compile.js'
import type { FieldReader } from '../../src/match/conditions/types.js'
import { type FieldValues, InternedText } from '../../src/match/conditions/values.js'
import { loadFalcoRules } from '../../src/policy/falco/load.js'
import { EVENT_TYPES } from '../../src/record/fields/events.js'
import { findField } from '../../src/record/fields/table.js'
import { seedOf } from '../support/seed.js'
import { conditionText, doubleNegationText } from './condition-generators.js'

const PIECES = [
  'and',
  'or',
  'not',
  'not(',
  '(',
  ')',
  ',',
  '"',
  "'",
  '\\',
  '\\x41',
  '[',
  ']',
  '[1]',
  '*',
  '?',
  '{2}',
  '{',
  '|',
  '^',
  '$',
  '.',
  '/',
  '-',
  '0',
  '443',
  'proc.name',
  'fd.name',
  'fd.snet',
  'fd.ip',
  'fd.types',
  'proc.aname',
  'evt.type',
  'evt.rawres',
  'user.uid',
  'evt.buffer',
  '=',
  '!=',
  '<',
  '>=',
  'in',
  'in (',
  'intersects',
  'pmatch (',
  'glob',
  'iglob',
  'regex',
  'contains',
  'startswith',
  'endswith',
  'exists',
  'oneof (',
  'allof (',
  'anyof (',
  'val(',
  'tolower(',
  'len(',
  'join(',
  'getopt(',
  'm',
  'shells',
  'openat',
  'execve',
  'true',
  '10.0.0.0/8',
  '::1',
  '"(a|b)*"',
  '"[[:alpha:]]+"',
  '"[a-"',
  '"a{1000}"',
  '\u00e9',
  '\ufffd',
  '\0',
]
const eventTypes = EVENT_TYPES.map(({ name }) => name)

/** Gives every field something, of every kind of value in turn. */
class AnyReader implements FieldReader {
  turn = 0
  readonly #types: readonly (string | undefined)[]
  readonly #text = new InternedText(Uint8Array.from(Buffer.from('/a/b -c\n\xff', 'latin1')))
  readonly #bytes = Uint8Array.from({ length: 64 }, (_, at) => (at * 37) & 0xff)

  constructor(types: readonly string[]) {
    this.#types = types
  }

  read(operand: number, into: FieldValues): void {
    const turn = this.turn++ % 4
    if (turn === 0) return
    switch (this.#types[operand]) {
      case 'string':
      case 'bytes':
      case 'list':
        if (turn === 1) into.addText(this.#text)
        else if (turn === 2) into.addBytes(this.#bytes, turn, 64)
        else into.addBytes(this.#bytes, 0, 0)
        return
      case 'ip':
      case 'net':
        into.addAddress(this.#bytes, turn)
        return
      case 'bool':
        into.addBoolean(turn === 1)
        return
      default:
        into.addNumber(turn - 2)
    }
  }
}

function loadAndMatch(bytes: Uint8Array): number {
  const { rules, macros, lists } = loadFalcoRules([{ file: 'fuzz.yaml', bytes }])
  const program = compileConditions({
    rules: rules.map((rule) => ({ ...rule, scope: 0 })),
    macros,
    list: (name) => lists.values(name),
    fieldType: (name) => findField(name)?.type,
    eventTypes,
  })
  const reader = new AnyReader(program.operands.map(({ type }) => type))
  const hits = { rules: new Uint32Array(rules.length), count: 0 }
  for (let round = 0; round < 4; round++)
    for (const type of eventTypes.keys()) program.match(program.profileOf([0]), type, reader, hits)
  assert.ok(program.describe().length > 0)
  return rules.length
}

const fileOf = (condition: string) =>
  Buffer.from(
    `- list: shells\n  items: [sh, bash]\n- macro: m\n  condition: proc.name in (shells)\n- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: ${JSON.stringify(condition)}\n`,
  )

test('words of the language in any order', () => {
  const text = fc.array(fc.constantFrom(...PIECES), { maxLength: 25 }).map((parts) => parts.join(' '))
  fc.assert(
    fc.property(text, (each) => {
      loadAndMatch(fileOf(each))
    }),
    seedOf(1500),
  )
})

test('good conditions, whole and with a piece cut out or put in', () => {
  const edit = fc.record({ at: fc.nat(300), cut: fc.nat(8), piece: fc.constantFrom('', ...PIECES) })
  let acceptedCount = 0
  fc.assert(
    fc.property(fc.oneof(conditionText, doubleNegationText), fc.array(edit, { maxLength: 2 }), (text, edits) => {
      let edited = text
      for (const { at, cut, piece } of edits) edited = edited.slice(0, at) + piece + edited.slice(at + cut)
      acceptedCount += loadAndMatch(fileOf(edited))
    }),
    seedOf(800),
  )
  assert.ok(acceptedCount > 20, `only ${acceptedCount} conditions were accepted`)
})

test('any YAML in the place of a rules file', () => {
  const keys = [
    'rule',
    'macro',
    'list',
    'condition',
    'items',
    'output',
    'desc',
    'priority',
    'exceptions',
    'fields',
    'comps',
    'values',
    'override',
    'append',
    'tags',
    'enabled',
  ]
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.oneof(
        fc.constantFrom('proc.name = a', 'm', 'shells', 'INFO', 'replace', '(', 'evt.type = execve'),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.string({ maxLength: 8 }),
      ),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...keys), tie('value'), { maxKeys: 6 }),
    ),
  }))
  fc.assert(
    fc.property(value, (each) => {
      loadAndMatch(Buffer.from(JSON.stringify(each)))
    }),
    seedOf(800),
  )
})

test('random bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1000 }), (bytes) => {
      loadAndMatch(bytes)
    }),
    seedOf(200),
  )
})
