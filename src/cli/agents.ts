/** hullguard agents: which agents delivered to a collector. */
import type { CommandSpec } from './command.js'
import { openSource } from './events.js'

export const agentsCommand: CommandSpec = {
  name: 'agents',
  summary: 'list the agents that delivered to this collector',
  options: ['data-dir', 'collector', 'json', 'config'],
  async run(settings) {
    const source = openSource(settings)
    try {
      const rows = (await source.agents()).map((row) => ({
        agent: row.agent,
        epoch: row.epoch,
        last_seen: new Date(Number(row.lastSeenNs / 1_000_000n)).toISOString(),
        last_alert_seq: row.lastAlertSeq.toString(),
        last_activity_seq: row.lastActivitySeq.toString(),
      }))
      if (settings.flag('json')) process.stdout.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
      else
        for (const row of rows) process.stdout.write(`${row.agent}  epoch ${row.epoch}  last seen ${row.last_seen}\n`)
    } finally {
      source.close()
    }
    return 0
  },
}
