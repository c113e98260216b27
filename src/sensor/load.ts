/** Loads the BPF object as large as this host and these options ask for; nothing is attached yet. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findPackageRoot } from '../telemetry/package-root.js'
import { loadAddon, type NativeSensor } from './addon.js'
import { type Allowed, loadByTrying, type Reasons } from './ladder.js'
import { explainLoadError } from './load-error.js'
import { EXEC_DECISION } from './refusals.js'

/** All events but those of the critical ring. */
export const RING = 'events'
/** Life of processes and containers and what was acted on: a ring of its own, which no flood of other events fills. */
export const CRITICAL_RING = 'critical'
/** Part of the ring's size, and at least as much as holds one of the largest events. */
const CRITICAL_RING_PART = 4
const CRITICAL_RING_MIN_BYTES = 64 * 1024
/** Programs that can be preempted, of those that a kernel gives together. */
const CLAIMERS = [EXEC_DECISION, 'on_open_result']
/** As many as a program tries before it gives up: with few CPUs several tasks can be preempted in their programs at once. */
const CLAIMED_SCRATCHES_MIN = 4

export interface LoadOptions {
  /** Hierarchy that identifies containers. */
  hierarchyId: number
  /** Pure cgroup v1: identity from the memory controller's hierarchy. */
  useMemoryCss: boolean
  /** Power of two. */
  ringBytes: number
}

export interface Loaded {
  native: NativeSensor
  /** Optional programs that this kernel refused, with the reason. */
  missing: Reasons<string>
}

/** Throws HullguardError addon_missing, no_btf, not_permitted or probe_load_failed. */
export function loadObject(options: LoadOptions): Loaded {
  const addon = loadAddon()
  try {
    return loadByTrying((allowed) => openNative(options, allowed))
  } catch (error) {
    throw explainLoadError('load the BPF object', error)
  } finally {
    // Each trial and the object read the types of the whole kernel: in memory of the one before them, and never again.
    addon.releaseFreeHeap()
  }
}

function openNative({ hierarchyId, useMemoryCss, ringBytes }: LoadOptions, { skip, canCast }: Allowed): NativeSensor {
  const cpus = readPossibleCpuCount()
  const claimed = Math.max(cpus, CLAIMED_SCRATCHES_MIN)
  const criticalBytes = Math.max(ringBytes / CRITICAL_RING_PART, CRITICAL_RING_MIN_BYTES)
  const native = new (loadAddon().Sensor)()
  try {
    native.open(objectPath(), {
      knobs: {
        cfg_hierarchy_id: hierarchyId,
        cfg_use_memory_css: useMemoryCss ? 1 : 0,
        cfg_can_cast: canCast ? 1 : 0,
        cfg_wake_bytes: ringBytes / 4,
        cfg_critical_wake_bytes: criticalBytes / 4,
        cfg_iterator_scratch: cpus,
        cfg_lsm_scratch: cpus + 1,
        cfg_lsm_scratches_count: claimed,
      },
      mapEntries: {
        [RING]: ringBytes,
        [CRITICAL_RING]: criticalBytes,
        // One a CPU, one for the iterators, and those that hooks which can be preempted claim.
        scratches: cpus + 1 + (CLAIMERS.every((program) => skip.includes(program)) ? 0 : claimed),
        scratch_claims: cpus + 1 + claimed,
        cgroup_scratches: cpus,
      },
      skip,
    })
  } catch (error) {
    native.close()
    throw error
  }
  return native
}

export function objectPath(): string {
  return join(findPackageRoot(), 'dist', 'bpf', 'hullguard.bpf.o')
}

export function readPossibleCpuCount(): number {
  const text = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim()
  const last = text.split(',').at(-1)?.split('-').at(-1)
  return Number(last) + 1
}
