/**
 * Files and folders of policies -> bytes. A folder stands for its *.yaml and *.yml, sorted by name, without hidden files
 * and without subfolders. Reads no more than the bound of a file, never blocks on a pipe or device; what cannot be read is
 * a diagnostic.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoOf, messageOf } from '../telemetry/errors.js'
import { type Diagnostic, diagnosticOf } from './diagnostics.js'
import { type LoadResult, loadPolicies, type PolicyInput } from './load.js'
import { POLICY_FILE_MAX_BYTES } from './yaml-source.js'

/** As many files as policies can be in force. */
const FILES_MAX_COUNT = 1024

export interface ReadResult {
  readonly inputs: readonly PolicyInput[]
  readonly diagnostics: readonly Diagnostic[]
}

/** A file named twice (also through a link) is read once. */
export async function readPolicyPaths(paths: readonly string[]): Promise<ReadResult> {
  const inputs: PolicyInput[] = []
  const diagnostics: Diagnostic[] = []
  const seen = new Set<string>()
  for (const path of paths) {
    for (const file of await filesOf(path, diagnostics)) {
      const real = await realpath(file).catch(() => file)
      if (seen.has(real)) continue
      seen.add(real)
      if (seen.size > FILES_MAX_COUNT) {
        diagnostics.push(fault('policy_limit', file, `more than ${FILES_MAX_COUNT} policy files`))
        return { inputs, diagnostics }
      }
      const bytes = await readBounded(file, diagnostics)
      if (bytes !== undefined) inputs.push({ file, bytes })
    }
  }
  return { inputs, diagnostics }
}

/** Exceptions that have expired by now are warned of. */
export async function loadPolicyPaths(paths: readonly string[]): Promise<LoadResult> {
  const { inputs, diagnostics } = await readPolicyPaths(paths)
  return loadPolicies(inputs, diagnostics, { include: readInclude, nowMs: Date.now() })
}

/** A file that a policy includes, relative to the one that names it. A text is the reason why it cannot be read. */
export function readInclude(from: string, name: string): { file: string; bytes: Uint8Array } | string {
  const file = join(dirname(from), name)
  try {
    // O_NONBLOCK: opening a FIFO without a writer would wait for ever
    const handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      if (!fstatSync(handle).isFile()) return 'it is not a regular file'
      const buffer = new Uint8Array(POLICY_FILE_MAX_BYTES + 1)
      let length = 0
      for (;;) {
        const count = readSync(handle, buffer, length, buffer.length - length, null)
        if (count === 0) return { file, bytes: buffer.slice(0, length) }
        length += count
        if (length > POLICY_FILE_MAX_BYTES) return `it has more than ${POLICY_FILE_MAX_BYTES} bytes`
      }
    } finally {
      closeSync(handle)
    }
  } catch (error) {
    return reasonOf(error)
  }
}

async function filesOf(path: string, diagnostics: Diagnostic[]): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = (await readdir(path)).filter((name) => /\.ya?ml$/.test(name) && !name.startsWith('.')).sort()
    if (names.length === 0)
      diagnostics.push(fault('policy_empty', path, 'the folder holds no *.yaml and no *.yml', 'warning'))
    return names.map((name) => join(path, name))
  } catch (error) {
    diagnostics.push(fault('policy_unreadable', path, reasonOf(error)))
    return []
  }
}

async function readBounded(file: string, diagnostics: Diagnostic[]): Promise<Uint8Array | undefined> {
  try {
    // O_NONBLOCK: opening a FIFO without a writer would wait for ever
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      return await readHandle(handle, file, diagnostics)
    } finally {
      await handle.close()
    }
  } catch (error) {
    diagnostics.push(fault('policy_unreadable', file, reasonOf(error)))
    return undefined
  }
}

async function readHandle(
  handle: FileHandle,
  file: string,
  diagnostics: Diagnostic[],
): Promise<Uint8Array | undefined> {
  const status = await handle.stat()
  if (!status.isFile()) {
    diagnostics.push(
      fault('policy_unreadable', file, status.isDirectory() ? 'it is a folder' : 'it is not a regular file'),
    )
    return undefined
  }
  // one byte more than the bound tells a file that is too large, whatever stat said
  const buffer = new Uint8Array(POLICY_FILE_MAX_BYTES + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
    if (bytesRead === 0) return buffer.slice(0, length)
    length += bytesRead
  }
  const sizeBytes = Math.max(status.size, length)
  diagnostics.push(
    fault('policy_too_large', file, `the file has ${sizeBytes} bytes, more than ${POLICY_FILE_MAX_BYTES}`),
  )
  return undefined
}

function reasonOf(error: unknown): string {
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file or folder',
    EACCES: 'no permission to read it',
    ENOTDIR: 'a part of the path is not a folder',
    ELOOP: 'the path goes through too many links',
  }
  return reasons[errnoOf(error) ?? ''] ?? messageOf(error)
}

function fault(
  name: 'policy_unreadable' | 'policy_too_large' | 'policy_limit' | 'policy_empty',
  file: string,
  message: string,
  severity: 'error' | 'warning' = 'error',
): Diagnostic {
  return diagnosticOf(name, severity, { file, line: 1, column: 1, lengthCount: 1 }, message)
}
