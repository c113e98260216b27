/**
 * The order of entries within a rule, as numbers: of the entries that match, the one with the highest code decides. The
 * order does not depend on the event, so it is settled when a program is compiled.
 *
 * code = 2 × (rank of the entry among all entries of the program) + 1 when it denies: on a tie deny wins.
 */
import type { NetPattern } from '../policy/model.js'
import type { ParsedPath, PathComponent } from '../policy/path-pattern.js'

/**
 * Compared as strings, left to right. The end of a pattern ranks above `**` only: where another pattern goes on after the
 * same beginning it asks for more, unless it goes on with a `**` that stands for nothing.
 */
const RANKS: Record<PathComponent['kind'], string> = { literal: '4', glob: '3', star: '2', deep: '0' }
const END = '1'
/** Rank of an exception's entries: above that of every entry of a rule. */
export const EXEMPT = '~'
export const EXEMPT_NET = Number.MAX_SAFE_INTEGER

export function pathRank(path: ParsedPath): string {
  return (path.rooted ? RANKS.literal : '') + path.components.map(({ kind }) => RANKS[kind]).join('') + END
}

/**
 * Longer network, then exact port over range over any (a narrower range first), then a protocol over any. `*` is shorter
 * than every network: `::/0` fixes no bit either, but leaves IPv4 out.
 */
export function netRank(net: NetPattern): number {
  const width = net.portTo - net.portFrom + 1
  const length = net.prefixBits === 0 && !net.ipv6Only ? 0 : net.prefixBits + 1
  return (length * 65537 + (65536 - width)) * 2 + (net.proto === 'any' ? 0 : 1)
}

/** Distinct ranks in ascending order -> their places. */
export function places<Rank extends string | number>(ranks: Iterable<Rank>): Map<Rank, number> {
  const sorted = [...new Set(ranks)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return new Map(sorted.map((rank, at) => [rank, at]))
}

export function codeOf(place: number, deny: boolean): number {
  return place * 2 + (deny ? 1 : 0)
}

/** `**` alone: an entry that names no file but says what happens to all that no other entry names. */
export function isCatchAll(path: ParsedPath): boolean {
  return path.components.length === 1 && path.components[0]?.kind === 'deep'
}
