/** What a trial of policies on a capture came to, rule by rule: as text and as JSON. */
import type { RuleTrial, TrialHit } from '../agent/capture/trial.js'
import type { Policy } from '../policy/model.js'
import { formatTime } from '../record/time.js'
import { visible } from '../record/visible.js'

export function trialToText(row: RuleTrial, policies: readonly Policy[]): string {
  const { hitsCount, containers, outcomes, examples } = row
  const isObserving = policies.some(({ name, mode }) => name === row.policy && mode !== 'block')
  const lines = [`${visible(row.policy)}: ${visible(row.rule)}`, `  ${verdictOf(row)}`]
  if (hitsCount > 0) {
    lines.push(`  in ${containers.map(({ name, hitsCount: count }) => `${visible(name)} (${count})`).join(', ')}`)
    const acted = outcomes.map(({ outcome, count }) => `${count} ${outcome.replaceAll('_', ' ')}`)
    if (acted.length > 0)
      lines.push(
        `  blocking mode: ${acted.join(', ')}${isObserving ? ' (the policy itself observes: alerts only)' : ''}`,
      )
    for (const hit of examples) lines.push(...example(hit))
    if (hitsCount > examples.length) lines.push(`    and ${hitsCount - examples.length} more`)
  }
  return `${lines.join('\n')}\n`
}

function verdictOf({ state, lacks, hitsCount, action }: RuleTrial): string {
  const asks = action === 'alert' ? '' : `, asks for ${action}`
  const hits = `${hitsCount === 0 ? 'no hit' : hitsCount === 1 ? '1 hit' : `${hitsCount} hits`}${asks}`
  switch (state) {
    case 'disabled':
      return 'switched off'
    case 'no_container':
      return 'no container of this capture is selected'
    case 'not_evaluable':
      return `not evaluable: capture lacks ${lacks.join(', ')}${hitsCount === 0 ? '' : `; ${hits}`}`
    case 'partly':
      return `${hits}; partly evaluable: capture lacks ${lacks.join(', ')} for some containers`
    default:
      return hits
  }
}

function example({ record, said }: TrialHit): string[] {
  const output = visible(record.alert?.output ?? '')
  return [`    ${formatTime(record.timeNs)} ${output}`, ...(said === '' ? [] : [`      ${said}`])]
}

export function trialToJson({
  policy,
  rule,
  action,
  state,
  lacks,
  hitsCount,
  containers,
  outcomes,
  examples,
}: RuleTrial): object {
  return {
    ...{ policy, rule, action, state, lacks },
    hits: hitsCount,
    containers: containers.map(({ name, hitsCount: count }) => ({ name, hits: count })),
    blocking: outcomes,
    examples: examples.map(({ record, outcome, said }) => ({
      time: formatTime(record.timeNs),
      container: record.container.name,
      output: record.alert?.output ?? '',
      outcome: outcome ?? null,
      said,
    })),
  }
}
