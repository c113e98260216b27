/**
 * The text of one policy file and the way from an offset in it to line and column. Lines end at LF (a CR before it is
 * not shown); columns count code points, so that an editor finds the place.
 */
import type { SourceSpan } from './model.js'

export class SourceText {
  readonly #lineStarts: number[] = [0]
  /** Without surrogates an offset difference is a count of code points. */
  readonly #hasSurrogates: boolean

  constructor(
    readonly file: string,
    readonly text: string,
  ) {
    this.#hasSurrogates = /[\ud800-\udfff]/.test(text)
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1)
  }

  /** From UTF-16 offset `start` to `end`, cut at the end of the first line; always at least one column long. */
  span(start: number, end: number): SourceSpan {
    const from = Math.max(0, Math.min(start, this.text.length))
    const line = this.#lineOf(from)
    const lineStart = this.#lineStarts[line - 1] ?? 0
    const to = Math.max(from, Math.min(end, lineStart + this.line(line).length))
    return {
      file: this.file,
      line,
      column: this.#codePoints(lineStart, from) + 1,
      lengthCount: Math.max(1, this.#codePoints(from, to)),
    }
  }

  /** Without its line break; `line` is 1-based. */
  line(line: number): string {
    const start = this.#lineStarts[line - 1]
    if (start === undefined) return ''
    const next = this.#lineStarts[line]
    const text = this.text.slice(start, next === undefined ? undefined : next - 1)
    return text.endsWith('\r') ? text.slice(0, -1) : text
  }

  #lineOf(offset: number): number {
    let low = 0
    let high = this.#lineStarts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low + 1
  }

  #codePoints(start: number, end: number): number {
    if (!this.#hasSurrogates) return end - start
    let count = 0
    for (let at = start; at < end; at++) {
      const unit = this.text.charCodeAt(at)
      if (unit < 0xdc00 || unit > 0xdfff) count++
    }
    return count
  }
}
