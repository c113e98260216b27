/**
 * `npm run bench [-- --only CASE[,…]] [--json FILE] [--result FILE] [--quick]`: runs the cases one after the other, each (and each of
 * its PARTS) in a process of its own, and prints what they measured. --json writes the rows; --result writes rows and machine
 * facts, the form kept in bench/results/, which is all that docs may quote. Nothing is timed in tests.
 *
 * Exit codes: 0 done, 1 a case failed, 2 usage, 3 no case could run here.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CASES, PARTS } from './support/case-names.js'
import { describeMachine, type Machine, machineFacts } from './support/machine.js'
import { type BenchOptions, CannotRun, type Emit, type Row } from './support/row.js'
import { toTable } from './support/table.js'

type Case = (typeof CASES)[number]
type Run = (emit: Emit, options: BenchOptions) => Promise<void>

const EXIT_CANNOT_RUN = 3

const USAGE = `usage: npm run bench -- [--only CASE[,…]] [--json FILE] [--result FILE] [--quick]
  cases: ${CASES.join(', ')}`

/** One import each, so that the compiler checks every case's signature. */
const LOAD: Readonly<Record<Case, () => Promise<{ run: Run }>>> = {
  matcher: () => import('./cases/matcher.js'),
  delivery: () => import('./cases/delivery.js'),
  pipeline: () => import('./cases/pipeline.js'),
  cost: () => import('./cases/cost.js'),
  overhead: () => import('./cases/overhead.js'),
  kill: () => import('./cases/kill.js'),
  saturation: () => import('./cases/saturation.js'),
  sustained: () => import('./cases/sustained.js'),
  memory: () => import('./cases/memory.js'),
  start: () => import('./cases/start.js'),
}

type Message = { row: Row } | { cannotRun: string }

async function runCase(name: Case, options: BenchOptions): Promise<number> {
  const { run } = await LOAD[name]()
  try {
    await run((row) => process.send?.({ row } satisfies Message), options)
    return 0
  } catch (error) {
    if (error instanceof CannotRun) {
      process.send?.({ cannotRun: error.message } satisfies Message)
      return EXIT_CANNOT_RUN
    }
    console.error(error)
    return 1
  }
}

interface Outcome {
  rows: Row[]
  /** Why it did not run here, or how it failed. */
  skipped: string | undefined
  failed: string | undefined
}

let running: ChildProcess | undefined

/** All parts of a case, until one fails or cannot run. */
async function runParts(name: Case, isQuick: boolean): Promise<Outcome> {
  const all: Outcome = { rows: [], skipped: undefined, failed: undefined }
  for (const part of PARTS[name] ?? [undefined]) {
    const { rows, skipped, failed } = await runInChild(name, isQuick, part)
    all.rows.push(...rows)
    all.skipped = skipped
    all.failed = failed
    if (failed !== undefined || skipped !== undefined || isInterrupted) break
  }
  return all
}

function runInChild(name: Case, isQuick: boolean, part: string | undefined): Promise<Outcome> {
  const chosen = part === undefined ? [] : ['--part', part]
  const child = fork(fileURLToPath(import.meta.url), ['--case', name, ...chosen, ...(isQuick ? ['--quick'] : [])])
  running = child
  const outcome: Outcome = { rows: [], skipped: undefined, failed: undefined }
  child.on('message', (message: Message) => {
    if ('row' in message) outcome.rows.push(message.row)
    else outcome.skipped = message.cannotRun
  })
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      running = undefined
      if (code !== 0 && outcome.skipped === undefined) outcome.failed = signal ?? `exit code ${code}`
      resolve(outcome)
    })
  })
}

function parse(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true },
      json: { type: 'string' },
      result: { type: 'string' },
      quick: { type: 'boolean', default: false },
      case: { type: 'string' },
      part: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const names = values.only?.flatMap((list) => list.split(',')).filter(Boolean) ?? [...CASES]
  for (const name of [...names, ...(values.case === undefined ? [] : [values.case])])
    if (!isCase(name)) throw new TypeError(`no case \`${name}\``)
  return { ...values, names: CASES.filter((name) => names.includes(name)) }
}

function isCase(name: string): name is Case {
  return (CASES as readonly string[]).includes(name)
}

async function runAll(
  names: readonly Case[],
  isQuick: boolean,
  files: { json?: string; result?: string },
): Promise<number> {
  const machine = machineFacts()
  console.log(describeMachine(machine))
  if (isQuick) console.log('--quick: too few samples for any conclusion')
  const rows: Row[] = []
  const cases: Record<string, string> = {}
  let failedCount = 0
  let skippedCount = 0
  for (const name of names) {
    const startedMs = Date.now()
    process.stderr.write(`${name} …\n`)
    const outcome = await runParts(name, isQuick)
    rows.push(...outcome.rows)
    if (outcome.failed !== undefined) failedCount++
    if (outcome.skipped !== undefined) skippedCount++
    const how = outcome.failed ? `FAILED (${outcome.failed})` : outcome.skipped ? `skipped: ${outcome.skipped}` : 'done'
    cases[name] = how
    process.stderr.write(`${name} ${how}, ${((Date.now() - startedMs) / 1000).toFixed(0)} s\n`)
    if (isInterrupted) break
  }
  console.log(`\n${toTable(rows)}`)
  if (files.json !== undefined) writeFileSync(files.json, `${JSON.stringify(rows, null, 1)}\n`)
  if (files.result !== undefined) writeFileSync(files.result, resultText({ machine, isQuick, cases, rows }))
  if (failedCount > 0 || isInterrupted) return 1
  return skippedCount === names.length ? EXIT_CANNOT_RUN : 0
}

/** What bench/results/ keeps; scripts/generate-benchmarks.mjs makes docs/benchmarks.md of it. */
interface Result {
  machine: Machine
  isQuick: boolean
  /** How each case that ran ended: `done`, or why not. */
  cases: Readonly<Record<string, string>>
  rows: readonly Row[]
}

/** One row a line: a later result differs from an earlier one line by line. */
function resultText({ machine, isQuick, cases, rows }: Result): string {
  const lines = rows.map((row) => `    ${JSON.stringify(row)}`).join(',\n')
  const head = { machine, isQuick, cases }
  const fields = Object.entries(head).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`)
  return `{\n${fields.join('')}  "rows": [\n${lines}\n  ]\n}\n`
}

let isInterrupted = false

async function main(): Promise<number> {
  let options: ReturnType<typeof parse>
  try {
    options = parse(process.argv.slice(2))
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}\n${USAGE}`)
    return 2
  }
  if (options.help) {
    console.log(USAGE)
    return 0
  }
  if (options.case !== undefined && isCase(options.case)) {
    const part = options.part === undefined ? {} : { part: options.part }
    return runCase(options.case, { isQuick: options.quick, ...part })
  }
  // Ctrl-C reaches the case too, which cleans up; a plain SIGTERM is passed on.
  process.on('SIGINT', () => {
    isInterrupted = true
  })
  process.on('SIGTERM', () => {
    isInterrupted = true
    running?.kill('SIGTERM')
  })
  const files = {
    ...(options.json === undefined ? {} : { json: options.json }),
    ...(options.result === undefined ? {} : { result: options.result }),
  }
  return runAll(options.names, options.quick, files)
}

const exitCode = await main()
process.exitCode = exitCode
// A case's process has its channel to the runner open.
if (process.send !== undefined) process.disconnect()
