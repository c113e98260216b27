/** What is done to a file by which kind of act: one table for the rules' side and for the probes'. */
import type { FileAccess } from '../policy/model.js'
import type { CallKind } from '../record/call-model.js'

/** Acts on files that are found by their paths. */
export const FILE_ACTS = [
  ...(['open', 'unlink', 'rename', 'link', 'symlink', 'chmod', 'chown', 'mkdir', 'rmdir', 'truncate'] as const),
] as const satisfies readonly CallKind[]
export type FileAct = (typeof FILE_ACTS)[number]
/** An open is many things by itself: see place-wants.ts. */
export type NamedAct = Exclude<FileAct, 'open'>

export const NAMED_ACTS: readonly NamedAct[] = FILE_ACTS.filter((act) => act !== 'open')

/** Beside opens, which may read, write and create. */
export const ACTS_OF_ACCESS: Readonly<Record<FileAccess, readonly NamedAct[]>> = {
  read: [],
  write: ['truncate'],
  create: ['mkdir', 'symlink'],
  delete: ['unlink', 'rmdir'],
  rename: ['rename'],
  link: ['link'],
  chmod: ['chmod'],
  chown: ['chown'],
}

/** What an open may do to its file. */
export const OPEN_ACCESSES: readonly FileAccess[] = ['read', 'write', 'create']

export function isFileAct(kind: string): kind is FileAct {
  return FILE_ACTS.some((act) => act === kind)
}
