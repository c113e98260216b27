/** hullguard mode: switches the agent of this host between observing and blocking, at once and without the collector. */
import type { AgentStatus } from '../agent/control-server.js'
import { HullguardError } from '../telemetry/errors.js'
import { askAgent } from './agent-client.js'
import type { CommandSpec } from './command.js'

export const modeCommand: CommandSpec = {
  name: 'mode',
  summary: 'switch the agent of this host to observe (stops all blocking at once) or block; without a word: show it',
  options: ['data-dir', 'json', 'config'],
  arguments: [{ name: '[mode]', help: 'observe or block' }],
  async run(settings, { args }) {
    const [mode] = args
    if (mode !== undefined && mode !== 'observe' && mode !== 'block')
      throw new HullguardError('usage', `expected observe or block, received \`${mode}\``)
    const dataDir = settings.required('data-dir')
    const answer = await (mode === undefined
      ? askAgent(dataDir, 'GET', '/v1/status')
      : askAgent(dataDir, 'POST', '/v1/mode', { mode }))
    const status = JSON.parse(answer) as AgentStatus
    process.stdout.write(
      settings.flag('json') ? `${JSON.stringify(status)}\n` : `${status.mode} (agent pid ${status.pid})\n`,
    )
    return 0
  },
}
