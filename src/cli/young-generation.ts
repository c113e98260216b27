/**
 * Bounds V8's young generation, which else grows to two halves of 16 MiB under load and keeps them. The agent's garbage is of
 * short life: records that leave with their batch, so a smaller one is only collected more often.
 *
 * Node's own flag for it (--max-semi-space-size) counts at the start of the process alone. The factor by which V8 grows a half
 * is asked at each growth (NewSpace::Grow, v8/src/heap/new-spaces.cc): it is what is left to the bound. It is set after each
 * collection, since the halves of an idle process shrink.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

const MIB = 1024 * 1024
/** Of a half; V8 begins with 1 MiB. */
const HALF_MAX_BYTES = 4 * MIB
const FIRST_GROWTH = 4
const NO_GROWTH = 1

export function boundYoungGeneration(): void {
  grow(FIRST_GROWTH)
  const observer = new PerformanceObserver(() => {
    const room = Math.floor((2 * HALF_MAX_BYTES) / Math.max(youngBytes(), 2 * MIB))
    grow(Math.max(NO_GROWTH, Math.min(FIRST_GROWTH, room)))
  })
  observer.observe({ entryTypes: ['gc'] })
}

function grow(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
}

/** Both halves. */
export function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0
}
