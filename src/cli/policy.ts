/** hullguard policy check and explain: needs neither root nor the addon. */
import type { Command } from 'commander'
import { compileProgram } from '../match/program.js'
import type { Diagnostic } from '../policy/diagnostics.js'
import { type FalcoResult, loadFalcoRules } from '../policy/falco/load.js'
import type { LoadResult } from '../policy/load.js'
import type { Policy, RuleKind } from '../policy/model.js'
import { loadPolicyPaths, readPolicyPaths } from '../policy/read-files.js'
import { renderDiagnostics } from '../policy/render-diagnostics.js'
import { visible } from '../policy/visible-text.js'
import { type ContainerRef, HOST } from '../record/model.js'
import { lowerProfile } from '../respond/lower.js'
import { HullguardError } from '../telemetry/errors.js'
import { addCommand, type CommandSpec, type Finish } from './command.js'
import type { Settings } from './options.js'
import { diffCommand } from './policy-diff.js'
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

const explainCommand: CommandSpec = {
  name: 'explain',
  summary: 'say for each rule where it is answered, on which hook, and what its action can guarantee',
  options: ['policies', 'json', 'config'],
  arguments: FILES,
  async run(settings, { args }) {
    const result = await loadPolicyPaths(pathsOf(settings, args))
    process.stderr.write(renderDiagnostics(result))
    const explained = result.policies.flatMap(explain)
    if (settings.flag('json')) process.stdout.write(`${JSON.stringify(explained)}\n`)
    else
      for (const row of explained) {
        process.stdout.write(`${row.policy}: ${row.rule}\n`)
        process.stdout.write(
          `  answered in ${row.where}${row.hook === '' ? '' : ` at ${row.hook}`}; ${row.guarantee}\n`,
        )
        if (row.reason !== '') process.stdout.write(`  ${row.reason}\n`)
      }
    return result.errorCount === 0 ? 0 : EXIT_FOUND
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
  process.stdout.write(
    `${result.policies.length} policies with ${ruleCount} rules are good, ${result.errorCount} errors\n`,
  )
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
  process.stdout.write(
    `${rules.length} Falco rules are good, ${refused.length} are refused; ${errorCount} errors, ${warningCount} warnings\n`,
  )
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

interface Explanation {
  policy: string
  rule: string
  action: string
  where: 'the kernel' | 'user space'
  hook: string
  guarantee: string
  reason: string
}

const HOOKS: Partial<Record<RuleKind, string>> = {
  exec: 'sched_process_exec',
  connect: 'cgroup/connect',
  syscall: 'sys_enter',
}

/** As for a container that the policy selects, with the agent in block mode. */
function explain(policy: Policy): Explanation[] {
  const program = compileProgram([{ ...policy, containers: {} }])
  const container: ContainerRef = { ...HOST, state: 'container', id: 'explain', name: 'explain' }
  const profile = program.profileFor(container)
  const lowered = lowerProfile(program, profile, { isBlockPolicy: () => policy.mode === 'block' })
  return [...profile.rules].flatMap((id) => {
    const rule = program.rules[id]
    if (rule === undefined) return []
    const note =
      lowered.notLowered.find((entry) => entry.rule === id) ?? lowered.weakened.find((entry) => entry.rule === id)
    const isKernel = lowered.ruleIds.some((lowerId) => lowerId === id)
    return [
      {
        policy: policy.name,
        rule: rule.name,
        action: rule.action,
        where: isKernel ? ('the kernel' as const) : ('user space' as const),
        hook: isKernel ? (HOOKS[rule.kind] ?? '') : '',
        guarantee: guaranteeOf(rule.kind, policy.mode === 'block' ? rule.action : 'alert', isKernel),
        reason: note?.reason ?? '',
      },
    ]
  })
}

function guaranteeOf(kind: RuleKind, action: string, isKernel: boolean): string {
  if (action === 'alert') return 'alerts only'
  if (action === 'deny')
    return kind === 'connect' && isKernel ? 'the connect is refused (EPERM)' : 'alerts only: no hook here can refuse it'
  if (!isKernel) return 'kills after the fact, through a pidfd'
  if (kind === 'exec') return "kills before the new program's first instruction"
  if (kind === 'connect') return 'refuses the connect, then kills through a pidfd'
  return 'kills at the entry of the call; the call itself may still take effect'
}
