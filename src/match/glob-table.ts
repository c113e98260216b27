/**
 * The partial globs of path components (`lib*.so`, `[ab]x?`), compiled to flat arrays and matched over bytes. Every token
 * but `*` takes exactly one byte, so going back to the last `*` is enough and the cost is bounded by pattern × component.
 */
import type { GlobToken } from '../policy/path-pattern.js'

/** Below: the byte itself. From CLASS on: CLASS + index of a class. */
const ANY = 256
const STAR = 257
const CLASS = 258

const encoder = new TextEncoder()
const LETTERS = {
  star: encoder.encode('*'),
  any: encoder.encode('?'),
  escape: encoder.encode('\\'),
  special: encoder.encode('*?[\\'),
}

export class GlobTable {
  readonly #from: Uint32Array
  readonly #ops: Uint16Array
  /** 256 entries a class. */
  readonly #classes: Uint8Array

  constructor(globs: readonly (readonly GlobToken[])[]) {
    const ops: number[] = []
    const classes: Uint8Array[] = []
    const from = [0]
    for (const tokens of globs) {
      for (const token of tokens) {
        if (token.kind === 'byte') ops.push(token.byte)
        else if (token.kind === 'any') ops.push(ANY)
        else if (token.kind === 'star') ops.push(STAR)
        else ops.push(CLASS + classes.push(token.members) - 1)
      }
      from.push(ops.length)
    }
    this.#from = Uint32Array.from(from)
    this.#ops = Uint16Array.from(ops)
    this.#classes = new Uint8Array(classes.length * 256)
    for (const [at, members] of classes.entries()) this.#classes.set(members, at * 256)
    if (classes.length > 0xffff - CLASS) throw new RangeError('more classes in path globs than a program holds')
  }

  /** The glob as a policy would write it. */
  textOf(glob: number): string {
    const bytes: number[] = []
    for (let at = this.#from[glob] ?? 0; at < (this.#from[glob + 1] ?? 0); at++) {
      const op = this.#ops[at] ?? 0
      if (op === STAR) bytes.push(...LETTERS.star)
      else if (op === ANY) bytes.push(...LETTERS.any)
      else if (op >= CLASS) bytes.push(...encoder.encode(this.#classText(op - CLASS)))
      else if (LETTERS.special.includes(op)) bytes.push(...LETTERS.escape, op)
      else bytes.push(op)
    }
    return new TextDecoder().decode(Uint8Array.from(bytes))
  }

  /** By its members in ASCII, or by those that are not in it where that is shorter. */
  #classText(index: number): string {
    const members = this.#classes.subarray(index * 256, index * 256 + 128)
    const isNegated = this.#classes[index * 256 + 255] === 1
    const runs: string[] = []
    for (let at = 0; at < members.length; at++) {
      const from = at
      while (at < members.length && (members[at] === 1) !== isNegated) at++
      if (at - from > 2) runs.push(`${String.fromCharCode(from)}-${String.fromCharCode(at - 1)}`)
      else runs.push(String.fromCharCode(...Array.from({ length: at - from }, (_, next) => from + next)))
    }
    return `[${isNegated ? '!' : ''}${runs.join('')}]`
  }

  matches(glob: number, bytes: Uint8Array, start: number, end: number): boolean {
    const ops = this.#ops
    const last = this.#from[glob + 1] as number
    let op = this.#from[glob] as number
    let star = -1
    let resume = start
    for (let at = start; at < end; ) {
      const wanted = op < last ? (ops[op] as number) : -1
      if (wanted === STAR) {
        star = op++
        resume = at
      } else if (wanted !== -1 && this.#takes(wanted, bytes[at] as number)) {
        op++
        at++
      } else if (star !== -1) {
        op = star + 1
        at = ++resume
      } else return false
    }
    while (op < last && ops[op] === STAR) op++
    return op === last
  }

  #takes(wanted: number, byte: number): boolean {
    if (wanted < ANY) return wanted === byte
    return wanted === ANY || this.#classes[(wanted - CLASS) * 256 + byte] === 1
  }
}
