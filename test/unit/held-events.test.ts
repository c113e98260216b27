/** src/agent/event/held-events.ts: events of cgroups nobody has identified wait, as copies and in order, within a bound. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { HeldEvents } from '../../src/agent/event/held-events.js'
import type { EventHandler } from '../../src/sensor/batch.js'
import { EvExec, EvExit, Kind } from '../../src/sensor/generated/abi.js'
import { Counters } from '../../src/telemetry/counters.js'
import { makeEvent, makeExec } from '../support/sensor-events.js'

const HELD_MAX_BYTES = 4 * 1024 * 1024

function collector(): EventHandler & { codes: number[]; faults: string[] } {
  const codes: number[] = []
  const faults: string[] = []
  const fault = (name: string) => () => {
    faults.push(name)
  }
  return {
    codes,
    faults,
    exit: (event) => codes.push(event.code),
    exec: (event) => codes.push(event.pid),
    sequence: fault('sequence'),
    fork: fault('fork'),
    socket: () => {},
    packet: fault('packet'),
    connect: fault('connect'),
    syscall: fault('syscall'),
    call: fault('call'),
    oom: fault('oom'),
    cgroup: fault('cgroup'),
    undecodable: fault('undecodable'),
  }
}

describe('held events', () => {
  let counters: Counters
  let held: HeldEvents

  beforeEach(() => {
    counters = new Counters()
    held = new HeldEvents(counters)
  })

  function hold(cgroupId: bigint, code: number): bigint | undefined {
    const event = makeEvent(EvExit, { kind: Kind.EXIT, code })
    const slab = Uint8Array.from([...new Uint8Array(16), ...event])
    const answer = held.hold(cgroupId, slab, 16, event.length)
    slab.fill(0xff) // the slab goes back to the reader
    return answer
  }

  test('come back in order, once, and without their numbers', () => {
    for (const code of [1, 2, 3]) assert.equal(hold(7n, code), undefined)
    hold(8n, 9)
    const handler = collector()
    assert.equal(held.release(7n, handler), 3)
    assert.deepEqual([handler.codes, handler.faults], [[1, 2, 3], []])
    assert.equal(held.release(7n, handler), 0)
    assert.deepEqual(held.cgroups(), [8n])
    assert.equal(held.release(8n, handler), 1)
    assert.deepEqual(handler.codes, [1, 2, 3, 9])
    assert.equal(counters.get('events_held'), 0)
  })

  test('strings survive the slab too', () => {
    const event = makeExec({ kind: Kind.EXEC, pid: 77 }, { invoked: '/bin/x', args: 'x\0y\0' })
    const slab = Uint8Array.from(event)
    held.hold(1n, slab, 0, event.length)
    slab.fill(0)
    const seen: string[] = []
    const handler = collector()
    handler.exec = ({ bytes, at, invokedBytes }) => {
      seen.push(Buffer.from(bytes.subarray(at + EvExec.SIZE_BYTES, at + EvExec.SIZE_BYTES + invokedBytes)).toString())
    }
    held.release(1n, handler)
    assert.deepEqual(seen, ['/bin/x'])
  })

  test('of a cgroup that is the host after all are forgotten and counted by the caller', () => {
    hold(7n, 1)
    hold(7n, 2)
    assert.equal(held.discard(7n), 2)
    assert.equal(held.discard(7n), 0)
    assert.deepEqual(held.cgroups(), [])
    assert.equal(counters.get('events_held'), 0)
  })

  test('know how long the first of a cgroup has waited', (context) => {
    let nowMs = 1000
    context.mock.method(performance, 'now', () => nowMs)
    hold(7n, 1)
    nowMs += 30
    hold(8n, 1)
    hold(7n, 2)
    assert.deepEqual(held.waitingLongerThan(20), [7n])
    assert.deepEqual(held.waitingLongerThan(60_000), [])
    held.release(7n, collector())
    hold(7n, 3)
    assert.deepEqual(held.waitingLongerThan(20), [])
  })

  test('are bounded: the oldest cgroup has to go, and is counted', () => {
    const event = new Uint8Array(64 * 1024)
    const fits = HELD_MAX_BYTES / event.length
    assert.equal(hold(1n, 5), undefined)
    for (let count = 0; count < fits - 1; count++) assert.equal(held.hold(2n, event, 0, event.length), undefined)
    assert.equal(held.hold(3n, event, 0, event.length), 1n)
    assert.equal(counters.get('events_released_early_total'), 1)
    const handler = collector()
    held.release(1n, handler)
    assert.deepEqual(handler.codes, [5])
    assert.equal(counters.get('events_held'), HELD_MAX_BYTES)
  })
})
