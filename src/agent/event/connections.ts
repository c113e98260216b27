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
  clientCookie: Cookie
  /** One of two ends here is done; it is forgotten with the other. */
  isHalfClosed: boolean
}

interface Waiting {
  draft: Draft
  untilBootNs: bigint
}

export interface ConnectionsOptions {
  append: (draft: Draft) => void
  /** Something waits from now on: `expire` has to be called in a while. */
  onWaiting: () => void
  counters: Counters
}

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #waiting = new Map<Cookie, Waiting>()
  /** How many records wait of a process, by pid. */
  readonly #waitingPids = new Map<number, number>()
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
    const cookie = cookieOf(event)
    const earlier = this.#waiting.get(cookie)
    if (earlier !== undefined) this.#release(cookie, earlier)
    if (this.#waiting.size === 0) this.#options.onWaiting()
    this.#waiting.set(cookie, { draft, untilBootNs: draft.bootNs + RESULT_WAIT_NS })
    const { pid } = draft.process
    this.#waitingPids.set(pid, (this.#waitingPids.get(pid) ?? 0) + 1)
    if (this.#waiting.size <= WAITING_MAX_COUNT) return
    for (const [oldest, waiting] of this.#waiting) {
      this.#options.counters.add('connections_forgotten_total', 1, { table: 'waiting' })
      this.#release(oldest, waiting)
      return
    }
  }

  /** What came of a connect. False: its record is out already. */
  result(event: EvSocket, ref: ContainerRef): boolean {
    const cookie = cookieOf(event)
    const waiting = this.#waiting.get(cookie)
    const isEstablished = (event.flags & SocketFlag.ESTABLISHED) !== 0
    if (isEstablished)
      this.#addFlow(event, {
        ...{ client: { ref, pid: event.pid }, server: undefined },
        ...{ clientCookie: cookie, isHalfClosed: false },
      })
    if (waiting === undefined) return false
    const { connect } = waiting.draft
    if (connect !== undefined) {
      connect.result = isEstablished ? 'established' : event.error === 0 ? 'abandoned' : 'failed'
      if (event.error !== 0) connect.error = errorName(event.error)
      connect.localIp = ipTextAt(event.bytes, event.at + EvSocket.LOCAL_ADDRESS_OFFSET, event.family === 4)
      connect.localPort = event.localPort
    }
    if (isEstablished) waiting.untilBootNs = event.bootNs + PEER_WAIT_NS
    else this.#release(cookie, waiting)
    return true
  }

  /** A connection was accepted: who is at its other end? */
  accepted(event: EvSocket, ref: ContainerRef): PeerRef | undefined {
    const flow = this.#flows.get(serverKey(event))
    if (flow === undefined) return undefined
    flow.server = { ref, pid: event.pid }
    const waiting = this.#waiting.get(flow.clientCookie)
    if (waiting !== undefined) {
      if (waiting.draft.connect !== undefined) waiting.draft.connect.peer = peerOf(flow.server)
      this.#release(flow.clientCookie, waiting)
    }
    return peerOf(flow.client)
  }

  /** The connection is in use: what was asked for comes before what is said on it. */
  spoke(event: EvPacket): void {
    this.#releaseNow(cookieOf(event))
  }

  /** A connection is done at this end: who was at the other? */
  closed(event: EvSocket): PeerRef | undefined {
    const cookie = cookieOf(event)
    this.#releaseNow(cookie)
    const asClient = clientKey(event)
    const own = this.#flows.get(asClient)
    if (own !== undefined && own.clientCookie === cookie) {
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
    if (!this.#waitingPids.has(pid)) return
    for (const [cookie, waiting] of this.#waiting) {
      const { process } = waiting.draft
      if (process.pid === pid && process.startNs === startNs) this.#release(cookie, waiting)
    }
  }

  /** Records whose time is up go out as they stand. True: others still wait. */
  expire(nowBootNs: bigint): boolean {
    for (const [cookie, waiting] of this.#waiting) if (waiting.untilBootNs <= nowBootNs) this.#release(cookie, waiting)
    return this.#waiting.size > 0
  }

  flush(): void {
    for (const [cookie, waiting] of this.#waiting) this.#release(cookie, waiting)
  }

  /** Where both ends are of this host, the other may be done later and asks then. */
  #endClosed(key: string, flow: Flow): void {
    if (flow.server === undefined || flow.isHalfClosed) this.#flows.delete(key)
    else flow.isHalfClosed = true
  }

  #releaseNow(cookie: Cookie): void {
    const waiting = this.#waiting.get(cookie)
    if (waiting !== undefined) this.#release(cookie, waiting)
  }

  #release(cookie: Cookie, { draft }: Waiting): void {
    this.#waiting.delete(cookie)
    const { pid } = draft.process
    const left = (this.#waitingPids.get(pid) ?? 0) - 1
    if (left > 0) this.#waitingPids.set(pid, left)
    else this.#waitingPids.delete(pid)
    this.#options.append(draft)
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

/**
 * A socket's cookie as a number, which a map finds several times faster than a bigint. The kernel counts cookies up from 0, in
 * nested contexts down from 2^64 (include/linux/cookie.h): read as signed, both are exact up to 2^53 of them.
 */
type Cookie = number

function cookieOf(event: EvConnect | EvSocket | EvPacket): Cookie {
  return (event.cookieHigh | 0) * 2 ** 32 + event.cookieLow
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
