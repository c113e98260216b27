/**
 * Words that an event may equal: literal ones by hash, those with `*` or `?` one after the other. Which of them a byte range
 * is, as numbers. `*` stands for any run of bytes, also `/`.
 */
import type { GlobToken } from '../policy/path-pattern.js'
import { GlobTable } from './glob-table.js'
import { fnv1a } from './hash.js'

export class WordTable {
  /** Of the last search: the first `foundCount`. */
  readonly found: Int32Array
  foundCount = 0
  readonly #globs: GlobTable
  readonly #numbers: Int32Array
  /** Hash of a literal word -> its places in the table. */
  readonly #literals = new Map<number, number[]>()
  readonly #patterns: number[] = []

  constructor(words: ReadonlyMap<string, number>) {
    const tokens = [...words.keys()].map(tokensOf)
    this.#globs = new GlobTable(tokens)
    this.#numbers = Int32Array.from(words.values())
    this.found = new Int32Array(words.size)
    for (const [place, own] of tokens.entries()) {
      const bytes = own.flatMap((token) => (token.kind === 'byte' ? [token.byte] : []))
      if (bytes.length < own.length) this.#patterns.push(place)
      else {
        const hash = fnv1a(Uint8Array.from(bytes), 0, bytes.length)
        this.#literals.set(hash, [...(this.#literals.get(hash) ?? []), place])
      }
    }
  }

  /** An empty range is no word. */
  find(bytes: Uint8Array, start: number, end: number): void {
    this.foundCount = 0
    if (start >= end || this.found.length === 0) return
    const same = this.#literals.get(fnv1a(bytes, start, end))
    if (same !== undefined) this.#keep(same, bytes, start, end)
    this.#keep(this.#patterns, bytes, start, end)
  }

  #keep(places: readonly number[], bytes: Uint8Array, start: number, end: number): void {
    for (let index = 0; index < places.length; index++) {
      const place = places[index] as number
      if (this.#globs.matches(place, bytes, start, end)) this.found[this.foundCount++] = this.#numbers[place] as number
    }
  }
}

function tokensOf(word: string): GlobToken[] {
  return [...new TextEncoder().encode(word)].map((byte) => {
    if (byte === 0x2a) return { kind: 'star' }
    return byte === 0x3f ? { kind: 'any' } : { kind: 'byte', byte }
  })
}
