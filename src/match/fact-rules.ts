/**
 * Rules whose entries say several things at once: senders of signals, mounts. Every distinct fact of an entry is a predicate
 * with the list of the entries that need it; an event counts, per entry, the predicates that hold, and an entry matches when
 * all of its own do. Cost follows what holds, not the number of rules.
 */
import type { AccountName, MountPattern, Rule, SenderPattern } from '../policy/model.js'
import { pathOf } from '../policy/path-pattern.js'
import { visible } from '../policy/visible-text.js'
import { entryText, type RuleText } from './describe.js'
import { type Entry, type EntryLists, flattenLists } from './entry-lists.js'
import type { PathTrie } from './path-trie.js'
import { PathTrieBuilder } from './path-trie-builder.js'
import type { CompiledProfile } from './profile.js'
import { codeOf, EXEMPT, pathRank, places } from './specificity.js'
import { atOnce } from './steps.js'
import { RuleSet, Tally } from './tally.js'
import type { MountFacts, SenderFacts } from './types.js'
import type { VerdictCache } from './verdict-cache.js'
import { WordTable } from './word-table.js'

/** Behind what the act is. */
const FACTS_FROM = 2

interface FactEntry {
  readonly rule: number
  readonly deny: boolean
  readonly rank: string
  readonly predicates: readonly number[]
}

/** Numbers of distinct predicates, by a text that says which; the label is for people. */
class Predicates {
  readonly #numbers = new Map<string, number>()
  readonly labels: string[] = []

  of(key: string, label = key): number {
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#numbers.size
    this.#numbers.set(key, number)
    this.labels.push(label)
    return number
  }
}

class FactIndex {
  /** By predicate: `codes` holds the number of the entry. */
  readonly #lists: EntryLists
  readonly #rules: Uint32Array
  readonly #codes: Int32Array
  readonly #needed: Uint8Array
  readonly #held: Uint8Array
  readonly #stamps: Uint32Array
  readonly #tally: Tally
  readonly #denied: RuleSet
  readonly #violated: RuleSet
  #stamp = 0

  constructor(
    entries: readonly FactEntry[],
    readonly labels: readonly string[],
    rules: readonly Rule[],
  ) {
    const placeOf = places(entries.map(({ rank }) => rank))
    const lists = labels.map((): Entry[] => [])
    for (const [number, { rule, predicates }] of entries.entries())
      for (const predicate of new Set(predicates)) lists[predicate]?.push({ rule, code: number, proto: 0 })
    this.#lists = flattenLists(lists)
    this.#rules = Uint32Array.from(entries, ({ rule }) => rule)
    this.#codes = Int32Array.from(entries, ({ rank, deny }) => codeOf(placeOf.get(rank) ?? 0, deny))
    this.#needed = Uint8Array.from(entries, ({ predicates }) => predicates.length)
    this.#held = new Uint8Array(entries.length)
    this.#stamps = new Uint32Array(entries.length)
    this.#tally = new Tally(rules.length)
    this.#denied = new RuleSet(rules.length)
    this.#violated = new RuleSet(rules.length)
  }

  /** Each entry with the facts that it needs. */
  describe(ruleText: RuleText): string[] {
    const facts = Array.from(this.#codes, (): string[] => [])
    const { from, codes } = this.#lists
    for (const [predicate, label] of this.labels.entries())
      for (let at = from[predicate] ?? 0; at < (from[predicate + 1] ?? 0); at++) facts[codes[at] ?? 0]?.push(label)
    return facts.map((own, entry) => {
      const rule = ruleText(this.#rules[entry] ?? 0)
      return `${own.map(visible).join(' and ')}: ${entryText(this.#codes[entry] ?? 0, rule)}`
    })
  }

  /** The rules that an event violates of which the predicates among the facts hold, each of them once. */
  judge(profile: CompiledProfile, byDefault: Uint32Array, { facts, count }: VerdictCache): RuleSet {
    if (this.#stamp === 0xffffffff) {
      this.#stamps.fill(0)
      this.#stamp = 0
    }
    this.#stamp++
    this.#tally.clear()
    this.#denied.clear()
    this.#violated.clear()
    for (let at = FACTS_FROM; at < count; at++) this.#holds(facts[at] as number, profile)
    this.#finish(byDefault)
    return this.#violated
  }

  #holds(predicate: number, profile: CompiledProfile): void {
    const { from, codes, rules } = this.#lists
    const last = from[predicate + 1] as number
    for (let at = from[predicate] as number; at < last; at++) {
      if (!profile.has(rules[at] as number)) continue
      const entry = codes[at] as number
      const held = this.#stamps[entry] === this.#stamp ? (this.#held[entry] as number) + 1 : 1
      this.#stamps[entry] = this.#stamp
      this.#held[entry] = held
      if (held === this.#needed[entry]) this.#matches(entry)
    }
  }

  #matches(entry: number): void {
    const rule = this.#rules[entry] as number
    const code = this.#codes[entry] as number
    this.#tally.raise(rule, code)
    if ((code & 1) === 1) this.#denied.add(rule)
  }

  /** By default, unless an entry allows; and what an entry denies. */
  #finish(byDefault: Uint32Array): void {
    for (let index = 0; index < byDefault.length; index++) {
      const rule = byDefault[index] as number
      const best = this.#tally.best(rule)
      if (best === -1 || (best & 1) === 1) this.#violated.add(rule)
    }
    for (let index = 0; index < this.#denied.count; index++) {
      const rule = this.#denied.items[index] as number
      if ((this.#tally.best(rule) & 1) === 1) this.#violated.add(rule)
    }
  }
}

/** Predicates by terminal of a path trie. */
class PathPredicates {
  readonly #builder = new PathTrieBuilder()
  readonly #numbers: number[] = []
  #trie: PathTrie | undefined

  /** Texts that mean the same path are one predicate. */
  add(text: string, predicates: Predicates, what: string): number {
    const terminal = this.#builder.add(pathOf(text))
    const number = predicates.of(`path ${terminal}`, `${what} ${text}`)
    this.#numbers[terminal] = number
    return number
  }

  build(): this {
    this.#trie = atOnce(this.#builder.build())
    return this
  }

  get size(): number {
    return this.#numbers.length
  }

  gather(bytes: Uint8Array, start: number, end: number, cache: VerdictCache): void {
    const trie = this.#trie
    if (trie === undefined) return
    trie.walk(bytes, start, end)
    for (let at = 0; at < trie.foundCount; at++) cache.add(this.#numbers[trie.found[at] as number] as number)
  }
}

/** All entries of the rules of one kind, exceptions above all others. */
function entriesOf<Entry>(
  rules: readonly Rule[],
  listsOf: (rule: Rule) => { allow?: readonly Entry[]; deny: readonly Entry[]; match: readonly Entry[] } | undefined,
  make: (entry: Entry) => { predicates: number[]; rank: string },
): FactEntry[] {
  return rules.flatMap((rule, id) => {
    const lists = listsOf(rule)
    if (lists === undefined) return []
    return [
      ...(lists.allow ?? []).map((entry) => ({ rule: id, deny: false, ...make(entry) })),
      ...lists.deny.map((entry) => ({ rule: id, deny: true, ...make(entry) })),
      ...lists.match.map((entry) => ({ rule: id, deny: false, ...make(entry), rank: EXEMPT })),
    ]
  })
}

/** Who sent a signal: user and group by number and by name, executable by path. */
export class SignalRules {
  readonly #index: FactIndex
  readonly #users = { byId: new Map<number, number>(), byName: new Map<string, number>() }
  readonly #groups = { byId: new Map<number, number>(), byName: new Map<string, number>() }
  readonly #exes: PathPredicates

  constructor(rules: readonly Rule[]) {
    const predicates = new Predicates()
    const exes = new PathPredicates()
    const account = (of: { byId: Map<number, number>; byName: Map<string, number> }, key: string, who: AccountName) => {
      const number = predicates.of('id' in who ? `${key} id ${who.id}` : `${key} name ${who.name}`)
      if ('id' in who) of.byId.set(who.id, number)
      else of.byName.set(who.name, number)
      return number
    }
    const make = ({ user, group, exe }: SenderPattern) => {
      const own: number[] = []
      if (user !== undefined) own.push(account(this.#users, 'user', user))
      if (group !== undefined) own.push(account(this.#groups, 'group', group))
      if (exe !== undefined) own.push(exes.add(exe.text, predicates, 'exe'))
      // more things named, then the more specific executable
      return { predicates: own, rank: `${own.length}${exe === undefined ? '' : pathRank(pathOf(exe.text))}` }
    }
    const entries = entriesOf<SenderPattern>(
      rules,
      (rule) =>
        rule.kind === 'signal' ? { ...rule, match: rule.exceptions.flatMap(({ match }) => match) } : undefined,
      make,
    )
    this.#exes = exes.build()
    this.#index = new FactIndex(entries, predicates.labels, rules)
  }

  describe(ruleText: RuleText): string[] {
    return this.#index.describe(ruleText)
  }

  /** The most facts that `gather` adds: two ids, two names, the executable. */
  get factsMaxCount(): number {
    return 4 + this.#exes.size
  }

  /** Which predicates hold. */
  gather(sender: SenderFacts, cache: VerdictCache): void {
    addKnown(this.#users.byId.get(sender.uid), cache)
    addKnown(this.#users.byName.get(sender.user), cache)
    addKnown(this.#groups.byId.get(sender.gid), cache)
    addKnown(this.#groups.byName.get(sender.group), cache)
    this.#exes.gather(sender.bytes, sender.exeStart, sender.exeEnd, cache)
  }

  judge(profile: CompiledProfile, cache: VerdictCache): RuleSet {
    return this.#index.judge(profile, profile.signalByDefault, cache)
  }
}

function addKnown(predicate: number | undefined, cache: VerdictCache): void {
  if (predicate !== undefined) cache.add(predicate)
}

/** What is mounted where: source and type as words, target by path. */
export class MountRules {
  readonly #index: FactIndex
  readonly #sources: WordTable
  readonly #types: WordTable
  readonly #targets: PathPredicates

  constructor(rules: readonly Rule[]) {
    const predicates = new Predicates()
    const targets = new PathPredicates()
    const sources = new Map<string, number>()
    const types = new Map<string, number>()
    const word = (of: Map<string, number>, key: string, text: string) => {
      const number = predicates.of(`${key} ${text}`)
      of.set(text, number)
      return number
    }
    const make = ({ source, target, fstype }: MountPattern) => {
      const own: number[] = []
      if (source !== undefined) own.push(word(sources, 'source', source))
      if (fstype !== undefined) own.push(word(types, 'fstype', fstype))
      if (target !== undefined) own.push(targets.add(target.text, predicates, 'target'))
      // more things named, then the more specific target
      return { predicates: own, rank: `${own.length}${target === undefined ? '' : pathRank(pathOf(target.text))}` }
    }
    const entries = entriesOf<MountPattern>(
      rules,
      (rule) => (rule.kind === 'mount' ? { ...rule, match: rule.exceptions.flatMap(({ match }) => match) } : undefined),
      make,
    )
    this.#targets = targets.build()
    this.#sources = new WordTable(sources)
    this.#types = new WordTable(types)
    this.#index = new FactIndex(entries, predicates.labels, rules)
  }

  describe(ruleText: RuleText): string[] {
    return this.#index.describe(ruleText)
  }

  /** The most facts that `gather` adds. */
  get factsMaxCount(): number {
    return this.#sources.found.length + this.#types.found.length + this.#targets.size
  }

  /** Which predicates hold. */
  gather(mount: MountFacts, cache: VerdictCache): void {
    const { bytes } = mount
    this.#sources.find(bytes, mount.sourceStart, mount.sourceEnd)
    for (let at = 0; at < this.#sources.foundCount; at++) cache.add(this.#sources.found[at] as number)
    this.#types.find(bytes, mount.fstypeStart, mount.fstypeEnd)
    for (let at = 0; at < this.#types.foundCount; at++) cache.add(this.#types.found[at] as number)
    this.#targets.gather(bytes, mount.targetStart, mount.targetEnd, cache)
  }

  judge(profile: CompiledProfile, cache: VerdictCache): RuleSet {
    return this.#index.judge(profile, profile.mountByDefault, cache)
  }
}
