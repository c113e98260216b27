/** Acts on sockets that no rule wants are not reported: by what is done, the kind of socket, and the addresses and ports of its ends. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { CALL_KINDS } from '../../src/record/call-model.js'
import { sys, whyNoRings } from '../support/call-acts.js'
import { AT_FDCWD, type Call, CallStage } from '../support/call-stage.js'
import { requires } from '../support/process.js'
import { listening, when } from '../support/rule-text.js'
import { actWord } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

const [AF_UNIX, AF_INET, AF_INET6] = [1, 2, 10]
const [SOCK_STREAM, SOCK_DGRAM] = [1, 2]
const ADDRESS_BYTES = 16
const ADDRESS6_BYTES = 28
const [SOL_SOCKET, SO_REUSEADDR] = [1, 2]
const EADDRINUSE = -98n

describe('acts on sockets that rules want', { skip }, () => {
  let stage: CallStage

  before(async () => {
    stage = await CallStage.open()
  })
  after(() => stage.close())

  /** Each reported act, with the ports of its ends where it has some. */
  async function told(rules: string, ...calls: Call[]): Promise<string[]> {
    const { events } = await stage.doUnder(rules, calls)
    return events.map(({ act, localPort, remotePort }) =>
      [CALL_KINDS[act - 1], ...(localPort ? [localPort] : []), ...(remotePort ? [`to ${remotePort}`] : [])].join(' '),
    )
  }
  const [A, B, C] = [47_311, 47_312, 47_313]
  const stream = () => sys('socket', AF_INET, SOCK_STREAM, 0)
  const bind = (fd: string, port: number) => sys('bind', fd, `in:127.0.0.1:${port}`, ADDRESS_BYTES)
  const serving = [
    stream(),
    bind('$0', A),
    sys('listen', '$0', 1),
    stream(),
    bind('$3', B),
    sys('listen', '$3', 1),
    sys('socket', AF_UNIX, SOCK_STREAM, 0),
    sys('bind', '$6', 'un:%00hullguard-ends', 20),
    sys('listen', '$6', 1),
  ]

  test('listen rules: only what violates them', async () => {
    assert.deepEqual(await told(listening(`allow: [${A}]`), ...serving), [`listen ${B}`])
    assert.deepEqual(await told(listening(`deny: ["10.0.0.0/8:1-65535"]`), ...serving), [])
    assert.deepEqual(await told(listening(`deny: ["*"], allow: ["127.0.0.0/8:${B}"]`), ...serving), [`listen ${A}`])
  })

  test('conditions: the act, the port and the network of the near end, and which kind of socket', async () => {
    assert.deepEqual(await told(when(`evt.type = bind and fd.lport = ${A}`), ...serving), [`bind ${A}`])
    assert.deepEqual(await told(when(`evt.type = bind and fd.lport > ${A} and fd.lnet = "127.0.0.0/8"`), ...serving), [
      `bind ${B}`,
    ])
    assert.deepEqual(await told(when('evt.type in (bind, listen) and fd.lip = "10.0.0.1"'), ...serving), [])
    assert.deepEqual(await told(when('evt.type = listen and fd.typechar = u'), ...serving), ['listen'])
    assert.deepEqual(await told(when('evt.type = listen and fd.typechar in ("4", "6")'), ...serving), [
      `listen ${A}`,
      `listen ${B}`,
    ])
  })

  test('datagrams by where they go, over IPv4 and IPv6, in messages too', async () => {
    const calls = [
      sys('socket', AF_INET, SOCK_DGRAM, 0),
      sys('sendto', '$0', 's:x', 1, 0, `in:127.0.0.1:${A}`, ADDRESS_BYTES),
      sys('sendto', '$0', 's:x', 1, 0, `in:127.0.0.1:${B}`, ADDRESS_BYTES),
      sys('sendto', '$0', 's:x', 1, 0, `in:127.0.0.2:${A}`, ADDRESS_BYTES),
      sys('sendmsg', '$0', `msg:127.0.0.1:${A}`, 0),
      sys('socket', AF_INET6, SOCK_DGRAM, 0),
      sys('sendto', '$5', 's:x', 1, 0, `in:::1:${A}`, ADDRESS6_BYTES),
    ]
    const ports = (got: string[]) => got.map((text) => text.replace(/^send \d+ /, 'send '))
    const send = 'evt.type in (sendto, sendmsg)'
    assert.deepEqual(ports(await told(when(`${send} and fd.rport = ${A} and fd.rnet = "127.0.0.1/32"`), ...calls)), [
      `send to ${A}`,
      `send to ${A}`,
    ])
    assert.deepEqual(ports(await told(when(`${send} and fd.rip = "::1"`), ...calls)), [`send to ${A}`])
    assert.deepEqual(ports(await told(when(`${send} and fd.l4proto = udp and fd.rport = ${B}`), ...calls)), [
      `send to ${B}`,
    ])
    assert.deepEqual(await told(when(`${send} and fd.l4proto = tcp`), ...calls), [])
    // one rule that wants them all brings them all
    const both = `${when(`${send} and fd.rport = 1`)}${when(send).replace('rule: r', 'rule: q')}`
    assert.equal((await told(both, ...calls)).length, 5)
  })

  test('what an io_uring does is filtered alike, as far as the socket tells its ends', async (context) => {
    const why = await whyNoRings(stage.sensor, stage.dir)
    if (why !== '') return context.skip(why)
    const [SENDMSG, RECV, ACCEPT, SEND] = [9, 27, 13, 26]
    const [BIND, LISTEN] = [56, 57]
    const calls = [
      stream(),
      sys('setsockopt', '$0', SOL_SOCKET, SO_REUSEADDR, 'args:1', 4),
      ['ring', BIND, '$0', `in:127.0.0.1:${C}`, 0, ADDRESS_BYTES],
      ['ring', LISTEN, '$0', 0, 1],
      stream(),
      sys('connect', '$4', `in:127.0.0.1:${C}`, ADDRESS_BYTES),
      ['ring', ACCEPT, '$0', 0, 0, 0, 0],
      ['ring', SEND, '$4', 'buf:4', 4, 0, 0x4000],
      ['ring', RECV, '$6', 'buf:4', 4, 0, 0x40],
      sys('socket', AF_INET, SOCK_DGRAM, 0),
      ['ring', SENDMSG, '$9', `msg:127.0.0.1:${B}`, 1, 0, 0],
      sys('socket', AF_UNIX, SOCK_DGRAM, 0),
      ['ring', RECV, '$11', 'buf:4', 4, 0, 0x40],
    ]
    const all = 'evt.type in (bind, listen, accept4, sendto, sendmsg, recvfrom)'
    const plain = (lines: string[]) =>
      lines.map((line) => line.replace(/\d{5}(?= to|$)/g, (port) => (Number(port) === C ? 'C' : port)))
    const far = (lines: string[]) => plain(lines).map((line) => line.replace(/\d{5}/, 'x'))
    const unknown = 'send x' // where it went stands in the program's memory alone
    assert.deepEqual(far(await told(when(`${all} and fd.lport = ${C}`), ...calls)), [
      ...['bind C', 'listen C', 'accept C to x', 'recv C to x', unknown],
    ])
    assert.deepEqual(far(await told(when(`${all} and fd.rport = ${C}`), ...calls)), ['send x to C', unknown])
    assert.deepEqual(far(await told(when(`${all} and fd.lport = ${B}`), ...calls)), [unknown])
    assert.deepEqual(far(await told(when(`${all} and fd.rnet = "10.0.0.0/8"`), ...calls)), [unknown])
    assert.deepEqual(far(await told(when(`${all} and fd.l4proto = tcp`), ...calls)), [
      ...['bind C', 'listen C', 'accept C to x', 'send x to C', 'recv C to x', unknown],
    ])
    assert.deepEqual(far(await told(when(`${all} and fd.typechar = u`), ...calls)), [unknown, 'recv'])
    assert.deepEqual(plain(await told(listening(`allow: [${C}]`), ...calls)), [])
    assert.deepEqual(plain(await told(listening(`deny: [${C}]`), ...calls)), ['listen C'])
  })

  test('a bind of an io_uring that came to nothing is reported: its address is not known', async (context) => {
    const made = [stream(), bind('$0', A), stream(), ['ring', 56, '$2', `in:127.0.0.1:${A}`, 0, ADDRESS_BYTES]]
    const { results } = await stage.doIn(stage.sensor.makeContainer(), made)
    if (results[3] !== EADDRINUSE) return context.skip('no io_uring here that binds')
    assert.deepEqual(await told(when(`evt.type = bind and fd.lport = ${B}`), ...made), ['bind'])
  })

  test('descriptors that are no sockets, where a rule asks for sockets', async () => {
    writeFileSync(stage.at('file'), '')
    const calls = [
      sys('openat', AT_FDCWD, `s:${actWord(stage.at('file'))}`, 0, 0),
      sys('dup2', '$0', 50),
      stream(),
      bind('$2', A),
      sys('dup2', '$2', 51),
    ]
    const dup = 'evt.type in (dup, dup2, dup3) and fd.num in (50, 51)'
    assert.deepEqual(await told(when(`${dup} and fd.type in ("ipv4", "ipv6")`), ...calls), [`dup ${A}`])
    assert.deepEqual(await told(when(dup), ...calls), ['dup', `dup ${A}`])
  })
})
