/** What descriptors a process has, and how many more it may have: only ever of a process that the test started. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { runOk, waitFor } from './process.js'

export function descriptorsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/fd`).map(Number)
}

/** Programs that a process has attached: descriptors too. Iterators, which an agent makes when it first reads by them, are none. */
export function hooksCount(pid: number): number {
  return descriptorsOf(pid).filter((fd) => {
    try {
      if (!readlinkSync(`/proc/${pid}/fd/${fd}`).includes('bpf_link')) return false
      return !/^link_type:\s+iter$/m.test(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))
    } catch {
      return false // closed meanwhile
    }
  }).length
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
