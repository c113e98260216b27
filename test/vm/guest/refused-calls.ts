/**
 * Mounts, signals and capabilities that a rule refuses, done in a container of their own: what is refused has not happened, what no rule is about
 * has, and of each refusal there is one event. Where the kernel runs no BPF LSM programs all of it happens.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { compileProgram } from '../../../src/match/program.js'
import { loadPolicies } from '../../../src/policy/load.js'
import { syscallNumber } from '../../../src/policy/syscalls.js'
import { HOST } from '../../../src/record/model.js'
import type { KernelPolicy } from '../../../src/respond/kernel-policy.js'
import { ALL_ACTS } from '../../../src/sensor/call-recipes.js'
import { Act, Action, CgroupState, Want } from '../../../src/sensor/generated/abi.js'
import type { Sensor } from '../../../src/sensor/sensor.js'
import type { Seen } from './act-table.js'

export interface RefusedCallsStage {
  sensor: Sensor
  /** Its breaker has tripped for the policy `spent`. */
  kernelPolicy: KernelPolicy
  /** Of the container, to be made. */
  cgroup: string
  /** Folder that is the container's root. */
  root: string
  isRefused: boolean
  seen: readonly Seen[]
  check(name: string, ok: boolean, detail?: unknown): void
}

const CALLS = '/bin/calls'
const [AT_FDCWD, FSCONFIG_CREATE, MOVE_MOUNT_EMPTY_PATH] = [-100, 6, 4]
const nr = (name: string) => syscallNumber(name)

const policyOf = (root: string) => `policy: calls
containers: all
mode: block
rules:
  - rule: nothing is mounted here
    mount: { deny: ["${root}/tmp/mounts/bare/**"] }
    action: deny
  - rule: no ramfs
    mount: { deny: [{ fstype: ramfs }] }
    action: kill
  - rule: calls ends nobody
    signal: { deny: [{ exe: "${root}${CALLS}" }] }
    action: deny
  - rule: nobody comes to administer
    capability: { deny: [SYS_ADMIN] }
    action: deny
  - rule: nobody changes the root
    capability: { deny: [SYS_CHROOT], when: use }
    action: deny
  - rule: nobody gets ahead
    capability: { deny: [SYS_NICE], when: use }
    action: kill
---
policy: spent
containers: all
mode: block
rules:
  - rule: nothing from nowhere
    mount: { deny: [{ source: nowhere }] }
    action: deny
  - rule: the shell ends nobody
    signal: { deny: [{ exe: "${root}/bin/busybox", user: 0 }] }
    action: deny
`

/** `kept` shows that nothing lies over the folder that it is in. */
const mountOver = (folder: string, args: string) =>
  `mount ${args} /tmp/mounts/${folder}; echo "mount ${folder} $?"; [ -e /tmp/mounts/${folder}/kept ]; echo "kept ${folder} $?"`
const FOLDERS = ['bare/one', 'bare/two', 'free', 'ram', 'spared']

/** A user without capabilities; which of them the kernel takes away at setuid. */
const asApp = `${CALLS} sys ${nr('setuid')} 4711`
const SUID = '/tmp/mounts/suid'
const [CLONE_NEWUSER, SIGCHLD] = [0x10000000, 17]

const SCRIPT = [
  mountOver('bare/one', '-t tmpfs none'),
  mountOver('free', '-t tmpfs none'),
  mountOver('ram', '-t ramfs none'),
  mountOver('spared', '-t tmpfs nowhere'),
  [
    ...[CALLS, 'sys', nr('fsopen'), 's:tmpfs', 0, 'sys', nr('fsconfig'), '\\$0', FSCONFIG_CREATE, 0, 0, 0],
    ...['sys', nr('fsmount'), '\\$0', 0, 0],
    ...['sys', nr('move_mount'), '\\$2', 's:', AT_FDCWD, 's:/tmp/mounts/bare/two', MOVE_MOUNT_EMPTY_PATH],
  ].join(' '),
  '[ -e /tmp/mounts/bare/two/kept ]; echo "kept bare/two $?"',
  'sleep 1000 & pid=$!',
  `${CALLS} sys ${nr('kill')} $pid 15 sys ${nr('kill')} $pid 0; kill -0 $pid; echo "alive $?"`,
  'kill -9 $pid; wait $pid; echo "ended $?"',
  `${asApp} sys ${nr('execve')} s:${SUID} 0 0`,
  `${asApp} sys ${nr('execve')} s:${CALLS} 0 0; echo "plain $?"`,
  `${CALLS} sys ${nr('chroot')} s:/ sys ${nr('chroot')} s:/ sys ${nr('setpriority')} 0 0 5`,
  `${CALLS} sys ${nr('setpriority')} 0 0 -5; echo "ahead $?"`,
  `${asApp} sys ${nr('unshare')} ${CLONE_NEWUSER}`,
  `${asApp} sys ${nr('clone')} ${CLONE_NEWUSER + SIGCHLD} 0 0 0 0`,
].join('\n')

export async function checkRefusedCalls(stage: RefusedCallsStage): Promise<void> {
  const { sensor, kernelPolicy, cgroup, root, isRefused, seen, check } = stage
  mkdirSync(cgroup)
  for (const folder of FOLDERS) {
    mkdirSync(join(root, '/tmp/mounts', folder), { recursive: true })
    writeFileSync(join(root, '/tmp/mounts', folder, 'kept'), '')
  }
  const { policies, errorCount } = loadPolicies([{ file: 'calls.yaml', bytes: Buffer.from(policyOf(root)) }])
  check('the policy about calls loads', errorCount === 0)
  const program = compileProgram(policies)
  const profile = program.profileFor({ ...HOST, state: 'container', id: 'calls', name: 'calls' })
  kernelPolicy.install(program, profile)
  const rootId = statSync(cgroup, { bigint: true }).ino
  sensor.setCgroup(rootId, {
    ...{ rootId, profile: [profile.id, profile.id], rootLevel: 1, state: CgroupState.CONTAINER },
    ...{ want: Want.PROCESS, acts: ALL_ACTS },
  })
  const change = sensor.prepareHooks(new Set([...sensor.hooksOfActs(ALL_ACTS), ...kernelPolicy.hooksOf(profile.id)]))
  change.commit()

  copyFileSync(join(root, CALLS), join(root, SUID))
  chmodSync(join(root, SUID), 0o4755)
  const script = join(root, '/tmp/refused.sh')
  writeFileSync(script, SCRIPT)
  const enter = `echo $$ > ${cgroup}/cgroup.procs; exec unshare -m ${root === '' ? '' : `chroot ${root} `}/bin/sh`
  const before = seen.length
  const run = spawnSync('/bin/sh', ['-c', `${enter} /tmp/refused.sh`], { encoding: 'utf8' })
  await sleep(500)
  const own = seen.slice(before)
  const said = (line: string) => run.stdout.split('\n').includes(line)
  const refused = (object: string) => own.filter((one) => one.isRefused && one.object === object)
  const detail = [run.stdout, run.stderr, own.filter(({ kind }) => kind === 'call').slice(-20)]
  const code = isRefused ? 0 : 1 // of the test whether `kept` is there
  check(
    isRefused ? 'a denied mount is refused without an effect' : 'a mount that no hook can refuse is made',
    said(`kept bare/one ${code}`) && said('mount bare/one 0') !== isRefused,
    detail,
  )
  check('a mount that no rule is about is made', said('mount free 0') && said('kept free 1'), detail)
  check(
    'a mount of a denied type is refused, and killed',
    said(`kept ram ${code}`) && said('mount ram 137') === isRefused,
    detail,
  )
  check('a mount put in place by move_mount is refused by its target', said(`kept bare/two ${code}`), detail)
  check('a tripped breaker spares a mount', said('mount spared 0') && said('kept spared 1'), detail)
  check(
    isRefused ? 'a denied signal is refused, and its target lives' : 'a signal that no hook can refuse is sent',
    said(`${nr('kill')} ${isRefused ? -1 : 0}`) && (said('alive 0') || !isRefused),
    detail,
  )
  check('a signal of another program is sent', said(isRefused ? 'ended 137' : 'ended 143'), detail)
  const counts = ['bare/one', 'bare/two', 'ram'].map((folder) => refused(`${root}/tmp/mounts/${folder}`).length)
  const signals = own.filter(({ isRefused: one, text }) => one && text.endsWith(' kill'))
  check(
    'of each refusal there is one event',
    [...counts, signals.length].every((count) => count === (isRefused ? 1 : 0)),
    [counts, signals, ...detail],
  )
  const gains = (call: string) =>
    own.filter(({ text, isRefused: one, gained }) => one && gained !== 0n && text.endsWith(call)).length
  check(
    isRefused
      ? 'a set-user-id program is refused before it runs'
      : 'a set-user-id program that no hook can refuse runs',
    said(`${nr('execve')} -1`) === isRefused && gains(SUID) === (isRefused ? 1 : 0),
    detail,
  )
  check(
    'a program that gives nothing runs',
    said('plain 0') && run.stdout.split(`${nr('execve')} -1`).length < 3,
    detail,
  )
  const namespaces = [`${nr('unshare')} -1`, `${nr('clone')} -1`].map(said)
  // the kernel makes none for who has changed its root
  const isChrooted = root !== ''
  const canRefuseNamespaces = isRefused && sensor.refusals.gain.includes('namespace')
  check(
    canRefuseNamespaces ? 'a user namespace is refused, by unshare and by clone' : 'a user namespace is made',
    namespaces.every((one) => one === (canRefuseNamespaces || isChrooted)) &&
      [gains(' unshare'), gains(' clone')].every((count) => count === (canRefuseNamespaces ? 1 : 0)),
    [namespaces, ...detail],
  )
  const uses = own.filter(({ code: act, isRefused: one }) => one && act === Act.CAPABLE).map(({ text }) => text)
  check(
    isRefused ? 'the use of a capability is refused each time, and told once' : 'what needs a capability is done',
    run.stdout.split(`${nr('chroot')} ${isRefused ? -1 : 0}\n`).length === 3 &&
      uses.filter((text) => text.endsWith(' chroot')).length === (isRefused ? 1 : 0),
    [uses, ...detail],
  )
  check(
    isRefused ? 'who uses what a kill rule denies is refused, and killed' : 'what a kill rule denies is done',
    said(`ahead ${isRefused ? 137 : 0}`) &&
      said(`${nr('setpriority')} 0`) &&
      uses.filter((text) => text.endsWith(' setpriority')).length === (isRefused ? 1 : 0),
    [uses, ...detail],
  )
  const spared = own.filter(({ action }) => action === Action.SPARED)
  check('what was spared says so', spared.length === (isRefused ? 2 : 0), [spared, ...detail])
  await checkHostSender(stage)
}

/** A process of the host, which is refused and never ended; the agent itself may send what it likes. */
async function checkHostSender({ cgroup, root, isRefused, check }: RefusedCallsStage): Promise<void> {
  const target = spawn('/bin/sh', ['-c', `echo $$ > ${cgroup}/cgroup.procs; exec sleep 1000`], { stdio: 'ignore' })
  const ended = new Promise<NodeJS.Signals | null>((resolve) => target.once('exit', (_, signal) => resolve(signal)))
  const { pid } = target
  if (pid === undefined) throw new Error('no target')
  await until(() => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n')
  const sender = spawnSync(`${root}${CALLS}`, ['sys', nr('kill'), pid, 15].map(String), { encoding: 'utf8' })
  await sleep(200)
  check(
    isRefused ? 'a sender on the host is refused, and not killed' : 'a sender on the host is not refused',
    sender.status === 0 && sender.stdout === `${nr('kill')} ${isRefused ? -1 : 0}\n` && isAlive(target) === isRefused,
    [sender.stdout, sender.status, sender.signal],
  )
  target.kill('SIGKILL')
  check('the agent is not refused', (await ended) === (isRefused ? 'SIGKILL' : 'SIGTERM'))
}

function isAlive({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null && existsSync(`/proc/${pid}`)
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 100 && !holds(); tries++) await sleep(100)
}
