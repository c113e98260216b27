/** The expressions of a field in groups that are run together, behind the texts that their matches must contain. */
import { parseRegex, type RegexNode } from '../../policy/condition/regex.js'
import type { Atom } from './atoms.js'
import { REGEX_SET_MAX_COUNT, RegexSet } from './regex-set.js'

/** Expressions whose texts must contain something are run when it is there: fewer together, so that few run for one find. */
const FILTERED_SET_MAX_COUNT = 8

/** Expressions that are run together; filtered ones only when one of their literals was found in the value. */
export class RegexGroup {
  readonly atoms: Int32Array
  /** Texts, one of which any match contains; empty: it always runs. */
  readonly literals: readonly string[]
  readonly isFiltered: boolean
  isWanted: boolean
  readonly #nodes: readonly RegexNode[]
  /** Made for the first value that needs it: most never are. */
  #set: RegexSet | undefined

  constructor(members: readonly { atom: number; node: RegexNode; literal: string }[]) {
    this.atoms = Int32Array.from(members, ({ atom }) => atom)
    this.#nodes = members.map(({ node }) => node)
    this.isFiltered = members.every(({ literal }) => literal !== '')
    this.literals = this.isFiltered ? [...new Set(members.map(({ literal }) => literal))] : []
    this.isWanted = !this.isFiltered
  }

  get programBytes(): number {
    return (this.#set?.programBytes ?? 0) + this.atoms.byteLength
  }

  walk(bytes: Uint8Array, start: number, end: number): number {
    this.#set ??= new RegexSet(this.#nodes)
    return this.#set.walk(bytes, start, end)
  }
}

export function regexGroups(atoms: readonly Atom[]): RegexGroup[] {
  const members = atoms.map(({ id, value }) => {
    const parsed = parseRegex(Buffer.from(value, 'latin1').toString())
    if (!parsed.ok) throw new Error(`an expression that was not checked: ${parsed.message}`)
    return { atom: id, node: parsed.node, literal: regexLiteral(parsed.node) }
  })
  members.sort((a, b) => (a.literal < b.literal ? -1 : a.literal > b.literal ? 1 : a.atom - b.atom))
  const groups: RegexGroup[] = []
  for (let at = 0; at < members.length; ) {
    const most = members[at]?.literal === '' ? REGEX_SET_MAX_COUNT : FILTERED_SET_MAX_COUNT
    const group = members
      .slice(at, at + most)
      .filter(({ literal }) => (literal === '') === (members[at]?.literal === ''))
    groups.push(new RegexGroup(group))
    at += group.length
  }
  return groups
}

/** The longest text that every match contains, as bytes; '' when it is not plain to see. */
export function regexLiteral(node: RegexNode): string {
  const parts = node.kind === 'sequence' ? node.parts : [node]
  let longest = ''
  let run = ''
  for (const part of parts) {
    const point =
      part.kind === 'set' && part.ranges.length === 2 && part.ranges[0] === part.ranges[1] ? part.ranges[0] : undefined
    // what is no UTF-8 counts as U+FFFD: it is not found by its bytes
    if (point === undefined || point === 0xfffd || (point >= 0xd800 && point <= 0xdfff)) {
      const inner = part.kind === 'sequence' ? regexLiteral(part) : ''
      if (inner.length > longest.length) longest = inner
      run = ''
      continue
    }
    run += Buffer.from(String.fromCodePoint(point)).toString('latin1')
    if (run.length > longest.length) longest = run
  }
  return longest
}
