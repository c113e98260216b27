/**
 * The circuit breaker: a guard against a wrong policy, not against a busy attacker. It counts the distinct containers that a
 * policy acted on within a window; one more than the limit trips it, and the policy observes until someone re-arms it
 * (`hullguard mode block`, or a policy reload). Repeats inside one container never count again and never loosen anything.
 *
 * The kernel holds a copy of what is left (allowances.ts), so a policy that acts in the kernel is stopped there too.
 */

export interface BreakerOptions {
  /** Distinct containers per window. 5: a faulty rule hits every replica of an image at once, an attack rarely does. */
  limitCount: number
  windowMs: number
  /** Monotonic. */
  nowMs: () => number
}

export const BREAKER_DEFAULTS = { limitCount: 5, windowMs: 60_000 } as const

interface PolicyState {
  /** Container id -> when the policy acted on it last within the window. */
  acted: Map<string, number>
  isTripped: boolean
}

export class CircuitBreaker {
  readonly #options: BreakerOptions
  readonly #policies = new Map<string, PolicyState>()
  readonly #onTrip: (policy: string) => void

  constructor(options: BreakerOptions, onTrip: (policy: string) => void) {
    this.#options = options
    this.#onTrip = onTrip
  }

  /** May the policy act on this container now? Counts it when it may; trips when it may not. */
  admit(policy: string, containerId: string): boolean {
    const state = this.#state(policy)
    if (state.isTripped) return false
    this.#forgetOld(state)
    if (!state.acted.has(containerId) && state.acted.size >= this.#options.limitCount) {
      this.trip(policy)
      return false
    }
    state.acted.set(containerId, this.#options.nowMs())
    return true
  }

  /** The kernel acted by itself: counted, never refused (it has happened). */
  note(policy: string, containerId: string): void {
    const state = this.#state(policy)
    this.#forgetOld(state)
    state.acted.set(containerId, this.#options.nowMs())
  }

  trip(policy: string): void {
    const state = this.#state(policy)
    if (state.isTripped) return
    state.isTripped = true
    this.#onTrip(policy)
  }

  isTripped(policy: string): boolean {
    return this.#policies.get(policy)?.isTripped ?? false
  }

  /** Containers this policy may still act on in the current window. */
  remainingCount(policy: string): number {
    const state = this.#state(policy)
    if (state.isTripped) return 0
    this.#forgetOld(state)
    return Math.max(0, this.#options.limitCount - state.acted.size)
  }

  /** Every policy starts again with a full window. */
  rearm(): void {
    this.#policies.clear()
  }

  #state(policy: string): PolicyState {
    let state = this.#policies.get(policy)
    if (state === undefined) {
      state = { acted: new Map(), isTripped: false }
      this.#policies.set(policy, state)
    }
    return state
  }

  #forgetOld(state: PolicyState): void {
    const oldest = this.#options.nowMs() - this.#options.windowMs
    for (const [container, atMs] of state.acted) if (atMs < oldest) state.acted.delete(container)
  }
}
