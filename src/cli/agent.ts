/** hullguard agent: watches this host and delivers to collectors elsewhere. */
import { Counters } from '../telemetry/counters.js'
import { HullguardError } from '../telemetry/errors.js'
import { withMetrics } from '../telemetry/metrics-server.js'
import { AGENT_OPTIONS, prepareAgent, reloadOnHangup } from './agent-options.js'
import type { CommandSpec } from './command.js'
import { tuneHeap } from './heap.js'
import { makeLog } from './logging.js'
import { untilStopSignal } from './signals.js'

export const agentCommand: CommandSpec = {
  name: 'agent',
  summary: 'watch this host, deliver to collectors elsewhere',
  options: ['collector', ...AGENT_OPTIONS],
  async run(settings) {
    const collectors = settings.list('collector')
    if (collectors.length === 0)
      throw new HullguardError('usage', '--collector HOST:PORT is needed (or use `hullguard run`)')
    tuneHeap()
    const start = await prepareAgent(settings)
    if (start === undefined) return 1
    const stopSignal = untilStopSignal()
    const counters = new Counters()
    const log = makeLog(settings.required('log-level'))
    await withMetrics(settings.text('metrics'), counters, async () => {
      const agent = await start({ collectors, counters, log })
      reloadOnHangup(agent, settings, log)
      log.info({ signal: await stopSignal }, 'stopping')
      const report = await agent.stop()
      const outcome = report.delivered ? 'stopped: everything is delivered' : 'stopped: the rest is in the spool'
      log.info({ ...report }, outcome)
    })
    return 0
  },
}
