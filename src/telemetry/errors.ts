/**
 * The one error class that crosses layers. Users match `code`; the table of codes is tables/errors.json.
 * A message says what is wrong and where; the table's `action` says what to do about it.
 */
import { ERRORS, type ErrorCode, type ErrorName } from './generated/errors.js'

export type { ErrorCode, ErrorName }

export class HullguardError extends Error {
  readonly code: ErrorCode
  /** Process exit code when this error ends a command: 2 usage, 3 cannot run here, 4 internal. */
  readonly exitCode: number
  readonly action: string

  constructor(
    readonly errorName: ErrorName,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options)
    this.name = 'HullguardError'
    const row = ERRORS[errorName]
    this.code = row.code
    this.exitCode = row.exitCode
    this.action = row.action
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The errno name (`ENOSPC`, …) of a Node system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
