/** What the pipeline is given: where it asks, what it tells, and what it records. */
import type { Identity } from '../../container/identity.js'
import type { RecordDraft } from '../../record/model.js'
import type { LostRange } from '../../sensor/gaps.js'
import type { EvHeader } from '../../sensor/generated/abi.js'
import type { Counters } from '../../telemetry/counters.js'
import type { Drafts } from '../event/drafts.js'
import type { HeldEvents } from '../event/held-events.js'
import type { EventContext } from '../fields/context.js'
import type { ProcessTracker } from '../process/process-tracker.js'
import type { PolicySet } from '../rules/policies.js'
import type { Verdicts } from '../rules/verdicts.js'

/** Which container a cgroup is: the live host's table, or a capture's. */
export interface Identities {
  lookup(cgroupId: bigint): Identity | undefined
  lookup32(low: number, high: number): Identity | undefined
  onCgroupCreated(id: bigint, parentId: bigint, level: number, path: string, creatorPid?: number): Identity | undefined
  onCgroupRemoved(id: bigint): void
}

/** The set of policies that an event is judged by: the one that its header names. */
export interface PolicySource {
  /** Some rule is for processes of the host. */
  readonly isHostWanted: boolean
  forVersion(version: number): PolicySet
}

/** Is what the process runs the file that this path names in the container's own root? A doubt says no. */
export type OwnFileCheck = (identity: Identity, pid: number, path: string) => boolean

/** Sees each event of a container as the pipeline takes it: in order, identified, before anything follows from it. */
export interface EventTap {
  event(event: EvHeader, identity: Identity): void
  lost(range: LostRange): void
}

export interface PipelineOptions {
  table: Identities
  tracker: ProcessTracker
  drafts: Drafts
  context: EventContext
  policies: PolicySource
  isOwnFile: OwnFileCheck
  /** A first use of a syscall is judged too. The live kernel reports what violates a rule; a capture knows first uses only. */
  judgesFirstUses: boolean
  /** Acts (enum hg_act) that are recorded whether a rule holds for them or not. */
  isActRecorded: (act: number) => boolean
  /** The same for the names in DNS, TLS and HTTP. */
  areNamesRecorded: boolean
  verdicts: Verdicts
  held: HeldEvents
  append: (draft: RecordDraft) => { seq: bigint }
  /** A cgroup was made, and the table has said what it knows of it. */
  onCgroup: (identity: Identity, cgroupId: bigint) => void
  onLost: (range: LostRange) => void
  /** Records wait for what belongs to them: `expire` has to be called in a while. */
  onWaiting: () => void
  counters: Counters
}
