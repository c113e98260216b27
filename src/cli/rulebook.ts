/** From --policies and --rules to what the agent puts in force. What is refused is printed with its place. */
import { type LoadedFalco, type LoadedRules, loadRules } from '../agent/conditions/rule-loader.js'
import type { Rulebook } from '../agent/conditions/rulebook.js'
import { counted } from './counted.js'
import type { Settings } from './options.js'
import { namedPaths, policyPaths } from './policy-files.js'

export const RULE_OPTIONS = ['policies', 'rules', 'rules-scope', 'rule-matching', 'strict'] as const

function load(settings: Settings, policies: readonly string[], falco = settings.list('rules')): Promise<LoadedRules> {
  return loadRules({ policies, falco })
}

function rulebookOf({ native, falco }: LoadedRules, settings: Settings): Rulebook {
  return {
    policies: native.policies,
    falco: falco?.falco,
    isHostWatched: settings.text('rules-scope') === 'host',
    isFirstMatch: settings.text('rule-matching') === 'first',
  }
}

/** What is refused, on stderr. */
function explain({ native, falco }: LoadedRules, done = 'go into force'): void {
  process.stderr.write(native.diagnostics)
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

function isFalcoRefused({ falco }: LoadedRules, settings: Settings): boolean {
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
