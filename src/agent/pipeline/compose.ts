/**
 * Puts the pipeline together. The same way for a live host and for a capture: what differs between the two comes in as
 * `Surroundings`, and nothing here knows which it is.
 */

import type { Identity } from '../../container/identity.js'
import type { RecordDraft } from '../../record/model.js'
import type { LostRange } from '../../sensor/gaps.js'
import type { Counters } from '../../telemetry/counters.js'
import { Drafts } from '../event/drafts.js'
import type { HeldEvents } from '../event/held-events.js'
import { EventContext } from '../fields/context.js'
import type { HostNames } from '../fields/host-names.js'
import type { NameSource } from '../host/users.js'
import type { ProcessTable } from '../process/process-table.js'
import { ProcessTracker } from '../process/process-tracker.js'
import { Verdicts, type VerdictsOptions } from '../rules/verdicts.js'
import type { Identities, OwnFileCheck, PolicySource } from './options.js'
import { Pipeline } from './pipeline.js'

export interface Surroundings {
  table: Identities
  policies: PolicySource
  processes: ProcessTable
  held: HeldEvents
  users: NameSource
  /** UTC ns of a CLOCK_BOOTTIME reading. */
  utcNs: (bootNs: bigint) => bigint
  /** Name of the host, as `evt.hostname` has it. */
  hostname: string
  /** Addresses of host names in rules; undefined: none are looked up. */
  hostNames?: HostNames | undefined
  isOwnFile: OwnFileCheck
  judgesFirstUses: boolean
  isActRecorded: (act: number) => boolean
  areNamesRecorded: boolean
  append: (draft: RecordDraft) => { seq: bigint }
  /** A cgroup was made, and the table has said what it knows of it. */
  onCgroup: (identity: Identity, cgroupId: bigint) => void
  onLost: (range: LostRange) => void
  /** Records wait for what belongs to them: `pipeline.expire` has to be called in a while, `flushWaiting` at the end. */
  onWaiting: () => void
  /** How alerts are acted on. */
  response: Omit<VerdictsOptions, 'append' | 'counters' | 'context'>
  counters: Counters
}

export interface Composition {
  pipeline: Pipeline
  verdicts: Verdicts
}

export function composePipeline(surroundings: Surroundings): Composition {
  const { table, policies, processes, held, users, utcNs, hostname, hostNames, counters } = surroundings
  const { isOwnFile, judgesFirstUses, isActRecorded, areNamesRecorded, append, onCgroup, onLost, onWaiting } =
    surroundings
  const tracker = new ProcessTracker(processes)
  const drafts = new Drafts(tracker, users, utcNs)
  const context = new EventContext({ parentOf: (entry) => tracker.parentOf(entry), users, utcNs, hostname, hostNames })
  const verdicts = new Verdicts({ ...surroundings.response, append, counters, context })
  const pipeline = new Pipeline({
    ...{ table, policies, verdicts, held, tracker, drafts, context },
    ...{ isOwnFile, judgesFirstUses, isActRecorded, areNamesRecorded, append, onCgroup, onLost, onWaiting, counters },
  })
  return { pipeline, verdicts }
}
