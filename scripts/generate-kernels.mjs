// What real kernels said (docs/kernels.json) -> docs/kernels.md and bpf/verifier-counts.txt.
//   node scripts/generate-kernels.mjs                 writes both pages from the committed data
//   node scripts/generate-kernels.mjs --record FILE   takes the results of a run into the data first; such a file is what
//                                                     HULLGUARD_KERNEL_RESULTS=FILE node scripts/test.mjs bpf vm leaves
//   node scripts/generate-kernels.mjs --check         fails when data and pages disagree, or a program is not of the object
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { putGenerated } from './generated-file.mjs'

const root = new URL('../', import.meta.url)
const DATA = 'docs/kernels.json'
const read = (path) => JSON.parse(readFileSync(new URL(path, root), 'utf8'))

/** Columns, in this order; a run that is not named here comes after them. */
const ORDER = [
  'development machine',
  '5.10',
  '6.1',
  '6.1, cgroup v1',
  '6.12',
  '6.12, bpf not among the LSMs',
  '6.12, lockdown=confidentiality',
  '6.1, arm64',
  '6.12, arm64',
]

function sorted(data) {
  const place = (name) => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1)
  const names = Object.keys(data).sort((a, b) => place(a) - place(b) || a.localeCompare(b))
  return Object.fromEntries(names.map((name) => [name, data[name]]))
}

/** Only the kernels of the run are replaced. */
function record(file) {
  const run = JSON.parse(readFileSync(file, 'utf8'))
  const known = read(DATA)
  writeFileSync(new URL(DATA, root), `${JSON.stringify(sorted({ ...known, ...run }), null, 2)}\n`)
}

const table = (rows) =>
  [rows[0], rows[0].map(() => '---'), ...rows.slice(1)].map((row) => `| ${row.join(' | ')} |`).join('\n')
const can = ({ deny, kill }) => [deny ? 'deny' : '', kill ? 'kill' : ''].filter(Boolean).join(', ') || 'observe'
const unique = (items) => [...new Set(items)]

function page(data) {
  const all = Object.entries(data)
  const working = all.filter(([, { fault }]) => fault === '')
  const names = working.map(([name]) => name)
  const kernels = all.map(([name, { kernel, lsm, lockdown, fault }]) => [
    name,
    kernel,
    lsm.join(', ') || 'unknown',
    lockdown,
    fault === '' ? 'runs' : `refused: ${fault}`,
  ])
  const acts = unique(working.flatMap(([, run]) => run.acts.map(({ event, act }) => `${event}\t${act}`)))
  const actRows = acts.map((key) => {
    const [event, act] = key.split('\t')
    const cells = working.map(([, run]) => {
      const found = run.acts.find((one) => one.event === event && one.act === act)
      return found === undefined ? '-' : `${found.outcome} (${found.rung})`
    })
    return [event, act, ...cells]
  })
  const events = unique(working.flatMap(([, run]) => run.events.map(({ event }) => event)))
  const rungRows = events.map((event) => {
    const cells = working.map(([, run]) => {
      const found = run.events.find((one) => one.event === event)
      if (found === undefined) return '-'
      return found.rung === '' ? 'NONE' : `${found.rung}: ${can(found)}`
    })
    return [event, ...cells]
  })
  return `# Kernels

Generated from docs/kernels.json by \`node scripts/generate-kernels.mjs\`; do not edit. The data is what real kernels said: the bpf tier
on the machine's own kernel and the vm tier on stock Debian kernels in an emulator run one table of acts (test/vm/guest/act-table.ts) and
\`hullguard doctor\`. To record anew: \`HULLGUARD_KERNEL_RESULTS=FILE node scripts/test.mjs bpf vm\`, then \`node scripts/generate-kernels.mjs --record FILE\`.

## Runs

${table([['run', 'kernel', 'LSMs', 'lockdown', 'hullguard'], ...kernels])}

A kernel that refuses says why, and nothing stays attached. On 5.10 what is missing is the storage of BPF programs at tasks for tracepoints
(BPF_MAP_TYPE_TASK_STORAGE, in Linux since 5.11), which tells which container a process belongs to, and \`bpf_loop\` (since 5.17), by which
paths and rules are walked. No lower rung stands in for them, so 5.10 is refused whole. Under lockdown=confidentiality the kernel lets
no BPF program read kernel memory.

The runs of arm64 are of an emulator on an x86-64 machine, with the addon cross-compiled and Debian's Node: the same table of acts, and of
what is said of arm64 here nothing was seen on hardware. On 6.1 a program cannot attach to a function of an arm64 kernel, which LSM
programs need, so no exec is refused there; arm64 has no rmdir(2), and the removal of a directory is told as the unlinkat(2) that it is.

## Acts

What came of an act, and the hook that its event came by. \`-\`: not tried, since the hook needs a unified cgroup hierarchy.

${table([['event', 'act', ...names], ...actRows])}

## Hooks

The hooks in use per event, found by trying, and what they can do.

${table([['event', ...names], ...rungRows])}
`
}

/** The verifier's walk per program: what a change of the kernel side costs at load, as a diff. */
function counts(data) {
  const working = Object.entries(data).filter(
    ([, run]) => run.fault === '' && Object.keys(run.verifier ?? {}).length > 0,
  )
  const names = unique(working.flatMap(([, run]) => Object.keys(run.verifier))).sort()
  const head = ['# program', ...working.map(([name]) => name.replaceAll(', ', '/').replaceAll(' ', '-'))]
  const rows = names.map((name) => [name, ...working.map(([, run]) => String(run.verifier[name] ?? '-'))])
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)))
  const lines = [head, ...rows].map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  '),
  )
  return `# Instructions that the verifier walked (verified_insns of bpf_prog_info), by program and kernel; - is not loaded there.
# Generated from docs/kernels.json by scripts/generate-kernels.mjs. Numbers differ a little from one kernel build to the next: the bpf
# and vm tiers check that the programs are these and that none walks more than 1.5 times what stands here, nor over half of the
# verifier's limit of 1,000,000.
${lines.join('\n')}
`
}

const at = process.argv.indexOf('--record')
if (at !== -1) record(process.argv[at + 1])
const data = read(DATA)
putGenerated('docs/kernels.md', page(data), DATA)
putGenerated('bpf/verifier-counts.txt', counts(data), DATA)

/** A program that was added, renamed or removed without a new run: its counts and rungs are not those of the object. */
function checkPrograms() {
  const sources = readdirSync(new URL('bpf/programs/', root)).map((name) =>
    readFileSync(new URL(`bpf/programs/${name}`, root), 'utf8'),
  )
  const known = new Set(Object.values(data).flatMap(({ verifier }) => Object.keys(verifier ?? {})))
  return [...known].filter((name) => !sources.some((text) => new RegExp(`\\b${name}\\b`).test(text)))
}
const gone = checkPrograms()
if (gone.length > 0) {
  console.error(`${DATA} speaks of programs that are not in bpf/programs: ${gone.join(', ')}; record a new run`)
  process.exitCode = 1
}
