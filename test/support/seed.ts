/** The seed of a property test: random, printed by fast-check when a property fails, and fixed with FC_SEED=… to repeat. */
export function seedOf(runs: number): { seed: number; numRuns: number } {
  const given = Number(process.env.FC_SEED)
  const seed = Number.isSafeInteger(given) && given !== 0 ? given : Math.floor(Math.random() * 0x7fffffff)
  const factor = Number(process.env.FC_RUNS_FACTOR ?? '1')
  return { seed, numRuns: Math.ceil(runs * (Number.isFinite(factor) ? factor : 1)) }
}
