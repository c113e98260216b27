/**
 * Rules about processor time, number of tasks and run time: looked at every second while one is in force, and not at all
 * otherwise. What cannot be read of a container is counted, and judged by no rule.
 *
 * kill ends the process that used most processor time lately (cpu), or the container's first process, and with it the
 * container (runtime).
 */
import { processesIn, processStartTicks } from '../../container/cgroup-fs.js'
import type { Identity } from '../../container/identity.js'
import type { ContainerTable } from '../../container/table.js'
import type { CpuRule, PidsRule, RuntimeRule } from '../../policy/model.js'
import type { RecordDraft } from '../../record/model.js'
import { Action } from '../../sensor/generated/abi.js'
import type { Counters } from '../../telemetry/counters.js'
import type { BootClock } from '../host/clock.js'
import type { ProcessEntry, ProcessTable } from '../process/process-table.js'
import type { Policies } from '../rules/policies.js'
import type { Verdicts } from '../rules/verdicts.js'
import { processRefOf } from './memory-loop.js'
import { ResourceReadings } from './resource-readings.js'
import { CpuRate, ThresholdState } from './threshold-state.js'

export interface ResourceLoopOptions {
  table: ContainerTable
  policies: Policies
  verdicts: Verdicts
  clock: BootClock
  processes: ProcessTable
  counters: Counters
}

type ResourceRule = CpuRule | PidsRule | RuntimeRule

const INTERVAL_MS = 1000
const NS_PER_TICK = 10_000_000n

interface Hit {
  readonly id: number
  readonly rule: ResourceRule
  readonly reading: string
}

export class ResourceLoop {
  readonly #options: ResourceLoopOptions
  readonly #readings: ResourceReadings
  readonly #state = new ThresholdState()
  readonly #rate = new CpuRate()
  /** Container -> processor time of its processes when it was last found above. */
  readonly #processTimes = new Map<string, Map<number, number>>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: ResourceLoopOptions) {
    this.#options = options
    this.#readings = new ResourceReadings(options.table.hierarchy)
    options.counters.define(
      'resource_unreadable_total',
      'counter',
      'Readings of a container that a rule needs and that could not be taken, by what',
    )
  }

  /** Other rules are in force. */
  follow(): void {
    const isWanted = this.#options.policies.current.program.rules.some((rule) => isResourceRule(rule) && rule.enabled)
    if (isWanted) this.#timer ??= setInterval(() => this.#look(), INTERVAL_MS)
    else this.stop()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  forget(containerId: string): void {
    this.#state.forget((key) => key.endsWith(`\0${containerId}`))
    this.#rate.forget(containerId)
    this.#processTimes.delete(containerId)
  }

  #look(): void {
    for (const identity of this.#options.table.containers()) {
      if (!identity.confirmed) continue
      const hits = this.#hitsOf(identity)
      if (hits.length > 0) this.#judge(identity, hits)
    }
  }

  #hitsOf(identity: Identity): Hit[] {
    const set = this.#options.policies.current
    const nowMs = performance.now()
    const values = new Map<ResourceRule['kind'], number | undefined>()
    const hits: Hit[] = []
    for (const id of set.profileFor(identity.ref).rules) {
      const rule = set.program.rules[id]
      if (rule === undefined || !isResourceRule(rule)) continue
      if (!values.has(rule.kind)) values.set(rule.kind, this.#read(rule.kind, identity, nowMs))
      const value = values.get(rule.kind)
      if (value === undefined) continue
      const key = `${rule.policy}\0${rule.name}\0${identity.ref.id}`
      const forMs = rule.kind === 'runtime' ? 0 : rule.forMs
      const isAbove = value > boundOf(rule)
      if (this.#state.judge(key, isAbove, nowMs, forMs)) hits.push({ id, rule, reading: readingText(rule, value) })
      if (rule.kind === 'cpu' && rule.action === 'kill' && isAbove && hits.length === 0) this.#noteTimes(identity)
    }
    return hits
  }

  #read(kind: ResourceRule['kind'], identity: Identity, nowMs: number): number | undefined {
    const { id } = identity.ref
    if (kind === 'cpu') {
      const usageNs = this.#readings.cpuNs(identity)
      if (usageNs === undefined) this.#unreadable(kind)
      return usageNs === undefined ? undefined : this.#rate.millicores(id, usageNs, nowMs)
    }
    const value = kind === 'pids' ? this.#readings.tasksCount(identity) : this.#runMs(identity)
    if (value === undefined) this.#unreadable(kind)
    return value
  }

  #unreadable(what: string): void {
    this.#options.counters.add('resource_unreadable_total', 1, { what })
  }

  /** Since its first process started. */
  #runMs(identity: Identity): number | undefined {
    const { initPid, initStartTicks } = identity
    const ticks = initStartTicks ?? (initPid === undefined ? undefined : processStartTicks('/proc', initPid))
    return ticks === undefined ? undefined : Number(this.#options.clock.nowBootNs() - ticks * NS_PER_TICK) / 1e6
  }

  #judge(identity: Identity, hits: readonly Hit[]): void {
    const { verdicts, policies, clock } = this.#options
    const bootNs = clock.nowBootNs()
    for (const { id, rule, reading } of hits) {
      const victim = rule.kind === 'runtime' ? this.#init(identity) : this.#busiest(identity)
      const draft: RecordDraft = {
        kind: 'sample',
        lane: 'activity',
        bootNs,
        timeNs: clock.utcNs(bootNs),
        container: identity.ref,
        ...(victim === undefined ? {} : { process: processRefOf(victim) }),
      }
      verdicts.judge(
        {
          draft,
          cause: { kind: 'sample', lane: 'activity' },
          identity,
          set: policies.current,
          kernelAction: Action.NONE,
          hook: '',
          pid: victim?.pid ?? 0,
          startNs: victim?.startNs ?? 0n,
          reading,
        },
        [id],
      )
    }
  }

  #init(identity: Identity): ProcessEntry | undefined {
    return identity.initPid === undefined ? undefined : this.#options.processes.current(identity.initPid)
  }

  #noteTimes(identity: Identity): void {
    const times = new Map(this.#pids(identity).map((pid) => [pid, this.#readings.processCpuNs(pid)]))
    this.#processTimes.set(identity.ref.id, times)
  }

  /** The process that used most processor time since the container was last found above, else since it started. */
  #busiest(identity: Identity): ProcessEntry | undefined {
    const before = this.#processTimes.get(identity.ref.id)
    let best: number | undefined
    let bestNs = -1
    for (const pid of this.#pids(identity)) {
      const usedNs = this.#readings.processCpuNs(pid) - (before?.get(pid) ?? 0)
      if (usedNs <= bestNs) continue
      best = pid
      bestNs = usedNs
    }
    return best === undefined ? undefined : this.#options.processes.current(best)
  }

  #pids(identity: Identity): number[] {
    const { table } = this.#options
    return table.cgroupsOf(identity).flatMap((id) => {
      const path = table.pathOf(id)
      return path === undefined ? [] : (processesIn(table.hierarchy, path) ?? [])
    })
  }
}

function isResourceRule(rule: { kind: string }): rule is ResourceRule {
  return rule.kind === 'cpu' || rule.kind === 'pids' || rule.kind === 'runtime'
}

function boundOf(rule: ResourceRule): number {
  if (rule.kind === 'cpu') return rule.maxMillicores
  return rule.kind === 'pids' ? rule.maxCount : rule.maxMs
}

function readingText(rule: ResourceRule, value: number): string {
  if (rule.kind === 'cpu') return `processor time in use is ${(value / 1000).toFixed(2)} cores`
  if (rule.kind === 'pids') return `processes and threads are ${value}`
  return `it has run for ${Math.floor(value / 1000)} s`
}
