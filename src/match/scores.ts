/**
 * What the entries that one event matches say of each rule: the best of them, and which rules are denied. The kinds whose
 * entries stand in lists by pattern (execs, addresses, numbers) are judged with the same arrays, one event at a time.
 */
import { EntryFinder } from './entry-finder.js'
import type { EntryLists } from './entry-lists.js'
import type { CompiledProfile } from './profile.js'
import { RuleSet, Tally } from './tally.js'

/** No entry has it: see `raise`. */
export const NO_CODE = -1

export class Scores {
  readonly first: Tally
  /** Of what is judged a second time: the file behind an invoked name. */
  readonly second: Tally
  /** Rules with a matching deny entry that are not hit by default: the others are walked anyway. */
  readonly denied: RuleSet
  /** Rules that the event violates. */
  readonly violated: RuleSet
  readonly #byDefault: Uint8Array
  readonly #finder: EntryFinder

  /** `byDefault`, by rule: hit by what no entry names. `lists`: all that `raise` will be asked for. */
  constructor(byDefault: Uint8Array, lists: readonly EntryLists[]) {
    this.first = new Tally(byDefault.length)
    this.second = new Tally(byDefault.length)
    this.denied = new RuleSet(byDefault.length)
    this.violated = new RuleSet(byDefault.length)
    this.#byDefault = byDefault
    this.#finder = new EntryFinder(...lists)
  }

  clear(): void {
    this.first.clear()
    this.second.clear()
    this.denied.clear()
    this.violated.clear()
  }

  /** Counts the entries of one list for the rules of the profile, those of `ignoredCode` aside. */
  raise(
    lists: EntryLists,
    list: number,
    proto: number,
    profile: CompiledProfile,
    tally: Tally,
    ignoredCode: number,
  ): void {
    const finder = this.#finder
    finder.find(lists, list, profile)
    for (let index = 0; index < finder.count; index++) {
      const at = finder.at[index] as number
      const limited = lists.protos[at] as number
      if (limited !== 0 && limited !== proto) continue
      const rule = lists.rules[at] as number
      const code = lists.codes[at] as number
      if (code === ignoredCode) continue
      tally.raise(rule, code)
      if ((code & 1) === 1 && this.#byDefault[rule] === 0) this.denied.add(rule)
    }
  }
}
