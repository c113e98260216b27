/** From --policies and --rules to what the agent puts in force. What is refused is printed with its place. */
import { type LoadedFalco, loadFalcoFiles } from '../agent/conditions/falco-loader.js'
import type { Rulebook } from '../agent/conditions/rulebook.js'
import type { LoadResult } from '../policy/load.js'
import { loadPolicyPaths } from '../policy/read-files.js'
import { renderDiagnostics } from '../policy/render-diagnostics.js'
import { counted } from './counted.js'
import type { Settings } from './options.js'
import { namedPaths, policyPaths } from './policy-files.js'

export const RULE_OPTIONS = ['policies', 'rules', 'rules-scope', 'rule-matching', 'strict'] as const

interface Loaded {
  readonly native: LoadResult
  /** undefined: no --rules. */
  readonly falco: LoadedFalco | undefined
}

async function load(settings: Settings, paths: readonly string[], files = settings.list('rules')): Promise<Loaded> {
  const [native, falco] = await Promise.all([
    loadPolicyPaths(paths),
    files.length === 0 ? undefined : loadFalcoFiles(files),
  ])
  return { native, falco }
}

function rulebookOf({ native, falco }: Loaded, settings: Settings): Rulebook {
  return {
    policies: native.policies,
    falco: falco?.falco,
    isHostWatched: settings.text('rules-scope') === 'host',
    isFirstMatch: settings.text('rule-matching') === 'first',
  }
}

/** What is refused, on stderr. */
function explain({ native, falco }: Loaded, done = 'go into force'): void {
  if (native.diagnostics.length > 0) process.stderr.write(renderDiagnostics(native))
  if (falco === undefined) return
  process.stderr.write(falco.errors)
  const { falco: loaded, refused, warningCount } = falco
  const enabledCount = loaded.rules.filter(({ enabled }) => enabled).length
  const warned =
    warningCount === 0 ? '' : `, ${counted(warningCount, 'warning')} (\`hullguard policy check\` shows them)`
  const bad = `${refused.length} ${refused.length === 1 ? 'is' : 'are'} refused`
  process.stderr.write(`Falco rules: ${enabledCount} ${done}, ${bad}${warned}\n`)
}

/** For the start: undefined after it was said why nothing goes into force. */
export async function rulebookOrExplain(settings: Settings): Promise<Rulebook | undefined> {
  const loaded = await load(settings, policyPaths(settings))
  explain(loaded)
  const { native } = loaded
  const isRefused = isFalcoRefused(loaded, settings)
  if (native.errorCount === 0 && !isRefused) return rulebookOf(loaded, settings)
  const why = native.errorCount > 0 ? counted(native.errorCount, 'error') : 'the Falco files are refused'
  process.stderr.write(`${why}: nothing was put in force\n`)
  return undefined
}

/** Options of commands that try rules: what `rulebookToTry` reads. */
export const TRIED_RULE_OPTIONS = ['policies', 'rules', 'rule-matching', 'strict'] as const

/** For a trial: what is good, with `--policies` after the paths that are given; what is refused is printed and counted. */
export async function rulebookToTry(
  settings: Settings,
  paths: readonly string[],
  falcoFiles = settings.list('rules'),
): Promise<{ rulebook: Rulebook; refusedCount: number }> {
  const loaded = await load(settings, namedPaths([...settings.list('policies'), ...paths]), falcoFiles)
  explain(loaded, 'are tried')
  const refusedCount = loaded.native.errorCount + (isFalcoRefused(loaded, settings) ? 1 : 0)
  return { rulebook: rulebookOf(loaded, settings), refusedCount }
}

function isFalcoRefused({ falco }: Loaded, settings: Settings): boolean {
  return falco !== undefined && (settings.flag('strict') ? falco.errorCount > 0 : hasNothing(falco))
}

/** Not one rule of files that have faults: a wrong file, or one that cannot be read. */
function hasNothing({ falco, faultCount }: LoadedFalco): boolean {
  return faultCount > 0 && falco.rules.length === 0
}

/** For a reload. A fault refuses all: what was in force was without it, or somebody saw it at the start. */
export async function reloadedRulebook(settings: Settings): Promise<Rulebook | undefined> {
  const loaded = await load(settings, policyPaths(settings))
  const { native, falco } = loaded
  const isRefused = falco !== undefined && (settings.flag('strict') ? falco.errorCount : falco.faultCount) > 0
  if (native.errorCount > 0 || isRefused) {
    explain(loaded)
    return undefined
  }
  return rulebookOf(loaded, settings)
}
