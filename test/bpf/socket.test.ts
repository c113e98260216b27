/** programs/socket.bpf.c: the life of TCP sockets, whoever accepts, closes or outlives them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import { Drop, Kind, Phase, Rung, SocketFlag, SocketRole, Want } from '../../src/sensor/generated/abi.js'
import { cgroupMounts } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires, run, waitFor } from '../support/process.js'
import { type SocketFields, type TestCgroup, TestSensor, unforeseen } from '../support/sensor.js'
import { Act, act, compileTalk } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })
const noIpv6 = requires({ files: ['/proc/sys/net/ipv6'] })
const noConnectHooks =
  cgroupMounts().kind === 'v1' && 'needs a unified cgroup hierarchy: the connect hooks attach there'

/** header 18 and seventeen of its own. */
const SOCKET_FIELDS_COUNT = 35
const ECONNREFUSED = 111
const EINPROGRESS = 115
const ECONNRESET = 104
const CLOSED_PORT = 9

const bytesOf = (...bytes: number[]) => Buffer.from(bytes).toString('latin1')
const mapped = (...ip: number[]) => bytesOf(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...ip)
const LOOPBACK = mapped(127, 0, 0, 1)
const LOOPBACK6 = bytesOf(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
const ANY = mapped(0, 0, 0, 0)

const portOf = ({ stdout }: { stdout: string }) => Number(/^port (\d+)$/m.exec(stdout)?.[1])

describe('sockets', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    program = await compileTalk(dir)
    sensor = new TestSensor()
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  const socketsOf = (cgroup: TestCgroup) => sensor.eventsOf(cgroup, 'socket')
  /** With the ends of all connections: the last segments may be on their way when the process has ended. */
  const closedSocketsOf = (cgroup: TestCgroup) =>
    waitFor('every connection to be closed', async () => {
      const events = await socketsOf(cgroup)
      const cookiesOf = (...kinds: number[]) =>
        events.filter(({ kind }) => kinds.includes(kind)).map(({ cookie }) => cookie)
      const closed = new Set(cookiesOf(Kind.CLOSE))
      return cookiesOf(Kind.ACCEPT, Kind.CONNECTED).every((cookie) => closed.has(cookie)) && events
    })
  /** The only one of that kind and role. */
  const only = (events: readonly SocketFields[], kind: number, role?: number): SocketFields => {
    const [event, ...others] = events.filter((one) => one.kind === kind && (role === undefined || one.role === role))
    assert.ok(event, `no event of kind ${kind}`)
    assert.equal(others.length, 0, `${others.length + 1} events of kind ${kind}`)
    return event
  }

  test('every field of a listen, an accept, a connect that succeeds and the closes, with the bytes both ways', async () => {
    const cgroup = sensor.makeContainer()
    const since = loadAddon().bootClockNs()
    const result = await act(
      ...([program, 'join', cgroup.dir, 'listen', 0, '127.0.0.1', 0, 7, 'dial', 1, '127.0.0.1', 0] as const),
      ...(['accept', 2, 0, 'send', 1, 70_000, 'receive', 2, 70_000, 'send', 2, 123, 'receive', 1, 123] as const),
      ...(['close', 1, 'close', 2, 'close', 0] as const),
    )
    const events = await closedSocketsOf(cgroup)
    const port = portOf(result)
    const listen = only(events, Kind.LISTEN)
    assert.equal(Object.keys(listen).length, SOCKET_FIELDS_COUNT)
    // It joined and did not exec since: still the runtime's own acts.
    const common = {
      phase: Phase.SETUP,
      action: 0,
      rung: Rung.TRACEPOINT,
      programVersion: 0,
      cgroupId: cgroup.id,
      profile: 0,
    }
    const who = { pid: result.pid, tid: result.pid, uid: 0, gid: 0, decided: 0n, violated: 0n }
    const none = { sentBytes: 0n, receivedBytes: 0n, repeatsSentBytes: 0n, repeatsReceivedBytes: 0n, repeatsCount: 0 }
    const { netns, cookie } = listen
    assert.ok(netns > 0 && cookie > 0n)
    const same = { sizeBytes: 192, ...common, ...who, ...none, netns, error: 0, family: 4, backlog: 0, flags: 0 }
    assert.deepEqual(listen, {
      ...{ ...unforeseen(listen, since), ...same, kind: Kind.LISTEN, cookie, durationNs: 0n, backlog: 7 },
      ...{ localAddress: LOOPBACK, remoteAddress: ANY, localPort: port, remotePort: 0, role: SocketRole.LISTENER },
    })

    const connected = only(events, Kind.CONNECTED)
    const clientPort = connected.localPort
    assert.ok(clientPort > 0 && clientPort !== port)
    const client = { localAddress: LOOPBACK, remoteAddress: LOOPBACK, localPort: clientPort, remotePort: port }
    const server = { localAddress: LOOPBACK, remoteAddress: LOOPBACK, localPort: port, remotePort: clientPort }
    const { durationNs } = connected
    assert.ok(durationNs > 0n && durationNs < 60_000_000_000n)
    assert.deepEqual(connected, {
      ...{ ...unforeseen(connected, since), ...same, ...client, kind: Kind.CONNECTED, role: SocketRole.OUT },
      ...{ flags: SocketFlag.ESTABLISHED, cookie: connected.cookie, durationNs },
    })

    const accepted = only(events, Kind.ACCEPT)
    assert.deepEqual(accepted, {
      ...{ ...unforeseen(accepted, since), ...same, ...server, kind: Kind.ACCEPT, role: SocketRole.IN },
      ...{ flags: SocketFlag.ESTABLISHED, cookie: accepted.cookie, durationNs: 0n },
    })
    assert.equal(new Set([cookie, connected.cookie, accepted.cookie]).size, 3)

    const clientDone = only(events, Kind.CLOSE, SocketRole.OUT)
    assert.deepEqual(clientDone, {
      ...{ ...unforeseen(clientDone, since), ...same, ...client, kind: Kind.CLOSE, role: SocketRole.OUT },
      ...{ cookie: connected.cookie, durationNs: clientDone.durationNs, sentBytes: 70_000n, receivedBytes: 123n },
      flags: SocketFlag.ESTABLISHED | SocketFlag.CLOSED_HERE,
    })
    const serverDone = only(events, Kind.CLOSE, SocketRole.IN)
    assert.deepEqual(serverDone, {
      ...{ ...unforeseen(serverDone, since), ...same, ...server, kind: Kind.CLOSE, role: SocketRole.IN },
      ...{ cookie: accepted.cookie, durationNs: serverDone.durationNs, sentBytes: 123n, receivedBytes: 70_000n },
      flags: SocketFlag.ESTABLISHED | SocketFlag.CLOSED_THERE,
    })
    const listenDone = only(events, Kind.CLOSE, SocketRole.LISTENER)
    assert.deepEqual(
      [listenDone.cookie, listenDone.localPort, listenDone.sentBytes, listenDone.flags],
      [cookie, port, 0n, 0],
    )
    assert.equal(events.length, 6)
  })

  const families = [
    { title: 'IPv6', at: '::1', to: '::1', address: LOOPBACK6, server: 6, client: 6 },
    { title: 'IPv4 to an IPv6 socket: mapped', at: '::', to: '127.0.0.1', address: LOOPBACK, server: 6, client: 4 },
    {
      ...{ title: 'an IPv4-mapped IPv6 address', at: '127.0.0.1', to: '::ffff:127.0.0.1', address: LOOPBACK },
      ...{ server: 4, client: 6 },
    },
  ]
  for (const { title, at, to, address, server, client } of families)
    test(`${title}`, { skip: noIpv6 }, async () => {
      const cgroup = sensor.makeContainer()
      const result = await act(
        ...([program, 'join', cgroup.dir, 'listen', 0, at, 0, 5, 'dial', 1, to, 0, 'accept', 2, 0] as const),
        ...(['send', 1, 10, 'receive', 2, 10, 'close', 2, 'close', 1] as const),
      )
      const events = await closedSocketsOf(cgroup)
      const port = portOf(result)
      for (const event of [only(events, Kind.ACCEPT), only(events, Kind.CLOSE, SocketRole.IN)])
        assert.deepEqual(
          [event.family, event.localAddress, event.remoteAddress, event.localPort],
          [server, address, address, port],
        )
      const out = only(events, Kind.CLOSE, SocketRole.OUT)
      assert.deepEqual(
        [out.family, out.localAddress, out.remoteAddress, out.remotePort, out.sentBytes],
        [client, address, address, port, 10n],
      )
    })

  test('a connection is accepted before accept(2) is called, and closed although it never was', async () => {
    const cgroup = sensor.makeContainer()
    const running = new Act(program, [
      'join',
      cgroup.dir,
      'listen',
      '0',
      '127.0.0.1',
      '0',
      '5',
      'dial',
      '1',
      '127.0.0.1',
      '0',
      'pause',
      'close',
      '0',
    ])
    await running.paused()
    assert.equal(only(await socketsOf(cgroup), Kind.ACCEPT).pid, running.pid)
    running.resume()
    await running.ended()
    const events = await socketsOf(cgroup)
    assert.equal(only(events, Kind.ACCEPT).cookie, only(events, Kind.CLOSE, SocketRole.IN).cookie)
  })

  test('a client of the host and a server in a container: only the server is seen, with its own bytes', async () => {
    const cgroup = sensor.makeContainer()
    const server = new Act(program, [
      'join',
      cgroup.dir,
      'listen',
      '0',
      '127.0.0.1',
      '0',
      '5',
      'pause',
      'accept',
      '1',
      '0',
      'receive',
      '1',
      '9',
      'close',
      '1',
    ])
    await server.paused()
    const port = portOf(server)
    await act(program, 'dial', 0, '127.0.0.1', port, 'send', 0, 9, 'close', 0)
    server.resume()
    await server.ended()
    const events = await socketsOf(cgroup)
    assert.deepEqual(
      events.map(({ kind, role }) => [kind, role]),
      [
        [Kind.LISTEN, SocketRole.LISTENER],
        [Kind.ACCEPT, SocketRole.IN],
        [Kind.CLOSE, SocketRole.IN],
        [Kind.CLOSE, SocketRole.LISTENER],
      ],
    )
    assert.equal(only(events, Kind.CLOSE, SocketRole.IN).receivedBytes, 9n)
  })

  test('a worker that closes what its parent listens for is the process of the close', async () => {
    const cgroup = sensor.makeContainer()
    const result = await act(
      ...([program, 'join', cgroup.dir, 'listen', 0, '127.0.0.1', 0, 5, 'dial', 1, '127.0.0.1', 0] as const),
      ...(['child', 'accept', 2, 0, 'send', 2, 5, 'close', 2] as const),
    )
    const child = Number(/^child (\d+)$/m.exec(result.stdout)?.[1])
    const events = await socketsOf(cgroup)
    assert.equal(only(events, Kind.ACCEPT).pid, result.pid)
    const closed = only(events, Kind.CLOSE, SocketRole.IN)
    assert.deepEqual([closed.pid, closed.tid, closed.sentBytes], [child, child, 5n])
    assert.notEqual(closed.startNs, only(events, Kind.ACCEPT).startNs)
  })

  test('a process that ends without closing: the kernel closes, and the process is named', async () => {
    const cgroup = sensor.makeContainer()
    const result = await act(
      ...([program, 'join', cgroup.dir, 'listen', 0, '127.0.0.1', 0, 5, 'dial', 1, '127.0.0.1', 0] as const),
      ...(['accept', 2, 0, 'send', 1, 11, 'receive', 2, 11, 'exit', 3] as const),
    )
    const events = await closedSocketsOf(cgroup)
    const [out, into] = [only(events, Kind.CLOSE, SocketRole.OUT), only(events, Kind.CLOSE, SocketRole.IN)]
    assert.deepEqual([out.pid, out.sentBytes, into.pid, into.receivedBytes], [result.pid, 11n, result.pid, 11n])
  })

  test('a refused connect has its result, and no close', async () => {
    const cgroup = sensor.makeContainer()
    const result = await act(program, 'join', cgroup.dir, 'dial', 0, '127.0.0.1', CLOSED_PORT)
    assert.equal(result.stdout, `connect ${ECONNREFUSED}\n`)
    const events = await socketsOf(cgroup)
    const event = only(events, Kind.CONNECTED)
    assert.deepEqual(
      [event.error, event.flags, event.remotePort, event.role, events.length],
      [ECONNREFUSED, 0, CLOSED_PORT, SocketRole.OUT, 1],
    )
  })

  test('a connect that its caller gives up has no error and was never established', async () => {
    const cgroup = sensor.makeContainer()
    // A listener whose queue is full answers nothing (net.ipv4.tcp_abort_on_overflow is 0): the handshake hangs.
    const result = await act(
      ...([program, 'join', cgroup.dir, 'listen', 0, '127.0.0.1', 0, 0, 'dial', 1, '127.0.0.1', 0] as const),
      ...(['dial-later', 2, '127.0.0.1', 0, 'dial-later', 3, '127.0.0.1', 0, 'close', 3] as const),
    )
    assert.match(result.stdout, new RegExp(`connect ${EINPROGRESS}\n$`))
    const events = (await socketsOf(cgroup)).filter(({ kind }) => kind === Kind.CONNECTED)
    const last = events.find(({ flags }) => (flags & SocketFlag.ESTABLISHED) === 0)
    assert.ok(last)
    assert.deepEqual([last.error, last.role], [0, SocketRole.OUT])
  })

  test('a reset is the error of the other end', async () => {
    const cgroup = sensor.makeContainer()
    await act(
      ...([program, 'join', cgroup.dir, 'listen', 0, '127.0.0.1', 0, 5, 'dial', 1, '127.0.0.1', 0] as const),
      ...(['accept', 2, 0, 'send', 1, 3, 'receive', 2, 3, 'reset', 1] as const),
    )
    const events = await closedSocketsOf(cgroup)
    const out = only(events, Kind.CLOSE, SocketRole.OUT)
    const into = only(events, Kind.CLOSE, SocketRole.IN)
    assert.deepEqual([into.error, into.flags, into.receivedBytes], [ECONNRESET, SocketFlag.ESTABLISHED, 3n])
    assert.deepEqual([out.error, out.flags & SocketFlag.CLOSED_THERE], [0, 0])
  })

  test('a half-closed connection: its bytes after the FIN count, the FIN does not', async () => {
    const cgroup = sensor.makeContainer()
    await act(
      ...([program, 'join', cgroup.dir, 'listen', 0, '127.0.0.1', 0, 5, 'dial', 1, '127.0.0.1', 0] as const),
      ...(['accept', 2, 0, 'send', 1, 4, 'shut', 1, 'receive', 2, 4, 'send', 2, 1000, 'receive', 1, 1000] as const),
      ...(['close', 2, 'close', 1] as const),
    )
    const events = await closedSocketsOf(cgroup)
    const out = only(events, Kind.CLOSE, SocketRole.OUT)
    const into = only(events, Kind.CLOSE, SocketRole.IN)
    assert.deepEqual([out.sentBytes, out.receivedBytes, into.sentBytes, into.receivedBytes], [4n, 1000n, 1000n, 4n])
    assert.ok(out.flags & SocketFlag.CLOSED_HERE && into.flags & SocketFlag.CLOSED_THERE)
  })

  test('repeats between the same ends are counted, with every byte', async () => {
    const cgroup = sensor.makeContainer()
    const once = ['dial', 1, '127.0.0.1', 0, 'accept', 2, 0, 'send', 1, 6, 'receive', 2, 6, 'close', 1, 'close', 2]
    const many = Array.from({ length: 20 }, () => once).flat()
    const before = sensor.repeatsOf('accept')
    await act(program, 'join', cgroup.dir, 'listen', 0, '127.0.0.1', 0, 5, ...many)
    const events = await socketsOf(cgroup)
    only(events, Kind.ACCEPT)
    only(events, Kind.CLOSE, SocketRole.IN)
    assert.equal(events.filter(({ kind }) => kind === Kind.CONNECTED).length, 20)
    assert.equal(sensor.repeatsOf('accept') - before, 19)
  })

  test('a listen without a bind has no port yet; the accepted connection shows it', async () => {
    const cgroup = sensor.makeContainer()
    await act(program, 'join', cgroup.dir, 'listen-any', 0)
    assert.equal(only(await socketsOf(cgroup), Kind.LISTEN).localPort, 0)
  })

  test('another network namespace has another number', async () => {
    const cgroup = sensor.makeContainer()
    await act(program, 'join', cgroup.dir, 'listen', 0, '127.0.0.1', 0, 5)
    await act(program, 'join', cgroup.dir, 'netns', 'listen', 0, '127.0.0.1', 0, 5)
    const listens = (await socketsOf(cgroup)).filter(({ kind }) => kind === Kind.LISTEN)
    assert.equal(new Set(listens.map(({ netns }) => netns)).size, 2)
  })

  test('sockets that were there before are adopted, with their connections', async () => {
    const cgroup = sensor.makeCgroup()
    sensor.sensor.removeCgroup(cgroup.id)
    const running = new Act(program, [
      'join',
      cgroup.dir,
      'listen',
      '0',
      '127.0.0.1',
      '0',
      '5',
      'dial',
      '1',
      '127.0.0.1',
      '0',
      'accept',
      '2',
      '0',
      'pause',
      'send',
      '1',
      '8',
      'receive',
      '2',
      '8',
      'close',
      '1',
      'close',
      '2',
      'dial',
      '3',
      '127.0.0.1',
      '0',
    ])
    await running.paused()
    assert.deepEqual(await socketsOf(cgroup), [])
    sensor.watch(cgroup)
    sensor.sensor.readTasks()
    sensor.sensor.adoptSockets()
    running.resume()
    await running.ended()
    const events = await socketsOf(cgroup)
    assert.equal(only(events, Kind.ACCEPT).pid, running.pid)
    const old = events.filter(({ kind, role }) => kind === Kind.CLOSE && role === SocketRole.OTHER)
    assert.deepEqual(old.map(({ sentBytes, receivedBytes }) => [sentBytes, receivedBytes]).sort(), [
      [0n, 8n],
      [8n, 0n],
    ])
  })

  test('the cookie of a connect is that of its result', { skip: noConnectHooks }, async () => {
    const cgroup = sensor.makeContainer()
    await act(program, 'join', cgroup.dir, 'dial', 0, '127.0.0.1', CLOSED_PORT)
    const decided = await sensor.onlyEventOf(cgroup, 'connect')
    assert.equal(only(await socketsOf(cgroup), Kind.CONNECTED).cookie, decided.cookie)
  })

  test('a profile that wants no connects gets none of this', async () => {
    const cgroup = sensor.makeContainer({ want: Want.PROCESS })
    await act(program, 'join', cgroup.dir, 'listen', 0, '127.0.0.1', 0, 5, 'dial', 1, '127.0.0.1', 0)
    assert.deepEqual(await socketsOf(cgroup), [])
  })

  test('a socket that has no room left for its owner is not told, and counted with whose it is', async (context) => {
    // of a network namespace since v6.8: before, the limit would be everybody's
    const isOwn = (await run('unshare', ['--net', 'test', '-w', '/proc/sys/net/core/optmem_max'])).code === 0
    if (!isOwn) return context.skip('this kernel has one net.core.optmem_max for all')
    const PROFILE = 7
    const cgroup = sensor.makeContainer({ profile: PROFILE, want: Want.CONNECT | Want.NAMES })
    const [LEAST_BYTES, PLENTY_BYTES] = [1, 65_536]
    await act(
      ...([program, 'join', cgroup.dir, 'netns', 'optmem', LEAST_BYTES, 'listen', 0, '127.0.0.1', 0, 5] as const),
      ...(['dial-later', 1, '127.0.0.1', 0, 'udp', 2, 4, 'say', 2, '127.0.0.1', 53, '00'] as const),
      ...(['optmem', PLENTY_BYTES, 'listen', 3, '127.0.0.2', 0, 5] as const),
    )
    const told = (await socketsOf(cgroup)).map(({ kind, localAddress }) => [kind, localAddress])
    assert.deepEqual(
      told.filter(([kind]) => kind === Kind.LISTEN),
      [[Kind.LISTEN, mapped(127, 0, 0, 2)]],
    )
    const lost = (kind: number) => ({ profile: PROFILE, cause: Drop.SOCKETS_FULL, kind, count: 1 })
    const kinds = [Kind.CONNECTED, Kind.LISTEN, ...(noConnectHooks === false ? [Kind.PACKET] : [])]
    assert.deepEqual(sensor.lossesOf(cgroup), kinds.sort((a, b) => a - b).map(lost))
  })
})
