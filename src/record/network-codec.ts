/** The bodies of network.ts on the wire, both ways. Used by batch-builder.ts and codec.ts alone. */
import type { BatchLists } from './batch-lists.js'
import {
  encodeAccept,
  encodeClose,
  encodeDns,
  encodeHttp,
  encodeListen,
  encodeTls,
  type RecordBatch,
  type Connect as WireConnect,
  type Peer as WirePeer,
} from './generated/wire.js'
import type { ConnectBody, RecordBodies } from './model.js'
import { FAMILIES, PROTOS } from './names.js'
import { CLOSED_BY, CONNECT_RESULTS, DNS_MESSAGES, DNS_PROTOS, type PeerRef, SOCKET_ROLES } from './network.js'

/** First bit of the body masks that this file writes: listens, accepts, closes, dnses, tlses, https. */
const NETWORK_FIRST_BIT = 12

const bit = (place: number) => 1 << (NETWORK_FIRST_BIT + place)
export const NETWORK_BODY = {
  listen: bit(0),
  accept: bit(1),
  close: bit(2),
  dns: bit(3),
  tls: bit(4),
  http: bit(5),
} as const

/** Index of a text in the batch. */
type Intern = (text: string) => number

export function connectToWire(body: ConnectBody, intern: Intern): WireConnect {
  const { result, peer, error, localIp } = body
  const wire: WireConnect = {
    ipRef: intern(body.ip),
    port: body.port,
    proto: PROTOS.indexOf(body.proto),
    family: FAMILIES.indexOf(body.family),
    repeatsCount: body.repeatsCount,
    errorRef: error === undefined ? 0 : intern(error),
    localIpRef: localIp === undefined ? 0 : intern(localIp),
    localPort: body.localPort ?? 0,
    socketId: body.socketId ?? 0n,
  }
  if (result !== undefined) wire.result = CONNECT_RESULTS.indexOf(result)
  if (peer !== undefined) wire.peer = peerRow(peer, intern)
  return wire
}

/** Adds the network bodies that the draft has; the bits of those. */
export function putNetwork(draft: RecordBodies, lists: BatchLists, intern: Intern): number {
  let mask = 0
  const { listen, accept, close, dns, tls, http } = draft
  if (listen !== undefined) {
    const { ip, family, ...rest } = listen
    encodeListen({ ipRef: intern(ip), family: FAMILIES.indexOf(family), ...rest }, lists.listens.open()).ldelim()
    mask |= NETWORK_BODY.listen
  }
  if (accept !== undefined) {
    const { ip, localIp, family, peer, ...rest } = accept
    encodeAccept(
      {
        ipRef: intern(ip),
        localIpRef: intern(localIp),
        family: FAMILIES.indexOf(family),
        ...rest,
        ...peerToWire(peer, intern),
      },
      lists.accepts.open(),
    ).ldelim()
    mask |= NETWORK_BODY.accept
  }
  if (close !== undefined) {
    const { role, ip, localIp, family, closedBy, error, peer, ...rest } = close
    encodeClose(
      {
        role: SOCKET_ROLES.indexOf(role),
        ipRef: intern(ip),
        localIpRef: intern(localIp),
        family: FAMILIES.indexOf(family),
        closedBy: CLOSED_BY.indexOf(closedBy),
        errorRef: intern(error),
        ...rest,
        ...peerToWire(peer, intern),
      },
      lists.closes.open(),
    ).ldelim()
    mask |= NETWORK_BODY.close
  }
  if (dns !== undefined) {
    const { message, query, qtype, rcode, answers, answerTtlsS, ip, proto, ...rest } = dns
    encodeDns(
      {
        message: DNS_MESSAGES.indexOf(message),
        queryRef: intern(query),
        qtypeRef: intern(qtype),
        rcodeRef: intern(rcode),
        answerRefs: answers.map(intern),
        answerTtlsS: [...answerTtlsS],
        ipRef: intern(ip),
        proto: DNS_PROTOS.indexOf(proto),
        ...rest,
      },
      lists.dnses.open(),
    ).ldelim()
    mask |= NETWORK_BODY.dns
  }
  if (tls !== undefined) {
    const { sni, alpn, ip, ...rest } = tls
    encodeTls(
      { sniRef: intern(sni), alpnRefs: alpn.map(intern), ipRef: intern(ip), ...rest },
      lists.tlses.open(),
    ).ldelim()
    mask |= NETWORK_BODY.tls
  }
  if (http !== undefined) {
    const { method, host, path, ip, ...rest } = http
    encodeHttp(
      {
        methodRef: intern(method),
        hostRef: intern(host),
        pathRef: intern(path),
        ipRef: intern(ip),
        ...rest,
      },
      lists.https.open(),
    ).ldelim()
    mask |= NETWORK_BODY.http
  }
  return mask
}

function peerToWire(peer: PeerRef | undefined, intern: Intern): { peer?: WirePeer } {
  return peer === undefined ? {} : { peer: peerRow(peer, intern) }
}

function peerRow({ id, name, image, pid }: PeerRef, intern: Intern): WirePeer {
  return { idRef: intern(id), nameRef: intern(name), imageRef: intern(image), pid }
}

/** What the codec's reader offers: the next entry of a body list, a text, a name by its number. Each throws wire_invalid. */
export interface WireTexts {
  take<T>(list: readonly T[], bit: number): T
  text(ref: number): string
  pick<T>(names: readonly T[], number: number): T
}

export function connectFromWire(wire: WireConnect, from: WireTexts): ConnectBody {
  const body: ConnectBody = {
    ip: from.text(wire.ipRef),
    port: wire.port,
    proto: from.pick(PROTOS, wire.proto),
    family: from.pick(FAMILIES, wire.family),
    repeatsCount: wire.repeatsCount,
    ...peerFromWire(wire.peer, from),
  }
  if (wire.result !== undefined) body.result = from.pick(CONNECT_RESULTS, wire.result)
  if (wire.errorRef !== 0) body.error = from.text(wire.errorRef)
  if (wire.localIpRef !== 0) body.localIp = from.text(wire.localIpRef)
  if (wire.localPort !== 0) body.localPort = wire.localPort
  if (wire.socketId !== 0n) body.socketId = wire.socketId
  return body
}

export function readNetwork(mask: number, batch: RecordBatch, from: WireTexts, into: RecordBodies): void {
  if ((mask & NETWORK_BODY.listen) !== 0) {
    const { ipRef, family, ...rest } = from.take(batch.listens, NETWORK_FIRST_BIT)
    into.listen = { ip: from.text(ipRef), family: from.pick(FAMILIES, family), ...rest }
  }
  if ((mask & NETWORK_BODY.accept) !== 0) {
    const { ipRef, localIpRef, family, peer, ...rest } = from.take(batch.accepts, NETWORK_FIRST_BIT + 1)
    into.accept = {
      ip: from.text(ipRef),
      localIp: from.text(localIpRef),
      family: from.pick(FAMILIES, family),
      ...rest,
      ...peerFromWire(peer, from),
    }
  }
  if ((mask & NETWORK_BODY.close) !== 0) {
    const wire = from.take(batch.closes, NETWORK_FIRST_BIT + 2)
    const { role, ipRef, localIpRef, family, closedBy, errorRef, peer, ...rest } = wire
    into.close = {
      role: from.pick(SOCKET_ROLES, role),
      ip: from.text(ipRef),
      localIp: from.text(localIpRef),
      family: from.pick(FAMILIES, family),
      closedBy: from.pick(CLOSED_BY, closedBy),
      error: from.text(errorRef),
      ...rest,
      ...peerFromWire(peer, from),
    }
  }
  readNames(mask, batch, from, into)
}

function readNames(mask: number, batch: RecordBatch, from: WireTexts, into: RecordBodies): void {
  if ((mask & NETWORK_BODY.dns) !== 0) {
    const wire = from.take(batch.dnses, NETWORK_FIRST_BIT + 3)
    const { message, queryRef, qtypeRef, rcodeRef, answerRefs, ipRef, proto, ...rest } = wire
    into.dns = {
      message: from.pick(DNS_MESSAGES, message),
      query: from.text(queryRef),
      qtype: from.text(qtypeRef),
      rcode: from.text(rcodeRef),
      answers: answerRefs.map((ref) => from.text(ref)),
      ip: from.text(ipRef),
      proto: from.pick(DNS_PROTOS, proto),
      ...rest,
    }
  }
  if ((mask & NETWORK_BODY.tls) !== 0) {
    const { sniRef, alpnRefs, ipRef, ...rest } = from.take(batch.tlses, NETWORK_FIRST_BIT + 4)
    into.tls = {
      sni: from.text(sniRef),
      alpn: alpnRefs.map((ref) => from.text(ref)),
      ip: from.text(ipRef),
      ...rest,
    }
  }
  if ((mask & NETWORK_BODY.http) !== 0) {
    const { methodRef, hostRef, pathRef, ipRef, ...rest } = from.take(batch.https, NETWORK_FIRST_BIT + 5)
    into.http = {
      method: from.text(methodRef),
      host: from.text(hostRef),
      path: from.text(pathRef),
      ip: from.text(ipRef),
      ...rest,
    }
  }
}

function peerFromWire(wire: WirePeer | undefined, from: WireTexts): { peer?: PeerRef } {
  if (wire === undefined) return {}
  const { idRef, nameRef, imageRef, pid } = wire
  return { peer: { id: from.text(idRef), name: from.text(nameRef), image: from.text(imageRef), pid } }
}
