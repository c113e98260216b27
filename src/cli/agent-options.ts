/** From settings to the agent's options, and the life of an agent under a command: reload on SIGHUP, stop on a signal. */

import type { AgentOptions, ProbeOptions, RunningAgent } from '../agent/agent.js'
import { readerHere } from '../agent/conditions/rule-loader.js'
import type { Rulebook } from '../agent/conditions/rulebook.js'
import { isActivityClass } from '../agent/rules/acts.js'
import type { Log } from '../export/types.js'
import type { Counters } from '../telemetry/counters.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import type { OptionName, Settings } from './options.js'
import { RULE_OPTIONS, reloadedRulebook, rulebookOrExplain } from './rulebook.js'

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

/** Throws HullguardError usage. */
function probeOptions(settings: Settings): ProbeOptions {
  const ringMib = settings.count('ring-size') ?? 8
  if ((ringMib & (ringMib - 1)) !== 0 || ringMib > RING_MAX_MIB)
    throw new HullguardError('usage', `--ring-size: expected a power of two up to ${RING_MAX_MIB}, received ${ringMib}`)
  return {
    ringBytes: ringMib * MIB,
    cgroupRoot: settings.text('cgroup-root'),
    hostRoot: settings.text('host-root'),
  }
}

export interface AgentParts {
  rulebook: Rulebook
  collectors: readonly string[]
  counters: Counters
  log: Log
}

/** Throws HullguardError usage. */
export function agentOptions(settings: Settings, parts: AgentParts): AgentOptions {
  return {
    ...parts,
    ...probeOptions(settings),
    dataDir: settings.required('data-dir'),
    lockFile: settings.required('host-lock'),
    mode: settings.text('mode') === 'block' ? 'block' : 'observe',
    activity: new Set(settings.list('activity').filter(isActivityClass)),
    dockerSocket: settings.text('docker-socket'),
    runcRoots: settings.list('runc-root'),
  }
}

export type StartAgent = (parts: Omit<AgentParts, 'rulebook'>) => Promise<RunningAgent>

/**
 * Reads the rules, which a thread of its own does, while this one loads the agent's code and the probes.
 * undefined after it was said why nothing goes into force; what is wrong with the rules is told before what is wrong with the host.
 */
export async function prepareAgent(settings: Settings): Promise<StartAgent | undefined> {
  const options = probeOptions(settings)
  const [rules, loaded] = await Promise.allSettled([rulebookOrExplain(settings), loadAgent(options)])
  if (rules.status === 'rejected') throw rules.reason
  if (rules.value === undefined) {
    if (loaded.status === 'fulfilled') loaded.value.probes.native.close()
    return undefined
  }
  if (loaded.status === 'rejected') throw loaded.reason
  const { startAgent, probes } = loaded.value
  const rulebook = rules.value
  return (parts) => startAgent({ ...agentOptions(settings, { ...parts, rulebook }), probes })
}

async function loadAgent(options: ProbeOptions) {
  const { loadProbes, startAgent } = await import('../agent/agent.js')
  return { startAgent, probes: loadProbes(options) }
}

/**
 * SIGHUP reads policies and rules again: all of them come into force, or none and the old ones stay. One reading at a time; signals
 * that come meanwhile ask for one more after it, so what is read last is what was there last.
 */
export function reloadOnHangup(agent: RunningAgent, settings: Settings, log: Log): void {
  // A reload must not fail because there are no descriptors left then; when there are none now, the reload says so.
  readerHere().catch(() => undefined)
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
