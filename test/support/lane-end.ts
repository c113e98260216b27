/**
 * The ends of lanes. Alerts and all other records reach a store in lanes of their own: what has come of one says nothing about the
 * other, whichever of them was made first. Within a lane records come in order, causes before effects. So whoever asserts that
 * something did not come, or how often it did, does an act after it whose record is of the same lane, and waits for that record.
 */
import type { HullguardRecord, Lane } from '../../src/record/model.js'
import type { Feed } from './hullguard.js'
import { uniqueName } from './process.js'
import type { RuncContainer } from './runc.js'

const RULE = 'end of the lane'
const STEM = 'end-of-lane'

/** In force beside the policies of a test that waits for the end of the alert lane. */
export const LANE_END_POLICY = `policy: ends
containers: all
rules:
  - rule: ${RULE}
    condition: evt.type = execve and proc.args startswith ${STEM}-
`

/** Runs a program in a container that is watched: runc's, or Docker's by `docker exec`. */
export interface ActingContainer {
  exec(args: readonly string[]): Promise<unknown>
}

/** Returns when the feed has every record of the lane whose act was over. In the alert lane that needs LANE_END_POLICY in force. */
export async function reachEnd(feed: Feed, lane: Lane, container: ActingContainer): Promise<void> {
  const mark = uniqueName(STEM)
  await container.exec(['/bin/true', mark])
  const kind = lane === 'alert' ? 'alert' : 'exec'
  await feed.find(
    `the end of the ${lane} lane`,
    (record) => record.kind === kind && record.lane === lane && record.process?.args[1] === mark,
  )
}

/** Alerts, and what was done about them, that are the test's own. */
export const isTold = ({ lane, alert }: HullguardRecord): boolean =>
  lane === 'alert' && alert !== undefined && alert.rule !== RULE

/** What the act comes to, and all that the agent tells of it: what the acts before came to has been told by then. */
export async function toldOf<T>(
  feed: Feed,
  container: RuncContainer,
  act: () => Promise<T>,
): Promise<{ result: T; told: HullguardRecord[] }> {
  // Containers of other tests and of this host are watched too.
  const isOwn = (record: HullguardRecord) => isTold(record) && record.container.id === container.id
  const seenCount = feed.all(isOwn).length
  const result = await act()
  await reachEnd(feed, 'alert', container)
  return { result, told: feed.all(isOwn).slice(seenCount) }
}
