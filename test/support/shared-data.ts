/** Data that is not part of the project: read where HULLGUARD_SHARED_DATA says, else beside the checkout; absent, a test skips. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findPackageRoot } from '../../src/telemetry/package-root.js'

const folder = process.env.HULLGUARD_SHARED_DATA ?? join(findPackageRoot(), '../shared/data')

/** `skip` is false when the file is there, else the reason. */
export function sharedFile(name: string): { path: string; skip: false | string } {
  const path = join(folder, name)
  const skip = existsSync(path)
    ? false
    : `no ${name} in HULLGUARD_SHARED_DATA (${process.env.HULLGUARD_SHARED_DATA ?? 'not set'})`
  return { path, skip }
}

export function sharedJson<Value>(name: string): { value: Value; skip: false | string } {
  const { path, skip } = sharedFile(name)
  return { value: (skip === false ? JSON.parse(readFileSync(path, 'utf8')) : []) as Value, skip }
}
