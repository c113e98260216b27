/** Fields of the descriptor that a call is about: a file, or a socket with its two ends. */
import type { FieldValues, InternedText } from '../../match/conditions/values.js'
import { formatIp } from '../../record/ip-text.js'
import { CallFlag, EvCall, EvConnect, FdKind } from '../../sensor/generated/abi.js'
import { TEXTS } from '../process/texts.js'
import { actOf, pathStart } from './call-arguments.js'
import type { EventContext } from './context.js'
import { addText, type Extractor, type Extractors } from './extractor.js'

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const AF_NETLINK = 16
const SLASH = 0x2f

const IPPROTO_TCP = 6
const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp', 255: 'raw' }

/** Falco's letter and word of what a descriptor stands for. */
interface Kind {
  readonly char: InternedText
  readonly type: InternedText
}
const kind = (char: string, type: string): Kind => ({ char: TEXTS.ofString(char), type: TEXTS.ofString(type) })
const FILE = kind('f', 'file')
const IPV4 = kind('4', 'ipv4')
const IPV6 = kind('6', 'ipv6')
const OTHER = kind('o', 'other')
const MEMFD = kind('m', 'memfd')
const SOCKETS: Readonly<Record<number, Kind>> = {
  [AF_UNIX]: kind('u', 'unix'),
  [AF_INET]: IPV4,
  [AF_INET6]: IPV6,
  [AF_NETLINK]: kind('n', 'netlink'),
}
const FILES: Readonly<Record<number, Kind>> = {
  [FdKind.FILE]: FILE,
  [FdKind.CHAR_DEVICE]: FILE,
  [FdKind.BLOCK_DEVICE]: FILE,
  [FdKind.SYMLINK]: FILE,
  [FdKind.NAMESPACE]: FILE,
  [FdKind.DIRECTORY]: kind('d', 'directory'),
  [FdKind.FIFO]: kind('p', 'pipe'),
}
/** By the kernel's name of an anonymous inode, without what follows it. */
const ANONYMOUS: Readonly<Record<string, Kind>> = {
  '[eventfd': kind('e', 'event'),
  '[eventpoll': kind('l', 'eventpoll'),
  '[signalfd': kind('s', 'signalfd'),
  '[timerfd': kind('t', 'timerfd'),
  '[userfaultfd': kind('u', 'userfaultfd'),
  '[io_uring': kind('r', 'iouring'),
  '[pidfd': kind('P', 'pidfd'),
  inotify: kind('i', 'inotify'),
  'bpf-': kind('b', 'bpf'),
}

function pathText(call: EvCall): string {
  const start = pathStart(call)
  return Buffer.from(call.bytes.subarray(start, start + call.pathBytes)).toString('utf8')
}

function anonymousKind(call: EvCall): Kind {
  const name = pathText(call).replace('anon_inode:', '')
  for (const [start, found] of Object.entries(ANONYMOUS)) if (name.startsWith(start)) return found
  return OTHER
}

function kindOf({ call, connect, name }: EventContext): Kind | undefined {
  if (connect !== undefined) return connect.family === 4 ? IPV4 : IPV6
  if (name !== undefined) return name.far.isIpv4 ? IPV4 : IPV6
  if (call === undefined || call.fdKind === FdKind.NONE) return undefined
  if (call.flags & CallFlag.MEMFD) return MEMFD
  if (call.fdKind === FdKind.SOCKET) return SOCKETS[call.family] ?? OTHER
  return call.fdKind === FdKind.ANON ? anonymousKind(call) : FILES[call.fdKind]
}

function isInternet(call: EvCall): boolean {
  return call.family === AF_INET || call.family === AF_INET6
}

/** The end of a connection. */
type End = 'local' | 'remote'

function hasEnd(call: EvCall, end: End): boolean {
  if (!isInternet(call)) return false
  if (end === 'local' ? call.localPort !== 0 : call.remotePort !== 0) return true
  const start = call.at + (end === 'local' ? EvCall.LOCAL_OFFSET : EvCall.REMOTE_OFFSET)
  // ::ffff:0.0.0.0 and :: say nothing
  for (let at = start + 12; at < start + 16; at++) if (call.bytes[at] !== 0) return true
  for (let at = start; at < start + 10; at++) if (call.bytes[at] !== 0) return true
  return false
}

/** Of an accepted connection and of a listening socket it is the near end, else the one with the lower port. */
function serverOf(call: EvCall): End {
  const act = actOf(call)
  if (act === 'accept' || act === 'listen' || act === 'bind') return 'local'
  if (!hasEnd(call, 'remote')) return 'local'
  return call.localPort !== 0 && call.localPort < call.remotePort ? 'local' : 'remote'
}

function endOf(call: EvCall, which: End | 'server' | 'client'): End {
  if (which === 'local' || which === 'remote') return which
  return (serverOf(call) === 'local') === (which === 'server') ? 'local' : 'remote'
}

type Which = End | 'server' | 'client'

function addressOf({ call, connect, name }: EventContext, into: FieldValues, which: Which): void {
  if (connect !== undefined) {
    if (which === 'remote' || which === 'server') into.addAddress(connect.bytes, connect.at + EvConnect.ADDRESS_OFFSET)
  } else if (name !== undefined) {
    if (which === 'remote' || which === 'server') into.addAddress(name.far.address, 0)
  } else if (call !== undefined) {
    const end = endOf(call, which)
    if (hasEnd(call, end))
      into.addAddress(call.bytes, call.at + (end === 'local' ? EvCall.LOCAL_OFFSET : EvCall.REMOTE_OFFSET))
  }
}

function portOf({ call, connect, name }: EventContext, into: FieldValues, which: Which): void {
  const far = connect ?? name?.far
  if (far !== undefined) {
    if (which === 'remote' || which === 'server') into.addNumber(far.port)
  } else if (call !== undefined) {
    const end = endOf(call, which)
    if (hasEnd(call, end)) into.addNumber(end === 'local' ? call.localPort : call.remotePort)
  }
}

const address =
  (which: Which): Extractor =>
  (context, into) =>
    addressOf(context, into, which)

const port =
  (which: Which): Extractor =>
  (context, into) =>
    portOf(context, into, which)

/** Either end: first the near, then the far one. */
const eitherAddress: Extractor = (context, into) => {
  addressOf(context, into, 'local')
  addressOf(context, into, 'remote')
}

const hostName =
  (which: Which): Extractor =>
  (context, into) => {
    const { hostNames } = context.sources
    if (hostNames === undefined || hostNames.isEmpty) return
    addressOf(context, into, which)
    if (into.count === 0) return
    const bytes = into.bytes[0]
    const start = into.starts[0]
    into.clear()
    if (bytes !== undefined && start !== undefined)
      for (const name of hostNames.namesOf(bytes, start)) into.addText(name)
  }

function protocolOf({ call, connect, name }: EventContext): number | undefined {
  if (connect !== undefined) return connect.proto
  if (name !== undefined) return name.far.proto
  return call !== undefined && isInternet(call) ? call.proto : undefined
}

function endText(bytes: Uint8Array, isIpv4: boolean, portNumber: number): string {
  return `${formatIp(bytes, isIpv4)}:${portNumber}`
}

/** Of a connection `near->far`; what is not known of it is left out. */
function addName({ call, connect, name }: EventContext, into: FieldValues): void {
  if (connect !== undefined) {
    const far = endText(connect.address, connect.family === 4, connect.port)
    into.addText(TEXTS.ofString(`->${far}`))
  } else if (name !== undefined) {
    const { address, isIpv4, port } = name.far
    into.addText(TEXTS.ofString(`->${endText(address, isIpv4, port)}`))
  } else if (call !== undefined && isInternet(call)) {
    const isIpv4 = call.family === AF_INET
    const near = hasEnd(call, 'local') ? endText(call.local, isIpv4, call.localPort) : ''
    const far = hasEnd(call, 'remote') ? endText(call.remote, isIpv4, call.remotePort) : ''
    if (near !== '' || far !== '') into.addText(TEXTS.ofString(far === '' ? near : `${near}->${far}`))
  } else if (call !== undefined && call.pathBytes > 0) {
    const start = pathStart(call)
    into.addBytes(call.bytes, start, start + call.pathBytes)
  }
}

/** Files alone have a directory and a last component. */
function fileSlash({ call }: EventContext): number {
  if (call === undefined || call.fdKind === FdKind.SOCKET || call.fdKind === FdKind.ANON) return -1
  const start = pathStart(call)
  for (let at = start + call.pathBytes - 1; at >= start; at--) if (call.bytes[at] === SLASH) return at
  return -1
}

export const DESCRIPTOR_FIELDS: Extractors = {
  'fd.num': ({ call }, into) => {
    if (call === undefined) return
    if (call.fd >= 0) into.addNumber(call.fd)
    else if (actOf(call) === 'open' && call.flags & CallFlag.HAS_RESULT)
      into.addWide(call.resultHigh | 0, call.resultLow)
  },
  'fd.name': addName,
  'fd.nameraw': ({ call }, into) => {
    if (call === undefined || call.rawBytes === 0) return
    const start = pathStart(call) + call.pathBytes + call.path2Bytes
    into.addBytes(call.bytes, start, start + call.rawBytes)
  },
  'fd.filename': (context, into) => {
    const slash = fileSlash(context)
    const { call } = context
    if (call !== undefined && slash >= 0) into.addBytes(call.bytes, slash + 1, pathStart(call) + call.pathBytes)
  },
  'fd.directory': (context, into) => {
    const slash = fileSlash(context)
    const { call } = context
    if (call === undefined || slash < 0) return
    const start = pathStart(call)
    into.addBytes(call.bytes, start, slash === start ? start + 1 : slash)
  },
  'fd.type': (context, into) => addText(into, kindOf(context)?.type),
  'fd.typechar': (context, into) => addText(into, kindOf(context)?.char),
  'fd.types': (context, into) => addText(into, kindOf(context)?.type),
  'fd.sockfamily': ({ call, connect, name }, into) => {
    if (connect !== undefined || name !== undefined || (call !== undefined && isInternet(call))) into.addText(IP)
    else if (call?.family === AF_UNIX) into.addText(UNIX)
  },
  'fd.l4proto': (context, into) => {
    const protocol = protocolOf(context)
    if (protocol !== undefined) addText(into, PROTOCOL_TEXTS[protocol] ?? NA)
  },
  'fd.ip': eitherAddress,
  'fd.net': eitherAddress,
  'fd.port': (context, into) => {
    portOf(context, into, 'local')
    portOf(context, into, 'remote')
  },
  'fd.sip': address('server'),
  'fd.snet': address('server'),
  'fd.sport': port('server'),
  'fd.cip': address('client'),
  'fd.cnet': address('client'),
  'fd.cport': port('client'),
  'fd.rip': address('remote'),
  'fd.rnet': address('remote'),
  'fd.rport': port('remote'),
  'fd.lip': address('local'),
  'fd.lnet': address('local'),
  'fd.lport': port('local'),
  'fd.sip.name': hostName('server'),
  'fd.cip.name': hostName('client'),
  'fd.rip.name': hostName('remote'),
  'fd.lip.name': hostName('local'),
  'fd.connected': (context, into) => {
    const { call, connect, name } = context
    if (connect !== undefined) into.addBoolean(connect.proto === IPPROTO_TCP)
    else if (name !== undefined) into.addBoolean(name.far.proto === IPPROTO_TCP)
    else if (call !== undefined && call.family !== 0) into.addBoolean(hasEnd(call, 'remote') && !hasOwnAddress(call))
  },
  'fd.name_changed': ({ call, connect, name }, into) => {
    if (connect !== undefined) into.addBoolean(true)
    else if (name !== undefined) into.addBoolean(false)
    else if (call !== undefined && call.family !== 0) into.addBoolean(hasOwnAddress(call))
  },
}

/** The call brought the address with it: a datagram to whom the socket is not connected. */
function hasOwnAddress(call: EvCall): boolean {
  return (call.flags & CallFlag.USER_MEMORY) !== 0
}

const IP = TEXTS.ofString('ip')
const UNIX = TEXTS.ofString('unix')
const NA = TEXTS.ofString('<NA>')
const PROTOCOL_TEXTS: Readonly<Record<number, InternedText>> = Object.fromEntries(
  Object.entries(PROTOCOLS).map(([number, name]) => [number, TEXTS.ofString(name)]),
)
