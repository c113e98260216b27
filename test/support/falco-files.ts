/** Rules files from texts, and what the loader says of them in short. */

import type { Expression, FieldRef } from '../../src/policy/condition/ast.js'
import { type FalcoResult, loadFalcoRules } from '../../src/policy/falco/load.js'
import { findField } from '../../src/record/fields/table.js'
import { oracle } from './condition-oracle.js'

/** Named 1.yaml, 2.yaml, … in order. */
export function loadTexts(...texts: readonly string[]): FalcoResult {
  return loadFalcoRules(texts.map((text, index) => ({ file: `${index + 1}.yaml`, bytes: Buffer.from(text) })))
}

/** A rule with that condition, and nothing else to remark. */
export function ruleText(condition: string, more = ''): string {
  return `- rule: r\n  desc: d\n  condition: ${condition}\n  output: o\n  priority: INFO\n${more}`
}

/** `LINE:COLUMN CODE message` of each. */
export function lines(result: FalcoResult, severity: 'error' | 'warning'): string[] {
  return result.diagnostics
    .filter((each) => each.severity === severity)
    .map(({ span, code, message }) => `${span.line}:${span.column} ${code} ${message}`)
}

/** Does the rule's condition hold for these fields, as the oracle sees it. */
export function holds(result: FalcoResult, rule: string, fields: Readonly<Record<string, string>>): boolean {
  const found = result.rules.find(({ name }) => name === rule)
  if (found === undefined) throw new Error(`the rule ${rule} is not loaded`)
  return oracle(found.condition, {
    typeOf: ({ name }: FieldRef) => findField(name)?.type ?? 'string',
    valuesOf: ({ name }: FieldRef) => (fields[name] === undefined ? undefined : [Buffer.from(fields[name])]),
    macro: (name: string): Expression | undefined => result.macros.get(name),
    list: (name: string) => result.lists.values(name),
  })
}
