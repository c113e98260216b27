/** `--activity`: what a container does to files, privileges and sockets becomes records, whole and safe to show. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { CallKind } from '../../src/record/call-model.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { compileCalls } from '../support/call-acts.js'
import { type Feed, type Host, hullguard, scratchDir, startRun } from '../support/hullguard.js'
import { requires, uniqueName } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'

const skip = requires({ root: true, commands: ['runc', 'busybox', 'gcc'] })

describe('activity of a container', { skip }, () => {
  const name = uniqueName('active')
  const root = scratchDir()
  let host: Host
  let feed: Feed
  let container: RuncContainer

  const own = (kind: CallKind, what: string, wanted: (record: HullguardRecord) => boolean) =>
    feed.find(what, (record) => record.kind === kind && record.container.name === name && wanted(record))

  before(async () => {
    const rootfs = await makeRootfs(scratchDir())
    await compileCalls(join(rootfs, 'bin'))
    host = await startRun({ runcRoot: root, args: ['--activity', 'file,privilege,sharing,network'] })
    feed = host.feed()
    container = await runcRun({ rootfs, root, id: name, args: ['/bin/sh', '-c', 'sleep 600'] })
  })
  after(async () => {
    await feed?.close()
    await host?.stop()
    await container?.remove()
  })

  test('opens, with the resolved file, its access and its result', async () => {
    await container.exec([
      'sh',
      '-c',
      'echo text > /tmp/../tmp/written; cat /tmp/none; ln -s written /tmp/link; cat /tmp/link',
    ])
    const made = await own('open', 'the open that made it', ({ call }) => call?.path === '/tmp/written' && call.created)
    assert.deepEqual(made.call?.access, ['write', 'create'])
    assert.match(made.call?.args.flags ?? '', /^O_WRONLY\|O_CREAT\|O_TRUNC/)
    assert.equal(made.call?.rawPath, '/tmp/../tmp/written')
    assert.equal(made.call?.fdKind, 'file')
    assert.equal(made.process?.exe.endsWith('/busybox'), true)
    const failed = await own('open', 'the open that failed', ({ call }) => call?.path === '/tmp/none')
    assert.equal(failed.call?.result, -2n)
    assert.equal(failed.call?.pathUnresolved, true)
    const linked = await own('open', 'the open through the link', ({ call }) => call?.rawPath === '/tmp/link')
    assert.equal(linked.call?.path, '/tmp/written')
    const link = await own('symlink', 'the link', ({ call }) => call?.path === '/tmp/link')
    assert.equal(link.call?.args.target_path, 'written')
  })

  test('names and owners', async () => {
    await container.exec([
      'sh',
      '-c',
      'cd /tmp; mkdir folder; mv written folder/moved; chmod 4755 folder/moved; chown 5:6 folder/moved; rm folder/moved; rmdir folder',
    ])
    const moved = await own('rename', 'the move', ({ call }) => call?.newPath === '/tmp/folder/moved')
    assert.equal(moved.call?.path, '/tmp/written')
    const chmod = await own('chmod', 'the chmod', ({ call }) => call?.path === '/tmp/folder/moved')
    assert.equal(chmod.call?.args.set_mode, '04755')
    const chown = await own('chown', 'the chown', ({ call }) => call?.path === '/tmp/folder/moved')
    assert.deepEqual([chown.call?.args.set_uid, chown.call?.args.set_gid], ['5', '6'])
    await own('unlink', 'the removal', ({ call }) => call?.path === '/tmp/folder/moved')
    await own('rmdir', "the folder's end", ({ call }) => call?.path === '/tmp/folder')
  })

  test('a signal names whom it went to', async () => {
    await container.exec(['sh', '-c', 'sleep 300 & kill -USR1 $!'])
    const signal = await own('signal', 'the signal', ({ call }) => call?.args.signal === 'SIGUSR1')
    assert.ok((signal.call?.target?.pid ?? 0) > 0)
    assert.notEqual(signal.call?.target?.pid, signal.process?.pid)
    assert.equal(signal.call?.target?.containerId, name)
  })

  test('sockets: made, bound, and waiting', async () => {
    await container.exec(['sh', '-c', 'nc -l -p 4711 -w 1 < /dev/null; true'])
    const bound = await own('bind', 'the bind', ({ call }) => call?.socket?.localPort === 4711)
    assert.equal(bound.call?.socket?.proto, 'tcp')
    const listening = await own('listen', 'the listen', ({ call }) => call?.socket?.localPort === 4711)
    assert.equal(listening.call?.result, 0n)
  })

  test('what an io_uring does, and what is shared by a key', async (context) => {
    if (process.arch !== 'x64') return context.skip('the numbers are those of x86-64')
    const done = await container.exec(['calls', 'sys', '29', '0x48474d', '4096', '01600', 'ring', '0'])
    const shared = await own('ipc', 'the shared memory', ({ call }) => call?.call === 'shmget')
    assert.deepEqual(shared.call?.args, { key: '0x48474d', size: '4096', flags: '01600' })
    if (!done.stdout.trim().endsWith('\n0 0')) return context.skip('no io_uring here')
    await container.exec(['calls', 'ring', '18', '-100', 's:/tmp/./by-ring', '0600', '0', '0102'])
    const opened = await own('open', 'the open', ({ call }) => call?.path === '/tmp/by-ring')
    assert.deepEqual([opened.call?.ioUring, opened.call?.call, opened.call?.created], [true, 'openat', true])
    assert.deepEqual([opened.call?.args.flags, opened.call?.args.create_mode], ['O_RDWR|O_CREAT', '0600'])
    assert.match(opened.process?.exe ?? '', /\/calls$/)
  })

  test('repeats are counted, not told one by one', async () => {
    await container.exec([
      'sh',
      '-c',
      'echo x > /tmp/often; for i in 1 2 3 4 5 6 7 8 9 10; do : < /tmp/often; done; echo done > /tmp/last',
    ])
    await own('open', 'the last', ({ call }) => call?.path === '/tmp/last')
    const { stdout } = await hullguard([
      'events',
      '--data-dir',
      host.dataDir,
      '--container',
      name,
      '--json',
      '--limit',
      '100000',
    ])
    const opens = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { kind: string; open?: { path: string; res: string; access: string[] } })
      .filter(({ kind, open }) => kind === 'open' && open?.path === '/tmp/often' && open.access.includes('read'))
    assert.equal(opens.length, 1)
    assert.equal(opens[0]?.open?.res, 'SUCCESS')
  })

  test('text for a terminal says what happened', async () => {
    const { stdout } = await hullguard(['events', '--data-dir', host.dataDir, '--container', name, '--limit', '100000'])
    assert.match(stdout, /open +\/tmp\/none flags=O_RDONLY.* failed: ENOENT/)
    assert.match(stdout, /rename +\/tmp\/written → \/tmp\/folder\/moved/)
  })
})
