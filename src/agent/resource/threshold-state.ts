/**
 * Thresholds over time: a reading above a bound for as long as a rule says hits once, and again only after a reading at or
 * below it. Pure: readings and times come in, hits go out.
 */

interface Above {
  sinceMs: number
  hasHit: boolean
}

export class ThresholdState {
  readonly #above = new Map<string, Above>()

  /** `key` names rule and container. True: the rule hits now. */
  judge(key: string, isAbove: boolean, nowMs: number, forMs: number): boolean {
    if (!isAbove) {
      this.#above.delete(key)
      return false
    }
    const state = this.#above.get(key) ?? { sinceMs: nowMs, hasHit: false }
    this.#above.set(key, state)
    if (state.hasHit || nowMs - state.sinceMs < forMs) return false
    state.hasHit = true
    return true
  }

  isAbove(key: string): boolean {
    return this.#above.has(key)
  }

  /** Keys that begin or end so. */
  forget(wanted: (key: string) => boolean): void {
    for (const key of this.#above.keys()) if (wanted(key)) this.#above.delete(key)
  }
}

/** Processor time per wall time, in thousandths of a core, between two readings of a counter. */
export class CpuRate {
  readonly #last = new Map<string, { usageNs: bigint; atMs: number }>()

  /** Undefined: the first reading, or the counter went back (another cgroup of that name). */
  millicores(container: string, usageNs: bigint, nowMs: number): number | undefined {
    const last = this.#last.get(container)
    this.#last.set(container, { usageNs, atMs: nowMs })
    if (last === undefined || usageNs < last.usageNs || nowMs <= last.atMs) return undefined
    return Number(usageNs - last.usageNs) / 1e6 / ((nowMs - last.atMs) / 1000)
  }

  forget(container: string): void {
    this.#last.delete(container)
  }
}
