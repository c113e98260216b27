/**
 * Question: how long from the act to the process gone?
 *
 * A parent in a runc container forks; the child notes the time and executes a forbidden program; the parent notes the time when
 * waitpid() returns. Two rules: one that the kernel answers, and one with a glob in the middle, which stays in user space and
 * kills through a pidfd. Each idle and with every core busy. The same with a program that is not forbidden and returns at once
 * tells how much of it is exec and exit themselves. Asserted before timing: the records' outcomes and hooks; and for every
 * single act that SIGKILL ended it.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '../../test/support/process.js'
import { BenchAgent } from '../support/agent.js'
import { withCleanup } from '../support/cleanup.js'
import { Producer } from '../support/producer.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { setUpStage } from '../support/stage.js'
import { percentile } from '../support/statistics.js'

export const name = 'kill'

const ACTS = 1_000
const QUICK_ACTS = 50
/** Between two acts: they do not queue up behind each other. */
const PAUSE_US = 2_000
/** Longer than any of the timed loops; they are ended earlier. */
const SPIN_S = 120

const KERNEL = '/forbidden/kernel'
const USER = '/forbidden/user/tool'

const POLICY = `policy: bench-kill
containers: { name: "hullguard-test-*" }
mode: block
rules:
  - rule: answered in the kernel
    exec: { deny: [${KERNEL}] }
    action: kill
  - rule: answered in user space
    exec: { deny: ["/forbidden/*/tool"] }
    action: kill
`

export async function run(emit: Emit, { isQuick }: BenchOptions): Promise<void> {
  await withCleanup(async (defer) => {
    const stage = await setUpStage(defer, { [KERNEL]: 'pause', [USER]: 'pause' })
    const policy = join(stage.dir, 'policy.yaml')
    writeFileSync(policy, POLICY)
    const args = ['--runc-root', stage.runcRoot, '--policies', policy, '--mode', 'block']
    const agent = await BenchAgent.start(stage.dir, args)
    defer(() => agent.stop())
    const { inContainer } = stage
    await inContainer.do(`kill 5 ${KERNEL} ${PAUSE_US}`)
    await inContainer.do(`kill 5 ${USER} ${PAUSE_US}`)
    await assertOutcomes(agent)
    const acts = isQuick ? QUICK_ACTS : ACTS
    const measure = async (load: string) => {
      emitLatencies(emit, 'none, returns at once', load, await inContainer.do(`live ${acts} /bench/true ${PAUSE_US}`))
      emitLatencies(emit, 'kernel', load, await inContainer.do(`kill ${acts} ${KERNEL} ${PAUSE_US}`))
      emitLatencies(emit, 'user space', load, await inContainer.do(`kill ${acts} ${USER} ${PAUSE_US}`))
    }
    await measure('idle')
    const spinners = Array.from({ length: availableParallelism() }, () => Producer.onHost(stage.producerPath))
    for (const spinner of spinners) {
      defer(() => spinner.end())
      void spinner.do(`spin ${SPIN_S}`).catch(() => {}) // ended before it is through
    }
    await measure('all cores busy')
  })
}

async function assertOutcomes(agent: BenchAgent): Promise<void> {
  for (const [rule, outcome, hook] of [
    ['answered in the kernel', 'killed_before_effect', 'sched_process_exec'],
    ['answered in user space', 'killed_after_effect', 'pidfd'],
  ] as const) {
    const actions = await waitFor(`the actions of \`${rule}\``, async () => {
      const found = (await agent.records()).filter(
        ({ kind, alert }) => kind === 'action' && alert?.rule === rule && alert.outcome !== 'none',
      )
      return found.length >= 5 ? found : undefined
    })
    for (const { alert } of actions) assert.deepEqual([alert?.outcome, alert?.hook], [outcome, hook])
  }
}

function emitLatencies(emit: Emit, subject: string, load: string, latenciesNs: readonly number[]): void {
  const row = (metric: string, valueNs: number) =>
    emit({
      case: name,
      subject,
      param: `load=${load}`,
      metric,
      value: Number((valueNs / 1000).toFixed(1)),
      unit: 'us',
      samples: latenciesNs.length,
    })
  row('p50', percentile(latenciesNs, 0.5))
  row('p99', percentile(latenciesNs, 0.99))
  row('max', percentile(latenciesNs, 1))
}
