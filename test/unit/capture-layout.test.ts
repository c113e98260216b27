import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BatchWalker, type EventHandler } from '../../src/sensor/batch.js'
import { converterFor } from '../../src/sensor/capture-layout.js'
import { EVENT_LAYOUT, EvConnect, Kind } from '../../src/sensor/generated/abi.js'
import { HullguardError } from '../../src/telemetry/errors.js'
import { makeEvent, makeExec } from '../support/sensor-events.js'

/** This build's table with some of it changed. */
function changed(changes: Readonly<Record<string, (text: string) => string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(EVENT_LAYOUT).map(([name, text]) => [name, changes[name]?.(text) ?? text]))
}

function refusal(captured: Readonly<Record<string, string>>): string {
  try {
    converterFor(captured, EVENT_LAYOUT)
  } catch (error) {
    assert.ok(error instanceof HullguardError)
    assert.equal(error.errorName, 'capture_version')
    return error.message
  }
  throw new Error('it was not refused')
}

/** Moves every field from `offset` on by `by` bytes, as an inserted field would. */
function shifted(text: string, offset: number, by: number): string {
  const [size, ...fields] = text.split(' ')
  const moved = fields.map((field) =>
    field.replace(/@(\d+)\+/, (_, at) => `@${Number(at) >= offset ? Number(at) + by : at}+`),
  )
  return [Number(size) + by, ...moved].join(' ')
}

test('the same layout needs no conversion', () => {
  assert.equal(converterFor({ ...EVENT_LAYOUT }, EVENT_LAYOUT), undefined)
})

test('an event of a build whose fields lie elsewhere is read by name, with its strings', () => {
  const at = 112 // within every event, behind the header
  const converter = converterFor(changed({ ev_exec: (text) => shifted(text, at, 16) }), EVENT_LAYOUT)
  const event = makeExec(
    { kind: Kind.EXEC, pid: 77, startNs: 5n, parentPid: 3, inode: 99n, bootNs: 1n << 40n },
    { invoked: '/bin/x', file: '/bin/busybox', cwd: '/', args: 'x\0y\0' },
  )
  const old = new Uint8Array(event.length + 16)
  old.set(event.subarray(0, at))
  old.fill(0xee, at, at + 16)
  old.set(event.subarray(at), at + 16)
  new DataView(old.buffer).setUint32(0, old.length, true)
  const into = new Uint8Array(65_536).fill(0xdd)
  const sizeBytes = converter?.convert(old, 0, old.length, into)
  assert.deepEqual(Buffer.from(into.subarray(0, sizeBytes)), Buffer.from(event))
  assert.deepEqual(converter?.absent, [])
})

test('events of every kind are converted', () => {
  const converter = converterFor(changed({ ev_header: (text) => `${text} later@87+1` }), EVENT_LAYOUT)
  const kinds = (EVENT_LAYOUT.hg_kind ?? '').split(' ').map((entry) => entry.replace('HG_KIND_', '').split('='))
  const event = new Uint8Array(1024)
  const into = new Uint8Array(65_536)
  const missed = kinds.flatMap(([name = '', number]) => {
    new DataView(event.buffer).setUint16(4, Number(number), true)
    return converter?.convert(event, 0, event.length, into) === undefined ? [name] : []
  })
  // No events: what iterators yield, and the ends of the list.
  assert.deepEqual(missed, ['NONE', 'TASK', 'MEMORY', 'MAX'])
})

test('a field that the capture lacks reads as 0 and is named once', () => {
  const without = changed({ ev_connect: (text) => text.replace(/ repeats_count@\d+\+\d+/, '') })
  const converter = converterFor(without, EVENT_LAYOUT)
  assert.deepEqual(converter?.absent, ['connect.repeats_count'])
  const event = makeEvent(EvConnect, { kind: Kind.CONNECT, port: 443, repeatsCount: 9 })
  const into = new Uint8Array(4096)
  const sizeBytes = converter?.convert(event, 0, event.length, into) ?? 0
  const seen: { port?: number; repeatsCount?: number } = {}
  const handler = new Proxy({} as EventHandler, {
    get: () => (view: EvConnect) => Object.assign(seen, { port: view.port, repeatsCount: view.repeatsCount }),
  })
  new BatchWalker(into.buffer).dispatchUnnumbered(0, sizeBytes, handler)
  assert.deepEqual(seen, { port: 443, repeatsCount: 0 })
})

test('kinds are taken over by name when their numbers have changed', () => {
  const captured = changed({
    hg_kind: (text) => text.replace('HG_KIND_EXEC=1 ', 'HG_KIND_EXEC=41 '),
  })
  const converter = converterFor(captured, EVENT_LAYOUT)
  const event = makeExec({ kind: 41, pid: 7 }, { invoked: '/x' })
  const into = new Uint8Array(4096)
  assert.equal(converter?.convert(event, 0, event.length, into), event.length)
  assert.equal(new DataView(into.buffer).getUint16(4, true), Kind.EXEC)
  const unknown = makeExec({ kind: 999 }, {})
  assert.equal(converter?.convert(unknown, 0, unknown.length, into), undefined)
  assert.equal(converter?.convert(event, 0, 20, into), undefined, 'shorter than its fields')
})

test('what cannot be taken over refuses the capture, by name', () => {
  assert.match(
    refusal(changed({ ev_connect: (text) => text.replace(/ port@(\d+)\+2/, ' port@$1+1') })),
    /connect\.port has 1 bytes in it and 2 here/,
  )
  assert.match(
    refusal(changed({ hg_exit_flag: (text) => text.replace('HG_EXIT_CORE=1', 'HG_EXIT_CORE=2') })),
    /hg_exit_flag HG_EXIT_CORE is 2 in it and 1 here/,
  )
})

test('a table that no build can have written is refused, and does no harm', () => {
  assert.match(refusal({}), /says nothing of its events/)
  assert.match(refusal(changed({ ev_exec: () => '100 inode@98+8' })), /ev_exec\.inode lies outside the event/)
  assert.match(refusal(changed({ ev_exec: () => '99999999 inode@8+8' })), /ev_exec has an impossible size/)
  assert.match(refusal(changed({ ev_exec: () => '100 <script>' })), /table of ev_exec cannot be read/)
})
