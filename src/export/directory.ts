/**
 * Makes a directory and those above it. Node's own recursive mkdir never returns where the parent is there but refuses to
 * hold anything (/proc): a mistyped --data-dir must end in an error, not in a hang. For the start only: synchronous.
 */
import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { errnoOf } from '../telemetry/errors.js'

export function makeDirectory(path: string): void {
  const absolute = resolve(path)
  try {
    make(absolute)
  } catch (error) {
    const parent = dirname(absolute)
    if (errnoOf(error) !== 'ENOENT' || parent === absolute || exists(parent)) throw error
    makeDirectory(parent)
    make(absolute)
  }
}

function make(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST' || !statSync(path).isDirectory()) throw error
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
