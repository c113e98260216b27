/** programs/packet.bpf.c: which bytes of DNS, TLS and HTTP come, whose they are, and which do not. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import { Direction, Kind, PACKET_MAX_BYTES, PacketFlag, Phase, Rung, Want } from '../../src/sensor/generated/abi.js'
import { NAME_PROGRAMS } from '../../src/sensor/rungs.js'
import { cgroupMounts } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { type PacketFields, type TestCgroup, TestSensor, unforeseen } from '../support/sensor.js'
import { type ActResult, act, compileTalk } from '../support/sensor-acts.js'

const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (cgroupMounts().kind === 'v1' && 'needs a unified cgroup hierarchy: the packet hooks attach there')
const noIpv6 = requires({ files: ['/proc/sys/net/ipv6'] })

/** header 18 and eleven of its own, and the bytes. */
const PACKET_FIELDS_COUNT = 30
const TCP = 6
const UDP = 17

const LOOPBACK = Buffer.from('00000000000000000000ffff7f000001', 'hex').toString('latin1')
const LOOPBACK6 = Buffer.from('00000000000000000000000000000001', 'hex').toString('latin1')
const hex = (bytes: string | Buffer) => Buffer.from(bytes as string).toString('hex')
const latin1 = (bytes: Buffer) => bytes.toString('latin1')

const QUERY = Buffer.from('beef01000001000000000000046e616d65076578616d706c650000010001', 'hex')
const ANSWER = Buffer.from(
  'beef81800001000100000000046e616d65076578616d706c650000010001c00c00010001000000050004c0000201',
  'hex',
)

/** A record of a handshake message of that many bytes. */
function hello(messageBytes: number): Buffer {
  const head = Buffer.from([22, 3, 1, 0, 0, 1, 0, 0, 0])
  head.writeUInt16BE(messageBytes + 4, 3)
  head.writeUIntBE(messageBytes, 6, 3)
  return Buffer.concat([head, randomBytes(messageBytes)])
}

const portOf = ({ stdout }: ActResult) => Number(/^port (\d+)$/m.exec(stdout)?.[1])

describe('packets', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    program = await compileTalk(dir)
    sensor = new TestSensor()
    sensor.sensor.prepareHooks(new Set(NAME_PROGRAMS)).commit()
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  const watched = () => sensor.makeContainer({ want: Want.PROCESS | Want.CONNECT | Want.NAMES })
  const packetsOf = (cgroup: TestCgroup): Promise<PacketFields[]> => sensor.eventsOf(cgroup, 'packet')
  /** In a network namespace of its own, where every port is free. */
  const talk = (cgroup: TestCgroup, ...steps: (string | number)[]) =>
    act(program, 'join', cgroup.dir, 'netns', ...steps)
  const cutCount = () => {
    sensor.sensor.publishCounters()
    return sensor.counters.get('sensor_kernel_drops_total', { cause: 'truncated', kind: 'packet' })
  }

  test('every field of a DNS query that a process sends, and of the answer that it gets', async () => {
    const cgroup = watched()
    const since = loadAddon().bootClockNs()
    const result = await talk(
      cgroup,
      ...(['udp-listen', 0, '127.0.0.1', 53, 'udp', 1, 4, 'say', 1, '127.0.0.1', 53, hex(QUERY)] as const),
      ...(['reply', 0, hex(ANSWER), 'hear', 1] as const),
    )
    const [query, answer, ...others] = await packetsOf(cgroup)
    assert.ok(query && answer)
    assert.deepEqual(others, [])
    assert.equal(Object.keys(query).length, PACKET_FIELDS_COUNT)
    const same = {
      ...{ kind: Kind.PACKET, phase: Phase.RUN, action: 0, rung: Rung.CGROUP, programVersion: 0, profile: 0 },
      ...{ pid: result.pid, tid: result.pid, uid: 0, gid: 0, cgroupId: cgroup.id, decided: 0n, violated: 0n },
      ...{ cookie: query.cookie, offsetBytes: 0, proto: UDP, family: 4, flags: PacketFlag.LAST },
      ...{ remoteAddress: LOOPBACK, remotePort: 53, localPort: query.localPort },
    }
    assert.ok(query.cookie > 0n && query.localPort > 0)
    const sized = (bytes: Buffer) => ({
      ...{ sizeBytes: 136 + bytes.length, payloadBytes: bytes.length, dataBytes: bytes.length, data: latin1(bytes) },
    })
    assert.deepEqual(query, {
      ...{ ...unforeseen(query, since), ...same, ...sized(QUERY), direction: Direction.OUT },
    })
    assert.deepEqual(answer, {
      ...{ ...unforeseen(answer, since), ...same, ...sized(ANSWER), direction: Direction.IN },
    })
  })

  test('a connected socket and IPv6; the server side of a resolver is not told', { skip: noIpv6 }, async () => {
    const cgroup = watched()
    await talk(
      cgroup,
      ...(['udp-listen', 0, '::1', 53, 'udp', 1, 6, 'udp-connect', 1, '::1', 53, 'write', 1, hex(QUERY)] as const),
      ...(['reply', 0, hex(ANSWER), 'hear', 1] as const),
    )
    const packets = await packetsOf(cgroup)
    assert.deepEqual(
      packets.map(({ direction, remoteAddress, remotePort, family, data }) => ({
        ...{ direction, remoteAddress, remotePort, family, data },
      })),
      [
        { direction: 0, remoteAddress: LOOPBACK6, remotePort: 53, family: 6, data: latin1(QUERY) },
        { direction: 1, remoteAddress: LOOPBACK6, remotePort: 53, family: 6, data: latin1(ANSWER) },
      ],
    )
  })

  test('a message longer than is kept is cut, and counted', async () => {
    const cgroup = watched()
    const before = cutCount()
    const long = Buffer.concat([QUERY, Buffer.alloc(PACKET_MAX_BYTES - QUERY.length + 1, 7)])
    await talk(
      cgroup,
      ...(['udp-listen', 0, '127.0.0.1', 53, 'udp', 1, 4, 'udp-connect', 1, '127.0.0.1', 53] as const),
      ...(['write', 1, hex(long), 'write', 1, hex(long.subarray(1)), 'hear', 0] as const),
    )
    const packets = await packetsOf(cgroup)
    assert.deepEqual(
      packets.map(({ payloadBytes, dataBytes, data }) => [payloadBytes, dataBytes, data]),
      [long, long.subarray(1)].map((bytes) => [bytes.length, 4096, latin1(bytes.subarray(0, 4096))]),
    )
    assert.equal(cutCount() - before, 1)
  })

  test('a socket that asked a resolver and then talks to another port is no longer looked at', async () => {
    const cgroup = watched()
    await talk(
      cgroup,
      ...(['udp-listen', 0, '127.0.0.1', 54, 'udp', 1, 4, 'say', 1, '127.0.0.1', 53, hex(QUERY)] as const),
      ...(['say', 1, '127.0.0.1', 54, '00112233', 'reply', 0, '44556677', 'hear-late', 1] as const),
    )
    assert.deepEqual(
      (await packetsOf(cgroup)).map(({ data }) => data),
      [latin1(QUERY)],
    )
  })

  test('a send to elsewhere through a socket that is connected to a resolver changes nothing for its own queries', async () => {
    const cgroup = watched()
    const asks = ['write', 1, hex(QUERY)] as const
    await talk(
      cgroup,
      ...(['udp-listen', 0, '127.0.0.1', 54, 'udp-listen', 2, '0.0.0.0', 53, 'udp', 1, 4] as const),
      ...(['udp-connect', 1, '127.0.0.1', 53, ...asks] as const),
      ...(['say', 1, '127.0.0.1', 54, '00112233', ...asks, 'say', 1, '127.0.0.2', 53, hex(ANSWER), ...asks] as const),
    )
    assert.deepEqual(
      (await packetsOf(cgroup)).map(({ remoteAddress, remotePort, data }) => [remoteAddress, remotePort, data]),
      [
        [LOOPBACK, 53, latin1(QUERY)],
        [LOOPBACK, 53, latin1(QUERY)],
        [`${LOOPBACK.slice(0, -1)}\x02`, 53, latin1(ANSWER)],
        [LOOPBACK, 53, latin1(QUERY)],
      ],
    )
  })

  test('queries that are handed to the kernel as one are told one by one', async () => {
    const cgroup = watched()
    const queries = [1, 2, 3].map((id) => Buffer.concat([Buffer.from([0, id]), QUERY.subarray(2)]))
    queries.push(QUERY.subarray(0, 17))
    await talk(
      cgroup,
      ...(['udp-listen', 0, '127.0.0.1', 53, 'udp', 1, 4, 'udp-connect', 1, '127.0.0.1', 53] as const),
      ...(['udp-parts', 1, QUERY.length, 'write', 1, hex(Buffer.concat(queries)), 'hear', 0] as const),
    )
    assert.deepEqual(
      (await packetsOf(cgroup)).map(({ payloadBytes, data }) => [payloadBytes, data]),
      queries.map((query) => [query.length, latin1(query)]),
    )
  })

  const out = ({ direction, data }: PacketFields) => (direction === Direction.OUT ? Buffer.from(data, 'latin1') : null)
  const outOf = async (cgroup: TestCgroup) => (await packetsOf(cgroup)).map(out)
  const CONNECTED = ['dial', 1, '127.0.0.1', 0, 'accept', 2, 0] as const

  test('every field of a client hello over three segments; what follows it does not come', async () => {
    const cgroup = watched()
    const since = loadAddon().bootClockNs()
    const bytes = hello(3000)
    const parts = [bytes.subarray(0, 9), bytes.subarray(9, 2100), bytes.subarray(2100)]
    const result = await talk(
      cgroup,
      ...(['listen', 0, '127.0.0.1', 0, 5, ...CONNECTED] as const),
      ...parts.flatMap((part) => ['write', 1, hex(part), 'receive', 2, part.length]),
      ...(['write', 2, hex(hello(100)), 'receive', 1, 109, 'write', 1, hex('more'), 'receive', 2, 4] as const),
    )
    const packets = await packetsOf(cgroup)
    const [first] = packets
    assert.ok(first)
    let offsetBytes = 0
    for (const [index, packet] of packets.entries()) {
      const part = parts[index] ?? Buffer.alloc(0)
      assert.deepEqual(packet, {
        ...unforeseen(packet, since),
        ...{ kind: Kind.PACKET, action: 0, rung: Rung.CGROUP, programVersion: 0, profile: 0 },
        // It joined and did not exec since: still the runtime's own acts.
        ...{ phase: Phase.SETUP, decided: 0n, violated: 0n },
        ...{ pid: result.pid, tid: result.pid, uid: 0, gid: 0, cgroupId: cgroup.id, cookie: first.cookie },
        ...{ sizeBytes: 136 + part.length, payloadBytes: part.length, dataBytes: part.length, offsetBytes },
        ...{ remoteAddress: LOOPBACK, remotePort: portOf(result), localPort: first.localPort, proto: TCP, family: 4 },
        ...{ direction: Direction.OUT, flags: index === 2 ? PacketFlag.LAST : 0, data: latin1(part) },
      })
      offsetBytes += part.length
    }
    assert.equal(packets.length, 3)
  })

  test('a first segment that does not hold its length: all comes up to what is kept', async () => {
    const bytes = hello(50)
    const cgroup = watched()
    await talk(
      cgroup,
      ...(['listen', 0, '127.0.0.1', 0, 5, ...CONNECTED] as const),
      ...[bytes.subarray(0, 1), bytes.subarray(1)].flatMap((part) => [
        'write',
        1,
        hex(part),
        'receive',
        2,
        part.length,
      ]),
      ...(['write', 1, hex('more'), 'receive', 2, 4] as const),
    )
    assert.deepEqual(
      Buffer.concat((await outOf(cgroup)).flatMap((part) => part ?? [])),
      Buffer.concat([bytes, Buffer.from('more')]),
    )
  })

  test('a hello longer than is kept comes up to there; one that lies about its record is taken that far', async () => {
    for (const bytes of [hello(6000), Buffer.concat([Buffer.from([22, 3, 1, 0, 1]), hello(5000).subarray(5)])]) {
      const cgroup = watched()
      await talk(
        cgroup,
        ...([
          'listen',
          0,
          '127.0.0.1',
          0,
          5,
          ...CONNECTED,
          'write',
          1,
          hex(bytes),
          'receive',
          2,
          bytes.length,
        ] as const),
      )
      const packets = await packetsOf(cgroup)
      assert.deepEqual(Buffer.concat(packets.map(({ data }) => Buffer.from(data, 'latin1'))), bytes.subarray(0, 4096))
      assert.deepEqual(
        packets.map(({ flags }) => flags),
        packets.map((_, index) => (index === packets.length - 1 ? PacketFlag.LAST : 0)),
      )
    }
  })

  test('a request ends with its head; one with a body goes on to what is kept', async () => {
    const get = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const cgroup = watched()
    await talk(
      cgroup,
      ...(['listen', 0, '127.0.0.1', 0, 5, ...CONNECTED, 'write', 1, hex(get), 'receive', 2, get.length] as const),
      ...(['write', 1, hex(get), 'receive', 2, get.length] as const),
    )
    assert.deepEqual(await outOf(cgroup), [get])
    const post = Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\n\r\n${'x'.repeat(3000)}`)
    const other = watched()
    await talk(
      other,
      ...(['listen', 0, '127.0.0.1', 0, 5, ...CONNECTED] as const),
      ...[post, post].flatMap((bytes) => ['write', 1, hex(bytes), 'receive', 2, bytes.length]),
    )
    assert.deepEqual(await outOf(other), [post, post.subarray(0, 4096 - post.length)])
  })

  test('what begins with neither is not looked at, nor is what a server sends, nor an accepted connection', async () => {
    const cgroup = watched()
    await talk(
      cgroup,
      ...(['listen', 0, '127.0.0.1', 0, 5, ...CONNECTED, 'write', 2, hex(hello(50)), 'receive', 1, 59] as const),
      ...([
        'write',
        1,
        hex('\x05\x01\x00'),
        'receive',
        2,
        3,
        'write',
        1,
        hex('GET / HTTP/1.1\r\n'),
        'receive',
        2,
        16,
      ] as const),
    )
    assert.deepEqual(await packetsOf(cgroup), [])
  })

  test('DNS over TCP comes both ways, with where the bytes stand', async () => {
    const framed = (bytes: Buffer) => Buffer.concat([Buffer.from([0, bytes.length]), bytes])
    const [query, answer] = [framed(QUERY), framed(ANSWER)]
    const cgroup = watched()
    await talk(
      cgroup,
      ...(['listen', 0, '127.0.0.1', 53, 5, ...CONNECTED] as const),
      ...(['write', 1, hex(query.subarray(0, 7)), 'receive', 2, 7] as const),
      ...(['write', 1, hex(query.subarray(7)), 'receive', 2, query.length - 7] as const),
      ...([
        'write',
        2,
        hex(answer),
        'receive',
        1,
        answer.length,
        'write',
        1,
        hex(query),
        'receive',
        2,
        query.length,
      ] as const),
    )
    assert.deepEqual(
      (await packetsOf(cgroup)).map(({ direction, offsetBytes, data, flags }) => [direction, offsetBytes, data, flags]),
      [
        [Direction.OUT, 0, latin1(query.subarray(0, 7)), 0],
        [Direction.OUT, 7, latin1(query.subarray(7)), 0],
        [Direction.IN, 0, latin1(answer), 0],
        [Direction.OUT, query.length, latin1(query), 0],
      ],
    )
  })

  test('DNS over TCP beyond what is kept is counted', async () => {
    const cgroup = watched()
    const before = cutCount()
    await talk(
      cgroup,
      ...(['listen', 0, '127.0.0.1', 53, 5, ...CONNECTED, 'send', 1, 4000, 'receive', 2, 4000] as const),
      ...(['send', 1, 100, 'receive', 2, 100, 'send', 1, 100, 'receive', 2, 100] as const),
    )
    assert.deepEqual(
      (await packetsOf(cgroup)).map(({ offsetBytes, payloadBytes, dataBytes, flags }) => ({
        ...{ offsetBytes, payloadBytes, dataBytes, flags },
      })),
      [
        { offsetBytes: 0, payloadBytes: 4000, dataBytes: 4000, flags: 0 },
        { offsetBytes: 4000, payloadBytes: 100, dataBytes: 96, flags: PacketFlag.LAST },
      ],
    )
    assert.equal(cutCount() - before, 1)
  })

  test('nothing comes from a container whose names nobody wants, nor from the host', async () => {
    const cgroup = sensor.makeContainer()
    const steps = [
      ...(['udp-listen', 0, '127.0.0.1', 53, 'udp', 1, 4, 'say', 1, '127.0.0.1', 53, hex(QUERY), 'hear', 0] as const),
      ...(['listen', 3, '127.0.0.1', 0, 5, 'dial', 1, '127.0.0.1', 0, 'write', 1, hex(hello(50))] as const),
    ]
    await talk(cgroup, ...steps)
    assert.deepEqual(await packetsOf(cgroup), [])
    const { pid } = await act(program, 'netns', ...steps)
    await sensor.settle()
    assert.deepEqual(
      sensor.all.filter(({ name, event }) => name === 'packet' && event.pid === pid),
      [],
    )
  })
})
