/** Reads numbers in network order from a part of some bytes. Beyond the end it gives zeros and says so: nothing throws. */

export class ByteReader {
  readonly bytes: Uint8Array
  readonly end: number
  at: number
  /** Something was asked for beyond the end. */
  isShort = false

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = start
    this.end = Math.min(end, bytes.length)
  }

  get leftBytes(): number {
    return this.end - this.at
  }

  u8(): number {
    return this.#number(1)
  }

  u16(): number {
    return this.#number(2)
  }

  u24(): number {
    return this.#number(3)
  }

  u32(): number {
    return this.#number(4)
  }

  skip(countBytes: number): void {
    this.#advance(countBytes)
  }

  /** The next bytes as a part of their own, at most what is there. */
  part(countBytes: number): ByteReader {
    const start = this.at
    this.#advance(countBytes)
    return new ByteReader(this.bytes, start, this.at)
  }

  rest(): Uint8Array {
    return this.bytes.subarray(this.at, this.end)
  }

  #number(countBytes: number): number {
    const start = this.at
    if (!this.#advance(countBytes)) return 0
    let value = 0
    for (let at = start; at < this.at; at++) value = value * 256 + (this.bytes[at] ?? 0)
    return value
  }

  #advance(countBytes: number): boolean {
    if (countBytes <= this.leftBytes) {
      this.at += countBytes
      return true
    }
    this.at = this.end
    this.isShort = true
    return false
  }
}
