/**
 * Stock Debian kernels in qemu (software emulation): boots a kernel into an initramfs (vm-packages.ts, vm-initramfs.ts) and gives
 * back what the guest printed.
 */
import { spawn } from 'node:child_process'
import type { GuestArch } from './vm-packages.js'

/** DESIGN §12: one boot and at most 4 minutes a kernel. */
const BOOT_MAX_MS = 240_000
export const GUEST_DONE = 'HULLGUARD-GUEST-DONE'

/**
 * Without the newest paging and protection features of x86, which old emulators get wrong. Of arm64 the pointers are signed by a
 * simple function: the architecture's own takes the emulator four times as long for the whole run. An x86 kernel that waits for the
 * CPU when it tests its timer finds it broken and gives up: it takes the timer as it is.
 */
const MACHINES: Readonly<Record<GuestArch, { emulator: string; machine: string; append: string }>> = {
  amd64: {
    emulator: 'qemu-system-x86_64',
    machine: '-cpu max,la57=off,pku=off',
    append: 'console=ttyS0 no_timer_check',
  },
  arm64: { emulator: 'qemu-system-aarch64', machine: '-M virt -cpu max,pauth-impdef=on', append: 'console=ttyAMA0' },
}
/** Steady before fast: all CPUs of the guest on one thread of the host (the multi-threaded mode has races when a kernel patches its code). */
const OPTIONS = '-accel tcg,thread=single -smp 2 -m 2560 -nographic -no-reboot -nic none'
const BOOT_ARGUMENTS = 'quiet oops=panic panic=-1 mitigations=off nosoftlockup'
const ATTEMPTS_MAX = 3
/** First words of the guest's program, and how long a living kernel may take to reach them (8 to 20 s are usual). */
const PROGRAM_BEGAN = '{"kernel"'
const START_MAX_MS = 75_000
/** A fault of the guest's kernel, as the kernel prints it. */
const KERNEL_DEATH =
  /Kernel panic - not syncing|\bOops: |BUG: unable to handle|general protection fault|invalid opcode: /

export interface Boot {
  arch: GuestArch
  kernel: string
  initramfs: string
  /** Added to the kernel's command line. */
  append: string
}

export interface GuestRun {
  /** Everything the guest printed. */
  output: string
  /** What a guest kernel that died said, per attempt before this one. */
  deaths: readonly string[]
}

/**
 * Boots until the guest reaches its end. A kernel that dies (of the emulation, as far as anyone can say once) is booted again,
 * at most twice, and said aloud; one that dies twice at the same place, or a run with a failed check, is never tried again.
 * Throws when the end was not reached within 4 minutes over all attempts.
 */
export async function bootGuest(boot: Boot): Promise<GuestRun> {
  const end = Date.now() + BOOT_MAX_MS
  const deaths: string[] = []
  for (;;) {
    const output = await bootOnce(boot, end - Date.now())
    if (output.includes(GUEST_DONE)) return { output, deaths }
    const death = deathOf(output)
    if (death === undefined || output.includes('"ok":false') || Date.now() >= end)
      throw new Error(`the guest did not reach its end within ${BOOT_MAX_MS / 1000} s:\n${output.slice(-3000)}`)
    const isRepeated = deaths.some((earlier) => placeOf(earlier) === placeOf(death))
    deaths.push(death)
    console.log(`# guest kernel died, attempt ${deaths.length} of ${ATTEMPTS_MAX}:\n${death.replace(/^/gm, '#   ')}`)
    if (isRepeated || deaths.length === ATTEMPTS_MAX)
      throw new Error(`the guest kernel died ${deaths.length} times; the last time:\n${death}`)
  }
}

/** The kernel's last words, or undefined when it did not die: a hang before the guest's program began counts as a death. */
export function deathOf(output: string): string | undefined {
  const found = KERNEL_DEATH.exec(output)
  if (found !== null) return output.slice(Math.max(0, found.index - 200), found.index + 4000)
  return output.includes(PROGRAM_BEGAN) ? undefined : `nothing from the guest's program:\n${output.slice(-2000)}`
}

/** Where a dead kernel stood: the first instruction pointer of its trace, without the load address. */
export function placeOf(death: string): string {
  return /RIP: \w+:(\S+)|\bpc : (\S+)/.exec(death)?.slice(1).find(Boolean) ?? 'no trace'
}

function bootOnce({ arch, kernel, initramfs, append }: Boot, limitMs: number): Promise<string> {
  const { emulator, machine, append: own } = MACHINES[arch]
  const args = [...machine.split(' '), ...OPTIONS.split(' '), '-kernel', kernel, '-initrd', initramfs]
  args.push('-append', `${own} ${BOOT_ARGUMENTS} ${append}`.trim())
  return new Promise((resolve, reject) => {
    const qemu = spawn(emulator, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    // a character may come in two pieces
    for (const stream of [qemu.stdout, qemu.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    const timer = setTimeout(() => qemu.kill('SIGKILL'), limitMs)
    const startTimer = setTimeout(() => {
      if (!output.includes(PROGRAM_BEGAN)) qemu.kill('SIGKILL')
    }, START_MAX_MS)
    qemu.on('error', reject)
    qemu.on('close', () => {
      clearTimeout(timer)
      clearTimeout(startTimer)
      resolve(output)
    })
  })
}
