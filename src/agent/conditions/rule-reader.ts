/** Reads, links and checks policies and Falco files, and hands on what is left in small pieces of plain data. */
import { loadFalcoRules } from '../../policy/falco/load.js'
import type { Rule } from '../../policy/model.js'
import { loadPolicyPaths, readPolicyPaths } from '../../policy/read-files.js'
import { renderDiagnostics } from '../../policy/render-diagnostics.js'
import { ERRORS } from '../../telemetry/generated/errors.js'
import { withoutPlaces } from './placeless.js'
import type { RulePaths, RulePiece } from './rule-loader.js'

/** Rules a piece: taking them over is then a matter of a millisecond. */
const PIECE_COUNT = 200

type Send = (piece: RulePiece) => void

export async function readRules(paths: RulePaths, send: Send): Promise<void> {
  await readNative(paths.policies, send)
  if (paths.falco.length > 0) await readFalco(paths.falco, send)
}

function inPieces<Item>(items: readonly Item[], each: (piece: readonly Item[]) => void): void {
  for (let from = 0; from < items.length; from += PIECE_COUNT) each(items.slice(from, from + PIECE_COUNT))
}

function placeless(rule: Rule): Rule {
  if (rule.kind !== 'condition') return rule
  const exceptions = rule.exceptions.map((exception) =>
    exception.condition === undefined ? exception : { ...exception, condition: withoutPlaces(exception.condition) },
  )
  return { ...rule, exceptions, condition: withoutPlaces(rule.condition) }
}

async function readNative(paths: readonly string[], send: Send): Promise<void> {
  const result = await loadPolicyPaths(paths)
  const diagnostics = result.diagnostics.length === 0 ? '' : renderDiagnostics(result)
  send({ kind: 'native', native: { errorCount: result.errorCount, diagnostics } })
  for (const policy of result.policies) {
    send({ kind: 'policy', policy: { ...policy, rules: [] } })
    inPieces(policy.rules, (rules) => send({ kind: 'rules', rules: rules.map(placeless) }))
  }
}

async function readFalco(paths: readonly string[], send: Send): Promise<void> {
  const { inputs, diagnostics } = await readPolicyPaths(paths)
  const result = loadFalcoRules(inputs, diagnostics)
  const errors = result.diagnostics.filter(({ severity }) => severity === 'error')
  const isAwaited = (code: string) => code === ERRORS.condition_not_yielded.code
  const findings = {
    refused: result.refused,
    errors: errors.length === 0 ? '' : renderDiagnostics({ ...result, diagnostics: errors, omittedCount: 0 }),
    errorCount: result.errorCount,
    faultCount: result.errorCount - errors.filter(({ code }) => isAwaited(code)).length,
    warningCount: result.diagnostics.length - errors.length,
  }
  const macros = new Map([...result.macros].map(([name, expression]) => [name, withoutPlaces(expression)]))
  const lists = new Map([...result.lists.names()].map((name) => [name, result.lists.values(name) ?? []]))
  send({ kind: 'falco', findings, macros, lists })
  inPieces(result.rules, (rules) =>
    send({
      kind: 'falco-rules',
      rules: rules.map((rule) => ({ ...rule, condition: withoutPlaces(rule.condition) })),
    }),
  )
}
