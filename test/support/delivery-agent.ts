/** Appends so many records with no collector, flushes, says so, and waits to be killed: `node delivery-agent.js DIR COUNT`. */
import { openExporter } from '../../src/export/exporter.js'
import { Counters } from '../../src/telemetry/counters.js'
import { hostActivity, SILENT, take } from './delivery.js'

const [dataDir = '', count = '0'] = process.argv.slice(2)
const exporter = await openExporter({
  agentId: 'agent-1',
  dataDir,
  collectors: [],
  counters: new Counters(),
  log: SILENT,
})
for (const draft of take(hostActivity(1), Number(count))) exporter.append(draft)
await exporter.flush()
process.stdout.write('flushed\n')
setInterval(() => {}, 60_000)
