/**
 * The addon's Sensor by itself, as the native tests use it: opened on the built object, and watching one cgroup that the test
 * made. Sizes are small, so that limits are reached soon.
 */
import type { TestContext } from 'node:test'
import { loadAddon, type NativeSensor, type NativeSensorOptions } from '../../src/sensor/addon.js'
import { CgroupState, encodeMapCgroup, encodeMapContainer, Kind, Want } from '../../src/sensor/generated/abi.js'
import { objectPath, readPossibleCpuCount } from '../../src/sensor/load.js'
import { OPTIONAL_PROGRAMS } from '../../src/sensor/rungs.js'
import { encodeU32, encodeU64 } from '../../src/sensor/sensor.js'

export const SLAB_BYTES = 64 * 1024
/** Fork, exit: no other event is needed to fill a ring. */
const PROGRAMS = ['on_fork', 'on_exit', 'on_cgroup_attach']

export function nativeOptions(ringBytes = 1 << 20): NativeSensorOptions {
  const cpus = readPossibleCpuCount()
  return {
    knobs: { cfg_hierarchy_id: 0, cfg_wake_bytes: ringBytes / 4, cfg_iterator_scratch: cpus },
    mapEntries: { events: ringBytes, critical: ringBytes, scratches: cpus + 1, cgroup_scratches: cpus },
    skip: OPTIONAL_PROGRAMS.map(({ program }) => program),
  }
}

export function newSensor(): NativeSensor {
  return new (loadAddon().Sensor)()
}

export function openSensor(options = nativeOptions()): NativeSensor {
  const sensor = newSensor()
  sensor.open(objectPath(), options)
  return sensor
}

export function loadSensor(options = nativeOptions()): NativeSensor {
  const sensor = openSensor(options)
  sensor.load()
  return sensor
}

export interface Running {
  sensor: NativeSensor
  pool: ArrayBuffer
}

/** Slabs handed over go to `onSlab`; nobody else releases them. */
export function startSensor(
  slabsCount: number,
  onSlab: (slab: number, sizeBytes: number) => void,
  options = nativeOptions(),
  batchDelayMs = 1,
): Running {
  const sensor = loadSensor(options)
  const pool = new ArrayBuffer(slabsCount * SLAB_BYTES)
  sensor.start('events', 'critical', pool, SLAB_BYTES, batchDelayMs, onSlab)
  return { sensor, pool }
}

/** The sensor is closed when the test is over, also when it failed: one that runs keeps the process. */
export function closedAfter(context: TestContext, running: Running): Running {
  context.after(() => running.sensor.close())
  return running
}

/** Watches the forks and exits of a cgroup on the unified hierarchy. */
export function watchForks(sensor: NativeSensor, cgroupId: bigint): void {
  const container = encodeMapContainer({ acted: 0n, rootDentry: 0n, mntNs: 0, profile: 0 })
  sensor.update('containers', encodeU64(cgroupId), container)
  const entry = { rootId: cgroupId, profile: [0, 0], rootLevel: 2, state: CgroupState.CONTAINER, want: Want.PROCESS }
  sensor.update('cgroups', encodeU64(cgroupId), encodeMapCgroup({ ...entry, acts: 0n, actsAggregated: 0n }))
  for (const program of PROGRAMS) sensor.attach(program)
}

/** Events that the kernel side could not hand over, of all causes. */
export function dropsCount(sensor: NativeSensor): bigint {
  const value = new BigUint64Array(readPossibleCpuCount())
  let total = 0n
  for (let index = 0; sensor.keys('drops').length > index * 4; index++) {
    if (index % Kind.MAX === Kind.NONE) continue
    sensor.lookup('drops', encodeU32(index), new Uint8Array(value.buffer))
    for (const count of value) total += count
  }
  return total
}
