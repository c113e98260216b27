/** Run as another user by test/native/unprivileged.test.ts: how far the sensor gets without privileges, as one JSON line. */

import { isNativeError } from '../../src/sensor/addon.js'
import { reportHost } from '../../src/sensor/capability.js'
import { Sensor } from '../../src/sensor/sensor.js'
import { Counters } from '../../src/telemetry/counters.js'
import { HullguardError } from '../../src/telemetry/errors.js'
import { openSensor } from './sensor-native.js'

function outcome(step: () => void): unknown {
  try {
    step()
    return 'done'
  } catch (error) {
    if (error instanceof HullguardError) return { code: error.errorName, message: error.message }
    if (isNativeError(error)) return { errno: error.errno, message: error.message }
    return { message: String(error) }
  }
}

const hierarchy = { hierarchyId: 0, useMemoryCss: false, unifiedRoot: undefined }
const sensor = openSensor()
const load = outcome(() => sensor.load())
const again = outcome(() => sensor.load())
sensor.close()
const options = { ...hierarchy, ringBytes: 1 << 20, counters: new Counters(), isCongested: () => false }
const open = outcome(() => Sensor.open(options).close())
const { fault, missingCapabilities } = reportHost(hierarchy)
console.log(JSON.stringify({ uid: process.getuid?.(), load, again, open, fault, missingCapabilities }))
