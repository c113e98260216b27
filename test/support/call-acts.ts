/** Does system calls exactly as told (acts/calls.c), in a container's cgroup after its phase setup, and gives their results. */
import { join } from 'node:path'
import { ABI_32_BITS, HOST_SYSCALLS, syscallNumber } from '../../src/policy/syscalls.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { run, runOk } from './process.js'
import type { CallFields, TestCgroup, TestSensor } from './sensor.js'
import { act, compileAct } from './sensor-acts.js'

export interface DoneCalls {
  pid: number
  /** What each call returned, in order. */
  results: bigint[]
  events: CallFields[]
}

/** The native call of that name, for a word list of calls.c. */
export function sys(name: string, ...args: (string | number)[]): (string | number)[] {
  const nr = syscallNumber(name)
  if (nr === undefined) throw new Error(`no system call ${name}`)
  return ['sys', nr, ...args]
}

/** The same of ia32, through int 0x80. */
export function sys32(name: string, ...args: (string | number)[]): (string | number)[] {
  const nr = HOST_SYSCALLS.table(ABI_32_BITS).indexOf(name)
  if (nr === -1) throw new Error(`ia32 has no system call ${name}`)
  return ['sys32', nr, ...args]
}

/** The static program: DIR/calls; by a cross compiler for another architecture. */
export async function compileCalls(dir: string, compiler = 'gcc'): Promise<string> {
  const calls = join(dir, 'calls')
  const sources = ['calls.c', 'ring.c'].map((name) => join(findPackageRoot(), 'test/support/acts', name))
  await runOk(compiler, ['-static', '-O1', '-Wall', '-Wextra', '-Werror', '-o', calls, ...sources])
  return calls
}

/** Why acts of an io_uring cannot be tested with DIR/calls here, or ''. */
export async function whyNoRings(sensor: TestSensor, dir: string): Promise<string> {
  const isServed = (await run(join(dir, 'calls'), ['ring', '0'])).stdout.trim() === '0 0'
  return sensor.sensor.whyRingsAreUnseen === '' && isServed ? '' : 'no io_uring here, or none that can be seen'
}

export class CallActs {
  readonly #act: string
  readonly #calls: string

  private constructor(act: string, calls: string) {
    this.#act = act
    this.#calls = calls
  }

  static async compile(dir: string): Promise<CallActs> {
    return new CallActs(await compileAct(dir), await compileCalls(dir))
  }

  /** The events are those of phase run, of calls that the words name: the program's own start is left out. */
  async run(sensor: TestSensor, cgroup: TestCgroup, words: readonly (string | number)[]): Promise<DoneCalls> {
    const before = (await sensor.eventsOf(cgroup, 'call')).length
    const result = await act(this.#act, 'join', cgroup.dir, 'mntns', 'exec', this.#calls, 'calls', ...words)
    if (result.code !== 0) throw new Error(`${words.join(' ')}: ${result.stdout}${result.stderr}`)
    const lines = result.stdout.trim().split('\n').filter(Boolean)
    const events = (await sensor.eventsOf(cgroup, 'call')).slice(before)
    return {
      pid: result.pid,
      results: lines.map((line) => BigInt(line.split(' ')[1] ?? '')),
      events: events.filter(({ phase }) => phase === 0),
    }
  }
}
