/**
 * File rules -> exact, prefix and base-name entries, each with its result by access. What the tables say of a path is: the exact
 * entry, or else the longest prefix (both resolved for all entries with a root); where these leave a rule undecided, the base
 * name; then the rule's default for the access. That is the order of src/match/file-rules.ts for the forms that are lowered.
 */
import { accessesOf, fileDefaults } from '../match/file-rules.js'
import type { RuleId } from '../match/types.js'
import { FILE_ACCESS_ALL, type FilePattern, type FileRule } from '../policy/model.js'
import { quoted } from '../policy/visible-text.js'
import { FILE_ACCESSES } from '../sensor/generated/abi.js'
import { formOf, keyOf, whyNotPaths } from './lower-path.js'

const SLASH = 0x2f

/** Masks of rules, by bit of FILE_ACCESS. */
export interface FileResult {
  /** Rules that this entry answers for. */
  readonly decided: readonly bigint[]
  /** Of decided, those that a path found here violates. */
  readonly violated: readonly bigint[]
}

export interface FileMaps {
  readonly fileExact: readonly (FileResult & { readonly path: Uint8Array })[]
  /** Longest first match of the bytes of a path and a slash: `DIR/**` also matches DIR itself. Each ends in `/`. */
  readonly filePrefix: readonly (FileResult & { readonly dir: Uint8Array })[]
  /** By the last component of a path. */
  readonly fileBase: readonly (FileResult & { readonly name: Uint8Array })[]
  /** Rules that are violated where no entry decides. */
  readonly fileDefault: readonly bigint[]
}

interface Entry {
  readonly bit: bigint
  readonly access: number
  readonly deny: boolean
  /** Longer bytes of the folder, or of the path itself, are more specific. */
  readonly specificity: number
  readonly namedCount: number
  readonly isException: boolean
}

type Entries = Map<string, Entry[]>

/** A reason why the rule stays in user space, or undefined. */
export function whyNotFile(rule: FileRule): string | undefined {
  if (rule.exceptions.some(({ condition }) => condition !== undefined)) return 'an exception of it is a condition'
  const excepted = rule.exceptions.flatMap(({ match }) => match)
  const unrooted = excepted.find(({ text }) => ['all', 'base'].includes(formOf(text)?.kind ?? ''))
  if (unrooted !== undefined) return `an exception of it is not a path from the root: ${quoted(unrooted.text)}`
  return whyNotPaths([...(rule.allow ?? []), ...rule.deny, ...excepted])
}

/** The accesses that can violate the rule. */
export function violatingAccesses(rule: FileRule): number {
  return fileDefaults(rule) | rule.deny.reduce((mask, { access }) => mask | access, 0)
}

export function lowerFile(rules: readonly { id: RuleId; rule: FileRule }[], bitOf: (id: RuleId) => bigint): FileMaps {
  const own = {
    exact: new Map<string, Entry[]>(),
    prefix: new Map<string, Entry[]>(),
    base: new Map<string, Entry[]>(),
  }
  for (const { id, rule } of rules)
    for (const { pattern, deny, isException } of entriesOf(rule)) {
      const form = formOf(pattern.text)
      if (form === undefined || form.kind === 'all') continue
      const { access, namedCount } = pattern
      // a literal path beats `PATH/**`, which is a byte longer
      const specificity = form.bytes.length + (form.kind === 'exact' ? 2 : 0)
      put(own[form.kind], form.bytes, { bit: bitOf(id), access, deny, specificity, namedCount, isException })
    }
  return {
    fileExact: [...own.exact].map(([key, entries]) => ({
      path: bytesOf(key),
      ...resolve([...entries, ...foldersOf(`${key}/`, own.prefix)]),
    })),
    filePrefix: [...own.prefix.keys()].map((key) => ({
      dir: bytesOf(key),
      ...resolve(foldersOf(key, own.prefix)),
    })),
    fileBase: [...own.base].map(([key, entries]) => ({ name: bytesOf(key), ...resolve(entries) })),
    fileDefault: byAccess((access) =>
      rules.reduce((mask, { id, rule }) => (fileDefaults(rule) & access ? mask | bitOf(id) : mask), 0n),
    ),
  }
}

/** The accesses that the rule is about and no hook can refuse, of those that are refused here. */
export function accessesLeft(rule: FileRule, refused: number): number {
  return accessesOf(rule) & violatingAccesses(rule) & ~refused & FILE_ACCESS_ALL
}

function entriesOf(rule: FileRule): { pattern: FilePattern; deny: boolean; isException: boolean }[] {
  return [
    ...(rule.allow ?? []).map((pattern) => ({ pattern, deny: false, isException: false })),
    ...rule.deny.map((pattern) => ({ pattern, deny: true, isException: false })),
    ...rule.exceptions.flatMap(({ match }) => match.map((pattern) => ({ pattern, deny: false, isException: true }))),
  ]
}

function put(entries: Entries, bytes: Uint8Array, entry: Entry): void {
  const key = keyOf(bytes)
  const present = entries.get(key)
  if (present === undefined) entries.set(key, [entry])
  else present.push(entry)
}

/** The entries of a folder (its key ends in `/`) and of those around it. */
function foldersOf(dir: string, prefixes: Entries): Entry[] {
  const found: Entry[] = []
  for (let length = dir.length; length > 0; length--)
    if (dir.charCodeAt(length - 1) === SLASH) found.push(...(prefixes.get(dir.slice(0, length)) ?? []))
  return found
}

/** Of each rule and access the most specific entry that speaks of it. */
function resolve(entries: readonly Entry[]): FileResult {
  const ordered = [...entries].sort(
    (a, b) =>
      Number(b.isException) - Number(a.isException) ||
      b.specificity - a.specificity ||
      b.namedCount - a.namedCount ||
      Number(b.deny) - Number(a.deny),
  )
  const decided = byAccess(() => 0n)
  const violated = byAccess(() => 0n)
  for (const { bit, access, deny } of ordered)
    for (let at = 0; at < FILE_ACCESSES; at++) {
      const known = decided[at] ?? 0n
      if (((access >>> at) & 1) === 0 || (known & bit) !== 0n) continue
      decided[at] = known | bit
      if (deny) violated[at] = (violated[at] ?? 0n) | bit
    }
  return { decided, violated }
}

function byAccess(maskOf: (access: number) => bigint): bigint[] {
  return Array.from({ length: FILE_ACCESSES }, (_, bit) => maskOf(1 << bit))
}

function bytesOf(key: string): Uint8Array {
  return Uint8Array.from(Buffer.from(key, 'latin1'))
}
