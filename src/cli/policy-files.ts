/** Loads --policies for a command; what is refused is printed with its place, and the command does not start. */
import type { LoadResult } from '../policy/load.js'
import { loadPolicyPaths } from '../policy/read-files.js'
import { renderDiagnostics } from '../policy/render-diagnostics.js'

export async function loadOrExplain(paths: readonly string[]): Promise<LoadResult | undefined> {
  const result = await loadPolicyPaths(paths)
  if (result.diagnostics.length > 0) process.stderr.write(renderDiagnostics(result))
  if (result.errorCount === 0) return result
  process.stderr.write(`${result.errorCount} errors: nothing was put in force\n`)
  return undefined
}
