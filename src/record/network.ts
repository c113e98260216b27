/**
 * What records say of connections: the bodies of listen, accept, close, dns, tls and http. Addresses are text; an IPv4 address
 * that an IPv6 socket uses is shown mapped (`::ffff:a.b.c.d`), with family `ipv6`.
 *
 * `socketId` is the kernel's cookie of the socket: the same on connect, accept, close, tls and http of one connection.
 */

/** Kinds of their own; listen and accept are calls too (call-model.ts), and their records say which by their body. */
export type NetworkKind = 'close' | 'dns' | 'tls' | 'http'

export type Family = 'ipv4' | 'ipv6'

/** The other end of a connection, when it is a container's process on this host. */
export interface PeerRef {
  /** Full id of the container, its name and image. */
  id: string
  name: string
  image: string
  /** The process at that end, 0 when it is not known. */
  pid: number
}

/** What came of a connect. `abandoned`: the caller gave it up, or it failed in the call itself; `unknown`: no answer yet. */
export type ConnectResult = 'unknown' | 'established' | 'failed' | 'abandoned'
export const CONNECT_RESULTS: readonly ConnectResult[] = ['unknown', 'established', 'failed', 'abandoned']

/** A TCP socket listens. */
export interface ListenBody {
  ip: string
  /** 0: the kernel chooses one, which the accepted connections show. */
  port: number
  family: Family
  backlogCount: number
  socketId: bigint
}

/** A TCP connection was accepted by the kernel. The process is the one that listens: which takes it is not known yet. */
export interface AcceptBody {
  /** The client's end. */
  ip: string
  port: number
  localIp: string
  localPort: number
  family: Family
  /** Connections from the same address to the same port since the last record of one, not recorded one by one. */
  repeatsCount: number
  socketId: bigint
  peer?: PeerRef
}

export type SocketRole = 'listen' | 'connect' | 'accept' | 'unknown'
export const SOCKET_ROLES: readonly SocketRole[] = ['unknown', 'listen', 'connect', 'accept']

/** Who ended a connection: `local` this end, `remote` the other, `error` neither in good order. */
export type ClosedBy = 'local' | 'remote' | 'error'
export const CLOSED_BY: readonly ClosedBy[] = ['error', 'local', 'remote']

/** A TCP socket is done. The process is the one that closed it, when the kernel could tell, else its owner. */
export interface CloseBody {
  /** What the socket did. */
  role: SocketRole
  /** The far end; of a listening socket its own. */
  ip: string
  port: number
  localIp: string
  localPort: number
  family: Family
  closedBy: ClosedBy
  /** errno name (`ECONNRESET`), or empty. */
  error: string
  /** Payload, without what was sent again. */
  sentBytes: bigint
  receivedBytes: bigint
  durationNs: bigint
  /** Connections between the same process, address and port since the last record of one, and their bytes. */
  repeatsCount: number
  repeatsSentBytes: bigint
  repeatsReceivedBytes: bigint
  socketId: bigint
  peer?: PeerRef
}

export type DnsMessage = 'query' | 'answer'
export const DNS_MESSAGES: readonly DnsMessage[] = ['query', 'answer']

/** One DNS message of a container's process to or from a resolver. */
export interface DnsBody {
  message: DnsMessage
  /** Name asked for, in lower case and without the last dot; bytes that no host name has are `\DDD`. Empty: the root. */
  query: string
  /** `A`, `AAAA`, … or `TYPE65280`. */
  qtype: string
  /** `NOERROR`, `NXDOMAIN`, … Empty for a query. */
  rcode: string
  /** Addresses, and the names of CNAME, NS, PTR, MX and SRV; at most 32. */
  answers: readonly string[]
  /** How long each of `answers` may be kept. */
  answerTtlsS: readonly number[]
  /** The resolver, as the process knows it. */
  ip: string
  port: number
  id: number
  proto: 'udp' | 'tcp'
  /** The message was cut, by the resolver or by the probe: answers may be missing. */
  truncated: boolean
}
export const DNS_PROTOS: readonly DnsBody['proto'][] = ['udp', 'tcp']

/** The client hello of an outbound TLS connection. */
export interface TlsBody {
  /** Server name asked for, in lower case; empty when there is none. With an encrypted client hello it is the outer name. */
  sni: string
  alpn: readonly string[]
  ip: string
  port: number
  /** The extension for an encrypted client hello was sent: the real name may not be visible. */
  encryptedHello: boolean
  /** Beyond the bytes that were kept: what comes late in the hello is not known. */
  truncated: boolean
  socketId: bigint
}

/** The first request of an outbound HTTP/1 connection. */
export interface HttpBody {
  method: string
  /** The `Host` header, or the authority of the target; in lower case, with a port where it has one. */
  host: string
  /** Without its query string. */
  path: string
  ip: string
  port: number
  truncated: boolean
  socketId: bigint
}
