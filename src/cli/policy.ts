/** hullguard policy …: the group, and check. Needs neither root nor the addon. */
import type { Command } from 'commander'
import type { Diagnostic } from '../policy/diagnostics.js'
import { type FalcoResult, loadFalcoRules } from '../policy/falco/load.js'
import type { LoadResult } from '../policy/load.js'
import { loadPolicyPaths, readPolicyPaths } from '../policy/read-files.js'
import { renderDiagnostics } from '../policy/render-diagnostics.js'
import { visible } from '../policy/visible-text.js'
import { HullguardError } from '../telemetry/errors.js'
import { addCommand, type CommandSpec, type Finish } from './command.js'
import { counted } from './counted.js'
import type { Settings } from './options.js'
import { diffCommand } from './policy-diff.js'
import { explainCommand } from './policy-explain.js'
import { namedPaths } from './policy-files.js'
import { fmtCommand } from './policy-fmt.js'
import { schemaCommand } from './policy-schema.js'
import { testCommand } from './policy-test.js'

const EXIT_FOUND = 1

export function addPolicyCommands(program: Command, finish: Finish): void {
  const group = program
    .command('policy')
    .description('check, test, compare and explain policies before they are in force')
  for (const spec of [checkCommand, testCommand, diffCommand, explainCommand, fmtCommand, schemaCommand])
    addCommand(group, spec, finish)
  for (const command of group.commands) command.exitOverride()
}

const FILES = [{ name: '[files...]', help: 'policy files or folders, in addition to --policies' }]

const checkCommand: CommandSpec = {
  name: 'check',
  summary: 'say whether policies load, and what is wrong with those that do not',
  options: ['policies', 'rules', 'json', 'config'],
  arguments: FILES,
  async run(settings, { args }) {
    const falcoFiles = settings.list('rules')
    const falco = falcoFiles.length === 0 ? undefined : await checkFalcoRules(falcoFiles)
    const paths = namedPaths([...settings.list('policies'), ...args])
    const native =
      falco !== undefined && paths.length === 0 ? undefined : await loadPolicyPaths(pathsOf(settings, args))
    if (settings.flag('json')) process.stdout.write(`${JSON.stringify(toJson(native, falco))}\n`)
    else {
      if (native !== undefined) printNative(native)
      if (falco !== undefined) printFalco(falco)
    }
    return (native?.errorCount ?? 0) + (falco?.errorCount ?? 0) === 0 ? 0 : EXIT_FOUND
  },
}

function pathsOf(settings: Settings, args: readonly string[]): string[] {
  const paths = namedPaths([...settings.list('policies'), ...args])
  if (paths.length === 0) throw new HullguardError('usage', 'no policy files: name some, or give --policies')
  return paths
}

function printNative(result: LoadResult): void {
  process.stderr.write(renderDiagnostics(result))
  const ruleCount = result.policies.reduce((sum, { rules }) => sum + rules.length, 0)
  const policyCount = result.policies.length
  const good = `${counted(policyCount, 'policy', 'policies')} with ${counted(ruleCount, 'rule')}`
  process.stdout.write(`${good} ${policyCount === 1 ? 'is' : 'are'} good, ${counted(result.errorCount, 'error')}\n`)
}

async function checkFalcoRules(paths: readonly string[]): Promise<FalcoResult> {
  const { inputs, diagnostics } = await readPolicyPaths(paths)
  return loadFalcoRules(inputs, diagnostics)
}

function printFalco(result: FalcoResult): void {
  process.stderr.write(renderDiagnostics(result))
  for (const name of result.refused) process.stdout.write(`refused: ${visible(name)}\n`)
  const { rules, refused, errorCount } = result
  const warningCount = result.diagnostics.filter(({ severity }) => severity === 'warning').length
  const good = `${counted(rules.length, 'Falco rule')} ${rules.length === 1 ? 'is' : 'are'} good`
  const bad = `${refused.length} ${refused.length === 1 ? 'is' : 'are'} refused`
  process.stdout.write(`${good}, ${bad}; ${counted(errorCount, 'error')}, ${counted(warningCount, 'warning')}\n`)
}

/** What both kinds of files have in common; a kind that was not asked for is absent. */
function toJson(native: LoadResult | undefined, falco: FalcoResult | undefined): object {
  const diagnostics = [...(native?.diagnostics ?? []), ...(falco?.diagnostics ?? [])]
  const row = ({ code, message, span, rule }: Diagnostic) => ({
    rule: rule ?? null,
    file: span.file,
    line: span.line,
    column: span.column,
    code,
    reason: message,
  })
  return {
    loaded: (native?.policies ?? []).reduce((sum, { rules }) => sum + rules.length, falco?.rules.length ?? 0),
    refused: diagnostics.filter(({ severity }) => severity === 'error').map(row),
    warnings: diagnostics.filter(({ severity }) => severity !== 'error').map(row),
    omitted: (native?.omittedCount ?? 0) + (falco?.omittedCount ?? 0),
  }
}
