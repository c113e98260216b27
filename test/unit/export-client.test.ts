import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket, type Server as TcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Client, credentials, Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js'
import { openLocal } from '../../src/collector/local-source.js'
import { startCollector } from '../../src/collector/server.js'
import { openExporter } from '../../src/export/exporter.js'
import { DELIVER } from '../../src/export/rpc.js'
import type { DeliveryState, Exporter } from '../../src/export/types.js'
import type { DeliverRequest, DeliverResponse } from '../../src/record/generated/wire.js'
import { Counters } from '../../src/telemetry/counters.js'
import { hostActivity, SILENT, take, until } from '../support/delivery.js'

type Call = ServerDuplexStream<DeliverRequest, DeliverResponse | Buffer>

function temporaryDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hullguard-client-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A collector that talks as it likes; a Buffer goes out as it is. */
async function fakeCollector(t: TestContext, talk: (call: Call) => void): Promise<string> {
  const server = new Server()
  const responseSerialize = (message: DeliverResponse | Buffer) =>
    message instanceof Buffer ? message : DELIVER.responseSerialize(message as DeliverResponse)
  server.addService({ deliver: { ...DELIVER, responseSerialize } }, { deliver: talk })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  t.after(() => server.forceShutdown())
  return `127.0.0.1:${port}`
}

async function tcpServer(t: TestContext, onSocket: (socket: Socket) => void): Promise<string> {
  const server: TcpServer = createServer(onSocket)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Fixture {
  exporter: Exporter
  counters: Counters
  states: DeliveryState[]
}

async function exporting(t: TestContext, collectors: string[]): Promise<Fixture> {
  const counters = new Counters()
  const states: DeliveryState[] = []
  const exporter = await openExporter({
    agentId: 'agent-1',
    dataDir: temporaryDir(t),
    collectors,
    counters,
    log: SILENT,
    onState: (state) => states.push(state),
  })
  t.after(() => exporter.close({ deadlineMs: 100 }))
  return { exporter, counters, states }
}

const SEEN = 5n

const nonsense: [string, (call: Call) => void][] = [
  [
    'acknowledges what was never sent',
    (call) => {
      call.write({ welcome: { stored: [] } })
      call.on('data', ({ frame }: DeliverRequest) => {
        if (frame !== undefined)
          call.write({ ack: { epoch: frame.epoch, lane: frame.lane, seq: frame.lastSeq + SEEN } })
      })
    },
  ],
  [
    'claims records that were never made',
    (call) => call.write({ welcome: { stored: [{ epoch: 1, lane: 2, seq: 1_000_000n }] } }),
  ],
  [
    'claims an epoch that has not begun',
    (call) => call.write({ welcome: { stored: [{ epoch: 77, lane: 2, seq: 1n }] } }),
  ],
  ['acknowledges before it greets', (call) => call.write({ ack: { epoch: 1, lane: 2, seq: 1n } })],
  ['sends bytes that are no message', (call) => call.write(Buffer.from('\xff\xff\xff\xff\xff\xff garbage', 'latin1'))],
  ['sends a message without content', (call) => call.write({})],
  ['sends a message that is far too large', (call) => call.write(Buffer.alloc(1 << 20, 10))],
  ['ends the stream at once', (call) => call.end()],
  ['refuses', (call) => call.emit('error', { code: status.ALREADY_EXISTS, details: 'a live stream already' })],
]

for (const [what, talk] of nonsense) {
  test(`a collector that ${what} costs nothing: the next address gets every record`, async (t) => {
    let called = 0
    const bad = await fakeCollector(t, (call) => {
      called++
      call.on('error', () => {})
      talk(call)
    })
    const dataDir = temporaryDir(t)
    const good = await startCollector({ listen: ['127.0.0.1:0'], dataDir, counters: new Counters(), log: SILENT })
    t.after(() => good.close())
    const { exporter, counters, states } = await exporting(t, [bad, good.addresses[0] ?? ''])
    for (const draft of take(hostActivity(1), 500)) exporter.append(draft)
    assert.deepEqual(await exporter.close({ deadlineMs: 20_000 }), { delivered: true, spooledCount: 0, lostCount: 0 })
    assert.ok(called >= 1)
    assert.ok(counters.get('collector_disconnects_total') >= 1)
    assert.deepEqual(
      states.map(({ state }) => state),
      states.length === 3 ? ['recovered', 'degraded', 'recovered'] : ['degraded', 'recovered'],
    )
    await assertStored(dataDir, 500)
  })
}

test('a peer that is no gRPC server, or closes at once, is passed over', async (t) => {
  const talker = await tcpServer(t, (socket) => {
    socket.on('error', () => {})
    socket.end('220 mail.example ESMTP\r\n'.repeat(100))
  })
  const closer = await tcpServer(t, (socket) => socket.destroy())
  const dataDir = temporaryDir(t)
  const good = await startCollector({ listen: ['127.0.0.1:0'], dataDir, counters: new Counters(), log: SILENT })
  t.after(() => good.close())
  const { exporter } = await exporting(t, ['127.0.0.1:1', talker, closer, good.addresses[0] ?? ''])
  for (const draft of take(hostActivity(1), 50)) exporter.append(draft)
  assert.equal((await exporter.close({ deadlineMs: 40_000 })).delivered, true)
  await assertStored(dataDir, 50)
})

test('without any collector records stay in the spool and the fault is told once, not once per attempt', async (t) => {
  const { exporter, counters, states } = await exporting(t, ['127.0.0.1:1'])
  for (const draft of take(hostActivity(1), 50)) exporter.append(draft)
  await until('several attempts', () => counters.get('collector_disconnects_total') >= 3)
  assert.equal(states.length, 1)
  assert.equal(states[0]?.state, 'degraded')
  assert.deepEqual(await exporter.close({ deadlineMs: 100 }), { delivered: false, spooledCount: 50, lostCount: 0 })
})

test('a slow collector bounds what is on its way, and gets everything in the end', async (t) => {
  let unacknowledged = 0
  let most = 0
  const slow = await fakeCollector(t, (call) => {
    call.write({ welcome: { stored: [] } })
    call.on('data', ({ frame }: DeliverRequest) => {
      if (frame === undefined) return
      most = Math.max(most, ++unacknowledged)
      setTimeout(() => {
        unacknowledged--
        call.write({ ack: { epoch: frame.epoch, lane: frame.lane, seq: frame.lastSeq } })
      }, 100)
    })
  })
  const { exporter } = await exporting(t, [slow])
  const stream = hostActivity(1)
  for (let round = 0; round < 200; round++) {
    for (const draft of take(stream, 20)) exporter.append(draft)
    await exporter.flush()
  }
  assert.equal((await exporter.close({ deadlineMs: 30_000 })).delivered, true)
  assert.ok(most > 1 && most <= 64, `${most} on the way`)
})

test('a second live stream of one agent id is refused, and taken when the first has ended', async (t) => {
  const dataDir = temporaryDir(t)
  const counters = new Counters()
  const collector = await startCollector({ listen: ['127.0.0.1:0'], dataDir, counters, log: SILENT })
  t.after(() => collector.close())
  const address = collector.addresses[0] ?? ''
  const first = await exporting(t, [address])
  await until('the first is connected', () => first.exporter.connectedTo !== undefined)
  const hello = () => {
    const client = new Client(address, credentials.createInsecure())
    t.after(() => client.close())
    const call = client.makeBidiStreamRequest(DELIVER.path, DELIVER.requestSerialize, DELIVER.responseDeserialize)
    call.write({ hello: { agent: 'agent-1', version: 1, epoch: 9 } })
    return call
  }
  const refused = hello()
  const [error] = (await once(refused, 'error')) as [{ code: status }]
  assert.equal(error.code, status.ALREADY_EXISTS)
  assert.equal(first.exporter.connectedTo, address)
  await first.exporter.close({ deadlineMs: 1000 })
  await until('the stream has ended', () => counters.get('collector_streams') === 0)
  const taken = hello()
  taken.on('error', () => {})
  const [response] = (await once(taken, 'data')) as [DeliverResponse]
  assert.deepEqual(response.welcome, { stored: [] })
  taken.cancel()
})

const badAgents: [string, (DeliverRequest | Buffer)[], status][] = [
  ['says no hello', [{ frame: frameOf() }], status.INVALID_ARGUMENT],
  ['speaks another version', [{ hello: { agent: 'a', version: 9, epoch: 1 } }], status.FAILED_PRECONDITION],
  ['has no id', [{ hello: { agent: '', version: 1, epoch: 1 } }], status.INVALID_ARGUMENT],
  ['has an id that is none', [{ hello: { agent: '../x\n', version: 1, epoch: 1 } }], status.INVALID_ARGUMENT],
  ['says hello twice', [greeting(), greeting()], status.INVALID_ARGUMENT],
  ['sends a frame that is nothing', [greeting(), { frame: frameOf() }], status.INVALID_ARGUMENT],
  ['sends garbage', [greeting(), Buffer.from([0xff, 0xff, 0xff])], status.INTERNAL],
]

function greeting(): DeliverRequest {
  return { hello: { agent: 'a', version: 1, epoch: 1 } }
}

function frameOf(): NonNullable<DeliverRequest['frame']> {
  const empty = Buffer.alloc(0)
  return {
    epoch: 1,
    lane: 2,
    firstSeq: 1n,
    lastSeq: 1n,
    count: 1,
    payload: empty,
    prevHash: empty,
    hash: empty,
    replaces: false,
  }
}

for (const [what, messages, code] of badAgents) {
  test(`an agent that ${what} is refused with the reason, and the collector serves the others`, async (t) => {
    const dataDir = temporaryDir(t)
    const collector = await startCollector({ listen: ['127.0.0.1:0'], dataDir, counters: new Counters(), log: SILENT })
    t.after(() => collector.close())
    const address = collector.addresses[0] ?? ''
    const client = new Client(address, credentials.createInsecure())
    t.after(() => client.close())
    const call = client.makeBidiStreamRequest(
      DELIVER.path,
      (message: DeliverRequest | Buffer) =>
        message instanceof Buffer ? message : DELIVER.requestSerialize(message as DeliverRequest),
      DELIVER.responseDeserialize,
    )
    call.on('data', () => {})
    const failed = once(call, 'error')
    for (const message of messages) call.write(message)
    const [error] = (await failed) as [{ code: status }]
    assert.equal(error.code, code)
    const { exporter } = await exporting(t, [address])
    for (const draft of take(hostActivity(1), 20)) exporter.append(draft)
    assert.equal((await exporter.close({ deadlineMs: 20_000 })).delivered, true)
    await assertStored(dataDir, 20)
  })
}

async function assertStored(dataDir: string, count: number): Promise<void> {
  const source = openLocal(dataDir)
  const seqs: bigint[] = []
  for await (const { records } of source.events({})) seqs.push(...records.map(({ seq }) => seq))
  source.close()
  assert.deepEqual(
    seqs.sort((one, other) => Number(one - other)),
    Array.from({ length: count }, (_, index) => BigInt(index + 1)),
  )
}
