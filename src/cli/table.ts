/** Rows of text as columns of a terminal, two blanks apart; no trailing blanks. The last cell of a row may be wider than its column. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const needed = (row: readonly string[], column: number) => (column < row.length - 1 ? (row[column]?.length ?? 0) : 0)
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => needed(row, column)))) ?? []
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0))
      return `${cells.join('  ').trimEnd()}\n`
    })
    .join('')
}
