/** src/agent/event/losses.ts: the kernel's counts by cgroup become counts by container, and owners that are gone leave no series. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineLosses, publishLosses } from '../../src/agent/event/losses.js'
import type { ContainerTable } from '../../src/container/table.js'
import { Drop, Kind } from '../../src/sensor/generated/abi.js'
import type { Loss } from '../../src/sensor/kernel-counts.js'
import type { Sensor } from '../../src/sensor/sensor.js'
import { Counters } from '../../src/telemetry/counters.js'

const NAMES = new Map([
  [11n, { name: 'web', id: 'a1', state: 'container' }],
  [12n, { name: 'web', id: 'a1', state: 'container' }], // a cgroup below it
  [13n, { name: '', id: 'b2', state: 'container' }],
  [14n, { name: '', id: '', state: 'host' }],
])
const table = { lookup: (id: bigint) => ({ ref: NAMES.get(id) }) } as unknown as ContainerTable

const loss = (cgroupId: bigint, count: number, rest: Partial<Loss> = {}): Loss => ({
  cgroupId,
  profile: 3,
  cause: Drop.RING_FULL,
  kind: Kind.CALL,
  count,
  ...rest,
})

test('losses are told by container, cgroups below it included', () => {
  const counters = new Counters()
  defineLosses(counters)
  let losses = [
    loss(11n, 5),
    loss(12n, 2),
    loss(13n, 1, { cause: Drop.TRUNCATED, profile: 0 }),
    loss(14n, 4),
    loss(15n, 9),
  ]
  const sensor = { losses: () => losses } as unknown as Sensor
  const series = () =>
    counters
      .render()
      .split('\n')
      .filter((line) => line.startsWith('hullguard_sensor_container_drops_total{'))
      .sort()
  const line = (container: string, count: number, cause = 'ring_full', profile = 3) =>
    `hullguard_sensor_container_drops_total{cause="${cause}",kind="call",container="${container}",profile="${profile}"} ${count}`
  publishLosses(counters, sensor, table)
  assert.deepEqual(
    series(),
    [line('web', 7), line('b2', 1, 'truncated', 0), line('host', 4), line('unknown', 9)].sort(),
  )
  losses = [loss(11n, 6)]
  publishLosses(counters, sensor, table)
  assert.deepEqual(series(), [line('web', 6)])
})
