/**
 * File rules: one path trie for all, each entry with the accesses that it speaks of. An event is judged access by access; an
 * act on two paths (rename, link) on both. Fail direction: a path that is not there is covered by no allow entry.
 */
import type { FilePattern, FileRule, Rule } from '../policy/model.js'
import { type ParsedPath, pathOf } from '../policy/path-pattern.js'
import { accessText, describeList, describePaths, type RuleText } from './describe.js'
import { EntryFinder } from './entry-finder.js'
import { type Entry, type EntryLists, flattenLists } from './entry-lists.js'
import type { PathTrie } from './path-trie.js'
import { PathTrieBuilder } from './path-trie-builder.js'
import type { CompiledProfile } from './profile.js'
import { codeOf, EXEMPT, isCatchAll, pathRank, places } from './specificity.js'
import type { Steps } from './steps.js'
import { RuleSet, Tally } from './tally.js'
import type { FilePaths } from './types.js'
import type { VerdictCache } from './verdict-cache.js'

const ACCESS_COUNT = 8
/** Facts of the first path stand behind what the act is and how many they are. */
const FACTS_FROM = 3

/** The accesses that the rule is about: those that any entry of it names. */
export function accessesOf({ allow, deny }: FileRule): number {
  return [...(allow ?? []), ...deny].reduce((mask, { access }) => mask | access, 0)
}

/** Per access: does what no other entry names violate the rule? A bit each. */
export function fileDefaults(rule: FileRule): number {
  let mask = rule.allow === undefined ? 0 : accessesOf(rule)
  const all = [
    ...(rule.allow ?? []).map((entry) => ({ entry, deny: false })),
    ...rule.deny.map((entry) => ({ entry, deny: true })),
  ].filter(({ entry }) => isCatchAll(pathOf(entry.text)))
  // the last to speak decides: more accesses named, then deny
  all.sort((a, b) => a.entry.namedCount - b.entry.namedCount || Number(a.deny) - Number(b.deny))
  for (const { entry, deny } of all) mask = deny ? mask | entry.access : mask & ~entry.access
  return mask
}

/** Longer beats the path's own rank only where that is equal. */
function fileRank(path: ParsedPath, { namedCount }: FilePattern): string {
  return pathRank(path) + namedCount
}

export class FileRules {
  readonly #trie: PathTrie
  /** `protos` holds the accesses of an entry. */
  readonly #lists: EntryLists
  readonly #finder: EntryFinder
  readonly #defaults: Uint8Array
  /** One per access. */
  readonly #tallies: Tally[]
  readonly #denied: RuleSet
  /** Rules that the event violates. */
  readonly violated: RuleSet

  constructor(rules: readonly Rule[], { trie, lists, defaults }: FileIndex) {
    this.#trie = trie
    this.#lists = lists
    this.#finder = new EntryFinder(lists)
    this.#defaults = defaults
    const size = rules.some(({ kind }) => kind === 'file') ? rules.length : 0
    this.#tallies = Array.from({ length: ACCESS_COUNT }, () => new Tally(size))
    this.#denied = new RuleSet(size)
    this.violated = new RuleSet(size)
  }

  describe(ruleText: RuleText): string[] {
    return describePaths(this.#trie, (terminal) => describeList(this.#lists, terminal, ruleText, accessText))
  }

  /** The most facts that `gather` adds. */
  get factsMaxCount(): number {
    return 1 + 2 * this.#trie.found.length
  }

  /** Which patterns the paths match: how many the first does, those, and those of the second. */
  gather(paths: FilePaths, cache: VerdictCache): void {
    const countAt = cache.count
    cache.add(0)
    this.#gatherPath(paths.bytes, paths.start, paths.end, cache)
    cache.facts[countAt] = cache.count - countAt - 1
    if (paths.hasOther) this.#gatherPath(paths.bytes, paths.otherStart, paths.otherEnd, cache)
  }

  #gatherPath(bytes: Uint8Array, start: number, end: number, cache: VerdictCache): void {
    this.#trie.walk(bytes, start, end)
    for (let index = 0; index < this.#trie.foundCount; index++) cache.add(this.#trie.found[index] as number)
  }

  /** `violated` holds the answer to the facts that were gathered. */
  judge(profile: CompiledProfile, access: number, hasOther: boolean, { facts, count }: VerdictCache): void {
    this.violated.clear()
    const otherFrom = FACTS_FROM + (facts[FACTS_FROM - 1] as number)
    this.#judgePath(profile, facts, FACTS_FROM, otherFrom, access)
    if (hasOther) this.#judgePath(profile, facts, otherFrom, count, access)
  }

  #judgePath(profile: CompiledProfile, facts: Int32Array, from: number, to: number, access: number): void {
    const tallies = this.#tallies
    for (let bit = 0; bit < ACCESS_COUNT; bit++) tallies[bit]?.clear()
    this.#denied.clear()
    for (let at = from; at < to; at++) this.#raise(profile, facts[at] as number, access)
    const byDefault = profile.fileByDefault
    for (let index = 0; index < byDefault.length; index++) this.#add(byDefault[index] as number, access)
    for (let index = 0; index < this.#denied.count; index++) this.#add(this.#denied.items[index] as number, access)
  }

  #raise(profile: CompiledProfile, list: number, access: number): void {
    const { rules, codes, protos } = this.#lists
    const finder = this.#finder
    finder.find(this.#lists, list, profile)
    for (let index = 0; index < finder.count; index++) {
      const at = finder.at[index] as number
      const rule = rules[at] as number
      const code = codes[at] as number
      const named = (protos[at] as number) & access
      if (named === 0) continue
      for (let bit = 0; bit < ACCESS_COUNT; bit++)
        if (((named >>> bit) & 1) === 1) (this.#tallies[bit] as Tally).raise(rule, code)
      if ((code & 1) === 1) this.#denied.add(rule)
    }
  }

  #add(rule: number, access: number): void {
    const byDefault = this.#defaults[rule] as number
    for (let bit = 0; bit < ACCESS_COUNT; bit++) {
      if (((access >>> bit) & 1) === 0) continue
      const best = (this.#tallies[bit] as Tally).best(rule)
      if (best === -1 ? ((byDefault >>> bit) & 1) === 1 : (best & 1) === 1) {
        this.violated.add(rule)
        return
      }
    }
  }
}

export interface FileIndex {
  readonly trie: PathTrie
  /** By terminal of the trie. */
  readonly lists: EntryLists
  /** By rule: fileDefaults. */
  readonly defaults: Uint8Array
}

export function* compileFile(rules: readonly Rule[]): Steps<FileIndex> {
  const defaults = new Uint8Array(rules.length)
  const entries: { rule: number; path: ParsedPath; deny: boolean; rank: string; access: number }[] = []
  for (const [id, rule] of rules.entries()) {
    if (rule.kind !== 'file') continue
    defaults[id] = fileDefaults(rule)
    const add = (entry: FilePattern, deny: boolean) => {
      const path = pathOf(entry.text)
      if (isCatchAll(path)) return
      entries.push({ rule: id, path, deny, rank: fileRank(path, entry), access: entry.access })
    }
    for (const entry of rule.allow ?? []) add(entry, false)
    for (const entry of rule.deny) add(entry, true)
    for (const { match } of rule.exceptions)
      for (const { text, access } of match)
        entries.push({ rule: id, path: pathOf(text), deny: false, rank: EXEMPT, access })
    yield
  }
  const placeOf = places(entries.map(({ rank }) => rank))
  const builder = new PathTrieBuilder()
  const lists: Entry[][] = []
  for (const { rule, path, deny, rank, access } of entries) {
    const entry = { rule, code: codeOf(placeOf.get(rank) ?? 0, deny), proto: access }
    const terminal = builder.add(path)
    const list = lists[terminal]
    if (list === undefined) lists[terminal] = [entry]
    else list.push(entry)
    yield
  }
  return { trie: yield* builder.build(), lists: flattenLists(lists), defaults }
}
