/**
 * What rules have to see of acts on files -> the kernel's filter (`place_prefixes`, `map_filter`): the longest
 * entry that a path begins with says which classes of acts are wanted of it, so each entry holds those of the shorter ones too. The
 * kernel reports what a rule may want of either path of an act, user space judges it.
 */
import {
  ACT_FAILED,
  ACTS_ALL,
  DONE_CLASSES,
  OPEN_CLASSES,
  type OpenKind,
  type PlaceWant,
} from '../match/place-wants.js'
import { actNumber } from '../sensor/call-recipes.js'
import {
  Act,
  KEY_PATH_BYTES,
  OpenKind as KernelKind,
  type MapFilter,
  OpenTrait,
  PlaceClass,
  TOP_BYTES,
  TOP_FACTOR,
  TOP_WORDS,
} from '../sensor/generated/abi.js'

export interface PlaceFilter {
  /** Set of the kernel's classes; 0: acts of any class. */
  readonly classes: number
  /** None: acts on every path. */
  readonly prefixes: readonly { readonly path: Uint8Array; readonly classes: number }[]
}

export const EVERY_PLACE: PlaceFilter = { classes: 0, prefixes: [] }
/** Of a profile. With more, its rules see acts on every path. */
const PREFIXES_MAX_COUNT = 4096
const KERNEL_KINDS: Readonly<Record<OpenKind, number>> = {
  read: KernelKind.READ,
  write: KernelKind.WRITE,
  read_write: KernelKind.READ_WRITE,
  neither: KernelKind.NEITHER,
  failed: KernelKind.FAILED,
}
/** Ours and the kernel's bit of each class. */
const BITS = [
  ...OPEN_CLASSES.map(({ kind, creates, hasDotDot, bit }) => {
    const traits = (creates ? OpenTrait.CREATE : 0) + (hasDotDot ? OpenTrait.DOTDOT : 0)
    return { bit, kernelBit: 1 << (KERNEL_KINDS[kind] * 4 + traits) }
  }),
  ...DONE_CLASSES.map(({ act, bit }) => ({
    bit,
    kernelBit: 1 << (PlaceClass.DONE + actNumber(act) - Act.UNLINK),
  })),
  { bit: ACT_FAILED, kernelBit: 1 << PlaceClass.FAILED },
]

export function lowerPlaces(wants: readonly PlaceWant[]): PlaceFilter {
  const all = wants.reduce((mask, { classes }) => mask | classes, 0)
  if (all === 0) return EVERY_PLACE
  const places = new Places(wants)
  const prefixes = places.points.size > PREFIXES_MAX_COUNT ? [] : resolved(places)
  const isByPath = prefixes.some(({ path }) => path.length > 0)
  return { classes: all === ACTS_ALL ? 0 : inKernel(all), prefixes: isByPath ? prefixes : [] }
}

/** What tells in the kernel, by a path's first bytes, that no longer entry is about it: then what is wanted of every path is. */
export function topsOf(prefixes: PlaceFilter['prefixes']): Pick<MapFilter, 'placeElsewhere' | 'placeTops'> {
  const placeTops = Array.from({ length: TOP_WORDS }, () => 0n)
  let [placeElsewhere, length] = [0, -1]
  for (const { path, classes } of prefixes) {
    if (path.length >= TOP_BYTES) {
      const top = Math.imul(new DataView(path.buffer, path.byteOffset).getUint32(0, true), TOP_FACTOR) >>> 24
      placeTops[top >> 6] = (placeTops[top >> 6] ?? 0n) | (1n << BigInt(top & 63))
    } else if (path.length > 1) placeTops.fill((1n << 64n) - 1n)
    else if (path.length > length) [placeElsewhere, length] = [classes, path.length] // every path begins with it
  }
  return { placeElsewhere, placeTops }
}

/** Wants by what they begin with. */
class Places {
  /** Where what is wanted may change. */
  readonly points: ReadonlySet<string>
  readonly #plain = new Map<string, number>()
  readonly #excepting = new Map<string, { classes: number; except: ReadonlySet<string> }[]>()

  constructor(wants: readonly PlaceWant[]) {
    const points = new Set<string>()
    for (const want of wants) {
      const { classes } = want
      const prefix = want.prefix.slice(0, KEY_PATH_BYTES)
      // a cut exception would take more than it should
      const except = (want.except ?? []).filter(({ length }) => length <= KEY_PATH_BYTES)
      points.add(prefix)
      if (except.length === 0) {
        this.#plain.set(prefix, (this.#plain.get(prefix) ?? 0) | classes)
        continue
      }
      for (const each of except) points.add(each)
      this.#excepting.set(prefix, [...(this.#excepting.get(prefix) ?? []), { classes, except: new Set(except) }])
    }
    this.points = points
  }

  /** Of paths that begin so, and with no longer point. */
  classesAt(point: string): number {
    const beginnings = Array.from({ length: point.length + 1 }, (_, length) => point.slice(0, length))
    return beginnings.reduce((mask, prefix) => {
      const excepting = (this.#excepting.get(prefix) ?? []).filter(
        ({ except }) => !beginnings.some((beginning) => except.has(beginning)),
      )
      return excepting.reduce((sum, { classes }) => sum | classes, mask | (this.#plain.get(prefix) ?? 0))
    }, 0)
  }
}

/** Without entries that say what a shorter one says. */
function resolved(places: Places): { path: Uint8Array; classes: number }[] {
  const kept = new Map<string, number>()
  for (const prefix of [...places.points].sort((a, b) => a.length - b.length)) {
    const classes = places.classesAt(prefix)
    if (classes !== nearest(kept, prefix)) kept.set(prefix, classes)
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
