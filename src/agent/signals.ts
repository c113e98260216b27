/** Names of Linux signals by number, from the platform's own table; real-time signals as SIGRTMIN+n. */
import { constants } from 'node:os'

const NAMES = new Map<number, string>()
for (const [name, number] of Object.entries(constants.signals)) if (!NAMES.has(number)) NAMES.set(number, name)
/** SIGRTMIN of the kernel; the C library keeps the first two for itself. */
const KERNEL_SIGRTMIN = 32

export function signalName(number: number): string {
  if (number === 0) return ''
  return NAMES.get(number) ?? (number >= KERNEL_SIGRTMIN ? `SIGRTMIN+${number - KERNEL_SIGRTMIN}` : `SIG${number}`)
}
