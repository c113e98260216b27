/** The bodies of network.ts from their JSON form. Used by json-parse.ts alone. */
import type { Fields } from './json-fields.js'
import type { ConnectBody, RecordBodies } from './model.js'
import { FAMILIES, PROTOS } from './names.js'
import { CLOSED_BY, CONNECT_RESULTS, DNS_MESSAGES, DNS_PROTOS, type PeerRef, SOCKET_ROLES } from './network.js'

export function parseConnect(fields: Fields): ConnectBody {
  return {
    ip: fields.text('ip'),
    port: fields.count('port'),
    proto: fields.oneOf('proto', PROTOS),
    family: fields.oneOf('family', FAMILIES),
    repeatsCount: fields.count('repeats_count'),
    ...(fields.has('result') ? { result: fields.oneOf('result', CONNECT_RESULTS) } : {}),
    ...(fields.has('error') ? { error: fields.text('error') } : {}),
    ...(fields.has('local_ip') ? { localIp: fields.text('local_ip') } : {}),
    ...(fields.has('local_port') ? { localPort: fields.count('local_port') } : {}),
    ...(fields.has('socket_id') ? { socketId: fields.big('socket_id') } : {}),
    ...parsePeer(fields),
  }
}

export function parseNetwork(fields: Fields, into: RecordBodies): void {
  const listen = fields.optionalObject('listen')
  if (listen?.has('call') === false) {
    into.listen = {
      ip: listen.text('ip'),
      port: listen.count('port'),
      family: listen.oneOf('family', FAMILIES),
      backlogCount: listen.count('backlog_count'),
      socketId: listen.big('socket_id'),
    }
  }
  const accept = fields.optionalObject('accept')
  if (accept?.has('call') === false) into.accept = { ...parseEnds(accept), repeatsCount: accept.count('repeats_count') }
  const close = fields.optionalObject('close')
  if (close !== undefined) {
    into.close = {
      ...parseEnds(close),
      role: close.oneOf('role', SOCKET_ROLES),
      closedBy: close.oneOf('closed_by', CLOSED_BY),
      error: close.text('error'),
      sentBytes: close.big('sent_bytes'),
      receivedBytes: close.big('received_bytes'),
      durationNs: close.big('duration_ns'),
      repeatsCount: close.count('repeats_count'),
      repeatsSentBytes: close.big('repeats_sent_bytes'),
      repeatsReceivedBytes: close.big('repeats_received_bytes'),
    }
  }
  parseNames(fields, into)
}

function parseEnds(fields: Fields) {
  return {
    ip: fields.text('ip'),
    port: fields.count('port'),
    localIp: fields.text('local_ip'),
    localPort: fields.count('local_port'),
    family: fields.oneOf('family', FAMILIES),
    socketId: fields.big('socket_id'),
    ...parsePeer(fields),
  }
}

function parseNames(fields: Fields, into: RecordBodies): void {
  const dns = fields.optionalObject('dns')
  if (dns !== undefined) {
    into.dns = {
      message: dns.oneOf('message', DNS_MESSAGES),
      query: dns.text('query'),
      qtype: dns.text('qtype'),
      rcode: dns.text('rcode'),
      answers: dns.texts('answers'),
      answerTtlsS: dns.counts('answer_ttls_s'),
      ip: dns.text('ip'),
      port: dns.count('port'),
      id: dns.count('id'),
      proto: dns.oneOf('proto', DNS_PROTOS),
      truncated: dns.flag('truncated'),
    }
  }
  const tls = fields.optionalObject('tls')
  if (tls !== undefined) {
    into.tls = {
      sni: tls.text('sni'),
      alpn: tls.texts('alpn'),
      ip: tls.text('ip'),
      port: tls.count('port'),
      encryptedHello: tls.flag('encrypted_hello'),
      truncated: tls.flag('truncated'),
      socketId: tls.big('socket_id'),
    }
  }
  const http = fields.optionalObject('http')
  if (http !== undefined) {
    into.http = {
      method: http.text('method'),
      host: http.text('host'),
      path: http.text('path'),
      ip: http.text('ip'),
      port: http.count('port'),
      truncated: http.flag('truncated'),
      socketId: http.big('socket_id'),
    }
  }
}

function parsePeer(fields: Fields): { peer?: PeerRef } {
  const peer = fields.optionalObject('peer')
  if (peer === undefined) return {}
  return { peer: { id: peer.text('id'), name: peer.text('name'), image: peer.text('image'), pid: peer.count('pid') } }
}
