/**
 * The agent's timers. A process that wakes costs more than what it then does: while nothing has to be looked after they are far
 * apart, and records that wait for a connection's result have a timer only while there are any.
 */

/** While there is something to look after, and else. */
export const HOUSEKEEPING_MS = 1_000
export const IDLE_HOUSEKEEPING_MS = 10_000
export const EXPIRE_PAUSE_MS = 25

export interface Housework {
  /** Does what is due. */
  keep: () => void
  /** Something has to be looked after within a second. */
  hasWork: () => boolean
  /** Lets go of the records that have waited long enough; true: others still wait. */
  expire: () => boolean
}

export class Housekeeping {
  readonly #work: Housework
  #timer: NodeJS.Timeout | undefined
  #expireTimer: NodeJS.Timeout | undefined
  #isIdle = false
  #isStopped = false

  constructor(work: Housework) {
    this.#work = work
  }

  /** There may be something to look after now. */
  soon(): void {
    this.#schedule(HOUSEKEEPING_MS)
  }

  /** Events were handled; what they left to look after does not wait for an idle house. */
  onBatchDone(): void {
    if (this.#isIdle && this.#work.hasWork()) this.soon()
  }

  /** Records have begun to wait. */
  expireSoon(): void {
    if (this.#isStopped) return
    this.#expireTimer ??= setTimeout(() => {
      this.#expireTimer = undefined
      if (this.#work.expire()) this.expireSoon()
    }, EXPIRE_PAUSE_MS)
  }

  /** No timer runs from then on: who stops it does what is left. */
  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    clearTimeout(this.#expireTimer)
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer)
    if (this.#isStopped) return
    this.#isIdle = delayMs > HOUSEKEEPING_MS
    this.#timer = setTimeout(() => {
      this.#work.keep()
      this.#schedule(this.#work.hasWork() ? HOUSEKEEPING_MS : IDLE_HOUSEKEEPING_MS)
    }, delayMs)
  }
}
