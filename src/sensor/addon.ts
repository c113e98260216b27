/**
 * The typed face of the native addon. Nothing else imports the .node file. Loading it needs neither root nor BPF.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { findPackageRoot } from '../telemetry/package-root.js'

export interface NativeSensorOptions {
  /** 32-bit `const volatile` knobs of the BPF object. */
  knobs: Readonly<Record<string, number>>
  mapEntries: Readonly<Record<string, number>>
  /** Programs that are not loaded at all. */
  skip: readonly string[]
}

export interface NativeSensorStats {
  slabsCount: number
  bytesCount: number
  waitsForSlabCount: number
  wakeupsCount: number
  waitingBytes: number
}

export interface NativeProgram {
  name: string
  /** Instructions that the verifier walked; 0 where the kernel does not say (before 5.16). */
  verifiedCount: number
  /** Runs that the kernel left out because the program was running on that CPU already. */
  recursionMissesCount: number
}

/** Methods throw a NativeError; one in the wrong state throws with errno EINVAL and changes nothing. */
export interface NativeSensor {
  open(path: string, options: NativeSensorOptions): void
  load(): void
  attach(program: string, cgroupPath?: string): void
  detach(program: string): void
  update(map: string, key: Uint8Array, value: Uint8Array, flags?: number): void
  /** False when the key was not there. */
  delete(map: string, key: Uint8Array): boolean
  /** Fills `value` (per-CPU maps: one 8-aligned value per possible CPU); false when the key is not there. */
  lookup(map: string, key: Uint8Array, value: Uint8Array): boolean
  keys(map: string): Uint8Array
  readIterator(program: string): Uint8Array
  /** Merges the two rings by their events' boot times. */
  start(
    ring: string,
    criticalRing: string,
    pool: ArrayBuffer,
    slabBytes: number,
    batchDelayMs: number,
    onSlab: (slab: number, sizeBytes: number) => void,
  ): void
  /** Gives a slab back; false when it was not handed out. */
  release(slab: number): boolean
  nudge(): void
  /** Thread id (gettid(2)) of the ring reader. */
  readerThread(): number
  stats(): NativeSensorStats
  /** Of the programs that are loaded. */
  programs(): NativeProgram[]
  close(): void
}

export interface NativeError extends Error {
  /** Positive errno. */
  errno: number
  /** What libbpf and the verifier said. */
  log: string
}

export interface Addon {
  Sensor: new () => NativeSensor
  /** A descriptor, or a negative errno. */
  pidfdOpen(pid: number): number
  /** 0 or a negative errno. */
  pidfdSendSignal(fd: number, signal: number): number
  /** 0 or a negative errno. What the thread starts from then on does not inherit a nice below 0. */
  setThreadNice(threadId: number, nice: number): number
  /** 0 or a negative errno (-11: someone else holds it). */
  lockFile(fd: number): number
  /** 1: `path`, resolved with rootDirectory as its root, is the file that otherFile leads to; 0: another; or a negative errno. */
  isSameFileInRoot(rootDirectory: string, path: string, otherFile: string): number
  /** Negative errnos of one failed open by each call that opens; the last is open_by_handle_at's. `mark`: their mode, or -fd. */
  callOpens(mark: number): number[]
  /** Gives what malloc(3) holds and nobody uses back to the kernel. */
  releaseFreeHeap(): void
  bootClockNs(): bigint
  /** What to add to a CLOCK_BOOTTIME reading for UTC ns. */
  bootClockOffsetNs(): bigint
}

let loaded: Addon | undefined

export function loadAddon(): Addon {
  if (loaded !== undefined) return loaded
  const file = join(findPackageRoot(), 'dist', 'native', 'hullguard_native.node')
  try {
    loaded = createRequire(import.meta.url)(file) as Addon
  } catch (error) {
    throw new HullguardError('addon_missing', `cannot load the native addon ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  return loaded
}

export function isNativeError(error: unknown): error is NativeError {
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number' && 'log' in error
}
