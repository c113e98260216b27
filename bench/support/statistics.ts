/** Medians, percentiles and the interval of a median. No assumption about how the values are distributed. */

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const index = Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))
  const value = sorted[index]
  if (value === undefined) throw new RangeError('no values')
  return value
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[sorted.length >> 1]
  const lower = sorted[(sorted.length - 1) >> 1]
  if (upper === undefined || lower === undefined) throw new RangeError('no values')
  return (upper + lower) / 2
}

export interface Interval {
  median: number
  low: number
  high: number
}

/**
 * The median with its 95 % interval from order statistics: the number of values below the true median is binomial(n, 1/2),
 * so the k-th smallest and the k-th largest enclose it with a probability that is exact. For 30 values k is 10.
 */
export function medianInterval(values: readonly number[]): Interval {
  const sorted = [...values].sort((a, b) => a - b)
  const rank = Math.max(1, lowerRank(sorted.length))
  const low = sorted[rank - 1]
  const high = sorted[sorted.length - rank]
  if (low === undefined || high === undefined) throw new RangeError('no values')
  return { median: median(values), low, high }
}

/** The largest k with P(binomial(n, 1/2) < k) ≤ 2.5 %; 0 when n is too small for any. */
function lowerRank(n: number): number {
  let probability = 0.5 ** n
  let sum = 0
  for (let k = 0; k <= n; k++) {
    sum += probability
    if (sum > 0.025) return k
    probability = (probability * (n - k)) / (k + 1)
  }
  return n
}
