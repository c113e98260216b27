/** Records go nowhere: for an agent that only writes a capture. */
import type { Exporter } from '../export/types.js'
import type { Lane } from '../record/model.js'

export function noDelivery(): Exporter {
  const seq: Record<Lane, bigint> = { alert: 0n, activity: 0n }
  return {
    epoch: 0,
    uncleanStart: false,
    connectedTo: undefined,
    congested: false,
    deliver: () => {},
    append: ({ lane }) => {
      seq[lane] += 1n
      return { lane, seq: seq[lane] }
    },
    flush: () => Promise.resolve(),
    flushed: () => Promise.resolve(),
    close: () => Promise.resolve({ delivered: true, spooledCount: 0, lostCount: 0 }),
  }
}
