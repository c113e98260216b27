/**
 * Question: how much memory and idle CPU do agent and collector take?
 *
 * `hullguard run` with its defaults and one idle container: after a pause resident set, CPU time over 20 s, and the events that
 * it handled in them (containers of others on the same machine are watched, too). Then the CPU time that 2,000 forks with an exec
 * each take until they are delivered, four times. Then a producer in the container forks, executes and connects as fast as it can
 * for 20 s: the highest resident set, and the CPU time an event took. Then the forks four times again: the agent has been working. The pages of the ring are mapped into the agent and count in its resident set; they are also given apart, as are the
 * kernel's own figures for BPF maps and programs (memlock in fdinfo).
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchAgent } from '../support/agent.js'
import { withCleanup } from '../support/cleanup.js'
import type { BenchOptions, Emit } from '../support/row.js'
import { setUpStage } from '../support/stage.js'

export const name = 'memory'

/** The start itself is over, and what it left is collected. */
const SETTLE_MS = 60_000
const IDLE_MS = 20_000
const LOAD_MS = 20_000
const QUICK_MS = 2_000
const SAMPLE_MS = 200
/** As fork, exec of a program that ends at once, exit. */
const FORKS = 2_000
/** Before the load, while V8 compiles the agent's code, and after it. */
const FORK_ROUNDS = 4
const QUICK_FORKS = 200
/** All that came is worked off and delivered by then. */
const STILL_MS = 2_000
/** Reading all counters is work of its own, and over by then. */
const COUNTED_MS = 500
const MIB = 1024 * 1024
/** USER_HZ (times(2)). */
const TICKS_PER_S = 100
/** BPF_MAP_TYPE_RINGBUF, include/uapi/linux/bpf.h. */
const RING_TYPE = 27

export async function run(emit: Emit, { isQuick }: BenchOptions): Promise<void> {
  await withCleanup(async (defer) => {
    const stage = await setUpStage(defer)
    const agent = await BenchAgent.start(stage.dir, ['--runc-root', stage.runcRoot])
    defer(() => agent.stop())
    const collector = childOf(agent.pid)
    const row = (subject: string, param: string, metric: string, value: number, unit: string, samples = 1) =>
      emit({ case: name, subject, param, metric, value: Number(value.toFixed(3)), unit, samples })
    const processes = [
      ['agent', agent.pid],
      ['collector', collector],
    ] as const
    await sleep(isQuick ? QUICK_MS : SETTLE_MS)

    const idleMs = isQuick ? QUICK_MS : IDLE_MS
    const seenBefore = await agent.counter('sensor_events_total')
    await sleep(COUNTED_MS)
    const before = processes.map(([, pid]) => cpuSeconds(pid))
    await sleep(idleMs)
    for (const [index, [subject, pid]] of processes.entries()) {
      const percent = ((cpuSeconds(pid) - (before[index] ?? 0)) / (idleMs / 1000)) * 100
      row(subject, 'load=idle', 'cpu', percent, '% of a core')
      emitResident(row, subject, 'load=idle', residentBytes(pid))
    }
    // an agent that had other containers of the machine to watch was not idle
    const handled = (await agent.counter('sensor_events_total')) - seenBefore
    row('agent', 'load=idle', 'events', handled, 'events')
    const bpf = bpfBytes(agent.pid)
    row('kernel', 'load=any', 'bpf_maps_without_ring', bpf.maps / MIB, 'MiB')
    row('kernel', 'load=any', 'bpf_ring', bpf.ring / MIB, 'MiB')
    row('kernel', 'load=any', 'bpf_programs', bpf.programs / MIB, 'MiB')

    const forks = isQuick ? QUICK_FORKS : FORKS
    const measureForks = async (when: string) => {
      for (let round = 1; round <= FORK_ROUNDS; round++) {
        const forksStart = cpuSeconds(agent.pid)
        await stage.inContainer.do(`exec ${forks}`)
        await sleep(STILL_MS)
        row('agent', `forks=${forks},when=${when},round=${round}`, 'cpu', cpuSeconds(agent.pid) - forksStart, 's')
      }
    }
    await measureForks('started')
    const seen = await agent.counter('sensor_events_total')
    assert.ok(seen - seenBefore - handled >= 3 * forks * FORK_ROUNDS, 'a fork, an exec and an exit each')
    const loadStart = processes.map(([, pid]) => cpuSeconds(pid))
    const end = Date.now() + (isQuick ? QUICK_MS : LOAD_MS)
    const work = keepBusy(stage.inContainer, end)
    const highest = processes.map(([, pid]) => residentBytes(pid))
    let samples = 1
    for (; Date.now() < end; samples++) {
      for (const [index, [, pid]] of processes.entries()) {
        const now = residentBytes(pid)
        if (now.total > (highest[index]?.total ?? 0)) highest[index] = now
      }
      await sleep(SAMPLE_MS)
    }
    await work
    const events = (await agent.counter('sensor_events_total')) - seen
    assert.ok(events > 1_000, `the load made only ${events} events`)
    row(
      'agent',
      'load=forks and connects',
      'events_per_s',
      events / ((isQuick ? QUICK_MS : LOAD_MS) / 1000),
      'events/s',
    )
    for (const [index, [subject, pid]] of processes.entries()) {
      const seconds = cpuSeconds(pid) - (loadStart[index] ?? 0)
      row(subject, 'load=forks and connects', 'cpu_per_event', (seconds * 1e6) / events, 'us', events)
      const peak = highest[index]
      if (peak !== undefined) emitResident(row, subject, 'load=forks and connects', peak, samples)
    }
    await measureForks('working')
  })
}

async function keepBusy(producer: { do(command: string): Promise<number[]> }, end: number): Promise<void> {
  while (Date.now() < end) await producer.do('mix 100 5')
}

interface Resident {
  total: number
  /** Of it, pages of the ring (mapped twice in a row, so each may count twice). */
  ring: number
}

function residentBytes(pid: number): Resident {
  let ring = 0
  let total = 0
  let isRing = false
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'latin1').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isRing = line.includes('bpf-map')
    const kib = /^Rss: +(\d+) kB/.exec(line)?.[1]
    if (kib === undefined) continue
    total += Number(kib) * 1024
    if (isRing) ring += Number(kib) * 1024
  }
  return { total, ring }
}

function emitResident(
  row: (subject: string, param: string, metric: string, value: number, unit: string, samples?: number) => void,
  subject: string,
  param: string,
  { total, ring }: Resident,
  samples = 1,
): void {
  row(subject, param, 'rss', total / MIB, 'MiB', samples)
  if (subject === 'agent') row(subject, param, 'rss_without_ring', (total - ring) / MIB, 'MiB', samples)
}

/** User and system time of all threads: fields 14 and 15 of /proc/PID/stat. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S
}

function childOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean)
  assert.equal(children.length, 1, 'the agent has one child, its collector')
  return Number(children[0])
}

function bpfBytes(pid: number): { maps: number; ring: number; programs: number } {
  const seen = new Set<string>()
  const sum = { maps: 0, ring: 0, programs: 0 }
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    const text = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1')
    const field = (key: string) => new RegExp(`^${key}:\\s*(\\S+)`, 'm').exec(text)?.[1]
    const kind = field('map_type') === undefined ? (field('prog_type') === undefined ? undefined : 'prog') : 'map'
    const id = `${kind} ${field(`${kind}_id`)}`
    if (kind === undefined || field('link_type') !== undefined || seen.has(id)) continue
    seen.add(id)
    const bytes = Number(field('memlock') ?? 0)
    if (kind === 'prog') sum.programs += bytes
    else if (Number(field('map_type')) === RING_TYPE) sum.ring += bytes
    else sum.maps += bytes
  }
  assert.ok(sum.maps > 0 && sum.ring > 0 && sum.programs > 0, 'the agent holds maps, a ring and programs')
  return sum
}
