/**
 * Finds lost events by the numbers that each CPU gave its attempts. A number may come late (a hook was preempted between
 * taking its number and its place in the ring), so a hole is only called lost after LATE_WINDOW_EVENTS further events of that
 * CPU or when `flush` says that nothing is outstanding. Exact: every number is seen, or counted in one gap.
 */

/** A preempted hook's event follows within a few events of its CPU; 64 is far beyond what was ever seen and cheap to hold. */
const LATE_WINDOW_EVENTS = 64n

export interface LostRange {
  cpu: number
  firstSeq: bigint
  lastSeq: bigint
}

interface CpuState {
  next: bigint
  /** Missing numbers, ascending, disjoint. */
  holes: LostRange[]
}

export class GapTracker {
  readonly #cpus = new Map<number, CpuState>()

  /** Takes one event's number; returns ranges that are now known to be lost (empty almost always). */
  see(cpu: number, seq: bigint): readonly LostRange[] {
    let state = this.#cpus.get(cpu)
    if (state === undefined) {
      state = { next: 1n, holes: [] }
      this.#cpus.set(cpu, state)
    }
    if (seq === state.next) {
      state.next = seq + 1n
    } else if (seq > state.next) {
      state.holes.push({ cpu, firstSeq: state.next, lastSeq: seq - 1n })
      state.next = seq + 1n
    } else {
      fillHole(state, seq)
    }
    if (state.holes.length === 0) return NONE
    return takeHoles(state, (hole) => hole.lastSeq + LATE_WINDOW_EVENTS < (state?.next ?? 0n))
  }

  /** All holes still open: the ring has been drained and nothing can come late any more. */
  flush(): readonly LostRange[] {
    return [...this.#cpus.values()].flatMap((state) => takeHoles(state, () => true))
  }

  get hasHoles(): boolean {
    for (const state of this.#cpus.values()) if (state.holes.length > 0) return true
    return false
  }
}

const NONE: readonly LostRange[] = []

function fillHole(state: CpuState, seq: bigint): void {
  const index = state.holes.findIndex((hole) => seq >= hole.firstSeq && seq <= hole.lastSeq)
  const hole = state.holes[index]
  if (hole === undefined) return
  const parts: LostRange[] = []
  if (seq > hole.firstSeq) parts.push({ cpu: hole.cpu, firstSeq: hole.firstSeq, lastSeq: seq - 1n })
  if (seq < hole.lastSeq) parts.push({ cpu: hole.cpu, firstSeq: seq + 1n, lastSeq: hole.lastSeq })
  state.holes.splice(index, 1, ...parts)
}

function takeHoles(state: CpuState, isLost: (hole: LostRange) => boolean): readonly LostRange[] {
  const lost = state.holes.filter(isLost)
  if (lost.length > 0) state.holes = state.holes.filter((hole) => !isLost(hole))
  return lost
}
