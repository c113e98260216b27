/** The bodies of network.ts in a few words, for text.ts. Texts in them are hostile: the caller makes them visible. */
import type { ConnectBody, RecordBodies } from './model.js'
import type { PeerRef } from './network.js'

export function connectText(body: ConnectBody): string {
  const { ip, port, proto, repeatsCount, result, error, localIp, localPort, peer } = body
  const from = localPort === undefined || localIp === undefined ? '' : ` from ${end(localIp, localPort)}`
  const came = result === undefined || result === 'unknown' ? '' : `, ${error === undefined ? result : error}`
  const more = repeatsCount === 0 ? '' : ` (and ${repeatsCount} sends since the last)`
  return `${end(ip, port)}/${proto}${from}${came}${peerText(peer)}${more}`
}

/** Undefined: the record has none of these bodies. */
export function networkText({ listen, accept, close, dns, tls, http }: RecordBodies): string | undefined {
  if (listen !== undefined) return `on ${end(listen.ip, listen.port)}/tcp`
  if (accept !== undefined) {
    const more = accept.repeatsCount === 0 ? '' : ` (and ${accept.repeatsCount} since the last)`
    return `${end(accept.ip, accept.port)} on ${end(accept.localIp, accept.localPort)}/tcp${peerText(accept.peer)}${more}`
  }
  if (close !== undefined) {
    if (close.role === 'listen') return `no longer listens on ${end(close.localIp, close.localPort)}/tcp`
    const { ip, port, sentBytes, receivedBytes, error, repeatsCount, peer } = close
    const more =
      repeatsCount === 0
        ? ''
        : ` (and ${repeatsCount} since the last: ${close.repeatsSentBytes} sent, ${close.repeatsReceivedBytes} received)`
    const why = close.closedBy === 'error' ? `, ${error === '' ? 'broken off' : error}` : `, by the ${side(close)}`
    return `${end(ip, port)}/tcp: ${sentBytes} bytes sent, ${receivedBytes} received${why}${peerText(peer)}${more}`
  }
  if (dns !== undefined) {
    const cut = dns.truncated ? ' (cut)' : ''
    const answer = dns.message === 'query' ? '?' : ` = ${dns.rcode} ${dns.answers.join(' ')}`.trimEnd()
    return `${dns.query === '' ? '.' : dns.query} ${dns.qtype}${answer} (${end(dns.ip, dns.port)})${cut}`
  }
  if (tls !== undefined) {
    const name = tls.sni === '' ? 'no server name' : tls.sni
    return `${name}${tls.encryptedHello ? ' (encrypted client hello)' : ''} at ${end(tls.ip, tls.port)}`
  }
  if (http !== undefined) return `${http.method} ${http.host}${http.path} at ${end(http.ip, http.port)}`
  return undefined
}

function side({ closedBy }: { closedBy: string }): string {
  return closedBy === 'local' ? 'container' : 'far end'
}

function end(ip: string, port: number): string {
  return `${ip.includes(':') ? `[${ip}]` : ip}:${port}`
}

function peerText(peer: PeerRef | undefined): string {
  return peer === undefined ? '' : ` (container ${peer.name === '' ? peer.id.slice(0, 12) : peer.name})`
}
