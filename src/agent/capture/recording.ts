/**
 * A recording by a running agent: snapshot, then everything its pipeline sees, until it is stopped. One at a time.
 */
import { readFileSync } from 'node:fs'
import { arch, release } from 'node:os'
import { join } from 'node:path'
import type { Identity } from '../../container/identity.js'
import type { CaptureHeader } from '../../sensor/capture-format.js'
import { type CaptureOutput, type CaptureTotals, CaptureWriter } from '../../sensor/capture-writer.js'
import { ABI_HASH, EVENT_LAYOUT } from '../../sensor/generated/abi.js'
import type { TaskSnapshot } from '../../sensor/iterators.js'
import { findPackageRoot } from '../../telemetry/package-root.js'
import type { NameSource } from '../host/users.js'
import type { OwnFileCheck } from '../pipeline/options.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { ProcessTable } from '../process/process-table.js'
import { Recorder } from './recorder.js'

export interface RecordingOptions {
  /** Names, or beginnings of ids, of the only containers wanted; empty: all. */
  containers: readonly string[]
  output: CaptureOutput
}

/** The parts of the agent that a recording takes from. */
export interface RecordedHost {
  pipeline: Pipeline
  containers: () => readonly { identity: Identity; cgroupIds: readonly bigint[] }[]
  readTasks: () => readonly TaskSnapshot[]
  processes: ProcessTable
  users: NameSource
  clock: { nowBootNs(): bigint; utcNs(bootNs: bigint): bigint }
  isOwnFile: OwnFileCheck
  kindsOf: (identity: Identity) => readonly string[]
  /** Kinds that are on for every container. */
  kinds: readonly string[]
  /** `v1`, `hybrid` or `v2`. */
  cgroups: string
}

export class Recording {
  readonly #host: RecordedHost
  readonly #writer: CaptureWriter
  readonly #recorder: Recorder
  #stopped: Promise<CaptureTotals> | undefined
  #settle!: () => void
  /** Resolves when it is over and the output has everything, or has failed. */
  readonly ended = new Promise<void>((resolve) => {
    this.#settle = resolve
  })

  constructor(host: RecordedHost, { containers, output }: RecordingOptions) {
    this.#host = host
    const { clock, processes, users, isOwnFile, kindsOf } = host
    this.#writer = new CaptureWriter(headerOf(host, containers), output, () => {
      this.stop('the output failed').catch(() => undefined) // whoever stops it, or waits for its end, is told
    })
    this.#recorder = new Recorder({
      ...{ writer: this.#writer, processes, users, isOwnFile, kindsOf, containers },
      clockOffsetNs: () => clock.utcNs(0n),
    })
    this.#recorder.snapshot(host.containers(), host.readTasks())
    host.pipeline.tap = this.#recorder
  }

  /** Why it can write no more, or undefined. */
  get failure(): unknown {
    return this.#writer.failure
  }

  /** It was stopped, or cannot go on. */
  get isOver(): boolean {
    return this.#stopped !== undefined || this.failure !== undefined
  }

  change(change: 'start' | 'stop' | 'update', identity: Identity, bootNs: bigint): void {
    if (this.#stopped === undefined) this.#recorder.change(change, identity, bootNs)
  }

  /** Throws what the output failed with. Idempotent. */
  stop(reason: string): Promise<CaptureTotals> {
    if (this.#host.pipeline.tap === this.#recorder) this.#host.pipeline.tap = undefined
    this.#recorder.stop()
    this.#stopped ??= this.#writer.close(reason).finally(() => this.#settle())
    return this.#stopped
  }
}

function headerOf({ clock, kinds, cgroups }: RecordedHost, containers: readonly string[]): CaptureHeader {
  const packageJson: unknown = JSON.parse(readFileSync(join(findPackageRoot(), 'package.json'), 'utf8'))
  const version =
    typeof packageJson === 'object' && packageJson !== null && 'version' in packageJson ? packageJson.version : ''
  return {
    agentVersion: String(version),
    abiHash: ABI_HASH,
    layout: EVENT_LAYOUT,
    startedBootNs: clock.nowBootNs(),
    clockOffsetNs: clock.utcNs(0n),
    host: { kernel: release(), arch: arch(), cgroups },
    kinds,
    containers,
  }
}
