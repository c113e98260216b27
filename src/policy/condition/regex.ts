/**
 * POSIX extended regular expressions as RE2 reads them in POSIX mode: text -> tree over code points, or what is wrong. One
 * pass; the depth, the repetitions and the size after repetition are bounded. No back-references, no `(?`; `^` and `$` stand
 * at lines, `.` is anything but a line's end.
 */

/** RE2's own bound of a counted repetition. */
const REPEAT_MAX_COUNT = 1000
/** Parts after repetitions are written out: what one event may cost by the byte, at worst. */
const PARTS_MAX_COUNT = 10_000
const CODE_POINT_MAX = 0x10ffff
const NEWLINE = 0x0a

export type RegexNode =
  /** Pairs of first and last code point, ascending, apart. */
  | { readonly kind: 'set'; readonly ranges: readonly number[] }
  | { readonly kind: 'line_start' | 'line_end' }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly RegexNode[] }
  /** `most` undefined: without end. */
  | { readonly kind: 'repeat'; readonly part: RegexNode; readonly least: number; readonly most: number | undefined }

export type RegexParse = { ok: true; node: RegexNode } | { ok: false; message: string }

/** Undefined: well-formed; else what is wrong. */
export function regexFault(pattern: string): string | undefined {
  const parsed = parseRegex(pattern)
  return parsed.ok ? undefined : parsed.message
}

export function parseRegex(pattern: string): RegexParse {
  const parser = new Parser(pattern)
  const node = parser.choice()
  if (node === undefined) return { ok: false, message: parser.fault }
  if (!parser.isAtEnd) return { ok: false, message: 'there is no `(` for a `)`' }
  if (sizeOf(node) > PARTS_MAX_COUNT)
    return { ok: false, message: `the expression has more than ${PARTS_MAX_COUNT} parts after repetition` }
  return { ok: true, node }
}

function sizeOf(node: RegexNode): number {
  if (node.kind === 'repeat') return sizeOf(node.part) * Math.max(1, node.most ?? node.least + 1) + 1
  if (node.kind !== 'sequence' && node.kind !== 'choice') return 1
  return node.parts.reduce((sum, part) => sum + sizeOf(part), 1)
}

class Parser {
  fault = ''
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length
  }

  choice(): RegexNode | undefined {
    const parts: RegexNode[] = []
    do {
      const part = this.#sequence()
      if (part === undefined) return undefined
      parts.push(part)
    } while (this.#take('|'))
    return parts.length === 1 ? parts[0] : { kind: 'choice', parts }
  }

  #sequence(): RegexNode | undefined {
    const parts: RegexNode[] = []
    while (!this.isAtEnd && this.#peek() !== '|' && this.#peek() !== ')') {
      const char = this.#peek()
      if (char === '*' || char === '+' || char === '?' || (char === '{' && this.#counts() !== undefined))
        return this.#fail(`\`${char}\` has nothing to repeat`)
      const part = this.#part()
      if (part === undefined) return undefined
      const repeated = part.kind === 'line_start' ? part : this.#repetition(part)
      if (repeated === undefined) return undefined
      parts.push(repeated)
    }
    return parts.length === 1 ? parts[0] : { kind: 'sequence', parts }
  }

  #repetition(part: RegexNode): RegexNode | undefined {
    if (this.#take('*')) return { kind: 'repeat', part, least: 0, most: undefined }
    if (this.#take('+')) return { kind: 'repeat', part, least: 1, most: undefined }
    if (this.#take('?')) return { kind: 'repeat', part, least: 0, most: 1 }
    const counts = this.#peek() === '{' ? this.#counts() : undefined
    if (counts === undefined) return part
    const { least, most, length } = counts
    if ((most ?? least) > REPEAT_MAX_COUNT || (most ?? least) < least)
      return this.#fail(`a repetition is not within 0 to ${REPEAT_MAX_COUNT}`)
    this.#at += length
    return { kind: 'repeat', part, least, most }
  }

  #counts(): { least: number; most: number | undefined; length: number } | undefined {
    const found = /^\{(\d+)(,(\d*))?\}/.exec(this.#text.slice(this.#at, this.#at + 24))
    if (found === null) return undefined
    const least = Number(found[1])
    const most = found[2] === undefined ? least : found[3] === '' ? undefined : Number(found[3])
    return { least, most, length: found[0].length }
  }

  #part(): RegexNode | undefined {
    const char = this.#peek()
    if (char === '(') return this.#group()
    if (char === '[') return this.#set()
    if (char === '\\') {
      const point = this.#escape()
      return point === undefined ? undefined : single(point)
    }
    const point = this.#next()
    if (char === '.') return { kind: 'set', ranges: complement([NEWLINE, NEWLINE]) }
    if (char === '^') return { kind: 'line_start' }
    return char === '$' ? { kind: 'line_end' } : single(point)
  }

  #group(): RegexNode | undefined {
    this.#at++
    if (this.#peek() === '?') return this.#fail('`(?` is not part of POSIX regular expressions')
    const inner = this.choice()
    if (inner === undefined) return undefined
    return this.#take(')') ? inner : this.#fail('a `(` is never closed')
  }

  #set(): RegexNode | undefined {
    this.#at++
    const isNegated = this.#take('^')
    const pairs: number[] = []
    for (let isFirst = true; isFirst || this.#peek() !== ']'; isFirst = false) {
      if (this.isAtEnd) return this.#fail('a `[` is never closed')
      const named = this.#text.startsWith('[:', this.#at) ? this.#named() : []
      if (named === undefined) return undefined
      if (named.length > 0) {
        pairs.push(...named)
        continue
      }
      const low = this.#member()
      if (low === undefined) return undefined
      let high: number | undefined = low
      if (this.#peek() === '-' && this.#text.charAt(this.#at + 1) !== ']' && this.#at + 1 < this.#text.length) {
        this.#at++
        high = this.#member()
      }
      if (high === undefined) return undefined
      if (high < low) return this.#fail('a range of a `[…]` runs backwards')
      pairs.push(low, high)
    }
    this.#at++
    const ranges = merged(pairs)
    return { kind: 'set', ranges: isNegated ? complement(ranges) : ranges }
  }

  #member(): number | undefined {
    return this.#peek() === '\\' ? this.#escape() : this.#next()
  }

  /** Ranges of a `[:name:]`; undefined after a fault. */
  #named(): readonly number[] | undefined {
    const end = this.#text.indexOf(':]', this.#at + 2)
    if (end === -1) return this.#fail('a `[` is never closed')
    const name = this.#text.slice(this.#at + 2, end)
    const isNegated = name.startsWith('^')
    const ranges = NAMED_SETS[isNegated ? name.slice(1) : name]
    if (ranges === undefined) return this.#fail('a `[:…:]` names no class of POSIX')
    this.#at = end + 2
    return isNegated ? complement(ranges) : ranges
  }

  #escape(): number | undefined {
    this.#at++
    if (this.isAtEnd) return this.#fail('the expression ends in a lone backslash')
    const rest = this.#text.slice(this.#at, this.#at + 12)
    const hex = /^x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/.exec(rest)
    const octal = /^0[0-7]{0,2}/.exec(rest)
    const point =
      hex !== null ? Number.parseInt(hex[1] ?? hex[2] ?? '', 16) : octal !== null ? Number.parseInt(octal[0], 8) : -1
    if (point !== -1 && point <= CODE_POINT_MAX) {
      this.#at += hex?.[0].length ?? octal?.[0].length ?? 0
      return point
    }
    const char = this.#peek()
    const control = CONTROLS[char]
    if (control === undefined && /[a-zA-Z1-9]/.test(char))
      return this.#fail(`\`\\${char}\` is not part of POSIX regular expressions`)
    const next = this.#next()
    return control ?? next
  }

  #peek(): string {
    return this.#text.charAt(this.#at)
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false
    this.#at++
    return true
  }

  #next(): number {
    const point = this.#text.codePointAt(this.#at) ?? 0
    this.#at += point > 0xffff ? 2 : 1
    return point
  }

  #fail(message: string): undefined {
    this.fault = message
    return undefined
  }
}

const CONTROLS: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 }

/** Of ASCII, as in RE2. */
const NAMED_SETS: Readonly<Record<string, readonly number[]>> = {
  alnum: [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a],
  alpha: [0x41, 0x5a, 0x61, 0x7a],
  ascii: [0, 0x7f],
  blank: [0x09, 0x09, 0x20, 0x20],
  cntrl: [0, 0x1f, 0x7f, 0x7f],
  digit: [0x30, 0x39],
  graph: [0x21, 0x7e],
  lower: [0x61, 0x7a],
  print: [0x20, 0x7e],
  punct: [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e],
  space: [0x09, 0x0d, 0x20, 0x20],
  upper: [0x41, 0x5a],
  word: [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a],
  xdigit: [0x30, 0x39, 0x41, 0x46, 0x61, 0x66],
}

function single(point: number): RegexNode {
  return { kind: 'set', ranges: [point, point] }
}

function merged(pairs: readonly number[]): number[] {
  const ranges: [number, number][] = []
  for (let at = 0; at < pairs.length; at += 2) ranges.push([pairs[at] ?? 0, pairs[at + 1] ?? 0])
  ranges.sort(([a], [b]) => a - b)
  const result: number[] = []
  for (const [low, high] of ranges) {
    const last = result.at(-1)
    if (last !== undefined && low <= last + 1) result[result.length - 1] = Math.max(last, high)
    else result.push(low, high)
  }
  return result
}

/** Of merged ranges. */
function complement(ranges: readonly number[]): number[] {
  const result: number[] = []
  let from = 0
  for (let at = 0; at < ranges.length; at += 2) {
    if ((ranges[at] ?? 0) > from) result.push(from, (ranges[at] ?? 0) - 1)
    from = (ranges[at + 1] ?? 0) + 1
  }
  if (from <= CODE_POINT_MAX) result.push(from, CODE_POINT_MAX)
  return result
}
