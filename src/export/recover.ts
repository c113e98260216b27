/**
 * Finds what earlier starts left in the spool and did not deliver. Every frame is checked; a torn end (a crash of the
 * machine while writing) is cut off, stale and empty files are removed, and what is missing in between is found again
 * from the sequence numbers when the lane is read.
 */
import { readdir, readFile, rm, rmdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lane } from '../record/model.js'
import { LANES } from '../record/names.js'
import { errnoOf } from '../telemetry/errors.js'
import { decodeFrame, FRAME_HEADER_BYTES, genesisHash } from './frame.js'
import { type Segment, SpoolLane } from './spool-lane.js'

export interface RecoverOptions {
  agent: string
  spoolDir: string
  /** The running one, which is not looked at. */
  epoch: number
  onBytes: (change: number) => void
  onDamage: (segment: Segment) => void
  onTorn: (path: string, tornBytes: number) => void
}

/** Lanes with something to send, oldest epoch first, alerts before activity. */
export async function recoverLanes(options: RecoverOptions): Promise<SpoolLane[]> {
  const lanes: SpoolLane[] = []
  const epochs = (await readdir(options.spoolDir, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory() && /^[1-9]\d{0,9}$/.test(entry.name))
    .map((entry) => Number(entry.name))
    .filter((epoch) => epoch !== options.epoch)
    .sort((one, other) => one - other)
  for (const epoch of epochs) {
    const epochDir = join(options.spoolDir, String(epoch))
    for (const name of LANES) {
      const lane = await recoverLane(options, epoch, name, join(epochDir, name))
      if (lane.segments.length > 0) lanes.push(lane)
      else await removeDirectory(lane.dir)
    }
    await removeDirectory(epochDir)
  }
  return lanes
}

/** Goes only when empty. */
export async function removeDirectory(path: string): Promise<void> {
  try {
    await rmdir(path)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno !== 'ENOENT' && errno !== 'ENOTEMPTY' && errno !== 'EEXIST') throw error
  }
}

async function recoverLane(options: RecoverOptions, epoch: number, name: Lane, dir: string): Promise<SpoolLane> {
  const lane = new SpoolLane(options.agent, epoch, name, dir, options.onBytes, options.onDamage)
  for (const entry of await listSorted(dir)) {
    const path = join(dir, entry)
    const segment = entry.endsWith('.full') ? holeOf(path, entry) : await scan(options, path)
    const before = lane.segments.at(-1)
    if (segment === undefined || (before !== undefined && segment.firstSeq <= before.lastSeq)) {
      // Empty, or covered by a hole that was made just before a crash.
      await rm(path, { force: true })
      continue
    }
    if (segment.hole !== undefined) segment.prevHash = before?.hash ?? genesisHash(options.agent, epoch, name)
    if (before?.hole !== undefined) before.hash = segment.prevHash
    lane.segments.push(segment)
    options.onBytes(segment.bytes)
  }
  const first = lane.segments[0]
  const last = lane.segments.at(-1)
  if (first !== undefined && last !== undefined) {
    lane.ackedSeq = first.firstSeq - 1n
    lane.writtenSeq = last.lastSeq
    lane.nextSeq = first.firstSeq
  }
  return lane
}

async function listSorted(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((name) => /^\d{20}(-\d{20}\.full|\.seg)$/.test(name)).sort()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return []
    throw error
  }
}

function holeOf(path: string, name: string): Segment {
  const empty = new Uint8Array(32)
  const firstSeq = BigInt(name.slice(0, 20))
  const lastSeq = BigInt(name.slice(21, 41))
  return { path, firstSeq, lastSeq, bytes: 0, prevHash: empty, hash: empty, hole: 'spool_full', sealed: true }
}

/** Walks the frames of a file; undefined when there is not one whole frame in it. */
async function scan(options: RecoverOptions, path: string): Promise<Segment | undefined> {
  // A segment is at most 4 MiB and one frame.
  const bytes = await readFile(path)
  let segment: Segment | undefined
  let offset = 0
  while (true) {
    const frame = decodeFrame(bytes, offset)
    if (frame === undefined) break
    offset += FRAME_HEADER_BYTES + frame.payload.length
    segment ??= {
      path,
      firstSeq: frame.firstSeq,
      lastSeq: frame.lastSeq,
      bytes: 0,
      prevHash: Buffer.from(frame.prevHash),
      hash: frame.hash,
      sealed: true,
    }
    segment.lastSeq = frame.lastSeq
    segment.hash = frame.hash
    segment.bytes = offset
  }
  // Not to keep the file's bytes alive by 32 of them.
  if (segment !== undefined) segment.hash = Buffer.from(segment.hash)
  if (offset < bytes.length) {
    options.onTorn(path, bytes.length - offset)
    if (offset > 0) await truncate(path, offset)
  }
  return segment
}
