/** programs/call.bpf.c, files: each act is done in a container and every field is asserted, of success and failure. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { CallKind } from '../../src/record/call-model.js'
import { actBit } from '../../src/sensor/call-recipes.js'
import { Access, CallFlag, Drop, Kind } from '../../src/sensor/generated/abi.js'
import { sys } from '../support/call-acts.js'
import {
  AT_FDCWD,
  CallStage,
  EFAULT,
  ENOENT,
  fileFacts,
  O_CREAT,
  O_RDWR,
  O_WRONLY,
  POINTER,
  s,
  skipCalls,
} from '../support/call-stage.js'
import { actWord } from '../support/sensor-acts.js'

describe('acts on files', { skip: skipCalls }, () => {
  let stage: CallStage
  let dir: string

  before(async () => {
    stage = await CallStage.open()
    dir = stage.dir
  })
  after(() => stage.close())

  const doing = (kinds: CallKind | readonly CallKind[], ...words: (string | number)[]) => stage.doing(kinds, ...words)

  test('every field of open: the resolved file, not what the program wrote', async () => {
    const file = join(dir, 'real')
    writeFileSync(file, '')
    symlinkSync(file, join(dir, 'link'))
    const raw = `${dir}/./link`
    const done = await doing(
      'open',
      ...sys('openat', AT_FDCWD, s(raw), O_RDWR, 0o600),
      ...sys('open', s(raw), O_WRONLY),
      ...sys('name_to_handle_at', AT_FDCWD, s(file), '@handle', 'buf:8', 0),
      ...sys('open_by_handle_at', AT_FDCWD, '@handle', O_RDWR),
    )
    const facts = { path: file, ...fileFacts(file) }
    const fdOf = (index: number) => ({ result: done.results[index] ?? -1n, fd: Number(done.results[index]) })
    stage.assertAll(
      done,
      {
        call: 'openat',
        args: [AT_FDCWD, POINTER, O_RDWR, 0o600],
        facts: [O_RDWR, 0o600],
        access: Access.READ | Access.WRITE,
        raw,
        ...facts,
        ...fdOf(0),
      },
      { call: 'open', args: [POINTER, O_WRONLY], facts: [O_WRONLY], access: Access.WRITE, raw, ...facts, ...fdOf(1) },
      {
        call: 'open_by_handle_at',
        args: [AT_FDCWD, POINTER, O_RDWR],
        facts: [O_RDWR],
        access: Access.READ | Access.WRITE,
        ...facts,
        ...fdOf(3),
      },
    )
    assert.ok(done.events.every(({ pid }) => pid === done.pid))
  })

  test('every field of open when it failed: the claimed path, joined and marked', async () => {
    const raw = 'sub/../none//x/.'
    const done = await doing('open', 'chdir', actWord(dir), ...sys('open', s(raw), O_WRONLY, 0))
    stage.assertAll(done, {
      call: 'open',
      args: [POINTER, O_WRONLY],
      result: ENOENT,
      flags: CallFlag.HAS_RESULT | CallFlag.PATH_UNRESOLVED,
      facts: [O_WRONLY],
      access: Access.WRITE,
      path: `${dir}/none/x`,
      raw,
    })
  })

  test('open, openat2 and creat tell what was asked and whether the file was made', async () => {
    const [made, again] = [join(dir, 'made'), join(dir, 'again')]
    const done = await doing(
      'open',
      ...sys('open', s(made), O_CREAT | O_WRONLY, 0o640),
      ...sys('open', s(made), O_CREAT | O_WRONLY, 0o640),
      ...sys('creat', s(again), 0o600),
      ...sys('openat2', AT_FDCWD, s(made), `how:${O_RDWR}:0:8`, 24),
      ...sys('openat2', AT_FDCWD, s('/etc/../etc/passwd'), 'how:0:0:0', 24),
    )
    const shown = done.events.map(({ access, flags, path, facts }) => [
      access,
      (flags & CallFlag.CREATED) !== 0,
      (flags & CallFlag.USER_MEMORY) !== 0,
      path,
      facts[2],
    ])
    const write = Access.WRITE | Access.CREATE
    assert.deepEqual(shown, [
      [write, true, false, made, 0n],
      [write, false, false, made, 0n],
      [write, true, false, again, 0n],
      // RESOLVE_BENEATH refuses an absolute path
      [Access.READ | Access.WRITE, false, true, made, 8n],
      [Access.READ, false, true, '/etc/passwd', 0n],
    ])
    assert.equal(done.results[3], -18n)
  })

  test('what the program gave and cannot be read is missing, and counted with whose it was', async () => {
    const UNREADABLE = 1
    const PROFILE = 7
    const cgroup = stage.sensor.makeContainer({ acts: actBit('open') | actBit('unlink'), profile: PROFILE })
    const { events, results } = await stage.doIn(cgroup, [
      sys('openat2', AT_FDCWD, s('/etc/passwd'), UNREADABLE, 24),
      sys('unlink', UNREADABLE),
    ])
    assert.deepEqual(results, [EFAULT, EFAULT])
    assert.deepEqual(
      events.map(({ raw, flags }) => [raw, (flags & CallFlag.PATH_TRUNCATED) !== 0]),
      [
        ['/etc/passwd', false],
        ['', true],
      ],
    )
    assert.deepEqual(stage.sensor.lossesOf(cgroup), [
      { profile: PROFILE, cause: Drop.HELPER, kind: Kind.CALL, count: 2 },
      { profile: PROFILE, cause: Drop.TRUNCATED, kind: Kind.CALL, count: 1 },
    ])
  })

  test('paths: bytes that are no text, 4,096 bytes, a deleted directory, /proc/self/root', async () => {
    const odd = join(dir, 'n\n\u001b[31m\xff')
    const oddBytes = Buffer.from(odd, 'latin1')
    writeFileSync(oddBytes, '')
    let deep = join(dir, 'd')
    while (deep.length < 3600) deep = join(deep, 'x'.repeat(200))
    mkdirSync(deep, { recursive: true })
    writeFileSync(join(deep, 'f'), '')
    const done = await doing(
      'open',
      ...sys('open', `s:${actWord(oddBytes)}`, 0),
      ...sys('open', s(join(deep, 'f')), 0),
      ...sys('open', s(`/proc/self/root${dir}/made`), 0),
      ...sys('open', `s:${'/y'.repeat(2047)}`, 0),
      ...sys('open', `s:${'/y'.repeat(2100)}`, 0),
    )
    const [first, second, third, long, tooLong] = done.events
    assert.equal(first?.path, oddBytes.toString('latin1'))
    assert.equal(second?.path, join(deep, 'f'))
    assert.equal(third?.path, `${dir}/made`)
    assert.equal(long?.path, '/y'.repeat(2047))
    assert.equal((long?.flags ?? 0) & CallFlag.PATH_TRUNCATED, 0)
    assert.ok((tooLong?.flags ?? 0) & CallFlag.PATH_TRUNCATED)
    assert.deepEqual(done.results.slice(3), [ENOENT, -36n])
  })

  test('a chroot does not shorten a path, and the bind mount is crossed', async () => {
    mkdirSync(join(dir, 'jail/inner'), { recursive: true })
    writeFileSync(join(dir, 'jail/inner/file'), '')
    const done = await doing(
      ['open', 'chroot', 'mount'],
      ...sys('chroot', s(join(dir, 'jail'))),
      ...sys('open', s('/inner/file'), 0),
      ...sys('open', s('/inner/none'), 0),
    )
    const [chrooted, opened, failed] = done.events
    assert.equal(chrooted?.path, join(dir, 'jail'))
    assert.equal(opened?.path, join(dir, 'jail/inner/file'))
    assert.equal(failed?.path, join(dir, 'jail/inner/none'))
  })

  test('what nobody wants is not reported, and leaves no hole in the numbers', async () => {
    const numbers: bigint[] = []
    const unwanted = await doing('unlink', ...sys('open', s('/etc/passwd'), 0), ...sys('mkdir', s('/etc'), 0))
    assert.deepEqual(unwanted.events, [])
    const { acts, sensor } = stage
    const none = await acts.run(sensor, sensor.makeContainer(), sys('open', s('/etc/passwd'), 0))
    assert.deepEqual(none.events, [])
    const outside = sensor.makeCgroup()
    sensor.sensor.removeCgroup(outside.id)
    const unwatched = await acts.run(sensor, outside, sys('open', s('/etc/passwd'), 0))
    assert.deepEqual(unwatched.events, [])
    for (const { event } of sensor.all) if (event.cpu === 0) numbers.push(event.cpuSeq)
    const sorted = numbers.toSorted((a, b) => Number(a - b))
    for (const [index, number] of sorted.entries()) if (index > 0) assert.equal(number, (sorted[index - 1] ?? 0n) + 1n)
  })
})
