/** src/telemetry/counters.ts: what is counted elsewhere is brought in when somebody asks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counters } from '../../src/telemetry/counters.js'

test('a rendered metric is as fresh as the moment it is asked for', () => {
  const counters = new Counters()
  counters.define('waiting_bytes', 'gauge', 'Bytes that wait')
  let waitingBytes = 1
  counters.onRender(() => counters.set('waiting_bytes', waitingBytes))
  assert.match(counters.render(), /^hullguard_waiting_bytes 1$/m)
  waitingBytes = 7
  assert.match(counters.render(), /^hullguard_waiting_bytes 7$/m)
})
