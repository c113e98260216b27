/**
 * The lexemes of the condition language, taken from a position on demand: the language has no token stream of its own (`=`
 * ends a bare word, a bare word may hold `[`, a keyword is an ordinary value on the right). Every take looks at its own
 * characters only, so reading a condition is linear in its length.
 */
import type { ConditionSource, Span } from './ast.js'

const BLANK = /[ \t\b\r\n]*/y
const FIELD_NAME = /[a-zA-Z]+[a-zA-Z0-9_]*(?:\.[a-zA-Z]+[a-zA-Z0-9_]*)+/y
const IDENTIFIER = /[a-zA-Z]+[a-zA-Z0-9_]*/y
const BARE_WORD = /[^()"' \t\n\v\f\r\b=,]+/y
const BARE_ARGUMENT = /[^ \b\t\n\r[\]"']+/y
const NUMBER = /0[xX][0-9a-fA-F]+|[+-]?[0-9]+\.?[0-9]*(?:[eE][+-][0-9]+)?/y

export class Scanner {
  at = 0
  readonly #text: string

  constructor(
    readonly source: ConditionSource,
    at = 0,
  ) {
    this.#text = source.text
    this.at = at
  }

  get isAtEnd(): boolean {
    return this.at >= this.#text.length
  }

  span(start: number, end = this.at): Span {
    return { source: this.source, start, end }
  }

  /** True when there was any. */
  skipBlank(): boolean {
    return (this.#take(BLANK) ?? '') !== ''
  }

  isBlankAt(at: number): boolean {
    BLANK.lastIndex = at
    return (BLANK.exec(this.#text)?.[0].length ?? 0) > 0
  }

  peek(text: string): boolean {
    return this.#text.startsWith(text, this.at)
  }

  symbol(text: string): boolean {
    if (!this.peek(text)) return false
    this.at += text.length
    return true
  }

  /** A keyword with a blank or `(` behind it, which are left; `and(x)` is one, `android` and a last `and` are none. */
  keyword(word: string): boolean {
    if (!this.peek(word)) return false
    const end = this.at + word.length
    if (this.#text.charAt(end) !== '(' && !this.isBlankAt(end)) return false
    this.at = end
    return true
  }

  fieldName(): string | undefined {
    return this.#take(FIELD_NAME)
  }

  identifier(): string | undefined {
    return this.#take(IDENTIFIER)
  }

  bareWord(): string | undefined {
    return this.#take(BARE_WORD)
  }

  bareArgument(): string | undefined {
    return this.#take(BARE_ARGUMENT)
  }

  number(): string | undefined {
    return this.#take(NUMBER)
  }

  /** The body of a quoted value and its quote; `closed: false` when the end is missing. Undefined: no quote here. */
  quoted(): { body: string; quote: string; closed: boolean } | undefined {
    const quote = this.#text.charAt(this.at)
    if (quote !== '"' && quote !== "'") return undefined
    const from = this.at + 1
    let end = this.#text.indexOf(quote, from)
    while (end !== -1 && this.#text.charAt(end - 1) === '\\') end = this.#text.indexOf(quote, end + 1)
    if (end === -1) return { body: '', quote, closed: false }
    this.at = end + 1
    return { body: this.#text.slice(from, end), quote, closed: true }
  }

  /** What stands here, for a message: a word, or one character. */
  found(): { text: string; end: number } {
    BARE_WORD.lastIndex = this.at
    const word = BARE_WORD.exec(this.#text)?.[0] ?? String.fromCodePoint(this.#text.codePointAt(this.at) ?? 0x20)
    return { text: word, end: this.at + word.length }
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.#text)?.[0]
    if (found === undefined) return undefined
    this.at += found.length
    return found
  }
}
