/**
 * What rules have to see of acts on files, as far as the kernel can tell them apart: how a path begins, what is done, and whether
 * it failed.
 */
import { FILE_ACCESS, FILE_ACCESSES, type FileRule } from '../policy/model.js'
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
}

const SLASH = '/'

/** Acts that may violate the rule, each path of theirs by itself. A call that failed violates none. */
export function placesOfFileRule(rule: FileRule): PlaceWant[] {
  const wants: PlaceWant[] = [{ prefix: '', classes: classesOf(fileDefaults(rule)) }]
  for (const { text, access } of rule.deny) {
    const path = pathOf(text)
    if (!isCatchAll(path)) wants.push({ prefix: literalPrefix(path), classes: classesOf(access) })
  }
  return wants.filter(({ classes }) => classes !== 0)
}

const OPENS_OF_ACCESS: Readonly<Partial<Record<string, number>>> = {
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
