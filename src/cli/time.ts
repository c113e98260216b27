/** Times on the command line: an age (`90s`, `5m`, `2h`, `3d`) or an RFC 3339 time. */
import { parseTime as parseRecordTime } from '../record/time.js'
import { HullguardError } from '../telemetry/errors.js'

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** UTC ns. Throws HullguardError usage. */
export function parseTime(text: string, option: string, nowMs = Date.now()): bigint {
  const age = /^(\d{1,6})([smhd])$/.exec(text)
  const unit = age?.[2]
  if (unit !== undefined) return BigInt(nowMs - Number(age?.[1]) * UNIT_MS[unit as keyof typeof UNIT_MS]) * 1_000_000n
  const atNs = parseRecordTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
  if (atNs === undefined)
    throw new HullguardError('usage', `${option}: expected an age like 5m or an RFC 3339 time, received \`${text}\``)
  return atNs
}

/** A length of time: `90s`, `5m`, `2h`, `3d`. Throws HullguardError usage. */
export function parseDurationMs(text: string, option: string): number {
  const found = /^(\d{1,6})([smhd])$/.exec(text)
  const unit = found?.[2]
  const ms = unit === undefined ? 0 : Number(found?.[1]) * UNIT_MS[unit as keyof typeof UNIT_MS]
  if (ms <= 0) throw new HullguardError('usage', `${option}: expected a time like 60s or 5m, received \`${text}\``)
  return ms
}
