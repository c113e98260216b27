/** What a process gains, told by exec, fork and call events (bpf/lib/task.bpf.h task__follow_caps()). */
import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { capabilityNumber } from '../../src/policy/capabilities.js'
import { actBit } from '../../src/sensor/call-recipes.js'
import { Act as ActNumber } from '../../src/sensor/generated/abi.js'
import { makeTempDir, removeDir, requires, runOk } from '../support/process.js'
import { capabilitiesOf } from '../support/process-facts.js'
import { TestSensor } from '../support/sensor.js'
import { Act, act, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc', 'setcap'], files: ['/sys/kernel/btf/vmlinux'] })

const APP = 4711
const FOLLOWED = (['setuid', 'capset', 'setns', 'unshare'] as const).reduce((mask, name) => mask | actBit(name), 0n)
const bit = (name: string) => 1n << BigInt(capabilityNumber(name) ?? -1)
/** Every capability that the kernel knows. */
const ALL = (1n << (BigInt(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8').trim()) + 1n)) - 1n

describe('capabilities gained', { skip }, () => {
  let dir: string
  let program: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    chmodSync(dir, 0o755)
    program = await compileAct(dir)
    sensor = new TestSensor()
    sensor.sensor.setActs({ wanted: FOLLOWED })
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  /** A copy of the program under another name. */
  function copy(name: string): string {
    const file = join(dir, name)
    copyFileSync(program, file)
    chmodSync(file, 0o755)
    return file
  }
  async function withFileCaps(name: string, caps: string): Promise<string> {
    const file = copy(name)
    await runOk('setcap', [caps, file])
    return file
  }
  function setUserId(name: string): string {
    const file = copy(name)
    chmodSync(file, 0o4755)
    return file
  }
  const container = () => sensor.makeContainer({ acts: FOLLOWED })
  /** Past setup, as a user without capabilities who has executed something. */
  const asApp = (): (string | number)[] => ['mntns', 'setuid', APP, 'exec', program, 'app']

  /** By argv[0] of each exec. */
  async function gainsOfExecs(...steps: (string | number)[]): Promise<Record<string, bigint>> {
    const cgroup = container()
    await act(program, 'join', cgroup.dir, ...steps)
    const events = await sensor.eventsOf(cgroup, 'exec')
    return Object.fromEntries(events.map(({ args, capGained }) => [args.split('\0')[0], capGained]))
  }

  test('by a file with capabilities: those of the file', async () => {
    const file = await withFileCaps('raw', 'cap_net_raw,cap_sys_time+ep')
    const gains = await gainsOfExecs(...asApp(), 'exec', file, 'raw')
    assert.deepEqual(gains, { app: 0n, raw: bit('NET_RAW') | bit('SYS_TIME') })
  })

  test('permitted is enough: a file that makes nothing effective gives as much', async () => {
    const file = await withFileCaps('quiet', 'cap_net_raw+p')
    assert.deepEqual(await gainsOfExecs(...asApp(), 'exec', file, 'quiet'), { app: 0n, quiet: bit('NET_RAW') })
  })

  test('by a set-user-id program of root: all that its bounding set has', async () => {
    const { capPermitted } = capabilitiesOf(process.pid)
    const gains = await gainsOfExecs(...asApp(), 'exec', setUserId('su'), 'su')
    assert.deepEqual(gains, { app: 0n, su: capPermitted })
  })

  test('a program of the same standing gains nothing, and neither does one that gains a second time', async () => {
    const file = await withFileCaps('again', 'cap_net_raw+ep')
    const gains = await gainsOfExecs(...asApp(), 'exec', file, 'raw', 'exec', file, 'same', 'exec', program, 'plain')
    assert.deepEqual(gains, { app: 0n, raw: bit('NET_RAW'), same: 0n, plain: 0n })
  })

  test('what setuid took away is gained by the very next exec', async () => {
    const file = await withFileCaps('direct', 'cap_net_raw+ep')
    const gains = await gainsOfExecs('mntns', 'exec', program, 'root', 'setuid', APP, 'exec', file, 'direct')
    assert.deepEqual(gains, { root: 0n, direct: bit('NET_RAW') })
  })

  test('by a thread and in a child too', async () => {
    const file = await withFileCaps('thread', 'cap_net_raw+ep')
    assert.deepEqual(await gainsOfExecs(...asApp(), 'thread-exec', file, 'thread'), { app: 0n, thread: bit('NET_RAW') })
    assert.deepEqual(await gainsOfExecs(...asApp(), 'spawn', 'exec', file, 'child'), { app: 0n, child: bit('NET_RAW') })
  })

  test('the exec that ends setup gains nothing: the runtime gives it', async () => {
    const file = await withFileCaps('first', 'cap_net_raw+ep')
    assert.deepEqual(await gainsOfExecs('mntns', 'setuid', APP, 'exec', file, 'first'), { first: 0n })
  })

  test('by a user namespace of its own: all, told by unshare', async () => {
    const cgroup = container()
    await act(program, 'join', cgroup.dir, ...asApp(), 'userns')
    const events = (await sensor.eventsOf(cgroup, 'call')).filter(({ act: number }) => number === ActNumber.UNSHARE)
    const gained = events.filter(({ phase }) => phase === 0).map(({ capGained }) => capGained)
    assert.deepEqual(gained, [ALL])
  })

  test('by being made in a user namespace: told by fork', async () => {
    const cgroup = container()
    await act(program, 'join', cgroup.dir, ...asApp(), 'fork', 0, 'clone-userns', 7)
    const forks = await sensor.eventsOf(cgroup, 'fork')
    assert.deepEqual(
      forks.map(({ capGained }) => capGained),
      [0n, ALL],
    )
  })

  test('what a process holds is read anew when the processes are: what took it away need not have been seen', async () => {
    const file = await withFileCaps('unseen', 'cap_net_raw+ep')
    const cgroup = sensor.makeContainer() // none of the acts
    const running = new Act(
      program,
      ['join', cgroup.dir, 'mntns', 'exec', program, 'root', 'setuid', APP, 'pause', 'exec', file, 'x'].map(String),
    )
    await running.paused()
    sensor.sensor.readTasks()
    running.resume()
    await running.ended()
    const gained = (await sensor.eventsOf(cgroup, 'exec')).map(({ capGained }) => capGained)
    assert.deepEqual(gained, [0n, bit('NET_RAW')])
  })

  test('by entering a user namespace: told by setns', async () => {
    const owner = new Act(program, ['setuid', String(APP), 'exec', program, 'owner', 'userns', 'pause'])
    await owner.paused()
    const cgroup = container()
    await act(program, 'join', cgroup.dir, ...asApp(), 'enter', `/proc/${owner.pid}/ns/user`)
    owner.resume()
    await owner.ended()
    const events = (await sensor.eventsOf(cgroup, 'call')).filter(({ act: number }) => number === ActNumber.SETNS)
    assert.deepEqual(
      events.map(({ result, capGained }) => [result, capGained]),
      [[0n, ALL]],
    )
  })
})
