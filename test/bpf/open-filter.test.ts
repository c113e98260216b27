/** Opens that no rule wants are not reported: by how their path begins, what they ask for and whether they failed. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ALL_ACTS, actBit } from '../../src/sensor/call-recipes.js'
import { MAP_PROFILE_BYTES } from '../../src/sensor/generated/abi.js'
import { encodeU32 } from '../../src/sensor/sensor.js'
import { CallActs, sys } from '../support/call-acts.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { installPolicy, TestSensor } from '../support/sensor.js'
import { actWord } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

const AT_FDCWD = -100
const O_RDONLY = 0
const O_WRONLY = 1
const O_CREAT = 0o100
const O_PATH = 0o10000000
/** Longer than a prefix in the kernel. */
const LONG = 'd'.repeat(200)

describe('opens that rules want', { skip }, () => {
  let dir: string
  let acts: CallActs
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    acts = await CallActs.compile(dir)
    sensor = new TestSensor()
    sensor.sensor.setActs({ wanted: ALL_ACTS })
    for (const sub of ['watched', 'watchedtoo', 'other', `${LONG}/${LONG}`])
      mkdirSync(join(dir, sub), { recursive: true })
    for (const name of ['watched/a', 'watchedtoo/b', 'other/c', `${LONG}/${LONG}/x`, `${LONG}/${LONG}/y`])
      writeFileSync(join(dir, name), '')
    symlinkSync(join(dir, 'watched/a'), join(dir, 'other/link'))
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  const open = (path: string, flags: number) =>
    sys('openat', AT_FDCWD, `s:${actWord(path.startsWith('/') ? path : join(dir, path))}`, flags, 0o600)
  /** Paths below the test's folder that were reported, with their access. */
  async function reported(rules: string, ...opens: (string | number)[][]): Promise<[string, number][]> {
    const { profile } = installPolicy(sensor, `policy: p\ncontainers: all\nrules:\n${rules}`)
    const cgroup = sensor.makeContainer({ acts: actBit('open'), profile: profile.id })
    const { events, results } = await acts.run(sensor, cgroup, opens.flat())
    assert.equal(results.length, opens.length)
    return events.map(({ path, access }) => [path.replace(`${dir}/`, ''), access])
  }
  const file = (entries: string) => `  - rule: r\n    file: { deny: [${entries}] }\n`
  const when = (condition: string) => `  - rule: r\n    condition: ${JSON.stringify(condition)}\n`

  test('the resolved path decides, whole components or not, and the access', async () => {
    const got = await reported(
      file(`{ path: "${dir}/watched/**", access: [read] }`),
      open('watched/a', O_RDONLY),
      open('other/c', O_RDONLY),
      open('other/link', O_RDONLY),
      open('watched/../other/c', O_RDONLY),
      open('watched/a', O_WRONLY),
      open('watchedtoo/b', O_RDONLY),
      open('watched/none', O_RDONLY),
      open('watched/a', O_PATH),
    )
    assert.deepEqual(got, [
      ['watched/a', 1],
      ['watched/a', 1],
      ['watchedtoo/b', 1], // user space judges: the kernel tells no components apart
    ])
  })

  test('a deeper entry speaks for the shorter ones, and one for every path for all', async () => {
    const rules = file(
      `{ path: "${dir}/**", access: [create] }, { path: "${dir}/watched/**", access: [read] }, { path: "**/c", access: [write] }`,
    )
    const got = await reported(
      rules,
      open('watched/a', O_RDONLY),
      open('watched/a', O_WRONLY),
      open('watched/new', O_RDONLY | O_CREAT),
      open('other/c', O_RDONLY),
      open('other/new', O_WRONLY | O_CREAT),
      open('/dev/null', O_WRONLY),
      open('/dev/null', O_RDONLY),
    )
    assert.deepEqual(got, [
      ['watched/a', 1],
      ['watched/a', 2],
      ['watched/new', 5],
      ['other/new', 6],
      ['/dev/null', 2],
    ])
  })

  test('conditions: opens that failed are wanted of every path, unless success is asked for', async () => {
    const opens = [
      open('watched/a', O_RDONLY),
      open('other/c', O_RDONLY),
      open('other/none', O_RDONLY),
      open('watched/a', O_PATH),
    ]
    assert.deepEqual(await reported(when(`evt.type = openat and fd.name = ${dir}/watched/a`), ...opens), [
      ['watched/a', 1],
      ['other/none', 1],
      ['watched/a', 0],
    ])
    assert.deepEqual(
      await reported(when(`evt.type = openat and fd.num >= 0 and fd.name startswith ${dir}/watched`), ...opens),
      [
        ['watched/a', 1],
        ['watched/a', 0],
      ],
    )
    assert.deepEqual(await reported(when('evt.type = openat'), ...opens), [
      ['watched/a', 1],
      ['other/c', 1],
      ['other/none', 1],
      ['watched/a', 0],
    ])
  })

  test('of a path that is longer than an entry in the kernel its beginning decides', async () => {
    const got = await reported(
      file(`{ path: "${dir}/${LONG}/${LONG}/x", access: [read] }`),
      open(`${LONG}/${LONG}/x`, O_RDONLY),
      open(`${LONG}/${LONG}/y`, O_RDONLY),
      open('other/c', O_RDONLY),
    )
    assert.deepEqual(got, [
      [`${LONG}/${LONG}/x`, 1],
      [`${LONG}/${LONG}/y`, 1],
    ])
  })

  test('a profile that is given up takes its entries with it', async () => {
    const { kernel, profile } = installPolicy(
      sensor,
      `policy: p\ncontainers: all\nrules:\n${file('{ path: /etc/shadow, access: [read] }')}`,
    )
    const before = sensor.sensor.keys('open_prefixes').length
    kernel.retire(profile.id)
    const after = sensor.sensor.keys('open_prefixes').length
    assert.ok(after < before)
    assert.equal(sensor.sensor.lookup('profiles', encodeU32(profile.id), new Uint8Array(MAP_PROFILE_BYTES)), false)
  })
})
