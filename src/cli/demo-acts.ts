/**
 * What the demo's container does, in order, and what each act must come to: in the container's own experience and in the
 * records. An act counts as stopped only when both say so. policies/demo.yaml holds the rules.
 */
import type { AlertBody, HullguardRecord, Outcome } from '../record/model.js'
import { type Experience, wasKilled } from './demo-container.js'

export type Expected = 'seen' | 'alerted' | 'stopped'

export interface Act {
  /** For the container's program. */
  word: string
  title: string
  expected: Expected
  /** How the container fared, in a few words. */
  fared(experience: Experience): string
  /** The container went through what is expected. */
  isAsExpected(experience: Experience): boolean
  /** This record is hullguard's word on the act. */
  isTold(record: HullguardRecord): boolean
}

const REFUSED = /operation not permitted/i

const plainly = ({ status, said }: Experience): string =>
  status === 0 ? (said === '' ? 'it ran' : `it ran: ${said}`) : `it failed: ${said || `status ${status}`}`
const harshly = (experience: Experience): string => (wasKilled(experience) ? 'killed (SIGKILL)' : plainly(experience))
const isFine = ({ status }: Experience): boolean => status === 0

export const ACTS: readonly Act[] = [
  {
    word: 'serve',
    title: 'starts its web server',
    expected: 'seen',
    fared: plainly,
    isAsExpected: isFine,
    isTold: (record) => record.exec?.path.endsWith('/httpd') === true && record.kind === 'exec',
  },
  {
    word: 'fetch',
    title: 'fetches its own page',
    expected: 'seen',
    fared: plainly,
    isAsExpected: ({ status, said }) => status === 0 && said === 'hello',
    isTold: (record) => record.kind === 'connect' && record.connect?.ip === '127.0.0.1',
  },
  {
    word: 'look',
    title: "reads the kernel's log",
    expected: 'alerted',
    fared: ({ said }) => (REFUSED.test(said) ? 'it ran, to no avail' : 'it ran'),
    isAsExpected: (experience) => !wasKilled(experience),
    isTold: (record) => isAlert(record, "does not read the kernel's log"),
  },
  {
    word: 'tool',
    title: 'runs nc',
    expected: 'stopped',
    fared: harshly,
    isAsExpected: wasKilled,
    isTold: (record) => isAction(record, 'no netcat', ['killed_before_effect']),
  },
  {
    word: 'call',
    title: 'calls 169.254.169.254:80',
    expected: 'stopped',
    fared: ({ status, said }) =>
      status !== 0 && REFUSED.test(said) ? 'refused: Operation not permitted' : plainly({ status, said }),
    isAsExpected: ({ status, said }) => status !== 0 && REFUSED.test(said),
    isTold: (record) => isAction(record, 'talks to itself only', ['denied']),
  },
  {
    word: 'grow',
    title: 'takes 128 MiB of memory',
    expected: 'stopped',
    fared: harshly,
    isAsExpected: wasKilled,
    isTold: (record) => isAction(record, 'at most 64 MiB of memory', ['killed_after_effect']),
  },
]

function isAlert({ kind, alert }: HullguardRecord, rule: string): boolean {
  return kind === 'alert' && alert?.rule === rule
}

function isAction({ kind, alert }: HullguardRecord, rule: string, outcomes: readonly Outcome[]): boolean {
  return kind === 'action' && alert?.rule === rule && outcomes.includes(alert.outcome)
}

/** hullguard's word on an act, in a few words. */
export function tell(record: HullguardRecord): string {
  const { alert, exec, connect, process } = record
  if (alert !== undefined) return record.kind === 'action' ? tellAction(alert) : `${alert.priority}: ${alert.rule}`
  if (exec !== undefined) return [exec.path, ...(process?.args ?? []).slice(1)].join(' ')
  if (connect !== undefined) return `connect to ${connect.ip}:${connect.port}/${connect.proto}`
  return record.kind
}

const OUTCOMES: Partial<Record<Outcome, string>> = {
  killed_before_effect: 'killed before its first instruction',
  killed_after_effect: 'killed after the fact',
  denied: 'connect refused',
}

function tellAction({ outcome, hook, rule }: AlertBody): string {
  return `${OUTCOMES[outcome] ?? outcome} by ${hook}: ${rule}`
}
