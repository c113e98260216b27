/**
 * Finds lost events by the numbers that each CPU gave its attempts. A number may come late: a hook that can be preempted takes its number,
 * and its place in the ring when its task runs again. So a hole is called lost only LATE_MAX_NS after it was noted, by the clock of the
 * events, or by `flush`. Exact: every number is seen or counted in one gap; one that comes even later is told as `cameLate`, so that
 * whoever counts takes it back.
 */
import type { GapBody } from '../record/model.js'

/**
 * How long a task that was preempted in a hook is waited for. It runs again within some slices of the scheduler; what keeps it longer is the
 * quota of its cgroup: 100 ms a period as a rule, a second at most (max_cfs_quota_period, kernel/sched/fair.c).
 */
export const LATE_MAX_NS = 1_000_000_000n
/** Of one CPU, some 100 KiB. More stand open only while a full ring loses every other event: then the oldest is called lost early. */
export const HOLES_MAX = 1024

export interface LostRange {
  cpu: number
  firstSeq: bigint
  lastSeq: bigint
  /** Not lost: it came when it had been called lost already. */
  cameLate?: true
}

/** An attempt is lost when the ring is full, or when an open finds nothing to work in; the numbers do not tell these apart. */
export const NO_ROOM = 'no_room'

/** As a record says it. What came late makes no sum larger: each number of the range was counted before, and is not missing. */
export function gapOf({ cpu, firstSeq, lastSeq, cameLate }: LostRange): GapBody {
  const count = cameLate === true ? 0n : lastSeq - firstSeq + 1n
  return { source: 'kernel', cause: cameLate === true ? 'came_late' : NO_ROOM, cpu, firstSeq, lastSeq, count }
}

interface Hole extends LostRange {
  notedBootNs: bigint
}

/** What is asked of an event. Its number stands in halves too: the next in order is then known without a bigint. */
export interface Numbered {
  readonly cpu: number
  readonly cpuSeq: bigint
  readonly cpuSeqLow: number
  readonly cpuSeqHigh: number
  readonly bootNs: bigint
}

interface CpuState {
  /** The number that comes next, in halves. */
  nextLow: number
  nextHigh: number
  /** Missing numbers: ascending, disjoint, the oldest first. */
  holes: Hole[]
}

export class GapTracker {
  readonly #cpus = new Map<number, CpuState>()

  /** Takes one event's number, which no other event has; returns what is known now (nothing almost always). */
  see(event: Numbered): readonly LostRange[] {
    const { cpu, cpuSeqLow, cpuSeqHigh } = event
    let state = this.#cpus.get(cpu)
    if (state === undefined) {
      state = { nextLow: 1, nextHigh: 0, holes: [] }
      this.#cpus.set(cpu, state)
    }
    if (cpuSeqLow !== state.nextLow || cpuSeqHigh !== state.nextHigh) return outOfOrder(state, event)
    setNext(state, cpuSeqLow, cpuSeqHigh)
    return state.holes.length === 0 ? NONE : takeOld(state.holes, event.bootNs)
  }

  /** The rings are empty at `nowBootNs`: what is missing for long comes no more. Without a time nothing comes any more. */
  flush(nowBootNs?: bigint): readonly LostRange[] {
    return [...this.#cpus.values()].flatMap(({ holes }) =>
      nowBootNs === undefined ? takeFirst(holes, holes.length) : takeOld(holes, nowBootNs),
    )
  }

  get hasHoles(): boolean {
    for (const state of this.#cpus.values()) if (state.holes.length > 0) return true
    return false
  }
}

const NONE: readonly LostRange[] = []

function setNext(state: CpuState, low: number, high: number): void {
  state.nextLow = (low + 1) >>> 0
  state.nextHigh = state.nextLow === 0 ? high + 1 : high
}

function outOfOrder(state: CpuState, { cpu, cpuSeq, cpuSeqLow, cpuSeqHigh, bootNs }: Numbered): readonly LostRange[] {
  const next = (BigInt(state.nextHigh) << 32n) | BigInt(state.nextLow)
  if (cpuSeq > next) {
    state.holes.push({ cpu, firstSeq: next, lastSeq: cpuSeq - 1n, notedBootNs: bootNs })
    setNext(state, cpuSeqLow, cpuSeqHigh)
  } else if (!fillHole(state.holes, cpuSeq)) {
    return [...takeOld(state.holes, bootNs), { cpu, firstSeq: cpuSeq, lastSeq: cpuSeq, cameLate: true }]
  }
  return takeOld(state.holes, bootNs)
}

/** False: the number is in none of them. */
function fillHole(holes: Hole[], seq: bigint): boolean {
  let [low, high] = [0, holes.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((holes[middle] as Hole).lastSeq < seq) low = middle + 1
    else high = middle
  }
  const hole = holes[low]
  if (hole === undefined || seq < hole.firstSeq) return false
  const parts: Hole[] = []
  if (seq > hole.firstSeq) parts.push({ ...hole, lastSeq: seq - 1n })
  if (seq < hole.lastSeq) parts.push({ ...hole, firstSeq: seq + 1n })
  holes.splice(low, 1, ...parts)
  return true
}

/** Takes those that have waited long enough, or are too many. They were noted in the order in which they stand. */
function takeOld(holes: Hole[], nowBootNs: bigint): readonly LostRange[] {
  let count = Math.max(0, holes.length - HOLES_MAX)
  while (count < holes.length && nowBootNs - (holes[count] as Hole).notedBootNs > LATE_MAX_NS) count++
  return takeFirst(holes, count)
}

function takeFirst(holes: Hole[], count: number): readonly LostRange[] {
  if (count === 0) return NONE
  return holes.splice(0, count).map(({ cpu, firstSeq, lastSeq }) => ({ cpu, firstSeq, lastSeq }))
}
