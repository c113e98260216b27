// A node:test reporter. To standard output: one line a finished file, and each failure in full. To the file named by
// HULLGUARD_TEST_LOG: one JSON line a result, as it comes, so that what ran is known even when the tier is ended from outside.
//   {type: 'pass' | 'fail' | 'skip' | 'done', file, name, reason?, durationMs?}
// A suite is not a test; a test whose subtests failed is not a second failure.
import { appendFileSync } from 'node:fs'
import { relative } from 'node:path'
import { inspect } from 'node:util'

/** Node 20 reports what --test-name-pattern leaves out as skipped, with this reason. Not wanted is not skipped. */
const NOT_SELECTED = 'test name does not match pattern'

const logFile = process.env.HULLGUARD_TEST_LOG ?? '/dev/null'
/** A file as dist/…/x.test.js or, through its source map, as …/x.test.ts: one name for both. */
const shown = (file) =>
  relative(process.cwd(), file ?? '')
    .replace(/^dist\//, '')
    .replace(/\.js$/, '.ts')

const OUTPUT_KEPT_CHARS = 16_384

const isFileItself = ({ name, nesting }) => nesting === 0 && /\.test\.js$/.test(name) && name.startsWith('/')

/** What a test came to, or undefined for what does not count. */
function resultOf({ type, data }) {
  const { name, skip, todo, details } = data
  const isFile = isFileItself(data)
  if (skip === NOT_SELECTED || details?.type === 'suite') return undefined
  if (skip !== undefined && skip !== false) return { type: 'skip', name, reason: skip === true ? '' : String(skip) }
  if (todo !== undefined && todo !== false) return { type: 'skip', name, reason: `todo: ${todo}` }
  if (type === 'test:pass') {
    // The file itself comes as a passed test only when there was no test in it.
    return isFile
      ? process.env.HULLGUARD_TEST_GREP
        ? undefined
        : { type: 'fail', name: 'holds a test', reason: 'no test in this file' }
      : { type: 'pass', name }
  }
  if (details?.error?.failureType === 'subtestsFailed') return undefined
  const cause = details?.error?.cause ?? details?.error
  return {
    type: 'fail',
    name: isFile ? 'runs to its end' : name,
    reason: inspect(cause, { colors: process.stdout.isTTY, depth: 6 }),
  }
}

const indent = (text) => text.replace(/^/gm, '      ')

/** What was seen of one file. Its results come in order, one file after the other; its end and its output come at any time. */
class FileReport {
  constructor(name) {
    this.name = name
    this.counts = { pass: 0, fail: 0, skip: 0 }
    this.output = ''
    this.durationMs = undefined
    this.isTold = false
  }

  tell() {
    this.isTold = true
    const { pass, fail, skip } = this.counts
    if (process.env.HULLGUARD_TEST_GREP && pass + fail + skip === 0) return ''
    const parts = [`${pass} passed`, ...(fail > 0 ? [`${fail} FAILED`] : []), ...(skip > 0 ? [`${skip} skipped`] : [])]
    const seconds = this.durationMs === undefined ? 'did not end' : `${(this.durationMs / 1000).toFixed(1)} s`
    const output = fail > 0 && this.output !== '' ? `    its output:\n${indent(this.output.trimEnd())}\n` : ''
    return `  ${this.name}: ${parts.join(', ')} (${seconds})\n${output}`
  }
}

const log = (line) => appendFileSync(logFile, `${JSON.stringify(line)}\n`)

export default async function* report(source) {
  const files = new Map()
  const reportOf = (file) => {
    const name = shown(file)
    if (!files.has(name)) files.set(name, new FileReport(name))
    return files.get(name)
  }
  let current
  for await (const event of source) {
    const { type, data } = event
    if (data.file === undefined) continue
    const file = reportOf(data.file)
    if (type === 'test:stderr' || type === 'test:stdout') {
      // Shown only when the file fails. Bounded, since a test may print without end.
      file.output = `${file.output}${data.message}`.slice(-OUTPUT_KEPT_CHARS)
    } else if (type === 'test:complete' && isFileItself(data)) {
      file.durationMs = data.details.duration_ms
      log({ type: 'done', file: file.name, name: '', durationMs: file.durationMs })
    } else if (type === 'test:pass' || type === 'test:fail') {
      if (current !== undefined && current !== file && !current.isTold) yield current.tell()
      current = file
      const result = resultOf(event)
      if (result === undefined) continue
      file.counts[result.type]++
      log({ ...result, file: file.name })
      if (result.type === 'fail') yield `  FAILED ${file.name}: ${result.name}\n${indent(result.reason)}\n`
    }
  }
  for (const file of files.values()) if (!file.isTold) yield file.tell()
}
