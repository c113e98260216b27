/** An agent that is killed under load and started again knows containers, their processes and sockets as if it had been there. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HullguardRecord } from '../../src/record/model.js'
import { makeCgroup, removeCgroup, testCgroupPath } from '../support/cgroup.js'
import { freePort } from '../support/free-port.js'
import { type Feed, type Host, scratchDir, startRun } from '../support/hullguard.js'
import { metric } from '../support/metrics.js'
import { requires, uniqueName, waitFor } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox', 'bpftool'] })

/** A server, a process that is going to leave the container's cgroup, and load. */
const LOAD = `
nc -ll -p 8080 -e /bin/true &
sh -c 'while :; do /bin/true stray; sleep 0.1; done' strayer &
while :; do /bin/true beat; sleep 0.02; done`

const hex = (value: bigint | number, sizeBytes: number) =>
  Array.from({ length: sizeBytes }, (_, at) =>
    ((BigInt(value) >> BigInt(8 * at)) & 0xffn).toString(16).padStart(2, '0'),
  )

/** Of a process that holds the map open. */
function mapIdOf(pid: number, name: string): number {
  const folder = `/proc/${pid}/fdinfo`
  const ids = readdirSync(folder).flatMap((fd) => {
    try {
      return /^map_id:\s*(\d+)/m.exec(readFileSync(join(folder, fd), 'utf8'))?.[1] ?? []
    } catch {
      return [] // closed meanwhile
    }
  })
  const id = ids.find((each) => {
    const shown = spawnSync('bpftool', ['-j', 'map', 'show', 'id', each], { encoding: 'utf8' })
    return (JSON.parse(shown.stdout) as { name?: string }).name === name
  })
  if (id === undefined) throw new Error(`process ${pid} has no map ${name}`)
  return Number(id)
}

describe('an agent that starts again', { skip }, () => {
  const [dataDir, root] = [scratchDir(), scratchDir()]
  const outside = testCgroupPath('outside')
  let rootfs: string
  let host: Host
  let feed: Feed
  let container: RuncContainer
  let strayer: number
  let port: number

  const isExecOf = (word: string) => (record: HullguardRecord) =>
    record.kind === 'exec' && record.process?.args.at(-1) === word
  const isMine = ({ container: { id } }: HullguardRecord) => id === container.id

  before(async () => {
    rootfs = await makeRootfs(scratchDir())
    host = await startRun({ dataDir, runcRoot: root })
    feed = host.feed()
    container = await runcRun({ rootfs, root, id: uniqueName('again'), args: ['/bin/sh', '-c', LOAD] })
    const seen = await feed.find('the stray process', isExecOf('stray'))
    strayer = seen.process?.parent?.pid ?? 0
    await feed.find('the load', isExecOf('beat'))
    await feed.close()
    writeFileSync(join(makeCgroup(outside), 'cgroup.procs'), String(strayer))
    await sleep(300)
    await host.kill()
    await sleep(500) // nobody watches
    port = await freePort()
    host = await startRun({ dataDir, runcRoot: root, args: ['--metrics', `127.0.0.1:${port}`] })
    feed = host.feed()
  })
  after(async () => {
    await feed?.close()
    await host?.stop()
    await container?.remove()
    await removeCgroup(outside)
  })

  /** Of the second start. */
  const find = (what: string, wanted: (record: HullguardRecord) => boolean) =>
    feed.find(what, (record) => record.epoch === 2 && wanted(record))

  test('the container, with its name', async () => {
    const { container: found } = await find('the container', (record) => record.kind === 'container' && isMine(record))
    assert.deepEqual([found.state, found.name, found.runtime], ['container', container.id, 'runc'])
  })

  test('a process that was there before, with its program, arguments and directory', async () => {
    const { process } = await find('a fork of the first process', ({ kind, process: who }) => {
      return kind === 'fork' && who?.pid === container.pid
    })
    assert.deepEqual([process?.exe, process?.cwd, process?.args], ['/bin/busybox', '/', ['/bin/sh', '-c', LOAD]])
    const { process: child } = await find('the load', (record) => isExecOf('beat')(record) && isMine(record))
    assert.deepEqual([child?.parent?.pid, child?.phase], [container.pid, 'run'])
  })

  test('a process that had left its cgroup, and its children', async () => {
    const { process, container: found } = await find('the stray process', isExecOf('stray'))
    assert.equal(found.id, container.id)
    assert.equal(process?.parent?.pid, strayer)
  })

  test('a listening socket that was there before: who accepts', async () => {
    await container.exec(['/bin/sh', '-c', 'echo | nc -w 1 127.0.0.1 8080'])
    const { process, accept } = await find(
      'the accepted connection',
      (record) => record.kind === 'accept' && isMine(record),
    )
    assert.equal(process?.args.join(' '), 'nc -ll -p 8080 -e /bin/true')
    assert.equal(accept?.localPort, 8080)
  })

  test('the epoch before has its records, and nothing of it is doubled', async () => {
    const records = await host.events()
    for (const epoch of [1, 2]) assert.ok(records.some((record) => record.epoch === epoch && isExecOf('beat')(record)))
    const keys = records.map(({ epoch, lane, seq }) => `${epoch} ${lane} ${seq}`)
    assert.equal(new Set(keys).size, keys.length)
  })

  test('a table of the kernel that is full: the agent goes on, observes what comes, and says so', async () => {
    const id = mapIdOf(host.pid, 'containers')
    const shown = spawnSync('bpftool', ['-j', 'map', 'show', 'id', String(id)], { encoding: 'utf8' })
    const { max_entries: maxCount } = JSON.parse(shown.stdout) as { max_entries: number }
    // no cgroup has an id this high
    const fill = Array.from({ length: maxCount }, (_, index) =>
      ['map update id', id, 'key hex', ...hex((1n << 62n) + BigInt(index), 8), 'value hex', ...hex(0, 24)].join(' '),
    )
    const batch = join(scratchDir(), 'fill')
    writeFileSync(batch, `${fill.join('\n')}\n`)
    assert.match(spawnSync('bpftool', ['batch', 'file', batch], { encoding: 'utf8' }).stderr, /Argument list too long/)

    const late = await runcRun({
      rootfs,
      root,
      id: uniqueName('late'),
      args: ['/bin/sh', '-c', 'sleep 1; exec /bin/true late'],
    })
    try {
      const words = new RegExp(
        `^the kernel has no room for container ${late.id}, it is observed only: .*Argument list too long`,
      )
      await find('that it is only observed', ({ agentChange }) => words.test(agentChange?.message ?? ''))
      const { container: found } = await find('what it does', isExecOf('late'))
      assert.deepEqual([found.id, found.state], [late.id, 'container'])
      assert.ok((await metric(port, 'containers_unplaced_total')) >= 1)
      await waitFor("the kernel's count", async () => {
        const series = 'sensor_kernel_drops_total{cause="containers_full",kind="cgroup_mkdir"}'
        return (await metric(port, series)) >= 1 || undefined
      })
    } finally {
      await late.remove()
    }
  })
})
