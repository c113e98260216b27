/** Run times of the BPF programs that a process holds, as the kernel sums them up while somebody asks it to. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runOk } from '../../test/support/process.js'

export interface ProgramTimes {
  program: string
  runNs: number
  runsCount: number
}

interface ShownProgram {
  id: number
  name?: string
  run_time_ns?: number
  run_cnt?: number
}

/** By program id. Needs bpftool. */
export async function programTimes(pid: number): Promise<Map<number, ProgramTimes>> {
  const own = programIds(pid)
  const shown = JSON.parse(await runOk('bpftool', ['--json', 'prog', 'show'])) as ShownProgram[]
  return new Map(
    shown
      .filter(({ id }) => own.has(id))
      .map(({ id, name, run_time_ns, run_cnt }) => [
        id,
        { program: name ?? `${id}`, runNs: run_time_ns ?? 0, runsCount: run_cnt ?? 0 },
      ]),
  )
}

function programIds(pid: number): Set<number> {
  const dir = `/proc/${pid}/fdinfo`
  return new Set(
    readdirSync(dir).flatMap((fd) => {
      try {
        const id = /^prog_id:\s*(\d+)$/m.exec(readFileSync(join(dir, fd), 'utf8'))?.[1]
        return id === undefined ? [] : [Number(id)]
      } catch {
        return [] // closed meanwhile
      }
    }),
  )
}
