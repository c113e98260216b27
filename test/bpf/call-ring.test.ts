/** programs/ring.bpf.c: what an io_uring does is told like the syscall of that name, by who asked for it, with every field. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { CallKind } from '../../src/record/call-model.js'
import { loadAddon } from '../../src/sensor/addon.js'
import { actBit } from '../../src/sensor/call-recipes.js'
import { Access, Act, CallFlag, FdKind } from '../../src/sensor/generated/abi.js'
import { sys, whyNoRings } from '../support/call-acts.js'
import {
  AT_FDCWD,
  CallStage,
  ENOENT,
  fileFacts,
  type Given,
  O_RDWR,
  O_WRONLY,
  POINTER,
  type StageDone,
  s,
  skipCalls,
} from '../support/call-stage.js'
import { freePort } from '../support/free-port.js'
import { actWord } from '../support/sensor-acts.js'

/** enum io_uring_op of include/uapi/linux/io_uring.h. */
const OP = {
  ...{ NOP: 0, SENDMSG: 9, RECVMSG: 10, ACCEPT: 13, CONNECT: 16, OPENAT: 18, SEND: 26, RECV: 27, OPENAT2: 28 },
  ...{ RENAMEAT: 35, UNLINKAT: 36, MKDIRAT: 37, SYMLINKAT: 38, LINKAT: 39, SOCKET: 45, SEND_ZC: 47 },
  ...{ SENDMSG_ZC: 48, FTRUNCATE: 55, BIND: 56, LISTEN: 57 },
} as const
const FORCE_ASYNC = 16
const SKIP_SUCCESS = 64
/** enum way of ring.c. */
const WAY = { FULL: 1, TWIN: 2, BEHIND: 3, HEIR: 4 } as const
/** What ring.c says when there is no completion. */
const WITHOUT_COMPLETION = 99999n
const DONE = CallFlag.IO_URING | CallFlag.HAS_RESULT
const CLAIMED = DONE | CallFlag.PATH_UNRESOLVED
/** MSG_NOSIGNAL, which a ring always adds, and MSG_ZEROCOPY, which is the opcode's. */
const ZERO_COPY = 0x4004000
const [INET, STREAM, TCP] = [2, 1, 6]
const LOOPBACK = `${'\0'.repeat(10)}\xff\xff\x7f\0\0\x01`
const ANY = `${'\0'.repeat(10)}\xff\xff\0\0\0\0`

describe('acts of an io_uring', { skip: skipCalls }, () => {
  let stage: CallStage
  let whyNot = ''
  before(async () => {
    stage = await CallStage.open()
    whyNot = await whyNoRings(stage.sensor, stage.dir)
  })
  after(() => stage.close())

  const ring = (op: keyof typeof OP, ...args: (string | number)[]) => ['ring', OP[op], ...args]
  const ringTest = (title: string, body: () => Promise<void>) =>
    test(title, async (context) => {
      if (whyNot !== '') return context.skip(whyNot)
      return body()
    })
  const at = (name: string) => stage.at(name)
  const doing = (kinds: CallKind | readonly CallKind[], ...words: (string | number)[]): Promise<StageDone> =>
    stage.doing(kinds, 'chdir', actWord(stage.dir), ...words)
  const told = (op: keyof typeof OP, act: number, rest: Given): Given => ({ nr: OP[op], act, flags: DONE, ...rest })
  const named = (raw: string): Given => ({ raw, path: at(raw), flags: CLAIMED })

  ringTest('opens: the resolved file of one that worked, the claimed path of one that did not', async () => {
    const file = at('real')
    writeFileSync(file, '')
    symlinkSync(file, at('soft'))
    const done = await doing(
      'open',
      ...ring('OPENAT', AT_FDCWD, s('./soft'), 0o600, 0, O_RDWR),
      ...ring('OPENAT', AT_FDCWD, s('none/../x'), 0, 0, O_WRONLY),
      ...ring('OPENAT2', AT_FDCWD, s('soft'), 24, `how:${O_WRONLY}:0:2`),
      // by a worker of the kernel, not by the program's own thread
      ...ring('OPENAT', AT_FDCWD, s('real'), 0, 0, 0, FORCE_ASYNC),
    )
    const own = { path: file, ...fileFacts(file) }
    const fdOf = (index: number) => ({ result: done.results[index] ?? -1n, fd: Number(done.results[index]) })
    stage.assertAll(
      done,
      told('OPENAT', Act.OPEN, {
        args: [AT_FDCWD, POINTER, O_RDWR, 0],
        facts: [O_RDWR, 0],
        access: Access.READ | Access.WRITE,
        raw: './soft',
        ...own,
        ...fdOf(0),
      }),
      told('OPENAT', Act.OPEN, {
        args: [AT_FDCWD, POINTER, O_WRONLY],
        facts: [O_WRONLY],
        access: Access.WRITE,
        result: ENOENT,
        ...named('none/../x'),
        path: at('x'),
      }),
      told('OPENAT2', Act.OPEN, {
        args: [AT_FDCWD, POINTER],
        facts: [O_WRONLY, 0, 2],
        access: Access.WRITE,
        raw: 'soft',
        ...own,
        ...fdOf(2),
      }),
      told('OPENAT', Act.OPEN, {
        args: [AT_FDCWD, POINTER],
        access: Access.READ,
        raw: 'real',
        ...own,
        ...fdOf(3),
      }),
    )
    assert.ok(done.events.every(({ pid, tid }) => pid === done.pid && tid === done.pid))
  })

  ringTest('names that are made, changed and removed', async () => {
    writeFileSync(at('old'), '')
    mkdirSync(at('sub'))
    const done = await doing(
      ['mkdir', 'rename', 'link', 'symlink', 'unlink'],
      ...ring('MKDIRAT', AT_FDCWD, s('made'), 0o700),
      ...ring('RENAMEAT', AT_FDCWD, s('old'), AT_FDCWD, s('sub/new'), 1),
      ...ring('LINKAT', AT_FDCWD, s('sub/new'), AT_FDCWD, s('hard')),
      ...ring('SYMLINKAT', AT_FDCWD, s('../any'), 0, s('softly')),
      ...ring('UNLINKAT', AT_FDCWD, s('hard')),
      ...ring('UNLINKAT', AT_FDCWD, s('made'), 0, 0, 0x200),
      ...ring('UNLINKAT', AT_FDCWD, s('hard')),
    )
    const to = (raw2: string) => ({ raw2, path2: at(raw2) })
    stage.assertAll(
      done,
      told('MKDIRAT', Act.MKDIR, { args: [AT_FDCWD, POINTER, 0o700], ...named('made') }),
      told('RENAMEAT', Act.RENAME, {
        args: [AT_FDCWD, POINTER, AT_FDCWD, POINTER, 1],
        ...named('old'),
        ...to('sub/new'),
      }),
      told('LINKAT', Act.LINK, { args: [AT_FDCWD, POINTER, AT_FDCWD, POINTER], ...named('sub/new'), ...to('hard') }),
      told('SYMLINKAT', Act.SYMLINK, { args: [POINTER, AT_FDCWD, POINTER], ...named('softly'), raw2: '../any' }),
      told('UNLINKAT', Act.UNLINK, { args: [AT_FDCWD, POINTER], ...named('hard') }),
      told('UNLINKAT', Act.UNLINK, { args: [AT_FDCWD, POINTER, 0x200], ...named('made') }),
      told('UNLINKAT', Act.UNLINK, { args: [AT_FDCWD, POINTER], ...named('hard'), result: ENOENT }),
    )
  })

  ringTest('sockets: made, bound, listening, accepting, sending, receiving, and files cut', async () => {
    const port = await freePort()
    const file = at('cut')
    writeFileSync(file, 'text')
    const done = await doing(
      ['socket', 'bind', 'listen', 'accept', 'send', 'recv', 'truncate'],
      ...ring('SOCKET', INET, 0, 0, STREAM),
      ...ring('BIND', '$0', `in:127.0.0.1:${port}`, 0, 16),
      ...ring('LISTEN', '$0', 0, 5),
      ...sys('socket', INET, STREAM, 0),
      ...ring('CONNECT', '$3', `in:127.0.0.1:${port}`, 0, 16),
      ...ring('ACCEPT', '$0', 0, 0, 0, 0x80000),
      ...ring('SEND', '$3', 'buf:4', 4, 0, 0x4000),
      ...ring('RECV', '$5', 'buf:9', 9, 0, 0x40),
      ...sys('open', s(file), O_RDWR),
      ...ring('FTRUNCATE', '$8', 0, 0, 2),
      ...ring('SEND_ZC', '$3', 'buf:5', 5, 0, 0x4000),
      ...ring('SENDMSG_ZC', '$3', `msg:127.0.0.1:${port}`, 1, 0, 0x4000),
    )
    const fdOf = (index: number) => Number(done.results[index])
    const [serverFd, clientFd, acceptedFd, fileFd] = [fdOf(0), fdOf(3), fdOf(5), fdOf(8)]
    assert.deepEqual([1, 2, 4, 9].map(fdOf), [0, 0, 0, 0])
    const socket = (fd: number, rest: Given) => (event: { inode: bigint; dev: number; remotePort: number }) => ({
      fd,
      family: INET,
      socketType: STREAM,
      proto: TCP,
      inode: event.inode,
      dev: event.dev,
      mode: 0o140777,
      fdKind: FdKind.SOCKET,
      ...rest,
      ...('remote' in rest && rest.remotePort === undefined ? { remotePort: event.remotePort } : {}),
    })
    const near = { local: LOOPBACK, localPort: port }
    const client = { local: LOOPBACK, localPort: done.events[4]?.remotePort ?? 0, remote: LOOPBACK, remotePort: port }
    stage.assertAll(
      done,
      socket(serverFd, told('SOCKET', Act.SOCKET, { args: [INET, STREAM], result: BigInt(serverFd), local: ANY })),
      socket(serverFd, told('BIND', Act.BIND, { args: [serverFd, 0, 16], ...near })),
      socket(serverFd, told('LISTEN', Act.LISTEN, { args: [serverFd, 5], ...near })),
      socket(clientFd, { call: 'socket', args: [INET, STREAM], result: BigInt(clientFd), local: ANY }),
      socket(
        acceptedFd,
        told('ACCEPT', Act.ACCEPT, {
          args: [serverFd, 0, 0, 0x80000],
          result: BigInt(acceptedFd),
          ...near,
          remote: LOOPBACK,
        }),
      ),
      socket(clientFd, told('SEND', Act.SEND, { args: [clientFd, 0, 4, 0x4000], result: 4n, ...client })),
      socket(
        acceptedFd,
        told('RECV', Act.RECV, { args: [acceptedFd, 0, 9, 0x40], result: 4n, ...near, remote: LOOPBACK }),
      ),
      told('FTRUNCATE', Act.TRUNCATE, { args: [fileFd, 2], fd: fileFd, path: file, ...fileFacts(file) }),
      socket(clientFd, told('SEND_ZC', Act.SEND, { args: [clientFd, 0, 5, ZERO_COPY], result: 5n, ...client })),
      socket(clientFd, told('SENDMSG_ZC', Act.SEND, { args: [clientFd, 0, ZERO_COPY], result: 1n, ...client })),
    )
    const connects = await stage.sensor.eventsOf(
      { id: done.events[0]?.cgroupId ?? 0n } as Parameters<typeof stage.sensor.eventsOf>[0],
      'connect',
    )
    assert.deepEqual(
      connects.map(({ port: to, pid }) => [to, pid]),
      [[port, done.pid]],
      'a connect of a ring passes the cgroup hook',
    )
  })

  ringTest('a request that asks for no completion is told when it is submitted, without a result', async () => {
    const done = await doing(
      ['open', 'mkdir'],
      ...ring('OPENAT', AT_FDCWD, s('/etc/passwd'), 0, 0, 0, SKIP_SUCCESS),
      ...ring('MKDIRAT', AT_FDCWD, s('silent'), 0o700, 0, 0, SKIP_SUCCESS),
    )
    assert.deepEqual(done.results, [WITHOUT_COMPLETION, WITHOUT_COMPLETION])
    assert.ok(existsSync(at('silent')))
    const asked = CallFlag.IO_URING | CallFlag.PATH_UNRESOLVED
    stage.assertAll(
      done,
      told('OPENAT', Act.OPEN, {
        args: [AT_FDCWD, POINTER],
        access: Access.READ,
        raw: '/etc/passwd',
        path: '/etc/passwd',
        flags: asked,
      }),
      told('MKDIRAT', Act.MKDIR, { args: [AT_FDCWD, POINTER, 0o700], ...named('silent'), flags: asked }),
    )
  })

  ringTest('a program that leaves no room for completions hides nothing', async () => {
    writeFileSync(at('unheard'), '')
    const full = (path: string, flags = 0) => ring('OPENAT', AT_FDCWD, s(path), 0, 0, 0, flags, 0, WAY.FULL)
    // the last by a worker of the kernel
    const done = await doing('open', ...full('unheard'), ...full('nothing'), ...full('nothing', FORCE_ASYNC))
    assert.deepEqual(done.results, [WITHOUT_COMPLETION, WITHOUT_COMPLETION, WITHOUT_COMPLETION])
    const asked: Given = { args: [AT_FDCWD, POINTER], access: Access.READ }
    stage.assertAll(
      done,
      (event) =>
        told('OPENAT', Act.OPEN, {
          ...asked,
          raw: 'unheard',
          path: at('unheard'),
          result: event.result,
          fd: Number(event.result),
          ...fileFacts(at('unheard')),
        }),
      told('OPENAT', Act.OPEN, { ...asked, ...named('nothing'), result: ENOENT }),
      told('OPENAT', Act.OPEN, { ...asked, ...named('nothing'), result: ENOENT }),
    )
    assert.ok((done.events[0]?.result ?? -1n) > 2n)
  })

  ringTest('a completion without room is no other’s that has the same user_data', async () => {
    const done = await doing('recv', ...ring('RECV', 0, 'buf:9', 9, 0, 0, 0, 0, WAY.TWIN))
    assert.deepEqual(done.results, [WITHOUT_COMPLETION])
    assert.deepEqual(
      done.events.map(({ nr, result, flags }) => [nr, result, flags]),
      [[OP.RECV, 4n, DONE]],
    )
  })

  ringTest('what a chain never did is told without a result, not with that of who gets its memory', async () => {
    const done = await doing('mkdir', ...ring('MKDIRAT', AT_FDCWD, s('never'), 0o700, 0, 0, 0, 0, WAY.BEHIND))
    assert.deepEqual(done.results, [WITHOUT_COMPLETION])
    assert.ok(!existsSync(at('never')))
    stage.assertAll(
      done,
      told('MKDIRAT', Act.MKDIR, {
        args: [AT_FDCWD, POINTER, 0o700],
        ...named('never'),
        flags: CallFlag.IO_URING | CallFlag.PATH_UNRESOLVED,
      }),
    )
  })

  ringTest('a request is told of who submitted it, whoever has the ring when it ends', async () => {
    const { sensor } = stage
    const outer = sensor.makeContainer({ acts: actBit('mkdir') })
    const inner = sensor.makeCgroup({ path: `${outer.path}/inner` })
    sensor.watch(inner)
    const cutCount = () => {
      sensor.sensor.publishCounters()
      return sensor.counters.get('sensor_kernel_drops_total', { cause: 'truncated', kind: 'call' })
    }
    const before = cutCount()
    const sinceBootNs = loadAddon().bootClockNs()
    const procs = s(`${inner.dir}/cgroup.procs`)
    const words = [...ring('MKDIRAT', AT_FDCWD, s('left'), 0o700, procs, 0, 0, 0, WAY.HEIR)]
    const done = await stage.acts.run(sensor, outer, ['chdir', actWord(stage.dir), ...words])
    assert.deepEqual(done.results, [WITHOUT_COMPLETION])
    // where the process stands is not the heir's to tell, so the path is what was given, and counted as cut
    stage.assertAll(
      { ...done, sinceBootNs },
      told('MKDIRAT', Act.MKDIR, {
        args: [AT_FDCWD, POINTER, 0o700],
        raw: 'left',
        flags: CallFlag.IO_URING | CallFlag.PATH_TRUNCATED,
      }),
    )
    assert.equal(done.events[0]?.pid, done.pid)
    assert.equal(cutCount() - before, 1)
    assert.deepEqual(await sensor.eventsOf(inner, 'call'), [])
  })

  ringTest('a file that becomes one of the ring’s own is told by the name that was asked for', async () => {
    writeFileSync(at('direct'), '')
    const done = await doing('open', ...ring('OPENAT', AT_FDCWD, s('direct'), 0, 0, 0, 0, 1))
    stage.assertAll(
      done,
      told('OPENAT', Act.OPEN, {
        args: [AT_FDCWD, POINTER],
        access: Access.READ,
        ...named('direct'),
      }),
    )
  })

  ringTest('what nobody wants is not reported', async () => {
    const done = await doing(
      'unlink',
      ...ring('OPENAT', AT_FDCWD, s('/etc/passwd')),
      ...ring('MKDIRAT', AT_FDCWD, s('m')),
    )
    stage.assertAll(done)
  })
})
