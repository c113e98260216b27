/**
 * What rules have to see of acts on files, as far as the kernel can tell them apart: how a path begins, what is done, and whether
 * it failed.
 */
import { FILE_ACCESS, FILE_ACCESSES, type FileAccess, type FileRule } from '../policy/model.js'
import { type ParsedPath, pathOf } from '../policy/path-pattern.js'
import { ACTS_OF_ACCESS, type FileAct, NAMED_ACTS, type NamedAct } from './file-acts.js'
import { fileDefaults } from './file-rules.js'
import { isCatchAll } from './specificity.js'

/** Each open is of one kind. */
export const OPEN_KINDS = ['read', 'write', 'read_write', 'neither', 'failed'] as const
export type OpenKind = (typeof OPEN_KINDS)[number]

/**
 * The classes of acts that are told apart: each act is of exactly one, so sets of classes, as masks of `bit`, are joined and cut as
 * conditions are.
 */
export interface OpenClass {
  readonly kind: OpenKind
  /** The file was to be made if it was not there. */
  readonly creates: boolean
  /** The path as the call gave it holds `..`. */
  readonly hasDotDot: boolean
  readonly bit: number
}

export const OPEN_CLASSES: readonly OpenClass[] = OPEN_KINDS.flatMap((kind) =>
  [false, true].flatMap((creates) => [false, true].map((hasDotDot) => ({ kind, creates, hasDotDot }))),
).map((each, index) => ({ ...each, bit: 1 << index }))

/** An act other than an open that succeeded. */
export interface DoneClass {
  readonly act: NamedAct
  readonly bit: number
}

export const DONE_CLASSES: readonly DoneClass[] = NAMED_ACTS.map((act, index) => ({
  act,
  bit: 1 << (OPEN_CLASSES.length + index),
}))
/** One that failed, whatever it was: more kinds than these leave no bit for each. */
export const ACT_FAILED = 1 << (OPEN_CLASSES.length + DONE_CLASSES.length)

function setOf(holds: (each: OpenClass) => boolean): number {
  return OPEN_CLASSES.filter(holds).reduce((mask, { bit }) => mask | bit, 0)
}

export const OPEN_ALL = setOf(() => true)
/** It can be read, by itself or beside being written. */
export const OPEN_READ = setOf(({ kind }) => kind === 'read' || kind === 'read_write')
export const OPEN_WRITE = setOf(({ kind }) => kind === 'write' || kind === 'read_write')
export const OPEN_CREATE = setOf(({ kind, creates }) => kind !== 'failed' && creates)
/** It failed, whatever it asked for. */
export const OPEN_FAILED = setOf(({ kind }) => kind === 'failed')
export const OPEN_DOTDOT = setOf(({ hasDotDot }) => hasDotDot)

const DONE_ALL = DONE_CLASSES.reduce((mask, { bit }) => mask | bit, 0)
export const ACTS_ALL = OPEN_ALL | DONE_ALL | ACT_FAILED
export const ACTS_FAILED = OPEN_FAILED | ACT_FAILED

/** Those of one kind of act, failed ones too. */
export function classesOfAct(act: FileAct): number {
  return act === 'open' ? OPEN_ALL : doneOf(act) | ACT_FAILED
}

function doneOf(act: NamedAct): number {
  return DONE_CLASSES.find((each) => each.act === act)?.bit ?? 0
}

export interface PlaceWant {
  /** Of the resolved path, a character a byte (Latin-1); empty: every path. */
  readonly prefix: string
  /** The second path of the act is meant (of a rename, the new name), not the first. */
  readonly isSecond?: boolean
  /** Set of classes: it is wanted when it is of one of them. */
  readonly classes: number
  /** Longer beginnings, with which the path is not wanted all the same. */
  readonly except?: readonly string[]
}

const SLASH = '/'
/** Entries times folders of a rule. Beyond it the folders count for what no entry names alone. */
const CUTS_MAX_COUNT = 200_000

/** A folder with all below it, of which the rule is sure: an entry of `allow`, or an exception. */
interface Folder {
  /** Ends in a slash. */
  readonly dir: string
  readonly componentsCount: number
  readonly isException: boolean
}

/** Acts that may violate the rule, each path of theirs by itself. A call that failed violates none. */
export function placesOfFileRule(rule: FileRule): PlaceWant[] {
  const denied = rule.deny.flatMap(({ text, access }) => {
    const path = pathOf(text)
    return isCatchAll(path) ? [] : [{ prefix: literalPrefix(path), literalsCount: leadingLiterals(path), access }]
  })
  const wants = new Map<string, PlaceWant>()
  for (const name of FILE_ACCESSES) {
    const access = FILE_ACCESS[name]
    const folders = foldersOf(rule, access)
    const isCut = folders.length * denied.length <= CUTS_MAX_COUNT
    const classes = classesOf(access)
    if ((fileDefaults(rule) & access) !== 0) add(wants, { prefix: '', classes, except: folders.map(({ dir }) => dir) })
    for (const entry of denied) {
      if ((entry.access & access) === 0) continue
      if (folders.some(({ dir, isException }) => isException && entry.prefix.startsWith(dir))) continue
      const stronger = isCut ? folders.filter((folder) => isStronger(folder, entry)) : []
      add(wants, { prefix: entry.prefix, classes, except: stronger.map(({ dir }) => dir) })
    }
  }
  return [...wants.values()]
}

function add(wants: Map<string, PlaceWant>, want: PlaceWant): void {
  const key = [want.prefix, ...(want.except ?? [])].join('\0')
  wants.set(key, { ...want, classes: (wants.get(key)?.classes ?? 0) | want.classes })
}

/** Of what the entry is about, does the folder decide wherever it is the path's? Its name is literal where the entry has a pattern. */
function isStronger(
  { dir, componentsCount, isException }: Folder,
  { prefix, literalsCount }: { prefix: string; literalsCount: number },
): boolean {
  return dir.startsWith(prefix) && (isException || literalsCount < componentsCount)
}

function foldersOf({ allow, exceptions }: FileRule, access: number): Folder[] {
  const entries = [
    ...(allow ?? []).map((entry) => ({ ...entry, isException: false })),
    ...exceptions.flatMap(({ match, condition }) =>
      condition === undefined ? match.map((entry) => ({ ...entry, isException: true })) : [],
    ),
  ]
  return entries.flatMap((entry) => {
    if ((entry.access & access) === 0) return []
    const path = pathOf(entry.text)
    const componentsCount = leadingLiterals(path)
    const isFolder =
      path.rooted && componentsCount === path.components.length - 1 && path.components.at(-1)?.kind === 'deep'
    return isFolder ? [{ dir: `${literalPrefix(path)}/`, componentsCount, isException: entry.isException }] : []
  })
}

function leadingLiterals({ components }: ParsedPath): number {
  const at = components.findIndex(({ kind }) => kind !== 'literal')
  return at === -1 ? components.length : at
}

const OPENS_OF_ACCESS: Readonly<Partial<Record<FileAccess, number>>> = {
  read: OPEN_READ,
  write: OPEN_WRITE,
  create: OPEN_CREATE,
}

function classesOf(fileAccess: number): number {
  return FILE_ACCESSES.filter((access) => (fileAccess & FILE_ACCESS[access]) !== 0).reduce(
    (mask, access) =>
      ACTS_OF_ACCESS[access].reduce((acts, act) => acts | doneOf(act), mask | (OPENS_OF_ACCESS[access] ?? 0)),
    0,
  )
}

/** What every path begins with that the pattern matches. */
function literalPrefix({ rooted, components }: ParsedPath): string {
  if (!rooted) return ''
  let prefix = ''
  for (const component of components) {
    if (component.kind === 'deep') return prefix // the folder itself too
    prefix += SLASH
    if (component.kind === 'star') return prefix
    if (component.kind === 'literal') prefix += Buffer.from(component.bytes).toString('latin1')
    else
      for (const token of component.tokens) {
        if (token.kind !== 'byte') return prefix
        prefix += String.fromCharCode(token.byte)
      }
  }
  return prefix
}
