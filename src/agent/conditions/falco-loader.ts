/**
 * Loads Falco files in a worker thread: within their bounds files exist that take seconds to read and check, and the event
 * loop has a ring to empty meanwhile. What comes back is compiled on the event loop: for 2,000 rules that takes about as long as a
 * second, during which events wait in the ring.
 */
import { Worker } from 'node:worker_threads'
import type {
  Check,
  ConditionSource,
  Expression,
  Operand,
  Right,
  Span,
  TransformerArgument,
} from '../../policy/condition/ast.js'
import type { FalcoRule } from '../../policy/falco/model.js'
import { HullguardError, messageOf } from '../../telemetry/errors.js'
import type { FalcoRules } from './rulebook.js'

/** What the worker sends: plain data. */
export interface FalcoMessage {
  readonly rules: readonly FalcoRule[]
  readonly macros: ReadonlyMap<string, Expression>
  readonly lists: ReadonlyMap<string, readonly Uint8Array[]>
  /** Rules that are not loaded, by name. */
  readonly refused: readonly string[]
  /** Rendered for a person, errors alone. */
  readonly errors: string
  readonly errorCount: number
  /** Errors other than events and fields that the probes do not yield: something in the files is wrong. */
  readonly faultCount: number
  readonly warningCount: number
}

export interface LoadedFalco extends Omit<FalcoMessage, keyof FalcoRules> {
  readonly falco: FalcoRules
}

export function loadFalcoFiles(paths: readonly string[]): Promise<LoadedFalco> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./falco-worker.js', import.meta.url), { workerData: paths })
    const fail = (reason: string) =>
      reject(new HullguardError('internal', `the Falco files could not be loaded: ${reason}`))
    worker.once('message', (message: FalcoMessage) => {
      const { rules, macros, lists, ...rest } = message
      resolve({ ...rest, falco: { rules: rules.map(placeless), macros: placelessAll(macros), lists } })
    })
    worker.once('error', (error) => fail(messageOf(error)))
    worker.once('exit', (code) => {
      if (code !== 0) fail(`the worker ended with ${code}`)
    })
  })
}

/** Places in the files do not cross: everything that could ask for them has been asked. */
const NO_SOURCE: ConditionSource = {
  text: '',
  locate: () => {
    throw new Error('no places are kept of a condition in force')
  },
}
const NOWHERE: Span = { source: NO_SOURCE, start: 0, end: 0 }

function placeless(rule: FalcoRule): FalcoRule {
  return { ...rule, condition: withoutPlaces(rule.condition) }
}

function placelessAll(macros: ReadonlyMap<string, Expression>): ReadonlyMap<string, Expression> {
  return new Map([...macros].map(([name, expression]) => [name, withoutPlaces(expression)]))
}

function withoutPlaces(expression: Expression): Expression {
  switch (expression.kind) {
    case 'macro':
      return { ...expression, span: NOWHERE }
    case 'not':
      return { ...expression, operand: withoutPlaces(expression.operand), span: NOWHERE }
    case 'check':
      return checkWithoutPlaces(expression)
    default:
      return { ...expression, operands: expression.operands.map(withoutPlaces), span: NOWHERE }
  }
}

function checkWithoutPlaces(check: Check): Check {
  const left = operandWithoutPlaces(check.left)
  const bare = { ...check, left, operatorSpan: NOWHERE, span: NOWHERE }
  return check.right === undefined ? bare : { ...bare, right: rightWithoutPlaces(check.right) }
}

function rightWithoutPlaces(right: Right): Right {
  if (right.kind === 'field' || right.kind === 'transformer') return operandWithoutPlaces(right)
  if (right.kind === 'list')
    return { ...right, items: right.items.map((item) => ({ ...item, span: NOWHERE })), span: NOWHERE }
  return { ...right, span: NOWHERE }
}

function operandWithoutPlaces(operand: Operand): Operand {
  if (operand.kind === 'field') {
    const bare = { ...operand, span: NOWHERE }
    return operand.argument === undefined ? bare : { ...bare, argument: { ...operand.argument, span: NOWHERE } }
  }
  const bare = { ...operand, args: operand.args.map(argumentWithoutPlaces), span: NOWHERE }
  return operand.index === undefined ? bare : { ...bare, index: { ...operand.index, span: NOWHERE } }
}

function argumentWithoutPlaces(part: TransformerArgument): TransformerArgument {
  if (part.kind === 'field' || part.kind === 'transformer') return operandWithoutPlaces(part)
  if (part.kind === 'arguments') return { ...part, items: part.items.map(argumentWithoutPlaces), span: NOWHERE }
  return { ...part, span: NOWHERE }
}
