/** hullguard run: agent and collector on one host. The collector is a child process on a unix socket in the data directory. */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Counters } from '../telemetry/counters.js'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { withMetrics } from '../telemetry/metrics-server.js'
import { AGENT_OPTIONS, prepareAgent, reloadOnHangup } from './agent-options.js'
import { CollectorChild } from './collector-child.js'
import type { CommandSpec } from './command.js'
import { tuneHeap } from './heap.js'
import { makeLog } from './logging.js'
import { untilStopSignal } from './signals.js'

export const runCommand: CommandSpec = {
  name: 'run',
  summary: 'watch this host and keep its records here: agent and collector in one',
  options: [...AGENT_OPTIONS, 'retain-size', 'retain-days'],
  own: [{ flags: '--listen <HOST:PORT>', help: 'let other hosts connect to this collector too' }],
  async run(settings, { own }) {
    tuneHeap()
    const start = await prepareAgent(settings)
    if (start === undefined) return 1
    const stopSignal = untilStopSignal()
    const counters = new Counters()
    const log = makeLog(settings.required('log-level'))
    const dataDir = resolve(settings.required('data-dir'))
    makeDataDir(dataDir)
    const socket = `unix:${join(dataDir, 'collector.sock')}`
    const child = new CollectorChild(
      [
        ['--listen', typeof own.listen === 'string' ? `${socket},${own.listen}` : socket],
        ['--data-dir', dataDir],
        ['--log-level', settings.required('log-level')],
        ...optional('--retain-size', settings.count('retain-size')),
        ...optional('--retain-days', settings.count('retain-days')),
      ].flat(),
      log,
    )
    await withMetrics(settings.text('metrics'), counters, async () => {
      const agent = await start({ collectors: [socket], counters, log })
      try {
        await child.start()
      } catch (error) {
        await agent.stop()
        throw error
      }
      reloadOnHangup(agent, settings, log)
      welcome(agent.containerCount, dataDir, settings.required('mode'))
      log.info({ signal: await stopSignal }, 'stopping')
      const report = await agent.stop()
      await child.stop()
      log.info({ ...report }, report.delivered ? 'stopped: everything is stored' : 'stopped: the rest is in the spool')
    })
    return 0
  },
}

function optional(flag: string, value: number | undefined): string[][] {
  return value === undefined ? [] : [[flag, String(value)]]
}

function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o750 })
  } catch (error) {
    throw new HullguardError('data_dir_unusable', `cannot make the data directory ${dataDir}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function welcome(containerCount: number, dataDir: string, mode: string): void {
  const isDefault = dataDir === '/var/lib/hullguard'
  const events = `hullguard events --follow${isDefault ? '' : ` --data-dir ${dataDir}`}`
  const lines = [
    `hullguard is watching this host (mode ${mode}, ${containerCount} ${containerCount === 1 ? 'container' : 'containers'} running).`,
    `  see what happens:  ${events}`,
    ...(containerCount === 0
      ? ['  no container is running here: start one, or see a demonstration with `npm run demo`']
      : []),
    '  stop with Ctrl-C',
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
