// Result files of the bench (bench/results/) -> docs/benchmarks.md. The prose is scripts/benchmarks/page.md, the tables are
// scripts/benchmarks/sections.mjs, the targets scripts/benchmarks/targets.mjs.
//   node scripts/generate-benchmarks.mjs            writes the page, and says which rows it leaves out
//   node scripts/generate-benchmarks.mjs --check    fails when the page differs, or a result file is there that it does not use
//   … --results FOLDER --page FILE                  other places (tests)
import { readFileSync, writeFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { NOT_RECORDED, table } from './benchmarks/format.mjs'
import { CASES, commandOf, Results, readResults } from './benchmarks/results.mjs'
import { CASE_TABLES, kernelMemory, MATCHER_TABLES } from './benchmarks/sections.mjs'
import { allTargets, targetCount, targetTable } from './benchmarks/targets.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const TEMPLATE = new URL('benchmarks/page.md', import.meta.url)
/** As the page and the commands name it, wherever the files are read from. */
const RESULTS = 'bench/results'

const { values: options } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    results: { type: 'string', default: resolve(root, RESULTS) },
    page: { type: 'string', default: resolve(root, 'docs/benchmarks.md') },
  },
})

const linkTo = ({ name }) => `[${name}](../${RESULTS}/${name})`

function sourceTable(results) {
  const rows = results.used().map(({ file, cases }) => {
    const { date, commit, cpu, coresCount, memoryGib, kernel, node, loadAverage, otherAgentsCount } = file.machine
    return [
      linkTo(file),
      cases.join(', '),
      date.slice(0, 10),
      commit,
      `${cpu}, ${coresCount} cores, ${memoryGib} GiB`,
      `Linux ${kernel}`,
      `Node ${node}`,
      loadAverage.join(' '),
      otherAgentsCount === undefined ? 'unknown' : String(otherAgentsCount),
      `\`${commandOf(file, RESULTS)}\``,
    ]
  })
  const about = ['file', 'cases', 'date', 'commit', 'machine', 'kernel', 'Node', 'load average', 'other agents']
  return rows.length === 0 ? `${NOT_RECORDED}: there is no result file.` : table([[...about, 'written by'], ...rows])
}

function sourceOf(name, { source }) {
  if (source === undefined) return `${NOT_RECORDED}: no result file holds the case \`${name}\`.`
  const { date, commit, cpu, coresCount, kernel, loadAverage } = source.machine
  const said = source.cases[name]
  const whole = said === undefined || said === 'done' ? '' : ` The case did not end well in that run: ${said}.`
  const machine = `${cpu}, ${coresCount} cores, Linux ${kernel}`
  const about = [date.slice(0, 10), `commit ${commit}`, machine, `load average ${loadAverage.join(' ')}`]
  return `From ${linkTo(source)} (${about.join(', ')}).${whole}`
}

/** What stands in the template by the name of its place; a table without a result is one line. */
function placesOf(results) {
  const tableOf = (name, make) => {
    const figures = results.of(name)
    return figures.source === undefined ? NOT_RECORDED : make(figures)
  }
  const targets = allTargets(results)
  return new Map([
    ['sources', sourceTable(results)],
    ['targets', targetTable(targets)],
    ['targetCount', targetCount(targets)],
    ...CASES.map((name) => [`from ${name}`, sourceOf(name, results.of(name))]),
    ...Object.entries(MATCHER_TABLES).map(([place, make]) => [place, tableOf('matcher', make)]),
    ...Object.entries(CASE_TABLES).map(([name, make]) => [name, tableOf(name, make)]),
    ['kernelMemory', tableOf('memory', kernelMemory)],
  ])
}

function pageOf(results) {
  const places = placesOf(results)
  const unplaced = new Set(places.keys())
  const page = readFileSync(TEMPLATE, 'utf8').replace(/\{\{([^}]+)\}\}/g, (_, place) => {
    if (!places.has(place)) throw new Error(`page.md has a place {{${place}}} that nothing fills`)
    unplaced.delete(place)
    return places.get(place)
  })
  if (unplaced.size > 0) throw new Error(`page.md has no place for ${[...unplaced].join(', ')}`)
  return page
}

/** Rows of a used result that are on the page nowhere, by case and metric. */
function leftOut(results) {
  return CASES.flatMap((name) => {
    const rows = results.of(name).unread()
    const metrics = [...new Set(rows.map(({ metric }) => metric))]
    return rows.length === 0 ? [] : [`${name}: ${rows.length} rows (${metrics.join(', ')})`]
  })
}

const readPage = () => {
  try {
    return readFileSync(options.page, 'utf8')
  } catch {
    return ''
  }
}

const results = new Results(readResults(options.results))
const page = pageOf(results)
const unused = results.unused().map(({ name }) => name)
if (unused.length > 0) console.error(`${RESULTS}: the page uses no case of ${unused.join(', ')}; remove it`)
if (options.check) {
  const isSame = readPage() === page
  if (!isSame)
    console.error(
      `${relative(root, options.page)} differs from ${RESULTS}; run \`node scripts/generate-benchmarks.mjs\``,
    )
  if (!isSame || unused.length > 0) process.exitCode = 1
} else {
  writeFileSync(options.page, page)
  for (const line of leftOut(results)) console.error(`not on the page: ${line}`)
}
