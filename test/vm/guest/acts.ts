/**
 * Runs in the guest: attaches the probes, makes a cgroup, acts in it, and prints one JSON line per check
 * ({check, ok, detail}). Imports the product's own sensor, matcher and lowering; no test runner is in the guest.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { inspect, isDeepStrictEqual } from 'node:util'
import { sensorHierarchy } from '../../../src/agent/host/sensor-hierarchy.js'
import { findHierarchy } from '../../../src/container/cgroup-fs.js'
import { compileProgram } from '../../../src/match/program.js'
import { loadPolicies } from '../../../src/policy/load.js'
import { ABI_NAMES, syscallName } from '../../../src/policy/syscalls.js'
import { HOST } from '../../../src/record/model.js'
import { BREAKER_DEFAULTS, CircuitBreaker } from '../../../src/respond/breaker.js'
import { KernelPolicy } from '../../../src/respond/kernel-policy.js'
import { isNativeError } from '../../../src/sensor/addon.js'
import { callRanges, type EventHandler } from '../../../src/sensor/batch.js'
import { ALL_ACTS, areOpensByFunction } from '../../../src/sensor/call-recipes.js'
import { eventJson, reportHost } from '../../../src/sensor/capability.js'
import {
  Access,
  Act,
  Action,
  CallFlag,
  CgroupState,
  type EvCall,
  EvExec,
  EvPacket,
  ExecFlag,
  Rung,
  SyscallFlag,
  Want,
} from '../../../src/sensor/generated/abi.js'
import { callOpens, tryOpenFunctions, tryRungs } from '../../../src/sensor/ladder.js'
import { NAME_PROGRAMS } from '../../../src/sensor/rungs.js'
import { Sensor } from '../../../src/sensor/sensor.js'
import { decodeText } from '../../../src/sensor/text.js'
import { Counters } from '../../../src/telemetry/counters.js'
import { ACT_SCRIPT, ACTS, DENIED_ACTS, hookOf, KEPT_FILES, KEPT_FOLDERS, outcomeOf, type Seen } from './act-table.js'
import { CALL_ROWS, callScript, RING_DENIED } from './call-acts.js'
import { checkLostDecisions, checkLostOpens, type NoRoomStage } from './no-room.js'
import { OPEN_WORDS, type OpenSeen, openExpected, openSeen } from './open-fields.js'
import { checkRefusedCalls } from './refused-calls.js'
import { checkRefusedRings } from './refused-rings.js'

/** The guest's own root is the root of its mount namespace; elsewhere the acts run in a folder. */
const ROOT = process.env.GUEST_ROOT ?? ''

const POLICY = `policy: guest
containers: all
mode: block
rules:
  - rule: no netcat
    exec: { deny: [nc] }
    action: kill
  - rule: no id
    exec: { deny: [id] }
    action: deny
  - rule: no priorities and no reboots
    syscall: { deny: [ioprio_set, reboot] }
  - rule: no port 81
    connect: { deny: ["*:81"] }
    action: deny
  - rule: no port 91
    listen: { deny: [91] }
    action: deny
  - rule: nothing changes here
    file: { deny: ["${ROOT}/tmp/kept/**"] }
    action: deny
  - rule: nobody shields itself
    file: { deny: [{ path: "**/oom_score_adj", access: [write, create] }] }
    action: deny
  - rule: nobody looks here
    file: { deny: [{ path: "${ROOT}/tmp/fatal/**", access: read }] }
    action: kill
---
policy: spent
containers: all
mode: block
rules:
  - rule: nobody looks here either
    file: { deny: [{ path: "${ROOT}/tmp/spent/**", access: read }] }
    action: deny
`

/** Where the guest has a 32-bit program, it makes a directory. */
const PROGRAM_32_BITS = '/bin/busybox32'
const ACTS_32_BITS = existsSync(PROGRAM_32_BITS) ? `${PROGRAM_32_BITS} mkdir /tmp/made32; ` : ''

const seen: Seen[] = []
let numberedCount = 0
const CALLS = '/bin/calls'
/** The processes that do the rows of call-acts.ts, in their order, and then the one of open-fields.ts. */
const rowPids: number[] = []
const opens: OpenSeen[] = []
const note = (kind: string, rest: Partial<Seen>) =>
  seen.push({
    ...{
      kind,
      text: '',
      object: '',
      action: 0,
      code: 0,
      signal: 0,
      isRefused: false,
      gained: 0n,
      rung: 0,
      isRing: false,
      isCreate: false,
      row: -1,
    },
    ...rest,
  })

function whenTold(flags: number): string {
  if (flags & SyscallFlag.FIRST) return 'first'
  if (flags & SyscallFlag.RETURNED) return 'returned'
  return flags & SyscallFlag.ENDED_THREAD ? 'ended' : 'begun'
}

const handler: EventHandler = {
  exec: (event) => {
    const start = event.at + EvExec.SIZE_BYTES
    const text = decodeText(event.bytes, start, start + event.invokedBytes)
    if (text.endsWith(CALLS)) rowPids.push(event.pid)
    note('exec', {
      text,
      action: event.action,
      isRefused: (event.flags & ExecFlag.REFUSED) !== 0 && event.rung === Rung.LSM,
      gained: event.capGained,
    })
  },
  fork: () => note('fork', {}),
  exit: (event) => note('exit', { code: event.code, signal: event.signal }),
  connect: (event) => note('connect', { text: `${event.address.join('.')}:${event.port}`, action: event.action }),
  socket: (event) =>
    note('socket', { text: `${event.kind} ${event.localPort} ${event.remotePort}`, code: event.error }),
  packet: (event) => {
    const start = event.at + EvPacket.SIZE_BYTES
    note('packet', {
      text: `${event.direction} ${event.remotePort} ${decodeText(event.bytes, start, start + event.dataBytes)}`,
    })
  },
  syscall: (event) => note('syscall', { code: event.nr, text: whenTold(event.flags) }),
  call: (event) => {
    if (event.act === Act.OPEN && rowPids.indexOf(event.pid) === CALL_ROWS.length) opens.push(openSeen(event))
    note('call', {
      code: event.act,
      text: `${ABI_NAMES[event.abi]} ${syscallName(event.nr, event.abi)}`,
      object: objectOf(event),
      action: event.action,
      isRefused: (event.flags & CallFlag.DECISION) !== 0 && event.rung === Rung.LSM,
      rung: event.rung,
      gained: event.capGained,
      isRing: (event.flags & CallFlag.IO_URING) !== 0,
      isCreate: (event.access & Access.CREATE) !== 0,
      row: rowPids.indexOf(event.pid),
    })
  },
  oom: () => note('oom', {}),
  cgroup: (event) => note('cgroup', { code: event.kind }),
  undecodable: (_event, reason) => note('undecodable', { text: reason }),
  sequence: () => {
    numberedCount++
  },
}

/** Of two paths the second, which is the one that comes to be; of a socket its local end. */
function objectOf(event: EvCall): string {
  if (event.localPort !== 0) return `${event.local.subarray(12).join('.')}:${event.localPort}`
  const { pathStart, path2Start, rawStart } = callRanges(event)
  return event.path2Bytes > 0
    ? decodeText(event.bytes, path2Start, rawStart)
    : decodeText(event.bytes, pathStart, path2Start)
}

function check(name: string, ok: boolean, detail: unknown = ''): void {
  console.log(
    JSON.stringify({ check: name, ok, detail }, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    ),
  )
}

/** Until what has happened is handled. An emulated machine on a busy host takes longer for it than the reader's own pauses. */
async function settle(sensor: Sensor): Promise<void> {
  const deadlineMs = performance.now() + 30_000
  do {
    sensor.nudge()
    await new Promise((resolve) => setTimeout(resolve, 500))
  } while (!sensor.isEmpty && performance.now() < deadlineMs)
}

async function main(): Promise<void> {
  const hierarchy = findHierarchy()
  console.log(JSON.stringify({ kernel: release(), hierarchy: hierarchy.kind }))
  const hasNetworkHooks = hierarchy.kind !== 'v1'
  const report = reportHost(sensorHierarchy(hierarchy))
  console.log(JSON.stringify({ doctor: { ...report, events: report.events.map(eventJson) } }))
  if (process.env.GUEST_EXPECTS === 'refusal') return checkRefusal(hierarchy)
  const sensor = Sensor.open({
    ...sensorHierarchy(hierarchy),
    ringBytes: 1 << 20,
    counters: new Counters(),
    isCongested: () => false,
  })
  sensor.start(handler, () => {})
  check('every base hook attached', true)
  console.log(JSON.stringify({ verifier: sensor.programs().map(({ name, verifiedCount }) => [name, verifiedCount]) }))

  const cgroup = join(hierarchy.root, process.env.GUEST_CGROUP ?? 'hullguard-test-vm')
  if (hierarchy.kind === 'v2') writeFileSync(join(hierarchy.root, 'cgroup.subtree_control'), '+memory')
  mkdirSync(cgroup)
  await settle(sensor)
  check(
    'cgroup_mkdir is seen',
    seen.some(({ kind }) => kind === 'cgroup'),
  )
  const id = statSync(cgroup, { bigint: true }).ino
  const { policies, errorCount } = loadPolicies([{ file: 'guest.yaml', bytes: Buffer.from(POLICY) }])
  check('the policy loads', errorCount === 0)
  const program = compileProgram(policies)
  const profile = program.profileFor({ ...HOST, state: 'container', id: 'guest', name: 'guest' })
  // the kernel takes one of the policy's acts for each rule; here nobody gives it new ones
  const breaker = new CircuitBreaker({ ...BREAKER_DEFAULTS, limitCount: 50, nowMs: () => performance.now() }, () => {})
  const kernelPolicy = new KernelPolicy(sensor, breaker)
  breaker.trip('spent')
  kernelPolicy.install(program, profile)
  const refusesExec = process.env.GUEST_EXPECTS === 'lsm'
  check('an exec can be refused where bpf is among the LSMs, and only there', sensor.refusals.exec === refusesExec)
  const want = Want.PROCESS | Want.CONNECT | Want.SYSCALL_FIRST | Want.SYSCALL_RULES | Want.NAMES
  const acts = ALL_ACTS
  sensor.setActs({ wanted: acts })
  const entry = {
    rootId: id,
    profile: [profile.id, profile.id],
    rootLevel: 1,
    state: CgroupState.CONTAINER,
    want,
    acts,
  }
  sensor.setCgroup(id, entry)
  const names = hasNetworkHooks ? NAME_PROGRAMS : []
  sensor
    .prepareHooks(new Set(['on_sys_enter', ...sensor.hooksOfActs(acts), ...names, ...kernelPolicy.hooksOf(profile.id)]))
    .commit()
  sensor.setControl({ version: 1, blocking: 1 })

  makeKeptFiles()
  // unshare -m: the exec that leaves the mount namespace ends phase setup, as a runtime's start of the entrypoint does.
  const root = ROOT === '' ? '' : `chroot ${ROOT} `
  const enter = `echo $$ > ${cgroup}/cgroup.procs; exec unshare -mn ${root}/bin/sh -c '${ACTS_32_BITS}${ACT_SCRIPT}'`
  const run = spawnSync('/bin/sh', ['-c', enter], { encoding: 'utf8' })
  await settle(sensor)
  const script = join(ROOT, '/tmp/calls.sh')
  writeFileSync(script, callScript(CALLS))
  const calls = spawnSync(
    '/bin/sh',
    ['-c', `echo $$ > ${cgroup}/cgroup.procs; exec unshare -mn ${root}/bin/sh /tmp/calls.sh`],
    { encoding: 'utf8' },
  )
  await settle(sensor)
  const opening = OPEN_WORDS.map((word) => `'${word}'`).join(' ')
  spawnSync('/bin/sh', ['-c', `echo $$ > ${cgroup}/cgroup.procs; exec unshare -mn ${root}${CALLS} ${opening}`])
  await settle(sensor)
  check(
    'opens are told at the end of functions wherever fexit programs run',
    areOpensByFunction((name) => sensor.hasHook(name)) !== tryRungs().has('fentry'),
    [...sensor.missing],
  )
  // one more call of each function than came to it, as if its body were in the caller
  const unseen = tryOpenFunctions((addon) => {
    const { byPath, byHandle } = callOpens(addon)
    return { byPath: [...byPath, 0], byHandle: [...byHandle, 0] }
  })
  check(
    'a function that does not see every open is told from one that does',
    unseen.size === 2 &&
      (tryRungs().has('fentry') || [...unseen.values()].every((reason) => /^it ran \d times/.test(reason))),
    [...unseen],
  )
  const expected = openExpected(
    ROOT,
    areOpensByFunction((name) => sensor.hasHook(name)),
  )
  check('every call that opens is told once, with every field', isDeepStrictEqual(opens, expected), [
    ...opens.map((one) => inspect(one, { breakLength: Infinity })),
  ])
  const enterOnly = `echo $$ > ${cgroup}/cgroup.procs; exec`
  const stage: NoRoomStage = {
    ...{ sensor, check, refusesExec, isByFunction: areOpensByFunction((name) => sensor.hasHook(name)) },
    settle: () => settle(sensor),
    open: () => spawnSync('/bin/sh', ['-c', `${enterOnly} ${root}/bin/sh -c ': < /dev/null'`]),
    exec: () => spawnSync('/bin/sh', ['-c', `${enterOnly} unshare -mn ${root}/bin/sh -c :`]),
    owner: { cgroupId: id, profile: profile.id },
    numberedCount: () => numberedCount,
  }
  await checkLostOpens(stage)
  await checkLostDecisions(stage)
  check('every call of the table was made', calls.stdout === '' && calls.status === 0, [calls.stdout, calls.stderr])
  check('the forbidden program was killed', run.stdout.includes('nc 137'), run.stdout)
  const nc = seen.find(({ kind, text }) => kind === 'exec' && text.endsWith('/nc'))
  check('its exec event says that the kernel killed it', nc?.action === Action.KILLED, nc ?? null)
  check('a killed program never ran where it could be refused', (nc?.isRefused ?? false) === refusesExec, nc ?? null)
  const denied = seen.find(({ kind, text }) => kind === 'exec' && text.endsWith('/id'))
  check(
    refusesExec ? 'the denied program was refused' : 'what no hook can refuse runs, and is seen',
    run.stdout.includes(refusesExec ? 'id 126' : 'id 0') &&
      denied?.action === (refusesExec ? Action.DENIED : Action.NONE) &&
      denied.isRefused === refusesExec,
    [run.stdout, run.stderr, denied ?? null],
  )
  checkKeptFiles(refusesExec, run.stdout)
  const scores = seen.filter(({ isRefused, object }) => isRefused && object.endsWith('/oom_score_adj'))
  check(
    'an O_CREAT of a file that is there is refused as a write, once',
    !refusesExec || (scores.length === 1 && scores[0]?.isCreate === false && scores[0].action === Action.DENIED),
    [scores, run.stdout, run.stderr],
  )
  const rings = seen.filter(({ isRefused, row }) => isRefused && CALL_ROWS[row]?.act === RING_DENIED)
  check(
    "an open that a ring asked for and that is refused is told as the ring's",
    rings.length === (refusesExec ? 1 : 0) && rings.every(({ isRing }) => isRing),
    rings,
  )
  const spared = seen.find(({ object }) => object.endsWith('/tmp/spent/file'))
  check(
    'a tripped breaker spares, and the end of the call says so',
    run.stdout.includes('secretspent 0') &&
      spared?.isRefused === false &&
      spared.action === (refusesExec ? Action.SPARED : Action.NONE),
    [run.stdout, spared ?? null],
  )
  check(
    'exit code is seen',
    seen.some(({ kind, code }) => kind === 'exit' && code === 7),
  )
  check(
    'exit by SIGKILL is seen',
    seen.some(({ kind, signal }) => kind === 'exit' && signal === 9),
  )
  check(
    'forks are seen',
    seen.some(({ kind }) => kind === 'fork'),
  )
  check('first uses of syscalls are seen', seen.filter(({ kind }) => kind === 'syscall').length > 5)
  check('nothing failed to decode', !seen.some(({ kind }) => kind === 'undecodable'))
  if (hasNetworkHooks) {
    const refused = seen.find(({ kind, text }) => kind === 'connect' && text.endsWith(':81'))
    const allowed = seen.find(({ kind, text }) => kind === 'connect' && text.endsWith(':82'))
    check(
      'the forbidden connect was refused',
      refused?.action === Action.DENIED && run.stderr.includes('not permitted'),
      run.stderr,
    )
    check('the forbidden listen was refused', run.stdout.includes('listen 1'), [run.stdout, run.stderr])
    check(
      'the other connect was seen and let through',
      allowed?.action === Action.NONE && run.stderr.includes('refused'),
      run.stderr,
    )
  }
  await checkRefusedRings({ cgroup, root: ROOT, isRefused: refusesExec, seen, check })
  await checkRefusedCalls({
    ...{ sensor, kernelPolicy, seen, check, root: ROOT, isRefused: refusesExec },
    cgroup: `${cgroup}-calls`,
  })
  for (const row of ACTS) {
    if (row.needsNetworkHooks === true && !hasNetworkHooks) continue
    if (row.needsUses === true && sensor.whyUsesAreUnseen !== '') continue
    const event = seen.find((one) => one.isRefused && row.isEvent(one)) ?? seen.find((one) => row.isEvent(one))
    check(`act: ${row.act}`, event !== undefined, run.stderr)
    console.log(JSON.stringify({ act: row.act, event: row.event, rung: hookOf(row, event), outcome: outcomeOf(event) }))
  }
  if (ACTS_32_BITS !== '')
    check(
      'a call of a 32-bit program is told by its own ABI and name',
      seen.some(({ code, text }) => code === Act.MKDIR && text === 'aarch32 mkdir'),
      seen.filter(({ kind }) => kind === 'call'),
    )
  if (hierarchy.kind !== 'hybrid') await checkMemory(sensor, hierarchy.kind, cgroup, id)
  sensor.close()
}

function makeKeptFiles(): void {
  for (const folder of ['tmp/kept', 'tmp/fatal', 'tmp/spent', ...KEPT_FOLDERS.map((name) => `tmp/kept/${name}`)])
    mkdirSync(join(ROOT, '/', folder), { recursive: true })
  for (const file of ['free', 'linked', 'fatal/file', 'spent/file', ...KEPT_FILES.map((name) => `kept/${name}`)])
    writeFileSync(join(ROOT, '/tmp', file), 'secret', { mode: 0o600 })
}

/** Where the hooks are there, nothing has come of the acts; elsewhere all of them happened. */
function checkKeptFiles(isRefused: boolean, output: string): void {
  const kept = join(ROOT, '/tmp/kept')
  const names = isRefused
    ? [...KEPT_FILES, ...KEPT_FOLDERS]
    : ['chmodded', 'chowned', 'folder', 'free', 'linked', 'new', 'pointer', 'read']
  const { mode } = statSync(join(kept, 'chmodded'))
  const { uid } = statSync(join(kept, 'chowned'))
  const codes = DENIED_ACTS.map(({ name }) => new RegExp(`^(?:secret)?${name} (\\d+)$`, 'm').exec(output)?.[1])
  const found = { names: readdirSync(kept).sort(), mode: mode & 0o777, uid, codes }
  check(
    isRefused ? 'acts on files are refused without an effect' : 'acts on files that no hook can refuse happen',
    found.names.join() === names.sort().join() &&
      found.mode === (isRefused ? 0o600 : 0o777) &&
      uid === (isRefused ? 0 : 7) &&
      codes.every((code) => code === (isRefused ? '1' : '0')) &&
      output.includes(isRefused ? 'fatal 137' : 'secretfatal 0'),
    [found, output],
  )
}

/** A kernel that cannot run the probes: they must say why, and leave nothing attached. */
function checkRefusal(hierarchy: ReturnType<typeof findHierarchy>): void {
  const { fault, events } = reportHost(sensorHierarchy(hierarchy))
  check('doctor says why nothing can be watched', fault !== '' && events.length === 0, fault)
}

async function checkMemory(sensor: Sensor, kind: string, cgroup: string, id: bigint): Promise<void> {
  const limitBytes = 64 * 1024 * 1024
  writeFileSync(join(cgroup, kind === 'v2' ? 'memory.max' : 'memory.limit_in_bytes'), String(limitBytes))
  const holder = spawn(
    '/bin/sh',
    ['-c', `echo $$ > ${cgroup}/cgroup.procs; (head -c 20000000 /dev/zero; sleep 20) | tail -c 19000000 > /dev/null`],
    { detached: true },
  )
  await new Promise((resolve) => setTimeout(resolve, 6000))
  const fileBytes = Number(
    readFileSync(join(cgroup, kind === 'v2' ? 'memory.current' : 'memory.usage_in_bytes'), 'utf8'),
  )
  const reading = sensor.readMemory().find(({ cgroupId }) => cgroupId === id)
  const shown =
    reading === undefined
      ? null
      : {
          current: String(reading.currentBytes),
          peak: String(reading.peakBytes),
          limit: String(reading.limitBytes),
          fileBytes,
        }
  check(
    'memory in use is what the cgroup file says',
    reading !== undefined && Math.abs(Number(reading.currentBytes) - fileBytes) < 2 << 20,
    shown,
  )
  check('peak is at least what is in use', reading !== undefined && reading.peakBytes >= reading.currentBytes, shown)
  check('the limit is the one that was set', reading?.limitBytes === BigInt(limitBytes), shown)
  if (holder.pid !== undefined) process.kill(-holder.pid, 'SIGKILL')
}

main().catch((error: unknown) => {
  const cause = error instanceof Error ? error.cause : undefined
  if (isNativeError(cause)) console.log(cause.log)
  check('the guest ran to its end', false, error instanceof Error ? error.stack : String(error))
  process.exit(1) // a sensor that is still open would keep the guest up until its time is over
})
