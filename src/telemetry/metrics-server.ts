/** Serves the counters as Prometheus text: GET /metrics, and GET /healthz. Nothing else is answered. */
import { createServer, type Server } from 'node:http'
import type { Counters } from './counters.js'
import { HullguardError } from './errors.js'

/** address: `HOST:PORT`, IPv6 hosts in brackets. Throws HullguardError usage or data_dir_unusable. */
export async function startMetricsServer(address: string, counters: Counters): Promise<Server> {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address)
  const port = Number(match?.[3])
  const host = match?.[1] ?? match?.[2]
  if (host === undefined || port > 65_535)
    throw new HullguardError('usage', `--metrics: expected HOST:PORT, received \`${address}\``)
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || (request.url !== '/metrics' && request.url !== '/healthz')) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(request.url === '/healthz' ? 'ok\n' : counters.render())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new HullguardError('config_invalid', `--metrics: cannot listen on ${address}: ${error.message}`, {
          cause: error,
        }),
      )
    })
    server.listen(port, host, resolve)
  })
  return server
}

/** Serves the counters while the body runs, if an address is given: a bad one is refused before the body starts. */
export async function withMetrics<T>(
  address: string | undefined,
  counters: Counters,
  body: () => Promise<T>,
): Promise<T> {
  if (address === undefined) return body()
  const server = await startMetricsServer(address, counters)
  try {
    return await body()
  } finally {
    server.close()
    server.closeAllConnections()
  }
}
