/**
 * Reads of small state files that runtimes write. Synchronous, for use when a cgroup is made or at start, never for an
 * event. Refuses what is no regular file, what is longer than the bound and, where asked, what another user owns: a hostile
 * user may put a FIFO, a link or a huge file where a rootless runtime's state is expected.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { errnoOf } from '../telemetry/errors.js'

/** runc's state.json is about 35 kB, a container's config.v2.json about 4 kB; labels and environment can make them larger. */
export const STATE_FILE_LIMIT_BYTES = 4 * 1024 * 1024

/** `absent`: there is none. `unreadable`: there is one, but not one that can be used. */
export type FileText = { readonly text: string } | 'absent' | 'unreadable'

export function readBounded(path: string, limitBytes = STATE_FILE_LIMIT_BYTES, ownerUid?: number): FileText {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch (error) {
    const errno = errnoOf(error)
    return errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ESRCH' ? 'absent' : 'unreadable'
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile() || stat.size > limitBytes) return 'unreadable'
    if (ownerUid !== undefined && stat.uid !== ownerUid) return 'unreadable'
    // Files of procfs and cgroupfs say size 0, so the size is only a first guess; the bound holds for what is read.
    let buffer = Buffer.allocUnsafe(Math.max(stat.size + 1, 4096))
    let filledBytes = 0
    for (;;) {
      const gotBytes = readSync(fd, buffer, filledBytes, buffer.length - filledBytes, null)
      if (gotBytes === 0) break
      filledBytes += gotBytes
      if (filledBytes > limitBytes) return 'unreadable'
      if (filledBytes === buffer.length) buffer = Buffer.concat([buffer], Math.min(buffer.length * 2, limitBytes + 1))
    }
    return { text: buffer.toString('utf8', 0, filledBytes) }
  } catch (error) {
    return errnoOf(error) === 'ESRCH' ? 'absent' : 'unreadable'
  } finally {
    closeSync(fd)
  }
}
