/**
 * Exceptions of rules at a point in time: what has expired is left out, and where entries are sets of numbers (system calls,
 * capabilities) the exceptions are worked into them. Runs when a program is compiled, never per event.
 */
import type { Expression } from '../policy/condition/ast.js'
import type { ConditionRule, Policy, Rule, RuleException } from '../policy/model.js'

/** The rule with the exceptions that count at `nowMs` (UTC). */
export function withLiveExceptions(rule: Rule, nowMs: number): Rule {
  if (rule.exceptions.length === 0) return rule
  switch (rule.kind) {
    case 'syscall':
    case 'capability': {
      const exceptions = live(rule.exceptions, nowMs)
      const excepted = exceptions.flatMap(({ match }) => match)
      return {
        ...rule,
        exceptions,
        deny: new Set([...rule.deny].filter((number) => !excepted.includes(number))),
        ...(rule.allow === undefined ? {} : { allow: new Set([...rule.allow, ...excepted]) }),
      }
    }
    case 'exec':
      return { ...rule, exceptions: live(rule.exceptions, nowMs) }
    case 'file':
      return { ...rule, exceptions: live(rule.exceptions, nowMs) }
    case 'connect':
      return { ...rule, exceptions: live(rule.exceptions, nowMs) }
    case 'listen':
      return { ...rule, exceptions: live(rule.exceptions, nowMs) }
    case 'signal':
      return { ...rule, exceptions: live(rule.exceptions, nowMs) }
    case 'mount':
      return { ...rule, exceptions: live(rule.exceptions, nowMs) }
    default:
      return { ...rule, exceptions: live(rule.exceptions, nowMs) }
  }
}

function live<Entry>(exceptions: readonly RuleException<Entry>[], nowMs: number): RuleException<Entry>[] {
  return exceptions.filter(({ untilMs }) => untilMs === undefined || untilMs > nowMs)
}

/** A condition rule's condition, less its exceptions. */
export function conditionInForce({ condition, exceptions }: ConditionRule): Expression {
  const negations = exceptions.flatMap(({ condition: excepted }): Expression[] => {
    if (excepted === undefined) return []
    // two negations in a row are none
    return [excepted.kind === 'not' ? excepted.operand : { kind: 'not', operand: excepted, span: excepted.span }]
  })
  return negations.length === 0 ? condition : { kind: 'and', operands: [condition, ...negations], span: condition.span }
}

/** The next time at which an exception of these policies expires; undefined: none will. */
export function nextExpiryMs(policies: readonly Policy[], nowMs: number): number | undefined {
  let next: number | undefined
  for (const { rules } of policies)
    for (const { exceptions } of rules)
      for (const { untilMs } of exceptions)
        if (untilMs !== undefined && untilMs > nowMs && (next === undefined || untilMs < next)) next = untilMs
  return next
}
