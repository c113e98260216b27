/**
 * Reads the containers' memory at the pace that the policies need, records a sample of each every 10 s, and judges memory
 * rules: usage without inactive file cache above `max` for `for`. A rule hits once and again only after usage fell below.
 * kill ends the process with the largest resident set of the container.
 */
import { readFileSync } from 'node:fs'
import type { Identity } from '../../container/identity.js'
import type { RuleId } from '../../match/types.js'
import type { RecordDraft } from '../../record/model.js'
import type { MemoryReading } from '../../sensor/iterators.js'
import type { PolicySet } from '../rules/policies.js'

/** DESIGN: resource samples every 10 s; memory rules look every second. */
export const SAMPLE_INTERVAL_MS = 10_000

export interface LargestProcess {
  pid: number
  startNs: bigint
  exe: string
}

interface Above {
  sinceNs: bigint
  hasHit: boolean
}

export class MemoryRules {
  /** `${rule name}\0${container id}` -> since when it is above. */
  readonly #above = new Map<string, Above>()

  /** Rules that this reading violates now, for the first time since usage was last below. */
  judge(reading: MemoryReading, identity: Identity, set: PolicySet): RuleId[] {
    const usedBytes = reading.currentBytes - reading.inactiveFileBytes
    const hits: RuleId[] = []
    for (const id of set.profileFor(identity.ref).rules) {
      const rule = set.program.rules[id]
      if (rule?.kind !== 'memory') continue
      const key = `${rule.policy}\0${rule.name}\0${identity.ref.id}`
      if (usedBytes <= BigInt(rule.maxBytes)) {
        this.#above.delete(key)
        continue
      }
      const state = this.#above.get(key) ?? { sinceNs: reading.bootNs, hasHit: false }
      this.#above.set(key, state)
      if (state.hasHit || reading.bootNs - state.sinceNs < BigInt(rule.forMs) * 1_000_000n) continue
      state.hasHit = true
      hits.push(id as RuleId)
    }
    return hits
  }

  forget(containerId: string): void {
    for (const key of this.#above.keys()) if (key.endsWith(`\0${containerId}`)) this.#above.delete(key)
  }
}

export function sampleDraft(reading: MemoryReading, identity: Identity, timeNs: bigint): RecordDraft {
  return {
    kind: 'sample',
    lane: 'activity',
    bootNs: reading.bootNs,
    timeNs,
    container: identity.ref,
    sample: {
      memoryCurrentBytes: reading.currentBytes,
      memoryPeakBytes: reading.peakBytes,
      ...(reading.limitBytes === undefined ? {} : { memoryLimitBytes: reading.limitBytes }),
      memoryInactiveFileBytes: reading.inactiveFileBytes,
    },
  }
}

/** Of the given processes the one with the most resident pages; undefined when none lives any more. */
export function largestProcess(pids: readonly number[]): number | undefined {
  let best: number | undefined
  let bestPagesCount = -1
  for (const pid of pids) {
    const pagesCount = residentPages(pid)
    if (pagesCount > bestPagesCount) {
      best = pid
      bestPagesCount = pagesCount
    }
  }
  return best
}

/** Second field of /proc/PID/statm; -1 for a process that is gone. */
function residentPages(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1] ?? -1)
  } catch {
    return -1
  }
}
