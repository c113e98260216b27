/**
 * Text from outside made safe to print: control characters, terminal escapes, bidirectional overrides, invisible and
 * unassigned code points become a visible `\u{…}`, so that what a person sees is what is there. Also display widths, for
 * the caret line.
 */

/** Cc, Cf, Cs, Co, Cn, and the line and paragraph separators. */
const HOSTILE = /[\p{C}\p{Zl}\p{Zp}]/u
const HOSTILE_ALL = /[\p{C}\p{Zl}\p{Zp}]/gu
const COMBINING = /\p{M}/u

/** Names longer than this are cut in messages: the source line is shown below anyway. */
const QUOTED_MAX_COUNT = 80

export function isHostile(text: string): boolean {
  return HOSTILE.test(text)
}

export function visible(text: string): string {
  return text.replace(HOSTILE_ALL, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)
}

/** In backticks, visible, cut to a readable length. */
export function quoted(text: string): string {
  return `\`${shortened(text, QUOTED_MAX_COUNT)}\``
}

/** Visible, and no more than `maxCount` of its code points. */
export function shortened(text: string, maxCount: number): string {
  const points = [...text.slice(0, 4 * maxCount)]
  const isCut = points.length > maxCount || text.length > 4 * maxCount
  return `${visible(points.slice(0, maxCount).join(''))}${isCut ? '…' : ''}`
}

/** Columns that one visible code point takes on a terminal: East Asian wide and emoji 2, combining marks 0. */
export function widthOf(char: string): number {
  const point = char.codePointAt(0) ?? 0
  if (point < 0x300) return 1
  if (COMBINING.test(char)) return 0
  return isWide(point) ? 2 : 1
}

/** The blocks that Unicode's EastAsianWidth.txt lists as W or F, to whole blocks. */
const WIDE_RANGES: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
]

function isWide(point: number): boolean {
  return WIDE_RANGES.some(([from, to]) => point >= from && point <= to)
}
