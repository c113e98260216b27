/**
 * What the policy loader says about user input: many diagnostics a run, each with a stable code, a place and a reason.
 * The sink is bounded; what does not fit is counted, and an error counts as an error whether it was kept or not, so that
 * a file with errors is never loaded because there were too many of them.
 */
import { ERRORS, type ErrorCode, type ErrorName } from '../telemetry/generated/errors.js'
import type { SourceSpan } from './model.js'

export type PolicyErrorName = Extract<ErrorName, `policy_${string}` | `condition_${string}` | `falco_${string}`>

export interface Diagnostic {
  readonly code: ErrorCode
  /** A file with an error is refused whole; a warning refuses nothing. */
  readonly severity: 'error' | 'warning'
  /** Lowercase, no period, user text in backticks and made visible. */
  readonly message: string
  readonly span: SourceSpan
  readonly help?: string
  /** Names of the policy and rule it stands in, where they are known. */
  readonly policy?: string
  readonly rule?: string
}

/** A person reads these; a hundred is already more than anyone corrects in one go. */
export const DIAGNOSTICS_MAX_COUNT = 100

export interface Place {
  policy?: string
  rule?: string
}

export class DiagnosticSink {
  readonly #kept: Diagnostic[] = []
  readonly #maxCount: number
  #omittedCount = 0
  #errorCount = 0

  constructor(maxCount = DIAGNOSTICS_MAX_COUNT) {
    this.#maxCount = maxCount
  }

  get kept(): readonly Diagnostic[] {
    return this.#kept
  }

  get omittedCount(): number {
    return this.#omittedCount
  }

  /** Errors so far, omitted ones included. */
  get errorCount(): number {
    return this.#errorCount
  }

  /** What is added now is only counted: a caller may spare itself the work of placing it. */
  get full(): boolean {
    return this.#kept.length >= this.#maxCount
  }

  omitError(): void {
    this.#errorCount++
    this.#omittedCount++
  }

  add(diagnostic: Diagnostic): void {
    if (diagnostic.severity === 'error') this.#errorCount++
    if (this.#kept.length < this.#maxCount) this.#kept.push(diagnostic)
    else this.#omittedCount++
  }

  error(name: PolicyErrorName, span: SourceSpan, message: string, help?: string, place?: Place): void {
    this.add({ ...diagnosticOf(name, 'error', span, message, help), ...place })
  }

  warning(name: PolicyErrorName, span: SourceSpan, message: string, help?: string, place?: Place): void {
    this.add({ ...diagnosticOf(name, 'warning', span, message, help), ...place })
  }
}

export function diagnosticOf(
  name: PolicyErrorName,
  severity: 'error' | 'warning',
  span: SourceSpan,
  message: string,
  help?: string,
): Diagnostic {
  const base = { code: ERRORS[name].code, severity, message, span }
  return help === undefined ? base : { ...base, help }
}
