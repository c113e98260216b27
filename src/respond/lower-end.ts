/**
 * What rules have to see of acts on sockets -> the kernel's filter (`map_profile.acts_by_end`, `acts_internet`, `end_nodes`): nodes of
 * networks and ports as those of connect rules, whose masks hold acts, each at either end. The kernel reports what a rule may
 * want, user space judges it.
 */
import { type EndWant, type NetLists, SOCKET_ACTS, type SocketAct, socketActBit } from '../match/end-wants.js'
import type { RuleId } from '../match/types.js'
import type { NetPattern } from '../policy/model.js'
import { actBit, actNumber } from '../sensor/call-recipes.js'
import { Act } from '../sensor/generated/abi.js'
import { type ConnectNode, lowerConnect, whyNotConnect } from './lower-connect.js'

export interface EndFilter {
  /** Masks of actBit(): acts on sockets of IPv4 and IPv6 that are reported where the nodes say so; */
  readonly byEnd: bigint
  /** … acts that are reported of such sockets only. */
  readonly internet: bigint
  readonly nodes: readonly ConnectNode[]
}

export const EVERY_END: EndFilter = { byEnd: 0n, internet: 0n, nodes: [] }

/** What the rules of a profile want: those about listening sockets, and conditions. */
export interface EndWants {
  readonly listen: readonly NetLists[]
  readonly conditions: readonly EndWant[]
}

const NOWHERE = { text: '', span: { file: '', line: 0, column: 0, lengthCount: 0 } }

export function lowerEnds({ listen, conditions }: EndWants): EndFilter {
  const wanted = SOCKET_ACTS.filter(
    (act) => conditions.some(({ acts }) => acts & socketActBit(act)) || (act === 'listen' && listen.length > 0),
  )
  const of = (act: SocketAct) => conditions.filter(({ acts }) => acts & socketActBit(act))
  const internet = wanted.filter((act) => of(act).every(({ isOther }) => !isOther))
  const placed = wanted.filter((act) =>
    of(act).every(({ isInternet, local, remote }) => !isInternet || local !== undefined || remote !== undefined),
  )
  const lists = placed.flatMap((act) => [
    ...endLists(act, of(act)),
    ...(act === 'listen' ? listen.map((rule) => ({ act, bit: bitOf(act, 'local'), rule })) : []),
  ])
  const named = lists.map((list, at) => ({ ...list, id: at as RuleId }))
  const tooMany = named.filter(({ rule }) => whyNotConnect(rule) !== undefined)
  const lowered = lowerConnect(named.filter((list) => !tooMany.includes(list)))
  const left = new Set([...tooMany.map(({ act }) => act), ...lowered.dropped.map(({ id }) => named[id]?.act)])
  return {
    byEnd: maskOf(placed.filter((act) => !left.has(act))),
    internet: maskOf(internet),
    nodes: lowered.nodesFor((id) => named[id]?.bit ?? 0n),
  }
}

/** What is wanted at each end of one act, as lists of what a rule would deny. */
function endLists(act: SocketAct, wants: readonly EndWant[]): { act: SocketAct; bit: bigint; rule: NetLists }[] {
  const local: NetPattern[] = []
  const remote: NetPattern[] = []
  for (const want of wants) {
    // of both ends one is enough to let it through
    if (want.remote !== undefined) remote.push({ ...want.remote, ...NOWHERE })
    else if (want.local !== undefined) local.push({ ...want.local, ...NOWHERE })
  }
  return [
    { act, bit: bitOf(act, 'local'), rule: { deny: local, exceptions: [] } },
    { act, bit: bitOf(act, 'remote'), rule: { deny: remote, exceptions: [] } },
  ].filter(({ rule }) => rule.deny.length > 0)
}

/** Of the masks in nodes. */
function bitOf(act: SocketAct, end: 'local' | 'remote'): bigint {
  return 1n << BigInt(2 * (actNumber(act) - Act.SOCKET) + (end === 'local' ? 0 : 1))
}

function maskOf(acts: readonly SocketAct[]): bigint {
  return acts.reduce((mask, act) => mask | actBit(act), 0n)
}
