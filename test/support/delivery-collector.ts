/**
 * A collector in a process of its own, to be killed: `node delivery-collector.js DATA_DIR LISTEN`. Prints its address,
 * then its counters at SIGTERM.
 */
import { startCollector } from '../../src/collector/server.js'
import { Counters } from '../../src/telemetry/counters.js'
import { SILENT } from './delivery.js'

const [dataDir = '', listen = ''] = process.argv.slice(2)
const counters = new Counters()
const collector = await startCollector({ listen: [listen], dataDir, counters, log: SILENT })
process.stdout.write(`${collector.addresses[0]}\n`)
process.once('SIGTERM', () => {
  collector.close().then(
    () => process.stdout.write(counters.render()),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exitCode = 1
    },
  )
})
