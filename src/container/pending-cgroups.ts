/**
 * The cgroups that wait for a runtime's word: each is asked about again after growing pauses, until its time is over. There is a
 * timer only while one waits.
 */
import type { Entry } from './cgroup-entries.js'

/** runc writes its state some 20 to 100 ms after it made the cgroup. */
const RETRY_FIRST_MS = 20
/** A runtime that has said nothing by then has none of it; also as long as a loaded host may take to start a container. */
const DECIDE_WITHIN_MS = 2_000

export class PendingCgroups {
  readonly #entries = new Set<Entry>()
  readonly #nowMs: () => number
  readonly #onDue: () => void
  #timer: NodeJS.Timeout | undefined

  /** onDue: some of them are due for retry(), as schedule() foresaw. */
  constructor(nowMs: () => number, onDue: () => void) {
    this.#nowMs = nowMs
    this.#onDue = onDue
  }

  /** As they are now. */
  all(): Entry[] {
    return [...this.#entries]
  }

  add(entry: Entry): void {
    const nowMs = this.#nowMs()
    entry.pending = { nextTryMs: nowMs + RETRY_FIRST_MS, pauseMs: RETRY_FIRST_MS, deadlineMs: nowMs + DECIDE_WITHIN_MS }
    this.#entries.add(entry)
  }

  /** It is decided, or gone. */
  delete(entry: Entry): void {
    entry.pending = undefined
    this.#entries.delete(entry)
  }

  /** Those that are due, parents first: what lies below takes their decision. isDecided: a runtime has spoken by now. */
  retry(isDecided: (entry: Entry) => boolean, giveUp: (entry: Entry) => void): void {
    const nowMs = this.#nowMs()
    for (const entry of this.all().sort((a, b) => a.level - b.level)) {
      const { pending } = entry
      if (pending === undefined || pending.nextTryMs > nowMs || isDecided(entry)) continue
      if (nowMs >= pending.deadlineMs) {
        giveUp(entry)
        continue
      }
      pending.pauseMs *= 2
      pending.nextTryMs = Math.min(nowMs + pending.pauseMs, pending.deadlineMs)
    }
  }

  schedule(): void {
    clearTimeout(this.#timer)
    let nextMs = Number.POSITIVE_INFINITY
    for (const { pending } of this.#entries) if (pending !== undefined) nextMs = Math.min(nextMs, pending.nextTryMs)
    if (nextMs === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(this.#onDue, Math.max(0, nextMs - this.#nowMs()))
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
