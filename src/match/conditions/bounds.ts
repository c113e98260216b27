/**
 * For which events a condition can hold at all, as far as the kernel can tell them apart: a set of wants, each a set of events, of which
 * an event that the condition holds for is always in one. What a check is worth says who asks (places.ts, ends.ts).
 */
import type { Check, Expression, Operator, Right } from '../../policy/condition/ast.js'

export interface BoundSources {
  macro(name: string): Expression | undefined
  list(name: string): readonly Uint8Array[] | undefined
}

export interface Bound<Want> {
  /** What holds for every event. */
  readonly every: readonly Want[]
  /** What is in both. */
  meet(a: Want, b: Want): readonly Want[]
  /** The same in few wants. */
  merged(wants: readonly Want[]): readonly Want[]
  ofCheck(check: Check): readonly Want[]
  /** Of the negation. A field that is not there makes a check false, and its negation true. */
  besideCheck(check: Check): readonly Want[]
}

/** More pairs than this are not worked out: the shorter side alone holds for as many. */
const PAIRS_MAX_COUNT = 20_000

export function boundOf<Want>(expression: Expression, sources: BoundSources, bound: Bound<Want>): readonly Want[] {
  const macros = new Map<string, readonly Want[]>()
  const visit = (part: Expression, isNegated: boolean): readonly Want[] => {
    switch (part.kind) {
      case 'and':
      case 'or': {
        const operands = part.operands.map((operand) => visit(operand, isNegated))
        if ((part.kind === 'and') === isNegated) return bound.merged(operands.flat())
        return operands.reduce((left, right) => both(left, right, bound))
      }
      case 'not':
        return visit(part.operand, !isNegated)
      case 'macro': {
        const key = `${isNegated ? '!' : ''}${part.name}`
        const known = macros.get(key)
        if (known !== undefined) return known
        const body = sources.macro(part.name)
        const wants = body === undefined ? bound.every : visit(body, isNegated)
        macros.set(key, wants)
        return wants
      }
      case 'check':
        return isNegated ? bound.besideCheck(part) : bound.ofCheck(part)
    }
  }
  return bound.merged(visit(expression, false))
}

export function both<Want>(
  left: readonly Want[],
  right: readonly Want[],
  { meet, merged }: Pick<Bound<Want>, 'meet' | 'merged'>,
): readonly Want[] {
  if (left.length * right.length > PAIRS_MAX_COUNT) return left.length <= right.length ? left : right
  return merged(left.flatMap((a) => right.flatMap((b) => meet(a, b))))
}

export function isEquality(operator: Operator): boolean {
  return operator === '=' || operator === '==' || operator === 'in'
}

/** Latin-1, a character a byte. Undefined: not values that are written down. */
export function textsOf(right: Right, { list }: BoundSources): string[] | undefined {
  const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
  if (right.kind === 'value') return [latin1(right.bytes)]
  if (right.kind === 'list_name') return list(right.name)?.map(latin1)
  if (right.kind === 'list')
    // a bare word is a list's name, or itself
    return right.items.flatMap((item) =>
      ((item.isQuoted ? undefined : list(latin1(item.bytes))) ?? [item.bytes]).map(latin1),
    )
  return undefined
}
