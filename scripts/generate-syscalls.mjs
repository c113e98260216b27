// <asm/unistd_{64,32,x32}.h> -> src/policy/generated/syscalls.ts: the names of the x86-64 tables by number.
// The headers of a stable distribution are older than the kernels it may run, so calls added later stand in NEWER
// (kernel source, arch/x86/entry/syscalls/syscall_{64,32}.tbl). `--check` fails when the committed table and this
// machine's headers contradict each other; names that only newer headers know are reported, not failed.
import { readFileSync, writeFileSync } from 'node:fs'

const file = new URL('../src/policy/generated/syscalls.ts', import.meta.url)
const X32_BIT = 0x40000000

/** Common to the three tables, Linux 6.5 to 6.17. */
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
/** Native table only: Linux 6.11 and 6.18. */
const NEWER_NATIVE = { uretprobe: 335, uprobe: 336 }

function headerTable(name) {
  let text
  try {
    text = readFileSync(`/usr/include/x86_64-linux-gnu/asm/${name}`, 'utf8')
  } catch {
    return undefined
  }
  const names = []
  for (const [, call, bit, number] of text.matchAll(/^#define __NR_(\w+)\s+(\(__X32_SYSCALL_BIT \+ )?(\d+)\)?$/gm)) {
    names[bit === undefined ? Number(number) : Number(number) & ~X32_BIT] = call
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

const tables = [
  ['NATIVE_SYSCALLS', headerTable('unistd_64.h'), { ...NEWER, ...NEWER_NATIVE }],
  ['IA32_SYSCALLS', headerTable('unistd_32.h'), NEWER],
  ['X32_SYSCALLS', headerTable('unistd_x32.h'), NEWER],
]

if (process.argv.includes('--check')) {
  const text = readFileSync(file, 'utf8')
  let failed = false
  for (const [constant, header] of tables) {
    if (header === undefined) {
      console.error(`${constant}: not checked, this machine has no x86-64 kernel headers`)
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
    if (header === undefined) throw new Error('needs the x86-64 kernel headers (Debian: linux-libc-dev)')
    return `export const ${constant} =\n  '${withNewer(header, newer).join(' ')}'\n`
  })
  writeFileSync(
    file,
    `// Generated from <asm/unistd_*.h> by scripts/generate-syscalls.mjs. Do not edit.\n// Names by number, \`-\` where the table has a hole; x32 numbers without their marker bit.\n\n${parts.join('\n')}`,
  )
}
