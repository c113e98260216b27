/**
 * Composition root of the command line. Exit codes: 0 done, 1 found something, 2 usage, 3 cannot run here, 4 internal.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { agentCommand } from './cli/agent.js'
import { agentsCommand } from './cli/agents.js'
import { collectorCommand } from './cli/collector.js'
import { addCommand } from './cli/command.js'
import { containersCommand } from './cli/containers.js'
import { demoCommand } from './cli/demo.js'
import { doctorCommand } from './cli/doctor.js'
import { eventsCommand } from './cli/events.js'
import { fieldsCommand } from './cli/fields.js'
import { metricsCommand } from './cli/metrics.js'
import { modeCommand } from './cli/mode.js'
import { addPolicyCommands } from './cli/policy.js'
import { recordCommand } from './cli/record.js'
import { replayCommand } from './cli/replay.js'
import { runCommand } from './cli/run.js'
import { HullguardError, messageOf } from './telemetry/errors.js'
import { findPackageRoot } from './telemetry/package-root.js'

const EXIT_USAGE = 2
const EXIT_INTERNAL = 4

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
  for (const spec of [
    runCommand,
    agentCommand,
    collectorCommand,
    eventsCommand,
    containersCommand,
    agentsCommand,
    modeCommand,
    fieldsCommand,
    metricsCommand,
    recordCommand,
    replayCommand,
    doctorCommand,
    demoCommand,
  ])
    addCommand(program, spec, finish)
  addPolicyCommands(program, finish)
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
