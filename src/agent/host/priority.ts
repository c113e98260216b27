/**
 * Scheduling priority of the threads between an event and a kill: while the agent may block, a rule that is left to user space
 * does not wait for its turn behind the host's work. An agent that only observes stays as it was started, and so does all else of
 * the process (compression, compilation, garbage collection) and what it starts.
 */
import { getPriority } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { loadAddon } from '../../sensor/addon.js'

/** nice(2): when it is woken such a thread goes before those of the usual nice. */
const BLOCKING_NICE = -10

export class Priority {
  readonly #usualNice = getPriority()
  #isRaised = false

  /** Of this process's threads, by their ids. Returns why it could not be changed, or ''. */
  follow(isBlocking: boolean, threadIds: readonly number[]): string {
    if (isBlocking === this.#isRaised) return ''
    // also when it fails half-way: the way back is then for all of them
    this.#isRaised = isBlocking
    const nice = isBlocking ? Math.min(BLOCKING_NICE, this.#usualNice) : this.#usualNice
    for (const id of threadIds) {
      const result = loadAddon().setThreadNice(id, nice)
      if (result < 0) return getSystemErrorName(result)
    }
    return ''
  }
}
