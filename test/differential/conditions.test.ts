/** Compiled conditions against the oracle, over random rules and sequences of events. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileConditions } from '../../src/match/conditions/compile.js'
import type { ConditionInput } from '../../src/match/conditions/types.js'
import type { Expression, FieldRef } from '../../src/policy/condition/ast.js'
import { checkExpression } from '../../src/policy/condition/check.js'
import { readLiteral } from '../../src/policy/condition/literals.js'
import type { FieldType } from '../../src/record/fields/types.js'
import { expressionOf, fieldKey, hitsOf, type TestEvent, TestReader } from '../support/condition-events.js'
import { type OracleEnvironment, oracle } from '../support/condition-oracle.js'
import { seedOf } from '../support/seed.js'
import {
  conditionText,
  doubleNegationText,
  EVENT_TYPES,
  event,
  FIELDS,
  LISTS,
  negationText,
  sharingTexts,
} from './condition-generators.js'

const lists = new Map(
  Object.entries(LISTS).map(([name, values]) => [name, values.map((each) => Uint8Array.from(Buffer.from(each)))]),
)
const typeOf = (name: string): FieldType | undefined => (name === 'evt.type' ? 'string' : FIELDS[name]?.type)
const typeNames: readonly string[] = EVENT_TYPES

function isGood(expression: Expression): boolean {
  let faults = 0
  checkExpression(expression, {
    field: (name) => {
      const type = typeOf(name)
      return type && { name, type, unit: '', argument: 'optional', source: '', cost: 'event', carriedBy: [], kinds: [] }
    },
    fieldNames: () => [],
    hasMacro: () => true,
    macroNames: () => [],
    hasList: (name) => lists.has(name),
    listNames: () => [],
    listFault: (name, type) => {
      for (const bytes of lists.get(name) ?? []) {
        const literal = readLiteral(type, bytes)
        if (!literal.ok) return literal.message
      }
      return undefined
    },
    isListEmpty: (name) => lists.get(name)?.length === 0,
    eventTypeFault: () => undefined,
    error: () => faults++,
    warning: () => {},
  })
  return faults === 0
}

interface Case {
  readonly conditions: readonly Expression[]
  readonly macros: ReadonlyMap<string, Expression>
  readonly eventTypes: readonly string[][]
  readonly scopes: readonly number[]
  readonly events: readonly TestEvent[]
}

function inputOf({ conditions, macros, eventTypes, scopes }: Case): ConditionInput {
  return {
    rules: conditions.map((condition, index) => ({
      name: `r${index}`,
      condition,
      eventTypes: eventTypes[index % eventTypes.length] ?? [],
      scope: scopes[index % scopes.length] ?? 0,
    })),
    macros,
    list: (name) => lists.get(name),
    fieldType: typeOf,
    eventTypes: EVENT_TYPES,
  }
}

function expectedHits(
  { conditions, macros, eventTypes, scopes }: Case,
  of: TestEvent,
  active: readonly number[],
): number[] {
  const environment: OracleEnvironment = {
    typeOf: ({ name }: FieldRef) => typeOf(name) ?? 'string',
    valuesOf: (field: FieldRef) =>
      field.name === 'evt.type' ? [Uint8Array.from(Buffer.from(of.type))] : of.fields[fieldKey(field)],
    macro: (name) => macros.get(name),
    list: (name) => lists.get(name),
  }
  return conditions.flatMap((condition, index) => {
    const types = eventTypes[index % eventTypes.length] ?? []
    if (!types.includes(of.type) || !active.includes(scopes[index % scopes.length] ?? 0)) return []
    return oracle(condition, environment) ? [index] : []
  })
}

function check(each: Case): void {
  const input = inputOf(each)
  const program = compileConditions(input)
  const first = compileConditions(input, { firstMatch: true })
  const readers = [true, false].map((isInterning) => new TestReader(program, isInterning))
  const firstReader = new TestReader(first, true)
  const profiles = [[0], [0, 1], [1, 2], []]
  for (const [at, one] of each.events.entries())
    for (const [turn, reader] of readers.entries()) {
      const active = profiles[(at + turn) % profiles.length] ?? []
      const expected = expectedHits(each, one, active)
      const before = reader.readCount
      assert.deepEqual(hitsOf(program, reader, one, typeNames, active), expected, program.describe())
      assert.ok(reader.readCount - before <= program.operands.length, 'a field was read twice for one event')
      assert.deepEqual(hitsOf(first, firstReader, one, typeNames, active), expected.slice(0, 1), first.describe())
    }
}

const parts = (condition: fc.Arbitrary<string>, rulesMaxCount: number): fc.Arbitrary<Case> =>
  cases(fc.array(condition, { minLength: 1, maxLength: rulesMaxCount }), condition)

const cases = (rules: fc.Arbitrary<string[]>, condition: fc.Arbitrary<string>): fc.Arbitrary<Case> =>
  fc.record({
    conditions: rules.map(good),
    macros: fc.tuple(withoutMacros(condition), withoutMacros(condition)).map(
      ([m0, m1]) =>
        new Map([
          ['m0', m0],
          ['m1', m1],
        ]),
    ),
    eventTypes: fc.array(fc.subarray([...EVENT_TYPES], { minLength: 1 }), { minLength: 1, maxLength: 3 }),
    scopes: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 3 }),
    events: fc.array(event, { minLength: 1, maxLength: 12 }),
  })

function good(texts: readonly string[]): Expression[] {
  return texts.map(expressionOf).filter(isGood)
}

function withoutMacros(condition: fc.Arbitrary<string>): fc.Arbitrary<Expression> {
  return condition.map((text) => expressionOf(text.replace(/\bm[01]\b/g, 'proc.name exists'))).filter(isGood)
}

test('a program agrees with the oracle on every rule and event', () => {
  fc.assert(fc.property(parts(conditionText, 6), check), seedOf(400))
})

test('rules that only rule out: what one event leaves behind does not change the next', () => {
  fc.assert(fc.property(parts(negationText, 40), check), seedOf(300))
})

test('rules that a double negation alone holds, with the fields that they deny missing too', () => {
  let gatedCount = 0
  fc.assert(
    fc.property(parts(doubleNegationText, 20), (each) => {
      gatedCount += compileConditions(inputOf(each)).statistics.gatedCount
      check(each)
    }),
    seedOf(300),
  )
  assert.ok(gatedCount > 1000, `only ${gatedCount} rules had a gate`)
})

test('rules that share parts, of any form, which are asked for all of them at once', () => {
  let sharingCount = 0
  fc.assert(
    fc.property(cases(sharingTexts, doubleNegationText), (each) => {
      if (/^asked once/m.test(compileConditions(inputOf(each)).describe())) sharingCount++
      check(each)
    }),
    seedOf(300),
  )
  assert.ok(sharingCount > 10, `only ${sharingCount} programs asked for several rules`)
})

test('single comparisons, each on its own', () => {
  fc.assert(
    fc.property(
      parts(
        conditionText.filter((text) => !/ and | or /.test(text)),
        2,
      ),
      check,
    ),
    seedOf(500),
  )
})
