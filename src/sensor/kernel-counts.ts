/** What the kernel side counts of itself: drops by cause and kind, whose they were, runs that were left out. Read when asked for. */
import type { Counters } from '../telemetry/counters.js'
import type { NativeSensor } from './addon.js'
import { Drop, decodeMapLossKey, Kind, MAP_LOSS_KEY_BYTES, type MapLossKey } from './generated/abi.js'

/** So many events of a cgroup were lost or cut for one cause. */
export interface Loss extends MapLossKey {
  count: number
}

/** Names of a kernel drop's cause and kind, as the counters label them. */
export function dropLabels(causeIndex: number, kindIndex: number): { cause: string; kind: string } {
  return { cause: nameIn(Drop, causeIndex), kind: nameIn(Kind, kindIndex) }
}

function nameIn(table: Readonly<Record<string, number>>, value: number): string {
  const entry = Object.entries(table).find(([, number]) => number === value)
  return entry === undefined ? String(value) : entry[0].toLowerCase()
}

export class KernelCounts {
  readonly #native: NativeSensor
  readonly #counters: Counters
  readonly #possibleCpus: number

  constructor(native: NativeSensor, counters: Counters, possibleCpus: number) {
    this.#native = native
    this.#counters = counters
    this.#possibleCpus = possibleCpus
    counters.define('sensor_kernel_drops_total', 'counter', 'Events or state lost in the kernel, by cause and kind')
    counters.define(
      'sensor_recursion_misses_total',
      'counter',
      'Runs of a probe that the kernel left out because the probe was running on that CPU already',
    )
  }

  /** Brings them into the counters: some hundred system calls. */
  publish(): void {
    const key = new Uint8Array(4)
    const value = new BigUint64Array(this.#possibleCpus)
    const valueBytes = new Uint8Array(value.buffer)
    for (let causeIndex = 0; causeIndex < Drop.MAX; causeIndex++) {
      for (let kindIndex = 0; kindIndex < Kind.MAX; kindIndex++) {
        new DataView(key.buffer).setUint32(0, causeIndex * Kind.MAX + kindIndex, true)
        if (!this.#native.lookup('drops', key, valueBytes)) continue
        const total = value.reduce((sum, one) => sum + one, 0n)
        if (total > 0n)
          this.#counters.set('sensor_kernel_drops_total', Number(total), dropLabels(causeIndex, kindIndex))
      }
    }
    for (const { name, recursionMissesCount } of this.#native.programs())
      if (recursionMissesCount > 0)
        this.#counters.set('sensor_recursion_misses_total', recursionMissesCount, { program: name })
  }

  losses(): Loss[] {
    const keys = this.#native.keys('losses')
    const value = new Uint8Array(8)
    const losses: Loss[] = []
    for (let at = 0; at + MAP_LOSS_KEY_BYTES <= keys.length; at += MAP_LOSS_KEY_BYTES) {
      const key = keys.subarray(at, at + MAP_LOSS_KEY_BYTES)
      if (!this.#native.lookup('losses', key, value)) continue
      losses.push({ ...decodeMapLossKey(key), count: Number(new DataView(value.buffer).getBigUint64(0, true)) })
    }
    return losses
  }
}
