/**
 * What belongs together of a TCP connection. A connect is decided by one hook and its result seen by another: the record of a
 * connect waits a moment for its result, and for the other end when that is a container of this host. Both ends of such a
 * connection name each other as peers.
 *
 * Time is the events' own, so that a capture gives the same records. Bounded; what is forgotten is counted: then a record only
 * lacks its result or peer.
 */
import { errorName } from '../../record/errno.js'
import { ipTextAt } from '../../record/ip-text.js'
import type { ContainerRef } from '../../record/model.js'
import type { PeerRef } from '../../record/network.js'
import { type EvConnect, type EvPacket, EvSocket, SocketFlag } from '../../sensor/generated/abi.js'
import type { Counters } from '../../telemetry/counters.js'
import type { Draft } from './drafts.js'
import { type Socket, WaitingConnect, WaitingConnects } from './waiting-connects.js'

/** A handshake on a local or nearby network is done well within; a connect that takes longer is recorded as it stands. */
const RESULT_WAIT_NS = 1_000_000_000n
/** The server's end is established one packet after the client's, and its event is in the same or the next batch. */
const PEER_WAIT_NS = 20_000_000n
/** Waiting records of about 1 KiB. */
const WAITING_MAX_COUNT = 4096
/** Connections within the host whose ends are remembered: about 400 bytes each. */
const FLOWS_MAX_COUNT = 8192

interface End {
  ref: ContainerRef
  pid: number
}

interface Flow {
  client: End
  server: End | undefined
  clientSocket: Socket
  /** One of two ends here is done; it is forgotten with the other. */
  isHalfClosed: boolean
}

export interface ConnectionsOptions {
  append: (draft: Draft) => void
  /** Something waits from now on: `expire` has to be called in a while. */
  onWaiting: () => void
  counters: Counters
}

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #waiting = new WaitingConnects()
  readonly #flows = new Map<string, Flow>()

  constructor(options: ConnectionsOptions) {
    this.#options = options
    options.counters.define(
      'connections_forgotten_total',
      'counter',
      'Connections whose records lack a result or peer because the table was full, by table',
    )
  }

  /** A TCP connect that no rule hit: its record waits for its result. Others are recorded at once. */
  hold(event: EvConnect, draft: Draft): void {
    this.#releaseNow(event)
    if (this.#waiting.count === 0) this.#options.onWaiting()
    this.#waiting.add(new WaitingConnect(event.cookieLow, event.cookieHigh, draft, draft.bootNs, RESULT_WAIT_NS))
    const { oldest } = this.#waiting
    if (oldest === undefined || this.#waiting.count <= WAITING_MAX_COUNT) return
    this.#options.counters.add('connections_forgotten_total', 1, { table: 'waiting' })
    this.#release(oldest)
  }

  /** What came of a connect. False: its record is out already. */
  result(event: EvSocket, ref: ContainerRef): boolean {
    const waiting = this.#waiting.get(event)
    const isEstablished = (event.flags & SocketFlag.ESTABLISHED) !== 0
    if (isEstablished)
      this.#addFlow(event, {
        ...{ client: { ref, pid: event.pid }, server: undefined },
        ...{ clientSocket: socketOf(event), isHalfClosed: false },
      })
    if (waiting === undefined) return false
    const { connect } = waiting.draft
    if (connect !== undefined) {
      connect.result = isEstablished ? 'established' : event.error === 0 ? 'abandoned' : 'failed'
      if (event.error !== 0) connect.error = errorName(event.error)
      connect.localIp = ipTextAt(event.bytes, event.at + EvSocket.LOCAL_ADDRESS_OFFSET, event.family === 4)
      connect.localPort = event.localPort
    }
    if (isEstablished) {
      waiting.sinceBootNs = event.bootNs
      waiting.waitNs = PEER_WAIT_NS
    } else this.#release(waiting)
    return true
  }

  /** A connection was accepted: who is at its other end? */
  accepted(event: EvSocket, ref: ContainerRef): PeerRef | undefined {
    const flow = this.#flows.get(serverKey(event))
    if (flow === undefined) return undefined
    flow.server = { ref, pid: event.pid }
    const waiting = this.#waiting.get(flow.clientSocket)
    if (waiting !== undefined) {
      if (waiting.draft.connect !== undefined) waiting.draft.connect.peer = peerOf(flow.server)
      this.#release(waiting)
    }
    return peerOf(flow.client)
  }

  /** The connection is in use: what was asked for comes before what is said on it. */
  spoke(event: EvPacket): void {
    this.#releaseNow(event)
  }

  /** A connection is done at this end: who was at the other? */
  closed(event: EvSocket): PeerRef | undefined {
    this.#releaseNow(event)
    const asClient = clientKey(event)
    const own = this.#flows.get(asClient)
    if (own !== undefined && isSame(own.clientSocket, event)) {
      this.#endClosed(asClient, own)
      return own.server === undefined ? undefined : peerOf(own.server)
    }
    const asServer = serverKey(event)
    const other = this.#flows.get(asServer)
    if (other === undefined) return undefined
    this.#endClosed(asServer, other)
    return peerOf(other.client)
  }

  /** A process ended: what it did before comes before. */
  exited(pid: number, startNs: bigint): void {
    if (!this.#waiting.hasOf(pid)) return
    for (const waiting of this.#waiting) {
      const { process } = waiting.draft
      if (process.pid === pid && process.startNs === startNs) this.#release(waiting)
    }
  }

  /** Records whose time is up go out as they stand. True: others still wait. */
  expire(nowBootNs: bigint): boolean {
    for (const waiting of this.#waiting) if (waiting.sinceBootNs + waiting.waitNs <= nowBootNs) this.#release(waiting)
    return this.#waiting.count > 0
  }

  flush(): void {
    for (const waiting of this.#waiting) this.#release(waiting)
  }

  /** Where both ends are of this host, the other may be done later and asks then. */
  #endClosed(key: string, flow: Flow): void {
    if (flow.server === undefined || flow.isHalfClosed) this.#flows.delete(key)
    else flow.isHalfClosed = true
  }

  #releaseNow(socket: Socket): void {
    const waiting = this.#waiting.get(socket)
    if (waiting !== undefined) this.#release(waiting)
  }

  #release(waiting: WaitingConnect): void {
    this.#waiting.delete(waiting)
    this.#options.append(waiting.draft)
  }

  #addFlow(event: EvSocket, flow: Flow): void {
    const key = clientKey(event)
    this.#flows.delete(key) // the ports are used again: the newest goes last
    this.#flows.set(key, flow)
    if (this.#flows.size <= FLOWS_MAX_COUNT) return
    for (const oldest of this.#flows.keys()) {
      this.#options.counters.add('connections_forgotten_total', 1, { table: 'flows' })
      this.#flows.delete(oldest)
      return
    }
  }
}

function socketOf({ cookieLow, cookieHigh }: EvSocket): Socket {
  return { cookieLow, cookieHigh }
}

function isSame(socket: Socket, event: EvSocket): boolean {
  return socket.cookieLow === event.cookieLow && socket.cookieHigh === event.cookieHigh
}

function peerOf({ ref, pid }: End): PeerRef {
  return { id: ref.id, name: ref.name, image: ref.image, pid }
}

/** The two ends, client first, as the client's own socket has them. */
function clientKey(event: EvSocket): string {
  return keyOf(event, event.localAddress, event.localPort, event.remoteAddress, event.remotePort)
}

function serverKey(event: EvSocket): string {
  return keyOf(event, event.remoteAddress, event.remotePort, event.localAddress, event.localPort)
}

/** Loopback addresses mean a host of their own in every network namespace. */
function keyOf(
  event: EvSocket,
  client: Uint8Array,
  clientPort: number,
  server: Uint8Array,
  serverPort: number,
): string {
  const where = isLoopback(server) ? event.netns : 0
  const ends = Buffer.from(client).toString('latin1') + Buffer.from(server).toString('latin1')
  return `${where} ${clientPort} ${serverPort} ${ends}`
}

function isLoopback(address: Uint8Array): boolean {
  if (address[10] === 0xff && address[11] === 0xff) return address[12] === 127
  return address[15] === 1 && address.subarray(0, 15).every((byte) => byte === 0)
}
