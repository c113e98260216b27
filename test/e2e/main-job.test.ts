/** The main job on a real Docker: what containers do is seen, named, stored and shown. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord, RecordKind } from '../../src/record/model.js'
import { type Dockerd, startDockerd } from '../support/dockerd.js'
import { type Feed, type Host, hullguard, startRun } from '../support/hullguard.js'
import { requires, run, runOk, uniqueName, waitFor } from '../support/process.js'

const skip = requires({ root: true, commands: ['dockerd', 'docker', 'runc', 'busybox', 'ip'] })

/** Kept until the test says so, so that its memory is sampled (every 10 s). */
const UNTIL_TOLD = 'while [ ! -e /tmp/end ]; do sleep 1; done'

describe('the main job with Docker', { skip }, () => {
  let docker: Dockerd
  let imageId: string
  let host: Host
  let feed: Feed
  let gateway: string
  const earlier = uniqueName('earlier')
  const name = uniqueName('job')
  let id: string
  const own = (kind: RecordKind, more: (record: HullguardRecord) => boolean = () => true) =>
    feed.find(
      `a ${kind} of ${name}`,
      (record) => record.kind === kind && record.container.name === name && more(record),
    )
  const runs =
    (...args: readonly string[]) =>
    ({ process }: HullguardRecord) =>
      process?.args.join(' ') === args.join(' ')

  before(async () => {
    docker = await startDockerd(undefined, { bridge: true })
    imageId = await docker.import('demo/web:1')
    await docker.start(['--name', earlier, 'demo/web:1', 'sh', '-c', `sleep 500 & ${UNTIL_TOLD}; exit 3`])
    host = await startRun({ dockerSocket: docker.socket })
    feed = host.feed()
    gateway = /inet ([\d.]+)/.exec(await runOk('ip', ['-4', 'addr', 'show', docker.bridge ?? '']))?.[1] ?? ''
    id = await docker.start([
      ...['--name', name, '--label', 'tier=web', '--memory', '64m', 'demo/web:1'],
      ...['sh', '-c', `nc -w 1 ${gateway} 9; ${UNTIL_TOLD}; exit 7`],
    ])
  })
  after(async () => {
    await feed?.close()
    await host?.stop().finally(() => docker?.stop())
  })

  test('the shell command shows with container name, image, image id, runtime, labels, arguments and user', async () => {
    const { container, process, exec } = await own('exec', ({ process }) => process?.args[1] === '-c')
    assert.deepEqual(
      { ...container, labels: { ...container.labels } },
      {
        state: 'container',
        id,
        name,
        image: 'demo/web:1',
        imageId,
        runtime: 'docker',
        labels: { tier: 'web' },
        outerIds: [],
      },
    )
    assert.deepEqual(process?.args, ['sh', '-c', `nc -w 1 ${gateway} 9; ${UNTIL_TOLD}; exit 7`])
    assert.equal(process.user, 'root')
    assert.equal(process.cwd, '/')
    assert.equal(exec?.path, '/bin/sh')
    assert.equal(exec.file, '/bin/busybox')
    assert.ok(exec.inode > 0n)
    assert.deepEqual([exec.argsTruncated, exec.pathTruncated, exec.memfd, exec.script], [false, false, false, ''])
    const pid = Number(await docker.docker(['inspect', '--format', '{{.State.Pid}}', id]))
    assert.equal(process.pid, pid)
  })

  test('a connect shows with address, port and the process that made it', async () => {
    const { connect, process } = await own('connect')
    const { localIp, localPort = 0, socketId = 0n, ...rest } = connect ?? {}
    assert.deepEqual(rest, {
      ...{ ip: gateway, port: 9, proto: 'tcp', family: 'ipv4', repeatsCount: 0 },
      ...{ result: 'failed', error: 'ECONNREFUSED' },
    })
    assert.equal(localIp, await docker.docker(['inspect', '--format', '{{.NetworkSettings.IPAddress}}', id]))
    assert.ok(localPort > 0 && socketId > 0n)
    assert.deepEqual(process?.args, ['nc', '-w', '1', gateway, '9'])
    assert.equal(process.invoked, '/bin/nc')
    assert.equal(process.parent?.exe, '/bin/busybox')
  })

  test('its start is recorded, and its memory with the limit', async () => {
    const start = await own('container', ({ containerChange }) => containerChange?.change === 'start')
    assert.ok(start.containerChange?.cgroup.includes(id))
    // one that was taken while the runtime still prepared the container has none yet
    const { sample } = await own('sample', (record) => record.sample?.memoryLimitBytes !== undefined)
    assert.ok(sample !== undefined)
    assert.equal(sample.memoryLimitBytes, 64n * 1024n * 1024n)
    assert.ok(sample.memoryCurrentBytes > 0n)
    assert.ok(sample.memoryPeakBytes >= sample.memoryCurrentBytes)
    assert.ok(sample.memoryInactiveFileBytes <= sample.memoryCurrentBytes)
  })

  test('a docker exec shows; what the runtime itself does inside is marked as setup, the program is not', async () => {
    assert.equal((await docker.tryDocker(['exec', name, 'sh', '-c', 'exit 5'])).code, 5)
    const { process } = await own('exec', runs('sh', '-c', 'exit 5'))
    assert.equal(process?.phase, 'run')
    const exit = await own('exit', ({ process: ended }) => ended?.pid === process?.pid)
    assert.equal(exit.exit?.code, 5)
    const setup = await own('exit', (record) => record.process?.phase === 'setup')
    assert.equal(setup.exit?.code, 0, "the runtime's own child ended well")
    assert.deepEqual(
      feed
        .all((record) => record.kind === 'exec' && record.container.name === name && record.process?.phase === 'setup')
        // runc runs a copy of itself; often, but not always, before it is put into the container
        .filter(({ process: program }) => program?.args.join(' ') !== 'runc init')
        .map(({ exec }) => exec?.path),
      [],
      'no program of the user counts as setup',
    )
  })

  test('a container that ran before the agent is known with its processes', async () => {
    const { container, containerChange } = await feed.find(
      'the record of the earlier container',
      ({ kind, container }) => kind === 'container' && container.name === earlier,
    )
    assert.equal(containerChange?.change, 'update')
    assert.equal(container.image, 'demo/web:1')
    const pid = Number(await docker.docker(['inspect', '--format', '{{.State.Pid}}', earlier]))
    await docker.docker(['exec', earlier, 'touch', '/tmp/end'])
    const exit = await feed.find('its exit', ({ kind, process }) => kind === 'exit' && process?.pid === pid)
    assert.equal(exit.exit?.code, 3)
    assert.deepEqual(exit.process?.args, ['sh', '-c', `sleep 500 & ${UNTIL_TOLD}; exit 3`])
    assert.equal(exit.process.cwd, '/')
    const killed = await feed.find(
      'the end of its child',
      ({ kind, container, process }) => kind === 'exit' && container.name === earlier && process?.args[1] === '500',
    )
    assert.equal(killed.exit?.signalName, 'SIGKILL')
    assert.equal(killed.exit.code, 0)
  })

  test('the exit shows with its code, and the stop of the container after it', async () => {
    await docker.docker(['exec', name, 'touch', '/tmp/end'])
    assert.equal((await docker.docker(['wait', name])).trim(), '7')
    const exit = await own(
      'exit',
      ({ process }) => process?.args[1] === '-c' && process.args[2]?.endsWith('exit 7') === true,
    )
    assert.equal(exit.exit?.code, 7)
    assert.equal(exit.exit.signal, 0)
    assert.ok(exit.exit.runtimeNs > 0n)
    const stop = await own('container', ({ containerChange }) => containerChange?.change === 'stop')
    assert.ok(stop.seq > exit.seq)
  })

  test('`events` picks by container, id and kind, as text and as JSON', async () => {
    const byId = await host.events('--container', id.slice(0, 12), 'exit')
    assert.ok(byId.length > 0)
    assert.ok(byId.every(({ kind, container }) => kind === 'exit' && container.id === id))
    const seqsShown = () =>
      feed.all(({ container }) => container.name === name).map(({ seq, lane }) => `${lane} ${seq}`)
    const shownBefore = seqsShown()
    const stored = await host.events('--container', name)
    assert.ok(stored.every((record, index) => index === 0 || (stored[index - 1]?.timeNs ?? 0n) <= record.timeNs))
    // Each holds what the other had before: a follower is a little behind the store.
    const seqs = stored.map(({ seq, lane }) => `${lane} ${seq}`)
    assert.equal(new Set(seqs).size, seqs.length)
    assert.deepEqual(
      shownBefore.filter((seq) => !seqs.includes(seq)),
      [],
    )
    await waitFor('all that is stored to be shown', () => {
      const shown = new Set(seqsShown())
      return seqs.every((seq) => shown.has(seq))
    })
    const text = await hullguard(['events', '--data-dir', host.dataDir, '--container', name])
    assert.equal(text.code, 0)
    assert.match(text.stdout, new RegExp(` ${name} +exit +code 7, after `))
    assert.match(text.stdout, new RegExp(` ${name} +connect +${gateway}:9/tcp `))
    const none = await hullguard(['events', '--data-dir', host.dataDir, '--container', 'nobody', '--json'])
    assert.deepEqual([none.code, none.stdout], [0, ''])
    const two = await hullguard(['events', '--data-dir', host.dataDir, '--limit', '2', '--json'])
    assert.equal(two.stdout.trim().split('\n').length, 2)
  })

  test('times are the wall clock, and what a task did stands in its order', async () => {
    const records = feed.all(({ lane, container }) => lane === 'activity' && container.name === name)
    const newest = records.at(-1)
    assert.ok(newest !== undefined)
    assert.ok(Math.abs(Number(newest.timeNs / 1_000_000n) - Date.now()) < 60_000)
    const byTask = new Map<number, bigint>()
    for (const { process, bootNs } of records) {
      if (process === undefined) continue
      assert.ok(bootNs >= (byTask.get(process.tid) ?? 0n), 'what one task did stands in the order in which it did it')
      byTask.set(process.tid, bootNs)
    }
  })

  test('each record holds the keys that the documentation promises, no more and no fewer', async () => {
    const head = ['time', 'boot_ns', 'agent', 'epoch', 'lane', 'seq', 'kind', 'container']
    const bodies: Partial<Record<RecordKind, Record<string, string>>> = {
      exec: {
        path: 'string',
        file: 'string',
        script: 'string',
        dev: 'number',
        inode: 'decimal',
        args_truncated: 'boolean',
        path_truncated: 'boolean',
        memfd: 'boolean',
        foreign_root: 'boolean',
        multicall: 'boolean',
        upper_layer: 'boolean',
        refused: 'boolean',
        deleted: 'boolean',
      },
      fork: { child_pid: 'number', child_start_ns: 'decimal' },
      exit: { code: 'number', signal: 'number', signal_name: 'string', core_dumped: 'boolean', runtime_ns: 'decimal' },
      connect: {
        ...{ ip: 'string', port: 'number', proto: 'string', family: 'string', repeats_count: 'number' },
        ...{ result: 'string', socket_id: 'decimal', error: 'string', local_ip: 'string', local_port: 'number' },
      },
      sample: {
        memory_current_bytes: 'decimal',
        memory_peak_bytes: 'decimal',
        memory_limit_bytes: 'decimal',
        memory_inactive_file_bytes: 'decimal',
      },
    }
    for (const [kind, fields] of Object.entries(bodies)) {
      const line = feed.lines.find((_, index) => {
        const record = feed.records[index]
        if (record?.kind !== kind || record.container.name !== name || record.process?.phase === 'setup') return false
        return record.sample === undefined || record.sample.memoryLimitBytes !== undefined
      })
      assert.ok(line !== undefined, `there is a record of kind ${kind}`)
      const json = JSON.parse(line) as Record<string, Record<string, unknown>>
      const hasProcess = kind !== 'sample'
      assert.deepEqual(Object.keys(json), [...head, ...(hasProcess ? ['process'] : []), kind])
      assert.match(String(json.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
      assert.deepEqual([typeof json.boot_ns, typeof json.seq, typeof json.epoch], ['string', 'string', 'number'])
      assert.deepEqual(Object.keys(json.container ?? {}), [
        'id',
        'name',
        'image',
        'image_id',
        'runtime',
        'labels',
        'state',
        'outer_ids',
      ])
      if (hasProcess) {
        assert.deepEqual(Object.keys(json.process ?? {}), [
          ...['pid', 'tid', 'start_ns', 'exe', 'invoked', 'args', 'cwd', 'uid', 'gid', 'user', 'phase', 'parent'],
        ])
        assert.deepEqual(Object.keys(json.process?.parent ?? {}), ['pid', 'start_ns', 'exe'])
      }
      const types = Object.fromEntries(
        Object.entries(json[kind] ?? {}).map(([key, value]) => [
          key,
          typeof value === 'string' && fields[key] === 'decimal' && /^\d+$/.test(value) ? 'decimal' : typeof value,
        ]),
      )
      assert.deepEqual(types, fields, kind)
    }
  })

  test("the host itself is nobody's business without a policy that names it", async () => {
    const marker = uniqueName('/host-marker')
    await run('busybox', ['true', marker])
    await docker.docker(['run', '--rm', '--name', uniqueName('later'), 'demo/web:1', 'true', marker])
    await feed.find("the container's own", ({ process }) => process?.args[1] === marker)
    assert.deepEqual(
      feed.all(({ process, container }) => process?.args.includes(marker) === true && container.state !== 'container'),
      [],
    )
  })
})
