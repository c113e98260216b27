/** What a case gives: one figure a row. */
export interface Row {
  case: string
  subject: string
  /** `name=value,…`: what was varied. */
  param: string
  metric: string
  value: number
  unit: string
  samples: number
}

export type Emit = (row: Row) => void

export interface BenchOptions {
  /** A few samples only: shows that the harness works, its figures mean nothing. */
  isQuick: boolean
  /** One of the case's PARTS, which is all that is to be measured. */
  part?: string
}

/** Why a case cannot run here; the runner skips it and says so. */
export class CannotRun extends Error {}
