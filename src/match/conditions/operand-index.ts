/** Everything that one field is compared with: a walk over one of its values yields all comparisons that hold, each once. */
import { IpTrie } from '../ip-trie.js'
import { STEP_COUNT, type Steps } from '../steps.js'
import { AhoCorasick } from './aho-corasick.js'
import {
  type Atom,
  isOrder,
  readNetworkValue,
  TEST_CONTAINS,
  TEST_EQUALS,
  TEST_GLOB,
  TEST_ICONTAINS,
  TEST_IGLOB,
  TEST_PATH,
  TEST_PREFIX,
  TEST_REGEX,
  TEST_SUFFIX,
} from './atoms.js'
import { globLiteral, globMatches } from './glob.js'
import { NumberOrder, TextOrder } from './order-index.js'
import { PathComponents } from './path-components.js'
import { RadixTrie } from './radix-trie.js'
import { type RegexGroup, regexGroups } from './regex-groups.js'
import type { FieldValues } from './values.js'

export abstract class OperandIndex {
  /** Atoms that hold for the values walked since `reset`, as often as values hold them. */
  readonly hits: Int32Array
  hitCount = 0
  abstract readonly programBytes: number
  abstract readonly isText: boolean

  constructor(hitsMaxCount: number) {
    this.hits = new Int32Array(hitsMaxCount)
  }

  /** Walks value `at`; its hits replace the last. */
  abstract walk(values: FieldValues, at: number): void
  /** Place of value `at` among the values of the orders. */
  abstract place(values: FieldValues, at: number): number
  /** First and last place where the order holds. */
  abstract range(atom: number): readonly [number, number]
  /** The atom of `=` with that value, or -1. Not beside a walk. */
  abstract equalAtom(values: FieldValues, at: number): number
}

export function* indexOf(
  atoms: readonly Atom[],
  kind: 'text' | 'number' | 'address',
  gates: ReadonlySet<number>,
): Steps<OperandIndex> {
  yield
  if (kind === 'number') return new NumberIndex(atoms, gates)
  return kind === 'address' ? new AddressIndex(atoms) : new TextIndex(atoms.length, yield* textParts(atoms, gates))
}

class NumberIndex extends OperandIndex {
  readonly isText = false
  readonly #order: NumberOrder

  constructor(atoms: readonly Atom[], gates: ReadonlySet<number>) {
    super(atoms.length)
    this.#order = new NumberOrder(atoms, gates)
  }

  get programBytes(): number {
    return this.#order.programBytes + this.hits.byteLength
  }

  walk(values: FieldValues, at: number): void {
    const place = this.place(values, at)
    this.hitCount = 0
    if ((place & 1) === 1) {
      const equal = this.#order.equal[place >> 1] as number
      if (equal !== -1) this.hits[this.hitCount++] = equal
    }
    this.#order.findGates(place)
    for (let index = 0; index < this.#order.foundCount; index++)
      this.hits[this.hitCount++] = this.#order.found[index] as number
  }

  place(values: FieldValues, at: number): number {
    return this.#order.place(values.high[at] as number, values.low[at] as number)
  }

  range(atom: number): readonly [number, number] {
    return this.#order.ranges.get(atom) ?? [1, 0]
  }

  equalAtom(values: FieldValues, at: number): number {
    const place = this.place(values, at)
    return (place & 1) === 1 ? (this.#order.equal[place >> 1] as number) : -1
  }
}

class AddressIndex extends OperandIndex {
  readonly isText = false
  readonly #trie: IpTrie
  readonly #atoms: Int32Array
  readonly programBytes: number

  constructor(atoms: readonly Atom[]) {
    super(atoms.length)
    this.#trie = new IpTrie(atoms.map(({ value }) => readNetworkValue(value)))
    this.#atoms = Int32Array.from(atoms, ({ id }) => id)
    // nodes of the trie: at most two for a network
    this.programBytes = atoms.length * (2 * 33 + 8)
  }

  walk(values: FieldValues, at: number): void {
    this.#trie.walk(values.bytes[at] as Uint8Array, values.starts[at] as number)
    this.hitCount = this.#trie.foundCount
    for (let index = 0; index < this.hitCount; index++)
      this.hits[index] = this.#atoms[this.#trie.found[index] as number] as number
  }

  place(): number {
    return 0
  }

  range(): readonly [number, number] {
    return [1, 0]
  }

  equalAtom(): number {
    return -1
  }
}

interface Filtered {
  readonly atom: number
  readonly pattern: Uint8Array
}

/** The parts of an index of text; undefined: nothing is compared so. */
interface TextParts {
  /** `=` and `startswith`. */
  readonly front: RadixTrie | undefined
  readonly equal: Int32Array
  readonly prefix: Int32Array
  readonly back: RadixTrie | undefined
  readonly suffix: Int32Array
  readonly contains: Substrings | undefined
  readonly icontains: Substrings | undefined
  readonly components: PathComponents | undefined
  readonly paths: Int32Array
  readonly regexes: RegexGroup[]
  readonly order: TextOrder | undefined
}

function* textParts(atoms: readonly Atom[], gates: ReadonlySet<number>): Steps<TextParts> {
  const byTest = new Map<number, Atom[]>()
  const fronts = new Map<string, { equal: number; prefix: number }>()
  for (const [index, atom] of atoms.entries()) {
    if (index % STEP_COUNT === 0) yield
    const { id, test, value } = atom
    addTo(byTest, test, atom)
    if (test !== TEST_EQUALS && test !== TEST_PREFIX) continue
    const front = fronts.get(value) ?? { equal: -1, prefix: -1 }
    fronts.set(value, front)
    front[test === TEST_EQUALS ? 'equal' : 'prefix'] = id
  }
  const of = (test: number): readonly Atom[] => byTest.get(test) ?? []
  const values = (some: readonly Atom[]) => some.map(({ value }) => value)
  const front = fronts.size === 0 ? undefined : yield* RadixTrie.of([...fronts.keys()], false)
  const backs = of(TEST_SUFFIX)
  const back = backs.length === 0 ? undefined : yield* RadixTrie.of(values(backs), true)
  yield
  const regexes = regexGroups(of(TEST_REGEX))
  yield
  const contains = yield* substringsOf(of(TEST_CONTAINS), of(TEST_GLOB), regexes, false)
  const icontains = yield* substringsOf(of(TEST_ICONTAINS), of(TEST_IGLOB), [], true)
  const paths = of(TEST_PATH)
  const orders = atoms.filter(({ test }) => isOrder(test))
  return {
    front,
    equal: Int32Array.from([...fronts.values()], ({ equal }) => equal),
    prefix: Int32Array.from([...fronts.values()], ({ prefix }) => prefix),
    back,
    suffix: Int32Array.from(backs, ({ id }) => id),
    contains,
    icontains,
    components: paths.length === 0 ? undefined : new PathComponents(values(paths)),
    paths: Int32Array.from(paths, ({ id }) => id),
    regexes,
    order: orders.length === 0 ? undefined : new TextOrder(orders, gates),
  }
}

class TextIndex extends OperandIndex {
  readonly isText = true
  readonly #front: RadixTrie | undefined
  readonly #equal: Int32Array
  readonly #prefix: Int32Array
  readonly #back: RadixTrie | undefined
  readonly #suffix: Int32Array
  readonly #contains: Substrings | undefined
  readonly #icontains: Substrings | undefined
  readonly #components: PathComponents | undefined
  readonly #paths: Int32Array
  readonly #regexes: RegexGroup[]
  readonly #order: TextOrder | undefined

  constructor(atomCount: number, parts: TextParts) {
    super(atomCount)
    this.#front = parts.front
    this.#equal = parts.equal
    this.#prefix = parts.prefix
    this.#back = parts.back
    this.#suffix = parts.suffix
    this.#contains = parts.contains
    this.#icontains = parts.icontains
    this.#components = parts.components
    this.#paths = parts.paths
    this.#regexes = parts.regexes
    this.#order = parts.order
  }

  get programBytes(): number {
    const parts = [
      this.#front,
      this.#back,
      this.#contains,
      this.#icontains,
      this.#components,
      this.#order,
      ...this.#regexes,
    ]
    return (
      parts.reduce((sum, part) => sum + (part?.programBytes ?? 0), 0) +
      this.hits.byteLength +
      this.#equal.byteLength * 2
    )
  }

  walk(values: FieldValues, at: number): void {
    this.hitCount = 0
    const bytes = values.bytes[at] as Uint8Array
    const start = values.starts[at] as number
    const end = values.ends[at] as number
    if (this.#front !== undefined) this.#walkFront(this.#front, bytes, start, end)
    if (this.#back !== undefined) {
      this.#back.walk(bytes, start, end)
      this.#take(this.#back, this.#suffix)
    }
    if (this.#components !== undefined) {
      this.#components.walk(bytes, start, end)
      this.#take(this.#components, this.#paths)
    }
    if (this.#contains !== undefined) this.#takeAll(this.#contains, bytes, start, end)
    if (this.#icontains !== undefined) this.#takeAll(this.#icontains, bytes, start, end)
    for (let index = 0; index < this.#regexes.length; index++)
      this.#match(this.#regexes[index] as RegexGroup, bytes, start, end)
    if (this.#order !== undefined) {
      this.#order.findGates(this.#order.place(bytes, start, end))
      for (let index = 0; index < this.#order.foundCount; index++)
        this.hits[this.hitCount++] = this.#order.found[index] as number
    }
  }

  #walkFront(front: RadixTrie, bytes: Uint8Array, start: number, end: number): void {
    front.walk(bytes, start, end)
    for (let index = 0; index < front.foundCount; index++) {
      const prefix = this.#prefix[front.found[index] as number] as number
      if (prefix !== -1) this.hits[this.hitCount++] = prefix
    }
    if (front.exact === -1) return
    const equal = this.#equal[front.exact] as number
    if (equal !== -1) this.hits[this.hitCount++] = equal
  }

  #take(from: { readonly found: Int32Array; readonly foundCount: number }, atoms: Int32Array): void {
    for (let index = 0; index < from.foundCount; index++)
      this.hits[this.hitCount++] = atoms[from.found[index] as number] as number
  }

  #takeAll(from: Substrings, bytes: Uint8Array, start: number, end: number): void {
    from.walk(bytes, start, end)
    for (let index = 0; index < from.hitCount; index++) this.hits[this.hitCount++] = from.hits[index] as number
  }

  #match(group: RegexGroup, bytes: Uint8Array, start: number, end: number): void {
    if (!group.isWanted) return
    if (group.isFiltered) group.isWanted = false
    let mask = group.walk(bytes, start, end)
    for (; mask !== 0; mask &= mask - 1)
      this.hits[this.hitCount++] = group.atoms[31 - Math.clz32(mask & -mask)] as number
  }

  place(values: FieldValues, at: number): number {
    return (
      this.#order?.place(values.bytes[at] as Uint8Array, values.starts[at] as number, values.ends[at] as number) ?? 0
    )
  }

  range(atom: number): readonly [number, number] {
    return this.#order?.ranges.get(atom) ?? [1, 0]
  }

  equalAtom(values: FieldValues, at: number): number {
    if (this.#front === undefined) return -1
    this.#front.walk(values.bytes[at] as Uint8Array, values.starts[at] as number, values.ends[at] as number)
    return this.#front.exact === -1 ? -1 : (this.#equal[this.#front.exact] as number)
  }
}

interface SubstringTables {
  /** By key: the atom of `contains`, or -1; globs and expression groups to try. */
  readonly atoms: Int32Array
  readonly globs: readonly (readonly Filtered[])[]
  readonly groups: readonly (readonly RegexGroup[])[]
  /** Globs without a literal part. */
  readonly unfiltered: readonly Filtered[]
}

/** `contains` values; and globs, tried where their longest literal part stands, with expressions that wait for one. */
class Substrings {
  readonly hits: Int32Array
  hitCount = 0
  readonly #automaton: AhoCorasick | undefined
  readonly #isFolded: boolean
  readonly #atoms: Int32Array
  readonly #globs: readonly (readonly Filtered[])[]
  readonly #groups: readonly (readonly RegexGroup[])[]
  readonly #unfiltered: readonly Filtered[]

  static *of(
    contains: readonly Atom[],
    globs: readonly Atom[],
    groups: readonly RegexGroup[],
    isFolded: boolean,
  ): Steps<Substrings> {
    const folded = (text: string) => (isFolded ? foldCase(text) : text)
    const keys = new Map<string, number>()
    const keyOf = (text: string) => {
      const known = keys.get(text)
      if (known === undefined) keys.set(text, keys.size)
      return known ?? keys.size - 1
    }
    const atoms: number[] = []
    for (const { id, value } of contains) atoms[keyOf(folded(value))] = id
    const filtered = new Map<number, Filtered[]>()
    const unfiltered: Filtered[] = []
    for (const { id, value } of globs) {
      const literal = folded(globLiteral(value))
      const glob = { atom: id, pattern: Uint8Array.from(Buffer.from(value, 'latin1')) }
      if (literal === '') unfiltered.push(glob)
      else addTo(filtered, keyOf(literal), glob)
    }
    const waiting = new Map<number, RegexGroup[]>()
    for (const group of groups) for (const literal of group.literals) addTo(waiting, keyOf(literal), group)
    const automaton = keys.size === 0 ? undefined : yield* AhoCorasick.of([...keys.keys()], isFolded)
    yield
    const of = <Item>(lists: ReadonlyMap<number, readonly Item[]>) =>
      Array.from({ length: keys.size }, (_, key) => lists.get(key) ?? [])
    return new Substrings(contains.length + globs.length, isFolded, automaton, {
      atoms: Int32Array.from({ length: keys.size }, (_, key) => atoms[key] ?? -1),
      globs: of(filtered),
      groups: of(waiting),
      unfiltered,
    })
  }

  private constructor(
    hitsMaxCount: number,
    isFolded: boolean,
    automaton: AhoCorasick | undefined,
    { atoms, globs, groups, unfiltered }: SubstringTables,
  ) {
    this.#isFolded = isFolded
    this.#automaton = automaton
    this.#atoms = atoms
    this.#globs = globs
    this.#groups = groups
    this.#unfiltered = unfiltered
    this.hits = new Int32Array(hitsMaxCount)
  }

  get programBytes(): number {
    return (this.#automaton?.programBytes ?? 0) + this.#atoms.byteLength * 5 + this.hits.byteLength
  }

  walk(bytes: Uint8Array, start: number, end: number): void {
    this.hitCount = 0
    for (let index = 0; index < this.#unfiltered.length; index++)
      this.#try(this.#unfiltered[index] as Filtered, bytes, start, end)
    const automaton = this.#automaton
    if (automaton === undefined) return
    automaton.walk(bytes, start, end)
    for (let index = 0; index < automaton.foundCount; index++) {
      const key = automaton.found[index] as number
      const atom = this.#atoms[key] as number
      if (atom !== -1) this.hits[this.hitCount++] = atom
      const globs = this.#globs[key] as readonly Filtered[]
      for (let at = 0; at < globs.length; at++) this.#try(globs[at] as Filtered, bytes, start, end)
      const groups = this.#groups[key] as readonly RegexGroup[]
      for (let at = 0; at < groups.length; at++) (groups[at] as RegexGroup).isWanted = true
    }
  }

  #try({ atom, pattern }: Filtered, bytes: Uint8Array, start: number, end: number): void {
    if (globMatches(pattern, 0, pattern.length, bytes, start, end, this.#isFolded)) this.hits[this.hitCount++] = atom
  }
}

function* substringsOf(
  contains: readonly Atom[],
  globs: readonly Atom[],
  groups: readonly RegexGroup[],
  isFolded: boolean,
): Steps<Substrings | undefined> {
  const isNeeded = contains.length + globs.length > 0 || groups.some(({ isFiltered }) => isFiltered)
  return isNeeded ? yield* Substrings.of(contains, globs, groups, isFolded) : undefined
}

function addTo<Item>(lists: Map<number, Item[]>, key: number, item: Item): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [item])
  else list.push(item)
}

export function foldCase(text: string): string {
  return text.replace(/[A-Z]/g, (char) => char.toLowerCase())
}
