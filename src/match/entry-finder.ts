/** The entries of one list that belong to rules of a profile. One search at a time; allocates nothing. */
import type { EntryLists } from './entry-lists.js'
import type { CompiledProfile } from './profile.js'

/** A list this many times longer than the profile is searched for the profile's rules instead of walked. */
const SEARCH_RATIO = 8

export class EntryFinder {
  /** Places in the list's arrays, of the last search: the first `count`. */
  readonly at: Uint32Array
  count = 0

  /** For lists of these; none of them is longer than the room that is made here. */
  constructor(...all: readonly EntryLists[]) {
    let longest = 0
    for (const { from } of all)
      for (let list = 0; list + 1 < from.length; list++)
        longest = Math.max(longest, (from[list + 1] as number) - (from[list] as number))
    this.at = new Uint32Array(longest)
  }

  find({ from, rules }: EntryLists, list: number, profile: CompiledProfile): void {
    this.count = 0
    const first = from[list] as number
    const last = from[list + 1] as number
    if (last - first > profile.rules.length * SEARCH_RATIO) {
      this.#search(rules, first, last, profile)
      return
    }
    for (let at = first; at < last; at++) if (profile.has(rules[at] as number)) this.at[this.count++] = at
  }

  /** The same for a list much longer than the profile. */
  #search(rules: Uint32Array, first: number, last: number, profile: CompiledProfile): void {
    let from = first
    for (let index = 0; index < profile.rules.length && from < last; index++) {
      const rule = profile.rules[index] as number
      let high = last
      while (from < high) {
        const middle = (from + high) >>> 1
        if ((rules[middle] as number) < rule) from = middle + 1
        else high = middle
      }
      for (; from < last && rules[from] === rule; from++) this.at[this.count++] = from
    }
  }
}
