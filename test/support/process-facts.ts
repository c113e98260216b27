/** What /proc says of a process, in the form of the events. */
import { readFileSync } from 'node:fs'

export function capabilitiesOf(pid: number): { capPermitted: bigint; capEffective: bigint; capInheritable: bigint } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const read = (key: string) => BigInt(`0x${new RegExp(`^${key}:\\s*(\\w+)`, 'm').exec(status)?.[1] ?? ''}`)
  return { capPermitted: read('CapPrm'), capEffective: read('CapEff'), capInheritable: read('CapInh') }
}

/** 0xffffffff: nobody logged in, or a kernel without audit. */
export function loginuidOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/loginuid`, 'latin1'))
  } catch {
    return 0xffffffff
  }
}
