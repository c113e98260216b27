/**
 * Exec rules -> exact, prefix and base-name entries. Every entry's result is fully resolved for the rules it decides: a
 * prefix inherits the shorter ones, because an LPM trie returns only the longest.
 */
import type { RuleId } from '../match/types.js'
import type { ExecRule } from '../policy/model.js'
import { pathOf } from '../policy/path-pattern.js'
import { quoted } from '../policy/visible-text.js'

/** HG_KEY_PATH_BYTES of bpf/abi.h less the terminating zero. */
export const KEY_PATH_MAX_BYTES = 239
/** Each entry takes a map slot per profile; a longer list is cheaper in user space's trie. */
const ENTRIES_MAX_COUNT = 4096

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

type Form = { kind: 'exact' | 'prefix' | 'base'; bytes: Uint8Array } | { kind: 'all' }

/** A reason why the rule stays in user space, or undefined. */
export function whyNotExec(rule: ExecRule): string | undefined {
  const excepted = rule.exceptions.flatMap(({ match }) => match)
  if (rule.exceptions.some(({ condition }) => condition !== undefined)) return 'an exception of it is a condition'
  const inner = excepted.find(({ text }) => formOf(text)?.kind !== 'exact')
  if (inner !== undefined) return `an exception of it is not a literal path: ${quoted(inner.text)}`
  const patterns = [...(rule.allow ?? []), ...rule.deny, ...excepted]
  if (patterns.length > ENTRIES_MAX_COUNT) return `it has more than ${ENTRIES_MAX_COUNT} entries`
  for (const { text } of patterns) {
    const form = formOf(text)
    if (form === undefined)
      return `the kernel's maps hold literal paths, \`DIR/**\` and program names only, not ${quoted(text)}`
    if (form.kind !== 'all' && form.bytes.length > KEY_PATH_MAX_BYTES)
      return `an entry is longer than ${KEY_PATH_MAX_BYTES} bytes`
  }
  return undefined
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

function formOf(text: string): Form | undefined {
  const { rooted, components } = pathOf(text)
  const last = components.at(-1)
  const literals = components.flatMap((component) => (component.kind === 'literal' ? [component.bytes] : []))
  if (!rooted) {
    if (components.length === 1) return { kind: 'all' }
    const name = components.length === 2 ? literals[0] : undefined
    return name === undefined ? undefined : { kind: 'base', bytes: name }
  }
  if (literals.length === components.length) return { kind: 'exact', bytes: joined(literals, false) }
  if (literals.length === components.length - 1 && last?.kind === 'deep')
    return { kind: 'prefix', bytes: joined(literals, true) }
  return undefined
}

function joined(components: readonly Uint8Array[], asFolder: boolean): Uint8Array {
  const slash = Uint8Array.of(0x2f)
  const pieces = components.flatMap((component) => [slash, component])
  return Uint8Array.from(Buffer.concat(asFolder ? [...pieces, slash] : pieces))
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

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
