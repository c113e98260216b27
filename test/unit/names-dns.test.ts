/** src/sensor/names/dns.ts: real messages, and those that no honest host sends. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseDns } from '../../src/sensor/names/dns.js'
import { seedOf } from '../support/seed.js'

const bytes = (hex: string) => Buffer.from(hex.replace(/\s/g, ''), 'hex')

/** Header with these counts; flags in hex. */
const header = (flags: string, questions: number, answers: number, rest = '00000000') =>
  `1234 ${flags} ${[questions, answers].map((count) => count.toString(16).padStart(4, '0')).join('')} ${rest}`
const NAME = '047465737407657861 6d706c6500' // test.example
const QUESTION = `${NAME} 0001 0001`
const record = (type: string, data: string, owner = 'c00c') =>
  `${owner} ${type} 0001 0000003c ${bytes(data).length.toString(16).padStart(4, '0')} ${data}`

describe('DNS messages', () => {
  test('a query', () => {
    assert.deepEqual(parseDns(bytes(header('0100', 1, 0) + QUESTION)), {
      ...{ isAnswer: false, id: 0x1234, query: 'test.example', qtype: 'A', rcode: '' },
      ...{ answers: [], ttlsS: [], isTruncated: false },
    })
  })

  test('every kind of answer that names something, with its time; others are left out', () => {
    const answers = [
      record('0001', 'c0000201'),
      record('001c', '20010db8000000000000000000000001'),
      record('0005', '016ac00c'), // j.test.example
      record('0002', '026e73c011'), // ns.example
      record('000c', NAME),
      record('000f', '000a 046d61696cc011'), // MX
      record('0021', '0000 0005 01bb 0373727600'), // SRV
      record('0010', '0474657874'), // TXT
    ]
    const message = parseDns(bytes(header('8180', 1, answers.length) + QUESTION + answers.join('')))
    assert.deepEqual(message?.answers, [
      ...['192.0.2.1', '2001:db8::1', 'j.test.example', 'ns.example', 'test.example', 'mail.example', 'srv'],
    ])
    assert.deepEqual(
      message?.ttlsS,
      Array.from({ length: 7 }, () => 60),
    )
    assert.deepEqual([message?.isAnswer, message?.rcode, message?.isTruncated], [true, 'NOERROR', false])
  })

  test('an answer that is not what its type says is missing: told as cut, and those behind it are read', () => {
    const unreadable = [
      record('0001', 'c00002'), // an address of three bytes
      record('001c', 'c0000201'),
      record('0005', 'c0ff'), // a pointer to behind it
      record('000f', '000a'),
      record('0021', '0000 0005 01bb 05737276'),
    ]
    for (const bad of unreadable) {
      const message = parseDns(bytes(header('8180', 1, 2) + QUESTION + bad + record('0001', 'c0000201')))
      assert.deepEqual([message?.answers, message?.isTruncated], [['192.0.2.1'], true], bad)
    }
  })

  const codes: readonly [flags: string, rcode: string, isTruncated: boolean][] = [
    ['8183', 'NXDOMAIN', false],
    ['8182', 'SERVFAIL', false],
    ['818f', 'RCODE15', false],
    ['8380', 'NOERROR', true],
  ]
  for (const [flags, rcode, isTruncated] of codes)
    test(`flags ${flags}: ${rcode}`, () => {
      const message = parseDns(bytes(header(flags, 1, 0) + QUESTION))
      assert.deepEqual([message?.rcode, message?.isTruncated], [rcode, isTruncated])
    })

  test('names: case, bytes that no host has, a dot in a label, the root, types without a name', () => {
    const ask = (name: string, type = '0001') => parseDns(bytes(`${header('0100', 1, 0)} ${name} ${type} 0001`))
    assert.equal(ask('0454655354 00')?.query, 'test')
    assert.equal(ask('03 612e62 0163 00')?.query, 'a\\046b.c')
    assert.equal(ask('05 001bff c385 00')?.query, '\\000\\027\\255\\195\\133')
    assert.deepEqual([ask('00', '00ff')?.query, ask('00', '00ff')?.qtype], ['', 'ANY'])
    assert.equal(ask('0161 00', 'ff00')?.qtype, 'TYPE65280')
    assert.equal(ask('0161 00', '0041')?.qtype, 'HTTPS')
  })

  test('pointers that lead in circles, forward, to themselves or out of the message end it', () => {
    for (const name of ['c00c', '0161c00c', '0161c00e', 'c0ff', 'ffff', 'c010', '0161c0'])
      assert.equal(parseDns(bytes(`${header('0100', 1, 0)} ${name} 0001 0001`)), undefined, name)
    // two answers that point at each other
    const first = record('0005', 'c02c')
    const message = parseDns(bytes(header('8180', 1, 2) + QUESTION + first + record('0005', 'c02a')))
    assert.deepEqual(message?.answers, [])
  })

  test('a chain of pointers longer than a name may be ends there', () => {
    // each question asks for `a` before the name of the one before it
    const chain = (count: number) => {
      let hex = `${header('0100', count, 0)} 0161 00 0001 0001`
      let before = 12
      for (let index = 1; index < count; index++) {
        const at = bytes(hex).length
        hex += `0161 ${(0xc000 | before).toString(16)} 0001 0001`
        before = at
      }
      return parseDns(bytes(hex))
    }
    assert.deepEqual([chain(127)?.query, chain(127)?.isTruncated], ['a', false])
    assert.deepEqual([chain(128)?.query, chain(128)?.isTruncated], ['a', true])
  })

  test('hundreds of questions, each a pointer to the one before, are not walked through again and again', () => {
    const count = 600
    const bytes = Buffer.alloc(12 + 7 + 6 * count)
    bytes.writeUInt16BE(count + 1, 4)
    bytes.set([1, 0x61, 0, 0, 1, 0, 1], 12)
    for (let index = 0; index < count; index++) {
      const at = 19 + 6 * index
      bytes.writeUInt16BE(0xc000 | (index === 0 ? 12 : at - 6), at)
      bytes.set([0, 1, 0, 1], at + 2)
    }
    const message = parseDns(bytes)
    assert.deepEqual([message?.query, message?.isTruncated], ['a', true])
    const deep = Buffer.concat([bytes.subarray(0, 12), bytes.subarray(19 + 6 * 40, 19 + 6 * 41)])
    assert.equal(parseDns(deep), undefined, 'a pointer that leads out of what is there')
  })

  test('labels and lengths that lie', () => {
    for (const name of ['40', '80', '3f61', '0a6162'])
      assert.equal(parseDns(bytes(`${header('0100', 1, 0)} ${name}`)), undefined, name)
    const cut = parseDns(
      bytes(`${header('8180', 1, 2)}${QUESTION}${record('0001', 'c0000201')} c00c 0001 0001 00000000 ffff 01`),
    )
    assert.deepEqual([cut?.answers, cut?.isTruncated], [['192.0.2.1'], true])
    const claims = parseDns(bytes(header('8180', 1, 0xffff) + QUESTION))
    assert.deepEqual([claims?.answers, claims?.isTruncated], [[], true])
    const questions = parseDns(bytes(header('0100', 0xffff, 0) + QUESTION))
    assert.deepEqual([questions?.query, questions?.isTruncated], ['test.example', true])
    assert.equal(parseDns(bytes('1234')), undefined)
    assert.equal(parseDns(new Uint8Array(0)), undefined)
  })

  test('more answers than are told', () => {
    const many = Array.from({ length: 40 }, () => record('0001', 'c0000201')).join('')
    const message = parseDns(bytes(header('8180', 1, 40) + QUESTION + many))
    assert.deepEqual([message?.answers.length, message?.ttlsS.length, message?.isTruncated], [32, 32, true])
  })

  test('bytes around a message are not read', () => {
    const message = bytes(header('0100', 1, 0) + QUESTION)
    const around = Buffer.concat([Buffer.alloc(7, 0xff), message, Buffer.alloc(7, 0xff)])
    assert.deepEqual(parseDns(around, 7, 7 + message.length), parseDns(message))
    for (let length = 0; length < message.length; length++) assert.equal(parseDns(around, 7, 7 + length), undefined)
  })

  test("what Node's own resolver asks over a socket", async () => {
    const server: Socket = createSocket('udp4')
    try {
      server.bind(0, '127.0.0.1')
      await once(server, 'listening')
      const resolver = new Resolver({ timeout: 2000, tries: 1 })
      resolver.setServers([`127.0.0.1:${server.address().port}`])
      const seen: ReturnType<typeof parseDns>[] = []
      server.on('message', (query: Buffer, from) => {
        seen.push(parseDns(query))
        const answer = Buffer.concat([query.subarray(0, 12), query.subarray(12, query.indexOf(0, 12) + 5)])
        answer.writeUInt16BE(0x8180, 2)
        answer.writeUInt16BE(1, 6)
        answer.writeUInt32BE(0, 8)
        const whole = Buffer.concat([answer, bytes(record('0001', 'c0000207'))])
        seen.push(parseDns(whole))
        server.send(whole, from.port, from.address)
      })
      assert.deepEqual(await resolver.resolve4('Some.Name.Example'), ['192.0.2.7'])
      assert.deepEqual(
        seen.map((one) => [one?.query, one?.qtype, one?.answers.join(), one?.isAnswer]),
        [
          ['some.name.example', 'A', '', false],
          ['some.name.example', 'A', '192.0.2.7', true],
        ],
      )
    } finally {
      server.close()
    }
  })

  test('any bytes at all, and any change of a real message, are read without an exception and within bounds', () => {
    const real = bytes(header('8180', 1, 2) + QUESTION + record('0001', 'c0000201') + record('0005', '016ac00c'))
    const changed = fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
      const copy = Buffer.from(real)
      for (const [at, value] of changes) copy[at] = value
      return copy
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), changed), (input) => {
        const message = parseDns(input)
        if (message === undefined) return
        assert.ok(message.answers.length <= 32 && message.answers.length === message.ttlsS.length)
        // 255 bytes of a name, each as `\DDD`
        for (const name of [message.query, ...message.answers]) assert.ok(name.length <= 4 * 255)
        assert.match(message.query, /^(?:[a-z0-9_-]|\.|\\\d{3})*$/)
      }),
      seedOf(3000),
    )
  })
})
