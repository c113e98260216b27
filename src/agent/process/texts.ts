/**
 * Texts that outlive an event, one for each distinct value: the programs of a host are few, their processes many, and what a
 * program of conditions found out about a text is kept with the text.
 */
import { InternedText } from '../../match/conditions/values.js'

/** 8,192 texts of up to 256 bytes: 4 MiB at most with what is remembered of them. When it is full it starts over. */
const TEXTS_MAX_COUNT = 8_192
const SHARED_MAX_BYTES = 256

export class TextPool {
  readonly #texts = new Map<string, InternedText>()

  /** Copies the bytes, unless the text is there already. */
  of(bytes: Uint8Array, start = 0, end = bytes.length): InternedText {
    if (end - start > SHARED_MAX_BYTES) return new InternedText(bytes.slice(start, end))
    const key = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
    const known = this.#texts.get(key)
    if (known !== undefined) return known
    if (this.#texts.size === TEXTS_MAX_COUNT) this.#texts.clear()
    const text = new InternedText(bytes.slice(start, end))
    this.#texts.set(key, text)
    return text
  }

  ofString(text: string): InternedText {
    return this.of(Buffer.from(text, 'utf8'))
  }
}

/** Of the whole agent: texts hold nothing but bytes and what the program in force found in them. */
export const TEXTS = new TextPool()
