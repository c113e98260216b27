/** Sizes (`512MiB`) and durations (`10s`): a number and a unit, nothing implied. */

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
])

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

export const SIZE_HELP = 'write a number and one of B, KB, MB, GB, KiB, MiB, GiB, such as `512MiB`'
export const DURATION_HELP = 'write a number and one of ms, s, m, h, d, such as `10s`'

/** Of processor time; 1000: one core. `m` is a thousandth of a core, as in Kubernetes. */
const CPU_UNITS: ReadonlyMap<string, number> = new Map([
  ['%', 10],
  ['core', 1000],
  ['cores', 1000],
  ['m', 1],
])

export const CPU_HELP = 'write `150%` (of one core), `1.5 cores` or `1500m`'

/** Whole bytes, or undefined when it is not a size or does not fit exactly. */
export function parseSizeBytes(text: string): number | undefined {
  return parse(text, SIZE_UNITS)
}

export function parseDurationMs(text: string): number | undefined {
  return parse(text, DURATION_UNITS)
}

export function parseMillicores(text: string): number | undefined {
  return parse(text, CPU_UNITS)
}

/** A whole number without a unit. */
export function parseCountText(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

function parse(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const found = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]{1,5}|%)$/.exec(text)
  const factor = found === null ? undefined : units.get(found[2] ?? '')
  if (found === null || factor === undefined) return undefined
  const value = Math.round(Number(found[1]) * factor)
  return Number.isSafeInteger(value) ? value : undefined
}
