/** Exec rules: one path trie for all. The name that was invoked decides; the file behind it may be denied by an entry of its own. */
import type { Rule } from '../policy/model.js'
import { type ExecIndex, isListRule } from './compile.js'
import { describeList, describePaths, type RuleText } from './describe.js'
import type { CompiledProfile } from './profile.js'
import { NO_CODE, type Scores } from './scores.js'
import type { RuleSet, Tally } from './tally.js'
import type { ExecNames } from './types.js'
import type { VerdictCache } from './verdict-cache.js'

/** How an exec was done, as bits of what its verdict depends on: both names are one, no allow entry covers the invoked one, a script. */
const SAME_NAME = 1 << 5
const UNCOVERED = 1 << 6
const SCRIPT = 1 << 7
/** The facts are how many patterns the invoked name matches, these, and those of the file; what the act is stands before. */
const FACTS_FROM = 3

export class ExecRules {
  readonly #index: ExecIndex
  readonly #scores: Scores
  readonly #byDefault: Uint8Array
  /** By rule: it has an allow list. */
  readonly #withAllow: Uint8Array

  constructor(rules: readonly Rule[], index: ExecIndex, byDefault: Uint8Array, scores: Scores) {
    this.#index = index
    this.#scores = scores
    this.#byDefault = byDefault
    this.#withAllow = Uint8Array.from(rules, (rule) => Number(isListRule(rule) && rule.allow !== undefined))
  }

  describe(text: RuleText): string[] {
    return describePaths(this.#index.trie, (terminal) => describeList(this.#index.lists, terminal, text))
  }

  /** The most facts that `gather` adds. */
  get factsMaxCount(): number {
    return 1 + 2 * this.#index.trie.found.length
  }

  flagsOf(names: ExecNames): number {
    const { bytes, invokedStart, invokedEnd, fileStart, fileEnd } = names
    const isSame = sameBytes(bytes, invokedStart, invokedEnd, fileStart, fileEnd)
    const isUncovered = names.foreignRoot && !names.verified
    return (isSame ? SAME_NAME : 0) | (isUncovered ? UNCOVERED : 0) | (names.isScript ? SCRIPT : 0)
  }

  gather(names: ExecNames, flags: number, cache: VerdictCache): void {
    cache.add(0)
    this.#gatherName(names.bytes, names.invokedStart, names.invokedEnd, cache)
    cache.facts[FACTS_FROM - 1] = cache.count - FACTS_FROM
    if ((flags & SAME_NAME) === 0) this.#gatherName(names.bytes, names.fileStart, names.fileEnd, cache)
  }

  #gatherName(bytes: Uint8Array, start: number, end: number, cache: VerdictCache): void {
    const { trie } = this.#index
    trie.walk(bytes, start, end)
    for (let index = 0; index < trie.foundCount; index++) cache.add(trie.found[index] as number)
  }

  /** The answer to the facts that were gathered. */
  judge(own: CompiledProfile, flags: number, { facts, count }: VerdictCache): RuleSet {
    const { first, second, denied, violated } = this.#scores
    const isUncovered = (flags & UNCOVERED) !== 0
    const fileFrom = FACTS_FROM + (facts[FACTS_FROM - 1] as number)
    // in a foreign root the entries of exceptions cover no more than allow entries do
    const ignoredCode = isUncovered ? this.#index.exemptCode : NO_CODE
    this.#raise(facts, FACTS_FROM, fileFrom, own, first, ignoredCode)
    this.#raise(facts, fileFrom, count, own, second, ignoredCode)
    if (isUncovered) for (let at = 0; at < own.execWithAllow.length; at++) violated.add(own.execWithAllow[at] as number)
    this.#judgeEach(own.execByDefault, own.execByDefault.length, flags)
    this.#judgeEach(denied.items, denied.count, flags)
    return violated
  }

  #raise(facts: Int32Array, from: number, to: number, own: CompiledProfile, tally: Tally, ignoredCode: number): void {
    for (let at = from; at < to; at++)
      this.#scores.raise(this.#index.lists, facts[at] as number, 0, own, tally, ignoredCode)
  }

  #judgeEach(rules: Uint32Array, count: number, flags: number): void {
    const { first, second, violated } = this.#scores
    const file = (flags & SAME_NAME) === 0 ? second : first
    for (let index = 0; index < count; index++) {
      const rule = rules[index] as number
      if ((flags & UNCOVERED) !== 0 && this.#withAllow[rule] === 1) continue
      if (this.#violates(rule, file, (flags & SCRIPT) !== 0)) violated.add(rule)
    }
  }

  /** The invoked name decides; the file may only be denied by an entry that names it, and a script's interpreter must be covered too. */
  #violates(rule: number, file: Tally, isScript: boolean): boolean {
    const byDefault = this.#byDefault[rule] === 1
    const invokedBest = this.#scores.first.best(rule)
    if (invokedBest === -1 ? byDefault : (invokedBest & 1) === 1) return true
    const fileBest = file.best(rule)
    return fileBest === -1 ? isScript && byDefault : (fileBest & 1) === 1
  }
}

function sameBytes(bytes: Uint8Array, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false
  for (let at = start, other = otherStart; at < end; at++, other++) if (bytes[at] !== bytes[other]) return false
  return true
}
