/**
 * What the guests said of their kernels, kept for docs/kernels.md: with HULLGUARD_KERNEL_RESULTS=FILE each boot's facts, rungs
 * and acts are put into that file (docs/kernels.json is the committed one; scripts/generate-kernels.mjs makes the page of it).
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

interface Report {
  kernel: string
  lsm: readonly string[]
  lockdown: string
  fault: string
  events: readonly unknown[]
}

export function noteKernel(name: string, said: readonly Record<string, unknown>[]): void {
  const file = process.env.HULLGUARD_KERNEL_RESULTS
  if (file === undefined) return
  const doctor = said.find((line) => 'doctor' in line)?.doctor as Report | undefined
  if (doctor === undefined) throw new Error(`${name}: the guest printed no report`)
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>) : {}
  const { kernel, lsm, lockdown, fault, events } = doctor
  known[name] = {
    kernel,
    lsm,
    lockdown,
    fault,
    events,
    acts: said.filter((line) => 'act' in line),
    verifier: countsOf(said),
  }
  writeFileSync(file, `${JSON.stringify(known, null, 2)}\n`)
}

/** Instructions that the verifier walked, by program; empty where nothing was loaded. */
export function countsOf(said: readonly Record<string, unknown>[]): Record<string, number> {
  const counts = said.find((line) => 'verifier' in line)?.verifier as [string, number][] | undefined
  return Object.fromEntries(counts ?? [])
}
