/**
 * Question: how long from the act to the process gone?
 *
 * A parent in a runc container forks; the child notes the time and does what it is killed for; the parent notes the time when
 * waitpid() returns. Acts: the exec of a forbidden program and a forbidden system call, for which the kernel side kills; the exec of
 * a program and the open of a file that rules with a glob in the middle are about, which stay in user space and kill through a pidfd.
 * Each idle and with every core busy. The same acts where nobody kills, after which the child ends at once, tell how much of it is the
 * act, the end of a process and the waking of its parent. Beside it, from the agent's own records, by the kernel's clock: from the
 * hook that told the act to the one that tells the end of the process, between which it runs no further code of its own when the
 * kernel kills. Asserted before timing: the records' outcomes and hooks; and for every single act that SIGKILL ended it, and that
 * its records are there.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { EventKind, HullguardRecord } from '../../src/record/model.js'
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
/** Longer than all that is measured meanwhile, which is asserted; they are ended earlier. */
const SPIN_S = 600

const KERNEL = '/forbidden/kernel'
const USER = '/forbidden/user/tool'

/** The acts, as the producer does them, and who answers. */
const ACTS_OF = {
  none: [
    ['exec', '/bench/true'],
    ['call', '-'],
    ['open', '/bench/true'],
  ],
  kernel: [
    ['exec', KERNEL],
    ['call', '-'],
  ],
  'user space': [
    ['exec', USER],
    ['open', USER],
  ],
} as const

/** What tells an act, where it is told. */
const KIND_OF = { exec: 'exec', call: 'syscall', open: 'open' } as const

const POLICY = `policy: bench-kill
containers: { name: "hullguard-test-*" }
mode: block
rules:
  - rule: answered in the kernel
    exec: { deny: [${KERNEL}] }
    action: kill
  - rule: a call, answered in the kernel
    syscall: { deny: [getpriority] }
    action: kill
  - rule: answered in user space
    exec: { deny: ["/forbidden/*/tool"] }
    action: kill
  - rule: an open, answered in user space
    file: { deny: [{ path: "/forbidden/*/tool", access: [read] }] }
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
    for (const killer of ['kernel', 'user space'] as const)
      for (const [act, what] of ACTS_OF[killer]) await inContainer.do(`kill 5 ${act} ${what} ${PAUSE_US}`)
    await assertOutcomes(agent)
    const acts = isQuick ? QUICK_ACTS : ACTS
    const measure = async (load: string) => {
      for (const [killer, kinds] of Object.entries(ACTS_OF))
        for (const [act, what] of kinds) {
          const command = `${killer === 'none' ? 'live' : 'kill'} ${acts} ${act} ${what} ${PAUSE_US}`
          const recordsBefore = killer === 'none' ? 0 : (await agent.records()).length
          emitLatencies(emit, { killer, act, load, clock: 'waitpid' }, await inContainer.do(command))
          if (killer === 'none') continue
          const ends = await waitFor('the records of acts and ends', async () => {
            const found = actToEndNs((await agent.records()).slice(recordsBefore), KIND_OF[act])
            return found.length >= acts ? found : undefined
          })
          emitLatencies(emit, { killer, act, load, clock: 'kernel' }, ends)
        }
    }
    await measure('idle')
    const spinners = Array.from({ length: availableParallelism() }, () => Producer.onHost(stage.producerPath))
    let isStillBusy = true
    for (const spinner of spinners) {
      defer(() => spinner.end())
      const stop = () => {
        isStillBusy = false
      }
      spinner.do(`spin ${SPIN_S}`).then(stop, stop) // ended before it is through
    }
    await measure('all cores busy')
    assert.ok(isStillBusy, 'the cores were not busy to the end')
  })
}

async function assertOutcomes(agent: BenchAgent): Promise<void> {
  for (const [rule, outcome, hook] of [
    ['answered in the kernel', 'killed_before_effect', 'sched_process_exec'],
    ['a call, answered in the kernel', 'killed_after_effect', 'sys_enter'],
    ['answered in user space', 'killed_after_effect', 'pidfd'],
    ['an open, answered in user space', 'killed_after_effect', 'pidfd'],
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

/** By the kernel's clock, of each process that did such an act. */
function actToEndNs(records: readonly HullguardRecord[], kind: EventKind): number[] {
  const actNs = new Map<string, bigint>()
  const found: number[] = []
  for (const record of records) {
    if (record.process === undefined) continue
    const key = `${record.process.pid} ${record.process.startNs}`
    if (record.kind === kind && !actNs.has(key)) actNs.set(key, record.bootNs)
    const from = actNs.get(key)
    if (record.kind === 'exit' && from !== undefined) found.push(Number(record.bootNs - from))
  }
  return found
}

interface Measured {
  killer: string
  act: string
  load: string
  /** From the call to its parent's return from waitpid(), or from hook to hook. */
  clock: 'waitpid' | 'kernel'
}

function emitLatencies(emit: Emit, { killer, act, load, clock }: Measured, latenciesNs: readonly number[]): void {
  const row = (metric: string, valueNs: number) =>
    emit({
      case: name,
      subject: killer,
      param: `act=${act},load=${load},clock=${clock}`,
      metric,
      value: Number((valueNs / 1000).toFixed(1)),
      unit: 'us',
      samples: latenciesNs.length,
    })
  row('p50', percentile(latenciesNs, 0.5))
  row('p99', percentile(latenciesNs, 0.99))
  row('max', percentile(latenciesNs, 1))
}
