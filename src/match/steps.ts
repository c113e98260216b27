/**
 * Work that can be left between two steps: compiling thousands of rules takes a second, and who does it beside other work gives
 * that other work its turn at each `yield`. A step is a rule or a node, which is short, or one index: of thousands of entries it
 * takes tens of milliseconds, and nothing has its turn meanwhile.
 */
export type Steps<Result> = Generator<void, Result, void>

/** All steps in one go. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
