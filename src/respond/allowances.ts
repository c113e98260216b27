/**
 * How often each policy may still act in the kernel: the breaker's allowances (docs/decisions/0005), one slot a policy.
 *
 *   acts_taken   how often it acted, counted by the kernel alone; never falls
 *   budgets      up to how many it may, written here: those that the breaker knows of, and as many more as it still allows
 *
 * Which of the acts the breaker knows of is known at moments only: all that were taken before a position in the stream of events are,
 * when everything before that position has been handled. So an act that has not been read yet is never given back. One that
 * has been, and is not settled yet, counts twice: for as long as a batch takes.
 */
import { encodeU32, type Sensor } from '../sensor/sensor.js'
import type { CircuitBreaker } from './breaker.js'

type Kernel = Pick<Sensor, 'update' | 'lookup' | 'position' | 'isHandled' | 'isEmpty' | 'nudge'>

interface Reading {
  readonly position: number
  readonly taken: bigint[]
}

export class Allowances {
  readonly #sensor: Kernel
  readonly #breaker: Pick<CircuitBreaker, 'remainingCount'>
  readonly #slotsCount: number
  readonly #slots = new Map<string, number>()
  /** By slot: acts that the breaker knows of. */
  #known: bigint[] = []
  /** By slot: what the kernel was told last. */
  readonly #written: bigint[] = []
  #reading: Reading | undefined

  constructor(sensor: Kernel, breaker: Pick<CircuitBreaker, 'remainingCount'>, slotsCount: number) {
    this.#sensor = sensor
    this.#breaker = breaker
    this.#slotsCount = slotsCount
  }

  /** More policies than slots share the last one: their acts are then limited together, never more loosely. */
  slotOf(policy: string): number {
    let slot = this.#slots.get(policy)
    if (slot === undefined) {
      slot = Math.min(this.#slots.size, this.#slotsCount - 1)
      this.#slots.set(policy, slot)
      this.#known[slot] ??= this.#taken(slot) // whoever had the slot before
    }
    return slot
  }

  /** What the breaker allows may have changed: by an act, by time, by being armed again. */
  refill(): void {
    this.#reading ??= this.#read()
    this.#settle()
    this.#write()
  }

  /** Events were handled. */
  onBatchDone(): void {
    if (this.#settle()) this.#write()
  }

  #read(): Reading {
    const taken = this.#known.map((_, slot) => this.#taken(slot))
    // after the counts: what they count is in the stream by now
    const { position } = this.#sensor
    if (!this.#sensor.isHandled(position)) this.#sensor.nudge()
    return { position, taken }
  }

  #taken(slot: number): bigint {
    const value = new BigUint64Array(1)
    this.#sensor.lookup('acts_taken', encodeU32(slot), new Uint8Array(value.buffer))
    return value[0] ?? 0n
  }

  /** True: what is known has changed. */
  #settle(): boolean {
    if (this.#reading === undefined) return false
    if (!this.#sensor.isHandled(this.#reading.position) && !this.#sensor.isEmpty) return false
    for (const [slot, taken] of this.#reading.taken.entries()) this.#known[slot] = taken
    this.#reading = undefined
    return true
  }

  #write(): void {
    for (const [policy, slot] of this.#slots) {
      const limit = (this.#known[slot] ?? 0n) + BigInt(this.#breaker.remainingCount(policy))
      if (this.#written[slot] === limit) continue
      this.#sensor.update('budgets', encodeU32(slot), new Uint8Array(BigInt64Array.of(limit).buffer))
      this.#written[slot] = limit
    }
  }
}
