/** Builds commander commands from the option table, so that flags, help, environment and configuration never disagree. */
import { type Command, Option } from 'commander'
import { HullguardError } from '../telemetry/errors.js'
import { OPTIONS, type OptionName, resolveSettings, type Settings } from './options.js'

export interface CommandSpec {
  name: string
  summary: string
  /** Works, but is not in the list of commands. */
  isHidden?: boolean
  options: readonly OptionName[]
  /** `[FILTER]`-style arguments. */
  arguments?: readonly { name: string; help: string }[]
  /** Options of this command alone. */
  own?: readonly { flags: string; help: string }[]
  run(settings: Settings, context: { args: readonly string[]; own: Readonly<Record<string, unknown>> }): Promise<number>
}

export type Finish = (exitCode: number) => void

export function addCommand(program: Command, spec: CommandSpec, finish: Finish): void {
  const command = program.command(spec.name, { hidden: spec.isHidden === true }).description(spec.summary)
  for (const name of spec.options) command.addOption(toOption(name))
  for (const { flags, help } of spec.own ?? []) command.option(flags, help)
  for (const argument of spec.arguments ?? []) command.argument(argument.name, argument.help)
  const lists = command.options.filter(({ variadic }) => variadic)
  const advice = (spec.arguments ?? []).length === 0 || lists.length === 0 ? undefined : adviceOf(lists)
  if (advice !== undefined) {
    command.addHelpText('after', `\n${advice}`)
    command.showHelpAfterError(`(${advice};\n\`hullguard COMMAND --help\` lists what it takes)`)
  }
  command.action(async () => {
    const flags = command.opts<Record<string, unknown>>()
    try {
      finish(await spec.run(resolveSettings(spec.options, flags), { args: command.args, own: flags }))
    } catch (error) {
      const isGiven = lists.some((list) => command.getOptionValueSource(list.attributeName()) === 'cli')
      const mayBeTaken = isGiven && command.args.length < (spec.arguments ?? []).length
      if (advice === undefined || !mayBeTaken || !(error instanceof HullguardError) || error.errorName !== 'usage')
        throw error
      throw new HullguardError('usage', `${error.message}; ${advice}`)
    }
  })
}

/** A list takes what was meant as an argument and stands behind it: said where an argument is missing. */
function adviceOf(lists: readonly Option[]): string {
  const names = lists.map(({ long }) => long).join(', ')
  return `every word behind a list (${names}) is taken into it: arguments stand in front, or behind \`--\``
}

function toOption(name: OptionName): Option {
  const spec = OPTIONS[name]
  const value = 'value' in spec ? ` ${spec.value.replace('…', '')}` : ''
  const shown = spec.kind === 'flag' ? '' : spec.kind === 'list' ? ` <${value.trim()}...>` : ` <${value.trim()}>`
  const preset: unknown = 'default' in spec ? spec.default : undefined
  const hint =
    preset === undefined || preset === false || (Array.isArray(preset) && preset.length === 0)
      ? ''
      : ` (default ${String(preset)})`
  return new Option(`--${name}${shown}`, `${spec.help}${hint}`)
}
