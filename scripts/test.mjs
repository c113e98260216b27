// Runs the test tiers in order and says what passed, failed and was skipped, and why. The checks are the first tier.
//
//   node scripts/test.mjs [TIER…] [--grep PATTERN]
//
// Before the end stand the files that took longest. The last line is `N passed, N failed, N skipped`. Exit 1 when something
// failed. A tier that cannot run here counts its files as skipped; with CI=true such a tier, an empty tier and a skip without a
// reason are failures: nothing is skipped silently.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runChecks } from './check.mjs'
import { findCommand } from './setup/needs.mjs'
import { at, filesUnder, root } from './setup/support.mjs'

const addon = 'dist/native/hullguard_native.node'
const object = 'dist/bpf/hullguard.bpf.o'
const btf = '/sys/kernel/btf/vmlinux'

const needsBuilt = (file) => () => (existsSync(at(file)) ? '' : `${file} is not built`)
const needsRoot = () => (process.getuid() === 0 ? '' : 'needs root')
const needsBtf = () => (existsSync(btf) ? '' : `the kernel has no ${btf}`)
const needsCommand = (name) => () => (findCommand(name) === undefined ? `${name} is not installed` : '')

/**
 * budgetMs ends a tier that hangs (node:test waits for ever for a file that leaves a handle open); all fit in CI's 30 minutes.
 * isSerial: its files are about time or the whole host, one at a time. The others run one a CPU.
 * isBeside: it computes and downloads for minutes, and nothing in it is about time: runs beside the others, on what CPU time they
 * leave. Guests are no such thing: one that is kept waiting takes its own timer for broken.
 */
const MINUTE_MS = 60_000
const tiers = [
  { name: 'unit', needs: [], budgetMs: 10 * MINUTE_MS },
  { name: 'conformance', needs: [], budgetMs: 5 * MINUTE_MS },
  { name: 'differential', needs: [], budgetMs: 10 * MINUTE_MS },
  { name: 'native', needs: [needsBuilt(addon)], budgetMs: 5 * MINUTE_MS },
  {
    name: 'bpf',
    needs: [needsRoot, needsBtf, needsBuilt(object), needsBuilt(addon)],
    budgetMs: 8 * MINUTE_MS,
    isSerial: true,
  },
  {
    name: 'e2e',
    needs: [needsRoot, needsBtf, needsBuilt(object), needsBuilt(addon), needsCommand('runc'), needsCommand('dockerd')],
    budgetMs: 15 * MINUTE_MS,
    isSerial: true,
  },
  {
    name: 'image',
    needs: [needsRoot, needsBtf, needsCommand('dockerd'), needsCommand('debootstrap')],
    budgetMs: 15 * MINUTE_MS,
    isBeside: true,
  },
  {
    name: 'vm',
    needs: [needsRoot, needsBuilt(object), needsBuilt(addon), needsCommand('qemu-system-x86_64'), needsCommand('cpio')],
    budgetMs: 12 * MINUTE_MS,
  },
]
const CHECKS = 'checks'
const SLOWEST_COUNT = 10
const isCi = process.env.CI === 'true'
/** Between asking a tier to end and ending it: its tests stop the daemons that they started. */
const GRACE_MS = 15_000
/** Of tiers that run beside others, if others run: they get a quarter of a CPU that both want. */
const BESIDE_NICENESS = 5

/** dist/test/unit/x.test.js -> test/unit/x.test.ts, as the reporter names it. */
const sourceOf = (file) => file.replace(/^dist\//, '').replace(/\.js$/, '.ts')

const fileCountText = (count) => `${count} file${count === 1 ? '' : 's'}`

let isInterrupted = false

/** Runs node:test in its own process group and returns why it was ended, or ''. */
function runNode(args, env, { budgetMs, isBeside = false }) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    })
    if (isBeside && child.pid !== undefined) setPriority(child.pid, BESIDE_NICENESS)
    let ended = ''
    const signalGroup = (signal) => {
      try {
        process.kill(-child.pid, signal)
      } catch {} // it is gone already
    }
    const end = (why) => {
      ended = why
      signalGroup('SIGTERM')
      setTimeout(() => signalGroup('SIGKILL'), GRACE_MS).unref()
    }
    const timer = setTimeout(() => end(`ended after ${budgetMs / MINUTE_MS} minutes`), budgetMs)
    const onSignal = () => {
      isInterrupted = true
      end('interrupted')
    }
    process.once('SIGINT', onSignal)
    process.once('SIGTERM', onSignal)
    child.on('error', reject)
    child.on('close', () => {
      clearTimeout(timer)
      process.removeListener('SIGINT', onSignal)
      process.removeListener('SIGTERM', onSignal)
      resolve(ended)
    })
  })
}

async function runFiles(tier, files, grep) {
  const folder = mkdtempSync(join(tmpdir(), 'hullguard-test-'))
  const log = join(folder, 'results.ndjson')
  const args = [
    '--enable-source-maps',
    '--test',
    '--test-reporter=./scripts/test-reporter.mjs',
    '--test-reporter-destination=stdout',
    // node:test's own default leaves one CPU out
    `--test-concurrency=${tier.isSerial ? 1 : availableParallelism()}`,
    ...(grep === undefined ? [] : [`--test-name-pattern=${grep}`]),
    ...files,
  ]
  const env = { ...process.env, HULLGUARD_TEST_LOG: log, HULLGUARD_TEST_GREP: grep ?? '' }
  try {
    const ended = await runNode(args, env, tier)
    const lines = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n').filter(Boolean) : []
    const results = lines.map((line) => JSON.parse(line))
    const done = new Set(results.flatMap(({ type, file }) => (type === 'done' ? [file] : [])))
    const unfinished = files.map(sourceOf).filter((file) => !done.has(file))
    return [
      ...results,
      ...unfinished.map((file) => ({
        type: 'fail',
        file,
        name: 'runs to its end',
        reason: ended || 'its results never came',
      })),
    ]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Results of a tier, or why it did not run: then each of its files counts as one skip. */
async function runTier(tier, grep) {
  const files = filesUnder([join('dist/test', tier.name)], (file) => file.endsWith('.test.js'))
  const lacking = tier.needs.map((need) => need()).filter(Boolean)
  if (files.length === 0) lacking.push('it has no test files')
  if (lacking.length === 0) {
    console.log(`\n${tier.name}: ${fileCountText(files.length)}`)
    return runFiles(tier, files, grep)
  }
  const reason = lacking.join('; ')
  console.log(`\n${tier.name}: not run: ${reason}`)
  const skips = files.map((file) => ({ type: 'skip', file: sourceOf(file), name: 'whole file', reason }))
  return isCi ? [...skips, { type: 'fail', file: tier.name, name: 'runs in CI', reason }] : skips
}

async function runCheckTier() {
  console.log(`\n${CHECKS}:`)
  return (await runChecks()).map(({ name, result, reason }) => {
    console.log(
      `  ${name}: ${result === 'pass' ? 'passed' : result === 'fail' ? `FAILED\n${reason}` : `skipped: ${reason}`}`,
    )
    return { type: result, file: CHECKS, name, reason }
  })
}

/** In CI a skip must say why; one that does not is a failure. */
const judged = (result) =>
  isCi && result.type === 'skip' && result.reason === ''
    ? { ...result, type: 'fail', reason: 'skipped without a reason' }
    : result

/** The whole of it stands above, where it happened. */
const REASON_SHOWN_CHARS = 160

function summarise(rows) {
  const of = (results, type) => results.filter((result) => result.type === type)
  const all = rows.flatMap(({ results }) => results)
  for (const [type, title] of [
    ['skip', 'skipped'],
    ['fail', 'failed'],
  ]) {
    if (of(all, type).length > 0) console.log(`\n${title}:`)
    for (const { file, name, reason } of of(all, type))
      console.log(`  ${file}: ${name}: ${reason?.split('\n')[0].slice(0, REASON_SHOWN_CHARS) || 'no reason given'}`)
  }
  const slowest = of(all, 'done').sort((a, b) => b.durationMs - a.durationMs)
  if (slowest.length > 0) console.log('\nslowest files:')
  for (const { file, durationMs } of slowest.slice(0, SLOWEST_COUNT))
    console.log(`${(durationMs / 1000).toFixed(1).padStart(9)} s  ${file}`)
  console.log(
    `\n${'tier'.padEnd(14)}${['passed', 'failed', 'skipped', 'seconds'].map((title) => title.padStart(9)).join('')}`,
  )
  for (const { name, results, durationMs } of rows) {
    const cells = [
      of(results, 'pass').length,
      of(results, 'fail').length,
      of(results, 'skip').length,
      (durationMs / 1000).toFixed(1),
    ]
    console.log(`${name.padEnd(14)}${cells.map((cell) => String(cell).padStart(9)).join('')}`)
  }
  console.log(`\n${of(all, 'pass').length} passed, ${of(all, 'fail').length} failed, ${of(all, 'skip').length} skipped`)
  return of(all, 'fail').length === 0
}

async function main() {
  const { values, positionals } = parseArgs({ options: { grep: { type: 'string' } }, allowPositionals: true })
  const names = [CHECKS, ...tiers.map((tier) => tier.name)]
  const unknown = positionals.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    console.error(`test: no tier ${unknown}; the tiers are ${names.join(', ')}`)
    return 2
  }
  mkdirSync(at('dist'), { recursive: true })
  const isWanted = (name) => (positionals.length === 0 ? !(name === CHECKS && values.grep) : positionals.includes(name))
  const runOne = async (tier) => {
    const startedMs = Date.now()
    const results = await (tier.name === CHECKS ? runCheckTier() : runTier(tier, values.grep))
    return { name: tier.name, results: results.map(judged), durationMs: Date.now() - startedMs }
  }
  const runInTurn = async (some) => {
    const rows = []
    for (const tier of some) if (!isInterrupted) rows.push(await runOne(tier))
    return rows
  }
  const wanted = [{ name: CHECKS }, ...tiers].filter(({ name }) => isWanted(name))
  const rows = await Promise.all([
    runInTurn(wanted.filter(({ isBeside }) => !isBeside)),
    runInTurn(wanted.filter(({ isBeside }) => isBeside)),
  ])
  return summarise(rows.flat()) ? 0 : 1
}

process.exitCode = await main()
