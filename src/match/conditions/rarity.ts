/**
 * How often a comparison probably holds, from 0 to 1: what makes it a good or a bad gate. A guess made once, when rules are
 * compiled; a wrong guess costs time, never an answer. Rough figures after what busy containers do.
 */
import {
  type Atom,
  isOrder,
  TEST_CONTAINS,
  TEST_EQUALS,
  TEST_GLOB,
  TEST_ICONTAINS,
  TEST_IGLOB,
  TEST_MISSING,
  TEST_NETWORK,
  TEST_PATH,
  TEST_PREFIX,
  TEST_SUFFIX,
} from './atoms.js'
import { globLiteral } from './glob.js'
import { kindOfType, type OperandEntry } from './operands.js'

/** Fields with a handful of values. */
const COARSE =
  /^(?:fd\.(?:type|typechar|types|l4proto|sockfamily|num|connected|name_changed)|evt\.(?:res|rawres|num|is_\w+|source)|container\.(?:id|type|state|privileged)|proc\.(?:phase|tty)|user\.(?:uid|name)|group\.\w+)$/
const CONTAINER = /^(?:container|k8s)\./
const ANCESTOR = /^proc\.a/
/** Of a whole set of values of one field: never rarer than its rarest, never surer than this. */
const SET_MOST = 0.35
/** A field is missing: of what an event is about seldom, else with what it hangs on (no container, no such ancestor). */
const MISSING = 0.05

export function likelihood(atom: Atom, operand: OperandEntry): number {
  if (atom.test === TEST_MISSING)
    return CONTAINER.test(operand.text) || ANCESTOR.test(operand.text) ? 2 * MISSING : MISSING
  if (operand.type === 'bool') return 0.4
  const coarse = COARSE.test(operand.text)
    ? 0.3
    : CONTAINER.test(operand.text)
      ? 0.1
      : ANCESTOR.test(operand.text)
        ? 0.05
        : 0
  if (isOrder(atom.test)) return 0.6
  const length = atom.value.length
  switch (atom.test) {
    case TEST_EQUALS:
      return Math.max(coarse, kindOfType(operand.type) === 'number' ? 0.02 : 0.01)
    case TEST_NETWORK:
      return 0.02 + 0.5 * (1 - atom.value.charCodeAt(16) / 128)
    case TEST_PREFIX:
    case TEST_SUFFIX:
      return Math.max(coarse, ofLength(length, 0.02))
    case TEST_CONTAINS:
    case TEST_ICONTAINS:
      return Math.max(coarse, ofLength(length, 0.03))
    case TEST_PATH:
      return length === 0 ? 1 : Math.max(coarse, 0.1 / atom.value.split('/').length)
    case TEST_GLOB:
    case TEST_IGLOB:
      return Math.max(coarse, ofLength(globLiteral(atom.value).length, 0.03))
    default:
      return Math.max(coarse, 0.1)
  }
}

function ofLength(length: number, least: number): number {
  return length <= 1 ? 0.9 : Math.max(least, 0.8 / (length * length))
}

/** Of at least one of a set of comparisons of one field. */
export function likelihoodOfAny(each: readonly number[]): number {
  const sum = each.reduce((total, one) => total + one, 0)
  const most = each.reduce((largest, one) => Math.max(largest, one), 0)
  return Math.max(most, Math.min(sum, SET_MOST))
}
