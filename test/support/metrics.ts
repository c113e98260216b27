/** Series of an agent's or collector's `--metrics`. */
import assert from 'node:assert/strict'
import { Agent, get } from 'node:http'
import { text } from 'node:stream/consumers'

/** The value of one series, as `name{lane="alert"}`; 0 when it is not there. */
export async function metric(port: number, series: string): Promise<number> {
  return seriesValue(await metricsText(port), series)
}

/** The events or states that the kernel lost for this cause, of every kind. */
export async function kernelDrops(port: number, cause: string): Promise<number> {
  const shown = await metricsText(port)
  const lines = shown.split('\n').filter((line) => line.startsWith('hullguard_sensor_kernel_drops_total'))
  assert.ok(lines.length > 0, 'the kernel counts nothing')
  const ofCause = lines.filter((line) => line.includes(`cause="${cause}"`))
  return ofCause.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

/** One connection for every question: who has no descriptor left for another still answers on it. */
export class KeptConnection {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor(readonly port: number) {}

  async metric(series: string): Promise<number> {
    return seriesValue(await metricsText(this.port, this.#agent), series)
  }

  close(): void {
    this.#agent.destroy()
  }
}

function seriesValue(shown: string, series: string): number {
  const [name = ''] = series.split('{')
  assert.ok(shown.includes(`\n# TYPE hullguard_${name} `), `no metric is called hullguard_${name}`)
  const line = shown.split('\n').find((candidate) => candidate.startsWith(`hullguard_${series} `))
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1))
}

/** On a connection of its own, if none is given: the agent closes idle ones, also under a test that was busy meanwhile. */
async function metricsText(port: number, agent?: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/metrics', agent: agent ?? false }
    get(options, (response) => text(response).then(resolve, reject)).on('error', reject)
  })
}
