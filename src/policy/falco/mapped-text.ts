/**
 * Text of YAML scalars with the way back to the file: folded and literal blocks, quoted and plain scalars, and several of
 * them joined (an appended condition). Blanks are folded and escapes decoded by YAML, all other characters stay in order,
 * so the map is made by walking the value and its source side by side; only when a diagnostic asks for a place.
 */
import { isScalar, type Scalar } from 'yaml'
import type { ConditionSource } from '../condition/ast.js'
import type { SourceSpan } from '../model.js'
import type { Node } from '../node-reader.js'
import type { SourceText } from '../source-text.js'

interface Piece {
  readonly value: string
  readonly scalar: Scalar.Parsed
  readonly source: SourceText
  /** Where the piece begins in the whole. */
  readonly start: number
  map?: Int32Array
}

export class MappedText implements ConditionSource {
  readonly #pieces: readonly Piece[]
  readonly #lengthCount: number
  #text: string | undefined

  private constructor(pieces: readonly Piece[], lengthCount: number) {
    this.#pieces = pieces
    this.#lengthCount = lengthCount
  }

  static of(value: string, scalar: Scalar.Parsed, source: SourceText): MappedText {
    return new MappedText([{ value, scalar, source, start: 0 }], value.length)
  }

  get text(): string {
    this.#text ??= this.#pieces.map(({ value }) => value).join(' ')
    return this.#text
  }

  /** With a blank between, as Falco appends. */
  append(other: MappedText): MappedText {
    const shift = this.#lengthCount + 1
    const moved = other.#pieces.map((piece) => ({ ...piece, start: piece.start + shift }))
    return new MappedText([...this.#pieces, ...moved], shift + other.#lengthCount)
  }

  locate(start: number, end: number): SourceSpan {
    const piece = this.#pieces.findLast((each) => each.start <= start) ?? this.#pieces[0]
    if (piece === undefined) throw new RangeError('a mapped text has at least one piece')
    piece.map ??= offsetsOf(piece.value, piece.scalar, piece.source.text)
    const last = piece.value.length
    const from = piece.map[Math.min(start - piece.start, last)] ?? 0
    const to = piece.map[Math.max(0, Math.min(end - 1 - piece.start, last))] ?? from
    return piece.source.span(from, Math.max(from, to) + 1)
  }
}

/** Source offset of each UTF-16 unit of `value`, and of its end. */
function offsetsOf(value: string, scalar: Scalar.Parsed, text: string): Int32Array {
  const map = new Int32Array(value.length + 1)
  const isBlock = scalar.type === 'BLOCK_FOLDED' || scalar.type === 'BLOCK_LITERAL'
  const [begin, end] = scalar.range
  const headerEnd = isBlock ? text.indexOf('\n', begin) + 1 : begin
  let at = Math.max(headerEnd, begin) + (scalar.type?.startsWith('QUOTE') ? 1 : 0)
  for (let index = 0; index < value.length; index++) {
    const char = value.charAt(index)
    if (scalar.type === 'QUOTE_DOUBLE' && text.charAt(at) === '\\' && !/[\r\n]/.test(text.charAt(at + 1))) {
      map[index] = at
      at += escapeLength(text.charAt(at + 1))
      continue
    }
    if (/\s/.test(char)) {
      map[index] = Math.min(at, end)
      if (/\s/.test(text.charAt(at))) at++
      continue
    }
    while (at < end && text.charAt(at) !== char) at++
    map[index] = Math.min(at, end)
    // '' in single quotes is one quote
    at += scalar.type === 'QUOTE_SINGLE' && char === "'" ? 2 : 1
  }
  map[value.length] = Math.min(at, end)
  return map
}

/** Of `\` and what belongs to it. A pair of surrogates from `\U` keeps its place within a few columns. */
function escapeLength(letter: string): number {
  return letter === 'x' ? 4 : letter === 'u' ? 6 : letter === 'U' ? 10 : 2
}

/** A scalar as it was written (`22`, `true`); undefined for anything else. */
export function writtenText(node: Node): string | undefined {
  if (!isScalar(node)) return undefined
  const { value, source } = node as Scalar.Parsed
  return typeof value === 'string' ? value : value === null ? undefined : (source ?? String(value))
}
