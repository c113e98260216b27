// The native addon by node-gyp: for this machine, or with a cross compiler for another (scripts/cross-addon.mjs).
import { readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { at, run } from './support.mjs'

/** Headers of the very Node that runs this; without them node-gyp would fetch them from the network. */
function nodeHeaders() {
  const prefix = dirname(dirname(realpathSync(process.execPath)))
  try {
    const text = readFileSync(join(prefix, 'include/node/node_version.h'), 'utf8')
    const parts = ['MAJOR', 'MINOR', 'PATCH'].map((part) => text.match(`NODE_${part}_VERSION (\\d+)`)?.[1])
    return parts.join('.') === process.versions.node ? [`--nodedir=${prefix}`] : []
  } catch {
    return []
  }
}

/** Builds the binding.gyp of `folder` and returns the addon's path there. */
export function buildAddon({ folder, options = [], env = {} }) {
  const gyp = [at('node_modules/node-gyp/bin/node-gyp.js'), 'rebuild', '--jobs=max', ...nodeHeaders(), ...options]
  run(process.execPath, gyp, {
    cwd: folder,
    env,
    advice: 'correct the source that the compiler names; node-gyp needs make, g++ and python3',
  })
  return join(folder, 'build/Release/hullguard_native.node')
}
