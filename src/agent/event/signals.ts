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

/** Those whose default is nothing, to stop or to go on; 0 only asks whether the process is there. */
const SPARING: ReadonlySet<number> = new Set(
  (['SIGCHLD', 'SIGCONT', 'SIGURG', 'SIGWINCH', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU'] as const).map(
    (name) => constants.signals[name],
  ),
)

/** Does a process that handles it in no way end by it? */
export function isTerminating(number: number): boolean {
  return number > 0 && !SPARING.has(number)
}
