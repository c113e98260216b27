/**
 * Ends one process from user space through a pidfd, which never comes to mean another process. The identity is checked after
 * the pidfd is open: (pid, start time) and the container's cgroup, so neither a reused pid nor a moved process is hit.
 */
import { closeSync, readFileSync } from 'node:fs'
import type { Identity } from '../container/identity.js'
import { loadAddon } from '../sensor/addon.js'

const SIGKILL = 9
const ESRCH = 3
/** USER_HZ of every architecture that is supported: 100 ticks a second (times(2)). */
const NS_PER_TICK = 10_000_000n

export type KillResult = { killed: true } | { killed: false; reason: string }

export function killProcess(
  pid: number,
  startNs: bigint,
  identity: Identity,
  confirm: (identity: Identity, pid: number) => boolean,
): KillResult {
  const addon = loadAddon()
  const fd = addon.pidfdOpen(pid)
  if (fd < 0)
    return { killed: false, reason: fd === -ESRCH ? 'the process had already ended' : `pidfd_open: errno ${-fd}` }
  try {
    const startTicks = readStartTicks(pid)
    if (startTicks === undefined) return { killed: false, reason: 'the process had already ended' }
    if (startTicks !== startNs / NS_PER_TICK) return { killed: false, reason: 'the pid belongs to another process now' }
    if (!confirm(identity, pid))
      return { killed: false, reason: "the process is not in the container's cgroup any more" }
    const sent = addon.pidfdSendSignal(fd, SIGKILL)
    if (sent === 0) return { killed: true }
    return {
      killed: false,
      reason: sent === -ESRCH ? 'the process had already ended' : `pidfd_send_signal: errno ${-sent}`,
    }
  } finally {
    closeSync(fd)
  }
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold anything, also parentheses. */
function readStartTicks(pid: number): bigint | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  const field = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  return field === undefined ? undefined : BigInt(field)
}
