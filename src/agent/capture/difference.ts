/** What changes between two sets of policies on the same capture: hits that appear, disappear, or act otherwise. */
import type { HullguardRecord } from '../../record/model.js'
import type { TrialHit } from './trial.js'

/** One event under one rule. */
export interface ChangedHit {
  before: TrialHit | undefined
  after: TrialHit | undefined
  record: HullguardRecord
}

export interface RuleDifference {
  policy: string
  rule: string
  appeared: readonly ChangedHit[]
  disappeared: readonly ChangedHit[]
  /** Hit before and after, with another action. */
  changed: readonly ChangedHit[]
  /** Hit before and after, with the same action. */
  sameCount: number
}

/** By rule, in the order in which they first hit; rules without any hit on either side are not in it. */
export function differenceOf(before: readonly TrialHit[], after: readonly TrialHit[]): RuleDifference[] {
  const pairs = new Map<string, Map<number, { before?: TrialHit; after?: TrialHit }>>()
  const put = (hit: TrialHit, side: 'before' | 'after') => {
    const key = `${hit.record.alert?.policy}\0${hit.record.alert?.rule}`
    const ofRule = pairs.get(key) ?? new Map<number, { before?: TrialHit; after?: TrialHit }>()
    pairs.set(key, ofRule)
    ofRule.set(hit.entry, { ...ofRule.get(hit.entry), [side]: hit })
  }
  for (const hit of before) put(hit, 'before')
  for (const hit of after) put(hit, 'after')
  return [...pairs].map(([key, ofRule]) => ruleDifference(key, [...ofRule.values()]))
}

function ruleDifference(key: string, pairs: readonly { before?: TrialHit; after?: TrialHit }[]): RuleDifference {
  const [policy = '', rule = ''] = key.split('\0')
  const hits = pairs.flatMap(({ before, after }) => {
    const record = (after ?? before)?.record
    return record === undefined ? [] : [{ before, after, record }]
  })
  const isSame = ({ before, after }: ChangedHit) => actionOf(before) === actionOf(after)
  const both = hits.filter(({ before, after }) => before !== undefined && after !== undefined)
  return {
    policy,
    rule,
    appeared: hits.filter(({ before }) => before === undefined),
    disappeared: hits.filter(({ after }) => after === undefined),
    changed: both.filter((hit) => !isSame(hit)),
    sameCount: both.filter(isSame).length,
  }
}

function actionOf(hit: TrialHit | undefined): string {
  return `${hit?.record.alert?.actionTaken} ${hit?.outcome}`
}
