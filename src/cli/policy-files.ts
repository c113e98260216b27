/**
 * Which policy files a command means. A host that is told nothing runs the standard set: its rules only alert, and a new installation sees at once.
 */
import { join } from 'node:path'
import { findPackageRoot } from '../telemetry/package-root.js'
import type { Settings } from './options.js'

/** The word for it among paths; a file of that name is `./standard`. */
const STANDARD = 'standard'

/** `standard` becomes the folder that ships. */
export function namedPaths(paths: readonly string[]): string[] {
  return paths.map((path) => (path === STANDARD ? join(findPackageRoot(), 'policies', STANDARD) : path))
}

/** What an agent puts in force: what --policies names; neither that nor --rules given: the standard set, unless --no-standard. */
export function policyPaths(settings: Settings): string[] {
  const named = settings.list('policies')
  const isTold = named.length > 0 || settings.list('rules').length > 0 || settings.flag('no-standard')
  return namedPaths(isTold ? named : [STANDARD])
}
