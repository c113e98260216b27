/** programs/memory.bpf.c on_memory: what the kernel's own files say of a container's memory, once a container and round. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { loadAddon } from '../../src/sensor/addon.js'
import { CgroupState } from '../../src/sensor/generated/abi.js'
import { cgroupMounts } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires, waitFor } from '../support/process.js'
import { memoryDir, type TestCgroup, TestSensor } from '../support/sensor.js'
import { Act, compileAct } from '../support/sensor-acts.js'

const isV2 = cgroupMounts().kind === 'v2'
const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (isV2 &&
    !readFileSync(join(cgroupMounts().memory, 'cgroup.subtree_control'), 'utf8').includes('memory') &&
    'needs the memory controller in the root cgroup.subtree_control')

const MIB = 1 << 20
const NO_LIMIT_BYTES = 1n << 62n

/** As the cgroup's files have it; `max` and v1's huge number are undefined. */
function readFiles(cgroup: TestCgroup) {
  const dir = memoryDir(cgroup)
  const number = (name: string) => {
    const text = readFileSync(join(dir, name), 'utf8').trim()
    return text === 'max' || BigInt(text) > NO_LIMIT_BYTES ? undefined : BigInt(text)
  }
  const field = isV2 ? 'inactive_file' : 'total_inactive_file'
  const stat = new RegExp(`^${field} (\\d+)$`, 'm').exec(readFileSync(join(dir, 'memory.stat'), 'utf8'))
  return {
    currentBytes: number(isV2 ? 'memory.current' : 'memory.usage_in_bytes'),
    peakBytes:
      isV2 && !existsSync(join(dir, 'memory.peak'))
        ? undefined
        : number(isV2 ? 'memory.peak' : 'memory.max_usage_in_bytes'),
    limitBytes: number(isV2 ? 'memory.max' : 'memory.limit_in_bytes'),
    inactiveFileBytes: BigInt(stat?.[1] ?? -1),
  }
}

describe('memory readings', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor
  const running: Act[] = []

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
    sensor = new TestSensor()
  })
  after(async () => {
    for (const one of running) {
      one.kill()
      await one.ended()
    }
    await sensor.close()
    removeDir(dir)
  })

  async function startIn(cgroup: TestCgroup, ...steps: (string | number)[]) {
    const joins = isV2 ? ['join', cgroup.dir] : ['join', memoryDir(cgroup), 'join', cgroup.dir]
    const one = new Act(program, [...joins, ...steps.map(String), 'pause'])
    running.push(one)
    await one.paused()
    return one
  }

  const readingsOf = (cgroup: TestCgroup) => sensor.sensor.readMemory().filter(({ cgroupId }) => cgroupId === cgroup.id)

  /** A reading between two looks at the files that say the same: the kernel takes back what a CPU keeps in store when it likes. */
  const steadyReading = (cgroup: TestCgroup) =>
    waitFor(`memory of ${cgroup.path} to stand still`, () => {
      const files = readFiles(cgroup) // reading memory.stat brings the kernel's own sums up to date
      const before = loadAddon().bootClockNs()
      const [reading, ...others] = readingsOf(cgroup)
      const after = loadAddon().bootClockNs()
      assert.ok(reading)
      assert.deepEqual(others, [])
      assert.ok(reading.bootNs >= before && reading.bootNs <= after)
      const isSteady = isDeepStrictEqual(files, readFiles(cgroup))
      return isSteady && { files, reading }
    })

  test('every field is what the files of the cgroup say, with a limit and without', async () => {
    const limited = sensor.makeContainer({ isMemory: true })
    const free = sensor.makeContainer({ isMemory: true })
    writeFileSync(join(memoryDir(limited), isV2 ? 'memory.max' : 'memory.limit_in_bytes'), String(64 * MIB))
    await startIn(limited, 'alloc', 24)
    await startIn(free, 'alloc', 8)
    for (const [cgroup, allocatedBytes] of [
      [limited, 24 * MIB],
      [free, 8 * MIB],
    ] as const) {
      const { files, reading } = await steadyReading(cgroup)
      const { bootNs: _, ...values } = reading
      assert.deepEqual(values, { cgroupId: cgroup.id, ...files, peakBytes: files.peakBytes ?? values.peakBytes })
      assert.ok(reading.currentBytes >= BigInt(allocatedBytes))
      assert.ok(reading.peakBytes >= reading.currentBytes)
    }
    assert.equal(readFiles(limited).limitBytes, BigInt(64 * MIB))
    assert.equal(readFiles(free).limitBytes, undefined)
  })

  test('a container of several processes and cgroups is read once a round, as a whole', async () => {
    const cgroup = sensor.makeContainer({ isMemory: true })
    const nested = sensor.makeCgroup({ path: `${cgroup.path}/nested`, isMemory: true })
    await startIn(nested, 'alloc', 12)
    if (!isV2) await startIn(cgroup, 'alloc', 4) // v2 has no processes in inner nodes
    for (let round = 0; round < 3; round++) {
      const { files, reading } = await steadyReading(cgroup)
      assert.equal(reading.currentBytes, files.currentBytes)
    }
    assert.deepEqual(readingsOf(nested), [])
  })

  test('a process that is charged elsewhere does not hide the others', {
    skip: isV2 && 'v2 charges by one tree',
  }, async () => {
    const cgroup = sensor.makeContainer({ isMemory: true })
    const stray = new Act(program, ['join', cgroupMounts().memory, 'join', cgroup.dir, 'pause'])
    running.push(stray)
    await stray.paused()
    assert.deepEqual(readingsOf(cgroup), [])
    await startIn(cgroup, 'alloc', 8)
    const { files, reading } = await steadyReading(cgroup)
    assert.equal(reading.currentBytes, files.currentBytes)
  })

  test('a process that is charged to another cgroup at the level of its container does not stand for it', {
    skip: cgroupMounts().kind !== 'hybrid' && 'only a hybrid host has two trees',
  }, async () => {
    const cgroup = sensor.makeContainer({ isMemory: true })
    const other = sensor.makeContainer({ isMemory: true })
    const stray = new Act(program, ['join', memoryDir(other), 'join', cgroup.dir, 'alloc', '8', 'pause'])
    running.push(stray)
    await stray.paused()
    assert.deepEqual(readingsOf(cgroup), [])
    await startIn(cgroup, 'alloc', 4)
    const { files, reading } = await steadyReading(cgroup)
    assert.equal(reading.currentBytes, files.currentBytes)
  })

  test('what is not a confirmed container is not read', async () => {
    const pending = sensor.makeContainer({ isMemory: true, state: CgroupState.PENDING })
    await startIn(pending)
    assert.deepEqual(readingsOf(pending), [])
  })

  test('a process that moved itself out does not stand for its container', async () => {
    const cgroup = sensor.makeContainer({ isMemory: true })
    const outside = sensor.makeContainer({ isMemory: true })
    sensor.sensor.removeCgroup(outside.id)
    await startIn(cgroup, 'join', memoryDir(outside), 'join', outside.dir)
    assert.deepEqual(readingsOf(cgroup), [])
  })
})
