/** From settings to the agent's options, and the life of an agent under a command: reload on SIGHUP, stop on a signal. */
import type { AgentOptions, RunningAgent } from '../agent/agent.js'
import type { Log } from '../export/types.js'
import type { Policy } from '../policy/model.js'
import { loadPolicyPaths } from '../policy/read-files.js'
import { renderDiagnostics } from '../policy/render-diagnostics.js'
import type { Counters } from '../telemetry/counters.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import type { OptionName, Settings } from './options.js'

export const AGENT_OPTIONS = [
  'policies',
  'no-standard',
  'mode',
  'activity',
  'data-dir',
  'log-level',
  'metrics',
  'docker-socket',
  'runc-root',
  'cgroup-root',
  'host-root',
  'ring-size',
  'host-lock',
  'config',
] as const satisfies readonly OptionName[]

const MIB = 1024 * 1024
/** The kernel refuses rings of 2 GiB and more; a gigabyte is far beyond any use. */
const RING_MAX_MIB = 1024

export function agentOptions(
  settings: Settings,
  parts: { policies: readonly Policy[]; collectors: readonly string[]; counters: Counters; log: Log },
): AgentOptions {
  const ringMib = settings.count('ring-size') ?? 8
  if ((ringMib & (ringMib - 1)) !== 0 || ringMib > RING_MAX_MIB)
    throw new HullguardError('usage', `--ring-size: expected a power of two up to ${RING_MAX_MIB}, received ${ringMib}`)
  return {
    ...parts,
    dataDir: settings.required('data-dir'),
    lockFile: settings.required('host-lock'),
    mode: settings.text('mode') === 'block' ? 'block' : 'observe',
    syscallActivity: settings.list('activity').includes('syscall'),
    ringBytes: ringMib * MIB,
    cgroupRoot: settings.text('cgroup-root'),
    hostRoot: settings.text('host-root'),
    dockerSocket: settings.text('docker-socket'),
    runcRoots: settings.list('runc-root'),
  }
}

/** SIGHUP reads the policies again: all of them come into force, or none and the old ones stay. */
export function reloadOnHangup(agent: RunningAgent, paths: readonly string[], log: Log): void {
  process.on('SIGHUP', () => {
    loadPolicyPaths(paths)
      .then((result) => {
        if (result.errorCount > 0) {
          process.stderr.write(renderDiagnostics(result))
          log.error({ errors: result.errorCount }, 'reload refused: the old policies stay in force')
          return
        }
        agent.setPolicies(result.policies)
        log.info({ policies: result.policies.length }, 'policies reloaded')
      })
      .catch((error: unknown) => log.error({ err: messageOf(error) }, 'reload failed: the old policies stay in force'))
  })
}
