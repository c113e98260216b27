/** Two values, neither known before the event: `val()` on the right, and what has no index. */
import type { Operator } from '../../policy/condition/ast.js'
import { globMatches } from './glob.js'
import { compareBytes } from './order-index.js'
import { componentsMatch } from './path-components.js'
import type { FieldValues } from './values.js'

export type ValueKind = 'text' | 'number' | 'address'

/** Does `left[a] OPERATOR right[b]` hold; `!=` too. `in`, `intersects` compare as `=`. */
export function holdsBetween(
  kind: ValueKind,
  operator: Operator,
  left: FieldValues,
  a: number,
  right: FieldValues,
  b: number,
): boolean {
  if (kind === 'number') return holdsOrder(operator, orderOfNumbers(left, a, right, b))
  const [text, textStart, textEnd] = [left.bytes[a] as Uint8Array, left.starts[a] as number, left.ends[a] as number]
  const [wanted, start, end] = [right.bytes[b] as Uint8Array, right.starts[b] as number, right.ends[b] as number]
  return holdsBytes(operator, text, textStart, textEnd, wanted, start, end)
}

export function holdsBytes(
  operator: Operator,
  text: Uint8Array,
  textStart: number,
  textEnd: number,
  wanted: Uint8Array,
  start: number,
  end: number,
): boolean {
  const length = end - start
  switch (operator) {
    case 'startswith':
    case 'bstartswith':
      return length <= textEnd - textStart && isAt(text, textStart, wanted, start, end, false)
    case 'endswith':
      return length <= textEnd - textStart && isAt(text, textEnd - length, wanted, start, end, false)
    case 'contains':
    case 'bcontains':
    case 'icontains':
      for (let at = textStart; at + length <= textEnd; at++)
        if (isAt(text, at, wanted, start, end, operator === 'icontains')) return true
      return false
    case 'glob':
    case 'iglob':
      return globMatches(wanted, start, end, text, textStart, textEnd, operator === 'iglob')
    case 'pmatch':
      return componentsMatch(wanted, start, end, text, textStart, textEnd)
    default:
      return holdsOrder(operator, compareBytes(text, textStart, textEnd, wanted, start, end))
  }
}

function isAt(
  text: Uint8Array,
  at: number,
  wanted: Uint8Array,
  start: number,
  end: number,
  isFolded: boolean,
): boolean {
  for (let offset = 0; offset < end - start; offset++) {
    const a = text[at + offset] as number
    const b = wanted[start + offset] as number
    if (a !== b && !(isFolded && lower(a) === lower(b))) return false
  }
  return true
}

export function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}

function orderOfNumbers(left: FieldValues, a: number, right: FieldValues, b: number): number {
  const high = (left.high[a] as number) - (right.high[b] as number)
  return high === 0 ? (left.low[a] as number) - (right.low[b] as number) : high
}

function holdsOrder(operator: Operator, order: number): boolean {
  switch (operator) {
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
    case '!=':
      return order !== 0
    default:
      return order === 0
  }
}
