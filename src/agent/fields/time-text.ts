/** Times of events as Falco writes them; here always UTC. */

const NS_IN_MS = 1_000_000n
const NS_IN_S = 1_000_000_000n

/** `2026-11-24T00:01:02.003004005Z` */
export function isoText(timeNs: bigint): string {
  const seconds = new Date(Number(timeNs / NS_IN_MS)).toISOString().slice(0, 19)
  return `${seconds}.${String(timeNs % NS_IN_S).padStart(9, '0')}Z`
}

/** `00:01:02.003004005` */
export function timeText(timeNs: bigint): string {
  return isoText(timeNs).slice(11, -1)
}

/** `2026-11-24 00:01:02.003004005` */
export function dateTimeText(timeNs: bigint): string {
  return isoText(timeNs).slice(0, -1).replace('T', ' ')
}
