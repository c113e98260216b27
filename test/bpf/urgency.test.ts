/**
 * Whose events wake user space at once: those of rules that kill and are left to it; and that a kill by the kernel is
 * told soon, with the end of its process. The reader of these tests waits ten minutes
 * for company, so what comes unasked was urgent.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { actBit } from '../../src/sensor/call-recipes.js'
import { Action } from '../../src/sensor/generated/abi.js'
import { compileCalls, sys } from '../support/call-acts.js'
import { makeTempDir, removeDir, requires, waitFor } from '../support/process.js'
import { type AnyEvent, installPolicy, type TestCgroup, TestSensor } from '../support/sensor.js'
import { Act, actWord, compileAct } from '../support/sensor-acts.js'

const skip = requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] })

const AT_FDCWD = -100
const O_WRONLY = 1
const SIGTERM = 15
const SIGNAL_ACT = actBit('signal')
const ACTS = actBit('open') | actBit('chroot') | SIGNAL_ACT

describe('events that wake user space at once', { skip }, () => {
  let dir: string
  let program: string
  let calls: string
  let sensor: TestSensor

  before(async () => {
    dir = makeTempDir()
    program = await compileAct(dir)
    calls = await compileCalls(dir)
    mkdirSync(join(dir, 'some'))
    writeFileSync(join(dir, 'some/file'), '')
    sensor = new TestSensor({ batchDelayMs: 10 * 60_000 })
    sensor.sensor.setActs({ wanted: ACTS })
    sensor.sensor.setControl({ blocking: 1 })
  })
  after(async () => {
    await sensor.close()
    removeDir(dir)
  })

  const install = (rule: string, action: string) =>
    installPolicy(
      sensor,
      `policy: p\nmode: block\ncontainers: all\nrules:\n  - rule: r\n    action: ${action}\n    ${rule}\n`,
    ).profile.id

  /** Does the steps when all before them is settled; is their event there before anyone asks for it? */
  async function isUrgent(
    rule: string,
    action: string,
    steps: readonly (string | number)[],
    isMeant: (event: AnyEvent) => boolean,
  ): Promise<boolean> {
    const cgroup: TestCgroup = sensor.makeContainer({ acts: ACTS, profile: install(rule, action) })
    const act = new Act(program, ['join', cgroup.dir, 'mntns', 'pause', ...steps].map(String))
    await act.paused()
    // whoever joins a container is urgent, and so is the wake-up after that
    await sensor.settle()
    await sensor.settle()
    const isThere = () => sensor.all.some((entry) => entry.event.cgroupId === cgroup.id && isMeant(entry))
    assert.equal(isThere(), false)
    act.resume()
    const result = await act.ended()
    assert.notEqual(result.code, 99, result.stderr)
    const found = await waitFor('the event', isThere, action === 'kill' ? 15_000 : 300).catch(() => false)
    await sensor.settle()
    assert.ok(isThere(), 'the event came in the end')
    return found
  }

  const isCall = (act: bigint) => (entry: AnyEvent) => entry.name === 'call' && 1n << BigInt(entry.event.act) === act
  const open = ['exec', '', 'calls', ...sys('openat', AT_FDCWD, '', O_WRONLY)]
  const withPaths = (steps: readonly (string | number)[], path: string) =>
    steps.map((word, at) => (word !== '' ? word : at === 1 ? calls : `s:${actWord(path)}`))

  const cases: {
    title: string
    rule: () => string
    steps: () => (string | number)[]
    isMeant: (e: AnyEvent) => boolean
  }[] = [
    {
      title: 'a file rule that the kernel cannot answer',
      rule: () => `file: { deny: [{ path: "${dir}/so*/file", access: [write] }] }`,
      steps: () => withPaths(open, join(dir, 'some/file')),
      isMeant: isCall(actBit('open')),
    },
    {
      title: 'a condition on an act',
      rule: () => 'condition: evt.type = chroot',
      steps: () => ['chroot', dir],
      isMeant: isCall(actBit('chroot')),
    },
    {
      title: 'a condition on an exec',
      rule: () => 'condition: evt.type = execve and proc.name = calls',
      steps: () => ['exec', calls, 'calls'],
      isMeant: ({ name }) => name === 'exec',
    },
    {
      title: 'a signal rule, by the target',
      rule: () => 'signal: { deny: [{ user: root }] }',
      steps: () => ['exec', calls, 'calls', 'child', ...sys('kill', '$0', SIGTERM)],
      isMeant: isCall(SIGNAL_ACT),
    },
    {
      title: 'an allow list of execs, in a root that is not the container’s own',
      rule: () => `exec: { allow: [${program}] }`,
      steps: () => ['exec', program, 'act', 'mntns', 'exec', calls, 'calls'],
      isMeant: (entry) => entry.name === 'exec' && entry.event.file === calls,
    },
    {
      title: 'a capability that a new process got',
      rule: () => 'capability: { deny: [sys_admin] }',
      steps: () => ['setuid', 65534, 'clone-userns', 0],
      isMeant: (entry) => entry.name === 'fork' && entry.event.capGained !== 0n,
    },
  ]
  for (const { title, rule, steps, isMeant } of cases)
    test(title, async () => {
      assert.equal(await isUrgent(rule(), 'kill', steps(), isMeant), true, 'a kill')
      // somebody else's urgent event can end the wait, too: one that waited is proof
      for (let round = 0; round < 5; round++) if (!(await isUrgent(rule(), 'alert', steps(), isMeant))) return
      assert.fail('alerts never waited')
    })

  test('a kill by the kernel itself does not wait for company either', async () => {
    const steps = ['exec', calls, 'calls']
    const isMeant = ({ name, event }: AnyEvent) => name === 'exec' && event.action === Action.KILLED
    assert.equal(await isUrgent(`exec: { deny: [${calls}] }`, 'kill', steps, isMeant), true)
  })
})
