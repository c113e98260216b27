/** From settings to the agent's options, and the life of an agent under a command: reload on SIGHUP, stop on a signal. */

import type { AgentOptions, RunningAgent } from '../agent/agent.js'
import type { Rulebook } from '../agent/conditions/rulebook.js'
import { isActivityClass } from '../agent/rules/acts.js'
import type { Log } from '../export/types.js'
import type { Counters } from '../telemetry/counters.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import type { OptionName, Settings } from './options.js'
import { RULE_OPTIONS, reloadedRulebook } from './rulebook.js'

export const AGENT_OPTIONS = [
  ...RULE_OPTIONS,
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
  parts: { rulebook: Rulebook; collectors: readonly string[]; counters: Counters; log: Log },
): AgentOptions {
  const ringMib = settings.count('ring-size') ?? 8
  if ((ringMib & (ringMib - 1)) !== 0 || ringMib > RING_MAX_MIB)
    throw new HullguardError('usage', `--ring-size: expected a power of two up to ${RING_MAX_MIB}, received ${ringMib}`)
  return {
    ...parts,
    dataDir: settings.required('data-dir'),
    lockFile: settings.required('host-lock'),
    mode: settings.text('mode') === 'block' ? 'block' : 'observe',
    activity: new Set(settings.list('activity').filter(isActivityClass)),
    ringBytes: ringMib * MIB,
    cgroupRoot: settings.text('cgroup-root'),
    hostRoot: settings.text('host-root'),
    dockerSocket: settings.text('docker-socket'),
    runcRoots: settings.list('runc-root'),
  }
}

/**
 * SIGHUP reads policies and rules again: all of them come into force, or none and the old ones stay. One reading at a time; signals
 * that come meanwhile ask for one more after it, so what is read last is what was there last.
 */
export function reloadOnHangup(agent: RunningAgent, settings: Settings, log: Log): void {
  let isReading = false
  let isAskedAgain = false
  process.on('SIGHUP', () => {
    isAskedAgain = true
    if (isReading) return
    isReading = true
    void (async () => {
      while (isAskedAgain) {
        isAskedAgain = false
        await reload(agent, settings, log)
      }
      isReading = false
    })()
  })
}

/** Never rejects. */
async function reload(agent: RunningAgent, settings: Settings, log: Log): Promise<void> {
  try {
    const rulebook = await reloadedRulebook(settings)
    if (rulebook === undefined) {
      log.error({}, 'reload refused: the old policies stay in force')
      return
    }
    await agent.setRules(rulebook)
    log.info({ policies: rulebook.policies.length, rules: rulebook.falco?.rules.length ?? 0 }, 'policies reloaded')
  } catch (error) {
    log.error({ err: messageOf(error) }, 'reload failed: the old policies stay in force')
  }
}
