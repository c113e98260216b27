/** What rules have to see of opens, as far as the kernel can tell them apart: how the path begins, and what was asked for. */
import { FILE_ACCESS, type FileRule } from '../policy/model.js'
import { type ParsedPath, pathOf } from '../policy/path-pattern.js'
import { fileDefaults } from './file-rules.js'
import { isCatchAll } from './specificity.js'

/** Each open is of one kind. */
export const OPEN_KINDS = ['read', 'write', 'read_write', 'neither', 'failed'] as const
export type OpenKind = (typeof OPEN_KINDS)[number]

/**
 * The classes of opens that are told apart: each open is of exactly one, so sets of classes, as masks of `bit`, are joined and cut as
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

export interface OpenWant {
  /** Of the resolved path, a character a byte (Latin-1); empty: every path. */
  readonly prefix: string
  /** Set of classes: it is wanted when it is of one of them. */
  readonly classes: number
}

const SLASH = '/'

/** Opens that may violate the rule. A call that failed violates none. */
export function opensOfFileRule(rule: FileRule): OpenWant[] {
  const wants: OpenWant[] = [{ prefix: '', classes: classesOf(fileDefaults(rule)) }]
  for (const { text, access } of rule.deny) {
    const path = pathOf(text)
    if (!isCatchAll(path)) wants.push({ prefix: literalPrefix(path), classes: classesOf(access) })
  }
  return wants.filter(({ classes }) => classes !== 0)
}

function classesOf(fileAccess: number): number {
  return (
    (fileAccess & FILE_ACCESS.read ? OPEN_READ : 0) |
    (fileAccess & FILE_ACCESS.write ? OPEN_WRITE : 0) |
    (fileAccess & FILE_ACCESS.create ? OPEN_CREATE : 0)
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
