/** The batch that says what is missing, to stand in the place of what is missing. */
import { readFileSync } from 'node:fs'
import { deflateRawSync } from 'node:zlib'
import { BatchBuilder } from '../record/codec.js'
import { type GapBody, HOST, type Lane, type RecordDraft } from '../record/model.js'

export interface GapPlace {
  agent: string
  epoch: number
  lane: Lane
  firstSeq: bigint
  lastSeq: bigint
}

export function gapDraft(place: GapPlace, source: GapBody['source'], cause: string, hash?: Uint8Array): RecordDraft {
  const { lane, firstSeq, lastSeq } = place
  return {
    kind: 'gap',
    lane,
    bootNs: bootNowNs(),
    timeNs: BigInt(Date.now()) * 1_000_000n,
    container: HOST,
    gap: {
      source,
      cause,
      firstSeq,
      lastSeq,
      count: lastSeq - firstSeq + 1n,
      ...(hash === undefined ? {} : { hash: Buffer.from(hash).toString('hex') }),
    },
  }
}

/** A batch of that one gap record, at the first missing sequence number, not compressed. */
export function gapBatch(place: GapPlace, source: GapBody['source'], cause: string, hash?: Uint8Array): Uint8Array {
  const builder = new BatchBuilder(place.agent, place.epoch, place.lane, place.firstSeq)
  builder.add(gapDraft(place, source, cause, hash))
  return builder.finish()
}

/** As gapBatch, compressed: some 100 bytes, so that doing it synchronously costs nothing. */
export function gapPayload(place: GapPlace, source: GapBody['source'], cause: string, hash?: Uint8Array): Uint8Array {
  return deflateRawSync(gapBatch(place, source, cause, hash))
}

/** CLOCK_BOOTTIME in 10 ms steps, which is enough for a gap; Node's own clock stops while the machine sleeps. */
function bootNowNs(): bigint {
  try {
    return BigInt(Math.round(Number.parseFloat(readFileSync('/proc/uptime', 'latin1')) * 1000)) * 1_000_000n
  } catch {
    return process.hrtime.bigint()
  }
}
