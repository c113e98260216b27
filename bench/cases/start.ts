/**
 * Question: how long does it take from the start of the agent until it watches, where 20 containers run?
 *
 * `hullguard run` as a new process, with 20 idle runc containers, five times: until its control socket answers, which it opens
 * when its probes are attached, the containers are known and the rules are in force; without rules and with the standard set.
 * Asserted: it then knows all of them. The socket is asked every 20 ms.
 */
import assert from 'node:assert/strict'
import { runcRun } from '../../test/support/runc.js'
import { BenchAgent } from '../support/agent.js'
import { withCleanup } from '../support/cleanup.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { setUpStage } from '../support/stage.js'
import { median } from '../support/statistics.js'

export const name = 'start'

const CONTAINERS = 20
const STARTS = 5
const QUICK_STARTS = 1
const RULES = { none: [], standard: ['--policies', 'standard'] } as const

export async function run(emit: Emit, { isQuick }: BenchOptions): Promise<void> {
  await withCleanup(async (defer) => {
    const { dir, runcRoot, container } = await setUpStage(defer)
    const { rootfs } = container
    for (let count = 1; count < CONTAINERS; count++) {
      const other = await runcRun({ args: ['/bin/sleep', '86400'], rootfs, root: runcRoot })
      defer(() => other.remove())
    }
    const starts = isQuick ? QUICK_STARTS : STARTS
    for (const [rules, args] of Object.entries(RULES)) {
      const seconds: number[] = []
      for (let index = 0; index < starts; index++) {
        const agent = await BenchAgent.start(dir, ['--runc-root', runcRoot, ...args])
        await agent.stop()
        const { afterMs, containersCount } = agent.watching
        assert.ok(containersCount >= CONTAINERS, `${containersCount} containers are known`)
        seconds.push(afterMs / 1000)
      }
      const param = `containers=${CONTAINERS},rules=${rules}`
      const value = Number(median(seconds).toFixed(3))
      emit({ case: name, subject: 'hullguard', param, metric: 'watching', value, unit: 's', samples: starts })
    }
  })
}
