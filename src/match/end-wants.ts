/**
 * What rules have to see of acts on sockets, as far as the kernel can tell them apart: what is done, whether the socket is one of IPv4 or
 * IPv6, and the address and port at one of its ends.
 */
import type { ConnectRule, ListenRule, NetPattern } from '../policy/model.js'
import type { CallKind } from '../record/call-model.js'

/** In the order of the kernel's numbers (enum hg_act). */
export const SOCKET_ACTS = ['socket', 'bind', 'listen', 'accept', 'send', 'recv', 'dup'] as const satisfies CallKind[]
export type SocketAct = (typeof SOCKET_ACTS)[number]
export const SOCKET_ACTS_ALL = (1 << SOCKET_ACTS.length) - 1

export function isSocketAct(kind: string): kind is SocketAct {
  return SOCKET_ACTS.some((act) => act === kind)
}

/** Of a set of acts. */
export function socketActBit(act: SocketAct): number {
  return 1 << SOCKET_ACTS.indexOf(act)
}

export type End = 'local' | 'remote'
export type Reach = Pick<NetPattern, 'network' | 'prefixBits' | 'ipv6Only' | 'portFrom' | 'portTo' | 'proto'>
/** Lists of entries, as rules about networks have them. */
export type NetLists = Pick<ConnectRule | ListenRule, 'allow' | 'deny' | 'exceptions'>

export interface EndWant {
  /** Set of acts. */
  readonly acts: number
  /** Whether sockets of IPv4 and IPv6 are meant, and whether all other descriptors are. */
  readonly isInternet: boolean
  readonly isOther: boolean
  /** What must hold of an end; of neither: nothing. */
  readonly local?: Reach
  readonly remote?: Reach
}
