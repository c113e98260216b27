import assert from 'node:assert/strict'
import test from 'node:test'
import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { checkFrame, decodePositions, encodePositions } from '../../src/collector/incoming.js'
import { chainHash, genesisHash } from '../../src/export/frame.js'
import { BatchBuilder, decodeBatch, decodeIndex, decodeMessage } from '../../src/record/codec.js'
import { parseRecordLine, recordToJsonLine } from '../../src/record/json.js'
import type { HullguardRecord, RecordDraft } from '../../src/record/model.js'
import { HullguardError } from '../../src/telemetry/errors.js'
import { hostActivity, take } from '../support/delivery.js'
import { drafts } from '../support/delivery-arbitraries.js'

function encode(list: readonly RecordDraft[], firstSeq = 1n): Uint8Array {
  const builder = new BatchBuilder('agent-1', 3, 'activity', firstSeq)
  for (const draft of list) builder.add(draft)
  return builder.finish()
}

function placed(list: readonly RecordDraft[], firstSeq = 1n): HullguardRecord[] {
  return list.map((draft, index) => ({ ...draft, agent: 'agent-1', epoch: 3, seq: firstSeq + BigInt(index) }))
}

test('every record comes back from a batch exactly as it went in, all 64 bits of its numbers included', () => {
  fc.assert(
    fc.property(drafts, fc.bigInt({ min: 1n, max: 2n ** 62n }), (list, firstSeq) => {
      assert.deepEqual(decodeBatch(encode(list, firstSeq)), { records: placed(list, firstSeq), unknownCount: 0 })
    }),
    { numRuns: 300 },
  )
})

test('a chosen part of a batch is the same records as in the whole of it', () => {
  fc.assert(
    fc.property(drafts, fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), (list, wanted) => {
      const whole = decodeBatch(encode(list)).records
      const part = decodeBatch(encode(list), (position) => wanted[position] === true).records
      assert.deepEqual(
        part,
        whole.filter((_, position) => wanted[position] === true),
      )
    }),
  )
})

test('every record comes back from its JSON line, and no line holds a raw control or bidirectional character', () => {
  fc.assert(
    fc.property(drafts, (list) => {
      for (const record of placed(list)) {
        const line = recordToJsonLine(record)
        assert.deepEqual(parseRecordLine(line), record)
        assert.doesNotMatch(line, /[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u)
      }
    }),
    { numRuns: 200 },
  )
})

test('containers and processes that say the same are stored once, in one object or several; what differs anywhere is another', () => {
  const [draft] = take(hostActivity(1), 2).slice(1)
  assert.ok(draft?.process)
  const { process } = draft
  const container = { ...draft.container, labels: { app: 'web' }, outerIds: ['outer'] }
  const parent = { pid: 1, startNs: 2n, exe: '/sbin/init' }
  const others = {
    container: [
      { state: 'pending' as const },
      { name: 'x' },
      { image: 'x' },
      { imageId: 'x' },
      { runtime: 'x' },
      { labels: { app: 'db' } },
      { labels: { app: 'web', more: '' } },
      { labels: { role: 'web' } },
      { outerIds: ['other'] },
      { outerIds: [] },
    ].map((change) => ({ ...container, ...change })),
    process: [
      { startNs: process.startNs + 1n },
      { tid: process.tid + 1 },
      { exe: '/x' },
      { invoked: '/x' },
      { args: [...process.args, 'x'] },
      { args: process.args.map(() => 'x') },
      { cwd: '/x' },
      { uid: process.uid + 1 },
      { gid: process.gid + 1 },
      { user: 'x' },
      { phase: 'setup' as const },
      { parent },
      { parent: { ...parent, pid: 3 } },
      { parent: { ...parent, startNs: 3n } },
      { parent: { ...parent, exe: '/x' } },
    ].map((change) => ({ ...process, ...change })),
  }
  const same = { ...draft, container }
  const copy = { ...same, process: { ...process, args: [...process.args] }, container: structuredClone(container) }
  const list: RecordDraft[] = [
    ...[same, copy, same],
    ...others.process.map((changed) => ({ ...same, process: changed })),
    ...others.container.map((changed) => ({ ...same, container: changed })),
  ]
  const bytes = encode(list)
  assert.deepEqual(decodeBatch(bytes).records, placed(list))
  assert.equal(new Set(decodeMessage(bytes).processIndexes.slice(0, 3)).size, 1)
  assert.equal(new Set(decodeMessage(bytes).containerIndexes.slice(0, 3)).size, 1)
  const { processes, containers } = decodeMessage(encode([same, copy, same]))
  assert.deepEqual([processes.length, containers.length], [1, 1])
})

test('the indexed columns are those of the whole batch', () => {
  fc.assert(
    fc.property(drafts, (list) => {
      const bytes = encode(list)
      const index = decodeIndex(bytes)
      const { records } = decodeBatch(bytes)
      assert.equal(index.count, records.length)
      records.forEach((record, position) => {
        const container = index.containers[index.containerIndexes[position] ?? -1]
        assert.equal(container?.id, record.container.id)
        assert.equal(index.rules[index.ruleIndexes[position] ?? -1], record.alert?.rule ?? '')
      })
    }),
  )
})

test('damaged bytes are refused as wire_invalid or read as something else, never more than that', () => {
  fc.assert(
    fc.property(drafts, fc.nat(), fc.nat(255), fc.boolean(), (list, at, value, truncate) => {
      const bytes = Uint8Array.from(encode(list))
      const position = at % bytes.length
      bytes[position] = value
      const damaged = truncate ? bytes.subarray(0, position) : bytes
      for (const read of [decodeBatch, decodeIndex]) {
        try {
          read(damaged)
        } catch (error) {
          assert.ok(error instanceof HullguardError && error.errorName === 'wire_invalid', String(error))
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('a frame is refused when its hash, its bounds or its batch do not fit together', () => {
  const payload = deflateRawSync(encode(take(hostActivity(1), 5), 1n))
  const prevHash = genesisHash('agent-1', 3, 'activity')
  const good = {
    epoch: 3,
    lane: 2,
    firstSeq: 1n,
    lastSeq: 5n,
    count: 5,
    payload,
    prevHash,
    hash: chainHash(prevHash, payload),
    replaces: false,
  }
  assert.equal(checkFrame('agent-1', 3, good).index.count, 5)
  const wrong: [string, Parameters<typeof checkFrame>][] = [
    ['another agent', ['agent-2', 3, good]],
    ['an epoch to come', ['agent-1', 2, good]],
    ['a hash', ['agent-1', 3, { ...good, hash: prevHash }]],
    ['no lane', ['agent-1', 3, { ...good, lane: 9 }]],
    ['another count', ['agent-1', 3, { ...good, count: 4, lastSeq: 4n }]],
    ['more numbers than records', ['agent-1', 3, { ...good, lastSeq: 9n }]],
    ['a shifted sequence', ['agent-1', 3, { ...good, firstSeq: 2n, lastSeq: 6n }]],
    ['a number beyond 63 bits', ['agent-1', 3, { ...good, firstSeq: 2n ** 63n, lastSeq: 2n ** 63n + 4n }]],
  ]
  for (const [what, [agent, epoch, frame]] of wrong) {
    assert.throws(() => checkFrame(agent, epoch, frame), { errorName: 'wire_invalid' }, what)
  }
})

test('positions in a batch come back from their stored form', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(65_535), { minLength: 1, maxLength: 200 }), (list) => {
      const positions = list.sort((one, other) => one - other)
      const into = new Uint8Array(65_536)
      decodePositions(encodePositions(positions, 65_536), into)
      assert.deepEqual(
        [...into.keys()].filter((position) => into[position] === 1),
        positions,
      )
    }),
  )
})
