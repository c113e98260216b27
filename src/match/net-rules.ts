/** Rules of one of the two kinds whose entries are addresses and ports: connects, listens. */
import type { ConnectIndex } from './compile.js'
import { describeNetworks, type RuleText } from './describe.js'
import type { CompiledProfile } from './profile.js'
import { NO_CODE, type Scores } from './scores.js'
import type { RuleSet } from './tally.js'
import type { VerdictCache } from './verdict-cache.js'

/** Behind what the act is. */
const FACTS_FROM = 2

export class NetRules {
  readonly #index: ConnectIndex
  readonly #scores: Scores

  constructor(index: ConnectIndex, scores: Scores) {
    this.#index = index
    this.#scores = scores
  }

  describe(text: RuleText): string[] {
    return describeNetworks(this.#index, text)
  }

  /** The most facts that `gather` adds. */
  get factsMaxCount(): number {
    return 2 * this.#index.trie.found.length
  }

  /** Which networks the address is in, and the place of the port in each. */
  gather(bytes: Uint8Array, offset: number, port: number, cache: VerdictCache): void {
    const { trie, ports } = this.#index
    trie.walk(bytes, offset)
    for (let index = 0; index < trie.foundCount; index++) {
      const network = trie.found[index] as number
      cache.add(network)
      cache.add(ports.leafOf(network, port))
    }
  }

  /** The answer to the facts that were gathered. */
  judge(own: CompiledProfile, byDefault: Uint32Array, proto: number, { facts, count }: VerdictCache): RuleSet {
    const { ports } = this.#index
    const { first, denied, violated } = this.#scores
    for (let at = FACTS_FROM; at < count; at += 2) {
      const base = ports.baseOf(facts[at] as number)
      for (let node = facts[at + 1] as number; node > 0; node >>>= 1)
        this.#scores.raise(ports.lists, base + node, proto, own, first, NO_CODE)
    }
    for (let index = 0; index < byDefault.length; index++) {
      const rule = byDefault[index] as number
      const best = first.best(rule)
      if (best === -1 || (best & 1) === 1) violated.add(rule)
    }
    for (let index = 0; index < denied.count; index++) {
      const rule = denied.items[index] as number
      if ((first.best(rule) & 1) === 1) violated.add(rule)
    }
    return violated
  }
}
