/** Checked conditions -> nodes over predicates over atoms. Values are read by the type of the field beside them. */
import type { Check, Expression, Operator, Right, Value } from '../../policy/condition/ast.js'
import { textOf } from '../../policy/condition/check.js'
import { type NetLiteral, readLiteral } from '../../policy/condition/literals.js'
import { parseRegex } from '../../policy/condition/regex.js'
import {
  Atoms,
  networkValue,
  TEST_AT_LEAST,
  TEST_AT_MOST,
  TEST_CONTAINS,
  TEST_EQUALS,
  TEST_GLOB,
  TEST_ICONTAINS,
  TEST_IGLOB,
  TEST_LESS,
  TEST_MORE,
  TEST_NETWORK,
  TEST_PATH,
  TEST_PREFIX,
  TEST_REGEX,
  TEST_SUFFIX,
} from './atoms.js'
import { holdsBytes } from './compare.js'
import { Nodes } from './nodes.js'
import { foldCase } from './operand-index.js'
import { kindOfType, type OperandEntry, Operands } from './operands.js'
import { normalPath } from './path-components.js'
import { type CountMode, Predicates } from './predicates.js'
import { RegexSet } from './regex-set.js'
import type { ConditionInput } from './types.js'

const TESTS: Readonly<Record<string, number>> = {
  '=': TEST_EQUALS,
  '==': TEST_EQUALS,
  '!=': TEST_EQUALS,
  in: TEST_EQUALS,
  intersects: TEST_EQUALS,
  startswith: TEST_PREFIX,
  bstartswith: TEST_PREFIX,
  endswith: TEST_SUFFIX,
  contains: TEST_CONTAINS,
  bcontains: TEST_CONTAINS,
  icontains: TEST_ICONTAINS,
  glob: TEST_GLOB,
  iglob: TEST_IGLOB,
  pmatch: TEST_PATH,
  regex: TEST_REGEX,
  '<': TEST_LESS,
  '<=': TEST_AT_MOST,
  '>=': TEST_AT_LEAST,
  '>': TEST_MORE,
}

const encoder = new TextEncoder()

export class Lowering {
  readonly atoms = new Atoms()
  readonly operands: Operands
  readonly predicates = new Predicates()
  readonly nodes = new Nodes()
  readonly #input: ConditionInput
  readonly #macros = new Map<string, number>()
  /** Values of a named list. */
  readonly #lists = new Map<string, readonly Uint8Array[] | undefined>()
  /** Predicates of a named list, by field, operator and list: long lists are read once. */
  readonly #ofLists = new Map<string, number>()
  readonly #typeBytes: readonly Uint8Array[]
  /** What is asked of the event's type: nearly every rule asks it, and few things are. */
  readonly #ofTypes = new Map<string, number>()

  constructor(input: ConditionInput) {
    this.#input = input
    this.#typeBytes = input.eventTypes.map((name) => encoder.encode(name))
    this.operands = new Operands((name) => input.fieldType(name))
    for (const [name, expression] of input.macros) this.#macros.set(name, this.nodes.macro(this.node(expression), name))
  }

  node(expression: Expression): number {
    switch (expression.kind) {
      case 'macro': {
        const macro = this.#macros.get(expression.name)
        if (macro === undefined) throw new Error(`a macro that was not checked: ${expression.name}`)
        return macro
      }
      case 'not':
        return this.nodes.not(this.node(expression.operand))
      case 'check':
        return this.#check(expression)
      default:
        return this.nodes.junction(
          expression.kind,
          expression.operands.map((each) => this.node(each)),
        )
    }
  }

  #check(check: Check): number {
    const { left, operator, modifier, right } = check
    const isType = left.kind === 'field' && left.name === 'evt.type'
    if (isType && (right === undefined || !isOperand(right))) return this.#typeCheck(check)
    const operand = this.operands.of(left)
    if (operator === 'exists' || right === undefined) return this.#predicate({ kind: 'exists', operand: operand.id })
    if (isOperand(right)) {
      const other = this.operands.of(right)
      return this.#predicate({ kind: 'between', operand: operand.id, operator, right: other.id })
    }
    if (modifier !== undefined) return this.#count(operand, operator, modifier, this.#values(right))
    if (operator === 'in' || operator === 'intersects' || operator === 'pmatch')
      return this.#list(operand, operator, right)
    const [value] = this.#values(right)
    if (value === undefined) return this.nodes.never
    return this.nodes.predicate(this.#single(operand, operator, value))
  }

  #predicate(predicate: Parameters<Predicates['id']>[0]): number {
    return this.nodes.predicate(this.predicates.id(predicate))
  }

  /** A comparison with one value. */
  #single(operand: OperandEntry, operator: Operator, value: Uint8Array): number {
    const atom = this.#atom(operand, operator, value)
    if (operator === '!=') return this.predicates.id({ kind: 'differs', operand: operand.id, atom })
    const isOrder = (TESTS[operator] ?? 0) >= TEST_LESS
    return this.predicates.id({ kind: isOrder ? 'order' : 'atom', operand: operand.id, atom })
  }

  #list(operand: OperandEntry, operator: 'in' | 'intersects' | 'pmatch', right: Right): number {
    const key = right.kind === 'list_name' ? `${operand.id} ${operator} ${right.name}` : undefined
    const known = key === undefined ? undefined : this.#ofLists.get(key)
    if (known !== undefined) return known
    const ids = this.#values(right).map((value) => this.#atom(operand, operator, value))
    const atoms = Int32Array.from(new Set(ids)).sort()
    const node =
      operator === 'in' && operand.type === 'list'
        ? this.#predicate({ kind: 'every', operand: operand.id, atoms })
        : this.#any(operand, atoms)
    if (key !== undefined) this.#ofLists.set(key, node)
    return node
  }

  #any(operand: OperandEntry, atoms: Int32Array): number {
    const [first] = atoms
    if (first === undefined) return this.nodes.never
    if (atoms.length === 1) return this.#predicate({ kind: 'atom', operand: operand.id, atom: first })
    return this.#predicate({ kind: 'any', operand: operand.id, atoms })
  }

  #count(operand: OperandEntry, operator: Operator, mode: CountMode, values: readonly Uint8Array[]): number {
    if (values.length === 0) return this.nodes.never
    const isNegated = operator === '!='
    const items = values.map((value) => this.#single(operand, isNegated ? '=' : operator, value))
    return this.#predicate({ kind: 'count', operand: operand.id, items, mode, isNegated })
  }

  #atom({ id, type }: OperandEntry, operator: Operator, value: Uint8Array): number {
    const test = TESTS[operator] ?? TEST_EQUALS
    switch (kindOfType(type)) {
      case 'number':
        return this.atoms.id(id, test, numberOf(type, value))
      case 'address': {
        const { network, prefixBits } = literalOf('net', value) as NetLiteral
        return this.atoms.id(id, TEST_NETWORK, networkValue(network, prefixBits))
      }
      default: {
        const isHex = operator === 'bcontains' || operator === 'bstartswith'
        const text = isHex ? Buffer.from(textOfBytes(value), 'hex').toString('latin1') : latin1(value)
        const isFolded = test === TEST_ICONTAINS || test === TEST_IGLOB
        return this.atoms.id(id, test, test === TEST_PATH ? normalPath(text) : isFolded ? foldCase(text) : text)
      }
    }
  }

  #values(right: Right): readonly Uint8Array[] {
    switch (right.kind) {
      case 'value':
        return [right.bytes]
      case 'number':
        return [encoder.encode(right.text)]
      case 'list':
        return right.items.flatMap((item) => this.#item(item))
      case 'list_name':
        return this.#named(right.name) ?? []
      default:
        return []
    }
  }

  #item(item: Value): readonly Uint8Array[] {
    const named = item.isQuoted ? undefined : this.#named(textOf(item))
    return named ?? [item.bytes]
  }

  #named(name: string): readonly Uint8Array[] | undefined {
    if (!this.#lists.has(name)) this.#lists.set(name, this.#input.list(name))
    return this.#lists.get(name)
  }

  /** What is asked of the event's type is known for each type beforehand. */
  #typeCheck({ operator, modifier, right }: Check): number {
    if (operator === 'exists' || right === undefined) return this.nodes.always
    const values = this.#values(right)
    const key = [operator, modifier ?? '', ...values.map(latin1)].join('\0')
    const known = this.#ofTypes.get(key)
    if (known !== undefined) return known
    const node = this.#typeNode(operator, modifier, values)
    this.#ofTypes.set(key, node)
    return node
  }

  #typeNode(operator: Operator, modifier: Check['modifier'], values: readonly Uint8Array[]): number {
    const holds = Uint8Array.from(this.#typeBytes, (type) => {
      const of = (value: Uint8Array) => holdsOfType(operator, type, value)
      const count = values.filter(of).length
      if (modifier === 'oneof') return Number(count === 1)
      if (modifier === 'allof') return Number(values.length > 0 && count === values.length)
      const isAny = modifier === 'anyof' || operator === 'in' || operator === 'intersects' || operator === 'pmatch'
      return Number(isAny ? count > 0 : values[0] !== undefined && of(values[0]))
    })
    if (!holds.includes(1)) return this.nodes.never
    if (!holds.includes(0)) return this.nodes.always
    const named = this.#input.eventTypes.filter((_, type) => holds[type] === 1)
    return this.#predicate({ kind: 'type', holds, text: `evt.type in (${named.join(', ')})` })
  }
}

function holdsOfType(operator: Operator, type: Uint8Array, value: Uint8Array): boolean {
  if (operator !== 'regex') return holdsBytes(operator, type, 0, type.length, value, 0, value.length)
  const parsed = parseRegex(textOfBytes(value))
  return parsed.ok && new RegexSet([parsed.node]).walk(type, 0, type.length) === 1
}

function isOperand(right: Right): right is Extract<Right, { kind: 'field' | 'transformer' }> {
  return right.kind === 'field' || right.kind === 'transformer'
}

function literalOf(type: Parameters<typeof readLiteral>[0], value: Uint8Array) {
  const literal = readLiteral(type, value)
  if (!literal.ok) throw new Error(`a value that was not checked: ${literal.message}`)
  return literal.value
}

function numberOf(type: Parameters<typeof readLiteral>[0], value: Uint8Array): string {
  const number = literalOf(type, value)
  return String(typeof number === 'boolean' ? Number(number) : number)
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function textOfBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
}
