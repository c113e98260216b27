/** programs/memory.bpf.c on_oom: the victim of the kernel's OOM killer, and its exit. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { loadAddon } from '../../src/sensor/addon.js'
import { Kind, Phase, Rung } from '../../src/sensor/generated/abi.js'
import { cgroupMounts } from '../support/cgroup.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { memoryDir, TestSensor, unforeseen } from '../support/sensor.js'
import { act, compileAct } from '../support/sensor-acts.js'

const isV2 = cgroupMounts().kind === 'v2'
const skip =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (isV2 &&
    !readFileSync(join(cgroupMounts().memory, 'cgroup.subtree_control'), 'utf8').includes('memory') &&
    'needs the memory controller in the root cgroup.subtree_control')

/** header 17 and the name. */
const OOM_FIELDS_COUNT = 19

describe('OOM kills', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
    sensor = new TestSensor()
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  test('every field names the victim, and its exit follows', async () => {
    const cgroup = sensor.makeContainer({ isMemory: true })
    writeFileSync(join(memoryDir(cgroup), isV2 ? 'memory.max' : 'memory.limit_in_bytes'), String(16 << 20))
    const joins = isV2 ? [] : ['join', memoryDir(cgroup)]
    const since = loadAddon().bootClockNs()
    const result = await act(program, ...joins, 'join', cgroup.dir, 'mntns', 'exec', program, 'x', 'alloc', 64)
    assert.equal(result.signal, 'SIGKILL')
    const event = await sensor.onlyEventOf(cgroup, 'oom')
    assert.equal(Object.keys(event).length, OOM_FIELDS_COUNT)
    assert.deepEqual(event, {
      ...unforeseen(event, since),
      sizeBytes: 104,
      kind: Kind.OOM,
      phase: Phase.RUN,
      action: 0,
      programVersion: 0,
      cgroupId: cgroup.id,
      pid: result.pid,
      tid: result.pid,
      uid: 0,
      gid: 0,
      profile: 0,
      decided: 0n,
      violated: 0n,
      rung: Rung.TRACEPOINT,
      comm: 'act'.padEnd(16, '\0'),
    })
    const exit = await sensor.onlyEventOf(cgroup, 'exit')
    assert.deepEqual([exit.pid, exit.signal, exit.startNs], [result.pid, 9, event.startNs])
  })
})
