/**
 * Mount and signal rules -> which sets of facts each entry needs, by tables of texts and numbers, and the entries in the order in
 * which they decide: the first one that matches speaks for its rule. That order is the one of src/match/fact-rules.ts: exceptions,
 * then entries that say more, then those with the more specific path, and of equals the one that denies.
 */
import { EXEMPT, pathRank } from '../match/specificity.js'
import type { RuleId } from '../match/types.js'
import type { AccountName, MountPattern, MountRule, PathPattern, SenderPattern, SignalRule } from '../policy/model.js'
import { pathOf } from '../policy/path-pattern.js'
import { quoted } from '../policy/visible-text.js'
import { SAID_MAX, SaidKind, SaidWhat } from '../sensor/generated/abi.js'
import { formOf, KEY_PATH_MAX_BYTES, keyOf, whyNotPaths } from './lower-path.js'

/** Numbers of the accounts that have a name on this host. */
export interface Accounts {
  uidsOf(name: string): readonly number[]
  gidsOf(name: string): readonly number[]
}

type SaidRule = MountRule | SignalRule

interface Candidate {
  readonly id: RuleId
  readonly rule: SaidRule
}

/** Sets: bit n is the n-th thing that entries of the kind say. */
export interface SaidText {
  readonly what: number
  readonly bytes: Uint8Array
  readonly said: bigint
}

export interface SaidRules {
  readonly kind: number
  /** Masks of rules. */
  readonly rules: bigint
  readonly byDefault: bigint
  readonly byTarget: bigint
  readonly entries: readonly { readonly needed: bigint; readonly rule: bigint; readonly violated: bigint }[]
}

export interface SaidMaps {
  readonly saidExact: readonly SaidText[]
  /** By the last component of a path. */
  readonly saidBase: readonly SaidText[]
  /** Longest first match of the bytes; each ends in `/`, but for the empty one, which is every path. */
  readonly saidPrefix: readonly SaidText[]
  readonly saidNumbers: readonly { readonly what: number; readonly number: number; readonly said: bigint }[]
  readonly saidRules: readonly SaidRules[]
}

export interface LoweredSaid {
  readonly dropped: readonly { id: RuleId; reason: string }[]
  mapsFor(bitOf: (id: RuleId) => bigint): SaidMaps
}

/** A reason why the rule stays in user space, or undefined. */
export function whyNotMount(rule: MountRule): string | undefined {
  const entries = entriesOf<MountPattern>(rule)
  const words = entries.flatMap(({ entry: { source, fstype } }) => [source ?? '', fstype ?? ''])
  const glob = words.find((word) => /[*?]/.test(word))
  if (glob !== undefined) return `the kernel's maps hold whole words as source and type, not ${quoted(glob)}`
  if (words.some((word) => Buffer.byteLength(word) > KEY_PATH_MAX_BYTES))
    return `an entry is longer than ${KEY_PATH_MAX_BYTES} bytes`
  return (
    whyNotSaid(rule) ?? whyNotPaths(entries.flatMap(({ entry: { target } }) => (target === undefined ? [] : [target])))
  )
}

/** `accounts`: of this host; without them no name can be told. */
export function whyNotSignal(rule: SignalRule, accounts: Accounts | undefined): string | undefined {
  const entries = entriesOf<SenderPattern>(rule)
  for (const { entry } of entries)
    for (const [what, account] of [
      ['user', entry.user],
      ['group', entry.group],
    ] as const)
      if (account !== undefined && 'name' in account && numbersOf(what, account, accounts).length === 0)
        return `this host has no ${what} ${quoted(account.name)}`
  return whyNotSaid(rule) ?? whyNotPaths(entries.flatMap(({ entry: { exe } }) => (exe === undefined ? [] : [exe])))
}

function whyNotSaid(rule: SaidRule): string | undefined {
  return rule.exceptions.some(({ condition }) => condition !== undefined)
    ? 'an exception of it is a condition'
    : undefined
}

/** What a mount rule does not answer of move_mount(2), where nothing but the target is known. */
export function namesOnlyTargets(rule: MountRule): boolean {
  return entriesOf<MountPattern>(rule).every(({ entry }) => entry.source === undefined && entry.fstype === undefined)
}

/** Rules of both kinds, in order; one for which there is no room left is dropped. */
export function lowerSaid(rules: readonly Candidate[], accounts: Accounts | undefined): LoweredSaid {
  const dropped: { id: RuleId; reason: string }[] = []
  const tables = { mount: new SaidTable(SaidKind.MOUNT), signal: new SaidTable(SaidKind.SIGNAL) }
  for (const { id, rule } of rules) {
    const entries =
      rule.kind === 'mount'
        ? entriesOf<MountPattern>(rule).map((one) => ({ ...one, facts: mountFacts(one.entry), path: one.entry.target }))
        : entriesOf<SenderPattern>(rule).map((one) => ({
            ...one,
            facts: senderFacts(one.entry, accounts),
            path: one.entry.exe,
          }))
    if (!tables[rule.kind].add(id, rule, entries))
      dropped.push({ id, reason: `the kernel holds ${SAID_MAX} entries of ${rule.kind} rules of a container` })
  }
  return {
    dropped,
    mapsFor: (bitOf) => {
      const made = [tables.mount, tables.signal].map((table) => table.build(bitOf))
      return {
        saidExact: made.flatMap(({ exact }) => exact),
        saidBase: made.flatMap(({ base }) => base),
        saidPrefix: made.flatMap(({ prefix }) => prefix),
        saidNumbers: made.flatMap(({ numbers }) => numbers),
        saidRules: made.flatMap(({ rules: own }) => (own.rules === 0n ? [] : [own])),
      }
    },
  }
}

/** One thing that an entry says: any of its texts or numbers makes it hold. */
type Fact =
  | { readonly what: number; readonly kind: 'word'; readonly bytes: Uint8Array }
  | { readonly what: number; readonly kind: 'path'; readonly pattern: PathPattern }
  | { readonly what: number; readonly kind: 'number'; readonly numbers: readonly number[] }

interface Entry<Pattern> {
  readonly entry: Pattern
  readonly deny: boolean
  readonly isException: boolean
}

function entriesOf<Pattern>(rule: SaidRule): Entry<Pattern>[] {
  const of = (list: readonly unknown[], deny: boolean, isException = false) =>
    list.map((entry) => ({ entry: entry as Pattern, deny, isException }))
  return [
    ...of(rule.allow ?? [], false),
    ...of(rule.deny, true),
    ...of(
      rule.exceptions.flatMap(({ match }): readonly unknown[] => match),
      false,
      true,
    ),
  ]
}

function mountFacts({ source, target, fstype }: MountPattern): Fact[] {
  const word = (what: number, text: string | undefined): Fact[] =>
    text === undefined ? [] : [{ what, kind: 'word', bytes: Buffer.from(text) }]
  return [...word(SaidWhat.SOURCE, source), ...word(SaidWhat.FSTYPE, fstype), ...pathFact(SaidWhat.TARGET, target)]
}

function senderFacts({ user, group, exe }: SenderPattern, accounts: Accounts | undefined): Fact[] {
  const account = (what: number, kind: 'user' | 'group', who: AccountName | undefined): Fact[] =>
    who === undefined ? [] : [{ what, kind: 'number', numbers: numbersOf(kind, who, accounts) }]
  return [
    ...account(SaidWhat.USER, 'user', user),
    ...account(SaidWhat.GROUP, 'group', group),
    ...pathFact(SaidWhat.EXE, exe),
  ]
}

function pathFact(what: number, pattern: PathPattern | undefined): Fact[] {
  return pattern === undefined ? [] : [{ what, kind: 'path', pattern }]
}

function numbersOf(kind: 'user' | 'group', who: AccountName, accounts: Accounts | undefined): readonly number[] {
  if ('id' in who) return [who.id]
  return (kind === 'user' ? accounts?.uidsOf(who.name) : accounts?.gidsOf(who.name)) ?? []
}

function factKey(fact: Fact): string {
  const value =
    fact.kind === 'path'
      ? JSON.stringify(formOf(fact.pattern.text), (_, part: unknown) =>
          part instanceof Uint8Array ? keyOf(part) : part,
        )
      : fact.kind === 'word'
        ? keyOf(fact.bytes)
        : fact.numbers.join()
  return `${fact.what} ${value}`
}

interface KeptEntry {
  readonly id: RuleId
  readonly deny: boolean
  readonly rank: string
  readonly needed: bigint
}

/** Entries and facts of the rules of one kind. */
class SaidTable {
  readonly #kind: number
  readonly #rules: { id: RuleId; byDefault: boolean; byTarget: boolean }[] = []
  readonly #entries: KeptEntry[] = []
  readonly #facts = new Map<string, Fact>()

  constructor(kind: number) {
    this.#kind = kind
  }

  /** Whole or not at all; false: there is no room for it. */
  add(
    id: RuleId,
    rule: SaidRule,
    entries: readonly (Entry<unknown> & { facts: readonly Fact[]; path: PathPattern | undefined })[],
  ): boolean {
    const fresh = new Map(entries.flatMap(({ facts }) => facts.map((fact) => [factKey(fact), fact])))
    const factsCount = new Set([...this.#facts.keys(), ...fresh.keys()]).size
    if (factsCount > SAID_MAX || this.#entries.length + entries.length > SAID_MAX) return false
    for (const [key, fact] of fresh) if (!this.#facts.has(key)) this.#facts.set(key, fact)
    const keys = [...this.#facts.keys()]
    for (const { facts, path, deny, isException } of entries) {
      const needed = facts.reduce((set, fact) => set | (1n << BigInt(keys.indexOf(factKey(fact)))), 0n)
      const rank = isException ? EXEMPT : `${facts.length}${path === undefined ? '' : pathRank(pathOf(path.text))}`
      this.#entries.push({ id, deny, rank, needed })
    }
    const byTarget = rule.kind === 'mount' && namesOnlyTargets(rule)
    this.#rules.push({ id, byDefault: rule.allow !== undefined, byTarget })
    return true
  }

  build(bitOf: (id: RuleId) => bigint) {
    const mask = (wanted: (rule: { byDefault: boolean; byTarget: boolean }) => boolean) =>
      this.#rules.reduce((sum, rule) => (wanted(rule) ? sum | bitOf(rule.id) : sum), 0n)
    const ordered = [...this.#entries].sort(
      (a, b) => (a.rank < b.rank ? 1 : a.rank > b.rank ? -1 : 0) || Number(b.deny) - Number(a.deny),
    )
    const texts = { exact: new Texts(), base: new Texts(), prefix: new Texts() }
    const numbers = new Map<string, { what: number; number: number; said: bigint }>()
    for (const [at, fact] of [...this.#facts.values()].entries()) {
      const bit = 1n << BigInt(at)
      if (fact.kind === 'word') texts.exact.add(fact.what, fact.bytes, bit)
      else if (fact.kind === 'path') addPath(texts, fact.what, fact.pattern, bit)
      else
        for (const number of fact.numbers) {
          const key = `${fact.what} ${number}`
          numbers.set(key, { what: fact.what, number, said: (numbers.get(key)?.said ?? 0n) | bit })
        }
    }
    const prefix = texts.prefix.entries()
    return {
      exact: texts.exact.entries(),
      base: texts.base.entries(),
      prefix: prefix.map((one) => ({ ...one, said: withShorter(one, prefix) })),
      numbers: [...numbers.values()],
      rules: {
        kind: this.#kind,
        rules: mask(() => true),
        byDefault: mask(({ byDefault }) => byDefault),
        byTarget: mask(({ byTarget }) => byTarget),
        entries: ordered.map(({ id, deny, needed }) => ({
          needed,
          rule: bitOf(id),
          violated: deny ? bitOf(id) : 0n,
        })),
      },
    }
  }
}

function addPath(
  texts: { exact: Texts; base: Texts; prefix: Texts },
  what: number,
  { text }: PathPattern,
  bit: bigint,
): void {
  const form = formOf(text)
  if (form === undefined) throw new RangeError(`no form of ${text}`)
  if (form.kind === 'all') texts.prefix.add(what, new Uint8Array(), bit)
  else {
    texts[form.kind].add(what, form.bytes, bit)
    // `DIR/**` also matches DIR itself, which the prefix `DIR/` does not
    if (form.kind === 'prefix') texts.exact.add(what, form.bytes.subarray(0, -1), bit)
  }
}

/** What holds of a folder holds of those below it. */
function withShorter(own: SaidText, all: readonly SaidText[]): bigint {
  const key = keyOf(own.bytes)
  return all.reduce(
    (said, other) => (other.what === own.what && key.startsWith(keyOf(other.bytes)) ? said | other.said : said),
    0n,
  )
}

class Texts {
  readonly #texts = new Map<string, SaidText>()

  add(what: number, bytes: Uint8Array, bit: bigint): void {
    const key = `${what} ${keyOf(bytes)}`
    this.#texts.set(key, { what, bytes, said: (this.#texts.get(key)?.said ?? 0n) | bit })
  }

  entries(): SaidText[] {
    return [...this.#texts.values()]
  }
}
