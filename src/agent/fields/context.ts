/**
 * The event that fields are read from: who acted, where, and the views of the event in its slab. One object for all events;
 * what it finds on the way (ancestors) it keeps until it stands on the next one. Valid during the event's own call only.
 */
import type { Identity } from '../../container/identity.js'
import {
  type EvCall,
  type EvConnect,
  type EvExec,
  type EvExit,
  type EvFork,
  type EvHeader,
  type EvOom,
  type EvSyscall,
  Phase,
} from '../../sensor/generated/abi.js'
import type { FoundName } from '../../sensor/names/streams.js'
import type { NameSource } from '../host/users.js'
import type { ProcessEntry } from '../process/process-table.js'
import { type ContainerTexts, containerTexts } from './container-texts.js'
import type { HostNames } from './host-names.js'

/** Longer chains of ancestors end here: each is looked at for every rule that asks for any of them. */
const ANCESTORS_MAX_COUNT = 64

export interface ContextSources {
  parentOf(entry: ProcessEntry): ProcessEntry | undefined
  users: NameSource
  /** UTC ns of a CLOCK_BOOTTIME reading. */
  utcNs(bootNs: bigint): bigint
  hostname: string
  /** Which of the names in rules an address has; undefined: none are looked up. */
  hostNames?: HostNames | undefined
}

const NOBODY: ProcessEntry = {
  pid: 0,
  startNs: 0n,
  parentPid: 0,
  parentStartNs: 0n,
  exe: '',
  invoked: '',
  args: [],
  cwd: '',
  uid: 0,
  gid: 0,
  phase: 'run',
}

export class EventContext {
  readonly sources: ContextSources
  process: ProcessEntry = NOBODY
  /** Events so far. */
  number = 0
  header: EvHeader | undefined
  exec: EvExec | undefined
  fork: EvFork | undefined
  exit: EvExit | undefined
  connect: EvConnect | undefined
  syscall: EvSyscall | undefined
  oom: EvOom | undefined
  call: EvCall | undefined
  /** What a packet, or the end of a connection, told. */
  name: FoundName | undefined
  #identity: Identity | undefined
  #container: ContainerTexts | undefined
  readonly #ancestors: ProcessEntry[] = []
  #isChainWhole = false

  constructor(sources: ContextSources) {
    this.sources = sources
  }

  /** A reading of a container's resources: nobody acted. */
  standOnSample(identity: Identity): void {
    this.#stand(undefined, NOBODY, identity)
  }

  /** The view's own member is set by the caller afterwards. */
  stand(header: EvHeader, process: ProcessEntry, identity: Identity): void {
    this.#stand(header, process, identity)
    this.number++
  }

  #stand(header: EvHeader | undefined, process: ProcessEntry, identity: Identity): void {
    this.header = header
    this.process = process
    this.exec = undefined
    this.fork = undefined
    this.exit = undefined
    this.connect = undefined
    this.syscall = undefined
    this.oom = undefined
    this.call = undefined
    this.name = undefined
    if (this.#identity !== identity || this.#container?.ref !== identity.ref) this.#container = undefined
    this.#identity = identity
    if (this.#ancestors.length > 0) this.#ancestors.length = 0 // V8 leaves its fast path for it even when nothing is there
    this.#isChainWhole = false
  }

  get container(): ContainerTexts | undefined {
    if (this.#identity === undefined) return undefined
    this.#container ??= containerTexts(this.#identity)
    return this.#container
  }

  /** A runtime's own act in a container that it sets up. */
  get isSetup(): boolean {
    if (this.#identity?.ref.state === 'host') return false
    // the network hooks cannot read a task's phase: it is that of its last exec or fork
    const isOfNetworkHook = this.connect !== undefined || this.name !== undefined
    return isOfNetworkHook ? this.process.phase === 'setup' : this.header?.phase === Phase.SETUP
  }

  /** 1 is the parent; 0 the process itself. */
  ancestor(generation: number): ProcessEntry | undefined {
    if (generation === 0) return this.process
    const chain = this.#ancestors
    while (chain.length < generation && !this.#isChainWhole) {
      const next = this.sources.parentOf(chain[chain.length - 1] ?? this.process)
      if (next === undefined || chain.length === ANCESTORS_MAX_COUNT) this.#isChainWhole = true
      else chain.push(next)
    }
    return chain[generation - 1]
  }
}
