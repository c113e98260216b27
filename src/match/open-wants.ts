/** What rules have to see of opens, as far as the kernel can tell them apart: how the path begins, and what was asked for. */
import { FILE_ACCESS, type FileRule } from '../policy/model.js'
import { type ParsedPath, pathOf } from '../policy/path-pattern.js'
import { fileDefaults } from './file-rules.js'
import { isCatchAll } from './specificity.js'

export const OPEN_READ = 1
export const OPEN_WRITE = 2
/** The file was to be made if it was not there. */
export const OPEN_CREATE = 4
/** It failed, whatever it asked for. */
export const OPEN_FAILED = 8
/** It succeeded and can neither read nor write (O_PATH). */
export const OPEN_NEITHER = 16
export const OPEN_ALL = 31

export interface OpenWant {
  /** Of the resolved path, a character a byte (Latin-1); empty: every path. */
  readonly prefix: string
  /** OPEN_ bits: it is wanted when any of them was asked for. */
  readonly access: number
}

const SLASH = '/'

/** Opens that may violate the rule. A call that failed violates none. */
export function opensOfFileRule(rule: FileRule): OpenWant[] {
  const wants: OpenWant[] = [{ prefix: '', access: openAccess(fileDefaults(rule)) }]
  for (const { text, access } of rule.deny) {
    const path = pathOf(text)
    if (!isCatchAll(path)) wants.push({ prefix: literalPrefix(path), access: openAccess(access) })
  }
  return wants.filter(({ access }) => access !== 0)
}

function openAccess(fileAccess: number): number {
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
