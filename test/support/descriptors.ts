/** What descriptors a process has, and how many more it may have: only ever of a process that the test started. */
import { readdirSync, readFileSync } from 'node:fs'
import { runOk, waitFor } from './process.js'

export function descriptorsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/fd`).map(Number)
}

/** Leaves it room for so many more descriptors than it has; returns the way back. Needs prlimit. */
export async function leaveDescriptors(pid: number, freeCount: number): Promise<() => Promise<void>> {
  const [, soft = '', hard = ''] =
    /^Max open files +(\d+) +(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8')) ?? []
  const limit = async (softly: number | string) => {
    await runOk('prlimit', ['--pid', String(pid), `--nofile=${softly}:${hard}`])
  }
  await waitFor(`process ${pid} to have the same descriptors for a while`, async () => {
    const used = new Set(descriptorsOf(pid))
    // A new descriptor has the lowest number that is free, which has to be below the limit.
    let bound = 0
    for (let free = 0; free < freeCount || used.has(bound); bound++) if (!used.has(bound)) free++
    await limit(bound)
    // One that was open for a moment only leaves more room than that.
    const now = new Set(descriptorsOf(pid))
    return now.size === used.size && [...now].every((fd) => used.has(fd))
  })
  return () => limit(soft)
}
