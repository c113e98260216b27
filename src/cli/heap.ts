/**
 * What V8 is told of the heap of an agent's process: how large its young generation may become, and when to collect what the start left.
 *
 * The young generation, unbounded, grows to two halves of 16 MiB under load and keeps them. The agent's garbage is of
 * short life: records that leave with their batch, so a smaller one is only collected more often.
 *
 * Node's own flag for it (--max-semi-space-size) counts at the start of the process alone. The factor by which V8 grows a half
 * is asked at each growth (NewSpace::Grow, v8/src/heap/new-spaces.cc): it is what is left to the bound. It is set after each
 * collection, since the halves of an idle process shrink; not before the turn of the event loop is over, so that a turn with several
 * collections may go beyond the bound.
 *
 * One thread collects it: what is alive of it is so little that to wake a second one costs more than the second one saves.
 *
 * The start leaves as much as it needed (the code and texts of rules that were read, types of the kernel). V8 collects them when the heap has
 * grown by as much again, which in an agent with little to do may be never.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const MIB = 1024 * 1024
/** Of a half; V8 begins with 1 MiB. */
const HALF_MAX_BYTES = 4 * MIB
const FIRST_GROWTH = 2
const NO_GROWTH = 1
/** An agent with many containers and rules watches by then. */
const COLLECT_AFTER_MS = 10_000

/** Of a process that is going to be an agent. */
export function tuneHeap(): void {
  boundYoungGeneration()
  setTimeout(collect, COLLECT_AFTER_MS).unref()
}

/** Some tens of milliseconds; code for classes that no object is left of has to be compiled anew. */
export function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  setFlagsFromString('--no-expose-gc')
  gc()
}

export function boundYoungGeneration(): void {
  setFlagsFromString('--no-parallel-scavenge')
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
