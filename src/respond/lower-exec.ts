/**
 * Exec rules -> exact, prefix and base-name entries. Every entry's result is fully resolved for the rules it decides: a
 * prefix inherits the shorter ones, because an LPM trie returns only the longest.
 */
import type { RuleId } from '../match/types.js'
import type { ExecRule } from '../policy/model.js'
import { quoted } from '../policy/visible-text.js'
import { formOf, keyOf, whyNotPaths } from './lower-path.js'

export interface ExecResult {
  /** Rules that this entry answers for. */
  readonly decided: bigint
  /** Of decided, those that a name found here violates. */
  readonly violated: bigint
}

export interface ExecMaps {
  readonly execExact: readonly (ExecResult & { readonly path: Uint8Array })[]
  /** Longest first match of the bytes; each ends in `/`. */
  readonly execPrefix: readonly (ExecResult & { readonly dir: Uint8Array })[]
  /** By the last component of a name. */
  readonly execBase: readonly (ExecResult & { readonly name: Uint8Array })[]
}

/** A reason why the rule stays in user space, or undefined. */
export function whyNotExec(rule: ExecRule): string | undefined {
  const excepted = rule.exceptions.flatMap(({ match }) => match)
  if (rule.exceptions.some(({ condition }) => condition !== undefined)) return 'an exception of it is a condition'
  const inner = excepted.find(({ text }) => formOf(text)?.kind !== 'exact')
  if (inner !== undefined) return `an exception of it is not a literal path: ${quoted(inner.text)}`
  return whyNotPaths([...(rule.allow ?? []), ...rule.deny, ...excepted])
}

export function lowerExec(rules: readonly { id: RuleId; rule: ExecRule }[], bitOf: (id: RuleId) => bigint): ExecMaps {
  const own = { exact: new ResultTable(), prefix: new ResultTable(), base: new ResultTable() }
  for (const { id, rule } of rules) {
    const bit = bitOf(id)
    const add = (text: string, deny: boolean) => {
      const form = formOf(text)
      if (form !== undefined && form.kind !== 'all') own[form.kind].add(form.bytes, bit, deny)
    }
    for (const { text } of rule.allow ?? []) add(text, false)
    for (const { text } of rule.deny) add(text, true)
  }
  // over what the rules' own entries say of the same path
  for (const { id, rule } of rules)
    for (const { text } of rule.exceptions.flatMap(({ match }) => match)) {
      const form = formOf(text)
      if (form?.kind === 'exact') own.exact.exempt(form.bytes, bitOf(id))
    }
  // `DIR/**` also matches DIR itself, which the prefix `DIR/` does not
  for (const { bytes, result } of own.prefix.entries()) own.exact.inherit(bytes.subarray(0, -1), result)
  return {
    execExact: own.exact.entries().map(({ bytes, result }) => ({ path: bytes, ...result })),
    execBase: own.base.entries().map(({ bytes, result }) => ({ name: bytes, ...result })),
    execPrefix: own.prefix
      .entries()
      .map(({ bytes, result }) => ({ dir: bytes, ...withShorter(bytes, result, own.prefix) })),
  }
}

/** The result of a prefix with that of the shorter ones, for the rules it does not decide itself. */
function withShorter(dir: Uint8Array, result: ExecResult, prefixes: ResultTable): ExecResult {
  let { decided, violated } = result
  for (let length = dir.length - 1; length > 0; length--) {
    if (dir[length - 1] !== 0x2f) continue
    const shorter = prefixes.get(dir.subarray(0, length))
    if (shorter === undefined) continue
    violated |= shorter.violated & ~decided
    decided |= shorter.decided
  }
  return { decided, violated }
}

/** Results by key bytes. Of two entries of one rule with the same key, deny wins. */
class ResultTable {
  readonly #entries = new Map<string, { bytes: Uint8Array; result: ExecResult }>()

  add(bytes: Uint8Array, bit: bigint, deny: boolean): void {
    const { decided, violated } = this.get(bytes) ?? { decided: 0n, violated: 0n }
    this.#set(bytes, { decided: decided | bit, violated: deny ? violated | bit : violated })
  }

  /** Nothing violates the rule here. */
  exempt(bytes: Uint8Array, bit: bigint): void {
    const { decided, violated } = this.get(bytes) ?? { decided: 0n, violated: 0n }
    this.#set(bytes, { decided: decided | bit, violated: violated & ~bit })
  }

  /** Adds a less specific result: rules that are decided here already keep theirs. */
  inherit(bytes: Uint8Array, result: ExecResult): void {
    const { decided, violated } = this.get(bytes) ?? { decided: 0n, violated: 0n }
    this.#set(bytes, { decided: decided | result.decided, violated: violated | (result.violated & ~decided) })
  }

  get(bytes: Uint8Array): ExecResult | undefined {
    return this.#entries.get(keyOf(bytes))?.result
  }

  entries(): { bytes: Uint8Array; result: ExecResult }[] {
    return [...this.#entries.values()]
  }

  #set(bytes: Uint8Array, result: ExecResult): void {
    this.#entries.set(keyOf(bytes), { bytes, result })
  }
}
