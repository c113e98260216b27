/** lib/emit.bpf.h: every attempt is numbered before it asks for room, so what a full ring loses is counted to the event. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { GapTracker, type LostRange } from '../../src/sensor/gaps.js'
import { Drop, Kind } from '../../src/sensor/generated/abi.js'
import { encodeU32 } from '../../src/sensor/sensor.js'
import { makeTempDir, removeDir, requires, runOk } from '../support/process.js'
import { type TestCgroup, TestSensor } from '../support/sensor.js'
import { act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc', 'taskset'], files: ['/sys/kernel/btf/vmlinux'] })

/** The smallest that the largest event fits into. */
const RING_BYTES = 64 * 1024
/** Two events each: with the flood's own some 20,000, ten times what ring and slabs hold together. */
const FLOOD_FORKS_COUNT = 5000
const FLOODS_COUNT = 2

/** Bulk events, some times what ring and slabs hold. */
const FLOOD_CONNECTS_COUNT = 20_000
/** Few enough for the critical ring, which must then lose none. */
const CRITICAL_FORKS_COUNT = 100

interface Tally {
  seen: Map<number, bigint>
  highest: Map<number, bigint>
  lost: LostRange[]
  gaps: GapTracker
}

function tallyOf(sensor: TestSensor): Tally {
  const tally: Tally = { seen: new Map(), highest: new Map(), lost: [], gaps: new GapTracker() }
  sensor.onNumber = (event) => {
    const { cpu, cpuSeq } = event
    tally.seen.set(cpu, (tally.seen.get(cpu) ?? 0n) + 1n)
    if (cpuSeq > (tally.highest.get(cpu) ?? 0n)) tally.highest.set(cpu, cpuSeq)
    tally.lost.push(...tally.gaps.see(event))
  }
  return tally
}

const countOf = (range: LostRange) => range.lastSeq - range.firstSeq + 1n

/** The numbers that each CPU has given out. */
function numbersGiven(sensor: TestSensor): bigint[] {
  const value = new BigUint64Array(sensor.cpus)
  assert.ok(sensor.sensor.lookup('sequences', encodeU32(0), new Uint8Array(value.buffer)))
  return [...value]
}

function dropsOfKind(sensor: TestSensor, cause: number, kind: number): bigint {
  const value = new BigUint64Array(sensor.cpus)
  assert.ok(sensor.sensor.lookup('drops', encodeU32(cause * Kind.MAX + kind), new Uint8Array(value.buffer)))
  return value.reduce((total, count) => total + count, 0n)
}

function dropsOf(sensor: TestSensor, cause: number): bigint {
  let total = 0n
  for (let kind = 0; kind < Kind.MAX; kind++) total += dropsOfKind(sensor, cause, kind)
  return total
}

/** Events of both rings lie in the order of their times. */
async function assertOneOrder(sensor: TestSensor, cgroup: TestCgroup) {
  const times = sensor.all.filter(({ event }) => event.cgroupId === cgroup.id).map(({ event }) => event.bootNs)
  const connectsCount = (await sensor.eventsOf(cgroup, 'connect')).length
  assert.ok(connectsCount > 0 && connectsCount < times.length)
  times.forEach((time, index) => {
    assert.ok(index === 0 || time >= (times[index - 1] ?? 0n), `event ${index} is older than the one before`)
  })
}

describe('numbers and loss', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
  })
  after(() => removeDir(dir))

  /** One act on every CPU that a process can be on, with room in the ring: a hole before it is then known. */
  async function actOnEveryCpu(cgroup: TestCgroup) {
    for (const cpu of cpusOnline())
      await runOk('taskset', ['-c', String(cpu), program, 'join', cgroup.dir, 'fork', '0'])
    await sensor.settle()
  }

  test('what a slow reader loses in a flood is known to the event, CPU by CPU, and equals what the kernel counted', async () => {
    sensor = new TestSensor({ ringBytes: RING_BYTES })
    const tally = tallyOf(sensor)
    const cgroup = sensor.makeContainer()
    sensor.isCongested = true
    await Promise.all(
      Array.from({ length: FLOODS_COUNT }, () => act(program, 'join', cgroup.dir, 'forks', FLOOD_FORKS_COUNT)),
    )
    sensor.isCongested = false
    await sensor.settle()
    await actOnEveryCpu(cgroup)
    assert.ok(await sensor.sensor.drain(10_000))
    await sensor.settle()
    tally.lost.push(...tally.gaps.flush())
    const lostCount = tally.lost.reduce((sum, range) => sum + countOf(range), 0n)
    assert.ok(lostCount > BigInt(FLOOD_FORKS_COUNT), `the flood must lose events; lost ${lostCount}`)
    numbersGiven(sensor).forEach((given, cpu) => {
      const lost = tally.lost.filter((range) => range.cpu === cpu).reduce((sum, range) => sum + countOf(range), 0n)
      assert.equal((tally.seen.get(cpu) ?? 0n) + lost, given, `CPU ${cpu}`)
      assert.equal(tally.highest.get(cpu) ?? 0n, given, `CPU ${cpu}`)
    })
    assert.equal(dropsOf(sensor, Drop.RING_FULL), lostCount)
    const owned = sensor.sensor.losses().filter(({ cause }) => cause === Drop.RING_FULL)
    const countOfOwner = (id?: bigint) =>
      owned.reduce((sum, { cgroupId, count }) => (id === undefined || cgroupId === id ? sum + count : sum), 0)
    assert.equal(BigInt(countOfOwner()), lostCount, 'each lost event has its owner')
    assert.ok(countOfOwner(cgroup.id) > FLOOD_FORKS_COUNT)
    for (const cause of [Drop.SCRATCH, Drop.TASKS_FULL, Drop.CGROUPS_FULL, Drop.HELPER])
      assert.equal(dropsOf(sensor, cause), 0n)
    await sensor.close()
  })

  test('a flood of bulk events loses none of the life of processes, and both rings are read as one order', async () => {
    sensor = new TestSensor({ ringBytes: RING_BYTES })
    const tally = tallyOf(sensor)
    const cgroup = sensor.makeContainer()
    sensor.isCongested = true
    await act(program, 'join', cgroup.dir, 'repeat', FLOOD_CONNECTS_COUNT, 'udp-connect', '127.0.0.1', 9)
    await act(program, 'join', cgroup.dir, 'forks', CRITICAL_FORKS_COUNT)
    sensor.isCongested = false
    await sensor.settle()
    await actOnEveryCpu(cgroup)
    assert.ok(await sensor.sensor.drain(10_000))
    await sensor.settle()
    tally.lost.push(...tally.gaps.flush())
    const lostCount = tally.lost.reduce((sum, range) => sum + countOf(range), 0n)
    const lostConnectsCount = dropsOfKind(sensor, Drop.RING_FULL, Kind.CONNECT)
    assert.ok(lostConnectsCount > FLOOD_CONNECTS_COUNT / 4, `the flood must lose events; lost ${lostConnectsCount}`)
    assert.equal(dropsOf(sensor, Drop.RING_FULL), lostConnectsCount)
    assert.equal(lostCount, lostConnectsCount)
    const forks = await sensor.eventsOf(cgroup, 'fork')
    const exits = new Set((await sensor.eventsOf(cgroup, 'exit')).map(({ pid }) => pid))
    assert.ok(forks.length >= CRITICAL_FORKS_COUNT, `${forks.length} forks`)
    for (const { childPid } of forks) assert.ok(exits.has(childPid), `exit of ${childPid}`)
    await assertOneOrder(sensor, cgroup)
    await sensor.close()
  })

  test('with room in the ring nothing is ever called lost, also while hooks that can be preempted compete', async () => {
    sensor = new TestSensor()
    const tally = tallyOf(sensor)
    const cgroup = sensor.makeContainer()
    await Promise.all([
      ...Array.from({ length: 4 }, () =>
        act(program, 'join', cgroup.dir, 'repeat', 3000, 'udp-connect', '127.0.0.1', 9),
      ),
      ...Array.from({ length: 2 }, () => act(program, 'join', cgroup.dir, 'forks', 1500)),
    ])
    await sensor.settle()
    assert.ok(await sensor.sensor.drain(10_000))
    await sensor.settle()
    tally.lost.push(...tally.gaps.flush())
    assert.equal(dropsOf(sensor, Drop.RING_FULL), 0n)
    assert.deepEqual(tally.lost, [])
    numbersGiven(sensor).forEach((given, cpu) => {
      assert.equal(tally.seen.get(cpu) ?? 0n, given, `CPU ${cpu}`)
    })
    await sensor.close()
  })
})

/** CPUs on which this process may run, from its affinity (`0-3,6`). */
function cpusOnline(): number[] {
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}
