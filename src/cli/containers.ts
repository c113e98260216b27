/** hullguard containers: the containers that the agent of this host watches. */
import type { ContainerRow } from '../agent/control-server.js'
import { visible } from '../record/visible.js'
import { askAgent } from './agent-client.js'
import type { CommandSpec } from './command.js'
import { alignColumns } from './table.js'

const SHORT_ID_CHARS = 12

export const containersCommand: CommandSpec = {
  name: 'containers',
  summary: 'list the containers that the agent of this host watches',
  options: ['data-dir', 'json', 'config'],
  async run(settings) {
    const answer = await askAgent(settings.required('data-dir'), 'GET', '/v1/containers')
    const { containers } = JSON.parse(answer) as { containers: ContainerRow[] }
    if (settings.flag('json')) process.stdout.write(containers.map((row) => `${JSON.stringify(row)}\n`).join(''))
    else {
      const rows = containers.map((row) => [
        row.name,
        row.id.slice(0, SHORT_ID_CHARS),
        row.image || '-',
        row.runtime,
        row.init_pid === null ? '-' : String(row.init_pid),
      ])
      process.stdout.write(
        alignColumns([['NAME', 'ID', 'IMAGE', 'RUNTIME', 'PID'], ...rows.map((row) => row.map(visible))]),
      )
    }
    return 0
  },
}
