/** How the kernel side is told which cgroup hierarchy identifies containers. */
import { readFileSync } from 'node:fs'
import type { Hierarchy } from '../../container/cgroup-fs.js'
import type { SensorOptions } from '../../sensor/sensor.js'

export function sensorHierarchy(
  hierarchy: Hierarchy,
): Pick<SensorOptions, 'hierarchyId' | 'useMemoryCss' | 'unifiedRoot'> {
  if (hierarchy.kind !== 'v1') return { hierarchyId: 0, useMemoryCss: false, unifiedRoot: hierarchy.root }
  const line = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .find((entry) => entry.split(':')[1]?.split(',').includes('memory'))
  return { hierarchyId: Number(line?.split(':')[0] ?? 0), useMemoryCss: true, unifiedRoot: undefined }
}
