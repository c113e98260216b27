/** programs/call.bpf.c, sockets: every call of each act, with every field, for the families that DESIGN §5 names. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { CallFlag, FdKind } from '../../src/sensor/generated/abi.js'
import { sys } from '../support/call-acts.js'
import { CallStage, type Given, POINTER, type StageDone, skipCalls } from '../support/call-stage.js'
import { freePort } from '../support/free-port.js'
import type { CallFields } from '../support/sensor.js'

const [UNIX, INET, INET6, NETLINK, PACKET] = [1, 2, 10, 16, 17]
const [STREAM, DGRAM, RAW] = [1, 2, 3]
const [ICMP, TCP, UDP] = [1, 6, 17]
const CLOEXEC = 0x80000
const READ_FROM_USER = CallFlag.HAS_RESULT | CallFlag.USER_MEMORY
const ADDRESS_BYTES = 16
const ipv4 = (text: string) => `${'\0'.repeat(10)}\xff\xff${String.fromCharCode(...text.split('.').map(Number))}`
const LOOPBACK = ipv4('127.0.0.1')
const ANY4 = ipv4('0.0.0.0')
const ANY6 = '\0'.repeat(16)
const LOOPBACK6 = `${'\0'.repeat(15)}\x01`

describe('acts on sockets', { skip: skipCalls }, () => {
  let stage: CallStage
  before(async () => {
    stage = await CallStage.open()
  })
  after(() => stage.close())

  /** What every descriptor of a socket tells; its inode is a number of the kernel's own. */
  const socket =
    (fd: number, family: number, socketType: number, proto: number, rest: Given = {}) =>
    (event: CallFields): Given => {
      assert.ok(event.inode !== 0n && event.dev !== 0)
      const { inode, dev } = event
      return { fd, family, socketType, proto, inode, dev, fdKind: FdKind.SOCKET, mode: 0o140777, ...rest }
    }
  const result = (done: StageDone, index: number) => done.results[index] ?? -1n

  test('every field of socket: each family, raw and packet sockets, and one that cannot be made', async () => {
    const done = await stage.doing(
      'socket',
      ...sys('socket', INET, STREAM | CLOEXEC, 0),
      ...sys('socket', INET6, DGRAM, 0),
      ...sys('socket', UNIX, STREAM, 0),
      ...sys('socket', NETLINK, RAW, 0),
      ...sys('socket', INET, RAW, ICMP),
      ...sys('socket', PACKET, RAW, 0x300),
      ...sys('socket', 99, STREAM, 0),
    )
    const made = (fd: number, args: number[], proto: number, rest: Given = {}) =>
      socket(fd, args[0] ?? 0, (args[1] ?? 0) & 15, proto, { call: 'socket', args, result: BigInt(fd), ...rest })
    stage.assertAll(
      done,
      made(3, [INET, STREAM | CLOEXEC], TCP, { local: ANY4 }),
      made(4, [INET6, DGRAM], UDP, { local: ANY6 }),
      made(5, [UNIX, STREAM], 0),
      made(6, [NETLINK, RAW], 0),
      // a raw socket has its protocol as port
      made(7, [INET, RAW, ICMP], ICMP, { local: ANY4, localPort: ICMP }),
      made(8, [PACKET, RAW, 0x300], done.events[5]?.proto ?? 0),
      { call: 'socket', args: [99, STREAM], result: -97n },
    )
  })

  test('every field of bind, listen and accept: TCP over IPv4', async () => {
    const [port, near] = [await freePort(), await freePort()]
    const done = await stage.doing(
      ['bind', 'listen', 'accept'],
      ...sys('socket', INET, STREAM, 0),
      ...sys('bind', '$0', `in:127.0.0.1:${port}`, ADDRESS_BYTES),
      ...sys('listen', '$0', 7),
      ...sys('socket', INET, STREAM, 0),
      ...sys('bind', '$3', `in:127.0.0.1:${near}`, ADDRESS_BYTES),
      ...sys('connect', '$3', `in:127.0.0.1:${port}`, ADDRESS_BYTES),
      ...sys('accept', '$0', 0, 0),
      ...sys('bind', '$3', `in:127.0.0.1:${port}`, ADDRESS_BYTES),
      ...sys('accept4', '$3', 0, 0, CLOEXEC),
    )
    const bound = { local: LOOPBACK, localPort: port }
    const joined = { local: LOOPBACK, localPort: near, remote: LOOPBACK, remotePort: port }
    const args = [3, POINTER, ADDRESS_BYTES] as const
    stage.assertAll(
      done,
      socket(3, INET, STREAM, TCP, { call: 'bind', args, ...bound }),
      socket(3, INET, STREAM, TCP, { call: 'listen', args: [3, 7], ...bound }),
      socket(4, INET, STREAM, TCP, {
        call: 'bind',
        args: [4, POINTER, ADDRESS_BYTES],
        local: LOOPBACK,
        localPort: near,
      }),
      socket(5, INET, STREAM, TCP, {
        call: 'accept',
        args: [3],
        result: result(done, 6),
        ...bound,
        remote: LOOPBACK,
        remotePort: near,
      }),
      // refused: the address that it asked for is read from the program's memory
      (event) => ({
        ...socket(4, INET, STREAM, TCP, joined)(event),
        call: 'bind',
        args: [4, POINTER, ADDRESS_BYTES],
        result: -22n,
      }),
      socket(4, INET, STREAM, TCP, { call: 'accept4', args: [4, 0, 0, CLOEXEC], result: -22n, ...joined }),
    )
  })

  test('every field of bind: refused, IPv6, packet', async () => {
    const port = await freePort()
    const done = await stage.doing(
      'bind',
      ...sys('socket', INET, STREAM, 0),
      ...sys('bind', '$0', `in:192.0.2.1:${port}`, ADDRESS_BYTES),
      ...sys('socket', INET6, DGRAM, 0),
      ...sys('bind', '$2', `in:::1:${port}`, 28),
      ...sys('socket', PACKET, DGRAM, 0),
      ...sys('bind', '$4', 'll:0x806', 20),
      ...sys('bind', 900, `in:127.0.0.1:${port}`, ADDRESS_BYTES),
    )
    stage.assertAll(
      done,
      socket(3, INET, STREAM, TCP, {
        call: 'bind',
        args: [3, POINTER, ADDRESS_BYTES],
        result: -99n,
        local: ipv4('192.0.2.1'),
        localPort: port,
        flags: READ_FROM_USER,
      }),
      socket(4, INET6, DGRAM, UDP, { call: 'bind', args: [4, POINTER, 28], local: LOOPBACK6, localPort: port }),
      socket(5, PACKET, DGRAM, done.events[2]?.proto ?? 0, { call: 'bind', args: [5, POINTER, 20] }),
      {
        call: 'bind',
        args: [900, POINTER, ADDRESS_BYTES],
        result: -9n,
        fd: 900,
        local: LOOPBACK,
        localPort: port,
        flags: READ_FROM_USER,
      },
    )
  })

  test('every field of send and recv: UDP, unconnected and connected', async () => {
    const [port, near] = [await freePort(), await freePort()]
    const done = await stage.doing(
      ['send', 'recv'],
      ...sys('socket', INET, DGRAM, 0),
      ...sys('bind', '$0', `in:127.0.0.1:${port}`, ADDRESS_BYTES),
      ...sys('socket', INET, DGRAM, 0),
      ...sys('bind', '$2', `in:127.0.0.1:${near}`, ADDRESS_BYTES),
      ...sys('sendto', '$2', 'buf:5', 5, 0x40, `in:127.0.0.1:${port}`, ADDRESS_BYTES),
      ...sys('recvfrom', '$0', 'buf:64', 64, 0, 'buf:16', 'args:16'),
      ...sys('sendmsg', '$2', `msg:127.0.0.1:${port}`, 0),
      ...sys('recvmsg', '$0', 'msg:127.0.0.1:1', 0),
      ...sys('connect', '$2', `in:127.0.0.1:${port}`, ADDRESS_BYTES),
      ...sys('sendto', '$2', 'buf:3', 3, 0, 0, 0),
      ...sys('recvfrom', '$0', 'buf:64', 64, 0x40, 0, 0),
      ...sys('recvfrom', '$0', 'buf:64', 64, 0x40, 0, 0),
    )
    const receiver = { local: LOOPBACK, localPort: port }
    const sender = { local: LOOPBACK, localPort: near, remote: LOOPBACK, remotePort: port }
    const from = { remote: LOOPBACK, remotePort: near, flags: READ_FROM_USER }
    const udp = (fd: number, rest: Given) => socket(fd, INET, DGRAM, UDP, rest)
    stage.assertAll(
      done,
      udp(4, {
        call: 'sendto',
        args: [4, POINTER, 5, 0x40, POINTER, 16],
        result: 5n,
        ...sender,
        flags: READ_FROM_USER,
      }),
      udp(3, {
        call: 'recvfrom',
        args: [3, POINTER, 64, 0, POINTER, POINTER],
        result: 5n,
        ...receiver,
        ...from,
      }),
      udp(4, { call: 'sendmsg', args: [4, POINTER], result: 1n, ...sender, flags: READ_FROM_USER }),
      udp(3, { call: 'recvmsg', args: [3, POINTER], result: 1n, ...receiver, ...from }),
      udp(4, { call: 'sendto', args: [4, POINTER, 3], result: 3n, ...sender }),
      udp(3, { call: 'recvfrom', args: [3, POINTER, 64, 0x40], result: 3n, ...receiver }),
      udp(3, { call: 'recvfrom', args: [3, POINTER, 64, 0x40], result: -11n, ...receiver }),
    )
  })

  test('every field of unix sockets: their address, the process and the container at the other end', async () => {
    const path = stage.at('unix')
    const abstract = `hullguard-test-${randomBytes(6).toString('hex')}`
    const done = await stage.doing(
      ['bind', 'listen', 'accept', 'send', 'dup'],
      ...sys('socket', UNIX, STREAM, 0),
      ...sys('bind', '$0', `un:${path}`, path.length + 3),
      ...sys('listen', '$0', 1),
      ...sys('socket', UNIX, STREAM, 0),
      ...sys('connect', '$3', `un:${path}`, path.length + 3),
      ...sys('accept', '$0', 0, 0),
      ...sys('sendto', '$3', 'buf:2', 2, 0, 0, 0),
      ...sys('socket', UNIX, DGRAM, 0),
      // encoded twice: the first program decodes too
      ...sys('bind', '$7', `un:%2500${abstract}`, abstract.length + 3),
    )
    const unix = (fd: number, rest: Given, socketType = STREAM) => socket(fd, UNIX, socketType, 0, { path, ...rest })
    const [first] = done.events
    assert.ok(first)
    // all ends are of this one process; of a listening socket the kernel says itself
    const peer = { targetPid: done.pid, targetStartNs: first.startNs, targetCgroupId: first.cgroupId }
    stage.assertAll(
      done,
      unix(3, { call: 'bind', args: [3, POINTER, path.length + 3] }),
      unix(3, { call: 'listen', args: [3, 1], ...peer }),
      unix(5, { call: 'accept', args: [3], result: 5n, ...peer }),
      unix(4, { call: 'sendto', args: [4, POINTER, 2], result: 2n, ...peer }),
      unix(6, { call: 'bind', args: [6, POINTER, abstract.length + 3], path: `@${abstract}` }, DGRAM),
    )
  })
})
