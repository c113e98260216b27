/**
 * Where a reader puts the values of one field, and texts that outlive an event. All arrays are kept and grown, never made
 * anew for an event.
 */

/** 2^32: a number is kept as two halves, so that all 64 bits compare exactly. */
const HALF = 4_294_967_296
/** Operands whose answer a text remembers: a name is read as its own, as the parent's and as each ancestor's. */
const REMEMBERED_MAX_COUNT = 16

const NOTHING = new Uint8Array(0)

/**
 * A text that is read for many events, such as the command line of a process: programs remember with it what they found, so
 * that it is walked once and not once an event. Make one per process and field (or one per distinct text), not one per event.
 */
export class InternedText {
  readonly bytes: Uint8Array
  /** Of the program that remembered; another program starts over. */
  #owner: object | undefined
  readonly #operands: number[] = []
  readonly #hits: Int32Array[] = []
  #next = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** For programs alone. */
  recall(owner: object, operand: number): Int32Array | undefined {
    if (this.#owner !== owner) return undefined
    const operands = this.#operands
    for (let at = 0; at < operands.length; at++) if (operands[at] === operand) return this.#hits[at]
    return undefined
  }

  /** For programs alone. */
  remember(owner: object, operand: number, hits: Int32Array): void {
    if (this.#owner !== owner) {
      this.#owner = owner
      this.#operands.length = 0
      this.#hits.length = 0
      this.#next = 0
    }
    if (this.#next === REMEMBERED_MAX_COUNT) this.#next = 0
    this.#operands[this.#next] = operand
    this.#hits[this.#next++] = hits
  }
}

export class FieldValues {
  count = 0
  /** The field is there, though as a list without values. */
  isEmptyList = false
  /** Value i of a text field: bytes[i] from starts[i] to ends[i]; texts[i] when it was an interned one. */
  readonly bytes: Uint8Array[] = [NOTHING]
  readonly texts: (InternedText | undefined)[] = [undefined]
  readonly starts: number[] = [0]
  readonly ends: number[] = [0]
  /** Value i of a number: high[i] * 2^32 + low[i], 0 ≤ low[i] < 2^32. */
  readonly high: number[] = [0]
  readonly low: number[] = [0]

  get isPresent(): boolean {
    return this.count > 0 || this.isEmptyList
  }

  clear(): void {
    this.count = 0
    this.isEmptyList = false
  }

  addBytes(bytes: Uint8Array, start: number, end: number): void {
    const at = this.count++
    this.bytes[at] = bytes
    this.texts[at] = undefined
    this.starts[at] = start
    this.ends[at] = end
  }

  addText(text: InternedText): void {
    const at = this.count++
    this.bytes[at] = text.bytes
    this.texts[at] = text
    this.starts[at] = 0
    this.ends[at] = text.bytes.length
  }

  /** A whole number within ±2^53; beyond, addWide is exact and this is not. */
  addNumber(value: number): void {
    const at = this.count++
    const high = Math.floor(value / HALF)
    this.high[at] = high
    this.low[at] = value - high * HALF
  }

  /** A 64-bit number from its halves: `high` as signed or unsigned as the field is, `low` from 0 to 2^32 - 1. */
  addWide(high: number, low: number): void {
    const at = this.count++
    this.high[at] = high
    this.low[at] = low
  }

  addBoolean(value: boolean): void {
    this.addWide(0, value ? 1 : 0)
  }

  /** 16 bytes from `start` on, IPv4 as ::ffff:a.b.c.d. */
  addAddress(bytes: Uint8Array, start: number): void {
    this.addBytes(bytes, start, start + 16)
  }

  setEmptyList(): void {
    this.isEmptyList = true
  }
}
