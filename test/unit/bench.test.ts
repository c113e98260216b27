/** The bench's own arithmetic and command line. Nothing is timed here. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { capturedEvents } from '../../bench/support/condition-events.js'
import { allocatedBytes } from '../../bench/support/judging.js'
import { capturedActs } from '../../bench/support/native-events.js'
import { median, medianInterval, percentile } from '../../bench/support/statistics.js'
import { toTable } from '../../bench/support/table.js'
import { run } from '../support/process.js'

const BENCH = fileURLToPath(new URL('../../bench/main.js', import.meta.url))
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => count - index)

describe('bench statistics', () => {
  test('the median is the middle value, or the mean of the two middle ones, whatever the order', () => {
    assert.equal(median([9, 1, 5]), 5)
    assert.equal(median([9, 1, 5, 7]), 6)
    assert.throws(() => median([]), RangeError)
  })

  test('the 95 % interval of a median has the ranks of the tables of order statistics', () => {
    // binomial(30, 1/2): P(below 10) is 2.1 %, P(below 11) 4.9 %; binomial(10, 1/2): P(below 2) is 1.1 %, P(below 3) 5.5 %
    assert.deepEqual(medianInterval(upTo(30)), { median: 15.5, low: 10, high: 21 })
    assert.deepEqual(medianInterval(upTo(10)), { median: 5.5, low: 2, high: 9 })
  })

  test('too few values for an interval give all of their range', () => {
    assert.deepEqual(medianInterval([3, 1, 2]), { median: 2, low: 1, high: 3 })
  })

  test('a percentile is a value that was measured', () => {
    assert.equal(percentile(upTo(1000), 0.99), 990)
    assert.equal(percentile(upTo(1000), 0.5), 500)
    assert.equal(percentile([7], 0.99), 7)
  })

  test('a table has one line a row, aligned', () => {
    const row = {
      case: 'kill',
      subject: 'kernel',
      param: 'load=idle',
      metric: 'p50',
      value: 12.5,
      unit: 'us',
      samples: 3,
    }
    const lines = toTable([row, { ...row, value: 1234 }]).split('\n')
    assert.equal(lines.length, 3)
    assert.deepEqual(lines[1]?.split(/ +/), ['kill', 'kernel', 'load=idle', 'p50', '12.5', 'us', '3'])
    assert.equal(new Set(lines.map((line) => line.length)).size, 1)
  })
})

describe('bench command line', () => {
  test('an unknown case is refused with the list of cases and exit code 2', async () => {
    const { code, stderr, stdout } = await run(process.execPath, [BENCH, '--only', 'matcher,nonsense'])
    assert.equal(code, 2)
    assert.match(stderr, /no case `nonsense`/)
    assert.match(
      stderr,
      /cases: matcher, delivery, pipeline, cost, overhead, kill, saturation, sustained, memory, start/,
    )
    assert.equal(stdout, '')
  })

  test('an unknown option is refused with exit code 2', async () => {
    const { code, stderr } = await run(process.execPath, [BENCH, '--fast'])
    assert.equal(code, 2)
    assert.match(stderr, /--fast/)
  })
})

describe('bench heap measurement', () => {
  test('what a judge allocates is seen, and one that allocates nothing measures 0', () => {
    const indexes = Array.from({ length: 4_096 }, (_, index) => index)
    const kept: number[][] = []
    const allocating = (index: number) => {
      kept[index & 1] = [index, index, index, index]
      return 0
    }
    assert.ok(allocatedBytes(allocating, indexes).bytes >= 32)
    const sums = new Float64Array(2)
    const quiet = (index: number) => {
      sums[index & 1] = (sums[index & 1] ?? 0) + 1
      return 0
    }
    assert.equal(Math.round(allocatedBytes(quiet, indexes).bytes), 0)
  })
})

describe('events of the capture', () => {
  const fields = [
    { name: 'proc.name', argument: undefined },
    { name: 'fd.name', argument: undefined },
    { name: 'proc.aname', argument: '1' },
    { name: 'fd.sport', argument: undefined },
  ]

  test('they are in the order and with the fields that the agent reads', () => {
    const { events } = capturedEvents(fields)
    const counts = new Map<string, number>()
    for (const { type } of events) counts.set(type, (counts.get(type) ?? 0) + 1)
    for (const type of ['openat', 'execve', 'connect', 'clone', 'procexit', 'unlink', 'rename', 'accept'])
      assert.ok((counts.get(type) ?? 0) > 0, `${type} is in the mix`)
    const secret = events.find(({ values }) => values[1] === '/opt/vendor-3/bin/run')
    assert.deepEqual(secret, { type: 'openat', values: ['exe', '/opt/vendor-3/bin/run', 'sh', undefined] })
    const connect = events.find(({ type, values }) => type === 'connect' && values[3] === 8080)
    assert.equal(connect?.values[0], 'exe')
  })

  test('native rules judge execs, files, connects, listens and calls of it', () => {
    const kinds = new Set(capturedActs().map(({ kind }) => kind))
    assert.deepEqual([...kinds].sort(), ['connect', 'exec', 'file', 'listen', 'syscall'])
  })
})
