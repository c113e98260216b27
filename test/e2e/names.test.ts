/** `--activity names` and rules about names: what containers ask for in DNS, TLS and HTTP, from real clients to real servers. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { connect } from 'node:tls'
import { recordToJson } from '../../src/record/json.js'
import type { HullguardRecord, RecordKind } from '../../src/record/model.js'
import { cgroupMounts } from '../support/cgroup.js'
import {
  type Feed,
  type Host,
  hullguard,
  policyFile,
  scratchDir,
  startRecording,
  startRun,
} from '../support/hullguard.js'
import { reachEnd } from '../support/lane-end.js'
import { requires, uniqueName } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'
import { compileTalk } from '../support/sensor-acts.js'

const skip =
  requires({ root: true, commands: ['runc', 'busybox', 'gcc', 'nsenter', 'openssl'] }) ||
  (cgroupMounts().kind === 'v1' && 'needs a unified cgroup hierarchy: the packet hooks attach there')

/** Answers each question for an address with CNAME real.example and 127.0.0.1, others with NXDOMAIN; over UDP and TCP. */
const RESOLVER = `
const answer = (query) => {
  const end = query.indexOf(0, 12) + 5
  const isA = query.readUInt16BE(end - 4) === 1
  const head = Buffer.from(query.subarray(0, end))
  head.writeUInt16BE(isA ? 0x8180 : 0x8183, 2)
  head.writeUInt16BE(isA ? 2 : 0, 6)
  head.writeUInt32BE(0, 8)
  const real = Buffer.from('047265616c076578616d706c6500', 'hex')
  const cname = Buffer.concat([Buffer.from('c00c0005000100000078000e', 'hex'), real])
  const at = 0xc000 | (end + 12)
  const a = Buffer.concat([Buffer.from([at >> 8, at & 0xff]), Buffer.from('000100010000003c00047f000001', 'hex')])
  return isA ? Buffer.concat([head, cname, a]) : head
}
const udp = require('dgram').createSocket('udp4')
udp.on('message', (query, from) => udp.send(answer(query), from.port, from.address))
require('net').createServer((socket) => {
  let bytes = Buffer.alloc(0)
  socket.on('error', () => {}).on('data', (part) => {
    bytes = Buffer.concat([bytes, part])
    if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) return
    const reply = answer(bytes.subarray(2))
    socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 0xff]), reply]))
  })
}).listen(53, '127.0.0.1')
require('net').createServer((socket) => socket.on('error', () => {}).on('data', () => socket.destroy())).listen(443, '127.0.0.1')
udp.bind(53, '127.0.0.1', () => console.log('ready'))
`

const POLICY = `policy: names
containers: all
rules:
  - rule: a forbidden name is asked for
    condition: dns.question.name endswith ".forbidden.example" and dns.message = query
    output: "%proc.name asked for %dns.question.name (%dns.question.type) of %fd.rip:%fd.rport"
  - rule: an answer names loopback
    condition: dns.answers intersects ("127.0.0.1") and dns.question.name startswith rebind
  - rule: a forbidden server
    condition: tls.sni = forbidden.example
  - rule: a forbidden host
    condition: http.host = forbidden.example and http.path startswith /private
`

/** What Node's TLS client says first to a server of that name. */
async function realHello(servername: string, ALPNProtocols: string[]): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect({ port, host: '127.0.0.1', servername, ALPNProtocols }).on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [NodeJS.ReadableStream]
  let bytes = Buffer.alloc(0)
  while (bytes.length < 5 || bytes.length < 5 + bytes.readUInt16BE(3))
    bytes = Buffer.concat([bytes, ((await once(socket, 'data')) as [Buffer])[0]])
  client.destroy()
  server.close()
  return bytes
}

/** A resolver and a silent server on port 443 in the container's own network, run by the host. */
async function startResolver(container: RuncContainer): Promise<ChildProcess> {
  const args = ['--net', '--target', String(container.pid), process.execPath, '-e', RESOLVER]
  const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

describe('names that containers ask for', { skip }, () => {
  const name = uniqueName('names')
  const root = scratchDir()
  let container: RuncContainer
  let resolver: ChildProcess
  let talk: string

  before(async () => {
    const dir = scratchDir()
    talk = await compileTalk(dir)
    const files = { 'etc/resolv.conf': 'nameserver 127.0.0.1\n', 'etc/hosts': '127.0.0.1 localhost\n' }
    const rootfs = await makeRootfs(scratchDir(), { files, copies: { 'bin/talk': talk } })
    for (const library of ['lib', 'lib64']) symlinkSync(`usr/${library}`, join(rootfs, library))
    const mounts = [{ source: '/usr', destination: '/usr', readonly: true }]
    container = await runcRun({ rootfs, root, id: name, mounts, args: ['/bin/sh', '-c', 'sleep 600'] })
    resolver = await startResolver(container)
    await container.exec(['httpd', '-p', '8080', '-h', '/tmp'])
  })
  after(async () => {
    resolver?.kill('SIGKILL')
    await container?.remove()
  })

  const finder =
    (feed: () => Feed) =>
    (kind: RecordKind, what: string, wanted: (record: HullguardRecord) => boolean): Promise<HullguardRecord> =>
      feed().find(what, (record) => record.kind === kind && record.container.name === name && wanted(record))

  describe('recorded', () => {
    let host: Host
    let feed: Feed
    const own = finder(() => feed)

    before(async () => {
      host = await startRun({ runcRoot: root, args: ['--activity', 'names'] })
      feed = host.feed()
    })
    after(async () => {
      await feed?.close()
      await host?.stop()
    })

    test('a query and its answer, with chain and times to live', async () => {
      await container.exec(['nslookup', '-type=a', 'Web.Example', '127.0.0.1'])
      const query = await own('dns', 'the query', ({ dns }) => dns?.query === 'web.example' && dns.message === 'query')
      const answer = await own(
        'dns',
        'the answer',
        ({ dns }) => dns?.query === 'web.example' && dns.message === 'answer',
      )
      const same = { query: 'web.example', qtype: 'A', ip: '127.0.0.1', port: 53, id: query.dns?.id, truncated: false }
      assert.deepEqual(query.dns, {
        ...{ ...same, message: 'query', rcode: '', answers: [], answerTtlsS: [], proto: 'udp' },
      })
      assert.deepEqual(answer.dns, {
        ...{ ...same, message: 'answer', rcode: 'NOERROR', proto: 'udp' },
        ...{ answers: ['real.example', '127.0.0.1'], answerTtlsS: [120, 60] },
      })
      assert.match(query.process?.exe ?? '', /busybox$/)
      assert.equal(answer.process?.pid, query.process?.pid)
      assert.deepEqual(query.process?.args.slice(0, 2), ['nslookup', '-type=a'])
      const { dns } = recordToJson(answer)
      assert.deepEqual(dns, {
        ...{ message: 'answer', query: 'web.example', qtype: 'A', rcode: 'NOERROR', ip: '127.0.0.1', port: 53 },
        ...{ answers: ['real.example', '127.0.0.1'], answer_ttls_s: [120, 60], id: query.dns?.id, proto: 'udp' },
        truncated: false,
      })
    })

    test('a name that does not exist', async () => {
      await container.exec(['nslookup', '-type=mx', 'none.example', '127.0.0.1'])
      const { dns } = await own('dns', 'the answer', (record) => record.dns?.rcode === 'NXDOMAIN')
      assert.deepEqual([dns?.query, dns?.qtype, dns?.answers], ['none.example', 'MX', []])
    })

    test('DNS over TCP, asked in two parts', async () => {
      const query = Buffer.from('001dabcd0100000100000000000003746370076578616d706c650000010001', 'hex').toString('hex')
      const parts = ['write', '0', query.slice(0, 30), 'write', '0', query.slice(30)]
      await container.exec(['talk', 'dial', '0', '127.0.0.1', '53', ...parts, 'hear', '0'])
      const asked = await own('dns', 'the query', ({ dns }) => dns?.proto === 'tcp' && dns.message === 'query')
      const answered = await own('dns', 'the answer', ({ dns }) => dns?.proto === 'tcp' && dns.message === 'answer')
      assert.deepEqual([asked.dns?.query, asked.dns?.id, answered.dns?.id], ['tcp.example', 0xabcd, 0xabcd])
      assert.deepEqual(answered.dns?.answers, ['real.example', '127.0.0.1'])
    })

    test('an HTTP request: host and path, never the query string', async () => {
      await container.exec(['wget', '-q', '-O', '-', '--header', 'X: y', 'http://127.0.0.1:8080/a/b?token=secret'])
      const { http, connect: none, process } = await own('http', 'the request', () => true)
      assert.ok((http?.socketId ?? 0n) > 0n && none === undefined)
      assert.deepEqual(http, {
        ...{ method: 'GET', host: '127.0.0.1:8080', path: '/a/b', ip: '127.0.0.1', port: 8080, truncated: false },
        socketId: http?.socketId,
      })
      assert.equal(process?.args[0], 'wget')
      const made = await own('connect', 'its connection', (record) => record.connect?.socketId === http?.socketId)
      assert.ok(made.seq < (await own('http', 'the request', () => true)).seq, 'the connect comes first')
      assert.ok(
        !feed.lines.some((line) => line.includes('"kind":"http"') && line.includes('secret', line.indexOf('"http":{'))),
      )
    })

    test('a client hello of three kilobytes in five segments', async () => {
      const protocols = Array.from({ length: 14 }, (_, index) => `${index}`.padEnd(200, 'p'))
      const hello = await realHello('Long.Example', protocols)
      assert.ok(hello.length > 2800)
      const ends = [9, 700, 1500, 2300, hello.length]
      const steps = ends.flatMap((end, index) => {
        const part = hello.subarray(ends[index - 1] ?? 0, end)
        return ['write', '1', part.toString('hex'), 'receive', '2', String(part.length)]
      })
      const server = ['listen', '0', '127.0.0.1', '8443', '5', 'dial', '1', '127.0.0.1', '8443', 'accept', '2', '0']
      await container.exec(['talk', ...server, ...steps])
      const { tls } = await own('tls', 'the hello', (record) => record.tls?.sni === 'long.example')
      assert.deepEqual(tls, {
        ...{
          sni: 'long.example',
          alpn: protocols,
          ip: '127.0.0.1',
          port: 8443,
          encryptedHello: false,
          truncated: false,
        },
        socketId: tls?.socketId,
      })
    })

    test("a real client, of the host's openssl", async () => {
      const ask = 's_client -connect 127.0.0.1:443 -servername short.example -alpn h2,http/1.1'
      await container.exec(['/usr/bin/openssl', ...ask.split(' ')], { input: '' })
      const { tls, process } = await own('tls', 'the hello', (record) => record.tls?.sni === 'short.example')
      assert.deepEqual(
        [tls?.alpn, tls?.ip, tls?.port, tls?.truncated, process?.exe],
        [['h2', 'http/1.1'], '127.0.0.1', 443, false, '/usr/bin/openssl'],
      )
    })

    test('text for a terminal, and the metrics of a healthy run', async () => {
      const stored = await hullguard(['events', '--data-dir', host.dataDir, '--container', name, '--limit', '100000'])
      assert.match(stored.stdout, /dns +web\.example A\? \(127\.0\.0\.1:53\)/)
      assert.match(stored.stdout, /dns +web\.example A = NOERROR real\.example 127\.0\.0\.1 \(127\.0\.0\.1:53\)/)
      assert.match(stored.stdout, /tls +long\.example at 127\.0\.0\.1:8443/)
      assert.match(stored.stdout, /http +GET 127\.0\.0\.1:8080\/a\/b at 127\.0\.0\.1:8080/)
      const { stdout } = await hullguard(['metrics', '--data-dir', host.dataDir])
      assert.doesNotMatch(stdout, /names_(?:unreadable|forgotten)_total\S* [1-9]/)
    })

    test('a capture holds them, and its replay tells them again', async () => {
      const file = join(scratchDir(), 'names.hgcap')
      const recording = await startRecording(file, host.dataDir)
      await container.exec(['nslookup', '-type=a', 'captured.example', '127.0.0.1'])
      await own('dns', 'the answer', ({ dns }) => dns?.query === 'captured.example' && dns.message === 'answer')
      recording.signal('SIGINT')
      assert.equal((await recording.ended()).code, 0)
      const { stdout } = await hullguard(['replay', file, '--all', '--json'])
      const told = stdout.split('\n').filter((line) => line.includes('"kind":"dns"'))
      assert.equal(told.length, 2)
      const judged = await hullguard([
        'replay',
        file,
        '--policies',
        policyFile(POLICY.replaceAll('forbidden', 'x')),
        '--json',
      ])
      assert.doesNotMatch(judged.stderr, /capture lacks/)
    })
  })

  describe('by rules', () => {
    let host: Host
    let feed: Feed
    const own = finder(() => feed)
    const alerted = (rule: string) => own('alert', rule, ({ alert }) => alert?.rule === rule)

    before(async () => {
      host = await startRun({ runcRoot: root, policies: [policyFile(POLICY)] })
      feed = host.feed()
    })
    after(async () => {
      await feed?.close()
      await host?.stop()
    })

    test('names in DNS, whatever their case', async () => {
      await container.exec(['nslookup', '-type=a', 'www.example', '127.0.0.1'])
      await container.exec(['nslookup', '-type=a', 'A.Forbidden.EXAMPLE', '127.0.0.1'])
      const { alert, dns } = await alerted('a forbidden name is asked for')
      assert.equal(alert?.output, 'nslookup asked for a.forbidden.example (A) of 127.0.0.1:53')
      assert.equal(alert?.cause.kind, 'dns')
      assert.equal(dns?.query, 'a.forbidden.example')
      await container.exec(['nslookup', '-type=a', 'rebind.example', '127.0.0.1'])
      assert.deepEqual((await alerted('an answer names loopback')).dns?.message, 'answer')
    })

    test('servers and hosts', async () => {
      const hello = (await realHello('Forbidden.Example', ['h2'])).toString('hex')
      await container.exec(['talk', 'dial', '0', '127.0.0.1', '443', 'write', '0', hello])
      assert.equal((await alerted('a forbidden server')).tls?.sni, 'forbidden.example')
      const ask = (path: string) =>
        container.exec([
          'wget',
          '-q',
          '-O',
          '-',
          '--header',
          'Host: Forbidden.example:81',
          `http://127.0.0.1:8080${path}`,
        ])
      await ask('/public')
      await ask('/private/x')
      assert.equal((await alerted('a forbidden host')).http?.path, '/private/x')
    })

    test('what no rule holds for is not recorded', async () => {
      await reachEnd(feed, 'activity', container)
      const names = await host.events('--container', name)
      const kinds = names.filter(({ kind }) => kind === 'dns' || kind === 'tls' || kind === 'http')
      assert.deepEqual(
        kinds.map(({ dns, tls, http }) => dns?.query ?? tls?.sni ?? http?.path),
        ['a.forbidden.example', 'rebind.example', 'forbidden.example', '/private/x'],
      )
    })
  })
})
