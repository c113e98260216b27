// Writes the table of docs/standard-set.md from policies/standard, between the two marks: what ships is said in one place.
// `--check` only compares. Every rule must have a description, a priority, a technique and controls, or nothing is written.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'
import { at } from './setup/support.mjs'

const FOLDER = 'policies/standard'
const PAGE = 'docs/standard-set.md'
const [START, END] = ['<!-- generated from policies/standard -->', '<!-- end of what is generated -->']
const TECHNIQUE = /^T\d{4}(\.\d{3})?$/
const KINDS = ['exec', 'file', 'connect', 'listen', 'signal', 'mount', 'syscall', 'capability', 'memory', 'condition']
const STANDARDS = {
  'pci-dss': 'PCI DSS 4.0.1',
  glba: 'GLBA, 16 CFR',
  hipaa: 'HIPAA, 45 CFR',
  soc2: 'SOC 2',
  'nist-800-53': 'NIST SP 800-53r5',
  'nist-800-190': 'NIST SP 800-190',
}

function policies() {
  return readdirSync(at(FOLDER))
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .flatMap((name) => parseAllDocuments(readFileSync(at(FOLDER, name), 'utf8')).map((document) => document.toJS()))
    .filter((document) => document?.policy !== undefined)
}

const cell = (text) => text.trim().replaceAll('|', '\\|').replaceAll('*', '\\*').replace(/\s+/g, ' ')

function ruleRow(rule) {
  const tags = rule.tags ?? []
  const techniques = tags.filter((tag) => TECHNIQUE.test(tag))
  const kind = KINDS.find((name) => name in rule)
  const controls = tags.filter((tag) => tag.split(':')[0] in STANDARDS)
  const lacks = [
    ...(rule.description ? [] : ['a description']),
    ...(rule.priority ? [] : ['a priority']),
    ...(techniques.length > 0 ? [] : ['a technique']),
    ...(controls.length > 0 ? [] : ['controls']),
    ...(kind ? [] : ['a kind']),
  ]
  if (lacks.length > 0) throw new Error(`the rule "${rule.rule}" has not: ${lacks.join(', ')}`)
  const exceptions = (rule.exceptions ?? []).map(({ name, reason }) => `*${cell(name)}*: ${cell(reason)}`)
  const cells = [`**${cell(rule.rule)}**<br>${cell(rule.description)}`, techniques.join(' '), kind, rule.priority]
  return { cells: [...cells, exceptions.join('; ')], controls }
}

function controlsTable(policy, rows) {
  const lines = Object.entries(STANDARDS).map(([key, name]) => {
    const ids = new Set(rows.flatMap(({ controls }) => controls.filter((tag) => tag.startsWith(`${key}:`))))
    return `${name}: ${[...ids].map((tag) => tag.slice(key.length + 1)).join(', ')}`
  })
  return `Evidence for controls, from \`${policy.policy}\`: ${lines.join('. ')}.`
}

function section(policy) {
  const rows = policy.rules.map(ruleRow)
  return [
    `### ${policy.policy}`,
    '',
    `${policy.description.trim()}. ${rows.length} rules.`,
    '',
    '| rule | technique | kind | priority | exceptions |',
    '|---|---|---|---|---|',
    ...rows.map(({ cells }) => `| ${cells.join(' | ')} |`),
    '',
    controlsTable(policy, rows),
    '',
  ]
}

const all = policies()
const count = all.reduce((sum, { rules }) => sum + rules.length, 0)
const tests = all.reduce((sum, policy) => sum + (policy.tests ?? []).length, 0)
const body = [`${count} rules in ${all.length} policies, with ${tests} tests.`, '', ...all.flatMap(section)].join('\n')
const page = readFileSync(at(PAGE), 'utf8')
const [from, to] = [page.indexOf(START), page.indexOf(END)]
if (from < 0 || to < from) throw new Error(`${PAGE} lacks the marks`)
const wanted = `${page.slice(0, from)}${START}\n\n${body}\n${page.slice(to)}`
if (!process.argv.includes('--check')) writeFileSync(at(PAGE), wanted)
else if (wanted !== page) {
  console.error(`${PAGE} is not what policies/standard says; run: node scripts/generate-standard-set.mjs`)
  process.exitCode = 1
}
