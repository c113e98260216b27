/** Acts of users for whom no rule can hold are not reported; who a process is, is what the event would tell. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { CALL_KINDS } from '../../src/record/call-model.js'
import { ALL_ACTS } from '../../src/sensor/call-recipes.js'
import { CallActs, sys } from '../support/call-acts.js'
import { makeTempDir, removeDir, requires, run } from '../support/process.js'
import { installPolicy, type TestCgroup, TestSensor } from '../support/sensor.js'
import { Act, actWord, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

const AT_FDCWD = -100
const [APP, OTHER] = [1000, 2000]
const [AF_INET, SOCK_STREAM] = [2, 1]
const SIGWINCH = 28
const NO_PID = 0x3ffffff

describe('acts by the users that rules want', { skip }, () => {
  let dir: string
  let acts: CallActs
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    acts = await CallActs.compile(dir)
    sensor = new TestSensor()
    sensor.sensor.setActs({ wanted: ALL_ACTS })
    chmodSync(dir, 0o755)
    writeFileSync(join(dir, 'f'), '')
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  const uids = new Map([['app', [APP]]])
  const accounts = { uidsOf: (name: string) => uids.get(name) ?? [], gidsOf: () => [] }
  const install = (rules: string) => installPolicy(sensor, `policy: p\ncontainers: all\nrules:\n${rules}`, 5, accounts)
  /** What was reported: the act, the user, and whether it failed. */
  async function told(rules: string, ...calls: (string | number)[][]): Promise<string[]> {
    const { profile, acts: asked } = install(rules)
    return toldIn(sensor.makeContainer({ acts: asked, profile: profile.id }), ...calls)
  }
  async function toldIn(cgroup: TestCgroup, ...calls: (string | number)[][]): Promise<string[]> {
    const { events, results } = await acts.run(sensor, cgroup, calls.flat())
    assert.equal(results.length, calls.length)
    return events.map(({ act, uid, result }) => `${CALL_KINDS[act - 1]} ${uid}${result < 0n ? ' failed' : ''}`)
  }
  const when = (condition: string) => `  - rule: r\n    condition: ${JSON.stringify(condition)}\n`
  /** From here on the process is this user, and can be another again. */
  const as = (uid: number) => sys('setresuid', -1, uid, -1)
  const file = () => `s:${actWord(join(dir, 'f'))}`
  const open = () => sys('openat', AT_FDCWD, file(), 0, 0)
  const byEach = (...calls: (string | number)[][]) =>
    [0, APP, OTHER].flatMap((uid) => [...(uid === 0 ? [] : [as(uid)]), ...calls, ...(uid === 0 ? [] : [as(0)])])

  test('opens, acts by name and by descriptor, and acts that are on no file', async () => {
    const calls = byEach(
      open(),
      sys('chmod', file(), 0o644),
      sys('fchmod', '$0', 0o644),
      sys('unlink', 's:/none'),
      sys('memfd_create', 's:m', 0),
      sys('socket', AF_INET, SOCK_STREAM, 0),
    )
    const types = 'evt.type in (openat, chmod, fchmod, unlink, memfd_create, socket)'
    const of = (uid: number) => {
      const end = uid === 0 ? '' : ' failed'
      return [
        `open ${uid}`,
        `chmod ${uid}${end}`,
        `chmod ${uid}${end}`,
        `unlink ${uid} failed`,
        `memfd ${uid}`,
        `socket ${uid}`,
      ]
    }
    assert.deepEqual(await told(when(`${types} and user.uid = ${APP}`), ...calls), of(APP))
    assert.deepEqual(await told(when(`${types} and user.uid != ${APP}`), ...calls), [...of(0), ...of(OTHER)])
    assert.deepEqual(await told(when(`${types} and user.uid > ${APP}`), ...calls), of(OTHER))
    assert.deepEqual(await told(when(`${types} and user.uid in (0, ${APP}, 7)`), ...calls), [...of(0), ...of(APP)])
    assert.deepEqual(await told(when(`${types} and user.name = app`), ...calls), of(APP))
    assert.deepEqual(await told(when(`${types} and not user.name = app`), ...calls), [...of(0), ...of(OTHER)])
    assert.deepEqual(await told(when(types), ...calls), [...of(0), ...of(APP), ...of(OTHER)])
    assert.deepEqual(await told(when(`${types} and user.name = none-such`), ...calls), [
      ...of(0),
      ...of(APP),
      ...of(OTHER),
    ])
  })

  test('each act by its own rules, and beside the place where it is done', async () => {
    const calls = byEach(open(), sys('openat', AT_FDCWD, 's:/dev/null', 0, 0), sys('chmod', file(), 0o644))
    const rules = [
      when(`evt.type = openat and user.uid >= ${APP} and fd.name startswith ${dir}`),
      when(`evt.type = chmod and user.uid = 0`).replace('rule: r', 'rule: q'),
    ]
    assert.deepEqual(await told(rules.join(''), ...calls), ['chmod 0', `open ${APP}`, `open ${OTHER}`])
  })

  test('a call that changes the user is of whom the process is then, as the event tells', async () => {
    const calls = [as(APP), as(0), as(OTHER)]
    assert.deepEqual(await told(when(`evt.type = setresuid and user.uid = ${APP}`), ...calls), [`setuid ${APP}`])
    assert.deepEqual(await told(when('evt.type = setresuid and user.uid = 0'), ...calls), ['setuid 0'])
  })

  test('processes of users, not only threads that change', async () => {
    const calls = [sys('setresuid', OTHER, OTHER, OTHER), ['fork'], open()]
    const { profile, acts: asked } = install(when(`evt.type = openat and user.uid = ${OTHER}`))
    const cgroup = sensor.makeContainer({ acts: asked, profile: profile.id })
    const { events } = await acts.run(sensor, cgroup, calls.flat())
    assert.deepEqual(
      events.map(({ uid, act }) => [uid, act]),
      [[OTHER, 1]],
    )
  })

  test('signals: by who sends them, those that fail too', async () => {
    // by root, at the end, one that ends the child
    const calls = [['child'], ...byEach(sys('kill', '$0', SIGWINCH), sys('kill', NO_PID, 0))]
    const of = (uid: number) => [`signal ${uid}`, `signal ${uid} failed`]
    assert.deepEqual(await told(when(`evt.type = kill and user.uid = ${APP}`), ...calls), of(APP))
    assert.deepEqual(await told(when('evt.type = kill and user.uid = 0'), ...calls), [...of(0), 'signal 0'])
    const allowed = `  - rule: r\n    signal: { allow: [{ user: 0 }, { user: ${OTHER} }] }\n`
    assert.deepEqual(await told(allowed, ...calls), of(APP))
  })

  test('a signal is told when the container that it goes to wants it of who sends it, or that from which it comes', async () => {
    const byUser = (uid: number) => {
      const { profile, acts: asked } = install(when(`evt.type = kill and user.uid = ${uid}`))
      return sensor.makeContainer({ acts: asked, profile: profile.id })
    }
    const [senders, targets] = [byUser(0), byUser(APP)]
    const target = new Act(await compileAct(dir), ['join', targets.dir, 'pause'])
    try {
      await target.paused()
      const calls = byEach(sys('kill', target.pid, SIGWINCH))
      assert.deepEqual(await toldIn(senders, ...calls), ['signal 0', `signal ${APP}`])
    } finally {
      target.kill()
      await target.ended()
    }
  })

  test('uses of capabilities', async (context) => {
    if (!sensor.sensor.hasHook('on_capability_used') && !sensor.sensor.hasHook('on_capability_asked'))
      return context.skip('no hook here that tells of uses')
    const calls = byEach(sys('chroot', 's:/none'), sys('chroot', 's:/'))
    const lines = async (uid: number) => new Set(await told(when(`evt.type = capable and user.uid = ${uid}`), ...calls))
    assert.deepEqual(await lines(APP), new Set([`capable ${APP} failed`]))
    assert.deepEqual(await lines(0), new Set(['capable 0']))
  })

  test('what an io_uring does is of whom it was asked by', async (context) => {
    const hasRings =
      sensor.sensor.whyRingsAreUnseen === '' && (await run(join(dir, 'calls'), ['ring', '0'])).stdout.trim() === '0 0'
    if (!hasRings) return context.skip('no io_uring here, or none that can be seen')
    const [OPENAT, SOCKET] = [18, 45]
    const calls = byEach(['ring', OPENAT, AT_FDCWD, file(), 0, 0, 0], ['ring', SOCKET, AF_INET, 0, 0, SOCK_STREAM])
    assert.deepEqual(await told(when(`evt.type in (openat, socket) and user.uid = ${APP}`), ...calls), [
      `open ${APP}`,
      `socket ${APP}`,
    ])
  })

  test('names that stand for others from now on take the filter with them', async () => {
    const { kernel, profile, acts: asked } = install(when('evt.type = openat and user.name = app'))
    const cgroup = sensor.makeContainer({ acts: asked, profile: profile.id })
    assert.deepEqual(await toldIn(cgroup, ...byEach(open())), [`open ${APP}`])
    uids.set('app', [OTHER])
    assert.deepEqual(await toldIn(cgroup, ...byEach(open())), [`open ${APP}`])
    kernel.followAccounts()
    assert.deepEqual(await toldIn(cgroup, ...byEach(open())), [`open ${OTHER}`])
    uids.delete('app')
    kernel.followAccounts()
    assert.deepEqual(await toldIn(cgroup, ...byEach(open())), ['open 0', `open ${APP}`, `open ${OTHER}`])
    uids.set('app', [APP])
  })
})
