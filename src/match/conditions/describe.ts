/** A program as text, stable for equal input: what each field is compared with and by which index, each rule's gate and code. */
import { TEST_MISSING, TEST_NAMES, TEST_NETWORK } from './atoms.js'
import type { Lowered } from './gates.js'
import type { Tables } from './tables.js'

/** Values of a list that are shown; the rest is counted. */
const SHOWN_MAX_COUNT = 8

const INDEXES: readonly string[] = [
  'trie from the front',
  'trie from the front',
  'trie from the end',
  'Aho–Corasick',
  'Aho–Corasick, case folded',
  'globs behind Aho–Corasick',
  'globs behind Aho–Corasick, case folded',
  'path components',
  'lazy DFA',
  'network trie',
  'order',
  'order',
  'order',
  'order',
  'read',
]

export function describeProgram(tables: Tables): string {
  const lines: string[] = []
  describeFields(tables, lines)
  for (const [macro, name] of tables.macroNames.entries()) {
    lines.push(`macro ${name}`)
    describeCode(tables, tables.macroEntries[macro] ?? -2, lines)
  }
  for (const [demand, asked] of tables.demandAsks.entries()) {
    const wanted = tables.demandWants[demand] === 1 ? '' : 'not '
    lines.push(`asked once for all rules that need it: ${wanted}${askedText(tables, asked)}`)
  }
  for (const rule of tables.rules.keys()) describeRule(tables, rule, lines)
  return `${lines.join('\n')}\n`
}

function describeFields({ lowered, indexes }: Tables, lines: string[]): void {
  for (const { id, text, type } of lowered.operands.all) {
    lines.push(`field ${text} (${type})`)
    if (indexes[id] === undefined) lines.push('  no index')
    const byTest = new Map<string, string[]>()
    for (const atom of lowered.atoms.all) {
      if (atom.operand !== id) continue
      const numbers = type !== 'string' && type !== 'bytes' && type !== 'list'
      const isOfOrder = numbers && atom.test !== TEST_NETWORK && atom.test !== TEST_MISSING
      const index = isOfOrder ? 'order' : (INDEXES[atom.test] ?? '')
      const key = `${index}: ${TEST_NAMES[atom.test]}`
      const values = byTest.get(key) ?? []
      values.push(atomValue(lowered, atom.id))
      byTest.set(key, values)
    }
    for (const [key, values] of [...byTest].sort(([a], [b]) => (a < b ? -1 : 1)))
      lines.push(`  ${key} ${shown(values)}`.trimEnd())
  }
}

function describeRule(tables: Tables, rule: number, lines: string[]): void {
  const { rules, ruleNodes, ruleEntries, ruleGroups, groups, gates, lowered } = tables
  const node = ruleNodes[rule] ?? 0
  const group = groups[ruleGroups[rule] ?? 0]
  lines.push(`rule ${rule} ${JSON.stringify(rules[rule]?.name)} scope ${group?.scope}`)
  lines.push(`  on ${group?.types.map((type) => tables.eventTypes[type]).join(' ')}`)
  const gate = gates.gate(node)
  if (node === lowered.nodes.never) lines.push('  never')
  else if (gate === undefined) lines.push('  no gate: sieved')
  else for (const set of gate.sets) lines.push(`  gate ${setText(tables, set)}`)
  for (const set of gates.falsifiers(node)) lines.push(`  not when ${setText(tables, set)}`)
  describeCode(tables, ruleEntries[rule] ?? -2, lines)
}

function setText({ gates, lowered }: Tables, set: number): string {
  const atoms = gates.sets.all[set] ?? new Int32Array(0)
  return shown(Array.from(atoms, (atom) => atomText(lowered, atom)))
}

/** Steps in the order in which they are reached, numbered from 1. */
function describeCode(tables: Tables, entry: number, lines: string[]): void {
  const { code } = tables
  const numbers = new Map<number, number>()
  const open = [entry]
  const order: number[] = []
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at < 0 || numbers.has(at)) continue
    numbers.set(at, 0)
    order.push(at)
    open.push(code[at + 2] as number, code[at + 1] as number)
  }
  // behind a step stands what it jumps to: code is emitted from its end
  order.sort((a, b) => b - a)
  for (const [index, at] of order.entries()) numbers.set(at, index + 1)
  const target = (at: number) => (at === -1 ? 'yes' : at === -2 ? 'no' : `${numbers.get(at)}`)
  if (entry < 0) lines.push(`  ${target(entry)}`)
  for (const at of order)
    lines.push(
      `  ${numbers.get(at)}: ${askedText(tables, code[at] as number)} ? ${target(code[at + 1] as number)} : ${target(code[at + 2] as number)}`,
    )
}

function askedText({ lowered, macroNames }: Tables, asked: number): string {
  const { predicates, operands } = lowered
  if (asked >= predicates.all.length) return `macro ${macroNames[asked - predicates.all.length]}`
  const predicate = predicates.at(asked)
  const left = predicate.kind === 'type' ? '' : operands.at(predicate.operand).text
  switch (predicate.kind) {
    case 'atom':
    case 'order':
      return atomText(lowered, predicate.atom)
    case 'differs':
      return `${left} != ${atomValue(lowered, predicate.atom)}`
    case 'exists':
      return `${left} exists`
    case 'any':
      return `any of ${shown(Array.from(predicate.atoms, (atom) => atomText(lowered, atom)))}`
    case 'every':
      return `every ${left} in ${shown(Array.from(predicate.atoms, (atom) => atomValue(lowered, atom)))}`
    case 'count': {
      const items = predicate.items.map((item) => askedText({ lowered, macroNames } as Tables, item))
      return `${predicate.mode} ${predicate.isNegated ? 'not ' : ''}${shown(items)}`
    }
    case 'between':
      return `${left} ${predicate.operator} val(${operands.at(predicate.right).text})`
    default:
      return predicate.text
  }
}

function atomText(lowered: Lowered, id: number): string {
  const atom = lowered.atoms.at(id)
  return `${lowered.operands.at(atom.operand).text} ${TEST_NAMES[atom.test]} ${atomValue(lowered, id)}`.trimEnd()
}

function atomValue({ atoms, operands }: Lowered, id: number): string {
  const { operand, test, value } = atoms.at(id)
  if (test === TEST_MISSING) return ''
  if (test === TEST_NETWORK) {
    const groups = Buffer.from(value.slice(0, 16), 'latin1').toString('hex').match(/.{4}/g) ?? []
    return `${groups.join(':')}/${value.charCodeAt(16)}`
  }
  const { type } = operands.at(operand)
  const isText = type === 'string' || type === 'bytes' || type === 'list'
  return isText ? JSON.stringify(Buffer.from(value, 'latin1').toString()) : value
}

function shown(values: readonly string[]): string {
  const [first = ''] = values
  if (values.length === 1) return first
  const more = values.length > SHOWN_MAX_COUNT ? `, and ${values.length - SHOWN_MAX_COUNT} more` : ''
  return `{${values.slice(0, SHOWN_MAX_COUNT).join(', ')}${more}}`
}
