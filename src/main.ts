/**
 * Composition root of the command line. Exit codes: 0 done, 1 found something, 2 usage, 3 cannot run here, 4 internal.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { addCommand, type CommandSpec, type Finish } from './cli/command.js'
import { HullguardError, messageOf } from './telemetry/errors.js'
import { findPackageRoot } from './telemetry/package-root.js'

const EXIT_USAGE = 2
const EXIT_INTERNAL = 4

type AddTo = (program: Command, finish: Finish) => Promise<void>
const one =
  (load: () => Promise<CommandSpec>): AddTo =>
  async (program, finish) =>
    addCommand(program, await load(), finish)

/** In the order of the help. Only what is asked for is loaded: the agent is most of the program, and most commands only ask it. */
const COMMANDS: Readonly<Record<string, AddTo>> = {
  run: one(async () => (await import('./cli/run.js')).runCommand),
  agent: one(async () => (await import('./cli/agent.js')).agentCommand),
  collector: one(async () => (await import('./cli/collector.js')).collectorCommand),
  events: one(async () => (await import('./cli/events.js')).eventsCommand),
  containers: one(async () => (await import('./cli/containers.js')).containersCommand),
  agents: one(async () => (await import('./cli/agents.js')).agentsCommand),
  mode: one(async () => (await import('./cli/mode.js')).modeCommand),
  fields: one(async () => (await import('./cli/fields.js')).fieldsCommand),
  metrics: one(async () => (await import('./cli/metrics.js')).metricsCommand),
  record: one(async () => (await import('./cli/record.js')).recordCommand),
  replay: one(async () => (await import('./cli/replay.js')).replayCommand),
  doctor: one(async () => (await import('./cli/doctor.js')).doctorCommand),
  demo: one(async () => (await import('./cli/demo.js')).demoCommand),
  policy: async (program, finish) => (await import('./cli/policy.js')).addPolicyCommands(program, finish),
}

/** The command that is asked for; all of them where help is asked for, or what there is not. */
function commandsFor(word: string | undefined): readonly AddTo[] {
  if (word === '--version' || word === '-V') return []
  const asked = word !== undefined && Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined
  return asked === undefined ? Object.values(COMMANDS) : [asked]
}

const FIRST_STEPS = `
To begin, as root:
  hullguard doctor                      what this host lets it see and stop
  hullguard run                         watch, by the rules that come with it; stops nothing
  hullguard events --follow             in another terminal: what happens
  hullguard policy check FILE           your own rules (docs/policy-language.md)
  hullguard run --policies FILE --mode block
`

function version(): string {
  const text = readFileSync(join(findPackageRoot(), 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE // commander has said it
  if (error instanceof HullguardError) {
    process.stderr.write(`hullguard: ${error.message} [${error.code}]\n  ${error.action}\n`)
    return error.exitCode
  }
  const detail = error instanceof Error && process.env.HULLGUARD_DEBUG !== undefined ? `\n${error.stack}` : ''
  process.stderr.write(
    `hullguard: internal error: ${messageOf(error)}${detail}\n  set HULLGUARD_DEBUG=1 for the place\n`,
  )
  return EXIT_INTERNAL
}

async function main(): Promise<number> {
  let exitCode = 0
  const finish = (code: number) => {
    exitCode = code
  }
  const program = new Command('hullguard')
  program
    .description('Watches what containers do, holds it against policy, and can stop it.')
    .version(version())
    .exitOverride()
    .showHelpAfterError('(`hullguard COMMAND --help` lists what it takes)')
    .enablePositionalOptions()
    .addHelpText('after', FIRST_STEPS)
  for (const add of commandsFor(process.argv[2])) await add(program, finish)
  for (const command of program.commands) command.exitOverride()
  await program.parseAsync()
  return exitCode
}

// A closed pipe (`hullguard events | head`) is a normal end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  process.exitCode = await main()
} catch (error) {
  process.exitCode = report(error)
}
