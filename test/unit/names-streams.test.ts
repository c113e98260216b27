/** src/sensor/names/streams.ts: packets in any order give the same names, each once; what is given up is counted. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Direction, EvPacket, Kind, PacketFlag } from '../../src/sensor/generated/abi.js'
import { RequestReader } from '../../src/sensor/names/http.js'
import { type FoundName, NameStreams } from '../../src/sensor/names/streams.js'
import { Counters } from '../../src/telemetry/counters.js'
import { seedOf } from '../support/seed.js'
import { viewOf } from '../support/sensor-events.js'

const TCP = 6
const UDP = 17
const HEAD = Buffer.from('GET /path HTTP/1.1\r\nUser-Agent: something\r\nHost: web.example\r\n\r\n')
const QUERY = Buffer.from('beef01000001000000000000046e616d65076578616d706c650000010001', 'hex')
const framed = (bytes: Uint8Array) => Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])

interface Part {
  data: Uint8Array
  cookie?: bigint
  offset?: number
  port?: number
  proto?: number
  flags?: number
  direction?: number
  payloadBytes?: number
}

function packet({ data, cookie = 1n, offset = 0, port = 80, proto = TCP, flags = 0, ...rest }: Part): EvPacket {
  const fields = {
    ...{ kind: Kind.PACKET, cookie, offsetBytes: offset, dataBytes: data.length, family: 4, proto, flags },
    ...{ payloadBytes: rest.payloadBytes ?? data.length, remotePort: port, direction: rest.direction ?? Direction.OUT },
  }
  return viewOf(EvPacket, fields, data)
}

function streams() {
  const counters = new Counters()
  const names = new NameStreams(counters)
  const forgotten = (cause: string) => counters.get('names_forgotten_total', { cause })
  const unreadable = (what: string) => counters.get('names_unreadable_total', { what })
  return { names, forgotten, unreadable }
}

const hostOf = (found: FoundName | undefined) => (found?.kind === 'http' ? found.http.host : undefined)

describe('names from packets', () => {
  test('one over UDP, whole in itself; one that was cut says so; what is none is counted', () => {
    const { names, unreadable } = streams()
    const [found, ...others] = names.take(packet({ data: QUERY, proto: UDP, port: 53, cookie: 9n }))
    assert.ok(found?.kind === 'dns')
    assert.deepEqual([found.dns.query, found.dns.isTruncated, others], ['name.example', false, []])
    assert.deepEqual([found.far.port, found.far.proto, found.far.isIpv4, found.far.cookie], [53, UDP, true, 9n])
    const [cut] = names.take(packet({ data: QUERY, proto: UDP, port: 53, payloadBytes: 5000 }))
    assert.ok(cut?.kind === 'dns' && cut.dns.isTruncated)
    assert.deepEqual(names.take(packet({ data: Buffer.from('no'), proto: UDP, port: 53 })), [])
    assert.equal(unreadable('dns'), 1)
  })

  test('segments of any size, in any order, some twice, give the name once', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: HEAD.length - 1 }), { maxLength: 12 }),
        fc.infiniteStream(fc.nat()),
        (cuts, random) => {
          const { names, forgotten } = streams()
          const ends = [...cuts.sort((a, b) => a - b), HEAD.length]
          const parts = ends.map((end, index) => {
            const offset = index === 0 ? 0 : (ends[index - 1] ?? 0)
            return packet({ data: HEAD.subarray(offset, end), offset })
          })
          const doubled = [...parts, ...parts.slice(0, 3)]
          const order = doubled.map((part) => ({ part, key: random.next().value as number }))
          const found = order.sort((a, b) => a.key - b.key).flatMap(({ part }) => names.take(part))
          assert.deepEqual(found.map(hostOf), ['web.example'])
          assert.deepEqual(names.closed(1n), [])
          assert.equal(forgotten('disorder'), 0)
        },
      ),
      seedOf(300),
    )
  })

  test('what was told last ends it: a head that is cut is told as cut, and so is one whose connection closes', () => {
    const { names } = streams()
    const front = HEAD.subarray(0, 30)
    const [last] = names.take(packet({ data: front, flags: PacketFlag.LAST }))
    assert.ok(last?.kind === 'http' && last.http.isTruncated && last.http.host === '')
    assert.deepEqual(names.closed(1n), [])
    assert.deepEqual(names.take(packet({ data: front, cookie: 2n })), [])
    const [closed, ...others] = names.closed(2n)
    assert.ok(closed?.kind === 'http' && closed.http.isTruncated && others.length === 0)
    assert.equal(closed.http.path, '/path')
    assert.deepEqual(names.closed(2n), [])
  })

  test('DNS over TCP: messages over several segments and several in one, both ways', () => {
    const { names, unreadable } = streams()
    const bytes = Buffer.concat([framed(QUERY), framed(QUERY), framed(Buffer.from('x')), framed(QUERY)])
    const found: FoundName[] = []
    for (let offset = 0; offset < bytes.length; offset += 7)
      found.push(...names.take(packet({ data: bytes.subarray(offset, offset + 7), offset, port: 53 })))
    assert.deepEqual(
      found.map((one) => one.kind === 'dns' && one.dns.query),
      ['name.example', 'name.example', 'name.example'],
    )
    assert.equal(unreadable('dns'), 1)
    const [answer] = names.take(packet({ data: framed(QUERY), port: 53, direction: Direction.IN }))
    assert.equal(answer?.kind, 'dns')
    const long = Buffer.concat([Buffer.from([1, 0]), QUERY])
    const cut = names.take(packet({ data: long, port: 53, cookie: 2n, flags: PacketFlag.LAST }))
    assert.ok(cut.length === 1 && cut[0]?.kind === 'dns' && cut[0].dns.isTruncated)
  })

  test('a hole that is never filled: counted when too much stands behind it', () => {
    const { names, forgotten } = streams()
    for (let index = 0; index < 17; index++)
      assert.deepEqual(names.take(packet({ data: HEAD.subarray(0, 8), offset: 10 + index * 10 })), [])
    assert.equal(forgotten('disorder'), 1)
    assert.deepEqual(names.take(packet({ data: HEAD })), [], 'it is given up')
    assert.deepEqual(names.take(packet({ data: HEAD, cookie: 2n, offset: 5000 })), [])
    assert.equal(forgotten('disorder'), 2)
  })

  test('a connection that ends with a hole before what was told: counted, unless a name before it says that it is cut', () => {
    const { names, forgotten } = streams()
    names.take(packet({ data: HEAD, offset: 10, cookie: 1n }))
    assert.deepEqual(names.closed(1n), [])
    assert.equal(forgotten('hole'), 1)
    names.take(packet({ data: HEAD.subarray(0, 3), cookie: 2n }))
    names.take(packet({ data: HEAD.subarray(40), offset: 40, cookie: 2n }))
    assert.deepEqual(names.closed(2n), [], 'a method alone is no request')
    assert.equal(forgotten('hole'), 2)
    const both = Buffer.concat([framed(QUERY), framed(QUERY)])
    names.take(packet({ data: both.subarray(0, 35), cookie: 3n, port: 53 }))
    names.take(packet({ data: both.subarray(50), offset: 50, cookie: 3n, port: 53 }))
    assert.deepEqual(names.closed(3n), [], 'the second is cut before its question')
    assert.equal(forgotten('hole'), 3)
    names.take(packet({ data: HEAD.subarray(0, 20), cookie: 4n }))
    names.take(packet({ data: HEAD.subarray(40), offset: 40, cookie: 4n }))
    const [told] = names.closed(4n)
    assert.ok(told?.kind === 'http' && told.http.isTruncated)
    assert.equal(forgotten('hole'), 3)
  })

  test('what is open at the end is counted, once, unless its name was found or nothing is left of it to read', () => {
    const { names, forgotten } = streams()
    names.take(packet({ data: HEAD }))
    names.take(packet({ data: framed(QUERY), port: 53, cookie: 2n }))
    names.take(packet({ data: HEAD.subarray(0, 10), cookie: 3n }))
    names.take(packet({ data: HEAD, offset: 10, cookie: 4n }))
    names.flush()
    names.flush()
    assert.equal(forgotten('stop'), 2)
  })

  test('a head that comes byte by byte is read once, not again with each byte', () => {
    const headers = Array.from({ length: 900 }, (_, index) => `${index % 10}:\n`).join('')
    const bytes = Buffer.from(`GET / HTTP/1.1\n${headers}Host: slow.example\n`)
    assert.ok(bytes.length <= 4096)
    const reader = new RequestReader()
    let searchedBytes = 0
    class Watched extends Uint8Array {
      override indexOf(value: number, from = 0): number {
        const found = super.indexOf(value, from)
        searchedBytes += (found < 0 ? this.length : found) - from
        return found
      }
    }
    for (let length = 1; length < bytes.length; length++)
      assert.equal(reader.read(new Watched(bytes.buffer, bytes.byteOffset, length), false), 'more')
    const found = reader.read(bytes, false)
    assert.ok(typeof found === 'object' && found.host === 'slow.example')
    assert.ok(searchedBytes <= 2 * bytes.length, `${searchedBytes} bytes searched of ${bytes.length}`)
  })

  test('too many connections at once: the oldest goes, and counts only when its name was not found', () => {
    const { names, forgotten } = streams()
    for (let cookie = 1; cookie <= 4096; cookie++)
      names.take(packet({ data: cookie <= 10 ? HEAD : HEAD.subarray(0, 10), cookie: BigInt(cookie) }))
    for (let cookie = 5000; cookie < 5015; cookie++) names.take(packet({ data: HEAD, cookie: BigInt(cookie) }))
    assert.equal(forgotten('connections'), 5)
    assert.deepEqual(names.take(packet({ data: HEAD.subarray(10), offset: 10, cookie: 11n })), [])
    assert.deepEqual(names.take(packet({ data: HEAD.subarray(10), offset: 10, cookie: 17n })).map(hostOf), [
      'web.example',
    ])
  })

  test('too many bytes at once: the oldest goes', () => {
    const { names, forgotten } = streams()
    const long = Buffer.concat([Buffer.from('GET /'), Buffer.alloc(4000, 0x61)])
    for (let cookie = 1; cookie <= 2000; cookie++) names.take(packet({ data: long, cookie: BigInt(cookie) }))
    const kept = Math.floor((4 << 20) / long.length)
    assert.equal(forgotten('bytes'), 2000 - kept)
    const [oldest] = names.closed(BigInt(2000 - kept + 1))
    assert.equal(oldest?.kind, 'http')
    assert.deepEqual(names.closed(BigInt(2000 - kept)), [])
  })

  test('what is neither TLS nor HTTP is counted, and not looked at again', () => {
    const { names, unreadable } = streams()
    assert.deepEqual(names.take(packet({ data: Buffer.from('EHLO mail\r\n') })), [])
    assert.deepEqual(names.take(packet({ data: HEAD, offset: 11 })), [])
    assert.deepEqual(names.take(packet({ data: Buffer.from([22, 3, 1, 0, 0]), cookie: 2n })), [])
    assert.deepEqual([unreadable('http'), unreadable('tls')], [1, 1])
  })

  test('any packets at all are taken without an exception', () => {
    const part = fc.record({
      data: fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(HEAD, framed(QUERY), Buffer.from([22, 3, 1]))),
      cookie: fc.bigInt({ min: 1n, max: 3n }),
      offset: fc.oneof(fc.nat(80), fc.constantFrom(4090, 0xffff_ffff)),
      port: fc.constantFrom(53, 443),
      proto: fc.constantFrom(TCP, UDP),
      flags: fc.constantFrom(0, PacketFlag.LAST),
      direction: fc.constantFrom(Direction.OUT, Direction.IN),
    })
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const { names } = streams()
        for (const one of parts) names.take(packet(one))
        for (const cookie of [1n, 2n, 3n]) names.closed(cookie)
      }),
      seedOf(1000),
    )
  })
})
