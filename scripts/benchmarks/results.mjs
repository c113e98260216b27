// The result files of `npm run bench -- --result FILE`, and which of them each case's figures are from: the newest that holds it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = new URL('../../', import.meta.url)
/** In order of running: a result that holds all of them was written without `--only`. */
export const { CASES } = await import(new URL('dist/bench/support/case-names.js', root).href)

/** `name=value,…` -> {name: value, …}; nothing of a row that is not there. */
export function paramsOf(row) {
  const { param = '' } = row ?? {}
  return Object.fromEntries(
    param.split(',').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  )
}

/** All result files of a folder, newest first. What `--quick` wrote means nothing and is refused. */
export function readResults(folder) {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  return files
    .map((name) => {
      const { machine, rows, cases, isQuick } = JSON.parse(readFileSync(join(folder, name), 'utf8'))
      if (isQuick === true) throw new Error(`${name} was written with --quick: its figures mean nothing`)
      return { name, machine, rows, cases: cases ?? {} }
    })
    .sort((a, b) => b.machine.date.localeCompare(a.machine.date) || a.name.localeCompare(b.name))
}

/** The figures of one case. `source` is undefined where no file holds the case. */
class Figures {
  #byKey = new Map()
  #read = new Set()

  constructor(source, rows) {
    this.source = source
    this.rows = rows
    for (const row of rows) this.#byKey.set(`${row.subject}|${row.param}|${row.metric}`, row)
  }

  /** undefined: not recorded. */
  value(subject, param, metric) {
    const row = this.#byKey.get(`${subject}|${param}|${metric}`)
    if (row !== undefined) this.#read.add(row)
    return row?.value
  }

  /** The first row of this subject: its param, for cases that choose it while they run. */
  first(subject) {
    return this.rows.find((row) => row.subject === subject)
  }

  /** Rows that nobody asked for: the page leaves them out. */
  unread() {
    return this.rows.filter((row) => !this.#read.has(row))
  }
}

export class Results {
  #figures

  constructor(files) {
    this.files = files
    this.#figures = new Map(
      CASES.map((name) => {
        const holds = (file) => file.rows.some((row) => row.case === name)
        const source = files.find(holds)
        return [name, new Figures(source, source?.rows.filter((row) => row.case === name) ?? [])]
      }),
    )
  }

  of(name) {
    return this.#figures.get(name)
  }

  /** Files with the cases that the page takes from them, newest first. */
  used() {
    return this.files
      .map((file) => ({ file, cases: CASES.filter((name) => this.of(name).source === file) }))
      .filter(({ cases }) => cases.length > 0)
  }

  unused() {
    const used = new Set(this.used().map(({ file }) => file))
    return this.files.filter((file) => !used.has(file))
  }
}

/** What was typed to write the file. */
export function commandOf(file, folder) {
  const ran = CASES.filter((name) => name in file.cases || file.rows.some((row) => row.case === name))
  const only = ran.length === CASES.length ? '' : `--only ${ran.join(',')} `
  return `npm run bench -- ${only}--result ${folder}/${file.name}`
}
