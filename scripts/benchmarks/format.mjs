// Figures as the page writes them. undefined is a figure that no result file has.
export const NOT_RECORDED = 'not recorded'

const isMissing = (value) => value === undefined
const or = (write) => (value) => (isMissing(value) ? NOT_RECORDED : write(value))

/** Three digits at least: 1,234; 123; 12.3; 1.23. */
function digits(value) {
  const decimals = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

export const count = or((value) => value.toLocaleString('en-US', { maximumFractionDigits: 0 }))
export const number = or(digits)
export const withUnit = (unit) => or((value) => `${digits(value)} ${unit}`)
export const countOf = (unit) => or((value) => `${count(value)} ${unit}`)
export const times = or((value) => `${digits(value)}×`)
export const change = or((ratio) => {
  const percent = ((ratio - 1) * 100).toFixed(1)
  return `${Number(percent) < 0 ? '' : '+'}${percent} %`
})
/** Bytes, in MiB. */
export const mebibytes = or((bytes) => `${digits(bytes / 2 ** 20)} MiB`)

/** Nanoseconds, in the unit that suits them. */
export const time = or((ns) => {
  const [size, unit] = [
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'µs'],
  ].find(([limit]) => ns >= limit) ?? [1, 'ns']
  return `${unit === 'ns' ? count(ns) : digits(ns / size)} ${unit}`
})

/** undefined when any of the values is. */
export const from = (values, calculate) => (values.some(isMissing) ? undefined : calculate(...values))

/** Rows of cells; the first is the head. */
export const table = (rows) =>
  [rows[0], rows[0].map(() => '---'), ...rows.slice(1)].map((row) => `| ${row.join(' | ')} |`).join('\n')

/** A row whose figures are all missing says so once. */
export function row(labels, cells) {
  if (cells.every((cell) => cell === NOT_RECORDED))
    return [...labels, NOT_RECORDED, ...Array.from({ length: cells.length - 1 }, () => '')]
  return [...labels, ...cells]
}
