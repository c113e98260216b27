/**
 * Rule engines from npm on the same conditions, for the reader: json-rules-engine with the condition as its tree of all, any and
 * not and one custom operator for each comparison; a CEL evaluator with the condition as CEL text. Both look at every rule of the
 * event's type: neither has an index.
 */
import { Environment } from '@marcbachmann/cel-js'
import { Engine, type NestedCondition } from 'json-rules-engine'
import type { ConditionInput } from '../../src/match/conditions/types.js'
import type { Check, Expression } from '../../src/policy/condition/ast.js'
import { textOf } from '../../src/policy/condition/check.js'
import { printOperand } from '../../src/policy/condition/printer.js'
import { testOf, wantedOf } from './condition-closures.js'
import { type ConditionEvent, type EventSet, fieldAt, type Value } from './condition-events.js'

type Tests = ((value: string | number) => boolean)[]

export interface Rival {
  hits(event: ConditionEvent): Promise<number[]> | number[]
}

interface Facts {
  readonly [name: string]: Value
}

/** What the conditions read, by name, and their tests. */
class Leaves {
  readonly tests: Tests = []
  /** Name as a variable -> place in the event. */
  readonly #fields = new Map<string, number>()
  readonly #input: ConditionInput
  readonly #set: EventSet

  constructor(input: ConditionInput, set: EventSet) {
    this.#input = input
    this.#set = set
  }

  add(check: Check): { field: string; type: string; wanted: readonly string[]; test: number } {
    if (check.left.kind !== 'field') throw new Error('transformers are not in the generated rules')
    const { name, argument } = check.left
    const field = printOperand(check.left).replace(/\W/g, '_')
    if (!this.#fields.has(field))
      this.#fields.set(field, fieldAt(this.#set, name, argument === undefined ? undefined : textOf(argument)))
    const type = this.#input.fieldType(name) ?? 'string'
    const wanted = wantedOf(this.#input, check.right)
    return { field, type, wanted, test: this.tests.push(testOf(check, type, wanted)) - 1 }
  }

  holds(test: number, value: Value): boolean {
    const holds = this.tests[test]
    if (holds === undefined || value === undefined || value === null) return false
    return typeof value === 'object' ? value.some(holds) : holds(value)
  }

  facts(event: ConditionEvent): Facts {
    return Object.fromEntries([...this.#fields].map(([field, at]) => [field, event.values[at]]))
  }
}

export function jsonRulesEngine(input: ConditionInput, set: EventSet): Rival {
  const leaves = new Leaves(input, set)
  const engines = new Map<string, Engine>()
  const condition = (expression: Expression): NestedCondition => {
    switch (expression.kind) {
      case 'not':
        return { not: condition(expression.operand) }
      case 'and':
        return { all: expression.operands.map(condition) }
      case 'or':
        return { any: expression.operands.map(condition) }
      case 'macro':
        return condition(macroOf(input, expression.name))
      default: {
        const { field, test } = leaves.add(expression)
        return { fact: field, operator: 'test', value: test }
      }
    }
  }
  for (const [rule, { condition: expression, eventTypes }] of input.rules.entries())
    for (const type of eventTypes) {
      const engine = engines.get(type) ?? new Engine([], { allowUndefinedFacts: true })
      engines.set(type, engine)
      engine.addRule({ conditions: { all: [condition(expression)] }, event: { type: String(rule) } })
    }
  for (const engine of engines.values())
    engine.addOperator('test', (value: Value, test: number) => leaves.holds(test, value))
  return {
    hits: async (event) => {
      const engine = engines.get(event.type)
      if (engine === undefined) return []
      const { events } = await engine.run(leaves.facts(event))
      return events.map(({ type }) => Number(type)).sort((a, b) => a - b)
    },
  }
}

export function cel(input: ConditionInput, set: EventSet): Rival {
  const leaves = new Leaves(input, set)
  const environment = new Environment({ unlistedVariablesAreDyn: true })
  environment.registerFunction('test(int, dyn): bool', (test, value) => leaves.holds(Number(test), value))
  const buckets = new Map<string, { rule: number; holds: (facts: Readonly<Record<string, unknown>>) => unknown }[]>()
  for (const [rule, { condition, eventTypes }] of input.rules.entries()) {
    const holds = environment.parse(celText(input, condition, leaves))
    for (const type of eventTypes) {
      const bucket = buckets.get(type) ?? []
      bucket.push({ rule, holds })
      buckets.set(type, bucket)
    }
  }
  return {
    hits: (event) => {
      const facts: Record<string, unknown> = leaves.facts(event)
      for (const [field, value] of Object.entries(facts)) if (value === undefined) facts[field] = null
      return (buckets.get(event.type) ?? []).flatMap(({ rule, holds }) => (holds(facts) === true ? [rule] : []))
    },
  }
}

function celText(input: ConditionInput, expression: Expression, leaves: Leaves): string {
  switch (expression.kind) {
    case 'not':
      return `!(${celText(input, expression.operand, leaves)})`
    case 'and':
    case 'or': {
      const parts = expression.operands.map((each) => celText(input, each, leaves))
      return `(${parts.join(expression.kind === 'and' ? ' && ' : ' || ')})`
    }
    case 'macro':
      return celText(input, macroOf(input, expression.name), leaves)
    default:
      return celCheck(expression, leaves)
  }
}

/** In CEL's own words where it has them; else by a function. */
function celCheck(check: Check, leaves: Leaves): string {
  const { field, type, wanted, test } = leaves.add(check)
  const isSeveral = field === 'proc_aname'
  const [first = ''] = wanted
  const call = { startswith: 'startsWith', endswith: 'endsWith', contains: 'contains' }[String(check.operator)]
  if (type !== 'string' || isSeveral) return `test(${test}, ${field})`
  if (call !== undefined) return `(${field} != null && ${field}.${call}(${JSON.stringify(first)}))`
  if (check.operator === '=') return `(${field} == ${JSON.stringify(first)})`
  if (check.operator === '!=') return `(${field} != null && ${field} != ${JSON.stringify(first)})`
  if (check.operator === 'in') return `(${field} in [${wanted.map((each) => JSON.stringify(each)).join(', ')}])`
  return `test(${test}, ${field})`
}

function macroOf(input: ConditionInput, name: string): Expression {
  const macro = input.macros.get(name)
  if (macro === undefined) throw new Error(name)
  return macro
}
