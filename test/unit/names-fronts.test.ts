/** src/sensor/names/tls.ts and http.ts: what real clients send first, and what no honest one does. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { type ConnectionOptions, connect } from 'node:tls'
import fc from 'fast-check'
import { parseRequest, type RequestHead } from '../../src/sensor/names/http.js'
import { type ClientHello, parseClientHello } from '../../src/sensor/names/tls.js'
import { requires, run } from '../support/process.js'
import { seedOf } from '../support/seed.js'

/** What a client that `dial` makes sends first to a server that only listens, until `enough`. */
async function firstBytes(dial: (port: number) => unknown, enough: (bytes: Buffer) => boolean): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const accepted = once(server, 'connection') as Promise<[Socket]>
    void dial((server.address() as AddressInfo).port)
    const [socket] = await accepted
    let bytes = Buffer.alloc(0)
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, chunk])
      if (enough(bytes)) break
    }
    socket.destroy()
    return bytes
  } finally {
    server.close()
  }
}

const isWholeRecord = (bytes: Buffer) => bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)

const helloOf = (options: ConnectionOptions) =>
  firstBytes((port) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    socket.on('error', () => {}) // the server hangs up
  }, isWholeRecord)

function parsed(bytes: Uint8Array): ClientHello {
  const hello = parseClientHello(bytes, true)
  if (hello === undefined || hello === 'more') throw new Error(`no hello: ${String(hello)}`)
  return hello
}

const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff])
const sized = (bytes: Buffer) => Buffer.concat([u16(bytes.length), bytes])
const extension = (type: number, data: Buffer) => Buffer.concat([u16(type), sized(data)])
const serverName = (name: Buffer) => extension(0, sized(Buffer.concat([Buffer.from([0]), sized(name)])))

/** A hello with these extensions. */
function message(extensions: Buffer): Buffer {
  const body = Buffer.concat([
    ...[Buffer.from([3, 3]), Buffer.alloc(32, 9), Buffer.from([0]), sized(Buffer.from('1301', 'hex'))],
    ...[Buffer.from([1, 0]), sized(extensions)],
  ])
  const head = Buffer.from([1, 0, 0, 0])
  head.writeUIntBE(body.length, 1, 3)
  return Buffer.concat([head, body])
}
const tlsRecord = (bytes: Buffer) => Buffer.concat([Buffer.from([22, 3, 1]), sized(bytes)])

describe('client hellos', () => {
  test("of Node's own client, with a name and protocols", async () => {
    const bytes = await helloOf({ servername: 'Web.Example', ALPNProtocols: ['h2', 'http/1.1'] })
    assert.deepEqual(parseClientHello(bytes, false), {
      ...{ sni: 'web.example', alpn: ['h2', 'http/1.1'], hasEncryptedHello: false, isTruncated: false },
    })
  })

  test('of three kilobytes: not whole until its last byte, then the same', async () => {
    const protocols = Array.from({ length: 14 }, (_, index) => `${index}`.padEnd(200, 'p'))
    const bytes = await helloOf({ servername: 'long.example', ALPNProtocols: protocols })
    assert.ok(bytes.length > 2800, `${bytes.length} bytes`)
    for (const length of [1, 4, 5, 6, 9, 100, bytes.length - 1])
      assert.equal(parseClientHello(bytes.subarray(0, length), false), 'more', `${length} bytes`)
    const whole = parsed(bytes)
    assert.deepEqual([whole.sni, whole.alpn, whole.isTruncated], ['long.example', protocols, false])
    const cut = parsed(bytes.subarray(0, 600))
    assert.equal(cut.isTruncated, true)
  })

  test('of TLS 1.2, and without a name', async () => {
    const bytes = await helloOf({ maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' })
    assert.deepEqual(parsed(bytes), { sni: '', alpn: [], hasEncryptedHello: false, isTruncated: false })
  })

  test('of openssl s_client', { skip: requires({ commands: ['openssl'] }) }, async () => {
    const bytes = await firstBytes(
      (port) =>
        run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'ssl.example', '-alpn', 'h2'], {
          input: '',
        }),
      isWholeRecord,
    )
    assert.deepEqual([parsed(bytes).sni, parsed(bytes).alpn], ['ssl.example', ['h2']])
  })

  test('in several records, with another message behind it', () => {
    const whole = message(serverName(Buffer.from('split.example')))
    const bytes = Buffer.concat([
      ...[tlsRecord(whole.subarray(0, 3)), tlsRecord(whole.subarray(3, 50)), tlsRecord(whole.subarray(50))],
      Buffer.from([20, 3, 3, 0, 1, 1]),
    ])
    assert.equal(parsed(bytes).sni, 'split.example')
    assert.equal(parseClientHello(bytes.subarray(0, 70), false), 'more')
  })

  test('an encrypted hello is told, with the outer name', () => {
    const bytes = tlsRecord(
      message(Buffer.concat([serverName(Buffer.from('outer.example')), extension(0xfe0d, Buffer.from([0, 1, 2]))])),
    )
    assert.deepEqual(parsed(bytes), {
      ...{ sni: 'outer.example', alpn: [], hasEncryptedHello: true, isTruncated: false },
    })
  })

  test('names: the last dot, letters, bytes that are no text, an empty one', () => {
    const nameOf = (name: Buffer) => parsed(tlsRecord(message(serverName(name)))).sni
    assert.equal(nameOf(Buffer.from('EVIL.Example.')), 'evil.example')
    assert.equal(nameOf(Buffer.from([0xff, 0x61])), '�a')
    assert.equal(nameOf(Buffer.alloc(0)), '')
  })

  test('a name or protocol list that is cut within its extension, and more protocols than are kept, are told as cut', () => {
    const alpn = (list: Buffer) => extension(16, list)
    const protocol = (name: string) => Buffer.concat([Buffer.from([name.length]), Buffer.from(name)])
    const helloWith = (...extensions: Buffer[]) => parsed(tlsRecord(message(Buffer.concat(extensions))))
    const name = Buffer.concat([Buffer.from([0]), sized(Buffer.from('whole.example'))])
    const many = (count: number) => alpn(sized(Buffer.concat(Array.from({ length: count }, () => protocol('p')))))
    const cases: readonly [hello: ClientHello, sni: string, alpnCount: number, isTruncated: boolean][] = [
      [helloWith(extension(0, sized(name))), 'whole.example', 0, false],
      [helloWith(extension(0, Buffer.concat([u16(name.length + 4), name]))), 'whole.example', 0, true],
      [helloWith(extension(0, sized(name.subarray(0, -5)))), 'whole.ex', 0, true],
      [helloWith(extension(0, Buffer.alloc(0))), '', 0, false],
      [helloWith(alpn(sized(Buffer.from([9, 0x68, 0x32])))), '', 1, true],
      [helloWith(many(16)), '', 16, false],
      [helloWith(many(17)), '', 16, true],
      // what comes behind a cut extension is still read
      [helloWith(many(17), extension(0, sized(name))), 'whole.example', 16, true],
    ]
    for (const [hello, sni, alpnCount, isTruncated] of cases)
      assert.deepEqual([hello.sni, hello.alpn.length, hello.isTruncated], [sni, alpnCount, isTruncated])
  })

  test('lengths that lie: what stands before is told, as cut', () => {
    const good = serverName(Buffer.from('good.example'))
    const longer = message(Buffer.concat([good, u16(16), u16(500), Buffer.from('x')]))
    assert.deepEqual(parsed(tlsRecord(longer)), {
      ...{ sni: 'good.example', alpn: [], hasEncryptedHello: false, isTruncated: true },
    })
    const liar = extension(0, sized(Buffer.concat([Buffer.from([0]), u16(900), Buffer.from('abc')])))
    assert.equal(parsed(tlsRecord(message(liar))).sni, 'abc')
    for (const bytes of [
      Buffer.from([22, 3, 1, 0, 0]), // an empty record
      Buffer.from([22, 3, 1, 0x41, 0]), // longer than a record can be
      tlsRecord(Buffer.from([2, 0, 0, 1, 0])), // a server hello
      Buffer.from([22, 2, 1, 0, 5]),
      Buffer.from('GET / HTTP/1.1\r\n'),
    ])
      assert.equal(parseClientHello(bytes, true), undefined, bytes.toString('hex'))
  })

  test('any bytes, and any change of a real hello, are read without an exception', async () => {
    const real = await helloOf({ servername: 'fuzz.example', ALPNProtocols: ['h2'] })
    const changed = fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { maxLength: 8 }).map((changes) => {
      const copy = Buffer.from(real)
      for (const [at, value] of changes) copy[at] = value
      return copy
    })
    const front = fc.uint8Array({ maxLength: 300 }).map((bytes) => tlsRecord(Buffer.concat([Buffer.from([1]), bytes])))
    fc.assert(
      fc.property(fc.oneof(changed, front, fc.uint8Array({ maxLength: 300 })), fc.boolean(), (bytes, isLast) => {
        const hello = parseClientHello(bytes, isLast)
        if (hello === undefined || hello === 'more') assert.ok(!isLast || hello === undefined)
        else assert.ok(hello.alpn.length <= 16 && hello.sni.length <= bytes.length)
      }),
      seedOf(2000),
    )
  })
})

describe('HTTP requests', () => {
  const head = (rest: Partial<RequestHead>) => ({ method: 'GET', host: '', path: '/', isTruncated: false, ...rest })

  test("of Node's own client", async () => {
    const bytes = await firstBytes(
      (port) =>
        request({ port, host: '127.0.0.1', method: 'POST', path: '/a/b?c=d', headers: { Host: 'Web.Example:8080' } })
          .on('error', () => {}) // the server hangs up
          .end('body'),
      (got) => got.includes('\r\n\r\n'),
    )
    assert.deepEqual(parseRequest(bytes, false), head({ method: 'POST', host: 'web.example:8080', path: '/a/b' }))
  })

  const cases: readonly [text: string, expected: RequestHead][] = [
    ['GET / HTTP/1.1\r\nHost: a.example\r\n\r\n', head({ host: 'a.example' })],
    ['GET / HTTP/1.0\r\n\r\n', head({})],
    ['GET / HTTP/1.1\nhost:a.example.\n\n', head({ host: 'a.example' })],
    ['GET /x?secret=1#y HTTP/1.1\r\nX: y\r\nHOST:\t A.example \r\n\r\n', head({ host: 'a.example', path: '/x' })],
    ['GET http://user:pw@P.example:80/x?y HTTP/1.1\r\nHost: other\r\n\r\n', head({ host: 'p.example:80', path: '/x' })],
    ['GET http://p.example HTTP/1.1\r\n\r\n', head({ host: 'p.example' })],
    ['CONNECT c.example:443 HTTP/1.1\r\n\r\n', head({ method: 'CONNECT', host: 'c.example:443', path: '' })],
    ['OPTIONS * HTTP/1.1\r\nHost: o\r\n\r\n', head({ method: 'OPTIONS', host: 'o', path: '*' })],
    ['\r\n\nGET / HTTP/1.1\r\nHost: after.example\r\n\r\n', head({ host: 'after.example' })],
    ['GET \t /a  b \v HTTP/1.1 \r\nHost: blanks.example\r\n\r\n', head({ host: 'blanks.example', path: '/a  b' })],
    ['M-SEARCH /_ HTTP/1.1\r\nHost: m.example\r\n\r\n', head({ method: 'M-SEARCH', host: 'm.example', path: '/_' })],
    ['my_method / HTTP/1.1\r\nHost: l.example\r\n\r\n', head({ method: 'my_method', host: 'l.example' })],
    ['GET /\xa0 HTTP/1.1\r\nHost: nbsp.example\r\n\r\n', head({ host: 'nbsp.example', path: '/\ufffd' })],
    ['GET /\xc3\xa4 HTTP/1.1\r\nHost: first\r\nHost: second\r\n\r\n', head({ host: 'first', path: '/ä' })],
  ]
  for (const [text, expected] of cases)
    test(JSON.stringify(text.slice(0, 50)), () => {
      assert.deepEqual(parseRequest(Buffer.from(text, 'latin1'), false), expected)
    })

  test('what is not whole waits, and at the end is told as cut', () => {
    for (const text of [
      '\r',
      '\r\n',
      '\n\nG',
      'G',
      'GET',
      'GET /pa',
      'GET / HTTP/1.1\r\n',
      'GET / HTTP/1.1\r\nHost: a.exam',
    ])
      assert.equal(parseRequest(Buffer.from(text), false), 'more', text)
    const cut = (text: string) => parseRequest(Buffer.from(text), true)
    assert.deepEqual(cut('GET /long'), head({ path: '/long', isTruncated: true }))
    assert.deepEqual(cut('GET / HTTP/1.1\r\nX: y\r\nHost: a'), head({ isTruncated: true }))
    assert.equal(cut('GET'), undefined)
    assert.equal(cut('HELO there'), undefined)
  })

  test('a line of blanks costs no more than its bytes', () => {
    const blanks = ' '.repeat(4_000)
    for (const value of [`${blanks}\rx`, `${blanks}b${blanks}c`, `b${blanks}`]) {
      const head = parseRequest(Buffer.from(`GET / HTTP/1.1\nHost:${value}\n\n`, 'latin1'), true)
      assert.ok(head !== undefined && head !== 'more')
    }
    const head = parseRequest(Buffer.from(`GET / HTTP/1.1\nHost:${blanks}a.example\t \r\n\r\n`, 'latin1'), true)
    assert.equal((head as RequestHead).host, 'a.example')
  })

  test('what is another protocol', () => {
    for (const text of [
      'EHLO a\r\n',
      'SSH-2.0-x\r\n',
      'PRI * HTTP/2.0\r\n\r\n',
      ' GET / HTTP/1.1\r\n',
      'GET HTTP/1.1\r\n',
      'G{T / HTTP/1.1\r\n',
      'Mi(ed',
      'A'.repeat(40),
    ])
      assert.equal(parseRequest(Buffer.from(text), false), undefined, text)
  })

  test('any text is read without an exception; every cut of a request gives its host or none', () => {
    const text = Buffer.from('GET /p HTTP/1.1\r\nA: b\r\nHost: h.example\r\n\r\n')
    for (let length = 0; length <= text.length; length++) {
      const got = parseRequest(text.subarray(0, length), true)
      assert.ok(got === undefined || (got !== 'more' && ['', 'h.example'].includes(got.host)), `${length}`)
    }
    const piece = fc.constantFrom(
      'GET ',
      'Host:',
      '\r\n',
      '\n',
      ' ',
      '/',
      'http://',
      '@',
      ':',
      'HTTP/1.1',
      'a',
      '\0',
      '\xff',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.boolean(), (pieces, isLast) => {
        const got = parseRequest(Buffer.from(pieces.join(''), 'latin1'), isLast)
        assert.ok(got !== 'more' || !isLast)
      }),
      seedOf(2000),
    )
  })
})
