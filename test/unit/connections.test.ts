/** src/agent/event/connections.ts: which end of a connection is whose peer, and what is forgotten when both are done. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Connections } from '../../src/agent/event/connections.js'
import { Draft } from '../../src/agent/event/drafts.js'
import { type ContainerRef, HOST, type ProcessRef } from '../../src/record/model.js'
import { EvConnect, EvPacket, EvSocket, Kind, SocketFlag } from '../../src/sensor/generated/abi.js'
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

describe('connects that wait for their result', () => {
  const WAITING_MAX_COUNT = 4096
  const S = 1_000_000_000n
  const PROCESS: ProcessRef = {
    ...{ pid: 11, tid: 11, startNs: 5n, exe: '/c', invoked: '/c', args: [], cwd: '/', uid: 0, gid: 0 },
    ...{ user: 'root', phase: 'run' },
  }

  /** Numbers are cookies, and seconds since boot. */
  function waiting() {
    const counters = new Counters()
    const out: number[] = []
    const drafts: Draft[] = []
    let startsCount = 0
    const made = new Connections({
      append: (draft) => {
        out.push(Number(draft.connect?.socketId ?? 0n))
        drafts.push(draft)
      },
      onWaiting: () => startsCount++,
      counters,
    })
    const hold = (cookie: number, process = PROCESS) => {
      const socketId = BigInt(cookie)
      const draft = new Draft('connect', socketId * S, 0n, CLIENT, process)
      draft.connect = { ip: '10.0.0.2', port: 1, proto: 'tcp', family: 'ipv4', repeatsCount: 0, socketId }
      made.hold(viewOf(EvConnect, { cookie: socketId }), draft)
    }
    const fail = (cookie: number) =>
      made.result(viewOf(EvSocket, { kind: Kind.CONNECTED, family: 4, cookie: BigInt(cookie), error: 111 }), CLIENT)
    const forgottenCount = () => counters.get('connections_forgotten_total', { table: 'waiting' })
    return { made, hold, fail, out, drafts, forgottenCount, startsCount: () => startsCount }
  }

  test('each goes out with its own result, once, whatever the order of the results', () => {
    const { hold, fail, out, drafts } = waiting()
    for (const cookie of [1, 2, 3, 4]) hold(cookie)
    assert.deepEqual(
      [3, 1, 4, 2, 2].map((cookie) => fail(cookie)),
      [true, true, true, true, false],
    )
    assert.deepEqual(out, [3, 1, 4, 2])
    assert.ok(drafts.every(({ connect }) => connect?.error === 'ECONNREFUSED' && connect.result === 'failed'))
  })

  test('they go out in their order when their time is up, when nothing more comes, and of a process when it ends', () => {
    const { made, hold, fail, out, startsCount } = waiting()
    for (const cookie of [1, 2, 3, 4, 5]) hold(cookie, cookie === 4 ? { ...PROCESS, pid: 12 } : PROCESS)
    fail(2)
    assert.equal(made.expire(3n * S), true)
    assert.deepEqual(out, [2, 1])
    made.exited(11, 6n)
    assert.deepEqual(out, [2, 1], 'another process with that pid')
    made.exited(11, 5n)
    assert.deepEqual(out, [2, 1, 3, 5])
    hold(6)
    assert.equal(startsCount(), 1)
    made.flush()
    assert.deepEqual(out, [2, 1, 3, 5, 4, 6])
    assert.equal(made.expire(100n * S), false)
    hold(7)
    assert.equal(startsCount(), 2)
  })

  test('one that is established waits a moment for its peer, from then on; what is said on it ends the wait', () => {
    const { made, hold, out } = waiting()
    for (const cookie of [1, 2]) {
      hold(cookie)
      const fields = { kind: Kind.CONNECTED, family: 4, flags: SocketFlag.ESTABLISHED, bootNs: 10n * S }
      made.result(viewOf(EvSocket, { ...fields, cookie: BigInt(cookie), localPort: cookie }), CLIENT)
    }
    made.spoke(viewOf(EvPacket, { cookie: 2n }))
    assert.deepEqual(out, [2])
    assert.equal(made.expire(10n * S + 19_999_999n), true)
    assert.equal(made.expire(10n * S + 20_000_000n), false)
    assert.deepEqual(out, [2, 1])
  })

  test('a socket that connects again lets its earlier connect go; beyond the limit the oldest goes, counted', () => {
    const { hold, out, forgottenCount } = waiting()
    hold(1)
    hold(1)
    assert.deepEqual(out, [1])
    for (let cookie = 2; cookie <= WAITING_MAX_COUNT + 2; cookie++) hold(cookie)
    assert.deepEqual(out, [1, 1, 2])
    assert.equal(forgottenCount(), 2)
  })
})
