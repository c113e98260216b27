/** Transformers over the values of an event, into buffers that are kept. */
import type { TransformerName } from '../../policy/condition/ast.js'
import { lower } from './compare.js'
import { FieldValues } from './values.js'

const BLANK = 0x20
const DASH = 0x2d
const COLON = 0x3a
const SLASH = 0x2f

/** Constants stand as values that are always there. */
export class TransformStep {
  readonly #name: TransformerName
  readonly #isOfList: boolean
  readonly #index: Uint8Array | undefined
  #scratch = new Uint8Array(64)
  #used = 0

  /** `isOfList`: the first input is a list. */
  constructor(name: TransformerName, isOfList: boolean, index: Uint8Array | undefined) {
    this.#name = name
    this.#isOfList = isOfList
    this.#index = index
  }

  /** `into` is empty and stays so when an input is missing. */
  run(inputs: readonly FieldValues[], into: FieldValues): void {
    this.#used = 0
    const [first] = inputs
    if (first === undefined) return
    switch (this.#name) {
      case 'len':
        into.addNumber(
          this.#isOfList || first.count === 0 ? first.count : (first.ends[0] as number) - (first.starts[0] as number),
        )
        return
      case 'join':
        this.#join(inputs, 1, first, into)
        return
      case 'concat':
        this.#join(inputs, 0, undefined, into)
        return
      case 'getopt':
        this.#options(first, inputs[1], into)
        return
      default:
        if (first.isEmptyList) into.setEmptyList()
        for (let at = 0; at < first.count; at++) {
          if (this.#each(first, at, into)) continue
          into.clear()
          return
        }
    }
  }

  /** False: this value has none, and so the whole. */
  #each(from: FieldValues, index: number, into: FieldValues): boolean {
    const bytes = from.bytes[index] as Uint8Array
    const start = from.starts[index] as number
    const end = from.ends[index] as number
    if (this.#name === 'basename') {
      let slash = end - 1
      while (slash >= start && bytes[slash] !== SLASH) slash--
      into.addBytes(bytes, slash + 1, end)
      return true
    }
    if (this.#name === 'b64') return this.#decode(bytes, start, end, into)
    const at = this.#reserve(end - start)
    const isUpper = this.#name === 'toupper'
    for (let offset = 0; offset < end - start; offset++) {
      const byte = bytes[start + offset] as number
      this.#scratch[at + offset] = !isUpper ? lower(byte) : byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte
    }
    into.addBytes(this.#scratch, at, at + end - start)
    return true
  }

  #decode(bytes: Uint8Array, start: number, last: number, into: FieldValues): boolean {
    let end = last
    for (let padding = 0; padding < 2 && end > start && bytes[end - 1] === 0x3d; padding++) end--
    const from = this.#reserve(end - start)
    let at = from
    let bits = 0
    let bitCount = 0
    for (let index = start; index < end; index++) {
      const digit = DIGITS[bytes[index] as number] as number
      if (digit === -1) return false
      bits = ((bits << 6) | digit) & 0xffff
      bitCount += 6
      if (bitCount < 8) continue
      bitCount -= 8
      this.#scratch[at++] = (bits >>> bitCount) & 0xff
    }
    into.addBytes(this.#scratch, from, at)
    return true
  }

  #join(inputs: readonly FieldValues[], from: number, separator: FieldValues | undefined, into: FieldValues): void {
    let length = 0
    for (let index = from; index < inputs.length; index++) {
      const values = inputs[index] as FieldValues
      if (!values.isPresent) return
      for (let at = 0; at < values.count; at++) length += (values.ends[at] as number) - (values.starts[at] as number)
      if (separator !== undefined) length += values.count * (separator.ends[0] as number)
    }
    const start = this.#reserve(length)
    let end = start
    let isFirst = true
    for (let index = from; index < inputs.length; index++) {
      const values = inputs[index] as FieldValues
      for (let at = 0; at < values.count; at++) {
        if (separator !== undefined && !isFirst) end = this.#copy(separator, 0, end)
        end = this.#copy(values, at, end)
        isFirst = false
      }
    }
    into.addBytes(this.#scratch, start, end)
  }

  #copy(values: FieldValues, at: number, to: number): number {
    const bytes = values.bytes[at] as Uint8Array
    let end = to
    for (let from = values.starts[at] as number; from < (values.ends[at] as number); from++)
      this.#scratch[end++] = bytes[from] as number
    return end
  }

  #options(text: FieldValues, letters: FieldValues | undefined, into: FieldValues): void {
    if (text.count === 0) return
    const bytes = text.bytes[0] as Uint8Array
    const end = text.ends[0] as number
    if (this.#index === undefined) into.setEmptyList()
    for (let at = blanksEnd(bytes, text.starts[0] as number, end); at < end; at = blanksEnd(bytes, at, end)) {
      let stop = wordEnd(bytes, at, end)
      if (bytes[at] !== DASH || stop === at + 1 || (stop === at + 2 && bytes[at + 1] === DASH)) return
      const letter = at + 1
      let valueStart = at + 2
      if (letters !== undefined && takesValue(letters, bytes[letter] as number)) {
        if (valueStart === stop) {
          valueStart = blanksEnd(bytes, stop, end)
          stop = wordEnd(bytes, valueStart, end)
        }
      } else valueStart = stop
      if (this.#index === undefined) into.addBytes(bytes, letter, letter + 1)
      else if (this.#index.length === 1 && this.#index[0] === bytes[letter]) {
        into.addBytes(bytes, valueStart, stop)
        return
      }
      at = stop
    }
  }

  #reserve(length: number): number {
    const at = this.#used
    // what has been added keeps the buffer that it stands in
    if (at + length > this.#scratch.length) this.#scratch = new Uint8Array(2 * (at + length))
    this.#used = at + length
    return at
  }
}

export function constantValues(bytes: Uint8Array): FieldValues {
  const values = new FieldValues()
  values.addBytes(bytes, 0, bytes.length)
  return values
}

const DIGITS = new Int8Array(256).fill(-1)
for (const [digit, char] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  DIGITS[char.charCodeAt(0)] = digit

function takesValue(letters: FieldValues, letter: number): boolean {
  const bytes = letters.bytes[0] as Uint8Array
  for (let at = 0; at + 1 < bytes.length; at++) if (bytes[at] === letter && bytes[at + 1] === COLON) return true
  return false
}

function blanksEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] === BLANK) at++
  return at
}

function wordEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] !== BLANK) at++
  return at
}
