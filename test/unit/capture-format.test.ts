import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { crc32, deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import {
  BLOCK_HEADER_BYTES,
  BLOCK_STORED_MAX_BYTES,
  CAPTURE_MAGIC,
  type CaptureHeader,
  Entry,
  encodeBlock,
  encodeFileHeader,
  FILE_HEADER_BYTES,
} from '../../src/sensor/capture-format.js'
import { CaptureReader, sourceOf } from '../../src/sensor/capture-reader.js'
import { CaptureWriter } from '../../src/sensor/capture-writer.js'
import { ABI_HASH, EVENT_LAYOUT } from '../../src/sensor/generated/abi.js'
import { HullguardError } from '../../src/telemetry/errors.js'
import { seedOf } from '../support/seed.js'

const HEADER: CaptureHeader = {
  agentVersion: '1.2.3',
  abiHash: ABI_HASH,
  layout: EVENT_LAYOUT,
  startedBootNs: 123_456_789_012_345_678n,
  clockOffsetNs: -5n,
  host: { kernel: '6.1.0', arch: process.arch, cgroups: 'v2' },
  kinds: ['exec', 'exit'],
  containers: ['web'],
}

interface Plain {
  type: number
  bytes: Uint8Array
}

interface Written {
  file: Uint8Array
  /** Of each part that was put out: header, then blocks. */
  ends: number[]
}

async function write(entries: readonly Plain[], flushEvery = 0, header = HEADER): Promise<Written> {
  const parts: Uint8Array[] = []
  const writer = new CaptureWriter(header, (bytes) => {
    parts.push(Uint8Array.from(bytes))
    return Promise.resolve()
  })
  entries.forEach(({ type, bytes }, index) => {
    if (type === Entry.EVENT) writer.event(bytes, 0, bytes.length)
    else writer.entry(type as Entry, { text: Buffer.from(bytes).toString('hex') })
    if (flushEvery > 0 && index % flushEvery === 0) writer.flush()
  })
  await writer.close('done')
  let at = 0
  return { file: Buffer.concat(parts), ends: parts.map(({ length }) => (at += length)) }
}

/** Everything that can be read, and what the reading ended with. */
function read(bytes: Uint8Array): { entries: Plain[]; error: unknown; cutAt: number | undefined } {
  const entries: Plain[] = []
  let reader: CaptureReader | undefined
  try {
    reader = new CaptureReader(sourceOf(bytes))
    for (const block of reader.blocks())
      for (const { type, start, end } of reader.entries(block)) {
        const raw = block.plain.slice(start, end)
        if (type === Entry.EVENT) entries.push({ type, bytes: raw })
        else if (type !== Entry.END) {
          const { text } = JSON.parse(Buffer.from(raw).toString()) as { text: string }
          entries.push({ type, bytes: Uint8Array.from(Buffer.from(text, 'hex')) })
        }
      }
  } catch (error) {
    return { entries, error, cutAt: reader?.cutAt }
  }
  return { entries, error: undefined, cutAt: reader.cutAt }
}

const plain = (entries: readonly Plain[]) =>
  entries.map(({ type, bytes }) => [type, Buffer.from(bytes).toString('hex')])

const anyEntry: fc.Arbitrary<Plain> = fc.record({
  type: fc.constantFrom<number>(Entry.EVENT, Entry.CONTAINER, Entry.PROCESS, Entry.LOST),
  bytes: fc.uint8Array({ maxLength: 300 }),
})

function refusedWith(error: unknown, name: string): void {
  assert.ok(error instanceof HullguardError, String(error))
  assert.equal(error.errorName, name)
}

const SAMPLE: Plain[] = Array.from({ length: 24 }, (_, index) => ({
  type: index % 3 === 0 ? Entry.PROCESS : Entry.EVENT,
  bytes: Uint8Array.from({ length: 40 + index }, (_, at) => at * index),
}))

describe('capture files', () => {
  test('what was written is read, in order, wherever blocks end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEntry, { maxLength: 60 }), fc.nat(9), async (entries, flushEvery) => {
        const { file } = await write(entries, flushEvery)
        const { entries: back, error, cutAt } = read(file)
        assert.deepEqual([plain(back), error, cutAt], [plain(entries), undefined, undefined])
      }),
      seedOf(60),
    )
  })

  test('the header comes back as it was given', async () => {
    const { file } = await write([])
    assert.deepEqual(new CaptureReader(sourceOf(file)).header, { ...HEADER, layout: { ...HEADER.layout } })
  })

  test('entries larger than a block get one of their own', async () => {
    const entries = [10, 300_000, 10, 1_000_000].map((length) => ({
      type: Entry.EVENT,
      bytes: new Uint8Array(length).fill(7),
    }))
    const { file, ends } = await write(entries)
    assert.deepEqual(plain(read(file).entries), plain(entries))
    assert.ok(ends.length >= 4)
  })

  test('cut at any byte it is read up to its last whole block, and says where it was cut', async () => {
    const { file, ends } = await write(SAMPLE, 5)
    const whole = plain(read(file).entries)
    for (let length = 0; length < file.length; length++) {
      const { entries, error, cutAt } = read(file.subarray(0, length))
      if (length < (ends[0] ?? 0)) {
        refusedWith(error, 'capture_damaged')
        continue
      }
      assert.equal(error, undefined)
      const blockEnd = Math.max(...ends.filter((end) => end <= length))
      assert.equal(cutAt, blockEnd === length ? undefined : blockEnd)
      assert.deepEqual(plain(entries), whole.slice(0, entries.length))
    }
  })

  test('a changed byte anywhere is found: nothing wrong is ever read', async () => {
    const { file } = await write(SAMPLE, 5)
    const whole = plain(read(file).entries)
    for (let at = 0; at < file.length; at++) {
      const damaged = Uint8Array.from(file)
      damaged[at] = (damaged[at] ?? 0) ^ 0x41
      const { entries, error, cutAt } = read(damaged)
      assert.deepEqual(plain(entries), whole.slice(0, entries.length), `byte ${at}`)
      if (cutAt !== undefined) continue // a length that now says more than there is
      assert.ok(error instanceof HullguardError, `byte ${at}: ${String(error)}`)
      assert.ok(['capture_damaged', 'capture_version'].includes(error.errorName), error.message)
      assert.match(error.message, /byte \d+|format version/)
    }
  })

  test('a format version that is not known is named', async () => {
    const { file } = await write([])
    const later = Uint8Array.from(file)
    later[8] = 9
    const { error } = read(later)
    refusedWith(error, 'capture_version')
    assert.match(String(error), /format version 9; this hullguard reads version 1/)
  })

  test('a capture of another architecture is refused: its system calls have other numbers', async () => {
    const { file } = await write([], 0, { ...HEADER, host: { ...HEADER.host, arch: 'riscv64' } })
    const { error } = read(file)
    refusedWith(error, 'capture_version')
    assert.match(String(error), /recorded on riscv64/)
  })

  test('lengths beyond any bound are refused before anything is held', async () => {
    const start = encodeFileHeader(HEADER)
    const huge = Buffer.from(start)
    huge.writeUInt32LE(0xffff_fff0, 12)
    refusedWith(read(huge).error, 'capture_damaged')
    for (const field of [12, 16]) {
      const block = Buffer.from(encodeBlock(0, 4, deflateRawSync(Buffer.alloc(4))))
      block.writeUInt32LE(BLOCK_STORED_MAX_BYTES + 1, field)
      block.writeUInt32LE(crc32(block.subarray(8)), 4)
      refusedWith(read(Buffer.concat([start, block])).error, 'capture_damaged')
    }
  })

  test('a block that inflates to more than it says is refused', () => {
    const bomb = encodeBlock(0, 100, deflateRawSync(Buffer.alloc(3 * 1024 * 1024)))
    const { error } = read(Buffer.concat([encodeFileHeader(HEADER), bomb]))
    refusedWith(error, 'capture_damaged')
    assert.match(String(error), /does not inflate|holds/)
  })

  test('an entry that says more than its block holds is refused', () => {
    const plainBytes = Buffer.alloc(8)
    plainBytes.writeUInt32LE((Entry.EVENT | (5000 << 8)) >>> 0, 0)
    const block = encodeBlock(0, plainBytes.length, deflateRawSync(plainBytes))
    refusedWith(read(Buffer.concat([encodeFileHeader(HEADER), block])).error, 'capture_damaged')
  })

  test('blocks out of order are refused', async () => {
    const { file, ends } = await write(SAMPLE, 5)
    const [first = 0, second = 0, third = 0] = ends
    const swapped = Buffer.concat([file.subarray(0, first), file.subarray(second, third), file.subarray(first, second)])
    const { error } = read(swapped)
    refusedWith(error, 'capture_damaged')
    assert.match(String(error), /block 1 stands where block 0 belongs/)
  })

  test('no bytes at all, or any other file, is no capture', () => {
    for (const bytes of [new Uint8Array(0), Buffer.from('time,event\n'), CAPTURE_MAGIC.subarray(0, 5)])
      refusedWith(read(bytes).error, 'capture_damaged')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        refusedWith(read(bytes).error, 'capture_damaged')
        const { error, cutAt } = read(Buffer.concat([encodeFileHeader(HEADER), bytes]))
        assert.ok(bytes.length === 0 || cutAt !== undefined || error instanceof HullguardError)
      }),
      seedOf(200),
    )
  })

  test('sizes of the fixed parts are those of the document', () => {
    assert.deepEqual([FILE_HEADER_BYTES, BLOCK_HEADER_BYTES], [20, 24])
  })
})

describe('a capture whose output is slow or fails', () => {
  test('leaves events out, counts them and says where', async () => {
    const parts: Uint8Array[] = []
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const writer = new CaptureWriter(HEADER, async (bytes) => {
      await gate
      parts.push(Uint8Array.from(bytes))
    })
    const event = new Uint8Array(100_000)
    for (let count = 0; count < 400; count++) writer.event(event, 0, event.length)
    open()
    const { eventsCount, leftOutCount } = await writer.close('done')
    assert.equal(eventsCount + leftOutCount, 400)
    assert.ok(leftOutCount > 0)
    const reader = new CaptureReader(sourceOf(Buffer.concat(parts)))
    const seen = { events: 0, missing: 0n }
    for (const block of reader.blocks())
      for (const { type, start, end } of reader.entries(block)) {
        if (type === Entry.EVENT) seen.events += 1
        if (type !== Entry.LOST) continue
        const { count, source } = JSON.parse(Buffer.from(block.plain.subarray(start, end)).toString()) as Record<
          string,
          string
        >
        assert.equal(source, 'capture')
        seen.missing += BigInt(count ?? 0)
      }
    assert.deepEqual(seen, { events: eventsCount, missing: BigInt(leftOutCount) })
  })

  test('ends with the failure of its output, told once', async () => {
    let told = 0
    const writer = new CaptureWriter(
      HEADER,
      () => Promise.reject(new Error('no space left')),
      () => {
        told += 1
      },
    )
    writer.event(new Uint8Array(100), 0, 100)
    writer.flush()
    await assert.rejects(writer.close('done'), /no space left/)
    await assert.rejects(writer.close('done'), /no space left/)
    assert.equal(told, 1)
  })
})
