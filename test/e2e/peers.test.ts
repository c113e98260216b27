/** Who is at the other end: containers of one host that talk to each other name each other, over TCP and unix sockets. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord, RecordKind } from '../../src/record/model.js'
import { type Dockerd, startDockerd } from '../support/dockerd.js'
import { type Feed, type Host, hullguard, scratchDir, startRun } from '../support/hullguard.js'
import { requires, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { compileTalk } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['dockerd', 'docker', 'ip', 'gcc', 'busybox'] })

const IMAGE = 'peers/talk:1'
/** As /proc/net/unix shows it of a socket that listens. */
const SO_ACCEPTCON = '00010000'

/** In the network namespace of that process. */
const listensAt = (path: string, pid: number) =>
  readFileSync(`/proc/${pid}/net/unix`, 'utf8')
    .split('\n')
    .some((line) => line.endsWith(` ${path}`) && line.split(' ')[3] === SO_ACCEPTCON)

describe('peers', { skip }, () => {
  let docker: Dockerd
  let host: Host
  let feed: Feed
  const ids: Record<string, string> = {}

  const own = (kind: RecordKind, name: string, what: string, wanted: (record: HullguardRecord) => boolean) =>
    feed.find(what, (record) => record.kind === kind && record.container.name === name && wanted(record))

  before(async () => {
    const rootfs = await makeRootfs(scratchDir(), { copies: { 'bin/talk': await compileTalk(scratchDir()) } })
    docker = await startDockerd(undefined, { bridge: true })
    await docker.import(IMAGE, { rootfs })
    host = await startRun({ dockerSocket: docker.socket, args: ['--activity', 'sharing'] })
    feed = host.feed()
    const serve = 'listen 0 0.0.0.0 9000 5 accept 1 0 receive 1 4 send 1 6 close 1 pause'
    ids.server = await docker.start(['--interactive', '--name', 'server', IMAGE, 'talk', ...serve.split(' ')])
    await own('listen', 'server', 'the listen', ({ listen }) => listen?.port === 9000)
  })
  after(async () => {
    await feed?.close()
    await host?.stop()
    await docker?.stop()
  })

  test('of a connection between two containers of a bridge: connect, accept and both closes', async () => {
    const format = '{{.NetworkSettings.IPAddress}}'
    const ip = (await docker.docker(['inspect', '--format', format, 'server'])).trim()
    const steps = `dial 0 ${ip} 9000 send 0 4 receive 0 6 close 0`
    ids.client = await docker.start(['--name', 'client', IMAGE, 'talk', ...steps.split(' ')])
    const connect = await own('connect', 'client', 'the connect', (record) => record.connect?.port === 9000)
    const accept = await own('accept', 'server', 'the accept', (record) => record.accept?.localPort === 9000)
    const server = { id: ids.server, name: 'server', image: IMAGE, pid: accept.process?.pid }
    const client = { id: ids.client, name: 'client', image: IMAGE, pid: connect.process?.pid }
    assert.deepEqual([connect.connect?.result, connect.connect?.peer], ['established', server])
    assert.deepEqual(accept.accept?.peer, client)
    assert.deepEqual(
      [accept.accept?.ip, accept.accept?.port],
      [connect.connect?.localIp, connect.connect?.localPort],
      'both ends are of one connection',
    )
    const out = await own('close', 'client', "the client's close", (record) => record.close?.role === 'connect')
    const into = await own('close', 'server', "the server's close", (record) => record.close?.role === 'accept')
    assert.deepEqual([out.close?.peer, into.close?.peer], [server, client])
    assert.deepEqual([out.close?.sentBytes, into.close?.receivedBytes], [4n, 4n])
    assert.deepEqual([out.close?.socketId, into.close?.socketId], [connect.connect?.socketId, accept.accept?.socketId])
    const { stdout } = await hullguard(['events', '--data-dir', host.dataDir, '--limit', '100000'])
    assert.match(stdout, /connect +10\.\S+:9000\/tcp from \S+, established \(container server\)/)
    assert.match(stdout, /accept +\S+ on \S+:9000\/tcp \(container client\)/)
  })

  test('a connection within one container names that container; one to where nobody is names none', async () => {
    const steps = 'listen 0 127.0.0.1 9001 5 dial 1 127.0.0.1 9001 accept 2 0 close 1 close 2 dial 3 127.0.0.1 9'
    const id = await docker.start(['--name', 'alone', IMAGE, 'talk', ...steps.split(' ')])
    const connect = await own('connect', 'alone', 'the connect', (record) => record.connect?.port === 9001)
    assert.deepEqual([connect.connect?.peer?.id, connect.connect?.peer?.name], [id, 'alone'])
    const refused = await own('connect', 'alone', 'the refused connect', (record) => record.connect?.port === 9)
    assert.deepEqual([refused.connect?.error, refused.connect?.peer], ['ECONNREFUSED', undefined])
  })

  test('of a unix socket on a volume that two containers share, and of one of the host', async () => {
    const shared = ['--volume', `${scratchDir()}:/shared`, '--volume', `${docker.dir}:/daemon`]
    const serve = 'unix-listen 0 /shared/s accept 1 0 pause'
    const id = await docker.start([
      '--interactive',
      ...shared,
      '--name',
      'unix-server',
      IMAGE,
      'talk',
      ...serve.split(' '),
    ])
    const run = await own('exec', 'unix-server', 'its start', (record) => record.exec?.path === '/bin/talk')
    const { pid = 0, startNs = 0n } = run.process ?? {}
    await waitFor('its socket to listen', () => listensAt('/shared/s', pid))
    const dial = 'unix-dial 0 /shared/s unix-dial 1 /daemon/docker.sock'
    await docker.start([...shared, '--name', 'unix-client', IMAGE, 'talk', ...dial.split(' ')])
    const isTo = (path: string) => (record: HullguardRecord) => record.call?.path === path
    const { call } = await own('unix_connect', 'unix-client', 'the connect', isTo('/shared/s'))
    assert.deepEqual(
      [call?.call, call?.result, call?.socket?.family, call?.socket?.type],
      ['connect', 0n, 'unix', 'stream'],
    )
    assert.deepEqual(call?.target, { pid, startNs, exe: '/bin/talk', containerId: id, containerName: 'unix-server' })
    const daemon = await own(
      'unix_connect',
      'unix-client',
      "the daemon's",
      (record) => record.call?.target?.pid === docker.pid,
    )
    assert.deepEqual([daemon.call?.target?.containerId, daemon.call?.target?.containerName], ['', ''])
    assert.match(daemon.call?.path ?? '', /docker\.sock$/)
    const { stdout } = await hullguard(['events', '--data-dir', host.dataDir, '--limit', '100000'])
    assert.match(stdout, /unix_connect +\/shared\/s .*unix-server/)
  })
})
