/** src/sensor/attachments.ts against the kernel: hooks of a new set attach all or none, and the old set's go on meanwhile. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { syscallNumber } from '../../src/policy/syscalls.js'
import { actBit } from '../../src/sensor/call-recipes.js'
import { Act as ActNumber, Phase, Want } from '../../src/sensor/generated/abi.js'
import { HullguardError } from '../../src/telemetry/errors.js'
import { makeTempDir, removeDir, requires } from '../support/process.js'
import { TestSensor } from '../support/sensor.js'
import { act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

const GETPPID = syscallNumber('getppid') ?? -1

describe('hooks of a new set', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
    sensor = new TestSensor()
    sensor.sensor.prepareHooks(new Set(['on_sys_enter'])).commit()
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  /** Both kinds that on-demand hooks tell. */
  async function eventsOfAct() {
    const cgroup = sensor.makeContainer({
      want: Want.PROCESS | Want.SYSCALL_FIRST,
      acts: actBit('unshare'),
    })
    await act(program, 'join', cgroup.dir, 'mntns', 'exec', program, 'x', 'syscall', GETPPID, 'mntns')
    const syscalls = (await sensor.eventsOf(cgroup, 'syscall')).filter(({ nr }) => nr === GETPPID)
    const calls = (await sensor.eventsOf(cgroup, 'call')).filter(
      ({ act: done, phase }) => done === ActNumber.UNSHARE && phase === Phase.RUN,
    )
    return { syscalls: syscalls.length, calls: calls.length }
  }

  test('a hook that this kernel refuses: named with the reason, the others of the set are released, the old one goes on', async (t) => {
    if (sensor.sensor.refusals.exec) {
      t.skip('this kernel refuses none of the hooks')
      return
    }
    const attached = [...sensor.sensor.attachedPrograms].sort()
    assert.throws(
      () => sensor.sensor.prepareHooks(new Set(['on_sys_exit', 'on_signal', 'on_bprm_check'])),
      (error: unknown) =>
        error instanceof HullguardError &&
        /^cannot attach on_bprm_check \(lsm\/bprm_check_security\): not loaded here: .+/.test(error.message),
    )
    assert.deepEqual([...sensor.sensor.attachedPrograms].sort(), attached)
    assert.deepEqual(await eventsOfAct(), { syscalls: 1, calls: 0 })
  })

  test('one that is undone leaves the old set; one that is committed replaces it', async () => {
    const change = sensor.sensor.prepareHooks(new Set(['on_sys_exit']))
    assert.ok(sensor.sensor.attachedPrograms.includes('on_sys_enter'), 'both sets are attached until one is chosen')
    assert.ok(sensor.sensor.attachedPrograms.includes('on_sys_exit'))
    change.undo()
    assert.deepEqual(await eventsOfAct(), { syscalls: 1, calls: 0 })
    sensor.sensor.setActs({ wanted: actBit('unshare') })
    assert.deepEqual(await eventsOfAct(), { syscalls: 1, calls: 1 })
    sensor.sensor.prepareHooks(new Set(['on_sys_exit'])).commit()
    assert.deepEqual(await eventsOfAct(), { syscalls: 0, calls: 1 })
  })
})
