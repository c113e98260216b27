/**
 * One agent a host: an advisory lock on a file that goes with the process, however that ends. The file holds the pid for the
 * message that the second agent prints.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { loadAddon } from '../../sensor/addon.js'
import { HullguardError, messageOf } from '../../telemetry/errors.js'

const isErrno = (error: unknown): error is NodeJS.ErrnoException => error instanceof Error && 'code' in error

/** Returns the release. Throws HullguardError second_agent; not_permitted or data_dir_unusable when the file cannot be made. */
export function lockHost(file: string): () => void {
  let fd: number
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 })
    fd = openSync(file, 'a+', 0o644)
  } catch (error) {
    const isForbidden = process.getuid?.() !== 0 && isErrno(error) && error.code === 'EACCES'
    throw new HullguardError(
      isForbidden ? 'not_permitted' : 'data_dir_unusable',
      isForbidden
        ? `only root may watch this host: the lock file ${file} cannot be made`
        : `cannot make the lock file ${file}: ${messageOf(error)}`,
      { cause: error },
    )
  }
  if (loadAddon().lockFile(fd) !== 0) {
    closeSync(fd)
    const holder = readFileSync(file, 'utf8').trim()
    throw new HullguardError(
      'second_agent',
      `an agent is already watching this host (pid ${holder || 'unknown'}, lock ${file})`,
    )
  }
  ftruncateSync(fd)
  writeSync(fd, `${process.pid}\n`)
  return () => closeSync(fd)
}
