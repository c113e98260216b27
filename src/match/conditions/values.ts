/**
 * Where a reader puts the values of one field, and texts that outlive an event. All arrays are kept and grown, never made
 * anew for an event.
 */

/** 2^32: a number is kept as two halves, so that all 64 bits compare exactly. */
const HALF = 4_294_967_296
/** Operands whose answer a text remembers beside the first: a name is read as its own, as the parent's and as each ancestor's. */
const REMEMBERED_MAX_COUNT = 16

const NOTHING = new Uint8Array(0)
export const NO_HITS: Int32Array = new Int32Array(0)

/**
 * A text that is read for many events, such as the command line of a process: programs remember with it what they found, so
 * that it is walked once and not once an event. Make one per process and field (or one per distinct text), not one per event.
 */
export class InternedText {
  readonly bytes: Uint8Array
  /** Stands for the program that remembered, and does not keep it; another program starts over. */
  #owner: object | undefined
  /** Most texts are read as one operand, whose answer stands here; those of others stand in the lists. */
  #operand = -1
  #found: Int32Array = NO_HITS
  readonly #operands: number[] = []
  readonly #hits: Int32Array[] = []
  #next = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** For programs alone. */
  recall(owner: object, operand: number): Int32Array | undefined {
    if (this.#owner !== owner) return undefined
    if (this.#operand === operand) return this.#found
    const operands = this.#operands
    for (let at = 0; at < operands.length; at++) if (operands[at] === operand) return this.#hits[at]
    return undefined
  }

  /** For programs alone. */
  remember(owner: object, operand: number, hits: Int32Array): void {
    if (this.#owner !== owner) {
      this.#owner = owner
      this.#operand = operand
      this.#found = hits
      this.#operands.length = 0
      this.#hits.length = 0
      this.#next = 0
      return
    }
    if (this.#next === REMEMBERED_MAX_COUNT) this.#next = 0
    this.#operands[this.#next] = operand
    this.#hits[this.#next++] = hits
  }
}

/** Values that there is room for before an event has ever had more. */
const ROOM_COUNT = 4

export class FieldValues {
  count = 0
  /** The field is there, though as a list without values. */
  isEmptyList = false
  /** Value i of a text field: bytes[i] from starts[i] to ends[i]; texts[i] when it was an interned one. */
  readonly bytes: Uint8Array[] = []
  readonly texts: (InternedText | undefined)[] = []
  starts = new Int32Array(0)
  ends = new Int32Array(0)
  /** Value i of a number: high[i] * 2^32 + low[i], 0 ≤ low[i] < 2^32. */
  high = new Float64Array(0)
  low = new Float64Array(0)

  constructor() {
    this.#grow()
  }

  get isPresent(): boolean {
    return this.count > 0 || this.isEmptyList
  }

  clear(): void {
    this.count = 0
    this.isEmptyList = false
  }

  addBytes(bytes: Uint8Array, start: number, end: number): void {
    const at = this.#next()
    this.bytes[at] = bytes
    this.texts[at] = undefined
    this.starts[at] = start
    this.ends[at] = end
  }

  addText(text: InternedText): void {
    const at = this.#next()
    this.bytes[at] = text.bytes
    this.texts[at] = text
    this.starts[at] = 0
    this.ends[at] = text.bytes.length
  }

  /** A whole number within ±2^53; beyond, addWide is exact and this is not. */
  addNumber(value: number): void {
    const at = this.#next()
    const high = Math.floor(value / HALF)
    this.high[at] = high
    this.low[at] = value - high * HALF
  }

  /** A 64-bit number from its halves: `high` as signed or unsigned as the field is, `low` from 0 to 2^32 - 1. */
  addWide(high: number, low: number): void {
    const at = this.#next()
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

  /** The place of one more value. */
  #next(): number {
    if (this.count === this.starts.length) this.#grow()
    return this.count++
  }

  /** A store within an array is cheap; one that makes an array longer makes all stores at that place slow. */
  #grow(): void {
    const length = Math.max(ROOM_COUNT, this.starts.length * 2)
    const { starts, ends, high, low } = this
    this.starts = new Int32Array(length)
    this.starts.set(starts)
    this.ends = new Int32Array(length)
    this.ends.set(ends)
    this.high = new Float64Array(length)
    this.high.set(high)
    this.low = new Float64Array(length)
    this.low.set(low)
    while (this.bytes.length < length) {
      this.bytes.push(NOTHING)
      this.texts.push(undefined)
    }
  }
}
