/** src/record/ip-text.ts: addresses as RFC 5952 writes them. */
import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { formatIp, ipTextAt } from '../../src/record/ip-text.js'
import { seedOf } from '../support/seed.js'

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.padStart(32, '0'), 'hex'))
const mapped = (...ip: number[]) => Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...ip])

describe('addresses as text', () => {
  test('the address of an IPv4 call is dotted', () => {
    assert.equal(formatIp(mapped(127, 0, 0, 1), true), '127.0.0.1')
    assert.equal(formatIp(mapped(0, 0, 0, 0), true), '0.0.0.0')
    assert.equal(formatIp(mapped(255, 255, 255, 255), true), '255.255.255.255')
  })

  test('a mapped address of an IPv6 call stays one', () => {
    assert.equal(formatIp(mapped(10, 0, 0, 200), false), '::ffff:10.0.0.200')
  })

  const table: [string, string][] = [
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['20010db8000000000000000000000000', '2001:db8::'],
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'], // of two runs of equal length the first
    ['20010db8000100000001000000000001', '2001:db8:1:0:1::1'], // the longer run, wherever it stands
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'], // one zero word is not shortened
    ['00010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
    ['00010000000300040005000600000000', '1:0:3:4:5:6::'],
    ['fe80000000000000021122fffe334455', 'fe80::211:22ff:fe33:4455'],
    ['0000000000000000000000000a000001', '::a00:1'], // "IPv4-compatible": not mapped
    ['ffffffffffffffffffffffffffffffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ]
  for (const [hex, text] of table)
    test(`${text}`, () => {
      assert.equal(formatIp(bytesOf(hex), false), text)
    })

  test('every address is written as the URL standard writes it, but for mapped ones, and means the same', () => {
    // Few distinct words, so that runs of zeros of every length and place happen.
    const word = fc.constantFrom(0, 0, 0, 1, 0x10, 0xffff, 0xabcd)
    fc.assert(
      fc.property(fc.array(word, { minLength: 8, maxLength: 8 }), (words) => {
        const bytes = Uint8Array.from(words.flatMap((value) => [value >> 8, value & 0xff]))
        const text = formatIp(bytes, false)
        assert.ok(isIPv6(text), text)
        const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1)
        const spelled = words.map((value) => value.toString(16)).join(':')
        assert.equal(canonical, new URL(`http://[${spelled}]/`).hostname.slice(1, -1))
        if (!text.startsWith('::ffff:') || !text.includes('.')) assert.equal(text, canonical)
      }),
      seedOf(2000),
    )
  })
})

test('addresses in an event are shown as they are alone, also when many of them have been shown', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 40, maxLength: 40 }), fc.nat(24), fc.boolean(), (bytes, at, isIpv4) => {
      assert.equal(ipTextAt(bytes, at, isIpv4), formatIp(bytes.subarray(at, at + 16), isIpv4))
    }),
    seedOf(5_000),
  )
})
