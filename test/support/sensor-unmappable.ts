/**
 * What the addon says when the object's writable globals cannot be mapped: their map's descriptor is closed behind its back. A program
 * of its own, since the number may become another file's. Prints JSON.
 */
import { closeSync, readdirSync, readFileSync } from 'node:fs'
import { messageOf } from '../../src/telemetry/errors.js'
import { loadSensor, SLAB_BYTES } from './sensor-native.js'

/** Arrays that can be mapped, and that programs may write: BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE alone. */
const GLOBALS = /^map_type:\s*2$[\s\S]*^map_flags:\s*0x400$/m

function textOf(fd: string): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
  } catch {
    return '' // the listing's own descriptor
  }
}

const sensor = loadSensor()
const globals = readdirSync('/proc/self/fd').filter((fd) => GLOBALS.test(textOf(fd)))
for (const fd of globals) closeSync(Number(fd))
let said = 'started'
try {
  sensor.start('events', 'critical', new ArrayBuffer(SLAB_BYTES), SLAB_BYTES, 1, () => {})
} catch (error) {
  said = messageOf(error)
}
console.log(JSON.stringify({ globalsCount: globals.length, said }))
process.exit(0)
