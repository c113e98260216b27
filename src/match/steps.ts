/**
 * Work that can be left between two steps: compiling thousands of rules takes a second, and who does it beside other work gives
 * that other work its turn at each `yield`. A step is a rule, a node, or a run of entries of one index: what takes long is the
 * table that grows at it, or the sorting of all entries of an index.
 */
export type Steps<Result> = Generator<void, Result, void>

/** Entries of an index, or of a table, that one step goes through: well below a millisecond of work. */
export const STEP_COUNT = 512

/** All steps in one go. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
