/**
 * What rules have to see of opens -> the kernel's filter (`open_prefixes`, `map_profile.open_access`): the longest entry that
 * a path begins with says which accesses are wanted of it, so each entry holds those of the shorter ones too. The kernel
 * reports what a rule may want, user space judges it.
 */
import {
  OPEN_ALL,
  OPEN_CREATE,
  OPEN_FAILED,
  OPEN_NEITHER,
  OPEN_READ,
  OPEN_WRITE,
  type OpenWant,
} from '../match/open-wants.js'
import { Access, KEY_PATH_BYTES } from '../sensor/generated/abi.js'

export interface OpenFilter {
  /** enum hg_access; 0: opens with any access. */
  readonly access: number
  /** None: opens of every path. */
  readonly prefixes: readonly { readonly path: Uint8Array; readonly access: number }[]
}

export const EVERY_OPEN: OpenFilter = { access: 0, prefixes: [] }
/** Of a profile. With more, its rules see opens of every path. */
const PREFIXES_MAX_COUNT = 4096
const BITS: readonly (readonly [number, number])[] = [
  [OPEN_READ, Access.READ],
  [OPEN_WRITE, Access.WRITE],
  [OPEN_CREATE, Access.CREATE],
  [OPEN_FAILED, Access.FAILED],
  [OPEN_NEITHER, Access.NEITHER],
]

export function lowerOpens(wants: readonly OpenWant[]): OpenFilter {
  const accesses = new Map<string, number>()
  const add = (prefix: string, access: number) => {
    if (access !== 0) accesses.set(prefix, (accesses.get(prefix) ?? 0) | access)
  }
  for (const { prefix, access } of wants) {
    add(prefix.slice(0, KEY_PATH_BYTES), access & ~OPEN_FAILED)
    add('', access & OPEN_FAILED) // the path of an open that failed is not resolved
  }
  const all = [...accesses.values()].reduce((mask, access) => mask | access, 0)
  if (all === 0) return EVERY_OPEN
  const prefixes = accesses.size > PREFIXES_MAX_COUNT ? [] : resolved(accesses)
  const isByPath = prefixes.some(({ path }) => path.length > 0)
  return { access: all === OPEN_ALL ? 0 : inKernel(all), prefixes: isByPath ? prefixes : [] }
}

/** With the accesses of shorter entries; without entries that say what a shorter one says. */
function resolved(accesses: ReadonlyMap<string, number>): { path: Uint8Array; access: number }[] {
  const kept = new Map<string, number>()
  for (const prefix of [...accesses.keys()].sort((a, b) => a.length - b.length)) {
    const above = nearest(kept, prefix)
    const access = above | (accesses.get(prefix) ?? 0)
    if (access !== above) kept.set(prefix, access)
  }
  return [...kept].map(([prefix, access]) => ({ path: Buffer.from(prefix, 'latin1'), access: inKernel(access) }))
}

function nearest(kept: ReadonlyMap<string, number>, prefix: string): number {
  for (let length = prefix.length; length >= 0; length--) {
    const access = kept.get(prefix.slice(0, length))
    if (access !== undefined) return access
  }
  return 0
}

function inKernel(access: number): number {
  return BITS.reduce((mask, [bit, kernel]) => (access & bit ? mask | kernel : mask), 0)
}
