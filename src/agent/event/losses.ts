/** Whose events the kernel side lost: its counts by cgroup, as a metric by container. Read when the metrics are asked for. */
import type { ContainerTable } from '../../container/table.js'
import { dropLabels } from '../../sensor/kernel-counts.js'
import type { Sensor } from '../../sensor/sensor.js'
import type { Counters } from '../../telemetry/counters.js'

const METRIC = 'sensor_container_drops_total'

export function defineLosses(counters: Counters): void {
  counters.define(METRIC, 'counter', 'Of the events and state lost in the kernel those whose container is known')
}

export function publishLosses(counters: Counters, sensor: Sensor, table: ContainerTable): void {
  counters.replace(
    METRIC,
    sensor.losses().map(({ cgroupId, profile, cause, kind, count }) => {
      // Its name, else its id, else what is known of the cgroup.
      const ref = table.lookup(cgroupId)?.ref
      const container = ref === undefined ? 'unknown' : ref.name || ref.id || ref.state
      return [{ ...dropLabels(cause, kind), container, profile: String(profile) }, count]
    }),
  )
}
