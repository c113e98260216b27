/**
 * A sensor, the program that does calls, and what every field of a call's event should be: what a test does not give is as in an
 * event without facts, so that a field that speaks without being expected fails the test.
 */
import assert from 'node:assert/strict'
import { realpathSync, statSync } from 'node:fs'
import { ABI_32_BITS, HOST_SYSCALLS, syscallNumber } from '../../src/policy/syscalls.js'
import type { CallKind } from '../../src/record/call-model.js'
import { loadAddon } from '../../src/sensor/addon.js'
import { ALL_ACTS, actBit, actOfCall } from '../../src/sensor/call-recipes.js'
import { Act, CallFlag, EvCall, FdKind, Kind } from '../../src/sensor/generated/abi.js'
import { CallActs, type DoneCalls } from './call-acts.js'
import { makeTempDir, removeDir, requires } from './process.js'
import { policyOf } from './rule-text.js'
import {
  type CallFields,
  fieldNamesOf,
  installPolicy,
  type TestCgroup,
  type TestPolicy,
  TestSensor,
  unforeseen,
  type WatchOptions,
} from './sensor.js'
import { actWord } from './sensor-acts.js'

export const skipCalls =
  requires({ root: true, commands: ['gcc'], files: ['/sys/kernel/btf/vmlinux'] }) ||
  (process.arch !== 'x64' && 'needs an x86-64 machine: the numbers are its own')

export const AT_FDCWD = -100
export const ENOENT = -2n
export const EFAULT = -14n
export const O_CREAT = 0o100
export const O_WRONLY = 1
export const O_RDWR = 2

/** Of a call's event: those of its view, its arguments and facts, and the four strings. */
export const CALL_FIELDS_COUNT =
  fieldNamesOf(new EvCall(new DataView(new ArrayBuffer(0)), new Uint8Array())).filter(
    (name) => name !== 'at' && name !== 'bytes',
  ).length + 6

/** An argument that is the address of something: any but 0. */
export const POINTER = Symbol('pointer')
export type Argument = bigint | number | typeof POINTER

export const u64 = (value: number | bigint): bigint => BigInt.asUintN(64, BigInt(value))
/** A string for calls.c. */
export const s = (path: string): string => `s:${actWord(path)}`

const NONE_16 = '\0'.repeat(16)
const NOTHING = {
  action: 0,
  rung: 0,
  decided: 0n,
  violated: 0n,
  profile: 0,
  programVersion: 0,
  phase: 0,
  uid: 0,
  gid: 0,
  kind: Kind.CALL,
  abi: 0,
  fd: -1,
  inode: 0n,
  dev: 0,
  mode: 0,
  fdKind: FdKind.NONE,
  access: 0,
  family: 0,
  proto: 0,
  socketType: 0,
  localPort: 0,
  remotePort: 0,
  local: NONE_16,
  remote: NONE_16,
  tag: NONE_16,
  repeatsCount: 0,
  targetPid: 0,
  targetStartNs: 0n,
  targetCgroupId: 0n,
  facts: [0n, 0n, 0n, 0n],
  flags: CallFlag.HAS_RESULT,
  result: 0n,
  path: '',
  path2: '',
  raw: '',
  raw2: '',
  capGained: 0n,
}

/** What is expected of one event. `call` stands for `nr` and `act`; arguments that are not given are 0. */
export type Given = Partial<Omit<CallFields, 'args' | 'facts'>> & {
  call?: string
  args?: readonly Argument[]
  facts?: readonly (number | bigint)[]
}

function argsOf(event: CallFields, given: readonly Argument[]): bigint[] {
  return event.args.map((value, index) => {
    const wanted = given[index] ?? 0
    if (wanted !== POINTER) return BigInt.asUintN(event.abi === ABI_32_BITS ? 32 : 64, BigInt(wanted))
    assert.notEqual(value, 0n, `argument ${index + 1} is an address`)
    return value
  })
}

/** The whole event: what is not given is as in NOTHING; lengths follow from the strings. */
export function expectedCall(event: CallFields, sinceBootNs: bigint, given: Given): CallFields {
  const { call, args, facts, ...rest } = given
  const nr =
    given.abi === ABI_32_BITS ? HOST_SYSCALLS.table(ABI_32_BITS).indexOf(call ?? '') : syscallNumber(call ?? '')
  const named = call === undefined ? {} : { nr: nr ?? -1, act: given.act ?? actNumber(actOfCall(call)) }
  const whole = { ...NOTHING, ...named, ...rest }
  const { path, path2, raw, raw2 } = whole
  return {
    ...whole,
    ...unforeseen(event, sinceBootNs),
    cgroupId: event.cgroupId,
    pid: event.pid,
    tid: event.pid,
    args: argsOf(event, args ?? []),
    facts: [0, 1, 2, 3].map((index) => u64(facts?.[index] ?? 0)),
    pathBytes: path.length,
    path2Bytes: path2.length,
    rawBytes: raw.length,
    raw2Bytes: raw2.length,
    sizeBytes: EvCall.SIZE_BYTES + path.length + path2.length + raw.length + raw2.length,
  } as CallFields
}

function actNumber(kind: CallKind | undefined): number {
  const number = kind === undefined ? undefined : Act[kind.toUpperCase() as keyof typeof Act]
  if (number === undefined) throw new Error(`no act ${kind}`)
  return number
}

/** What a descriptor of this file tells. */
export function fileFacts(path: string): Pick<CallFields, 'inode' | 'dev' | 'mode' | 'fdKind'> {
  const { ino, dev, mode } = statSync(path)
  return { inode: BigInt(ino), dev, mode, fdKind: FdKind.FILE }
}

/** The words of one call, as sys() gives them. */
export type Call = readonly (string | number)[]

export interface StageDone extends DoneCalls {
  sinceBootNs: bigint
}

export class CallStage {
  readonly dir: string
  readonly sensor: TestSensor
  readonly acts: CallActs

  private constructor(dir: string, acts: CallActs, sensor: TestSensor) {
    this.dir = dir
    this.acts = acts
    this.sensor = sensor
  }

  static async open(): Promise<CallStage> {
    const dir = realpathSync(makeTempDir())
    const acts = await CallActs.compile(dir)
    const sensor = new TestSensor()
    sensor.sensor.setActs({ wanted: ALL_ACTS })
    return new CallStage(dir, acts, sensor)
  }

  async close(): Promise<void> {
    await this.sensor.close()
    removeDir(this.dir)
  }

  at(name: string): string {
    return `${this.dir}/${name}`
  }

  /** The path without the folder of the stage. */
  below(path: string): string {
    return path.replace(`${this.dir}/`, '')
  }

  install(rules: string): TestPolicy {
    return installPolicy(this.sensor, policyOf(rules))
  }

  /** Does the calls in a container of its own under these rules, which reports what they ask for, or `acts`. */
  async doUnder(rules: string, calls: readonly Call[], acts?: bigint): Promise<DoneCalls> {
    const { profile, acts: asked } = this.install(rules)
    return this.doIn(this.sensor.makeContainer({ acts: acts ?? asked, profile: profile.id }), calls)
  }

  /** Each of the calls has given a result. */
  async doIn(cgroup: TestCgroup, calls: readonly Call[]): Promise<DoneCalls> {
    const done = await this.acts.run(this.sensor, cgroup, calls.flat())
    assert.equal(done.results.length, calls.length)
    return done
  }

  /** Does the words in a container of its own that reports these acts. */
  async doing(kinds: CallKind | readonly CallKind[], ...words: (string | number)[]): Promise<StageDone> {
    return this.doingIn({}, kinds, ...words)
  }

  async doingIn(
    options: WatchOptions,
    kinds: CallKind | readonly CallKind[],
    ...words: (string | number)[]
  ): Promise<StageDone> {
    const wanted = typeof kinds === 'string' ? [kinds] : kinds
    const cgroup = this.sensor.makeContainer({
      acts: wanted.reduce((mask, kind) => mask | actBit(kind), 0n),
      ...options,
    })
    const sinceBootNs = loadAddon().bootClockNs()
    return { ...(await this.acts.run(this.sensor, cgroup, words)), sinceBootNs }
  }

  /** The events are these, in this order, and every field of each is as said. */
  assertAll({ events, sinceBootNs }: StageDone, ...given: readonly (Given | ((event: CallFields) => Given))[]): void {
    assert.equal(
      events.length,
      given.length,
      JSON.stringify(events.map(({ act, nr, path, result }) => [act, nr, path, Number(result)])),
    )
    events.forEach((event, index) => {
      const one = given[index] ?? {}
      assert.equal(Object.keys(event).length, CALL_FIELDS_COUNT)
      assert.deepEqual(
        event,
        expectedCall(event, sinceBootNs, typeof one === 'function' ? one(event) : one),
        `event ${index + 1}`,
      )
    })
  }
}
