/** hullguard collector: receives, stores, answers queries. Needs neither root nor the addon. */
import { startCollector } from '../collector/server.js'
import type { CollectorOptions } from '../collector/types.js'
import type { Log } from '../export/types.js'
import { Counters } from '../telemetry/counters.js'
import { withMetrics } from '../telemetry/metrics-server.js'
import type { CommandSpec } from './command.js'
import { makeLog } from './logging.js'
import type { Settings } from './options.js'
import { untilStopSignal } from './signals.js'

const MIB = 1024 * 1024
const DAY_MS = 86_400_000

export const collectorCommand: CommandSpec = {
  name: 'collector',
  summary: 'receive records from agents, store them, answer queries',
  options: ['listen', 'data-dir', 'insecure', 'retain-size', 'retain-days', 'log-level', 'metrics', 'config'],
  async run(settings) {
    const stopSignal = Promise.race([untilStopSignal(), untilParentIsGone()])
    const counters = new Counters()
    const log = makeLog(settings.required('log-level'))
    try {
      await withMetrics(settings.text('metrics'), counters, async () => {
        const collector = await startCollector(collectorOptions(settings, counters, log))
        log.info({ addresses: collector.addresses.join(', ') }, 'collecting')
        process.send?.({ addresses: collector.addresses })
        await stopSignal
        await collector.close()
      })
    } finally {
      // The channel to the parent would keep this process alive.
      if (process.connected) process.disconnect()
    }
    return 0
  },
}

function collectorOptions(settings: Settings, counters: Counters, log: Log): CollectorOptions {
  const retainMib = settings.count('retain-size')
  const retainDays = settings.count('retain-days')
  return {
    listen: settings.list('listen'),
    dataDir: settings.required('data-dir'),
    counters,
    log,
    insecure: settings.flag('insecure'),
    ...(retainMib === undefined ? {} : { retainMaxBytes: retainMib * MIB }),
    ...(retainDays === undefined ? {} : { retainMaxAgeMs: retainDays * DAY_MS }),
  }
}

/** As the child of `hullguard run` it must not outlive it. Never resolves for a collector that was started by itself. */
function untilParentIsGone(): Promise<'disconnect'> {
  return new Promise((resolve) => {
    if (process.send !== undefined) process.once('disconnect', () => resolve('disconnect'))
  })
}
