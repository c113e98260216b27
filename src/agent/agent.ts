/**
 * The agent of one host: construction, start order and shutdown order. What each part does is in its own file.
 *
 * Start order matters: probes speak before the existing cgroups are read, so nothing falls between; policies are put in force
 * after the containers are known; blocking is switched on last.
 */
import type { Server } from 'node:http'
import { hostname } from 'node:os'
import type { Identity } from '../container/identity.js'
import { ContainerTable } from '../container/table.js'
import { loadAgentId } from '../export/epoch.js'
import { openExporter } from '../export/exporter.js'
import type { CloseReport, Exporter, Log } from '../export/types.js'
import { atOnce } from '../match/steps.js'
import type { Mode } from '../policy/model.js'
import { type AgentBody, HOST, type RecordDraft } from '../record/model.js'
import { BREAKER_DEFAULTS, CircuitBreaker } from '../respond/breaker.js'
import { KernelPolicy } from '../respond/kernel-policy.js'
import { gapOf, type LostRange } from '../sensor/gaps.js'
import { NAME_KINDS } from '../sensor/names/streams.js'
import { Sensor } from '../sensor/sensor.js'
import type { Counters } from '../telemetry/counters.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { Recording, type RecordingOptions } from './capture/recording.js'
import type { Rulebook } from './conditions/rulebook.js'
import { type AgentStatus, startControlServer } from './control-server.js'
import { HeldEvents } from './event/held-events.js'
import { defineLosses, publishLosses } from './event/losses.js'
import { HostNames } from './fields/host-names.js'
import { BootClock } from './host/clock.js'
import { lockHost } from './host/host-lock.js'
import { inTurns } from './host/in-turns.js'
import { isOwnFile } from './host/own-file.js'
import { sensorHierarchy } from './host/sensor-hierarchy.js'
import { UserNames } from './host/users.js'
import { noDelivery } from './no-delivery.js'
import { composePipeline } from './pipeline/compose.js'
import type { Pipeline } from './pipeline/pipeline.js'
import { readExistingProcesses } from './process/existing-processes.js'
import { ProcessTable } from './process/process-table.js'
import { MemoryLoop } from './resource/memory-loop.js'
import { ResourceLoop } from './resource/resource-loop.js'
import { type ActivityClass, ALWAYS_ON, actRecorder, actsOfActivity, kindsOfActs } from './rules/acts.js'
import { Policies, type PolicySet } from './rules/policies.js'

export interface AgentOptions {
  /** Where spool, epoch and control socket live; undefined: no records are kept, for an agent that only writes a capture. */
  dataDir: string | undefined
  lockFile: string
  collectors: readonly string[]
  /** Policies and Falco rules to begin with. */
  rulebook: Rulebook
  mode: Mode
  /** `--activity`. */
  activity: ReadonlySet<ActivityClass>
  ringBytes: number
  cgroupRoot?: string | undefined
  hostRoot?: string | undefined
  dockerSocket?: string | undefined
  runcRoots?: readonly string[] | undefined
  counters: Counters
  log: Log
}

export interface RunningAgent {
  readonly status: AgentStatus
  readonly containerCount: number
  setMode(mode: Mode): void
  /** Resolves when they are in force; rejects when they cannot be, and the old ones stay. */
  setRules(rulebook: Rulebook): Promise<void>
  /** Throws HullguardError recording_busy when one is in progress. */
  record(options: RecordingOptions): Recording
  stop(): Promise<CloseReport>
}

/** A cgroup is decided within 2 s; events that have waited longer are released as they are. */
const HELD_MAX_MS = 3_000
/** While there is something to look after, and else: a process that wakes costs more than what it then does. */
const HOUSEKEEPING_MS = 1_000
const IDLE_HOUSEKEEPING_MS = 10_000
/** Several containers are often identified at once. */
const READ_TASKS_PAUSE_MS = 20
/** How often records that wait for a connection's result are looked at, while there are any. */
const EXPIRE_PAUSE_MS = 25
const DRAIN_MS = 3_000
const DELIVER_AT_STOP_MS = 5_000

export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const unlock = lockHost(options.lockFile)
  try {
    const agentId = options.dataDir === undefined ? '' : await loadAgentId(options.dataDir)
    const agent = new Agent(options, agentId, unlock)
    await agent.start()
    return agent
  } catch (error) {
    unlock()
    throw error
  }
}

class Agent implements RunningAgent {
  readonly #options: AgentOptions
  readonly #agentId: string
  readonly #unlock: () => void
  readonly #clock = new BootClock()
  readonly #table: ContainerTable
  readonly #processes: ProcessTable
  readonly #users: UserNames
  readonly #hostNames: HostNames
  readonly #held: HeldEvents
  readonly #breaker: CircuitBreaker
  #exporter: Exporter | undefined
  #sensor: Sensor | undefined
  #policies: Policies | undefined
  #kernel: KernelPolicy | undefined
  #pipeline: Pipeline | undefined
  #memory: MemoryLoop | undefined
  #resources: ResourceLoop | undefined
  #control: Server | undefined
  #recording: Recording | undefined
  #housekeeping: NodeJS.Timeout | undefined
  #isHouseIdle = false
  #tasksTimer: NodeJS.Timeout | undefined
  #expireTimer: NodeJS.Timeout | undefined
  /** The last replacement of the rules in force; never rejects. */
  #replacing: Promise<unknown> = Promise.resolve()
  #isExpiring = false
  #isStopping = false
  #mode: Mode
  #isStarted = false
  #stopping: Promise<CloseReport> | undefined

  constructor(options: AgentOptions, agentId: string, unlock: () => void) {
    const { counters } = options
    this.#options = options
    this.#agentId = agentId
    this.#unlock = unlock
    this.#mode = options.mode
    this.#table = new ContainerTable(options)
    this.#processes = new ProcessTable(counters)
    this.#users = new UserNames(options.hostRoot ?? '/')
    this.#hostNames = new HostNames(counters)
    this.#held = new HeldEvents(counters)
    defineLosses(counters)
    counters.define('containers_unplaced_total', 'counter', 'Times the kernel could not be told what a cgroup is')
    counters.define('kernel_events_lost_total', 'counter', 'Events that found no room, by their numbers')
    counters.define('kernel_events_late_total', 'counter', 'Of those the events that came late, and are not lost')
    this.#breaker = new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => performance.now() }, (policy) => {
      const message = `policy ${policy} acted on more than ${BREAKER_DEFAULTS.limitCount} containers within a minute: it observes from now on; \`hullguard mode block\` re-arms it`
      options.log.error({ policy }, message)
      this.#report('breaker', message)
    })
  }

  async start(): Promise<void> {
    const { counters, log, dataDir, collectors } = this.#options
    this.#exporter =
      dataDir === undefined
        ? noDelivery()
        : await openExporter({
            agentId: this.#agentId,
            dataDir,
            collectors,
            counters,
            log,
            onState: ({ part, state, message }) => this.#report(state, `${part}: ${message}`),
          })
    try {
      await this.#watch()
    } catch (error) {
      this.#sensor?.close()
      await this.#table.stop()
      await this.#exporter.close({ deadlineMs: 0 })
      throw error
    }
  }

  get status(): AgentStatus {
    return {
      pid: process.pid,
      agent: this.#agentId,
      epoch: this.#exporter?.epoch ?? 0,
      mode: this.#mode,
      policies: this.#policies?.current.program.policies.map(({ name }) => name) ?? [],
      activity: [...new Set([...ALWAYS_ON, ...this.#options.activity])],
      containers: this.containerCount,
      collector: this.#exporter?.connectedTo ?? null,
    }
  }

  get containerCount(): number {
    return this.#table.containers().length
  }

  setMode(mode: Mode): void {
    if (mode === 'block') this.#breaker.rearm()
    this.#sensor?.setControl({ blocking: mode === 'block' ? 1 : 0 })
    this.#kernel?.refillBudgets()
    if (mode === this.#mode) return
    this.#mode = mode
    this.#keepHouseSoon()
    this.#options.log.info({ mode }, 'mode changed')
    this.#report('mode', `mode is now ${mode}`)
  }

  async setRules(rulebook: Rulebook): Promise<void> {
    try {
      if (!(await this.#replace(() => rulebook))) throw new Error('the agent stops')
    } catch (error) {
      this.#report('degraded', `new rules did not come into force, the old ones stay: ${messageOf(error)}`)
      throw error
    }
    this.#breaker.rearm()
    const { policies, falco } = rulebook
    const rules = falco === undefined ? '' : `; Falco rules in force: ${falco.rules.length}`
    this.#report('policy', `policies in force: ${policies.map(({ name }) => name).join(', ') || 'none'}${rules}`)
  }

  record(options: RecordingOptions): Recording {
    const [pipeline, sensor] = [this.#pipeline, this.#sensor]
    if (pipeline === undefined || sensor === undefined) throw new Error('a recording before the agent watches')
    if (this.#recording?.isOver === false)
      throw new HullguardError('recording_busy', 'a recording is in progress: the agent writes one capture at a time')
    const table = this.#table
    this.#recording = new Recording(
      {
        ...{ pipeline, isOwnFile, processes: this.#processes, users: this.#users, clock: this.#clock },
        containers: () => table.containers().map((identity) => ({ identity, cgroupIds: table.cgroupsOf(identity) })),
        readTasks: () => sensor.readTasks(),
        kinds: this.#kindsOn(),
        kindsOf: () => this.#kindsOn(),
        cgroups: table.hierarchy.kind,
      },
      options,
    )
    return this.#recording
  }

  /** Kinds of events that every container's acts are recorded of. */
  #kindsOn(): string[] {
    const hasConnects = this.#table.hierarchy.kind !== 'v1'
    return [
      ...['exec', 'fork', 'exit', 'oom'],
      ...(hasConnects ? ['connect'] : []),
      ...(this.#options.activity.has('syscall') ? ['syscall'] : []),
      ...kindsOfActs(actsOfActivity(this.#options.activity)),
      ...(this.#options.activity.has('names') && this.#sensor?.whyNoNames === '' ? NAME_KINDS : []),
    ]
  }

  stop(): Promise<CloseReport> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #watch(): Promise<void> {
    const { counters, log } = this.#options
    const sensor = Sensor.open({
      ...sensorHierarchy(this.#table.hierarchy),
      ringBytes: this.#options.ringBytes,
      counters,
      isCongested: () => this.#exporter?.congested ?? false,
    })
    this.#sensor = sensor
    counters.onRender(() => this.#publishCounters(sensor))
    const kernel = new KernelPolicy(sensor, this.#breaker, this.#users)
    this.#kernel = kernel
    const policies = new Policies({ sensor, table: this.#table, kernel, activity: this.#options.activity })
    this.#policies = policies
    const append = (draft: RecordDraft) => this.#append(draft)
    const { pipeline, verdicts } = composePipeline({
      table: this.#table,
      policies,
      processes: this.#processes,
      held: this.#held,
      users: this.#users,
      utcNs: (bootNs) => this.#clock.utcNs(bootNs),
      hostname: hostname(),
      hostNames: this.#hostNames,
      isOwnFile,
      judgesFirstUses: false,
      isActRecorded: actRecorder(this.#options.activity),
      areNamesRecorded: this.#options.activity.has('names'),
      append,
      onCgroup: (identity, cgroupId) => this.#place(identity, [cgroupId]),
      onLost: (range) => this.#lost(range),
      onWaiting: () => this.#expireSoon(),
      response: {
        confirm: (identity, pid) => this.#table.confirmProcess(identity, pid),
        isBlocking: () => this.#mode === 'block',
        breaker: this.#breaker,
        onActed: () => kernel.refillBudgets(),
      },
      counters,
    })
    this.#pipeline = pipeline
    this.#followTable()
    sensor.start(pipeline, () => {
      if (this.#isHouseIdle && this.#hasHousework) this.#keepHouseSoon()
    })
    if (this.#table.hierarchy.kind === 'v1')
      this.#degraded(
        'connects are not seen: no unified cgroup hierarchy is mounted (mount -t cgroup2 none /sys/fs/cgroup/unified)',
      )
    await this.#table.start()
    for (const identity of this.#table.containers()) this.#place(identity, this.#table.cgroupsOf(identity))
    this.#readTasks()
    this.#activate(atOnce(policies.compile(this.#options.rulebook)))
    sensor.setControl({ blocking: this.#mode === 'block' ? 1 : 0 })
    this.#memory = new MemoryLoop({
      sensor,
      table: this.#table,
      policies,
      verdicts,
      append,
      clock: this.#clock,
      processes: this.#processes,
    })
    this.#memory.start()
    this.#resources = new ResourceLoop({
      table: this.#table,
      policies,
      verdicts,
      clock: this.#clock,
      processes: this.#processes,
      counters,
    })
    this.#resources.follow()
    await this.#openDoor()
    this.#keepHouseSoon()
    this.#isStarted = true
    for (const identity of this.#table.containers()) this.#containerRecord('update', identity)
    this.#report('start', `watching in mode ${this.#mode}`)
    log.info({ mode: this.#mode, containers: this.containerCount, epoch: this.#exporter?.epoch }, 'watching')
  }

  async #openDoor(): Promise<void> {
    const { dataDir } = this.#options
    if (dataDir === undefined) return
    this.#control = await startControlServer(dataDir, {
      setMode: (mode) => this.setMode(mode),
      status: () => this.status,
      containers: () => this.#table.containers(),
      metrics: () => this.#options.counters.render(),
      record: (options) => this.record(options),
      stopRecording: (reason) => (this.#recording?.isOver === false ? this.#recording.stop(reason) : undefined),
    })
  }

  #followTable(): void {
    const table = this.#table
    table.on('resolved', (identity) => {
      this.#place(identity, table.cgroupsOf(identity))
      if (this.#isStarted && identity.ref.state === 'container') this.#containerRecord('start', identity)
      this.#releaseDecided()
    })
    table.on('inherited', (identity, cgroupId) => {
      this.#place(identity, [cgroupId])
      this.#releaseDecided()
    })
    table.on('changed', (identity) => {
      // Also when a runtime took its word back: the kernel then stops acting on it.
      this.#place(identity, table.cgroupsOf(identity))
      if (this.#isStarted) this.#containerRecord('update', identity)
    })
    table.on('removed', (identity) => {
      if (identity.ref.state !== 'container') return
      this.#memory?.forget(identity.ref.id)
      this.#resources?.forget(identity.ref.id)
      this.#containerRecord('stop', identity)
    })
  }

  /** Compiles beside the events, and swaps between two of them. One after the other: each set follows the one before it. */
  #replace(rulebook: () => Rulebook | undefined): Promise<boolean> {
    const done = this.#replacing.then(async () => {
      const [policies, wanted] = [this.#policies, rulebook()]
      if (policies === undefined || wanted === undefined || this.#isStopping) return false
      const next = await inTurns(policies.compile(wanted))
      if (this.#isStopping) return false
      this.#activate(next)
      return true
    })
    this.#replacing = done.catch(() => undefined)
    return done
  }

  #activate(next: PolicySet): void {
    const policies = this.#policies
    if (policies === undefined) return
    const wasHostWanted = policies.isHostWanted
    policies.activate(next)
    this.#hostNames.follow(policies.current.conditions.hostNames)
    if (this.#isStarted) {
      this.#memory?.follow()
      this.#resources?.follow()
      this.#keepHouseSoon()
    }
    const whyNoNames = this.#sensor?.whyNoNames ?? ''
    if (policies.areNamesWanted && whyNoNames !== '')
      this.#degraded(`names in DNS, TLS and HTTP are not seen: ${whyNoNames}`)
    // the host's own processes are of interest only now; what processes hold was not followed until now
    if ((policies.isHostWanted && !wasHostWanted) || policies.followsCapabilities) this.#readTasks()
  }

  /** Tells the kernel what a cgroup is. An unknown one stays observed there as it was made: pending. */
  #place(identity: Identity, cgroupIds: readonly bigint[]): void {
    try {
      if (identity.ref.state === 'host') for (const id of cgroupIds) this.#sensor?.removeCgroup(id)
      else if (identity.confirmed) {
        if (this.#policies?.apply(identity) === true && this.#isStarted) this.#readTasksSoon()
      } else this.#policies?.withdraw(identity)
    } catch (error) {
      this.#observeOnly(identity, error)
    }
  }

  /** The kernel has no room for what it should know of the cgroup: watched where there is room for that, and acted on by nothing. */
  #observeOnly(identity: Identity, error: unknown): void {
    const { state, name } = identity.ref
    let watched = 'it is observed only'
    try {
      this.#policies?.withdraw(identity)
    } catch {
      watched = 'it is not watched'
    }
    this.#options.counters.add('containers_unplaced_total')
    this.#degraded(
      `the kernel has no room for ${state} ${name || identity.cgroupPath}, ${watched}: ${messageOf(error)}`,
    )
  }

  /** A container that was there before the probes was identified only now: its processes become known, and watched. */
  #readTasksSoon(): void {
    this.#tasksTimer ??= setTimeout(() => {
      this.#tasksTimer = undefined
      this.#readTasks()
    }, READ_TASKS_PAUSE_MS)
  }

  #readTasks(): void {
    const tasks = this.#sensor?.readTasks() ?? []
    const isHostWanted = this.#policies?.isHostWanted ?? false
    const identify = (id: bigint) => this.#table.lookup(id)
    readExistingProcesses(tasks, this.#processes, {
      isConfirmed: (id) => isHostWanted || (identify(id)?.confirmed ?? false),
      isReported: (id) => isHostWanted || (identify(id)?.ref.state ?? 'host') !== 'host',
      nowBootNs: this.#clock.nowBootNs(),
    })
    this.#sensor?.adoptSockets()
  }

  #expireSoon(): void {
    this.#expireTimer ??= setTimeout(() => {
      this.#expireTimer = undefined
      if (this.#pipeline?.expire(this.#clock.nowBootNs()) === true) this.#expireSoon()
    }, EXPIRE_PAUSE_MS)
  }

  /** Events that waited for a cgroup which is decided now go on. */
  #releaseDecided(): void {
    for (const id of this.#held.cgroups()) {
      const identity = this.#table.lookup(id)
      if (identity !== undefined && identity.ref.state !== 'pending') this.#pipeline?.resolved(id, identity)
    }
  }

  /** Policies whose exceptions have expired are put in force anew; when that fails, the old program goes on. */
  #expireExceptions(): void {
    const hasExpired = () => this.#policies?.hasExpired(Date.now()) === true
    if (this.#isExpiring || !hasExpired()) return
    this.#isExpiring = true
    this.#replace(() => (hasExpired() ? this.#policies?.current.rulebook : undefined))
      .then((isDone) => {
        if (isDone) this.#report('policy', 'exceptions of rules have expired')
      })
      .catch((error: unknown) => this.#degraded(`exceptions that have expired still count: ${messageOf(error)}`))
      .finally(() => {
        this.#isExpiring = false
      })
  }

  #keepHouse(): void {
    this.#expireExceptions()
    this.#releaseDecided()
    for (const id of this.#held.waitingLongerThan(HELD_MAX_MS)) {
      const identity = this.#table.lookup(id)
      if (identity !== undefined) this.#pipeline?.resolved(id, identity)
    }
    this.#kernel?.refillBudgets()
    const nowBootNs = this.#clock.nowBootNs()
    if (this.#pipeline?.hasOpenGaps === true && this.#sensor?.isEmpty === true) this.#pipeline.flushGaps(nowBootNs)
    this.#scheduleHousekeeping(this.#hasHousework ? HOUSEKEEPING_MS : IDLE_HOUSEKEEPING_MS)
  }

  /** Something has to be looked after within a second. */
  get #hasHousework(): boolean {
    const isActing = this.#mode === 'block' && this.#kernel?.hasBudgets === true
    const hasDeadline = this.#policies?.current.program.validUntilMs !== undefined
    return isActing || hasDeadline || !this.#held.isEmpty || this.#pipeline?.hasOpenGaps === true
  }

  #keepHouseSoon(): void {
    if (!this.#isStopping) this.#scheduleHousekeeping(HOUSEKEEPING_MS)
  }

  #scheduleHousekeeping(delayMs: number): void {
    clearTimeout(this.#housekeeping)
    this.#isHouseIdle = delayMs > HOUSEKEEPING_MS
    this.#housekeeping = setTimeout(() => this.#keepHouse(), delayMs)
  }

  /** What is counted in the kernel and as plain numbers. After the end all stands as it was then. */
  #publishCounters(sensor: Sensor): void {
    const { counters } = this.#options
    if (sensor.isClosed) return
    sensor.publishCounters()
    publishLosses(counters, sensor, this.#table)
    this.#table.exportCounters()
    counters.set('process_table_processes', this.#processes.sizeCount)
  }

  #append(draft: RecordDraft): { seq: bigint } {
    if (this.#exporter === undefined) throw new Error('a record before the exporter is open')
    return this.#exporter.append(draft)
  }

  #lost(range: LostRange): void {
    const gap = gapOf(range)
    this.#options.counters.add('kernel_events_lost_total', Number(gap.count))
    if (range.cameLate) this.#options.counters.add('kernel_events_late_total')
    this.#append({ ...this.#nowDraft('gap', 'alert'), gap })
  }

  #containerRecord(change: 'start' | 'stop' | 'update', identity: Identity): void {
    const draft = this.#nowDraft('container', 'activity')
    this.#recording?.change(change, identity, draft.bootNs)
    this.#append({
      ...draft,
      container: identity.ref,
      containerChange: { change, cgroup: identity.cgroupPath },
    })
  }

  #degraded(message: string): void {
    this.#options.log.warn({}, message)
    this.#report('degraded', message)
  }

  #report(change: AgentBody['change'], message: string): void {
    if (this.#exporter === undefined) return
    this.#append({ ...this.#nowDraft('agent', 'alert'), agentChange: { change, message } })
  }

  #nowDraft<K extends RecordDraft['kind']>(kind: K, lane: RecordDraft['lane']): RecordDraft & { kind: K } {
    const bootNs = this.#clock.nowBootNs()
    return { kind, lane, bootNs, timeNs: this.#clock.utcNs(bootNs), container: HOST }
  }

  async #stop(): Promise<CloseReport> {
    this.#isStopping = true
    clearTimeout(this.#housekeeping)
    clearTimeout(this.#tasksTimer)
    this.#hostNames.close()
    clearTimeout(this.#expireTimer)
    this.#control?.close()
    this.#memory?.stop()
    this.#resources?.stop()
    const isDrained = (await this.#sensor?.drain(DRAIN_MS)) ?? true
    if (!isDrained) this.#degraded('events were still in the ring when the agent had to stop')
    for (const id of this.#held.cgroups()) {
      const identity = this.#table.lookup(id)
      if (identity !== undefined) this.#pipeline?.resolved(id, identity)
    }
    this.#pipeline?.flushWaiting()
    this.#pipeline?.flushGaps()
    // What the output failed with, whoever began the recording is told.
    await this.#recording?.stop('the agent stopped').catch(() => undefined)
    this.#sensor?.publishCounters()
    this.#report('stop', 'the agent stops')
    this.#sensor?.close()
    await this.#table.stop()
    const report = await this.#exporter?.close({ deadlineMs: DELIVER_AT_STOP_MS })
    this.#clock.close()
    this.#unlock()
    return report ?? { delivered: true, spooledCount: 0, lostCount: 0 }
  }
}
