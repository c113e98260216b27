/** What the field registry says of a field and of an event type. */
import type { EventKind } from '../model.js'

/**
 * How a field's values compare and are written: `int` and `uint` 64 bits, `time` ns, `ip` an address, `net` an address asked
 * for its network, `bytes` any bytes, `list` several texts at once.
 */
export type FieldType = 'string' | 'int' | 'uint' | 'port' | 'time' | 'bool' | 'bytes' | 'ip' | 'net' | 'list'

/** What may stand in `[…]` behind the name. */
export type FieldArgument = 'none' | 'optional' | 'required'

/**
 * What reading it costs: `event`, a look into the event; `process`, a text or number kept with the process; `ancestors`, a
 * walk up the processes; `container`, kept with the container; `made`, put together for each event that is asked.
 */
export type FieldCost = 'event' | 'process' | 'ancestors' | 'container' | 'made'

export interface FieldSpec {
  readonly name: string
  readonly type: FieldType
  /** Empty for text and plain numbers. */
  readonly unit: string
  readonly argument: FieldArgument
  /** Where the value comes from; for a field that is not yielded, where it would have to. */
  readonly source: string
  readonly cost: FieldCost
  /** Event kinds that have it by their nature; on the others it is absent, and every comparison of it is false. */
  readonly carriedBy: readonly EventKind[]
  /** Those of them with which the probes yield it today. */
  readonly kinds: readonly EventKind[]
}

export interface EventTypeSpec {
  /** As `evt.type` has it. */
  readonly name: string
  /** The event kind that shows this act today; undefined: the probes do not report it yet. */
  readonly kind: EventKind | undefined
  readonly note: string
  /** The type under whose name its events are judged: another one when the probes do not tell the two apart. */
  readonly toldAs: string
}
