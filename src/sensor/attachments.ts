/**
 * Which hooks are attached. The base set is all or nothing at start; hooks on demand change with the loaded rules, all or nothing
 * too: what a new set needs is attached beside the old, and only when the new set is in force does what it no longer needs go.
 */

import { HullguardError } from '../telemetry/errors.js'
import type { NativeSensor } from './addon.js'
import type { Reasons } from './ladder.js'
import { explainLoadError } from './load-error.js'
import { BASE_RUNGS, hookOf, isAddition, isNetworkHook } from './rungs.js'

/** Hooks of a new set that are attached and not yet relied upon: exactly one of the two is called. */
export interface HookChange {
  /** The new set is in force: hooks that it does not need are released. */
  commit(): void
  /** The new set does not come into force: its own hooks are released, the old set's stay. */
  undo(): void
}

export class Attachments {
  readonly #native: NativeSensor
  readonly #missing: Reasons<string>
  readonly #unifiedRoot: string | undefined
  readonly #base = new Set<string>()
  #onDemand = new Set<string>()

  constructor(native: NativeSensor, missing: Reasons<string>, unifiedRoot: string | undefined) {
    this.#native = native
    this.#missing = missing
    this.#unifiedRoot = unifiedRoot
  }

  /** Programs that run now. */
  get attached(): readonly string[] {
    return [...this.#base, ...this.#onDemand]
  }

  /** Every base hook that this host has a place for. Throws at the first that fails; the caller closes everything then. */
  attachBase(): void {
    for (const { program, family } of BASE_RUNGS) {
      if (family === 'cgroup' && this.#unifiedRoot === undefined) continue
      this.attach(program)
      this.#base.add(program)
    }
  }

  /** One hook. Throws HullguardError with the hook's name and the kernel's reason. */
  attach(program: string): void {
    const hook = hookOf(program)
    const missing = this.#missing.get(program)
    if (missing !== undefined)
      throw new HullguardError('probe_load_failed', `cannot attach ${program} (${hook}): not loaded here: ${missing}`)
    const isNetwork = isNetworkHook(hook)
    if (isNetwork && this.#unifiedRoot === undefined)
      throw new HullguardError('probe_load_failed', 'no unified cgroup hierarchy is mounted')
    try {
      this.#native.attach(program, isNetwork ? this.#unifiedRoot : undefined)
    } catch (error) {
      throw explainLoadError(`attach ${program} (${hook})`, error)
    }
  }

  /** Attaches what `needed` needs and is not attached yet; when one fails, none of them stays and it throws. */
  prepare(needed: ReadonlySet<string>): HookChange {
    const wanted = new Set([...needed].filter((program) => !(this.#missing.has(program) && isAddition(program))))
    const old = this.#onDemand
    const fresh: string[] = []
    try {
      for (const program of wanted) {
        if (old.has(program)) continue
        this.attach(program)
        fresh.push(program)
      }
    } catch (error) {
      this.#release(fresh)
      throw error
    }
    this.#onDemand = new Set([...old, ...fresh])
    return {
      commit: () => {
        this.#release([...this.#onDemand].filter((program) => !wanted.has(program)))
        this.#onDemand = new Set(wanted)
      },
      undo: () => {
        this.#release(fresh)
        this.#onDemand = old
      },
    }
  }

  detachAll(): void {
    this.#release(this.attached)
    this.#base.clear()
    this.#onDemand.clear()
  }

  get onDemand(): ReadonlySet<string> {
    return this.#onDemand
  }

  #release(programs: readonly string[]): void {
    for (const program of programs) this.#native.detach(program)
  }
}
