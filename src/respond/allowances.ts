/**
 * How often each policy may still act in the kernel: the breaker's allowances (docs/decisions/0005), one slot a policy.
 *
 *   acts_taken   how many acts it took, counted by the kernel alone; never falls
 *   budgets      up to how many it may, written here: those that the breaker knows of, and as many more as it still allows
 *
 * Which of the acts the breaker knows of is known at moments only: all that were taken before a position in the stream of events are,
 * when everything before that position has been handled. So an act whose event waits is not given back. One that the breaker
 * knows of, and is not settled yet, counts twice: until the batch is done, or the next one. An act whose event is lost, or that user space judges
 * otherwise than the kernel did, never comes to the breaker: it counts until then only.
 */
import { encodeU32, type Sensor } from '../sensor/sensor.js'
import type { CircuitBreaker } from './breaker.js'

type Kernel = Pick<Sensor, 'update' | 'lookup' | 'position' | 'hasWaiting' | 'isHandled' | 'isEmpty' | 'nudge'>

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
  readonly #known: bigint[] = []
  /** By slot: what the kernel was told last. */
  readonly #written: bigint[] = []
  #reading: Reading | undefined
  /** Something has changed since that was read. */
  #isReadingOld = false

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
    this.#isReadingOld = this.#reading !== undefined
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
    // after the counts: what they count is in the stream by now, or will be when the hook that has just counted is over
    const { position, hasWaiting } = this.#sensor
    if (hasWaiting) this.#sensor.nudge()
    return { position, taken }
  }

  #taken(slot: number): bigint {
    const value = new BigUint64Array(1)
    this.#sensor.lookup('acts_taken', encodeU32(slot), new Uint8Array(value.buffer))
    return value[0] ?? 0n
  }

  /** True: what is known has changed. */
  #settle(): boolean {
    let isChange = false
    while (this.#reading !== undefined && this.#isHandled(this.#reading)) {
      for (const [slot, taken] of this.#reading.taken.entries()) this.#known[slot] = taken
      this.#reading = this.#isReadingOld ? this.#read() : undefined
      this.#isReadingOld = false
      isChange = true
    }
    return isChange
  }

  #isHandled({ position }: Reading): boolean {
    return this.#sensor.isHandled(position) || this.#sensor.isEmpty
  }

  #write(): void {
    const left: number[] = []
    for (const [policy, slot] of this.#slots)
      left[slot] = Math.min(left[slot] ?? Number.POSITIVE_INFINITY, this.#breaker.remainingCount(policy))
    for (const [slot, count] of left.entries()) {
      const limit = (this.#known[slot] ?? 0n) + BigInt(count)
      if (this.#written[slot] === limit) continue
      this.#sensor.update('budgets', encodeU32(slot), new Uint8Array(BigInt64Array.of(limit).buffer))
      this.#written[slot] = limit
    }
  }
}
