/** Rows as a table for people. */
import type { Row } from './row.js'

const HEAD = ['case', 'subject', 'param', 'metric', 'value', 'unit', 'samples'] as const
const RIGHT = new Set<string>(['value', 'samples'])

export function toTable(rows: readonly Row[]): string {
  const cells = [HEAD, ...rows.map((row) => HEAD.map((key) => String(row[key])))]
  const widths = HEAD.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)))
  return cells
    .map((line) =>
      line
        .map((cell, column) => {
          const width = widths[column] ?? 0
          return RIGHT.has(HEAD[column] ?? '') ? cell.padStart(width) : cell.padEnd(width)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
