/**
 * The agent of one host: construction, start order and shutdown order. What each part does is in its own file.
 *
 * Start order matters: probes speak before the existing cgroups are read, so nothing falls between; policies are put in force
 * after the containers are known; blocking is switched on last.
 */
import type { Server } from 'node:http'
import { hostname } from 'node:os'
import { findHierarchy } from '../container/cgroup-fs.js'
import type { Identity } from '../container/identity.js'
import { ContainerTable } from '../container/table.js'
import { loadAgentId } from '../export/epoch.js'
import { openExporter } from '../export/exporter.js'
import type { CloseReport, Exporter, Log } from '../export/types.js'
import { atOnce } from '../match/steps.js'
import type { Mode } from '../policy/model.js'
import type { RecordDraft } from '../record/model.js'
import { BREAKER_DEFAULTS, CircuitBreaker } from '../respond/breaker.js'
import { KernelPolicy } from '../respond/kernel-policy.js'
import { type Loaded, loadObject } from '../sensor/load.js'
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
import { isOwnFile } from './host/own-file.js'
import { Priority } from './host/priority.js'
import { sensorHierarchy } from './host/sensor-hierarchy.js'
import { UserNames } from './host/users.js'
import { Housekeeping } from './housekeeping.js'
import { noDelivery } from './no-delivery.js'
import { type ContainerChange, OwnRecords } from './own-records.js'
import { composePipeline } from './pipeline/compose.js'
import type { Pipeline } from './pipeline/pipeline.js'
import { Placement } from './placement.js'
import { ProcessTable } from './process/process-table.js'
import { MemoryLoop } from './resource/memory-loop.js'
import { ResourceLoop } from './resource/resource-loop.js'
import { type ActivityClass, ALWAYS_ON, actRecorder, actsOfActivity, kindsOfActs } from './rules/acts.js'
import { Policies } from './rules/policies.js'
import { RulesInForce } from './rules-in-force.js'

export interface AgentOptions {
  /** Where spool, epoch and control socket live; undefined: no records are kept, for an agent that only writes a capture. */
  dataDir: string | undefined
  lockFile: string
  collectors: readonly string[]
  /** What loadProbes() gave for these options; without it they are loaded at the start. */
  probes?: Loaded | undefined
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

const DRAIN_MS = 3_000
const DELIVER_AT_STOP_MS = 5_000

export type ProbeOptions = Pick<AgentOptions, 'cgroupRoot' | 'hostRoot' | 'ringBytes'>

/** For an agent that begins with them. Nothing is attached yet. Throws what loadObject() throws. */
export function loadProbes(options: ProbeOptions): Loaded {
  return loadObject({ ...sensorHierarchy(findHierarchy(options)), ringBytes: options.ringBytes })
}

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
  readonly #priority = new Priority()
  readonly #table: ContainerTable
  readonly #processes: ProcessTable
  readonly #users: UserNames
  readonly #hostNames: HostNames
  readonly #held: HeldEvents
  readonly #breaker: CircuitBreaker
  readonly #records: OwnRecords
  readonly #housekeeping = new Housekeeping({
    keep: () => this.#keepHouse(),
    hasWork: () => this.#hasHousework,
    expire: () => this.#pipeline?.expire(this.#clock.nowBootNs()) === true,
  })
  #exporter: Exporter | undefined
  #sensor: Sensor | undefined
  #policies: Policies | undefined
  #rules: RulesInForce | undefined
  #kernel: KernelPolicy | undefined
  #pipeline: Pipeline | undefined
  #placement: Placement | undefined
  #memory: MemoryLoop | undefined
  #resources: ResourceLoop | undefined
  #control: Server | undefined
  #recording: Recording | undefined
  #mode: Mode
  #isStarted = false
  #stopping: Promise<CloseReport> | undefined

  constructor(options: AgentOptions, agentId: string, unlock: () => void) {
    const { counters, log } = options
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
    this.#records = new OwnRecords({ clock: this.#clock, counters, log })
    this.#breaker = new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => performance.now() }, (policy) => {
      const message = `policy ${policy} acted on more than ${BREAKER_DEFAULTS.limitCount} containers within a minute: it observes from now on; \`hullguard mode block\` re-arms it`
      log.error({ policy }, message)
      this.#records.report('breaker', message)
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
            isHeld: true, // connecting takes code and time that the start needs
            counters,
            log,
            onState: ({ part, state, message }) => this.#records.report(state, `${part}: ${message}`),
          })
    this.#records.open(this.#exporter)
    try {
      await this.#watch()
      this.#exporter.deliver()
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
    this.#kernel?.allowances.refill()
    if (mode === this.#mode) return
    this.#mode = mode
    this.#followMode()
    this.#housekeeping.soon()
    this.#options.log.info({ mode }, 'mode changed')
    this.#records.report('mode', `mode is now ${mode}`)
  }

  /** The threads that kill are the main one, whose id is the process's, and the reader of the ring. */
  #followMode(): void {
    if (this.#sensor === undefined) return
    const why = this.#priority.follow(this.#mode === 'block', [process.pid, this.#sensor.readerThread])
    if (why !== '')
      this.#options.log.warn({}, `kills by user space may wait while all CPUs are busy: cannot change priority: ${why}`)
  }

  async setRules(rulebook: Rulebook): Promise<void> {
    if (this.#rules === undefined) throw new Error('rules before the agent watches')
    await this.#rules.set(rulebook)
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
    const { counters, log, activity } = this.#options
    const [table, processes, held, clock, users, records] = [
      this.#table,
      this.#processes,
      this.#held,
      this.#clock,
      this.#users,
      this.#records,
    ]
    const sensor = Sensor.open(
      {
        ...sensorHierarchy(table.hierarchy),
        ringBytes: this.#options.ringBytes,
        counters,
        isCongested: () => this.#exporter?.congested ?? false,
      },
      this.#options.probes,
    )
    this.#sensor = sensor
    counters.onRender(() => this.#publishCounters(sensor))
    const kernel = new KernelPolicy(sensor, this.#breaker, users)
    this.#kernel = kernel
    users.onChange = () => this.#followAccounts(kernel)
    const policies = new Policies({ sensor, table, kernel, activity })
    this.#policies = policies
    const append = (draft: RecordDraft) => records.append(draft)
    const placement = new Placement({
      ...{ sensor, table, policies, processes, held, clock, records, counters },
      resolved: (cgroupId, identity) => pipeline.resolved(cgroupId, identity),
      isStarted: () => this.#isStarted,
    })
    this.#placement = placement
    const { pipeline, verdicts } = composePipeline({
      ...{ table, policies, processes, held, users, isOwnFile, append, counters },
      utcNs: (bootNs) => clock.utcNs(bootNs),
      hostname: hostname(),
      hostNames: this.#hostNames,
      judgesFirstUses: false,
      isActRecorded: actRecorder(activity),
      areNamesRecorded: activity.has('names'),
      onCgroup: (identity, cgroupId) => placement.place(identity, [cgroupId]),
      onLost: (range) => records.lost(range),
      onWaiting: () => this.#housekeeping.expireSoon(),
      response: {
        confirm: (identity, pid) => table.confirmProcess(identity, pid),
        isBlocking: () => this.#mode === 'block',
        breaker: this.#breaker,
        onActed: () => kernel.allowances.refill(),
      },
    })
    this.#pipeline = pipeline
    this.#followTable(placement)
    sensor.start(pipeline, () => {
      kernel.allowances.onBatchDone()
      this.#housekeeping.onBatchDone()
    })
    if (table.hierarchy.kind === 'v1')
      records.degraded(
        'connects are not seen: no unified cgroup hierarchy is mounted (mount -t cgroup2 none /sys/fs/cgroup/unified)',
      )
    await table.start()
    for (const identity of table.containers()) placement.placeAll(identity)
    placement.readTasks()
    const rules = new RulesInForce({
      policies,
      records,
      onActivated: (wasHostWanted) => this.#followRules(policies, placement, wasHostWanted),
      rearm: () => this.#breaker.rearm(),
    })
    this.#rules = rules
    rules.activate(atOnce(policies.compile(this.#options.rulebook)))
    sensor.setControl({ blocking: this.#mode === 'block' ? 1 : 0 })
    this.#followMode()
    this.#memory = new MemoryLoop({ sensor, table, policies, verdicts, records, clock, processes, counters })
    this.#memory.start()
    this.#resources = new ResourceLoop({ table, policies, verdicts, clock, processes, counters })
    this.#resources.follow()
    await this.#openDoor()
    this.#housekeeping.soon()
    this.#isStarted = true
    for (const identity of table.containers()) this.#containerChanged('update', identity)
    records.report('start', `watching in mode ${this.#mode}`)
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

  #followTable(placement: Placement): void {
    const table = this.#table
    table.on('resolved', (identity) => {
      placement.placeAll(identity)
      if (this.#isStarted && identity.ref.state === 'container')
        this.#containerChanged(table.wasFoundLate(identity) ? 'update' : 'start', identity)
      placement.releaseDecided()
    })
    table.on('inherited', (identity, cgroupId) => {
      placement.place(identity, [cgroupId])
      placement.releaseDecided()
    })
    table.on('changed', (identity) => {
      // Also when a runtime took its word back: the kernel then stops acting on it.
      placement.placeAll(identity)
      if (this.#isStarted) this.#containerChanged('update', identity)
    })
    table.on('namespaceKnown', (identity) => placement.placeAll(identity))
    table.on('removed', (identity) => {
      if (identity.ref.state !== 'container') return
      this.#memory?.forget(identity.ref.id)
      this.#resources?.forget(identity.ref.id)
      placement.containerGone()
      this.#containerChanged('stop', identity)
    })
  }

  /** Others are in force: what depends on them is done by them from here on. */
  #followRules(policies: Policies, placement: Placement, wasHostWanted: boolean): void {
    this.#hostNames.follow(policies.current.conditions.hostNames)
    if (this.#isStarted) {
      this.#memory?.follow()
      this.#resources?.follow()
      this.#housekeeping.soon()
    }
    const whyNoNames = this.#sensor?.whyNoNames ?? ''
    if (policies.areNamesWanted && whyNoNames !== '')
      this.#records.degraded(`names in DNS, TLS and HTTP are not seen: ${whyNoNames}`)
    // the host's own processes are of interest only now; what processes hold was not followed until now
    if ((policies.isHostWanted && !wasHostWanted) || policies.followsCapabilities) placement.followTasks()
  }

  /** Rules that name users mean others now. */
  #followAccounts(kernel: KernelPolicy): void {
    try {
      kernel.followAccounts()
    } catch (error) {
      this.#records.degraded(
        `the kernel still leaves out acts by the users that names stood for before: ${messageOf(error)}`,
      )
    }
  }

  #keepHouse(): void {
    this.#users.refresh()
    this.#rules?.expireExceptions()
    this.#placement?.releaseDecided()
    this.#placement?.releaseOverdue()
    this.#kernel?.allowances.refill()
    if (this.#pipeline?.hasOpenGaps === true && this.#sensor?.isEmpty === true)
      this.#pipeline.flushGaps(this.#clock.nowBootNs())
  }

  /** Something has to be looked after within a second. */
  get #hasHousework(): boolean {
    const isActing = this.#mode === 'block' && this.#kernel?.hasAllowances === true
    const hasDeadline = this.#policies?.current.program.validUntilMs !== undefined
    return isActing || hasDeadline || !this.#held.isEmpty || this.#pipeline?.hasOpenGaps === true
  }

  #containerChanged(change: ContainerChange, identity: Identity): void {
    const bootNs = this.#clock.nowBootNs()
    this.#recording?.change(change, identity, bootNs)
    this.#records.container(change, identity, bootNs)
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

  async #stop(): Promise<CloseReport> {
    this.#rules?.stop()
    this.#policies?.stop()
    this.#housekeeping.stop()
    this.#placement?.stop()
    this.#hostNames.close()
    this.#control?.close()
    this.#memory?.stop()
    this.#resources?.stop()
    const isDrained = (await this.#sensor?.drain(DRAIN_MS)) ?? true
    if (!isDrained) this.#records.degraded('events were still in the ring when the agent had to stop')
    this.#placement?.releaseAll()
    this.#pipeline?.flushWaiting()
    this.#pipeline?.flushGaps()
    // What the output failed with, whoever began the recording is told.
    await this.#recording?.stop('the agent stopped').catch(() => undefined)
    this.#sensor?.publishCounters()
    this.#records.report('stop', 'the agent stops')
    this.#sensor?.close()
    await this.#table.stop()
    const report = await this.#exporter?.close({ deadlineMs: DELIVER_AT_STOP_MS })
    this.#clock.close()
    this.#unlock()
    return report ?? { delivered: true, spooledCount: 0, lostCount: 0 }
  }
}
