/** What the tests beside policies came to: as text and as JSON. */
import type { TestOutcome } from '../agent/policy-tests/run-tests.js'
import type { TestEvent } from '../policy/model.js'
import { visible } from '../record/visible.js'
import { counted } from './counted.js'

/** Each failure with what was expected and what came, then the count. */
export function outcomesToText(outcomes: readonly TestOutcome[], isTried: boolean): string {
  if (outcomes.length === 0)
    return isTried ? '' : 'no tests stand beside these policies: see `tests:` in docs/policy-language.md\n'
  const failed = outcomes.filter(({ passed }) => !passed)
  const policyCount = new Set(outcomes.map(({ policy }) => policy)).size
  const counts = `${counted(outcomes.length, 'test')} of ${counted(policyCount, 'policy', 'policies')}`
  const result =
    failed.length === 0 ? 'all passed' : `${outcomes.length - failed.length} passed, ${failed.length} failed`
  return `${failed.map(failureToText).join('')}${counts}: ${result}\n`
}

function failureToText({ policy, test, hits, fault }: TestOutcome): string {
  const { name, span, expect, event } = test
  const lines = [
    `FAILED ${visible(policy)}: ${name === '' ? 'a test without a name' : visible(name)}`,
    `  at       ${visible(span.file)}:${span.line}:${span.column}`,
    `  event    ${visible(eventToText(event))}`,
    `  expected ${rulesToText(expect)}`,
    fault === '' ? `  got      ${rulesToText(hits)}` : `  not run  ${visible(fault)}`,
  ]
  const missing = expect.filter((rule) => !hits.includes(rule))
  const extra = hits.filter((rule) => !expect.includes(rule))
  if (fault === '' && missing.length > 0) lines.push(`  missing  ${rulesToText(missing)}`)
  if (fault === '' && extra.length > 0) lines.push(`  too many ${rulesToText(extra)}`)
  return `${lines.join('\n')}\n`
}

function eventToText({ kind, body, container, process, setup }: TestEvent): string {
  const parts: [string, object][] = [[kind, body]]
  if (Object.keys(container).length > 0) parts.push(['container', container])
  if (Object.keys(process).length > 0) parts.push(['process', process])
  return `${parts.map(([name, values]) => `${name} ${JSON.stringify(values)}`).join(', ')}${setup ? ', setup' : ''}`
}

function rulesToText(rules: readonly string[]): string {
  return rules.length === 0 ? 'none' : rules.map(visible).join(', ')
}

export function outcomeToJson({ policy, test, passed, hits, fault }: TestOutcome): object {
  const { name, span, expect } = test
  return {
    ...{ policy, test: name, file: span.file, line: span.line, column: span.column },
    ...{ passed, expected: expect, got: hits, fault: fault === '' ? null : fault },
  }
}
