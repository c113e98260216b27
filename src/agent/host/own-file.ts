/** Whether a process in a foreign root runs the container's own file, asked of the live host. */
import type { Identity } from '../../container/identity.js'
import { loadAddon } from '../../sensor/addon.js'

/** By device and inode. A doubt says no. */
export function isOwnFile(identity: Identity, pid: number, path: string): boolean {
  if (identity.initPid === undefined) return false
  return loadAddon().isSameFileInRoot(`/proc/${identity.initPid}/root`, path, `/proc/${pid}/exe`) === 1
}
