/** Thresholds over time, without a clock: readings and times are given. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CpuRate, ThresholdState } from '../../src/agent/resource/threshold-state.js'

test('a rule hits when the reading has stayed above for its time, once, and again only after it fell', () => {
  const state = new ThresholdState()
  const at = (nowMs: number, isAbove: boolean) => state.judge('r', isAbove, nowMs, 2000)
  assert.deepEqual([at(0, true), at(1999, true), at(2000, true), at(9000, true)], [false, false, true, false])
  assert.deepEqual([at(9500, false), at(10_000, true), at(12_000, true)], [false, false, true])
})

test('a fall before its time starts the time anew', () => {
  const state = new ThresholdState()
  const at = (nowMs: number, isAbove: boolean) => state.judge('r', isAbove, nowMs, 2000)
  assert.deepEqual([at(0, true), at(1000, false), at(1500, true), at(3000, true)], [false, false, false, false])
  assert.equal(at(3500, true), true)
})

test('without a time the first reading above hits; rules and containers are told apart, and forgotten', () => {
  const state = new ThresholdState()
  assert.equal(state.judge('r\0a', true, 5, 0), true)
  assert.equal(state.judge('r\0b', true, 5, 0), true)
  assert.equal(state.judge('r\0a', true, 6, 0), false)
  state.forget((key) => key.endsWith('\0a'))
  assert.equal(state.judge('r\0a', true, 7, 0), true)
  assert.equal(state.judge('r\0b', true, 7, 0), false)
})

test('processor time over wall time: the first reading says nothing, nor one that went back', () => {
  const rate = new CpuRate()
  assert.equal(rate.millicores('c', 1_000_000_000n, 0), undefined)
  assert.equal(rate.millicores('c', 2_500_000_000n, 1000), 1500)
  assert.equal(rate.millicores('c', 2_500_000_000n, 2000), 0)
  assert.equal(rate.millicores('c', 1n, 3000), undefined)
  rate.forget('c')
  assert.equal(rate.millicores('c', 5n, 4000), undefined)
})
