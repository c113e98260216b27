/** src/record/time.ts and src/cli/time.ts: nanoseconds survive as text, and people may give an age or a time. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseTime as parseOption } from '../../src/cli/time.js'
import { formatTime, parseTime } from '../../src/record/time.js'
import { HullguardError } from '../../src/telemetry/errors.js'
import { seedOf } from '../support/seed.js'

const NS_PER_MS = 1_000_000n

describe('record times', () => {
  const table: [bigint, string][] = [
    [0n, '1970-01-01T00:00:00.000000000Z'],
    [1n, '1970-01-01T00:00:00.000000001Z'],
    [999_999_999n, '1970-01-01T00:00:00.999999999Z'],
    [1_000_000_000n, '1970-01-01T00:00:01.000000000Z'],
    [-1n, '1969-12-31T23:59:59.999999999Z'],
    [-1_000_000n, '1969-12-31T23:59:59.999000000Z'],
    [1_794_182_400_123_456_789n, '2026-11-09T00:00:00.123456789Z'],
    [951_782_400_000_000_000n, '2000-02-29T00:00:00.000000000Z'],
  ]
  for (const [timeNs, text] of table)
    test(`${timeNs} is ${text}, and back`, () => {
      assert.equal(formatTime(timeNs), text)
      assert.equal(parseTime(text), timeNs)
    })

  test('every time between the years 0 and 9999 comes back to the nanosecond', () => {
    const first = BigInt(Date.parse('0000-01-01T00:00:00Z')) * NS_PER_MS
    const last = BigInt(Date.parse('9999-12-31T23:59:59.999Z')) * NS_PER_MS
    fc.assert(
      fc.property(fc.bigInt({ min: first, max: last }), (timeNs) => {
        assert.equal(parseTime(formatTime(timeNs)), timeNs)
      }),
      seedOf(1000),
    )
  })

  test('other spellings of RFC 3339 are read; digits beyond the ninth are dropped', () => {
    const expected = parseTime('2026-11-23T07:00:00.500000000Z')
    for (const text of [
      '2026-11-23T07:00:00.5Z',
      '2026-11-23t07:00:00.5z',
      '2026-11-23 07:00:00.5Z',
      '2026-11-23T09:30:00.5+02:30',
      '2026-11-23T02:00:00.5-05:00',
      '2026-11-23T07:00:00.5000000009Z',
    ])
      assert.equal(parseTime(text), expected, text)
  })

  test('what is no time is none', () => {
    for (const text of [
      '',
      'now',
      '2026-11-23',
      '2026-11-23T07:00Z',
      '2026-11-23T07:00:00',
      '2026-13-01T00:00:00Z',
      '2026-11-32T00:00:00Z',
      '2026-11-23T24:01:00Z',
      '2026-11-23T07:60:00Z',
      '2026-11-23T07:00:00.Z',
      '2026-11-23T07:00:00+0200',
      ' 2026-11-23T07:00:00Z',
      '2026-11-23T07:00:00Z\n',
    ])
      assert.equal(parseTime(text), undefined, JSON.stringify(text))
  })
})

describe('times on the command line', () => {
  const NOW_MS = Date.parse('2026-11-23T12:00:00Z')
  const isoOf = (text: string) => formatTime(parseOption(text, '--since', NOW_MS))

  test('an age counts back from now', () => {
    assert.equal(isoOf('0s'), '2026-11-23T12:00:00.000000000Z')
    assert.equal(isoOf('90s'), '2026-11-23T11:58:30.000000000Z')
    assert.equal(isoOf('5m'), '2026-11-23T11:55:00.000000000Z')
    assert.equal(isoOf('2h'), '2026-11-23T10:00:00.000000000Z')
    assert.equal(isoOf('3d'), '2026-11-20T12:00:00.000000000Z')
  })

  test('a time is a time', () => {
    assert.equal(isoOf('2026-11-23T07:00:00Z'), '2026-11-23T07:00:00.000000000Z')
    assert.equal(isoOf('2026-11-23T07:00:00.250+01:00'), '2026-11-23T06:00:00.250000000Z')
  })

  test('anything else is refused with the option, what was expected and what came', () => {
    for (const text of ['', 'yesterday', '5', 'm', '-5m', '5 m', '5w', '1234567s', '5.5m', '2026-99-99', '12:00']) {
      assert.throws(
        () => parseOption(text, '--since', NOW_MS),
        (error) =>
          error instanceof HullguardError &&
          error.errorName === 'usage' &&
          error.message.startsWith('--since: expected') &&
          error.message.includes(`\`${text}\``),
        text,
      )
    }
  })
})
