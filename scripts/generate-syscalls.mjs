// The kernel's headers of x86-64 and arm64 -> src/policy/generated/syscalls.ts: the names of their tables by number.
// The headers of a stable distribution are older than the kernels it may run, so calls added later stand in NEWER
// (kernel source, arch/x86/entry/syscalls/syscall_{64,32}.tbl; the numbers from 403 on are the same everywhere). `--check` fails
// when the committed table and this machine's headers contradict each other; names that only newer headers know are reported,
// not failed. Debian's packages of the headers: linux-libc-dev, linux-libc-dev-arm64-cross, linux-libc-dev-armhf-cross.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const file = new URL('../src/policy/generated/syscalls.ts', import.meta.url)

/** Common to all tables, Linux 6.5 to 6.17. */
const NEWER = {
  cachestat: 451,
  fchmodat2: 452,
  map_shadow_stack: 453,
  futex_wake: 454,
  futex_wait: 455,
  futex_requeue: 456,
  statmount: 457,
  listmount: 458,
  lsm_get_self_attr: 459,
  lsm_set_self_attr: 460,
  lsm_list_modules: 461,
  mseal: 462,
  setxattrat: 463,
  getxattrat: 464,
  listxattrat: 465,
  removexattrat: 466,
  open_tree_attr: 467,
  file_getattr: 468,
  file_setattr: 469,
}
/** Native table of x86-64 only: Linux 6.11 and 6.18. */
const NEWER_X86_64 = { uretprobe: 335, uprobe: 336 }

/** What the headers define beside the calls. */
const NO_CALLS = new Set(['syscalls', 'arch_specific_syscall'])

/** The names by number that a header defines for a target, undefined where header or clang are not here. */
function headerTable(target, folder, header) {
  if (!existsSync(`${folder}/${header}`)) return undefined
  const args = ['-E', '-dM', '-target', target, '-nostdinc', `-I${folder}`, '-']
  const done = spawnSync('clang', args, { input: `#include <${header}>\n`, encoding: 'utf8' })
  if (done.error !== undefined) return undefined
  if (done.status !== 0) throw new Error(`clang ${args.join(' ')}: ${done.stderr}`)
  const macros = new Map()
  for (const [, name, value] of done.stdout.matchAll(/^#define __NR(\w+) (.+)$/gm)) macros.set(name, value)
  const names = []
  for (const [name, value] of macros) {
    // One call may stand in for another's number (`__NR3264_mmap`, by the size of a word), and a base or a marker before it.
    const number = /^(?:\(__\w+ \+ )?(\d+)\)?$/.exec(macros.get(/^__NR(3264_\w+)$/.exec(value)?.[1]) ?? value)?.[1]
    const call = /^_([a-z_]\w*)$/.exec(name)?.[1]
    if (number !== undefined && call !== undefined && !NO_CALLS.has(call)) names[Number(number)] = call
  }
  return names
}

function withNewer(names, newer) {
  const table = [...names]
  for (const [call, number] of Object.entries(newer)) {
    if (table[number] !== undefined && table[number] !== call) throw new Error(`${call}: ${number} is ${table[number]}`)
    table[number] = call
  }
  return Array.from(table, (call) => call ?? '-')
}

const X86 = ['x86_64-linux-gnu', '/usr/include/x86_64-linux-gnu']
const tables = [
  ['X86_64_SYSCALLS', headerTable(...X86, 'asm/unistd_64.h'), { ...NEWER, ...NEWER_X86_64 }],
  ['IA32_SYSCALLS', headerTable(...X86, 'asm/unistd_32.h'), NEWER],
  ['X32_SYSCALLS', headerTable(...X86, 'asm/unistd_x32.h'), NEWER],
  ['ARM64_SYSCALLS', headerTable('aarch64-linux-gnu', '/usr/aarch64-linux-gnu/include', 'asm/unistd.h'), NEWER],
  ['AARCH32_SYSCALLS', headerTable('arm-linux-gnueabihf', '/usr/arm-linux-gnueabihf/include', 'asm/unistd.h'), NEWER],
]

if (process.argv.includes('--check')) {
  const text = readFileSync(file, 'utf8')
  let failed = false
  for (const [constant, header] of tables) {
    if (header === undefined) {
      console.error(`${constant}: not checked, this machine lacks clang or the kernel headers`)
      continue
    }
    const found = new RegExp(`${constant} =\\n  '([^']+)'`).exec(text)
    const committed = found === null ? [] : found[1].split(' ')
    header.forEach((call, number) => {
      if (committed[number] === call) return
      if (number >= committed.length)
        console.error(`${constant}: newer call ${call} (${number}) is not in the table yet`)
      else {
        console.error(`${constant}: ${number} is ${committed[number]} in the table, ${call} in the header`)
        failed = true
      }
    })
  }
  if (failed) process.exit(1)
} else {
  const parts = tables.map(([constant, header, newer]) => {
    if (header === undefined) throw new Error(`${constant}: needs clang and the kernel headers`)
    return `export const ${constant} =\n  '${withNewer(header, newer).join(' ')}'\n`
  })
  writeFileSync(
    file,
    `// Generated from the kernel's headers by scripts/generate-syscalls.mjs. Do not edit.\n// Names by number, \`-\` where the table has a hole; x32 numbers without their marker bit.\n\n${parts.join('\n')}`,
  )
}
