/** Long work on the event loop beside everything else that is done there: a few milliseconds of it, then everybody else's turn. */
import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Steps } from '../../match/steps.js'

/** As long as a batch of events takes: the ring holds a thousand times more. */
const TURN_MS = 4

/** Throws what a step throws. */
export async function inTurns<Result>(steps: Steps<Result>): Promise<Result> {
  for (;;) {
    const until = performance.now() + TURN_MS
    do {
      const step = steps.next()
      if (step.done === true) return step.value
    } while (performance.now() < until)
    await nextTurn()
  }
}
