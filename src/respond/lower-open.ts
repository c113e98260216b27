/**
 * What rules have to see of opens -> the kernel's filter (`open_prefixes`, `map_profile.open_classes`): the longest entry that
 * a path begins with says which classes of opens are wanted of it, so each entry holds those of the shorter ones too. The kernel
 * reports what a rule may want, user space judges it.
 */
import { OPEN_ALL, OPEN_CLASSES, type OpenKind, type OpenWant } from '../match/open-wants.js'
import { KEY_PATH_BYTES, OpenKind as KernelKind, OpenTrait } from '../sensor/generated/abi.js'

export interface OpenFilter {
  /** Set of the kernel's classes; 0: opens of any class. */
  readonly classes: number
  /** None: opens of every path. */
  readonly prefixes: readonly { readonly path: Uint8Array; readonly classes: number }[]
}

export const EVERY_OPEN: OpenFilter = { classes: 0, prefixes: [] }
/** Of a profile. With more, its rules see opens of every path. */
const PREFIXES_MAX_COUNT = 4096
const KERNEL_KINDS: Readonly<Record<OpenKind, number>> = {
  read: KernelKind.READ,
  write: KernelKind.WRITE,
  read_write: KernelKind.READ_WRITE,
  neither: KernelKind.NEITHER,
  failed: KernelKind.FAILED,
}
/** Ours and the kernel's bit of each class. */
const BITS = OPEN_CLASSES.map(({ kind, creates, hasDotDot, bit }) => {
  const traits = (creates ? OpenTrait.CREATE : 0) + (hasDotDot ? OpenTrait.DOTDOT : 0)
  return { bit, kernelBit: 1 << (KERNEL_KINDS[kind] * 4 + traits) }
})

export function lowerOpens(wants: readonly OpenWant[]): OpenFilter {
  const sets = new Map<string, number>()
  const add = (prefix: string, classes: number) => {
    if (classes !== 0) sets.set(prefix, (sets.get(prefix) ?? 0) | classes)
  }
  for (const { prefix, classes } of wants) add(prefix.slice(0, KEY_PATH_BYTES), classes)
  const all = [...sets.values()].reduce((mask, classes) => mask | classes, 0)
  if (all === 0) return EVERY_OPEN
  const prefixes = sets.size > PREFIXES_MAX_COUNT ? [] : resolved(sets)
  const isByPath = prefixes.some(({ path }) => path.length > 0)
  return { classes: all === OPEN_ALL ? 0 : inKernel(all), prefixes: isByPath ? prefixes : [] }
}

/** With the classes of shorter entries; without entries that say what a shorter one says. */
function resolved(sets: ReadonlyMap<string, number>): { path: Uint8Array; classes: number }[] {
  const kept = new Map<string, number>()
  for (const prefix of [...sets.keys()].sort((a, b) => a.length - b.length)) {
    const above = nearest(kept, prefix)
    const classes = above | (sets.get(prefix) ?? 0)
    if (classes !== above) kept.set(prefix, classes)
  }
  return [...kept].map(([prefix, classes]) => ({ path: Buffer.from(prefix, 'latin1'), classes: inKernel(classes) }))
}

function nearest(kept: ReadonlyMap<string, number>, prefix: string): number {
  for (let length = prefix.length; length >= 0; length--) {
    const classes = kept.get(prefix.slice(0, length))
    if (classes !== undefined) return classes
  }
  return 0
}

function inKernel(classes: number): number {
  return BITS.reduce((mask, { bit, kernelBit }) => (classes & bit ? mask | kernelBit : mask), 0)
}
