import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { DockerAdapter } from '../../src/container/docker.js'
import { DockerApi, type DockerEvent } from '../../src/container/docker-api.js'
import { Counters } from '../../src/telemetry/counters.js'
import { makeTempDir, removeDir, waitFor } from '../support/process.js'

const ID = '7f6a314ef338678fb38235f54a816a685de96d6fcb79af0a67f87df7959e30df'
const IMAGE_ID = 'sha256:a9d97c3877437dae134a9eb11abe0fe265f53421177c956d593e3f5bab170459'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

let dir = ''
let server: Server | undefined
beforeEach(() => {
  dir = makeTempDir()
})
afterEach(async () => {
  server?.closeAllConnections()
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())))
  server = undefined
  removeDir(dir)
})

async function serve(handler: Handler): Promise<string> {
  const path = join(dir, 'docker.sock')
  const started = createServer(handler)
  server = started
  await new Promise<void>((resolve) => started.listen(path, resolve))
  return path
}

function adapter(socketPath: string, counters = new Counters()): DockerAdapter {
  return new DockerAdapter({ socketPath, hostRoot: dir, counters, nowMs: Date.now })
}

/** As dockerd 20.10 writes it, shortened. */
function writeContainer(root: string, state: object = { Running: true, Pid: 14084 }): void {
  const at = join(dir, root, 'containers', ID)
  mkdirSync(at, { recursive: true })
  const config = {
    State: state,
    ID,
    Created: '2026-11-23T06:37:01.429073606Z',
    Config: { Image: 'demo/x:1', Labels: { tier: 'web' } },
    Image: IMAGE_ID,
    Name: '/aa',
    MountPoints: {
      '/data': { Source: '/srv/data', Destination: '/data', RW: false, Propagation: 'rprivate', Relabel: 'ro' },
    },
  }
  writeFileSync(join(at, 'config.v2.json'), JSON.stringify(config))
  writeFileSync(join(at, 'hostconfig.json'), JSON.stringify({ Privileged: true, CgroupParent: '/p' }))
}

test('the state directory gives name, image, image id, labels, pid and privilege', () => {
  writeContainer('var/lib/docker')
  const facts = adapter(join(dir, 'none.sock')).readState(ID)
  assert.deepEqual(
    { ...facts, labels: { ...facts?.labels } },
    {
      id: ID,
      name: 'aa',
      image: 'demo/x:1',
      imageId: IMAGE_ID,
      runtime: 'docker',
      labels: { tier: 'web' },
      privileged: true,
      user: '',
      mounts: [{ source: '/srv/data', destination: '/data', mode: 'ro', isWritable: false, propagation: 'rprivate' }],
      createdMs: Date.parse('2026-11-23T06:37:01.429Z'),
      pid: 14084,
      cgroupParent: '/p',
    },
  )
})

test('a pid of a container that does not run is no pid', () => {
  writeContainer('var/lib/docker', { Running: false, Pid: 14084 })
  assert.equal(adapter(join(dir, 'none.sock')).readState(ID)?.pid, 0)
})

test('an id that is not 64 hex digits is never made into a path', () => {
  const docker = adapter(join(dir, 'none.sock'))
  for (const id of ['', '..', '../../../etc', 'a/b', ID.toUpperCase(), `${ID}/..`, `${ID}\n`]) {
    assert.equal(docker.readState(id), undefined)
  }
})

test('state of the wrong shape gives absent fields, and state that is no JSON is counted', () => {
  const counters = new Counters()
  const docker = adapter(join(dir, 'none.sock'), counters)
  const at = join(dir, 'var/lib/docker/containers', ID)
  mkdirSync(at, { recursive: true })
  writeFileSync(join(at, 'config.v2.json'), JSON.stringify({ ID, Name: 7, Config: [], Image: null, State: 'x' }))
  const facts = docker.readState(ID)
  assert.deepEqual([facts?.name, facts?.image, facts?.imageId, facts?.pid], ['', '', '', 0])
  writeFileSync(join(at, 'config.v2.json'), '{"ID":')
  assert.equal(docker.readState(ID), undefined)
  assert.equal(counters.get('container_state_unreadable_total'), 1)
})

test('the API version is negotiated down to the daemon’s and never above what is known', async () => {
  for (const [told, wanted] of [
    ['1.41', '/v1.41/info'],
    ['1.99', '/v1.56/info'],
    ['2.0', '/v1.56/info'],
    ['nonsense', '/info'],
  ] as const) {
    let asked = ''
    const path = await serve((request, response) => {
      if (request.url === '/_ping') response.writeHead(200, { 'Api-Version': told }).end('OK')
      else {
        asked = request.url ?? ''
        response.end('{"DockerRootDir":"/data"}')
      }
    })
    const api = new DockerApi(path)
    await api.negotiate()
    assert.equal(await api.dataRoot(), '/data')
    assert.equal(asked, wanted)
    await new Promise<void>((resolve) => server?.close(() => resolve()))
  }
})

test('hostile answers are refused: too long, not JSON, cut off, an array', async () => {
  const answers: Handler[] = [
    (_, response) => {
      const chunk = Buffer.alloc(64 * 1024, 0x20)
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      }
      response.on('drain', more)
      more()
    },
    (_, response) => response.end('\u0000\u0001 not json'),
    (_, response) => {
      response.writeHead(200, { 'Content-Length': '1000' })
      response.write('{', () => response.destroy())
    },
    (_, response) => response.end('[1,2]'),
    (request) => request.socket.end('garbage\r\n\r\n'),
  ]
  let current = 0
  const path = await serve((request, response) => answers[current]?.(request, response))
  const api = new DockerApi(path)
  for (current = 0; current < answers.length; current += 1) await assert.rejects(api.inspect(ID))
})

test('events come one by one whatever the chunks are, and nonsense between them is skipped', async () => {
  const lines = [
    '{"Action":"start","Actor":{"ID":"a"},"timeNano":5}',
    'junk',
    '[]',
    '{"status":"die","id":"é"}',
    '{"Action":"x"}',
  ]
  const bytes = Buffer.from(`${lines.join('\n')}\n`)
  const path = await serve((_, response) => {
    response.writeHead(200)
    for (const byte of bytes) response.write(Buffer.of(byte))
    response.end()
  })
  const events: DockerEvent[] = []
  await new DockerApi(path).events(
    0,
    new AbortController().signal,
    () => {},
    (event) => events.push(event),
  )
  assert.deepEqual(events, [
    { action: 'start', containerId: 'a', timeNs: 5 },
    { action: 'die', containerId: 'é', timeNs: 0 },
  ])
})

test('an endless event breaks the stream', async () => {
  const path = await serve((_, response) => {
    const chunk = Buffer.alloc(64 * 1024, 0x61)
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    }
    response.on('drain', more)
    more()
  })
  await assert.rejects(
    new DockerApi(path).events(
      0,
      new AbortController().signal,
      () => {},
      () => {},
    ),
    /longer than/,
  )
})

test('after a lost connection the events since the last one are asked for, and the new data root is used', async () => {
  const asked: string[] = []
  const path = await serve((request, response) => {
    if (request.url === '/_ping') response.end('OK')
    else if (request.url === '/info') response.end(JSON.stringify({ DockerRootDir: '/moved' }))
    else {
      asked.push(request.url ?? '')
      response.writeHead(200)
      response.write('{"Action":"rename","Actor":{"ID":"a"},"timeNano":1795415821000000000}\n')
      if (asked.length === 1) setTimeout(() => response.end(), 10)
    }
  })
  writeContainer('moved')
  const counters = new Counters()
  const docker = adapter(path, counters)
  const events: DockerEvent[] = []
  let connectedCount = 0
  assert.equal(docker.readState(ID), undefined, 'the data root is not known yet')
  await docker.start({ connected: () => (connectedCount += 1), event: (event) => events.push(event) })
  assert.equal(docker.readState(ID)?.name, 'aa')
  await waitFor('the second connection', () => events.length >= 2)
  await docker.stop()
  assert.equal(connectedCount, 2)
  assert.match(asked[1] ?? '', /^\/events\?since=1795415820\.\d{9}&filters=/)
  assert.equal(counters.get('container_docker_disconnects_total'), 1)
})

test('without a daemon start ends soon, and stop ends the attempts', async () => {
  const docker = adapter(join(dir, 'none.sock'))
  await docker.start({ connected: () => assert.fail('there is no daemon'), event: () => {} })
  assert.equal(docker.connected, false)
  assert.equal(await docker.inspect(ID), undefined)
  await docker.stop()
})
