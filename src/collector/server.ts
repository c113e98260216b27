/**
 * Starts a collector: opens the store, listens, and stops in order (no new frames, last commit, acknowledgements out,
 * store closed). Listening beyond loopback is refused without `insecure`, since nothing is encrypted yet.
 */
import { chmodSync, statSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { grpcTarget } from '../export/address.js'
import { PAYLOAD_MAX_BYTES } from '../export/frame.js'
import { DELIVERY_SERVICE, QUERY_SERVICE, quietGrpc } from '../export/rpc.js'
import { errnoOf, HullguardError, messageOf } from '../telemetry/errors.js'
import { openReadOnly } from './database.js'
import { DeliveryService } from './delivery-service.js'
import { LocalSource } from './local-source.js'
import { QueryService } from './query-service.js'
import { Store } from './store.js'
import type { CollectorOptions, RunningCollector } from './types.js'

const RETAIN_EVERY_MS = 60_000
/** What a stream may take to end by itself when the collector stops. */
const STOP_MS = 2000

/** Throws usage, listen_failed, data_dir_unusable, store_in_use, store_unusable. */
export async function startCollector(options: CollectorOptions): Promise<RunningCollector> {
  for (const address of options.listen) checkAddress(address, options.insecure === true)
  quietGrpc()
  const store = new Store(options.dataDir, options.counters)
  let source: LocalSource | undefined
  try {
    source = new LocalSource(openReadOnly(options.dataDir))
    return await serve(options, store, source)
  } catch (error) {
    source?.close()
    store.close()
    throw error
  }
}

async function serve(options: CollectorOptions, store: Store, source: LocalSource): Promise<RunningCollector> {
  const delivery = new DeliveryService(store, options.counters, options.log)
  const query = new QueryService(source)
  const server = new Server({
    'grpc.max_receive_message_length': PAYLOAD_MAX_BYTES + 4096,
    'grpc.max_send_message_length': -1,
    // A peer that vanished without a word is noticed in 15 s; until then its agent's next stream is refused.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5000,
    'grpc.max_concurrent_streams': 16,
  })
  server.addService(DELIVERY_SERVICE, { deliver: delivery.deliver })
  server.addService(QUERY_SERVICE, { events: query.events, agents: query.agents })
  const addresses: string[] = []
  try {
    for (const address of options.listen) addresses.push(await bind(server, address))
  } catch (error) {
    server.forceShutdown()
    throw error
  }
  const timer = retention(options, store)
  let closing: Promise<void> | undefined
  const close = async () => {
    clearInterval(timer)
    query.close()
    delivery.close()
    await shutdown(server)
    source.close()
    store.close()
  }
  return {
    addresses,
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

function retention({ retainMaxBytes, retainMaxAgeMs, counters, log }: CollectorOptions, store: Store) {
  if (retainMaxBytes === undefined && retainMaxAgeMs === undefined) return undefined
  counters.define('store_retention_failures_total', 'counter', 'Times that old records could not be deleted')
  const run = () => {
    const oldestNs = retainMaxAgeMs === undefined ? undefined : BigInt(Date.now() - retainMaxAgeMs) * 1_000_000n
    try {
      const count = store.retain(retainMaxBytes, oldestNs)
      if (count > 0) log.info({ recordCount: count }, 'old records were deleted, as the retention bounds say')
    } catch (error) {
      counters.add('store_retention_failures_total')
      log.warn({}, `old records could not be deleted: ${messageOf(error)}`)
    }
  }
  run()
  return setInterval(run, RETAIN_EVERY_MS)
}

function checkAddress(address: string, insecure: boolean): void {
  if (grpcTarget(address) === undefined) {
    throw new HullguardError('usage', `expected HOST:PORT or unix:PATH to listen on, received \`${address}\``)
  }
  if (insecure || address.startsWith('unix:')) return
  const host = address.slice(0, address.lastIndexOf(':'))
  if (host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)) return
  throw new HullguardError(
    'usage',
    `listening on \`${address}\`, beyond this host, sends everything in the clear: say --insecure to do it all the same`,
  )
}

async function bind(server: Server, address: string): Promise<string> {
  const path = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined
  if (path !== undefined) await removeStaleSocket(path)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(new HullguardError('listen_failed', `${address}: ${messageOf(error)}`, { cause: error }))
    })
  })
  if (path === undefined) return `${address.slice(0, address.lastIndexOf(':'))}:${port}`
  chmodSync(path, 0o600)
  return address
}

/** A socket file outlives a killed collector: it goes when nobody answers on it. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!statSync(path).isSocket()) throw new HullguardError('listen_failed', `${path} exists and is no socket`)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error instanceof HullguardError ? error : new HullguardError('listen_failed', messageOf(error))
  }
  const answers = await new Promise<boolean>((resolve) => {
    const socket = connect(path)
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
  if (answers) throw new HullguardError('listen_failed', `${path} is in use by another process`)
  unlinkSync(path)
}

function shutdown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown()
      resolve()
    }, STOP_MS)
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
