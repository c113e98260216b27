/** scripts/generate-benchmarks.mjs: the page says what the rows of result files say, and nothing that no row says. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { run } from '../support/process.js'

const GENERATOR = fileURLToPath(new URL('../../../scripts/generate-benchmarks.mjs', import.meta.url))
const BENCH = fileURLToPath(new URL('../../bench/main.js', import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'hullguard-benchmarks-'))
after(() => rmSync(dir, { recursive: true, force: true }))

type Row = readonly [name: string, subject: string, param: string, metric: string, value: number, samples?: number]
interface Made {
  date: string
  rows: readonly Row[]
  more?: object
}

let foldersCount = 0

function made(files: Readonly<Record<string, Made>>) {
  const folder = mkdtempSync(join(dir, `${foldersCount++}-`))
  for (const [name, { date, rows, more }] of Object.entries(files)) {
    const machine = {
      commit: `of-${name}`,
      date: `${date}T01:02:03.000Z`,
      cpu: 'Test CPU',
      coresCount: 3,
      memoryGib: 7,
      kernel: '6.9.9',
      node: 'v20.0.0',
      governor: 'unknown',
      loadAverage: [0.25, 0.5, 0.75],
      otherAgentsCount: 4,
    }
    const told = rows.map(([of, subject, param, metric, value, samples = 1]) => {
      return { case: of, subject, param, metric, value, unit: '', samples }
    })
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ machine, ...more, rows: told }))
  }
  const file = join(folder, 'page.md')
  const args = [GENERATOR, '--results', folder, '--page', file]
  return {
    file,
    generate: () => run(process.execPath, args),
    check: () => run(process.execPath, [...args, '--check']),
  }
}

async function pageOf(files: Readonly<Record<string, Made>>): Promise<string> {
  const { file, generate } = made(files)
  const { code, stderr } = await generate()
  assert.equal(code, 0, stderr)
  return readFile(file, 'utf8')
}

/** The lines of a table whose first cell this is, in a section. */
function lines(page: string, section: string, first: string): string[] {
  const [, text = ''] = page.split(`\n## ${section}\n`)
  const own = text.split('\n## ')[0] ?? ''
  return own.split('\n').filter((line) => line.startsWith(`| ${first} |`))
}

const targetLine = (page: string, what: string) => lines(page, 'Against the targets', what)[0]

const overhead = (subject: string, op: string, ratio: number, low: number, high: number): Row[] => {
  const param = `op=${op},config=standard`
  return [
    ['overhead', subject, param, 'ratio', ratio, 30],
    ['overhead', subject, param, 'ratio_low95', low, 30],
    ['overhead', subject, param, 'ratio_high95', high, 30],
    ['overhead', subject, param, 'without_agent', 760_611.6, 30],
    ['overhead', subject, param, 'with_agent', 820, 30],
  ]
}

describe('what the rows say', () => {
  const rows: Row[] = [
    ['matcher', 'hullguard', 'rules=1000', 'compile_ms', 356.9],
    ['matcher', 'hullguard', 'rules=1000', 'ns_per_event', 499.4],
    ['matcher', 'closures', 'rules=1000', 'ns_per_event', 53_988.6],
    ['matcher', 'hullguard', 'rules=1000,set=native', 'ns_per_event', 734.7],
    ['matcher', 'hullguard', 'rules=1000,set=negated', 'ns_per_event', 4_321],
    ['cost', 'unwatched', 'act=fork_exec_exit,rules=kept,program=on_fork', 'run_time', 310],
    ['cost', 'watched', 'act=fork_exec_exit,rules=kept,program=on_fork', 'run_time', 3_498],
    ['sustained', 'steady', 'pace=20000,for=60s', 'events_made', 1_200_001],
    ['sustained', 'steady', 'pace=20000,for=60s', 'events_handled', 1_200_001],
    ['sustained', 'steady', 'pace=20000,for=60s', 'events_lost', 0],
    ['sustained', 'steady', 'pace=20000,for=60s', 'rate', 19_998],
    ['kill', 'kernel', 'act=exec,load=idle,clock=kernel', 'p50', 459.7],
    ['kill', 'kernel', 'act=exec,load=idle,clock=kernel', 'p99', 1_000],
    ['kill', 'kernel', 'act=exec,load=idle,clock=kernel', 'max', 11_214.1],
    ['kill', 'none', 'act=exec,load=idle,clock=waitpid', 'p99', 5_000],
    ...overhead('unwatched', 'fork_exec', 1.0105, 0.94, 1.054),
  ]

  test('tables have the values, in their units, and a row for each metric that is missing', async () => {
    const page = await pageOf({ made: { date: '2026-01-02', rows } })
    assert.deepEqual(lines(page, 'Matcher', '1,000'), [
      '| 1,000 | 499 | 53,989 | not recorded | not recorded |',
      '| 1,000 | not recorded | not recorded | 4,321 | not recorded |',
      '| 1,000 | 735 | not recorded | not recorded | not recorded | not recorded |',
    ])
    assert.deepEqual(lines(page, 'Cost', 'fork exec exit'), [
      '| fork exec exit | `on_fork` | 310 | 3,498 | not recorded | not recorded |',
    ])
    assert.deepEqual(lines(page, 'Sustained', 'steady'), [
      '| steady | 20,000/s for 60 s | 1,200,001 | 1,200,001 | 0 | 19,998 |',
    ])
    assert.deepEqual(lines(page, 'Sustained', 'above'), ['| above | not recorded |  |  |  |  |'])
    assert.deepEqual(lines(page, 'Kill', 'the kernel | exec'), [
      '| the kernel | exec | idle | 0.46 ms | 1.00 ms | 11.21 ms | not recorded | not recorded | not recorded |',
      '| the kernel | exec | all cores busy | not recorded |  |  |  |  |  |',
    ])
    assert.deepEqual(lines(page, 'Kill', 'nobody | exec | idle'), [
      '| nobody | exec | idle |  |  |  | not recorded | 5.00 ms | not recorded |',
    ])
    assert.deepEqual(lines(page, 'Overhead', 'standard'), [
      '| standard | fork exec | unwatched | 761 µs | 820 ns | +1.0 % | -6.0 % … +5.4 % |',
      '| standard | fork exec | watched | not recorded |  |  |  |',
    ])
    assert.deepEqual(lines(page, 'Overhead', 'falco'), ['| falco | not recorded |  |  |  |  |  |'])
  })

  test('a case that no file holds is not recorded, and no cell of the page is a dash', async () => {
    const page = await pageOf({ made: { date: '2026-01-02', rows } })
    assert.match(page, /## Pipeline\n\nnot recorded: no result file holds the case `pipeline`\.\n/)
    assert.doesNotMatch(page, /\| [—–-] \|/)
    assert.doesNotMatch(page, /NaN|undefined|Infinity|\{\{/)
    const empty = await pageOf({})
    assert.match(empty, /not recorded: there is no result file/)
    assert.doesNotMatch(empty, /NaN|undefined|Infinity|\{\{/)
    assert.match(empty, /^0 of (\d+) met, 0 missed, 0 undecided, \1 not recorded\.$/m)
  })

  test('rows that the page leaves out are named', async () => {
    const { generate } = made({
      made: { date: '2026-01-02', rows: [...rows, ['kill', 'kernel', 'act=exec,load=idle,clock=kernel', 'p98', 1]] },
    })
    assert.match((await generate()).stderr, /not on the page: kill: 1 rows \(p98\)/)
  })
})

describe('the targets', () => {
  test('a figure with an interval is met or missed when all of the interval is, undecided when the target lies within', async () => {
    const page = await pageOf({
      made: {
        date: '2026-01-02',
        rows: [
          ...overhead('unwatched', 'fork_exec', 1.01, 0.943, 1.054),
          ...overhead('watched', 'fork_exec', 1.05, 1.031, 1.054),
          ...overhead('unwatched', 'open_close', 1.02, 0.978, 1.12),
          ...overhead('watched', 'open_close', 1.22, 1.22, 1.3),
        ],
      },
    })
    assert.equal(
      targetLine(page, 'fork+exec, unwatched, standard set'),
      '| fork+exec, unwatched, standard set | ≤ +3 % | +1.0 % (-5.7 % … +5.4 %) | undecided |',
    )
    assert.match(
      targetLine(page, 'fork+exec, watched, standard set') ?? '',
      /\(\+3\.1 % … \+5\.4 %\) \| \*\*missed\*\* \|$/,
    )
    assert.match(targetLine(page, 'open+close, unwatched, standard set') ?? '', /\+12\.0 %\) \| met \|$/)
    assert.match(
      targetLine(page, 'open+close, watched, standard set, no rule names the file') ?? '',
      /\| undecided \|$/,
    )
    assert.match(page, /^1 of \d+ met, 1 missed, 2 undecided, \d+ not recorded\.$/m)
  })

  test('a single figure is judged as it was measured, not as it is written', async () => {
    const page = await pageOf({
      made: {
        date: '2026-01-02',
        rows: [
          ['matcher', 'hullguard', 'rules=1000', 'compile_ms', 1],
          ['matcher', 'hullguard', 'rules=1000', 'ns_per_event', 500.4],
          ['matcher', 'closures', 'rules=1000', 'ns_per_event', 50_000],
          ['matcher', 'hullguard', 'rules=100', 'ns_per_event', 427],
          ['matcher', 'hullguard', 'rules=10000', 'ns_per_event', 691.9],
          ['matcher', 'hullguard', 'rules=10000', 'bytes_allocated_per_event', 0.4],
          ['kill', 'kernel', 'act=exec,load=idle,clock=kernel', 'p99', 1_000],
          ['kill', 'kernel', 'act=exec,load=idle,clock=waitpid', 'p99', 3_000],
          ['kill', 'user space', 'act=exec,load=idle,clock=kernel', 'p99', 9_999],
          ['kill', 'none', 'act=exec,load=idle,clock=waitpid', 'p99', 5_000],
          ['delivery', 'hullguard', 'records=10', 'records_per_s', 213_842],
          ['delivery', 'hullguard', 'records=10', 'lost', 1],
          ['delivery', 'hullguard', 'records=10', 'doubled', 0],
        ],
      },
    })
    const judgements: Readonly<Record<string, RegExp>> = {
      'conditions, 1,000 rules': /\| 500\.4 ns \| \*\*missed\*\* \|$/,
      'conditions, growth from 100 to 10,000 rules': /\| 1\.62× \| met \|$/,
      'conditions, against closures by event type, 1,000 rules': /\| 99\.9× \| met \|$/,
      'conditions, 10,000 rules, allocated an event without a hit': /\| 0 bytes \| met \|$/,
      'native policies, 1,000 rules': /\| not recorded \| {2}\|$/,
      'kill from the kernel, idle':
        /\| 1\.00 ms \(to waitpid: 3\.00 ms; nobody kills: 5\.00 ms\) \| \*\*missed\*\* \|$/,
      'kill from user space, idle': /\| 10\.00 ms \(to waitpid: not recorded; nobody kills: 5\.00 ms\) \| met \|$/,
      'kill from user space, all cores busy': /\| not recorded \| {2}\|$/,
      'agent to store, acknowledged': /\| 213,842 records\/s, 1 lost, 0 doubled \| \*\*missed\*\* \|$/,
    }
    for (const [what, wanted] of Object.entries(judgements)) assert.match(targetLine(page, what) ?? what, wanted)
  })

  test('saturation: an alert that is missing, or a loss, misses the filtered target; the unfiltered one is about counting', async () => {
    const flood = (subject: string, alerted: number, lost: number, pairNs: number): Row[] =>
      [
        ['sensitive_opens', 600],
        ['alerted', alerted],
        ['events_lost', lost],
        ['agent_cpu', 0.9],
        ['pair', pairNs],
      ].map(([metric, value]) => {
        return ['saturation', subject, 'loops=2,sensitive=1/1000', String(metric), Number(value), 300_000]
      })
    const pair: Row = ['saturation', 'no agent', 'loops=2,sensitive=1/1000', 'pair', 2_000, 300_000]
    const rows = [pair, ...flood('filtered', 599, 0, 2_800), ...flood('unfiltered', 596, 60_000, 10_000)]
    const page = await pageOf({ made: { date: '2026-01-02', rows } })
    assert.match(
      targetLine(page, 'saturation, rule that the kernel filters') ?? '',
      /599 of 600, 0 events lost \| \*\*missed/,
    )
    assert.match(
      targetLine(page, 'saturation, rule that it cannot filter') ?? '',
      /596 of 600, 60,000 events lost, counted \| met/,
    )
    assert.match(targetLine(page, 'saturation, open+close, watched, path walked') ?? '', /\| \+40\.0 % \| met \|$/)
    assert.match(
      targetLine(page, 'agent CPU, 200,000 open+close, filtered') ?? '',
      /\| 0\.30 s \(0\.90 s for 600,000\) \| \*\*missed/,
    )
    assert.match(
      targetLine(page, 'agent CPU, 200,000 open+close, unfiltered') ?? '',
      /\| 0\.33 s \(0\.90 s for 540,000\) \| met/,
    )
  })
})

describe('the result files', () => {
  const kill = (value: number): Row => ['kill', 'kernel', 'act=exec,load=idle,clock=kernel', 'p50', value]
  const older: Made = { date: '2026-01-02', rows: [kill(1_000), ['memory', 'agent', 'load=idle', 'cpu', 0.25]] }

  test('a case is of the newest file that holds it, and its section names file, commit, machine and load', async () => {
    const page = await pageOf({ z: older, a: { date: '2026-01-03', rows: [kill(2_000)] } })
    assert.match(lines(page, 'Kill', 'the kernel | exec')[0] ?? '', /\| 2\.00 ms \| not recorded \|/)
    const about = 'Test CPU, 3 cores, Linux 6.9.9, load average 0.25 0.5 0.75'
    assert.ok(page.includes(`## Kill\n\nFrom [a.json](../bench/results/a.json) (2026-01-03, commit of-a, ${about}).\n`))
    assert.ok(page.includes(`From [z.json](../bench/results/z.json) (2026-01-02, commit of-z, ${about}).\n`))
    assert.ok(page.includes('`npm run bench -- --only kill,memory --result bench/results/z.json` |'))
    assert.match(targetLine(page, 'agent CPU, idle') ?? '', /\| 0\.25 % \| met \|$/)
  })

  test('--check refuses a page that differs and a file that the page does not use', async () => {
    const one = made({ z: older })
    assert.equal((await one.check()).code, 1)
    await one.generate()
    assert.equal((await one.check()).code, 0)
    writeFileSync(one.file, (await readFile(one.file, 'utf8')).replace('0.25 %', '0.26 %'))
    assert.equal((await one.check()).code, 1)

    const newer: Made = { ...older, date: '2026-01-03' }
    const two = made({ z: older, a: newer })
    await two.generate()
    const { code, stderr } = await two.check()
    assert.equal(code, 1)
    assert.match(stderr, /uses no case of z\.json; remove it/)
  })

  test('a run with --quick is refused, and a case that failed says so', async () => {
    const quick = await made({ quick: { ...older, more: { isQuick: true } } }).generate()
    assert.notEqual(quick.code, 0)
    assert.match(quick.stderr, /quick\.json was written with --quick/)
    const cases = { kill: 'FAILED (exit code 1)', memory: 'done' }
    const page = await pageOf({ z: { ...older, more: { isQuick: false, cases } } })
    assert.match(page, /## Kill\n\n.*\. The case did not end well in that run: FAILED \(exit code 1\)\.\n/)
    assert.doesNotMatch(page, /## Memory and idle CPU\n\n.*did not end well/)
  })

  test('the page has every case of the bench', async () => {
    const { stderr } = await run(process.execPath, [BENCH, '--nonsense'])
    const cases = /cases: (.*)/.exec(stderr)?.[1]?.split(', ') ?? []
    assert.ok(cases.length > 5)
    const { file, generate } = made({ all: { date: '2026-01-02', rows: cases.map((name) => [name, '', '', '', 0]) } })
    await generate()
    const page = await readFile(file, 'utf8')
    for (const name of cases) assert.doesNotMatch(page, new RegExp(`no result file holds the case \`${name}\``))
    assert.deepEqual(
      [...page.matchAll(/From \[all\.json\]|no result file holds the case/g)].length,
      cases.length,
      'a section each',
    )
  })
})
