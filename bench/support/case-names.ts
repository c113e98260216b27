/** In order of running: what needs no privilege comes first. */
export const CASES = [
  'matcher',
  'delivery',
  'pipeline',
  'cost',
  'overhead',
  'kill',
  'saturation',
  'sustained',
  'memory',
  'start',
] as const

/** Of a case whose parts would change each other's figures: each runs in a process of its own. */
export const PARTS: Readonly<Partial<Record<(typeof CASES)[number], readonly string[]>>> = {
  pipeline: [0, 1_000].flatMap((rules) =>
    ['collector', 'spool'].map((delivery) => `rules=${rules},delivery=${delivery}`),
  ),
}
