/** src/agent/event/connections.ts: which end of a connection is whose peer, and what is forgotten when both are done. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Connections } from '../../src/agent/event/connections.js'
import { type ContainerRef, HOST } from '../../src/record/model.js'
import { EvSocket, Kind, SocketFlag } from '../../src/sensor/generated/abi.js'
import { Counters } from '../../src/telemetry/counters.js'
import { viewOf } from '../support/sensor-events.js'

const CLIENT: ContainerRef = { ...HOST, state: 'container', id: 'client', name: 'client' }
const SERVER: ContainerRef = { ...HOST, state: 'container', id: 'server', name: 'server' }
const SERVER_PORT = 80
/** More than are remembered at one time. */
const MANY_COUNT = 10_000

const address = (last: number) => Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last])

/** An event of the client's or the server's own socket of connection `number`. */
function socket(kind: number, end: 'client' | 'server', number: number): EvSocket {
  const [client, server] = [
    { address: address(1), port: 1024 + number },
    { address: address(2), port: SERVER_PORT },
  ]
  const [local, remote] = end === 'client' ? [client, server] : [server, client]
  return viewOf(EvSocket, {
    ...{ kind, family: 4, flags: SocketFlag.ESTABLISHED, pid: end === 'client' ? 11 : 22 },
    ...{ cookie: BigInt(2 * number + (end === 'client' ? 1 : 2)) },
    ...{ localAddress: local.address, localPort: local.port },
    ...{ remoteAddress: remote.address, remotePort: remote.port },
  })
}

function connections() {
  const counters = new Counters()
  const made = new Connections({ append: () => {}, onWaiting: () => {}, counters })
  return { made, forgottenCount: () => counters.get('connections_forgotten_total', { table: 'flows' }) }
}

describe('connections whose ends are both of this host', () => {
  for (const order of [['client', 'server'] as const, ['server', 'client'] as const])
    test(`both name each other, and are forgotten with the second: the ${order[0]} closes first`, () => {
      const { made, forgottenCount } = connections()
      const peerOf = { client: SERVER.id, server: CLIENT.id }
      for (let number = 0; number < MANY_COUNT; number++) {
        made.result(socket(Kind.CONNECTED, 'client', number), CLIENT)
        assert.equal(made.accepted(socket(Kind.ACCEPT, 'server', number), SERVER)?.id, CLIENT.id)
        for (const end of order) assert.equal(made.closed(socket(Kind.CLOSE, end, number))?.id, peerOf[end])
      }
      assert.equal(forgottenCount(), 0)
      const [gone] = order
      assert.equal(made.closed(socket(Kind.CLOSE, gone, MANY_COUNT - 1)), undefined)
    })

  test('more at one time than are remembered: the oldest go, counted', () => {
    const { made, forgottenCount } = connections()
    for (let number = 0; number < MANY_COUNT; number++) made.result(socket(Kind.CONNECTED, 'client', number), CLIENT)
    assert.equal(forgottenCount(), MANY_COUNT - 8192)
  })
})
