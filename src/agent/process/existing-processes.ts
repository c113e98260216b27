/**
 * The processes that were there before the agent: identity from the kernel's iterator, arguments and working directory of
 * watched processes from /proc. Never over what events have told since. A process that ends meanwhile is left as it is.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import type { TaskSnapshot } from '../../sensor/iterators.js'
import { ProcessImage } from './image.js'
import type { ProcessTable } from './process-table.js'

/** As much as an exec event carries. */
const ARGS_MAX_BYTES = 32 * 1024

/** How the agent stands to the processes of a cgroup. */
export interface Standing {
  /** They are watched for sure: arguments and directory are read too. */
  isConfirmed: (cgroupId: bigint) => boolean
  /** What they execute is reported. */
  isReported: (cgroupId: bigint) => boolean
  nowBootNs: bigint
}

/** A process so young may be about to execute something, which nobody reports where its cgroup is not watched. */
const SETTLED_NS = 1_000_000_000n

export function readExistingProcesses(
  tasks: readonly TaskSnapshot[],
  processes: ProcessTable,
  { isConfirmed, isReported, nowBootNs }: Standing,
): void {
  for (const task of tasks) {
    if (processes.find(task.pid, task.startNs) !== undefined) continue
    const isRead = isConfirmed(task.cgroupId)
    if (!isReported(task.cgroupId) && nowBootNs - task.startNs < SETTLED_NS) continue
    const args = isRead ? readArguments(task.pid) : []
    const cwd = isRead ? readCwd(task.pid) : ''
    const { comm, exe, vpid } = task
    processes.set({
      pid: task.pid,
      startNs: task.startNs,
      parentPid: task.parentPid,
      parentStartNs: task.parentStartNs,
      exe,
      invoked: exe,
      args,
      cwd,
      uid: task.uid,
      gid: task.gid,
      phase: 'run',
      vpid,
      facts: task,
      image: ProcessImage.ofTexts({ comm, exe, cwd, args }),
    })
  }
}

function readArguments(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/cmdline`).subarray(0, ARGS_MAX_BYTES).toString('utf8')
    return text === '' ? [] : text.replace(/\0$/, '').split('\0')
  } catch {
    return []
  }
}

function readCwd(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}
