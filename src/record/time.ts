/** UTC ns since the epoch, to and from RFC 3339 with nine digits. */

const NS_PER_MS = 1_000_000n

export function formatTime(timeNs: bigint): string {
  let ms = timeNs / NS_PER_MS
  let rest = timeNs % NS_PER_MS
  if (rest < 0n) {
    ms -= 1n
    rest += NS_PER_MS
  }
  return `${new Date(Number(ms)).toISOString().slice(0, -1)}${rest.toString().padStart(6, '0')}Z`
}

/** Undefined when the text is no RFC 3339 time. Digits beyond the ninth are dropped. */
export function parseTime(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$/.exec(text)
  if (match === null) return undefined
  const [, date, clock, fraction = '', zone] = match
  const ms = Date.parse(`${date}T${clock}${zone?.toUpperCase()}`)
  // A day that its month does not have is taken for one of the next month.
  if (Number.isNaN(ms) || !new Date(`${date}T00:00:00Z`).toISOString().startsWith(`${date}`)) return undefined
  return BigInt(ms) * NS_PER_MS + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
}
