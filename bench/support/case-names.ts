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
