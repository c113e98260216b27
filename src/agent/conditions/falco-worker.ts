/** Worker thread: reads, links and checks Falco files, and sends what is left. Its data are the paths. */
import { parentPort, workerData } from 'node:worker_threads'
import { loadFalcoRules } from '../../policy/falco/load.js'
import { readPolicyPaths } from '../../policy/read-files.js'
import { renderDiagnostics } from '../../policy/render-diagnostics.js'
import { ERRORS } from '../../telemetry/generated/errors.js'
import type { FalcoMessage } from './falco-loader.js'

const paths: unknown = workerData
if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string')) throw new Error('expected paths')
const { inputs, diagnostics } = await readPolicyPaths(paths)
const result = loadFalcoRules(inputs, diagnostics)
const errors = result.diagnostics.filter(({ severity }) => severity === 'error')
const isAwaited = (code: string) => code === ERRORS.condition_not_yielded.code
const message: FalcoMessage = {
  rules: result.rules,
  macros: result.macros,
  lists: new Map([...result.lists.names()].map((name) => [name, result.lists.values(name) ?? []])),
  refused: result.refused,
  errors: errors.length === 0 ? '' : renderDiagnostics({ ...result, diagnostics: errors, omittedCount: 0 }),
  errorCount: result.errorCount,
  faultCount: result.errorCount - errors.filter(({ code }) => isAwaited(code)).length,
  warningCount: result.diagnostics.length - errors.length,
}
parentPort?.postMessage(message)
