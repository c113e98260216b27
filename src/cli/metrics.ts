/** hullguard metrics: the counters of the agent of this host, as Prometheus text. */
import { askAgent } from './agent-client.js'
import type { CommandSpec } from './command.js'

export const metricsCommand: CommandSpec = {
  name: 'metrics',
  summary: 'print the counters of the agent of this host (Prometheus text)',
  options: ['data-dir', 'config'],
  async run(settings) {
    process.stdout.write(await askAgent(settings.required('data-dir'), 'GET', '/v1/metrics'))
    return 0
  },
}
