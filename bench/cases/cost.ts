/**
 * Question: what does each kind of event cost where it happens, in time of our programs?
 *
 * The kernel sums up the run time of every BPF program while somebody asks it to (BPF_ENABLE_STATS; asked only while a loop of this
 * case runs). A process of a runc container and one of the host do one act many times; the run time that the agent's
 * programs gained, divided by the acts, is what an act costs its producer apart from the hook's own price (a syscall tracepoint makes
 * every call of the host dearer by what `overhead` shows). Each figure includes the clock that the kernel reads around a run
 * (some 30 ns: what `getppid` shows is little else). Acts are taken once while rules want them
 * and are reported, once while rules ask for other places only. Asserted: an act's program ran, once for each act at least.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { requires } from '../../test/support/process.js'
import { BenchAgent } from '../support/agent.js'
import { withCleanup } from '../support/cleanup.js'
import { Producer } from '../support/producer.js'
import { type ProgramTimes, programTimes } from '../support/program-times.js'
import { type BenchOptions, CannotRun, type Emit } from '../support/row.js'
import { writePolicy } from '../support/rules-file.js'
import { setUpStage } from '../support/stage.js'
import { median } from '../support/statistics.js'

export const name = 'cost'

const ROUNDS = 7
const QUICK_ROUNDS = 2
const SETTLE_MS = 300

/** As producer.c names them, with so many in a round, and the programs that each comes to. An act of two calls counts as one. */
const ACTS: readonly { act: string; count: number; programs: readonly string[] }[] = [
  { act: 'getppid', count: 20_000, programs: ['on_sys_exit'] },
  { act: 'open_read', count: 5_000, programs: ['on_sys_exit'] },
  { act: 'open_write', count: 5_000, programs: ['on_sys_exit'] },
  { act: 'open_failed', count: 5_000, programs: ['on_sys_exit'] },
  { act: 'chmod', count: 5_000, programs: ['on_sys_exit'] },
  { act: 'rename', count: 2_000, programs: ['on_sys_exit'] },
  { act: 'link_unlink', count: 2_000, programs: ['on_sys_exit'] },
  { act: 'mkdir_rmdir', count: 1_000, programs: ['on_sys_exit'] },
  { act: 'fork_exec_exit', count: 50, programs: ['on_fork', 'on_exec', 'on_exit'] },
  { act: 'connect', count: 500, programs: ['on_connect4', 'on_socket_state'] },
  { act: 'udp_send', count: 1_000, programs: ['on_sendmsg4'] },
  { act: 'listen', count: 500, programs: ['on_socket_state'] },
]

const CALLS = 'open, openat, chmod, fchmodat, rename, link, unlink, mkdir, rmdir'
/** What is in force: `kept` reports no open that the loops make, though each is walked to its path; `reported` reports all. */
const RULES = {
  kept: '  - rule: elsewhere\n    file: { deny: [{ path: /srv/elsewhere/**, access: [read, write] }, { path: /opt/**, access: [read] }] }\n',
  reported: `  - rule: all\n    condition: evt.type in (${CALLS}) and proc.name = nobody\n`,
} as const

export async function run(emit: Emit, { isQuick }: BenchOptions): Promise<void> {
  await withCleanup(async (defer) => {
    const missing = requires({ commands: ['bpftool'] })
    if (missing !== false) throw new CannotRun(missing)
    const stage = await setUpStage(defer)
    const stats = Producer.onHost(stage.producerPath)
    defer(() => stats.end())
    const onHost = Producer.onHost(stage.producerPath)
    defer(() => onHost.end())
    const places = [
      { subject: 'unwatched', producer: onHost, dir: stage.dir },
      { subject: 'watched', producer: stage.inContainer, dir: '/tmp' },
    ] as const
    for (const [config, rules] of Object.entries(RULES)) {
      const policy = writePolicy(stage.dir, config, rules)
      const agent = await BenchAgent.start(stage.dir, ['--runc-root', stage.runcRoot, '--policies', policy])
      defer(() => agent.stop())
      await sleep(SETTLE_MS)
      for (const { subject, producer, dir } of places) {
        process.stderr.write(`  cost: ${config}, ${subject}\n`)
        for (const { act, count, programs } of ACTS) {
          const nsPerAct = new Map<string, number[]>(programs.map((program) => [program, []]))
          for (let round = 0; round < (isQuick ? QUICK_ROUNDS : ROUNDS); round++) {
            const gained = await gainedBy(agent, stats, () => producer.do(`act ${act} ${count} ${dir}`))
            for (const [program, costs] of nsPerAct) {
              const { runNs, runsCount } = gained.get(program) ?? { runNs: 0, runsCount: 0 }
              assert.ok(runsCount >= count, `${program} ran ${runsCount} times for ${count} times ${act}`)
              costs.push(runNs / count)
            }
          }
          for (const [program, costs] of nsPerAct)
            emit({
              case: name,
              subject,
              param: `act=${act},rules=${config},program=${program}`,
              metric: 'run_time',
              value: Math.round(median(costs)),
              unit: 'ns/act',
              samples: costs.length,
            })
        }
      }
      await agent.stop()
    }
  })
}

/** Run time and runs of the agent's programs during the work, by name. */
async function gainedBy(
  agent: BenchAgent,
  stats: Producer,
  work: () => Promise<unknown>,
): Promise<Map<string, Omit<ProgramTimes, 'program'>>> {
  const before = await programTimes(agent.pid)
  await stats.do('stats on')
  await work()
  await stats.do('stats off')
  const after = await programTimes(agent.pid)
  return new Map(
    [...after].map(([id, { program, runNs, runsCount }]) => {
      const start = before.get(id) ?? { runNs: 0, runsCount: 0 }
      return [program, { runNs: runNs - start.runNs, runsCount: runsCount - start.runsCount }]
    }),
  )
}
