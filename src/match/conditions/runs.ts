/** Small helpers over runs of numbers. */
import type { ConditionHits } from './types.js'

/** Is the number in the ascending run? */
export function includes(list: Int32Array, from: number, to: number, wanted: number): boolean {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle] as number) < wanted) low = middle + 1
    else high = middle
  }
  return low < to && list[low] === wanted
}

/** Mostly few, and mostly in order already. */
export function inOrder({ rules, count }: ConditionHits): void {
  if (count > 32) {
    rules.subarray(0, count).sort()
    return
  }
  for (let at = 1; at < count; at++) {
    const rule = rules[at] as number
    let to = at
    for (; to > 0 && (rules[to - 1] as number) > rule; to--) rules[to] = rules[to - 1] as number
    rules[to] = rule
  }
}
